"""Opens: what a fetch of a pixel counts for, written in whole batches, each thing once.

A batch of fetches becomes rows of ``opens`` (delivery, kind), sums in ``open_rollup``, bits of
``measured`` with their sums in ``measured_totals``, and, where nobody is told apart, ``loads``.
The caller's transaction uses permissions (``Gate.USING``): what a person has refused by then leaves
no trace. Rows of ``measured`` are locked in the order of their ids, then the sums in the order of
their keys, so that several hosts may count at the same time.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import DeclarativeBase, Session

from mailprefs import consent
from mailprefs.db.dialects import among, insert
from mailprefs.policy import Choice, MessageClass
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Batch, Delivery, HandOver
from mailprefs.schema.opens import (
    Loads,
    Measured,
    MeasuredTotal,
    Open,
    OpenRollup,
    SilencedDelivery,
)
from mailprefs.schema.people import Recipient
from mailprefs.useragents import Client, OpenKind, Reason

TOO_FAST: Final = timedelta(seconds=5)
"""An open this soon after the hand-over is a machine's, through whatever proxy it came."""
RECORDED_FOR: Final = timedelta(days=90)
"""Counted from a campaign's first hand-over; it closes then, and nothing more is recorded."""

DELIVERED, APPLE, HUMAN, FETCHED = 1, 2, 4, 8
"""The bits of ``measured``."""

_NOES = tuple(choice for choice in Choice if choice.is_no)


class Fetch(NamedTuple):
    """One fetch of a pixel: which, when, and what its request said; no address, no user agent.

    ``delivery_id`` is None where the pixel names only its campaign.
    """

    campaign_id: int
    delivery_id: int | None
    at: datetime
    kind: OpenKind
    reason: Reason
    ruleset: int
    client: Client
    country: str | None = None


class Counted(NamedTuple):
    """What a batch of fetches came to: new rows of ``opens``, and anonymous loads."""

    opens: int
    loads: int


class _Sent(NamedTuple):
    """What is known of a delivery that may be measured."""

    policy_version_id: int
    bits: int
    campaign: "_Period"
    handed_over_at: datetime | None

    def is_too_fast(self, at: datetime) -> bool:
        """Tell whether nobody can have read the message by then."""
        return self.handed_over_at is not None and at < self.handed_over_at + TOO_FAST


class _Period(NamedTuple):
    """In which zone a campaign's hours are told, and until when fetches count."""

    zone: str
    first_hand_over_at: datetime | None

    def covers(self, at: datetime) -> bool:
        """Tell whether a fetch at that time is still recorded."""
        return self.first_hand_over_at is None or at < self.first_hand_over_at + RECORDED_FOR

    def local(self, at: datetime) -> datetime:
        """Give a time as the campaign's reports tell it."""
        return at.astimezone(_zone(self.zone))


def record(session: Session, fetches: Sequence[Fetch]) -> Counted:
    """Count *fetches*, at most about a thousand of them; the same ones again count nothing new.

    Loads without a delivery are counted each time: the caller passes each fetch once.
    """
    named = [fetch for fetch in fetches if fetch.delivery_id is not None]
    unnamed = [fetch for fetch in fetches if fetch.delivery_id is None]
    return Counted(_record_opens(session, named), _record_loads(session, unnamed))


def set_bits(session: Session, wanted: Mapping[int, int]) -> int:
    """Set bits of measured deliveries, by id, and move their campaigns' totals along.

    Deliveries that aren't measured (any more) are left out. Gives how many rows changed.
    """
    if not wanted:
        return 0
    rows = session.execute(
        select(Measured.delivery_id, Measured.bits)
        .where(among(session, Measured.delivery_id, wanted))
        .order_by(Measured.delivery_id)
        .with_for_update()
    )
    return _move_bits(session, {row.delivery_id: row.bits for row in rows}, wanted)


def silence(session: Session, recipient_id: int) -> int:
    """Forget a person's opens, and record none of the messages that they have or wait for, ever.

    Sums stay as they are: they name nobody. Gives how many messages that concerns. The caller takes
    permissions (``Gate.TAKING``), so that no batch of fetches is counted at the same time.
    """
    # Only promotional mail is measured. By campaign, since one row of each is found by an index.
    ids = session.scalars(
        select(Delivery.id)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(
            Campaign.message_class == MessageClass.PROMOTIONAL,
            Delivery.recipient_id == recipient_id,
            Delivery.idempotency_key.is_(None),
        )
    ).all()
    if ids:
        rows = [{"delivery_id": one} for one in ids]
        session.execute(insert(session, SilencedDelivery).on_conflict_do_nothing(), rows)
        session.execute(delete(Open).where(among(session, Open.delivery_id, ids)))
        session.execute(delete(Measured).where(among(session, Measured.delivery_id, ids)))
    return len(ids)


