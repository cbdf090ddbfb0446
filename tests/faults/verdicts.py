"""The verdict on one run: the vendor's book against our ledger, promise by promise."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import select

from mailprefs.deliveries import unknown
from mailprefs.policy import MessageClass
from mailprefs.sandbox.records import Carried, Received
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Batch, Delivery, HandOver
from tests.faults.house import House, address

ACCEPTED: Final = "accepted"
UNCLEAR: Final = "unclear"
_SEEN: Final = frozenset({"sent", "unknown"})
"""The states in which somebody may be whose message the vendor has accepted."""
_SHOWN_AT_MOST: Final = 5


@dataclass(frozen=True)
class Kill:
    """When a group was killed: its processes, and how many calls it may have had in flight."""

    at: datetime
    pids: frozenset[int]
    threads: int


@dataclass
class Figures:
    """What came of one run, or of many: added up with ``+``."""

    runs: int = 0
    kills: int = 0
    in_flight: int = 0
    """Kills that met at least one call in flight, by the vendor's book."""
    calls: int = 0
    accepted: int = 0
    sent: int = 0
    unknown: int = 0
    """People left unknown for a person's decision."""
    unclear: int = 0
    """Hand-overs of which nobody knew at first what became of them."""
    unclear_allowed: int = 0
    second_copies: int = 0
    """Administrative messages that the vendor accepted twice, each on record."""
    left: int = 0
    complaints: int = 0
    twice: int = 0
    forgotten: int = 0
    broken: list[str] = field(default_factory=list)

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )


class _Place(NamedTuple):
    """Where somebody of a campaign is, by the ledger."""

    recipient_id: int
    state: str
    batch_id: int


def judge(
    house: House,
    campaigns: Sequence[int],
    kills: Sequence[Kill] = (),
    *,
    decided: Collection[int] = (),
) -> Figures:
    """Compare book and ledger; broken promises are sentences in ``Figures.broken``.

    *decided*: campaigns whose unknown ones a person has decided to send again.
    """
    requests, carried = house.vendor.requests(), house.vendor.carried()
    owners = _owners(house)
    found = Figures(runs=1, kills=len(kills), calls=len(requests), accepted=len(carried))
    found.in_flight = sum(_is_in_flight(kill, requests, owners) for kill in kills)
    found.left, found.complaints = len(house.left), house.complaints
    by_campaign = defaultdict(list)
    for one in carried:
        by_campaign[int(one.campaign)].append(one)
    for number in campaigns:
        _judge_campaign(house, number, by_campaign[number], found, is_decided=number in decided)
    _judge_unclear(house, requests, kills, found)
    found.broken += _sent_after_leaving(house, carried)
    return found


def require(found: Figures) -> Figures:
    """Fail with every broken promise; else give the figures."""
    assert not found.broken, "\n".join(found.broken)
    return found


def _judge_campaign(
    house: House, number: int, carried: Sequence[Carried], found: Figures, *, is_decided: bool
) -> None:
    """Judge one campaign: nobody twice, nobody forgotten, and every sum as it is said to be."""
    shown, places = house.show(number), _places(house, number)
    found.broken += _wrong_sums(shown, number)
    copies = Counter(one.email for one in carried)
    again = [email for email, n in copies.items() if n > 1]
    if shown["message_class"] == MessageClass.PROMOTIONAL.value:
        if not is_decided:
            found.twice += len(again)
            found.broken += _told(f"campaign {number}: sent twice", again)
    else:
        unrecorded = _unrecorded(house, number, carried)
        second = sum(copies[email] - 1 for email in again)
        found.second_copies += second
        if second > (told := _copies(house, number)):
            found.broken.append(f"campaign {number}: {second} second copies, {told} told of")
        found.broken += _told(f"campaign {number}: a second copy isn't on record", unrecorded)
    found.sent += shown["sent"]
    found.unknown += shown["unknown"]
    lost = [
        address(place.recipient_id)
        for place in places
        if place.state == "sent" and address(place.recipient_id) not in copies
    ]
    found.forgotten += len(lost)
    found.broken += _told(f"campaign {number}: sent by the ledger, never at the vendor", lost)
    hidden = [
        f"{address(place.recipient_id)} ({place.state})"
        for place in places
        if place.state not in _SEEN and address(place.recipient_id) in copies
    ]
    found.broken += _told(f"campaign {number}: at the vendor, and not by the ledger", hidden)
    strange = sorted(copies.keys() - {address(place.recipient_id) for place in places})
    found.broken += _told(f"campaign {number}: accepted for somebody not in it", strange)


def _wrong_sums(shown: Mapping[str, Any], number: int) -> list[str]:
    """Check what ``campaign show --json`` says: everybody has one final reason."""
    skipped, failed = sum(shown["skipped"].values()), sum(shown["failed"].values())
    placed = shown["sent"] + skipped + failed + shown["unknown"] + shown["pending"]
    wrong = []
    if shown["state"] not in {"finished", "held", "cancelled"} or shown["pending"]:
        wrong.append(f"campaign {number} is {shown['state']} with {shown['pending']} pending")
    if shown["frozen"] != placed:
        wrong.append(f"campaign {number}: {shown['frozen']} frozen, but {placed} accounted for")
    if shown["chosen"] != shown["frozen"] + sum(shown["kept_out"].values()):
        wrong.append(f"campaign {number}: chosen isn't frozen + kept out: {dict(shown)}")
    return wrong


