"""What a version must be before it is published: its texts, its date, its purposes."""

from datetime import datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import times
from mailprefs.campaigns.drafts import Company
from mailprefs.errors import BadInput, Conflict
from mailprefs.policy import Purpose
from mailprefs.schema.choices import PolicyState, PolicyVersion

SHORTEST: Final = 10
"""Characters of a reason and of what changes: a sentence, not a dot."""
TO_APPROVE: Final = timedelta(days=7)
"""Unless a date is said, the second person has so long beside the days of the notice."""
ASKABLE: Final = (Purpose.OPEN_TRACKING,)
"""What consent can be asked anew for; a subscription is a thing asked for, and ends by leaving."""
_LATER: Final = (
    "Version {} is to take effect on {}; a later text can't take effect before it. Give a later "
    "date, or withdraw that one first (mailprefs policy withdraw)."
)


class New(NamedTuple):
    """A version to publish.

    With a *summary* of what changes it is material. *effective_from* None: at once, or, of a
    material one, as soon as notice and approval allow. *at_once* is the reason for a material
    version to take effect before anybody was told. *topic* is the notice's, by its short name.
    """

    name: str
    text: str
    summary: str | None = None
    effective_from: datetime | None = None
    new_consent: tuple[Purpose, ...] = ()
    topic: str | None = None
    at_once: str | None = None


class Terms(NamedTuple):
    """What of the installation a publication hangs on: its company, and the days of a notice."""

    company: Company
    notice_days: int

    @property
    def ahead(self) -> timedelta:
        """Give how long before its effect a change is told."""
        return timedelta(days=self.notice_days)


def check(new: New) -> None:
    """Refuse what doesn't go together.

    :raises BadInput: saying what does.
    """
    if new.summary is None:
        if new.new_consent:
            raise BadInput("Asking for consent anew is a material change: publish it as one.")
        if new.at_once is not None:
            raise BadInput("What isn't material takes effect at once by itself; leave that out.")
        return
    if len(new.summary.strip()) < SHORTEST:
        raise BadInput(
            "A material change is told to everybody: say in a few sentences what changes "
            "(--summary)."
        )
    if new.at_once is not None:
        _check_at_once(new.at_once, new.effective_from)
    for purpose in new.new_consent:
        if purpose not in ASKABLE:
            raise BadInput(
                f"Consent can be asked anew for {', '.join(ASKABLE)}. A subscription is something "
                "that a person asked for; it ends when they leave."
            )


def _check_at_once(reason: str, effective_from: datetime | None) -> None:
    if len(reason.strip()) < SHORTEST:
        raise BadInput("To take effect before anybody is told needs its reason in a sentence.")
    if effective_from is not None:
        raise BadInput("Either it takes effect at once, or at a date.")


def said(summary: str | None) -> str | None:
    """Give a summary as it is kept."""
    return None if summary is None else summary.replace("\r\n", "\n").strip()


def date_of(new: New, terms: Terms, now: datetime, *, is_told: bool) -> datetime:
    """Give when the version takes effect, as said or as early as can be.

    *is_told*: it is material, and there is somebody who has to be told before.
    """
    if not is_told or new.at_once is not None:
        date = new.effective_from or now
        if date < now:
            raise BadInput("That date is past, and nothing is in force in hindsight; say a later.")
        return date
    if new.effective_from is None:
        zone = ZoneInfo(terms.company.zone)
        local = (now + terms.ahead + TO_APPROVE + timedelta(days=1)).astimezone(zone)
        return datetime.combine(local.date(), time(), zone)
    require_ahead(new.effective_from, terms, now)
    return new.effective_from


def require_ahead(effective_from: datetime, terms: Terms, now: datetime) -> None:
    """Refuse a date that leaves less than the days of a notice.

    :raises BadInput: with the earliest date.
    """
    earliest = now + terms.ahead
    if effective_from < earliest:
        raise BadInput(
            f"A material change is told {terms.notice_days} days before it takes effect, so the "
            f"earliest date is {times.written(earliest, terms.company.zone)}, and a second person "
            "has to approve the notice before. Say a later date."
        )


def require_latest(session: Session, name: str, date: datetime, now: datetime) -> None:
    """Refuse a version that would be in force before one that was published earlier.

    :raises Conflict: naming the other one.
    """
    coming = session.scalars(
        select(PolicyVersion)
        .where(PolicyVersion.state != PolicyState.WITHDRAWN, PolicyVersion.version != name)
        .where(PolicyVersion.effective_from > now)
        .order_by(PolicyVersion.effective_from.desc())
    ).first()
    if coming is not None and date < coming.effective_from:
        raise Conflict(_LATER.format(coming.version, times.written(coming.effective_from)))
