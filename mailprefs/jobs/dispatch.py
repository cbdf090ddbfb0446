"""Dispatch: campaigns that are due are frozen, claimed batch by batch, handed over and recorded.

A ``Worker`` does one step at a time and keeps nothing that must not be lost: whatever it knows is
in the ledger before the vendor is called. ``Workers`` runs some of them as threads. They may be
killed at any instant, and any number of processes may run them on one database.
"""

import gc
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs.campaigns import schedule
from mailprefs.db.database import Gate
from mailprefs.deliveries import freeze, outcome, settle, unknown
from mailprefs.deliveries.aside import set_aside
from mailprefs.deliveries.claim import START_WITHIN, BrokenBatch, Claim, claim
from mailprefs.deliveries.origin import origin
from mailprefs.deliveries.pace import Wait
from mailprefs.errors import StoreUnavailable
from mailprefs.jobs.attendance import Attendance
from mailprefs.jobs.office import Office
from mailprefs.jobs.reasons import complain, reason
from mailprefs.rendering.person import Origin, Personaliser, mailing, personalise
from mailprefs.vendor.message import Mailing, Outcome, Verdict

__all__ = ["COLLECTING", "POLL", "Office", "Worker", "Workers"]

log = logging.getLogger("mailprefs.jobs.dispatch")

POLL: Final = 0.5
"""Seconds between two looks for work while there is none, and the longest sleep while waiting."""
COLLECTING: Final = (50_000, 20, 20)
"""After how many new objects Python looks for garbage. A batch makes thousands that live until its
answer is here; by default (700) they are looked through again and again, which takes a third of the
time in which the people's parts are made."""
_STORE_GONE: Final = 2.0
_LOOK_AGAIN: Final = 0.02
_SHORTEST_RETRY, _LONGEST_RETRY = 0.2, 5.0
_MOST_ORIGINS: Final = 64
_UNBUILT: Final = "The message can't be built ({}); the log says where."
_UNCLAIMED: Final = "The next people's messages can't be made ready ({}); the log says where."
_UNFROZEN: Final = "The list of people can't be made ({}); the log says where."


class _Begun(NamedTuple):
    """A batch in a worker's hands, and until when (monotonic seconds) its request has to begin."""

    taken: Claim
    begin_by: float


