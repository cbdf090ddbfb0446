"""The claim: one batch becomes this worker's, with everything that its request needs.

One transaction under the gate (the edge opens it with ``Gate.USING``): the turn is asked first,
then a pending batch is taken, then, in a later statement, every person in it is asked about again.
PostgreSQL's READ COMMITTED sees in that statement whatever was committed before the gate was
passed, and nothing can be taken away until the claim has committed. So whoever has left by then is
skipped with the reason, and the message is built from what was read here and from nothing else.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from mailprefs.deliveries import breaker, hold, measure, people, pick, turns
from mailprefs.deliveries.contents import Contents
from mailprefs.deliveries.pace import LONGEST_WAIT, Wait
from mailprefs.deliveries.pick import Picked
from mailprefs.errors import StoreUnavailable
from mailprefs.policy import TrackingBasis
from mailprefs.rates import NONE as NO_LIMITS
from mailprefs.rates import Limits
from mailprefs.rendering.content import Content
from mailprefs.rendering.person import Person

START_WITHIN: Final = 1.0
"""Seconds from a claim's commit in which its request must have begun, or it is given back.

Whoever leaves between the two is still in it: so it is short, though a busy machine may have to
claim a batch twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a worker claims by: who it is, and the settings that matter here.

    *lease* in seconds, *probe_after* as in ``Claim``; *limits* on how many recipients go.
    *may_mail* says whether an address may be mailed from this installation at all (staging's
    allow-list), None: any. *guard* says why nothing may be sent at all (this is a copy of the live
    installation), by the session that would claim.
    """

    owner: str
    vendor: str
    batch_size: int
    lease: float
    probe_after: float = breaker.FIRST
    limits: Limits = NO_LIMITS
    unknown_region_basis: TrackingBasis = TrackingBasis.NOTICE
    may_mail: Callable[[str], bool] | None = None
    guard: Callable[[Session], str | None] = lambda _: None


class Held(NamedTuple):
    """What identifies a claim in the ledger: everything that recording its outcome needs."""

    hand_over_id: int
    batch_id: int
    campaign_id: int
    first_id: int
    last_id: int
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """One batch in this worker's hands: plain values, to be used after the transaction.

    *waits* is how many requests in a row were asked to wait before it; *is_first* tells that the
    campaign had no hand-over before. *is_probe* tells that the breaker let it through to find out
    whether calls are answered again; the first probe comes *probe_after* seconds after it opens.
    *counted* is by which limits' names its people were counted.
    """

    held: Held
    picked: Picked = field(repr=False)
    content: Content = field(repr=False)
    people: Sequence[Person] = field(repr=False)
    waits: int
    is_first: bool
    is_probe: bool = False
    probe_after: float = breaker.FIRST
    counted: tuple[str, ...] = ()

    @property
    def attempt(self) -> str:
        """Give the hand-over's id as it goes along with the request."""
        return f"{self.held.hand_over_id:x}"


class BrokenBatch(Exception):
    """A batch that can't be claimed through a fault of its own; the cause says which.

    Not for people to read: whoever claims sets *picked* aside and goes on with the others.
    """

    def __init__(self, picked: Picked) -> None:
        super().__init__(f"batch {picked.id}")
        self.picked = picked


def claim(
    session: Session, terms: Terms, contents: Contents, *, now: datetime
) -> Claim | Wait | None:
    """Take the first claimable batch; ``Wait`` when it isn't our turn, None when there is nothing.

    A batch in which nobody may get the message any more becomes sent with nobody handed over, and
    ``Wait(0)`` says to ask again: an empty claim never means that a campaign is finished.

    :raises BrokenBatch: for anything but a failing database, once a batch was picked; the
        transaction must end without a commit.
    """
    go = _go(session, terms)
    if isinstance(go, Wait):
        return go
    picked = pick.first(session, go.without)
    if picked is None:
        return go.nothing(session)
    with _naming(picked):
        if picked.open > (most := go.most(picked)):
            picked = pick.split(session, picked, most)
        content = contents.get(session, picked.content_id)
        found = people.read(session, picked, content, terms, now=now)
        if not found.people:
            hold.nobody_left(session, picked, found.skipped)
            return Wait(0.0)
        hand_over_id = hold.take(session, picked, found, terms, at=go.at)
        if picked.is_measurable:
            measure.add(session, picked.campaign_id, found)
        go.begin(session, hand_over_id, lease=terms.lease)
        return Claim(
            _held(hand_over_id, picked, go.at),
            picked,
            content,
            found.people,
            go.waits,
            picked.is_first,
            go.probe is not None,
            terms.probe_after,
            go.count(session, picked, len(found.people)),
        )


def _go(session: Session, terms: Terms) -> turns.Go | Wait:
    """Ask whether anything may be claimed from here at all, and whether it is our turn."""
    if why := terms.guard(session):
        return Wait(LONGEST_WAIT, why)
    return turns.ask(session, terms.limits, batch_size=terms.batch_size)


def _held(hand_over_id: int, picked: Picked, at: datetime) -> Held:
    return Held(hand_over_id, picked.id, picked.campaign_id, picked.first_id, picked.last_id, at)


@contextmanager
def _naming(picked: Picked) -> Iterator[None]:
    """Say which batch an error is about; what the database fails of is no batch's fault."""
    try:
        yield
    except (OperationalError, InterfaceError, sqlite3.OperationalError, StoreUnavailable):
        raise
    except Exception as error:
        raise BrokenBatch(picked) from error
