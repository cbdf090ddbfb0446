"""Which campaigns have a public page, and at which address; what it shows stands in ``archive``.

The address is the same for everybody and stands in the message itself, so it never changes: not
with a new subject, nor when the page is withdrawn and published again.
"""

import re
import secrets
import unicodedata
from typing import Final

from sqlalchemy.orm import Session

from mailprefs.errors import BadInput
from mailprefs.schema.campaigns import Publication
from mailprefs.schema.people import Topic

PATH: Final = "/archive"
_WORDS: Final = 50
_END: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_TAGS: Final = re.compile(r"\{[{%].*?[}%]\}")
_NOT_EVERYBODYS: Final = (
    "Only promotional messages can have a public page: an administrative one is meant for those "
    "who get it."
)


def is_public(session: Session, campaign_id: int) -> bool:
    """Tell whether the staff chose a public page for a campaign, begun or not."""
    found = session.get(Publication, campaign_id)
    return found is not None and found.is_public


def slug_for(session: Session, campaign_id: int | None, subject: str) -> str:
    """Give the last part of a campaign's address: the one that it has, else a new one."""
    found = session.get(Publication, campaign_id) if campaign_id is not None else None
    return found.slug if found else _new_slug(subject)


def url(base_url: str, topic_slug: str, slug: str) -> str:
    """Give the address of a campaign's public page."""
    return f"{base_url}{PATH}/{topic_slug}/{slug}"


def choose(session: Session, campaign_id: int, slug: str, *, public: bool) -> None:
    """Store whether a campaign has a public page; one that never had any needs no row."""
    found = session.get(Publication, campaign_id)
    if found is not None:
        found.is_public = public
    elif public:
        session.add(Publication(campaign_id=campaign_id, slug=slug, is_public=True))
    session.flush()


def check_class(topic: Topic) -> None:
    """Let a promotional topic's campaigns be published.

    :raises BadInput: for an administrative one.
    """
    if not topic.message_class.may_be_public:
        raise BadInput(_NOT_EVERYBODYS)


def _new_slug(subject: str) -> str:
    """Give some words of a subject, and an end that nobody guesses: 40 bits.

    So neither can two campaigns meet, nor is a page found before or after its time.
    """
    text = unicodedata.normalize("NFKD", _TAGS.sub(" ", subject)).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_WORDS].strip("-")
    end = "".join(secrets.choice(_END) for _ in range(8))
    return f"{words}-{end}" if words else end
