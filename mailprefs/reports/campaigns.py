"""One campaign's report: what became of its mail, and how many people opened it.

Read from sums only (``mailbox_totals``, ``measured_totals``), so that it takes as long after ten
million opens as after ten. Page, command line and API show this one report, under one rule of what
may be shown (``reports.cells``).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.errors import NotFound
from mailprefs.opens import APPLE, DELIVERED, FETCHED, HUMAN
from mailprefs.policy import MessageClass
from mailprefs.reports import cells, statistic
from mailprefs.reports.cells import Cell, Shown
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Opens:
    """What may be told of a campaign's opens.

    ``estimate`` is None where ``doubts`` say why. ``inputs`` are the counts that the estimate is
    made of, by their letter in the formula; None where they may not be shown.
    """

    measured: int | None
    share: float | None
    reported: Cell
    confirmed: Cell
    estimate: Estimate | None
    doubts: tuple[str, ...]
    sentences: tuple[str, ...]
    inputs: dict[str, int] | None

    def as_json(self) -> dict[str, Any]:
        """Give the numbers with what they mean, so that anybody can compute them again."""
        return {
            "measured": self.measured,
            "measured_share": None if self.share is None else round(self.share, 3),
            "reported": self.reported.as_json(),
            "confirmed": self.confirmed.as_json(),
            "estimated": self._estimated(),
            "inputs": self.inputs,
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


def report(session: Session, campaign_id: int, *, now: datetime, rounded: bool = False) -> Report:
    """Give the report of one campaign as it stands now.

    *rounded* is for analysts and programs: counts to the next five, rates made of those.

    :raises NotFound: for an unknown id, and for the standing campaigns of single messages.
    """
    is_possible = 0 < campaign_id < 2**31
    campaign = session.get(Campaign, campaign_id) if is_possible else None
    if campaign is None or campaign.standing:
        msg = (
            f"There is no campaign {campaign_id}. `mailprefs campaign list` shows those there are."
        )
        raise NotFound(msg)
    mailbox = _mailbox(session, campaign_id)
    opens = None
    if campaign.message_class.may_be_measured:
        begun = campaign.first_hand_over_at
        age = None if begun is None else now - begun
        opens = opens_of(
            seen(session, campaign_id), age=age, delivered=mailbox["delivered"], rounded=rounded
        )
    return Report(
        campaign_id=campaign.id,
        name=campaign.name,
        message_class=campaign.message_class,
        as_of=now,
        zone=campaign.report_zone,
        rounded=rounded,
        mailbox=mailbox,
        opens=opens,
    )


def seen(session: Session, campaign_id: int) -> Seen:
    """Add up what was seen of one campaign, from at most sixteen sums."""
    rows = session.execute(
        select(MeasuredTotal.bits, MeasuredTotal.n).where(MeasuredTotal.campaign_id == campaign_id)
    )
    delivered = {bits: n for bits, n in rows if bits & DELIVERED}

    def count(having: int, lacking: int = 0) -> int:
        return sum(n for bits, n in delivered.items() if bits & having and not bits & lacking)

    return Seen(
        delivered=sum(delivered.values()),
        apple=count(APPLE),
        others_opened=count(HUMAN, lacking=APPLE),
        apple_opened=sum(n for bits, n in delivered.items() if bits & APPLE and bits & HUMAN),
        loaded=count(FETCHED | HUMAN),
    )


def opens_of(exact: Seen, *, age: timedelta | None, delivered: int, rounded: bool = False) -> Opens:
    """Give what may be told of *exact*; *delivered* counts all messages, measured or not."""
    counted = cells.rounded(exact) if rounded else exact
    if exact.delivered < cells.LEAST_PEOPLE:
        return _too_few(exact)
    split = cells.may_be_split(cells.releasable(exact))
    shown = cells.releasable(counted) if split else counted
    share = min(shown.delivered / max(delivered, 1), 1.0)
    why_not = statistic.doubts(shown, age=age, share=share)
    return Opens(
        measured=shown.delivered,
        share=share,
        reported=_like(cells.cell(exact.loaded, exact.delivered), shown.loaded, shown.delivered),
        confirmed=_like(cells.cell(exact.opened, exact.delivered), shown.opened, shown.delivered),
        estimate=None if why_not else statistic.estimate(shown),
        doubts=tuple(doubt.value for doubt in why_not),
        sentences=tuple(doubt.sentence for doubt in why_not),
        inputs=_inputs(shown) if split else None,
    )


def _too_few(exact: Seen) -> Opens:
    """Tell nothing of so few people but that they are few."""
    withheld = Cell(Shown.WITHHELD, None, None, None)
    nothing = exact.delivered == 0
    sentence = (
        Doubt.NOT_MEASURED.sentence
        if nothing
        else f"Fewer than {cells.LEAST_PEOPLE} delivered messages may be measured; a number about "
        "so few would tell of each of them."
    )
    return Opens(
        measured=0 if nothing else None,
        share=None,
        reported=withheld,
        confirmed=withheld,
        estimate=None,
        doubts=(Doubt.NOT_MEASURED.value if nothing else "fewer_than_k",),
        sentences=(sentence,),
        inputs=None,
    )


def _like(rule: Cell, n: int, of: int) -> Cell:
    """Give the numbers to show, as far as the rule lets the exact ones be shown."""
    if rule.shown is Shown.EXACT:
        return cells.cell(n, of)
    bound = cells.FEWEST / of
    return Cell(rule.shown, None, of, bound if rule.shown is Shown.UNDER else 1 - bound)


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
