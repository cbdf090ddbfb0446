"""What topic and sender put on every message, and which names its author may use."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from mailprefs.errors import BadInput
from mailprefs.languages import ENGLISH, find, gettext_noop
from mailprefs.policy import LegalPurpose, MessageClass
from mailprefs.rendering.merge import Vocabulary

UNSUBSCRIBE, PREFERENCES, MEASUREMENT = "unsubscribe_url", "preferences_url", "measurement_url"
PUBLIC_PAGE: Final = "archive_url"
"""The address of a message's public page, the same for everybody; only a published one has it."""
NEEDED: Final = {
    MessageClass.PROMOTIONAL: (
        UNSUBSCRIBE, PREFERENCES, MEASUREMENT, "policy_url", "postal_address",
    ),
    MessageClass.ADMINISTRATIVE: ("reason", PREFERENCES, "policy_url", "postal_address"),
}  # fmt: skip
_REFUSED: Final = {
    MessageClass.PROMOTIONAL: {
        "pixel": "the pixel is placed by mailprefs, for those who may be measured.",
        "reason": "it says why an administrative message comes; a promotional one comes because "
        "of a subscription, and its footer says so.",
    },
    MessageClass.ADMINISTRATIVE: {
        "pixel": "administrative messages are never measured.",
        UNSUBSCRIBE: "nobody can unsubscribe from administrative messages, so a link that says "
        "so would not be true; use {{ preferences_url }}.",
        MEASUREMENT: "administrative messages are never measured, so there is nothing to choose.",
        PUBLIC_PAGE: "administrative messages have no public page.",
    },
}
_NOT_PUBLIC: Final = (
    "this message has no public page; publish it (on its page, or mailprefs campaign publish), or "
    "take the tag out."
)
_REASONS: Final = {
    LegalPurpose.SECURITY: gettext_noop(
        "You get this message because it concerns the security of your account."
    ),
    LegalPurpose.ACCOUNT: gettext_noop(
        "You get this message because it is about your account with us."
    ),
    LegalPurpose.TRANSACTION: gettext_noop(
        "You get this message because it is about something that you ordered or asked us for."
    ),
    LegalPurpose.LEGAL_NOTICE: gettext_noop(
        "You get this message because the law asks us to tell you this."
    ),
    LegalPurpose.POLICY_CHANGE: gettext_noop(
        "You get this message because our privacy policy changes, and we promised to tell you."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What a topic and its sender put on every message: the same for all its readers.

    *contact* is an e-mail address or a URL; *purpose* is needed for administrative messages only;
    *language* is a BCP 47 tag; *public_page* the address of the message's, if it has one.
    """

    message_class: MessageClass
    sender_name: str
    topic_name: str
    postal_address: str
    policy_url: str
    contact: str
    purpose: LegalPurpose | None = None
    language: str = "en"
    public_page: str = ""


def vocabulary(
    letterhead: Letterhead,
    attributes: Collection[str] | None = None,
    links: Collection[str] = (),
) -> Vocabulary:
    """Give the names that the author of a message on this letterhead may use.

    *attributes* are the fields that exist, or None for any; *links* are addresses of this mail's
    own.

    :raises BadInput: if the letterhead lacks something that every message needs.
    """
    own = [PREFERENCES, *links]
    if letterhead.message_class.carries_unsubscribe:
        own += [UNSUBSCRIBE, MEASUREMENT]
    refused = _REFUSED[letterhead.message_class]
    if not letterhead.public_page:
        refused = {PUBLIC_PAGE: _NOT_PUBLIC, **refused}
    return Vocabulary(
        constants=_facts(letterhead),
        links=frozenset(own),
        refused=refused,
        attributes=attributes,
        administrative=letterhead.message_class is MessageClass.ADMINISTRATIVE,
    )


def without_links(known: Vocabulary, links: Collection[str], reason: str) -> Vocabulary:
    """Give *known* without some of its links, and the *reason* for who tries one."""
    return replace(
        known,
        links=frozenset(known.links) - frozenset(links),
        refused={**known.refused, **dict.fromkeys(links, reason)},
    )


def _facts(letterhead: Letterhead) -> dict[str, str]:
    """Give the constants of a letterhead by name."""
    _check(letterhead)
    name, contact = " ".join(letterhead.sender_name.split()), letterhead.contact.strip()
    address = [line.strip() for line in letterhead.postal_address.splitlines() if line.strip()]
    if address and name not in address[0]:
        address.insert(0, name)
    facts = {
        "sender_name": name,
        "topic_name": " ".join(letterhead.topic_name.split()),
        "postal_address": " · ".join(address),
        "policy_url": letterhead.policy_url,
        "contact": contact.removeprefix("mailto:"),
        "contact_url": contact if ":" in contact else f"mailto:{contact}",
        "language": letterhead.language,
    }
    if letterhead.public_page:
        facts[PUBLIC_PAGE] = letterhead.public_page
    if letterhead.purpose is not None:
        spoken = find(letterhead.language) or ENGLISH
        facts["reason"] = spoken.gettext(_REASONS[letterhead.purpose])
    return facts


def _check(letterhead: Letterhead) -> None:
    """Refuse what would leave a hole in every message; a missing postal address is for lint."""
    administrative = letterhead.message_class is MessageClass.ADMINISTRATIVE
    if administrative and letterhead.purpose is None:
        purposes = ", ".join(purpose.value for purpose in LegalPurpose)
        raise BadInput(f"An administrative message needs its legal purpose, one of {purposes}.")
    if not letterhead.sender_name.strip():
        raise BadInput("The sender has no name; give it the one that readers know.")
    if not letterhead.policy_url.startswith(("https://", "http://")):
        raise BadInput("The privacy policy has no address; every message links to it.")
    if not letterhead.contact.strip():
        raise BadInput("There is no contact; set MAILPREFS_CONTACT to an address that is read.")
