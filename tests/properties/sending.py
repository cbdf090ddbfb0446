"""Sending as a machine of rules: whatever can happen, in any order, beside a model of the truth.

The model knows what no program can know: which requests the vendor accepted though the answer was
lost, and so who really has how many copies. After each step the ledger is held against it.
"""

from datetime import timedelta
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from sqlalchemy import delete, update

from mailprefs.campaigns import states
from mailprefs.db import dialects
from mailprefs.db.database import Gate
from mailprefs.deliveries import freeze, outcome, pace, settle, unknown
from mailprefs.deliveries.claim import Claim
from mailprefs.deliveries.pace import Wait
from mailprefs.errors import Conflict, NotAllowed
from mailprefs.policy import Frequency, MessageClass, Source
from mailprefs.preferences import Door, set_frequency, set_pause
from mailprefs.preferences.leaving import opt_out_all
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import (
    Batch,
    BatchState,
    Decision,
    HandOver,
    VendorPace,
)
from mailprefs.schema.people import Topic
from mailprefs.schema.sending import CallPace
from mailprefs.vendor.message import Event, Outcome, Verdict
from tests.properties.world import World
from tests.sending import ACCEPTED, NOW, TERMS, answer, make_due, take

SETTLE: Final = 1_800.0
MOST_CAMPAIGNS: Final = 3
MOST_IN_FLIGHT: Final = 3
MOST_CALLS: Final = 200
LONG_AGO: Final = NOW - timedelta(days=365)
ONE_CLICK: Final = Door(Source.ONE_CLICK, "post_one_click")
PAGE: Final = Door(Source.PREFERENCES, "button")
_REFUSED: Final = (Verdict.REFUSED_ADDRESS, Verdict.LATER, Verdict.NOT_CONNECTED, Verdict.TOO_LARGE)
which = st.integers(min_value=0, max_value=11)