def _places(house: House, number: int) -> list[_Place]:
    """Read where everybody of a campaign is."""
    with house.parts.db.reading() as session:
        batches = session.execute(
            select(Batch.first_id, Batch.last_id, Batch.state, Batch.id).where(
                Batch.campaign_id == number
            )
        ).all()
        people = session.execute(
            select(Delivery.id, Delivery.recipient_id, Delivery.own_state)
            .where(Delivery.campaign_id == number)
            .order_by(Delivery.id)
        ).all()
        frozen = session.get_one(Campaign, number).frozen
    assert len(people) == frozen, f"campaign {number}: {len(people)} deliveries of {frozen}"
    of_batch = {
        delivery: (state.value, batch)
        for first, last, state, batch in batches
        for delivery in range(first, last + 1)
    }
    return [
        _Place(recipient or 0, own.value if own else of_batch[delivery][0], of_batch[delivery][1])
        for delivery, recipient, own in people
    ]


def _unrecorded(house: House, number: int, carried: Sequence[Carried]) -> list[str]:
    """List who got an administrative message twice without both calls being in the ledger."""
    with house.parts.db.reading() as session:
        rows = session.execute(
            select(HandOver.id, HandOver.outcome).where(HandOver.campaign_id == number)
        )
        known = {f"{hand_over:x}" for hand_over, outcome in rows if outcome is not None}
    attempts = defaultdict(set)
    for one in carried:
        attempts[one.email].add(one.attempt)
    copies = Counter(one.email for one in carried)
    return [
        email
        for email, n in copies.items()
        if n > 1 and (len(attempts[email]) < n or attempts[email] - known)
    ]


def _copies(house: House, number: int) -> int:
    """Give how many people may have a second copy, by what staff are shown."""
    with house.parts.db.reading() as session:
        return sum(unknown.copies(session, number))


def _judge_unclear(
    house: House, requests: Sequence[Received], kills: Sequence[Kill], found: Figures
) -> None:
    """Compare how many hand-overs were unclear with how many may be.

    Those are the calls that the vendor left without a clear answer, and, for each kill, as many as
    the killed group had threads.
    """
    with house.parts.db.reading() as session:
        # What is accepted by now and has a reason was unclear before it was proved.
        proved = (HandOver.outcome == ACCEPTED) & HandOver.reason.is_not(None)
        query = select(HandOver.id).where((HandOver.outcome == UNCLEAR) | proved)
        found.unclear = len(session.scalars(query).all())
    by_answer = sum(one.status is None or one.status >= 500 for one in requests)
    patience = float(str(house.environment["MAILPREFS_READ_TIMEOUT"]))
    late = sum(
        one.status is not None
        and one.status < 500
        and one.began_at is not None
        and one.ended_at is not None
        and (one.ended_at - one.began_at).total_seconds() > patience
        for one in requests
    )
    found.unclear_allowed = by_answer + late + sum(kill.threads for kill in kills)
    if found.unclear > found.unclear_allowed:
        found.broken.append(
            f"{found.unclear} hand-overs are unclear, {found.unclear_allowed} may be"
            f" ({by_answer} by the answer, {late} late, the rest in flight at a kill)"
        )


def _owners(house: House) -> dict[str, int]:
    """Give the process that made each call, by the name under which the vendor knows the call."""
    with house.parts.db.reading() as session:
        rows = session.execute(select(HandOver.id, HandOver.owner)).all()
    return {f"{number:x}": int(owner.split(":")[-2]) for number, owner in rows}


def _is_in_flight(kill: Kill, requests: Iterable[Received], owners: Mapping[str, int]) -> bool:
    """Tell whether the vendor had a request of the killed group at that instant."""
    never = datetime.max.replace(tzinfo=UTC)
    return any(
        one.began_at is not None
        and one.began_at <= kill.at <= (one.ended_at or never)
        and owners.get(one.attempt or "") in kill.pids
        for one in requests
    )


def _sent_after_leaving(house: House, carried: Iterable[Carried]) -> list[str]:
    """List who had left when a promotional request began that carries them."""
    left = {address(one.recipient_id): one.answered_at for one in reversed(house.left)}
    late = [
        f"{one.email} {(one.began_at - left[one.email]).total_seconds() * 1_000:.1f} ms after"
        for one in carried
        if one.message_class == MessageClass.PROMOTIONAL.value
        and one.email in left
        and one.began_at is not None
        and one.began_at > left[one.email]
    ]
    return _told("in a promotional request that began after their 2xx", late)


def _told(what: str, who: Sequence[str]) -> list[str]:
    """Make one sentence of a list, unless it is empty."""
    if not who:
        return []
    more = f" and {len(who) - _SHOWN_AT_MOST} more" if len(who) > _SHOWN_AT_MOST else ""
    return [f"{what}: {len(who)}: {', '.join(who[:_SHOWN_AT_MOST])}{more}"]
