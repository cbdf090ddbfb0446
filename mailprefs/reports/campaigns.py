"""One campaign's report: what became of its mail, and how many people opened it.

What is told of opens is read from the released numbers (``reports.releases``), which are made by
one rule; so page, command line, API, files and charts can't but say the same.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailprefs.errors import NotFound
from mailprefs.opens import DELIVERED
from mailprefs.policy import MessageClass
from mailprefs.reports import cells, releases, statistic
from mailprefs.reports.breakdowns import Breakdown, breakdowns
from mailprefs.reports.cells import Cell, Rule, Shown
from mailprefs.reports.releases import Released, Stored
from mailprefs.reports.statistic import Doubt, Estimate, Seen
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.opens import MeasuredTotal

_USUAL: Final = (
    *("queued", "delivered", "deferred", "blocked", "bounced"),
    *("dropped", "complained", "unsubscribed"),
)
DEFINITIONS: Final = {
    "base": (
        "All rates are shares of the delivered messages whose readers may be measured person by "
        "person. Messages to people who refused, or were never asked where the law wants consent, "
        "are in no rate."
    ),
    "reported": (
        "Any load of the message’s picture that was not a known scanner or bot. Includes automatic "
        "loads by mail privacy features, so it is too high."
    ),
    "confirmed": (
        "People whose own mail program, or a proxy while they looked, loaded the picture. At least "
        "so many opened; people behind Apple’s privacy proxy are mostly missing, so it is too low."
    ),
    "estimated": (
        "The share of openers among the people not behind Apple’s privacy proxy, taken to hold for "
        "those behind it. The interval covers 95 % of what chance can do; the wider range shows "
        f"it if the Apple people open {statistic.LESS:g} or {statistic.MORE:g} times as often."
    ),
}
"""What each rate means: shown beside it wherever it is shown."""


_NOTHING_YET: Final = "not_released"
_TOO_FEW: Final = "fewer_than_k"
_WAIT: Final = (
    "No numbers are released yet. The first ones come a day after the first message went out, or "
    "when somebody asks for them; after that they are made anew at most once a day."
)
_FEW: Final = (
    "Fewer than {people} delivered messages may be measured; a number about so few would tell of "
    "each of them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opens:
    """What may be told of a campaign's opens.

    ``estimate`` is None where ``doubts`` say why. ``inputs`` are the counts that the estimate is
    made of, by their letter in the formula; None where they may not be shown. ``label`` stands
    beside every rate if only a small part of the people allows measurement. ``loads`` were made by
    people who are counted without being told apart.
    """

    released_at: datetime | None = None
    is_final: bool = False
    people: int = cells.LEAST_PEOPLE
    measured: int | None = None
    share: float | None = None
    reported: Cell = cells.WITHHELD
    confirmed: Cell = cells.WITHHELD
    estimate: Estimate | None = None
    doubts: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    inputs: dict[str, int] | None = None
    seen: Seen | None = None
    loads: int | None = None
    tables: tuple[Breakdown, ...] = ()

    @property
    def label(self) -> str | None:
        """Say of whom the rates are, where these need not be like the rest."""
        if self.share is None or self.share >= statistic.LEAST_SHARE:
            return None
        return f"of the {self.share * 100:.1f} % who allow measurement"

    def table(self, name: str) -> Breakdown | None:
        """Give one breakdown by its name, if it is told."""
        return next((one for one in self.tables if one.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """Give the numbers with what they mean, so that anybody can compute them again."""
        return {
            "released_at": None if self.released_at is None else self.released_at.isoformat(),
            "final": self.is_final,
            "least_people": self.people,
            "measured": self.measured,
            "measured_share": None if self.share is None else round(self.share, 3),
            "label": self.label,
            "reported": self.reported.as_json(),
            "confirmed": self.confirmed.as_json(),
            "estimated": self._estimated(),
            "inputs": self.inputs,
            "loads": self.loads,
            "tables": {one.name: one.as_json() for one in self.tables},
            "definitions": DEFINITIONS,
        }

    def _estimated(self) -> dict[str, Any]:
        if self.estimate is None:
            reasons = zip(self.doubts, self.sentences, strict=True)
            told = [{"code": code, "sentence": sentence} for code, sentence in reasons]
            return {"rate": None, "interval": None, "range": None, "not_shown_because": told}
        rate, low, high, less, more = (round(value, 3) for value in self.estimate)
        return {
            "rate": rate,
            "interval": [low, high],
            "range": [less, more],
            "not_shown_because": [],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One campaign's report; ``opens`` is None for mail that is never measured."""

    campaign_id: int
    name: str
    message_class: MessageClass
    begun_at: datetime | None
    as_of: datetime
    zone: str
    rounded: bool
    mailbox: dict[str, int]
    opens: Opens | None

    def as_json(self) -> dict[str, Any]:
        """Give the report as JSON."""
        return {
            "id": self.campaign_id,
            "name": self.name,
            "message_class": self.message_class.value,
            "as_of": self.as_of.isoformat(),
            "zone": self.zone,
            "rounded_to": cells.ROUNDED_TO if self.rounded else 1,
            "mailbox": self.mailbox,
            "opens": None if self.opens is None else self.opens.as_json(),
        }