class Sending(World):
    """Campaigns of both classes to five people, two or three calls at a time, and all faults."""

    @initialize()
    def begin(self) -> None:
        """Begin with a campaign of each class, ready to be claimed."""
        self.store()
        for kind in MessageClass:
            self.write(kind)
        for number in list(self.drafts):
            self.approve_and_send(number)
            self.approve_and_send(number)
        while self.freeze_a_slice():
            pass

    # Campaigns

    @precondition(lambda self: len(self.campaigns) < MOST_CAMPAIGNS)
    @rule(kind=st.sampled_from(MessageClass))
    def write(self, kind: MessageClass) -> None:
        """Write a campaign; a promotional one is sent at once."""
        with self.db.transaction() as session:
            topic = session.get_one(Topic, self.topics[kind])
            state = {"state": CampaignState.DRAFT, "author_id": self.author.staff_id}
            number = make_due(session, topic, **state, due_at=None)
        self.campaigns[number] = kind
        if kind is MessageClass.PROMOTIONAL:
            self.send(number)
        else:
            self.drafts.add(number)

    @precondition(lambda self: self.drafts)
    @rule(i=which)
    def approve_and_send(self, i: int) -> None:
        """Send a notice, which nobody can before a second person has approved it."""
        number = sorted(self.drafts)[i % len(self.drafts)]
        with self.db.reading() as session:
            campaign = session.get_one(Campaign, number)
        if campaign.approved_at is None:
            try:
                self.send(number)
            except NotAllowed:
                pass
            else:
                msg = "administrative mail went without its second person"
                raise AssertionError(msg)
            with self.db.transaction(Gate.TAKING) as session:
                states.approve(session, number, self.second, now=NOW)
            return
        self.send(number)
        self.drafts.remove(number)

    @precondition(lambda self: len(self.campaigns) > len(MessageClass))
    @rule()
    def go_on_freezing(self) -> None:
        """Begin what is due, and go one step on."""
        self.freeze_a_slice()

    def freeze_a_slice(self) -> bool:
        """Do the same, and give whether there was anything to do."""
        with self.db.transaction() as session:
            freeze.begin_due(session, now=NOW)
        with self.db.reading() as session:
            freezing = freeze.freezing(session)
        if freezing:
            with self.db.transaction() as session:
                freeze.step(session, freezing[0], batch_size=3, now=NOW, slice_size=2)
        return bool(freezing)

    @precondition(lambda self: self.accepted)
    @rule(i=which, what=st.sampled_from(["pause", "resume", "resume", "cancel"]))
    def steer(self, i: int, what: str) -> None:
        """Pause, resume or cancel a campaign."""
        number = self.one(i)
        if number is None:
            return
        try:
            with self.db.transaction(Gate.TAKING) as session:
                getattr(states, what)(session, number, self.author, now=NOW)
        except Conflict:
            pass

    # Calls

    @precondition(lambda self: len(self.flying) < MOST_IN_FLIGHT)
    @rule()
    def claim(self) -> None:
        """Claim the next batch: nobody known to have it may be in it, nor who has left."""
        taken = take(self.db, TERMS)
        if isinstance(taken, Wait) and not taken.seconds:
            taken = take(self.db, TERMS)
        if not isinstance(taken, Claim):
            return
        self.flying.append(taken)
        again = {person.delivery_id for person in taken.people} & self.known
        assert not again, "a claim holds somebody who is known to have it"
        if taken.picked.message_class is MessageClass.PROMOTIONAL:
            gone = {person.recipient_id for person in taken.people} & self.left
            assert not gone, "a promotional claim holds somebody who had left before it"
        self.check_less(taken)

    @precondition(lambda self: self.flying)
    @rule(i=which)
    def accept(self, i: int) -> None:
        """Let the vendor accept a call."""
        taken = self.flying.pop(i % len(self.flying))
        self.reach(taken)
        answer(self.db, taken, ACCEPTED)
        self.know(taken)

    @precondition(lambda self: self.flying)
    @rule(i=which, verdict=st.sampled_from(_REFUSED))
    def refuse(self, i: int, verdict: Verdict) -> None:
        """Let the vendor refuse a call, in any way that the others may survive."""
        taken = self.flying.pop(i % len(self.flying))
        answer(self.db, taken, Outcome(verdict=verdict, refused=(0,), reason="Refused."))

    @precondition(lambda self: self.flying)
    @rule(i=which, is_accepted=st.booleans())
    def leave_unclear(self, i: int, is_accepted: bool) -> None:  # noqa: FBT001 - drawn
        """Lose the answer to a call, which the vendor accepted or not."""
        taken = self.flying.pop(i % len(self.flying))
        if is_accepted:
            self.reach(taken)
        answer(self.db, taken, Outcome(verdict=Verdict.UNCLEAR, reason="No answer came."))
        self.has_unclear = True

    @precondition(lambda self: self.flying)
    @rule(i=which)
    def give_back(self, i: int) -> None:
        """Begin a call too late."""
        taken = self.flying.pop(i % len(self.flying))
        with self.db.transaction() as session:
            outcome.give_back(session, taken, "It began too late.")

    @precondition(lambda self: self.flying)
    @rule(i=which, is_accepted=st.booleans())
    def kill(self, i: int, is_accepted: bool) -> None:  # noqa: FBT001 - drawn
        """Kill a worker in a call, or stop it past its lease."""
        taken = self.flying.pop(i % len(self.flying))
        if is_accepted:
            self.reach(taken)
        self.lost.append((taken, is_accepted))
        with self.db.transaction() as session:
            mine = Batch.hand_over_id == taken.held.hand_over_id
            session.execute(
                update(Batch)
                .where(Batch.id == taken.held.batch_id, mine)
                .where(Batch.state == BatchState.SENDING)
                .values(lease_until=LONG_AGO)
            )

    @precondition(lambda self: self.lost)
    @rule()
    def sweep(self) -> None:
        """Take away what dead workers hold."""
        with self.db.transaction() as session:
            self.has_unclear |= bool(settle.sweep(session))

    @precondition(lambda self: self.lost)
    @rule(i=which)
    def wake_up(self, i: int) -> None:
        """Let a worker that was stopped past its lease write its answer down after all."""
        taken, is_accepted = self.lost.pop(i % len(self.lost))
        late = Outcome(verdict=Verdict.NOT_CONNECTED, reason="Refused.")
        answer(self.db, taken, ACCEPTED if is_accepted else late)

    # What comes from outside

    @precondition(lambda self: self.accepted)
    @rule(i=which, kind=st.sampled_from([Event.QUEUED, Event.DELIVERED, Event.DEFERRED]))
    def report(self, i: int, kind: Event) -> None:
        """Let the vendor report something of a call that it accepted."""
        self.hear(i, kind)

    @precondition(lambda self: self.accepted)
    @rule(i=which)
    def complain(self, i: int) -> None:
        """Let somebody press the spam button."""
        self.left.add(self.hear(i, Event.COMPLAINED))

    @rule(i=which)
    def opt_out(self, i: int) -> None:
        """Let somebody leave by one click."""
        person = self.people[i % len(self.people)]
        with self.db.transaction(Gate.TAKING) as session:
            opt_out_all(session, person, ONE_CLICK, now=NOW)
        self.left.add(person)

    @rule(i=which, days=st.sampled_from([30, 90, None]))
    def pause(self, i: int, days: int | None) -> None:
        """Let somebody pause promotional mail, or end that."""
        person = self.people[i % len(self.people)]
        with self.db.transaction(Gate.TAKING) as session:
            set_pause(session, person, days, PAGE, now=NOW)
        (self.pausing.add if days else self.pausing.discard)(person)

    @rule(i=which)
    def ask_for_one_a_week(self, i: int) -> None:
        """Let somebody choose one promotional message a week."""
        person = self.people[i % len(self.people)]
        with self.db.transaction(Gate.TAKING) as session:
            set_frequency(session, person, Frequency.WEEKLY, PAGE, now=NOW)
        self.weekly.setdefault(person, None)

    @rule()
    def wait(self) -> None:
        """Let the waits of the vendor and the breaker pass."""
        with self.db.transaction() as session:
            pace.start(session)
            session.execute(update(VendorPace).values(probe_at=None, next_turn_at=pace.BEGINNING))
            session.execute(delete(CallPace))

    # What is unknown

    @precondition(lambda self: self.has_unclear)
    @rule()
    def let_settle(self) -> None:
        """Let the settle time pass for every call that has ended."""
        with self.db.transaction() as session:
            ended_at = dialects.database_time(session) - timedelta(seconds=SETTLE + 60)
            ended = session.scalars(
                update(HandOver)
                .where(HandOver.campaign_id.in_(self.campaigns), HandOver.ended_at.is_not(None))
                .values(ended_at=ended_at)
                .returning(HandOver.id)
            )
            self.settled |= set(ended)

    @precondition(lambda self: self.has_unclear)
    @rule()
    def go_again(self) -> None:
        """Send administrative mail once more by itself, where that is allowed."""
        before = self.unknown(*self.campaigns)
        with self.db.transaction() as session:
            unknown.go_again(session, settle_time=SETTLE)
        still = self.unknown(*self.campaigns)
        for hand_over_id, people in before.items():
            if hand_over_id in still:
                continue
            campaign_id = people[0] >> 32
            assert self.campaigns[campaign_id] is MessageClass.ADMINISTRATIVE
            assert hand_over_id in self.settled, "it went again before the settle time"
            assert max(self.heard, default=0) > hand_over_id, "nothing shows that the webhook works"
            with self.db.reading() as session:
                assert session.get_one(HandOver, hand_over_id).decision is Decision.AGAIN
            self.allowed.update(people)

    @precondition(lambda self: self.has_unclear)
    @rule(i=which, resend=st.booleans())
    def decide(self, i: int, resend: bool) -> None:  # noqa: FBT001 - drawn
        """Let a person decide about what is unknown of a campaign."""
        number = self.one(i)
        if number is None:
            return
        people = [one for some in self.unknown(number).values() for one in some]
        decide = unknown.resend if resend else unknown.accept
        try:
            with self.db.transaction() as session:
                decide(session, number, self.author, now=NOW)
        except Conflict:
            return
        if resend:
            self.allowed.update(people)
        else:
            self.taken_as_sent.update(people)

    @rule()
    def end(self) -> None:
        """Let campaigns end that have."""
        with self.db.transaction() as session:
            settle.end_campaigns(session, now=NOW)

    def teardown(self) -> None:
        """Bring everything to its end: nobody is forgotten, and nobody said to be sent is not."""
        if not hasattr(self, "people"):
            return
        try:
            self._finish()
            self.nobody_twice_without_a_decision()
            self.the_sums_match_and_copies_are_on_record()
            for number in self.campaigns:
                self.check_ended(number)
        finally:
            with self.db.transaction() as session:
                session.execute(update(Campaign).values(state=CampaignState.CANCELLED))
                session.execute(update(VendorPace).values(unclear=0, opened_at=None, probes=0))
                session.execute(update(VendorPace).values(probing_id=None))
            self.wait()

    def _finish(self) -> None:
        """Let all workers come back, resume everything and send until nothing is left."""
        for taken in self.flying:
            self.reach(taken)
            answer(self.db, taken, ACCEPTED)
        self.flying.clear()
        self.sweep()
        for i in range(len(self.campaigns)):
            self.steer(i, "resume")
        while self.freeze_a_slice():
            pass
        for _ in range(MOST_CALLS):
            found = take(self.db, TERMS)
            if found is None:
                break
            if isinstance(found, Claim):
                self.check_less(found)
                self.reach(found)
                answer(self.db, found, ACCEPTED)
            elif found.seconds:
                self.wait()
        self.end()