class Worker:
    """One line of work, for one thread."""

    def __init__(self, office: Office, owner: str) -> None:
        self._office = office
        self._terms = office.terms(owner)
        self._makers: dict[tuple[object, ...], tuple[Origin, Personaliser]] = {}
        self._freezing: list[int] = []
        self._next_look = 0.0

    def look_after(self) -> bool:
        """Do what is due besides sending; give whether a freeze goes on and wants the next step.

        Begins and continues freezes, takes lost batches away from dead workers, and ends campaigns.
        Between two steps of a freeze it looks for the rest only now and then.
        """
        if self._office.guard(None):
            return False
        now = self._office.clock()
        if not self._freezing or time.monotonic() >= self._next_look:
            self._freezing = self._look(now)
            self._next_look = time.monotonic() + POLL
        self._freezing = [one for one in self._freezing if self._freeze(one, now)]
        return bool(self._freezing)

    def _look(self, now: datetime) -> list[int]:
        """Look for what is due, and do it; give the campaigns whose freeze isn't done.

        Looking is reading; only what there is to do is written.
        """
        office = self._office
        with office.db.reading() as session:
            any_due = freeze.any_due(session, now=now)
            any_lost, any_ended = settle.any_lost(session), settle.any_ended(session)
            any_again = unknown.any_to_go_again(session, settle_time=office.settings.settle_time)
            freezing = freeze.freezing(session)
        if any_due:
            freezing += self._begin(now)
        if any_lost:
            with office.db.transaction() as session:
                for batch_id in settle.sweep(session):
                    log.warning("batch %d is unknown: its worker was lost", batch_id)
        if any_again:
            self._go_again()
        if any_ended:
            with office.db.transaction() as session:
                for campaign_id, state in settle.end_campaigns(session, now=now).items():
                    log.info("campaign %d is %s", campaign_id, state.value)
        return freezing

    def _go_again(self) -> None:
        """Let administrative messages go once more of which nothing has been heard for long."""
        settle_time = self._office.settings.settle_time
        with self._office.db.transaction() as session:
            for campaign_id, n in unknown.go_again(session, settle_time=settle_time).items():
                log.warning("campaign %d goes again to %d people: unknown", campaign_id, n)

    def send_next(self, goes_on: Callable[[], bool] = lambda: False) -> Wait | None:
        """Claim the next batch and hand it over; ``Wait(0)``: ask again; None: nothing to send.

        While *goes_on* says so it goes on with the one after. On SQLite that one is then claimed by
        the transaction that records the answer before it, which saves one of two for each batch. On
        PostgreSQL the two would take locks out of the package's order.
        """
        mine = self._claim()
        if not isinstance(mine, _Begun):
            return mine
        while isinstance(mine, _Begun):
            answer = self._hand_over(mine)
            if not (answer.verdict is Verdict.ACCEPTED and self._office.db.is_sqlite and goes_on()):
                self._record(mine.taken, answer)
                return Wait(0.0)
            mine = self._claim((mine.taken, answer))
        return mine or Wait(0.0)

    def _claim(self, answered: tuple[Claim, Outcome] | None = None) -> _Begun | Wait | None:
        """Claim the next batch, once what an earlier one was *answered* is written down."""
        office = self._office
        try:
            with office.db.transaction(Gate.USING) as session:
                if answered:
                    outcome.record(session, *answered)
                taken = claim(session, self._terms, office.contents, now=office.clock())
                # From before the commit: the answer to it may be slow.
                begin_by = time.monotonic() + START_WITHIN
        except Exception as error:
            if answered:
                # Whatever is wrong with the next batch: this one's answer is known to us only.
                self._record(*answered)
            if not isinstance(error, BrokenBatch):
                raise
            self._set_aside(error)
            return Wait(0.0)
        return _Begun(taken, begin_by) if isinstance(taken, Claim) else taken

    def _begin(self, now: datetime) -> list[int]:
        """Begin what is due; what is found too late waits for a person. Give what has begun."""
        grace = self._office.settings.missed_grace
        with self._office.db.transaction() as session:
            for campaign_id in schedule.hold_missed(session, now=now, grace=grace):
                log.warning("campaign %d was missed and waits for a person", campaign_id)
            return freeze.begin_due(session, now=now)

    def _freeze(self, campaign_id: int, now: datetime) -> bool:
        """Do one step of a freeze; give whether there is another one to do."""
        office = self._office
        try:
            # A slice that a power cut takes back is done again.
            with office.db.transaction(durable=False) as session:
                progress = freeze.step(
                    session, campaign_id, batch_size=self._terms.batch_size, now=now
                )
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one odd campaign must not stop the others
            why = reason(log, f"freeze of campaign {campaign_id}", _UNFROZEN, error)
            with office.db.transaction() as session:
                outcome.pause(session, campaign_id, why)
            log.warning("campaign %d can't be frozen and is paused", campaign_id)
            return False
        if progress is not None and progress.is_done:
            log.info("campaign %d is frozen: %d deliveries", campaign_id, progress.frozen)
        return progress is not None and not progress.is_done

    def _set_aside(self, broken: BrokenBatch) -> None:
        """Take a batch out of the way that would break every claim, and all others' sending."""
        picked, cause = broken.picked, broken.__cause__ or broken
        why = reason(log, f"claim of batch {picked.id}", _UNCLAIMED, cause)
        with self._office.db.transaction() as session:
            set_aside(session, picked, why)
        log.warning("batch %d of campaign %d is set aside", picked.id, picked.campaign_id)

    def _hand_over(self, mine: _Begun) -> Outcome:
        """Build the request and hand it over once; give what became of it."""
        taken, begin_by = mine
        try:
            request = self._request(taken, begin_by)
        except Exception as error:  # noqa: BLE001 - whatever it is, the batch must come to an end
            why = reason(log, f"hand-over {taken.held.hand_over_id}", _UNBUILT, error)
            return Outcome(verdict=Verdict.REFUSED_MESSAGE, reason=why)
        started = time.monotonic()
        if self._office.stopping.is_set() or started > begin_by:
            return Outcome(verdict=Verdict.NOT_BEGUN, reason="It would have begun too late.")
        answer = self._carry(request, taken)
        if answer.verdict is not Verdict.NOT_BEGUN:
            log.info(
                "hand-over %d of campaign %d: %d people, %s, %d ms",
                taken.held.hand_over_id,
                taken.held.campaign_id,
                len(taken.people),
                answer.verdict.value,
                (time.monotonic() - started) * 1_000,
            )
        return answer

    def _carry(self, request: Mailing, taken: Claim) -> Outcome:
        """Hand a request over; a vendor that breaks its promise to raise nothing is unclear."""
        try:
            return self._office.vendor.hand_over(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the batch must come to an end
            complain(log, f"hand-over {taken.held.hand_over_id} broke off", error)
            why = f"The call broke off ({type(error).__name__}); it may have been accepted."
            return Outcome(verdict=Verdict.UNCLEAR, reason=why)

    def _request(self, taken: Claim, begin_by: float) -> Mailing:
        sender, personal = self._maker(taken)
        people = personal.batch(taken.people)
        request = mailing(taken.content, sender, people, attempt=taken.attempt)
        return replace(request, begin_by=begin_by)

    def _maker(self, taken: Claim) -> tuple[Origin, Personaliser]:
        """Give what makes a person's part of this content, made once for each content."""
        picked = taken.picked
        key = (picked.content_id, *picked.facts)
        known = self._makers.get(key)
        if known is None:
            if len(self._makers) >= _MOST_ORIGINS:
                self._makers.clear()
            sender = origin(self._office.links, picked)
            known = self._makers[key] = (sender, personalise(taken.content, sender))
        return known

    def _record(self, taken: Claim, answer: Outcome) -> None:
        if answer.verdict is Verdict.NOT_BEGUN:
            self._write(lambda session: outcome.give_back(session, taken, answer.reason))
        else:
            self._write(lambda session: outcome.record(session, taken, answer))

    def _write(self, work: Callable[[Session], None]) -> None:
        """Write what became of a request, for as long as it takes: only we know it.

        A stop waits for it; after its time the lease runs out and the batch is unknown. The same
        holds for the last ones before a power cut, so this commit needn't wait for the disk.
        """
        pause = _SHORTEST_RETRY
        while True:
            try:
                with self._office.db.transaction(durable=False) as session:
                    work(session)
                return
            except StoreUnavailable:
                if self._office.stopped.is_set():
                    log.warning("an outcome could not be stored before the stop")
                    return
                if self._office.stopping.wait(pause):
                    self._office.stopped.wait(_SHORTEST_RETRY)
                pause = min(2 * pause, _LONGEST_RETRY)


class Workers:
    """Workers as threads of this process; ``start`` and ``stop`` once each."""

    def __init__(self, office: Office, *, threads: int | None = None) -> None:
        self._office = office
        self._look = threading.Lock()
        self._next_look = 0.0
        self._wakes: list[threading.Event] = []
        host = f"{socket.gethostname()[-40:]}:{os.getpid()}"
        # A process number comes again, on another host in the same container name even at once.
        self._attendance = Attendance(office.db, f"{host}:{secrets.token_hex(4)}", office.clock)
        self._threads: list[threading.Thread] = []
        for number in range(1, (threads or office.settings.sending_threads) + 1):
            wake = threading.Event()
            worker = Worker(office, f"{host}:{number}")
            self._wakes.append(wake)
            self._threads.append(
                threading.Thread(
                    target=self._work, args=(worker, wake), name=f"sending-{number}", daemon=True
                )
            )

    def start(self) -> None:
        """Begin to send; from here on this process collects its garbage in larger heaps."""
        gc.set_threshold(*COLLECTING)
        self._attendance.start()
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look for work at once: something has just become due."""
        self._next_look = 0.0
        for wake in self._wakes:
            wake.set()

    def stop(self, *, within: float | None = None, hasten: threading.Event | None = None) -> int:
        """End: calls in flight finish and are recorded, what has not begun is given back.

        Waits *within* seconds, by default as long as a call may take, and no longer once *hasten*
        is set. Gives how many lines of work were left: their calls become unknown by their leases.
        """
        self._office.stopping.set()
        self.wake()
        settings = self._office.settings
        longest = settings.connect_timeout + settings.read_timeout + _LONGEST_RETRY
        ends = time.monotonic() + (longest if within is None else within)
        begun = [thread for thread in self._threads if thread.ident is not None]
        hurries = hasten or threading.Event()
        while any(map(threading.Thread.is_alive, begun)) and time.monotonic() < ends:
            if hurries.wait(_LOOK_AGAIN):
                break
        self._office.stopped.set()
        left = sum(map(threading.Thread.is_alive, begun))
        if left:
            log.warning("%d calls were left in flight; what became of them is unknown", left)
        self._attendance.stop()
        return left

    def _work(self, worker: Worker, wake: threading.Event) -> None:
        has_sent = False
        while not self._office.stopping.is_set():
            wake.clear()
            try:
                goes_on = self._look_after(worker)
                wait = worker.send_next(self._may_go_on)
                seconds = POLL if wait is None else min(wait.seconds, POLL)
                if wait is None and (has_sent or goes_on):
                    # A freeze wants its next step, or ours was the last batch of a campaign.
                    self._next_look = seconds = 0.0
                has_sent = wait is not None
            except StoreUnavailable:
                log.warning("the database can't be reached; sending goes on when it can")
                seconds = _STORE_GONE
            except Exception as error:  # noqa: BLE001 - the thread lives on, whatever it was
                complain(log, "a worker's step broke off", error)
                seconds = _STORE_GONE
            if seconds:
                wake.wait(seconds)

    def _may_go_on(self) -> bool:
        """Tell whether there is nothing to do but to send."""
        return not self._office.stopping.is_set() and time.monotonic() < self._next_look

    def _look_after(self, worker: Worker) -> bool:
        """Let one thread at a time look after what is due, now and then; give ``look_after``'s."""
        if time.monotonic() < self._next_look or not self._look.acquire(blocking=False):
            return False
        goes_on = False
        try:
            goes_on = worker.look_after()
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one odd campaign must not stop all sending
            complain(log, "looking after the campaigns broke off", error)
        finally:
            self._next_look = 0.0 if goes_on else time.monotonic() + POLL
            self._look.release()
        return goes_on