def find(session: Session, campaign_id: int) -> Campaign:
    """Give a campaign that has a report.

    :raises NotFound: for an unknown id, and for the standing campaigns of single messages.
    """
    is_possible = 0 < campaign_id < 2**31
    campaign = session.get(Campaign, campaign_id) if is_possible else None
    if campaign is None or campaign.standing:
        msg = (
            f"There is no campaign {campaign_id}. `mailprefs campaign list` shows those there are."
        )
        raise NotFound(msg)
    return campaign


def report(session: Session, campaign_id: int, *, now: datetime, rounded: bool = False) -> Report:
    """Give the report of one campaign: its mail as it stands now, its opens as last released.

    *rounded* is for analysts and programs: counts to the next five, rates made of those.

    :raises NotFound: for an unknown id, and for the standing campaigns of single messages.
    """
    campaign = find(session, campaign_id)
    opens = None
    if campaign.message_class.may_be_measured:
        release = releases.stored(session, campaign_id)
        opens = opens_of(release, campaign, rounded=rounded) or _nothing(
            release, campaign, _had(session, campaign_id), rounded=rounded
        )
    return Report(
        campaign_id=campaign.id,
        name=campaign.name,
        message_class=campaign.message_class,
        begun_at=campaign.first_hand_over_at,
        as_of=now,
        zone=campaign.report_zone,
        rounded=rounded,
        mailbox=_mailbox(session, campaign_id),
        opens=opens,
    )


def opens_of(release: Stored | None, campaign: Campaign, *, rounded: bool) -> Opens | None:
    """Give what was released of a campaign's opens; None if that is nothing about people."""
    if release is None or release.numbers is None or release.numbers.totals is None:
        return None
    numbers = release.numbers
    totals = release.numbers.totals
    exact = totals.seen
    shown = cells.rounded(exact) if rounded else exact
    delivered = cells.fives(numbers.delivered) if rounded else numbers.delivered
    share = min(shown.delivered / max(delivered, 1), 1.0)
    why_not = _doubts(release, campaign, shown, share)
    split = totals.split and cells.may_be_split(shown, Rule(people=1))
    return Opens(
        released_at=release.released_at,
        is_final=release.frozen_at is not None,
        people=release.people,
        measured=shown.delivered,
        share=share,
        reported=_told(totals.reported, shown.loaded, shown, totals.confirmed),
        confirmed=_told(totals.confirmed, shown.opened, shown, totals.confirmed),
        estimate=None if why_not else statistic.estimate(shown),
        doubts=tuple(doubt.value for doubt in why_not),
        sentences=tuple(doubt.sentence for doubt in why_not),
        inputs=_inputs(shown) if split else None,
        seen=shown if split else None,
        loads=_loads(numbers, rounded=rounded),
        tables=breakdowns(numbers, shown.delivered, rounded=rounded),
    )


