"""What a batch of fetches changes, given what is known of each delivery. Pure rules.

A fetch counts for the first open of its kind, a machine's are told apart by time:

* whoever opens within five seconds of the hand-over's end, or before the message was delivered,
  is a machine that looks through mail on its way, whatever its user agent says, and through
  whatever proxy it came. So the open is a scanner's with the reason "too fast", which says of
  itself that the user agent spoke for a person;
* a message that was delivered had been handed over: where the end of the request is told later
  than that, or not at all, the five seconds begin with the delivery;
* while neither is known, as while the request runs or after its worker was lost, they begin with
  the request;
* while nobody has told when the message was delivered, an open counts as what it looks like, and
  the fetch is kept at hand: ``deciding`` looks at it again.

Times are microseconds since 1970 UTC (``periods``).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple, Self

from mailprefs import consent
from mailprefs.opens.bits import APPLE, HUMAN_KINDS, OF_KIND
from mailprefs.opens.fetches import Hit, Said
from mailprefs.opens.periods import MINUTE, Period, instant, micros, start_of
from mailprefs.useragents import Client, OpenKind, Reason

TOO_FAST: Final = timedelta(seconds=5)
"""An open this soon after the hand-over is a machine's, through whatever proxy it came."""
MAY_BE_TOLD: Final = timedelta(days=3)
"""How long the vendor tries to deliver: when that was, is told by then or never."""
_MICROSECOND: Final = timedelta(microseconds=1)
_TOO_FAST: Final = TOO_FAST // _MICROSECOND
_MAY_BE_TOLD: Final = MAY_BE_TOLD // _MICROSECOND
_APPLES: Final = frozenset(int(reason) for reason in Reason if reason.means_apple)
_EPOCH: Final = instant(0)
_SEVERAL: Final = 2
_SCANNER: Final = int(OpenKind.SCANNER)


class Request(NamedTuple):
    """When a request to the vendor began and ended; no end: it runs, or its worker was lost."""

    begin: int
    end: int | None

    def is_too_fast(self, at: int, delivered_at: int | None) -> bool:
        """Tell whether nobody can have read by then what it handed over."""
        since = self.end
        if since is None or (delivered_at is not None and delivered_at < since):
            since = delivered_at
        return at < (self.begin if since is None else since) + _TOO_FAST


class HandedOver(NamedTuple):
    """When one delivery's message went to the vendor.

    A message may have been handed over before, by a ``first`` request of which nobody knew what
    came: whoever opens before the later one began has the first copy.
    """

    request: Request
    first: Request | None = None

    def is_too_fast(self, at: int, delivered_at: int | None) -> bool:
        """Tell whether nobody can have read the message by then."""
        if self.first is not None:
            if at < self.request.begin:
                return self.first.is_too_fast(at, delivered_at)
            if delivered_at is not None and delivered_at < self.request.begin:
                # That was the first copy: it says nothing of the second.
                return self.request.is_too_fast(at, None)
        return self.request.is_too_fast(at, delivered_at)


class Known(NamedTuple):
    """What is known of a delivery that may be measured.

    ``kinds`` has the bit ``1 << kind`` for each kind of which there is an open. Without
    ``handed_over`` nothing is known of its way to the vendor. ``apple_seen_on`` is the day on which
    Apple's proxy was last seen to load the recipient's mail.
    """

    bits: int
    kinds: int
    recipient_id: int
    apple_seen_on: date | None
    delivered_at: int | None
    handed_over: HandedOver | None

    def may_be_told(self, at: int) -> bool:
        """Tell whether it may still become known that the message was delivered after *at*."""
        if self.delivered_at is not None or self.handed_over is None:
            return self.delivered_at is None
        request = self.handed_over.request
        return at < (request.end or request.begin) + _MAY_BE_TOLD

    def is_machines(self, at: int) -> bool:
        """Tell whether nobody can have read the message by then."""
        return (self.delivered_at is not None and at < self.delivered_at) or (
            self.handed_over is not None and self.handed_over.is_too_fast(at, self.delivered_at)
        )


class Policies(NamedTuple):
    """From when on each version of the privacy policy is in force, and the newest of them."""

    starts: list[tuple[datetime, int]]
    since: int
    newest: int

    @classmethod
    def of(cls, starts: list[tuple[datetime, int]]) -> Self:
        """Take the versions, the oldest first; there are none before the first message."""
        since, newest = starts[-1] if starts else (_EPOCH, 0)
        return cls(starts, micros(since), newest)

    def at(self, at: int) -> int:
        """Give the version that was in force at a time."""
        # Nothing is sent before the first one, and almost all are under the newest one.
        if at >= self.since or len(self.starts) < _SEVERAL:
            return self.newest
        return consent.policy_at(self.starts, instant(at)) or self.starts[0][1]


class Row(NamedTuple):
    """A row of ``opens``."""

    delivery_id: int
    kind: int
    reason: int
    ruleset: int
    policy_version_id: int
    first_seen_at: datetime
    country: str | None
    client: int


Cell = tuple[int, str, str, int]
"""A cell of the rollup: campaign, dimension, value and kind."""