def _record_opens(session: Session, fetches: Sequence[Fetch]) -> int:
    if not fetches:
        return 0
    sent = _sent(session, {_delivery(fetch) for fetch in fetches})
    first = _first_of_each_kind(fetches, sent)
    new = _insert_opens(session, first, sent)
    _add_up_opens(session, [first[key] for key in new], sent)
    wanted: dict[int, int] = {}
    for delivery_id, kind in new:
        bits = _bits(first[delivery_id, kind])
        wanted[delivery_id] = wanted.get(delivery_id, 0) | bits
    _move_bits(session, {one: sent[one].bits for one in wanted}, wanted)
    return len(new)


def _bits(fetch: Fetch) -> int:
    """Give what a fetch says of its delivery; a scanner's or a bot's says nothing of its reader."""
    if fetch.kind in {OpenKind.SCANNER, OpenKind.BOT}:
        return 0
    apple = APPLE if fetch.reason is Reason.APPLE_PRIVACY else 0
    return FETCHED | apple | (HUMAN if fetch.kind.is_human_plausible else 0)


def _sent(session: Session, ids: Iterable[int]) -> dict[int, _Sent]:
    """Give what may be measured now, by delivery id, and lock it until the transaction's end."""
    # Numbers only, without the ORM: times are read once a hand-over and campaign, not once a row.
    connection = session.connection()
    rows = connection.execute(_measurable().where(among(session, Measured.delivery_id, ids))).all()
    periods = _open_campaigns(session, {row.delivery_id >> 32 for row in rows})
    calls = select(HandOver.id, HandOver.claimed_at, HandOver.ended_at).where(
        among(session, HandOver.id, {row.hand_over_id for row in rows if row.hand_over_id})
    )
    # Without an end the request may still be running, or its answer was never seen.
    times = {call.id: call.ended_at or call.claimed_at for call in connection.execute(calls)}
    return {
        row.delivery_id: _Sent(
            row.policy_version_id,
            row.bits,
            periods[row.delivery_id >> 32],
            times.get(row.hand_over_id),
        )
        for row in rows
        if row.delivery_id >> 32 in periods
    }


def _measurable() -> Select[int, int, int, int | None]:
    """Give the query for deliveries that may be measured, each with its last hand-over.

    A delivery that was handed over with mode individual has a row in ``measured``; whoever said no
    since, or was erased, is not in the answer.
    """
    holding = (
        select(Batch.hand_over_id)
        .where(Batch.campaign_id == Delivery.campaign_id, Batch.first_id <= Delivery.id)
        .order_by(Batch.first_id.desc())
        .limit(1)
        .correlate(Delivery)
        .scalar_subquery()
    )
    return (
        select(
            Measured.delivery_id,
            Measured.bits,
            Delivery.policy_version_id,
            holding.label("hand_over_id"),
        )
        .select_from(Measured)
        .join(Delivery, Delivery.id == Measured.delivery_id)
        .join(Recipient, Recipient.id == Delivery.recipient_id)
        .outerjoin(SilencedDelivery, SilencedDelivery.delivery_id == Measured.delivery_id)
        .where(
            SilencedDelivery.delivery_id.is_(None),
            Recipient.open_tracking.not_in(_NOES),
        )
        .order_by(Measured.delivery_id)
        .with_for_update(of=Measured)
    )


def _first_of_each_kind(
    fetches: Iterable[Fetch], sent: Mapping[int, _Sent]
) -> dict[tuple[int, int], Fetch]:
    """Give the earliest fetch of each delivery and kind, machine-made ones told apart by time."""
    first: dict[tuple[int, int], Fetch] = {}
    for raw in fetches:
        delivery_id = _delivery(raw)
        known = sent.get(delivery_id)
        if known is None or not known.campaign.covers(raw.at):
            continue
        fetch = raw
        if raw.kind.is_human_plausible and known.is_too_fast(raw.at):
            fetch = raw._replace(
                kind=OpenKind.SCANNER, reason=Reason.TOO_FAST, client=Client.UNKNOWN
            )
        key = (delivery_id, int(fetch.kind))
        if key not in first or fetch.at < first[key].at:
            first[key] = fetch
    return first


