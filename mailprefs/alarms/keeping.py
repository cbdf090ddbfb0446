"""The table of alarms: brought to what is seen now, so that each is raised and cleared once."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from mailprefs.alarms.conditions import Condition
from mailprefs.alarms.kinds import AlarmKind
from mailprefs.db import dialects, turns
from mailprefs.schema.alarms import Alarm

TURN: Final = "alarms"
"""The turn of whoever looks for alarms of the sending."""
SETTLED_AFTER: Final = timedelta(minutes=5)
"""So long an alarm has to be gone until that is told; what comes back before is the same alarm."""
GONE_AFTER: Final = timedelta(hours=1)
"""A machine that saw nothing of its own alarm for so long is gone, and its alarm with it."""
LATELY: Final = timedelta(days=2)


class Channel(Enum):
    """A way by which the operator is told, beside page, log and metrics."""

    URL = "url"
    MAIL = "mail"


_TOLD: Final = {
    Channel.URL: (Alarm.told_at, Alarm.told_cleared_at),
    Channel.MAIL: (Alarm.mailed_at, Alarm.mailed_cleared_at),
}
_OF_MACHINES: Final = tuple(kind.value for kind in AlarmKind if kind.of_machine)


class Changes(NamedTuple):
    """What one look changed: the alarms that are new, and those that are gone."""

    raised: list[Alarm]
    cleared: list[Alarm]


def last_look(session: Session) -> datetime | None:
    """Give when somebody last looked for alarms of the sending; None if nobody ever did."""
    return turns.last_turn(session, TURN)


def keep_sending(session: Session, seen: Iterable[Condition], *, now: datetime) -> Changes:
    """Bring the alarms of the sending to what is *seen*; those of lost machines end too."""

    def is_mine(alarm: Alarm) -> bool:
        return alarm.kind not in _OF_MACHINES or alarm.last_seen <= now - GONE_AFTER

    return _keep(session, seen, is_mine, now)


def keep_machine(
    session: Session, machine: str, seen: Iterable[Condition], *, now: datetime
) -> Changes:
    """Bring the alarms of one machine to what is *seen* there."""

    def is_mine(alarm: Alarm) -> bool:
        about = alarm.subject == machine or alarm.subject.startswith(f"{machine}: ")
        return alarm.kind in _OF_MACHINES and about

    return _keep(session, seen, is_mine, now)


def open_now(session: Session) -> list[Alarm]:
    """List the open alarms, the gravest kind first."""
    found = session.scalars(select(Alarm).where(Alarm.cleared_at.is_(None)).order_by(Alarm.id))
    return sorted(found, key=lambda alarm: (_rank(alarm.kind), alarm.id))


def cleared_lately(session: Session, *, now: datetime) -> list[Alarm]:
    """List the alarms that were cleared in the last two days, the latest first."""
    return list(
        session.scalars(
            select(Alarm)
            .where(Alarm.cleared_at > now - LATELY)
            .order_by(Alarm.cleared_at.desc(), Alarm.id.desc())
        )
    )


def waiting(session: Session, channel: Channel, *, now: datetime, limit: int = 20) -> list[Alarm]:
    """List what is still to be told by *channel*, oldest first: raised, or cleared for good."""
    told, told_cleared = _TOLD[channel]
    raised = told.is_(None) & Alarm.cleared_at.is_(None)
    cleared = told_cleared.is_(None) & (Alarm.cleared_at <= now - SETTLED_AFTER)
    recent = or_(Alarm.cleared_at.is_(None), Alarm.cleared_at > now - LATELY)
    query = select(Alarm).where(recent, or_(raised, cleared)).order_by(Alarm.id).limit(limit)
    return list(session.scalars(query))


def mark(session: Session, channel: Channel, alarm: Alarm, *, now: datetime) -> None:
    """Remember that *alarm* was told by *channel* as it stood when it was read."""
    told, told_cleared = _TOLD[channel]
    which = told if alarm.cleared_at is None else told_cleared
    session.execute(update(Alarm).where(Alarm.id == alarm.id).values({which: now}))


def _keep(
    session: Session, seen: Iterable[Condition], is_mine: Callable[[Alarm], bool], now: datetime
) -> Changes:
    """Raise what is new, remember what is still there, clear what is gone."""
    present = {(one.kind.value, one.subject): one for one in seen}
    known = {(one.kind, one.subject): one for one in open_now(session)}
    raised = [
        alarm
        for key, condition in present.items()
        if key not in known and (alarm := _raise(session, condition, now)) is not None
    ]
    for key in present.keys() & known.keys():
        known[key].sentence, known[key].last_seen = present[key].sentence, now
    cleared = [one for key, one in known.items() if key not in present and is_mine(one)]
    for alarm in cleared:
        alarm.cleared_at = now
    session.flush()
    return Changes(raised, cleared)


def _raise(session: Session, condition: Condition, now: datetime) -> Alarm | None:
    """Store a new alarm, or open the same one again whose end nobody was told of yet.

    None: it was open again without being new, or another process has just raised it.
    """
    again = session.scalar(
        select(Alarm)
        .where(Alarm.kind == condition.kind.value, Alarm.subject == condition.subject)
        .where(Alarm.cleared_at > now - SETTLED_AFTER, Alarm.told_cleared_at.is_(None))
        .where(Alarm.mailed_cleared_at.is_(None))
        .order_by(Alarm.id.desc())
        .limit(1)
    )
    if again is not None:
        again.cleared_at, again.last_seen, again.sentence = None, now, condition.sentence
        session.flush()
        return None
    added = dialects.insert(session, Alarm).values(
        kind=condition.kind.value,
        subject=condition.subject,
        sentence=condition.sentence,
        since=condition.since,
        raised_at=now,
        last_seen=now,
    )
    return session.scalars(added.on_conflict_do_nothing().returning(Alarm)).one_or_none()


def _rank(kind: str) -> int:
    """Give where a kind stands; one of a later release comes last."""
    words = [one.value for one in AlarmKind]
    return words.index(kind) if kind in words else len(words)