def _doubts(release: Stored, campaign: Campaign, shown: Seen, share: float) -> tuple[Doubt, ...]:
    """List why the estimate isn't shown; one whose parts may not be told is too few of each."""
    numbers = release.numbers
    begun = campaign.first_hand_over_at
    found = statistic.doubts(
        shown,
        # Looked at and left so: fewer than k deliveries have changed since they were counted.
        age=None if begun is None else release.looked_at - begun,
        share=share,
        rulesets=len(numbers.rulesets) if numbers else 0,
    )
    split = bool(numbers and numbers.totals and numbers.totals.split)
    return found if found or split else (Doubt.FEW_OF_EACH,)


def _told(kind: Shown, n: int, shown: Seen, confirmed: Shown) -> Cell:
    """Give the cell to show for a number, of which is known how it may be told."""
    of = shown.delivered
    if kind is Shown.EXACT:
        # In fives it may look like everybody, which is to be told no more exactly than if it were.
        return cells.cell(n, of, Rule(people=1))
    if kind is Shown.WITHHELD:
        return cells.WITHHELD
    if kind is Shown.OVER:
        return Cell(kind, None, of, max(1 - cells.FEWEST / of, 0.0))
    # Above what is confirmed, if that is told: the two differ by too few to say by how many.
    base = shown.opened if confirmed is Shown.EXACT else 0
    return Cell(kind, None, of, min((base + cells.FEWEST) / of, 1.0))


class _Had(NamedTuple):
    """Messages that may be measured, those of them that were delivered, and all delivered ones."""

    measurable: int
    measured: int
    delivered: int


def _nothing(release: Stored | None, campaign: Campaign, had: _Had, *, rounded: bool) -> Opens:
    """Say why nothing is told of people's opens; their loads may be."""
    people = release.people if release else cells.LEAST_PEOPLE
    is_final = bool(release and release.frozen_at)
    code, sentence = _NOTHING_YET, _WAIT
    begun = campaign.first_hand_over_at is not None
    # Of few people it would tell that each of them refused, or was never asked.
    if begun and not had.measurable and had.delivered >= people:
        code, sentence = Doubt.NOT_MEASURED.value, Doubt.NOT_MEASURED.sentence
    elif had.measured < people or is_final:
        code, sentence = _TOO_FEW, _FEW.format(people=people)
    return Opens(
        released_at=release.released_at if release else None,
        is_final=is_final,
        people=people,
        measured=0 if code == Doubt.NOT_MEASURED.value else None,
        doubts=(code,),
        sentences=(sentence,),
        loads=_loads(release.numbers, rounded=rounded) if release and release.numbers else None,
    )


def _loads(numbers: Released, *, rounded: bool) -> int | None:
    return cells.fives(numbers.loads) if rounded and numbers.loads else numbers.loads


def _had(session: Session, campaign_id: int) -> _Had:
    """Count who had a campaign's mail."""
    rows = session.execute(
        select(MeasuredTotal.bits, func.sum(MeasuredTotal.n))
        .where(MeasuredTotal.campaign_id == campaign_id)
        .group_by(MeasuredTotal.bits)
    ).all()
    measured = sum(n for bits, n in rows if bits & DELIVERED)
    delivered = _mailbox(session, campaign_id)["delivered"]
    return _Had(sum(n for _, n in rows), measured, delivered)


def _inputs(shown: Seen) -> dict[str, int]:
    return {
        "D": shown.delivered,
        "M": shown.apple,
        "N": shown.others,
        "H": shown.others_opened,
        "C": shown.apple_opened,
    }


def _mailbox(session: Session, campaign_id: int) -> dict[str, int]:
    """Give how many sent messages have each mailbox fact; the usual ones also when nobody has."""
    rows = session.execute(
        select(MailboxTotal.event, MailboxTotal.n).where(MailboxTotal.campaign_id == campaign_id)
    )
    usual = dict.fromkeys(_USUAL, 0)
    return usual | {row.event: row.n for row in rows}