def _insert_opens(
    session: Session, first: Mapping[tuple[int, int], Fetch], sent: Mapping[int, _Sent]
) -> list[tuple[int, int]]:
    """Insert what isn't there yet; give the keys of the rows that are new.

    Each row is under the policy in force when the picture was fetched, which may be a later one
    than the message was sent under.
    """
    if not first:
        return []
    policies = consent.policy_starts(session)
    rows = [
        {
            "delivery_id": delivery_id,
            "kind": kind,
            "reason": int(fetch.reason),
            "ruleset": fetch.ruleset,
            "policy_version_id": consent.policy_at(policies, fetch.at)
            or sent[delivery_id].policy_version_id,
            "first_seen_at": fetch.at.replace(second=0, microsecond=0),
            "country": fetch.country,
            "client": int(fetch.client),
        }
        for (delivery_id, kind), fetch in sorted(first.items())
    ]
    statement = insert(session, Open).on_conflict_do_nothing()
    new = session.connection().execute(statement.returning(Open.delivery_id, Open.kind), rows)
    return [(delivery_id, kind) for delivery_id, kind in new]


def _add_up_opens(session: Session, fetches: Iterable[Fetch], sent: Mapping[int, _Sent]) -> None:
    """Add new rows of ``opens`` to the sums of each dimension."""
    sums: Counter[tuple[Any, ...]] = Counter()
    for fetch in fetches:
        hour = sent[_delivery(fetch)].campaign.local(fetch.at).strftime("%Y-%m-%dT%H")
        values = {"hour": hour, "client": str(int(fetch.client)), "country": fetch.country}
        for dimension, value in values.items():
            if value is not None:
                sums[fetch.campaign_id, dimension, value, int(fetch.kind)] += 1
    _add(session, OpenRollup, ("campaign_id", "dimension", "value", "kind"), sums)


def _move_bits(session: Session, before: Mapping[int, int], wanted: Mapping[int, int]) -> int:
    """Set the bits of rows that this transaction has locked, and move the totals along."""
    by_mask: dict[int, list[int]] = {}
    sums: Counter[tuple[Any, ...]] = Counter()
    for delivery_id, old in before.items():
        new = old | wanted[delivery_id]
        if new != old:
            by_mask.setdefault(wanted[delivery_id], []).append(delivery_id)
            sums[delivery_id >> 32, old] -= 1
            sums[delivery_id >> 32, new] += 1
    for mask, ids in sorted(by_mask.items()):
        session.execute(
            update(Measured)
            .where(among(session, Measured.delivery_id, ids))
            .values(bits=Measured.bits.bitwise_or(mask))
            .execution_options(synchronize_session=False)
        )
    _add(session, MeasuredTotal, ("campaign_id", "bits"), sums)
    return sum(map(len, by_mask.values()))


def _record_loads(session: Session, fetches: Sequence[Fetch]) -> int:
    if not fetches:
        return 0
    periods = _open_campaigns(session, {fetch.campaign_id for fetch in fetches})
    sums: Counter[tuple[Any, ...]] = Counter()
    for fetch in fetches:
        period = periods.get(fetch.campaign_id)
        if period is not None and period.covers(fetch.at):
            day = period.local(fetch.at).date()
            sums[fetch.campaign_id, day, int(fetch.kind)] += 1
    _add(session, Loads, ("campaign_id", "day", "kind"), sums)
    return sum(sums.values())


def _open_campaigns(session: Session, ids: Iterable[int]) -> dict[int, _Period]:
    rows = session.execute(
        select(Campaign.id, Campaign.report_zone, Campaign.first_hand_over_at).where(
            among(session, Campaign.id, ids), Campaign.closed_at.is_(None)
        )
    )
    return {row.id: _Period(row.report_zone, row.first_hand_over_at) for row in rows}


def _add(
    session: Session,
    table: type[DeclarativeBase],
    key: Sequence[str],
    sums: Mapping[tuple[Any, ...], int],
) -> None:
    """Add to the column ``n`` of *table*, whose primary key is *key*; rows appear as needed."""
    rows = [
        dict(zip(key, values, strict=True)) | {"n": n} for values, n in sorted(sums.items()) if n
    ]
    if not rows:
        return
    statement = insert(session, table)
    columns: Any = table.__table__.c
    session.connection().execute(
        statement.on_conflict_do_update(
            index_elements=list(key), set_={"n": columns.n + statement.excluded.n}
        ),
        rows,
    )


def _delivery(fetch: Fetch) -> int:
    """Give the delivery of a fetch that has one."""
    if fetch.delivery_id is None:
        raise ValueError("a fetch without a delivery is a load, not an open")
    return fetch.delivery_id


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