class Effect(NamedTuple):
    """What a batch changes.

    ``rows`` are new ones of ``opens``. ``cells`` and ``totals`` are added to the sums (a campaign's
    deliveries by their bits), ``bits`` are those that deliveries have now. ``undecided`` are kept
    until more is known, and ``apple`` are the days on which Apple's proxy loaded people's mail.
    """

    rows: list[Row]
    cells: Counter[Cell]
    bits: dict[int, int]
    totals: Counter[tuple[int, int]]
    undecided: list[tuple[int, Hit]]
    apple: dict[int, date]


class Decision(NamedTuple):
    """What becomes of a delivery's rows of ``opens`` when it is known who was too fast."""

    gone: list[Row]
    new: list[Row]
    kinds: frozenset[int]


def decide(
    delivery_id: int,
    rows: Mapping[int, Row],
    kept: Sequence[Hit],
    what: Known,
    policies: Policies,
) -> Decision | None:
    """Judge fetches again that were counted for what they looked like; None: they stand.

    *rows* are the delivery's, by kind. Whoever came after the machine counts from then on.
    """
    ordered = sorted(kept, key=itemgetter(0))
    fast = [hit for hit in ordered if what.is_machines(hit[0])]
    if not fast:
        return None
    gone: list[Row] = []
    found = [(fast[0][0], as_machines(fast[0][1]))] if _SCANNER not in rows else []
    for kind in sorted({said.kind for _, said in fast} & rows.keys()):
        gone.append(rows[kind])
        later = (hit for hit in ordered if hit[1].kind == kind and not what.is_machines(hit[0]))
        found.extend(islice(later, 1))
    new = [as_row(delivery_id, at, said, policies) for at, said in found]
    kinds = (rows.keys() - {row.kind for row in gone}) | {row.kind for row in new}
    return Decision(gone, new, frozenset(kinds))


def as_machines(said: Said) -> Said:
    """Give what came before a person can have read the message as what it is."""
    return said._replace(
        kind=_SCANNER, reason=int(Reason.TOO_FAST), client=int(Client.UNKNOWN), country=None
    )


def cells(rows: Iterable[Row], periods: Mapping[int, Period]) -> Counter[Cell]:
    """Add up the cells of the rollup in which rows of ``opens`` count."""
    # Many rows are alike: their cells are worked out once.
    alike = list(rows)
    found: Counter[Cell] = Counter()
    for (campaign_id, at, kind), n in Counter(
        [(row[0] >> 32, row.first_seen_at, row.kind) for row in alike]
    ).items():
        found[campaign_id, "hour", periods[campaign_id].hour(at), kind] += n
    for (campaign_id, kind, client, country), n in Counter(
        [(row[0] >> 32, row.kind, row.client, row.country) for row in alike]
    ).items():
        found[campaign_id, "client", str(client), kind] += n
        if country is not None:
            found[campaign_id, "country", country, kind] += n
    return found


def moved(before: Mapping[int, int], after: Mapping[int, int]) -> Counter[tuple[int, int]]:
    """Give how the totals move when deliveries' bits change from *before* to *after*."""
    moves = Counter((one >> 32, before[one], new) for one, new in after.items())
    totals: Counter[tuple[int, int]] = Counter()
    for (campaign_id, old, new), n in moves.items():
        totals[campaign_id, old] -= n
        totals[campaign_id, new] += n
    return totals


def judge(
    by_delivery: Mapping[int, list[Hit]],
    known: Mapping[int, Known],
    periods: Mapping[int, Period],
    policies: Policies,
) -> Effect:
    """Give what fetches change; those of deliveries that aren't known are nobody's."""
    effect = Effect([], Counter(), {}, Counter(), [], {})
    for delivery_id, hits in by_delivery.items():
        what, period = known.get(delivery_id), periods.get(delivery_id >> 32)
        if what is None or period is None:
            continue
        bits, kinds = what.bits, what.kinds
        for at, fetched in hits:
            if at >= period.until:
                break
            said = _judged(delivery_id, at, fetched, what, effect)
            if said.reason in _APPLES:
                _seen(effect, what, period.day(at // MINUTE))
                bits |= APPLE
            if not kinds >> said.kind & 1:
                kinds |= 1 << said.kind
                bits |= OF_KIND[said.kind]
                effect.rows.append(as_row(delivery_id, at, said, policies))
        if bits != what.bits:
            effect.bits[delivery_id] = bits
    effect.cells.update(cells(effect.rows, periods))
    effect.totals.update(moved({one: known[one].bits for one in effect.bits}, effect.bits))
    return effect


def _judged(delivery_id: int, at: int, said: Said, what: Known, effect: Effect) -> Said:
    """Give a fetch that looks like a person's as what it is; note it if that can't be told yet."""
    if said.kind not in HUMAN_KINDS:
        return said
    if what.is_machines(at):
        return as_machines(said)
    if what.may_be_told(at):
        effect.undecided.append((delivery_id, (at, said)))
    return said


def as_row(delivery_id: int, at: int, said: Said, policies: Policies) -> Row:
    """Give the row of ``opens`` for a fetch: to the minute, under the policy then in force.

    That may be a later one than the message was sent under.
    """
    return Row(
        delivery_id,
        said.kind,
        said.reason,
        said.ruleset,
        policies.at(at),
        start_of(at // MINUTE),
        said.country,
        said.client,
    )


def _seen(effect: Effect, what: Known, day: date) -> None:
    """Note that Apple's proxy loaded a person's mail on *day*, unless that is known."""
    last = effect.apple.get(what.recipient_id, what.apple_seen_on)
    if last is None or last < day:
        effect.apple[what.recipient_id] = day
