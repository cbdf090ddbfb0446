"""Words for staff pages: what states, reasons and roles are called, how numbers are written."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from mailprefs import times
from mailprefs.campaigns.shown import REASONS
from mailprefs.policy import LegalPurpose, MessageClass, Role

NO_BREAK: Final = "\N{NO-BREAK SPACE}"

STATE_TONES: Final[Mapping[str, str]] = {
    "draft": "",
    "scheduled": "accent",
    "freezing": "accent",
    "sending": "accent",
    "overdue": "warn",
    "missed": "warn",
    "waiting": "warn",
    "sending stopped": "bad",
    "paused": "warn",
    "held": "warn",
    "stalled": "bad",
    "finished": "good",
    "cancelled": "",
}
"""The colour of a state's badge; the word stands in it too."""

STATES: Final[Mapping[str, str]] = {
    "draft": "Draft",
    "scheduled": "Scheduled",
    "freezing": "Preparing",
    "sending": "Sending",
    "overdue": "Overdue",
    "missed": "Missed",
    "waiting": "Waiting",
    "sending stopped": "Sending stopped",
    "paused": "Paused",
    "held": "Held",
    "stalled": "Stalled",
    "finished": "Finished",
    "cancelled": "Cancelled",
}

MAILBOX: Final[Mapping[str, str]] = {
    "queued": "Taken by the vendor",
    "delivered": "Delivered",
    "deferred": "Deferred at least once",
    "blocked": "Refused for now",
    "bounced": "Bounced",
    "dropped": "Dropped by the vendor",
    "complained": "Marked as spam",
    "unsubscribed": "Unsubscribed by this message",
}

PURPOSES: Final[Mapping[LegalPurpose, str]] = {
    LegalPurpose.SECURITY: "Security of the account",
    LegalPurpose.ACCOUNT: "About the person’s account",
    LegalPurpose.TRANSACTION: "About something ordered or asked for",
    LegalPurpose.LEGAL_NOTICE: "A notice that the law asks for",
    LegalPurpose.POLICY_CHANGE: "Change of the privacy policy",
}

ROLES: Final[Mapping[Role, str]] = {
    Role.DRAFT: "write campaigns and send tests",
    Role.SEND: "send, pause and stop campaigns; look people up",
    Role.APPROVE: "approve administrative campaigns that somebody else wrote",
    Role.ANALYSE: "read reports; sees no address",
    Role.PRIVACY: "look people up, lift suppressions, read the audit",
    Role.ADMIN: "add staff and give roles; look people up, read the audit",
}

CLASSES: Final[Mapping[MessageClass, str]] = {
    MessageClass.PROMOTIONAL: "Promotional",
    MessageClass.ADMINISTRATIVE: "Administrative",
}


def number(n: int | None) -> str:
    """Write a count with thousands apart: 1,234,567; a dash for none known."""
    return "–" if n is None else f"{n:,}"


def percent(rate: float | None) -> str:
    """Write a share to a tenth of a percent: 41.7 %; a dash for none known."""
    return "–" if rate is None else f"{rate * 100:.1f}{NO_BREAK}%"


def said(word: str) -> str:
    """Say a word of the store as people read it: ``refused_address`` becomes a sentence."""
    return STATES.get(word) or REASONS.get(word) or _spaced(word)


def mailbox(totals: Mapping[str, int]) -> list[tuple[str, int]]:
    """Say what became of sent mail, in the order in which it happens to one message."""
    order = list(MAILBOX)
    known = sorted(totals, key=lambda event: order.index(event) if event in order else len(order))
    return [(MAILBOX.get(event, _spaced(event)), totals[event]) for event in known]


def tone(state: str) -> str:
    """Give the colour class of a state's badge."""
    return STATE_TONES.get(state, "")


def when(instant: datetime | None, zone: str) -> Markup:
    """Write an instant as it is told in *zone*, with the exact one for machines."""
    if instant is None:
        return Markup("–")
    local = instant.astimezone(ZoneInfo(zone))
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        instant.isoformat(timespec="seconds"),
        f"{local:%A, %d %B %Y, %H:%M:%S} ({zone})",
        times.written(instant, zone),
    )


def typeset(sentence: str) -> Markup:
    """Set a sentence's type for a page: commands as such, apostrophes curved."""
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(sentence.replace("'", "’").split("`"))
    )


def action(word: str) -> str:
    """Say an action of the audit: ``campaign.send_undone`` becomes "Campaign: send undone"."""
    kind, _, done = word.partition(".")
    return f"{_spaced(kind)}: {done.replace('_', ' ')}" if done else _spaced(kind)


def _spaced(word: str) -> str:
    return word.replace("_", " ").capitalize()
