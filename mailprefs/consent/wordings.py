"""The words that people saw when choosing, and the purposes they are about; kept as proof."""

from hashlib import sha256
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.consent.entries import Shown
from mailprefs.db import dialects
from mailprefs.policy import Purpose
from mailprefs.schema.choices import PurposeRow, Wording

_NAMES: Final = {
    Purpose.PROMOTIONAL_EMAIL: "Promotional e-mail",
    Purpose.OPEN_TRACKING: "Measuring whether e-mails are opened",
    Purpose.PAUSE: "Pausing promotional e-mail",
    Purpose.FREQUENCY: "How often promotional e-mail comes",
    Purpose.LANGUAGE: "The language of pages and e-mails",
}


def wording(session: Session, purpose: Purpose, language: str, text: str) -> Shown:
    """Give the stored form of the exact *text* shown for *purpose*, storing it the first time."""
    digest = sha256(text.encode()).digest()
    query = select(Wording.id).where(
        Wording.purpose == purpose, Wording.language == language, Wording.sha256 == digest
    )
    found = session.scalar(query)
    if found is None:
        _know(session, purpose)
        session.execute(
            dialects.insert(session, Wording)
            .values(purpose=purpose, language=language, text=text, sha256=digest)
            # Two first readers of one page at once: one stores it, both find it.
            .on_conflict_do_nothing()
        )
        found = session.execute(query).scalar_one()
    return Shown(found, digest)


def wording_text(session: Session, wording_id: int) -> str | None:
    """Give the words of one wording, for a person's export; None for an unknown id."""
    return session.scalar(select(Wording.text).where(Wording.id == wording_id))


def _know(session: Session, purpose: Purpose) -> None:
    session.execute(
        dialects.insert(session, PurposeRow)
        .values(slug=purpose, name=_NAMES[purpose])
        .on_conflict_do_nothing()
    )
