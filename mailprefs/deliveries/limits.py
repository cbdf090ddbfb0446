"""How many recipients may go: the limiter, shared by all workers, counted in recipients.

What was claimed stands in ``send_counts``, whose rows a claim locks to its end, so that the limits
hold exactly with any number of workers. Only what was claimed is stored and never until when to
wait: a limit that is changed holds from the next claim on. Seconds are counted as a GCRA (a leaky
bucket, kept as the last claim and its size); hours are those of the clock, days those of a zone; a
domain's days in a ramp plan are spans of 24 hours from its first hand-over. All instants are the
database's. Where nothing is limited, nothing is asked and nothing is counted.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Table, bindparam, case, func, select, update
from sqlalchemy.orm import Session

from mailprefs import times
from mailprefs.db import dialects
from mailprefs.deliveries.pace import Wait
from mailprefs.deliveries.pick import Picked, Without
from mailprefs.policy import MessageClass
from mailprefs.rates import Limits
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.people import Sender, Topic
from mailprefs.schema.sending import SendCount

_Row = Row[Any]
EVERYTHING: Final = "all"
_FROM: Final = "from "
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_COUNTS: Final[Table] = SendCount.metadata.tables[SendCount.__tablename__]
_NEW: Final = ("turn_at", "turn_n", "hour_at", "hour_n", "day_at", "day_n", "first_at")
_KEEP: Final = (
    update(_COUNTS)
    .where(_COUNTS.c.name == bindparam("which"))
    .values({name: bindparam(f"new_{name}", type_=_COUNTS.c[name].type) for name in _NEW})
)


class Use(NamedTuple):
    """How much of one limit is used: of what, in which period, and when there is room again."""

    name: str
    period: str
    used: int
    most: float
    until: datetime | None

    @property
    def what(self) -> str:
        """Say what is limited, for the beginning of a line."""
        if self.name.startswith(_FROM):
            return f"New domain {self.name.removeprefix(_FROM)}"
        return "All mail" if self.name == EVERYTHING else f"{self.name.capitalize()} mail"

    @property
    def sentence(self) -> str:
        """Say that the limit is reached, and until when."""
        until = times.written(self.until, seconds=True) if self.until else "a moment from now"
        return (
            f"The limit of {self.most:,g} recipients a {self.period} is reached "
            f"({self.what[:1].lower()}{self.what[1:]}); it goes on at {until}."
        ).replace("a hour", "an hour")


@dataclass(frozen=True, slots=True)
class Room:
    """How many recipients a claim may have, by what it is of; and what has no room at all."""

    at: datetime
    limits: Limits
    left: Mapping[str, int]
    domains: Mapping[int, str]
    without: Without
    until: datetime | None

    def most(self, picked: Picked) -> int:
        """Give how many of a batch may go now; at least 1, as what has no room isn't picked.

        A plan for new domains holds no single message back: somebody waits for it at this moment.
        """
        names = self.names(picked)
        if picked.template is not None:
            names = [name for name in names if not name.startswith(_FROM)]
        return min(self.left[name] for name in names if name in self.left)

    def names(self, picked: Picked) -> list[str]:
        """Give by which names the recipients of a batch are counted."""
        found = [EVERYTHING, picked.message_class.value]
        if self.limits.ramp and (domain := _domain(picked.from_address)):
            found.append(f"{_FROM}{domain}")
        return found


def room(session: Session, limits: Limits, *, at: datetime, batch_size: int) -> Room | Wait | None:
    """Ask how many recipients may go at *at*; None where nothing is limited.

    With a limit its rows stay locked to the end of the transaction, so that ``take`` is exact.
    """
    if not limits.is_set:
        return None
    domains = _domains(session) if limits.ramp else {}
    rows = _locked(session, _names(domains))
    left, full = {EVERYTHING: batch_size}, dict[str, datetime]()
    for use in _uses(rows, limits, at):
        if use.until is not None:
            full[use.name] = max(full.get(use.name, at), use.until)
        most = max(1, int(use.most)) if use.period == "second" else int(use.most) - use.used
        left[use.name] = min(left.get(use.name, batch_size), most)
    if EVERYTHING in full:
        return Wait((full[EVERYTHING] - at).total_seconds())
    senders = [one for one, domain in domains.items() if f"{_FROM}{domain}" in full]
    without = Without(frozenset(full) & frozenset(MessageClass), tuple(sorted(senders)))
    return Room(at, limits, left, domains, without, min(full.values(), default=None))


def take(session: Session, room: Room, picked: Picked, n: int) -> tuple[str, ...]:
    """Write down that *n* recipients of a batch were claimed; give by which names."""
    names = room.names(picked)
    counts = []
    for row in _locked(session, names).values():
        hour_at, day_at = _hour(room.at), _day_of(row, room)
        is_hour, is_day = row.hour_at >= hour_at, row.day_at >= day_at
        counts.append(
            {
                "which": row.name,
                "new_turn_at": max(room.at, row.turn_at),
                "new_turn_n": n,
                "new_hour_at": max(hour_at, row.hour_at),
                "new_hour_n": n + (row.hour_n if is_hour else 0),
                "new_day_at": max(day_at, row.day_at),
                "new_day_n": n + (row.day_n if is_day else 0),
                "new_first_at": row.first_at or room.at,
            }
        )
    session.connection().execute(_KEEP, counts)
    return tuple(names)


def give_back(session: Session, names: Collection[str], n: int, *, at: datetime) -> None:
    """Take *n* recipients off again that were claimed at *at* and did not go."""
    if not names:
        return
    table = _COUNTS.c
    mine = select(table.name).where(table.name.in_(sorted(names))).order_by(table.name)
    session.execute(mine.with_for_update())
    session.execute(
        update(_COUNTS)
        .where(table.name.in_(sorted(names)))
        .values(
            hour_n=case((table.hour_at <= at, _down_by(table.hour_n, n)), else_=table.hour_n),
            day_n=case((table.day_at <= at, _down_by(table.day_n, n)), else_=table.day_n),
        )
    )


def show(session: Session, limits: Limits) -> list[Use]:
    """Tell how much of each limit is used at present; reading only."""
    if not limits.is_set:
        return []
    at = dialects.database_time(session)
    domains = _domains(session) if limits.ramp else {}
    names = _names(domains)
    rows = {row.name: row for row in session.execute(select(_COUNTS)) if row.name in names}
    return list(_uses(rows, limits, at))


def reached(session: Session, limits: Limits, campaign: Campaign) -> Use | None:
    """Give the limit that holds a campaign back the longest; None if none does."""
    uses = show(session, limits)
    if not uses:
        return None
    sender = select(Sender.from_address).join(Topic, Topic.sender_id == Sender.id)
    address = session.execute(sender.where(Topic.id == campaign.topic_id)).scalar_one()
    names = {EVERYTHING, campaign.message_class.value, f"{_FROM}{_domain(address)}"}
    full = [(use.until, use) for use in uses if use.name in names and use.until is not None]
    return max(full, key=lambda one: one[0])[1] if full else None


def _uses(rows: Mapping[str, _Row], limits: Limits, at: datetime) -> Iterator[Use]:
    """Give how much of each limit is used at *at*."""
    by_name = {EVERYTHING: limits.everything} | {
        kind.value: rate for kind, rate in limits.classes.items()
    }
    for name, rate in by_name.items():
        row = rows.get(name)
        for period, most in rate.parts():
            none = Use(name, period, 0, most, None)
            yield _used(none, row, at, limits.zone) if row else none
    for name, row in rows.items():
        day, begins = _ramp_day(row, at)
        if name.startswith(_FROM) and day < len(limits.ramp):
            used = row.day_n if row.day_at >= begins else 0
            is_full = used >= limits.ramp[day]
            yield Use(name, "day", used, limits.ramp[day], begins + _DAY if is_full else None)


def _used(none: Use, row: _Row, at: datetime, zone: str) -> Use:
    """Give how much of the limit in *none* is used by what stands in *row*."""
    if none.period == "second":
        turn = row.turn_at + timedelta(seconds=row.turn_n / none.most)
        return none._replace(used=row.turn_n, until=turn) if turn > at else none
    is_hour = none.period == "hour"
    begins = _hour(at) if is_hour else _midnight(at, zone)
    since, used = (row.hour_at, row.hour_n) if is_hour else (row.day_at, row.day_n)
    if since < begins or used < none.most:
        return none._replace(used=used if since >= begins else 0)
    # Whoever waited for the lock may have come from a moment before the last hour's end.
    ends = since + _HOUR if is_hour else _midnight(since + 1.5 * _DAY, zone)
    return none._replace(used=used, until=ends)


def _locked(session: Session, names: Iterable[str]) -> dict[str, _Row]:
    """Give the rows of these names, locked in one order; those that are missing are made."""
    wanted = sorted(names)
    query = select(_COUNTS).where(_COUNTS.c.name.in_(wanted)).order_by(_COUNTS.c.name)
    rows = {row.name: row for row in session.execute(query.with_for_update())}
    missing = [name for name in wanted if name not in rows]
    if not missing:
        return rows
    zero = {"turn_at": _BEGINNING, "turn_n": 0, "hour_at": _BEGINNING, "hour_n": 0}
    zero |= {"day_at": _BEGINNING, "day_n": 0}
    new = [{"name": name, **zero, "first_at": _first_of(session, name)} for name in missing]
    session.execute(dialects.insert(session, _COUNTS).values(new).on_conflict_do_nothing())
    return {row.name: row for row in session.execute(query.with_for_update())}


def _first_of(session: Session, name: str) -> datetime | None:
    """Give when a domain first handed anything over: one with a past needs no plan."""
    if not name.startswith(_FROM):
        return None
    ours = [one for one, domain in _domains(session).items() if f"{_FROM}{domain}" == name]
    first: datetime | None = session.execute(
        select(func.min(Campaign.first_hand_over_at))
        .join(Topic, Topic.id == Campaign.topic_id)
        .where(Topic.sender_id.in_(ours))
    ).scalar_one()
    return first


def _names(domains: Mapping[int, str]) -> set[str]:
    ramps = {f"{_FROM}{domain}" for domain in domains.values()}
    return {EVERYTHING, *(kind.value for kind in MessageClass), *ramps}


def _domains(session: Session) -> dict[int, str]:
    """Give the domain of each sender's From address."""
    rows = session.execute(select(Sender.id, Sender.from_address))
    return {sender_id: _domain(address) for sender_id, address in rows}


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _day_of(row: _Row, room: Room) -> datetime:
    if row.name.startswith(_FROM):
        return _ramp_day(row, room.at)[1]
    return _midnight(room.at, room.limits.zone)


def _ramp_day(row: _Row, at: datetime) -> tuple[int, datetime]:
    """Give which of a domain's days *at* is in, from 0, and when it began."""
    first = row.first_at or at
    day = max(0, (at - first) // _DAY)
    return day, first + day * _DAY


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _midnight(at: datetime, zone: str) -> datetime:
    """Give when the day that holds *at* began in a zone."""
    there = ZoneInfo(zone)
    return datetime.combine(at.astimezone(there).date(), time(), there).astimezone(UTC)


def _down_by(column: ColumnElement[int], n: int) -> ColumnElement[int]:
    return case((column >= n, column - n), else_=0)
