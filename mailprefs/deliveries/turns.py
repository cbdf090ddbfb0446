"""Everything that a claim obeys before it looks for a batch, asked in one place and one order.

The stop and the common wait, the breaker, the limits, and last the pace of calls, because asking
for that one uses it up; it is locked before the limits, as the package's order of locks says. While
all is well and nothing is limited, that is one statement.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from mailprefs.deliveries import breaker, calls, limits, pace, pick
from mailprefs.deliveries.limits import Room
from mailprefs.deliveries.pace import Wait
from mailprefs.deliveries.pick import Picked, Without
from mailprefs.rates import Limits


@dataclass(frozen=True, slots=True)
class Go:
    """A claim may be made, at which instant, of what, and of how many.

    *waits* is how many answers in a row asked to wait; *probe* is how many people the breaker lets
    through, None while it is closed; *room* is None where nothing is limited.
    """

    at: datetime
    waits: int
    probe: int | None = None
    room: Room | None = None

    @property
    def without(self) -> Without:
        """Give what has no room and must not be picked."""
        return self.room.without if self.room else pick.NOTHING

    def most(self, picked: Picked) -> int:
        """Give how many of a batch may be claimed."""
        room = self.room.most(picked) if self.room else picked.n
        return room if self.probe is None else min(room, self.probe)

    def count(self, session: Session, picked: Picked, n: int) -> tuple[str, ...]:
        """Write down that *n* recipients of a batch are claimed; give by which limits' names."""
        return limits.take(session, self.room, picked, n) if self.room else ()

    def begin(self, session: Session, hand_over_id: int, *, lease: float) -> None:
        """Write down that a call is made, where it is a probe; it is waited for, for its lease."""
        if self.probe is not None:
            breaker.began(session, hand_over_id, until=self.at + timedelta(seconds=lease))

    def nothing(self, session: Session) -> Wait | None:
        """Tell for how long all that there is has no room; None if there is nothing at all."""
        if self.room is None or self.room.until is None or pick.first(session) is None:
            return None
        return Wait((self.room.until - self.at).total_seconds())


def ask(session: Session, limited: Limits, *, batch_size: int) -> Go | Wait:
    """Ask whether a claim may be made now; ``Wait`` if not."""
    turn = pace.turn(session)
    if isinstance(turn, Wait):
        return turn
    probe = breaker.room(session, turn.at) if turn.unclear else None
    if isinstance(probe, Wait):
        return probe
    if turn.is_paced:
        calls.lock(session)
    room = limits.room(session, limited, at=turn.at, batch_size=batch_size)
    if isinstance(room, Wait):
        return room
    if turn.is_paced and (wait := calls.turn(session, turn.at)):
        return wait
    return Go(turn.at, turn.waits, probe, room)
