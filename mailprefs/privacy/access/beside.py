"""What is told beside the columns of a person's rows: choices, messages, hand-overs, acts."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from mailprefs.languages import gettext_noop
from mailprefs.privacy.access.telling import (
    INTERNAL,
    LANGUAGE,
    MESSAGE_FIELD,
    POLICY,
    SOURCE,
    TABLES,
    TOPIC,
    WHEN,
    YOURS,
    Field,
)

CHOICE: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "occurred_at": WHEN,
        "purpose": Field("purpose", gettext_noop("About"), "word"),
        "topic_id": TOPIC,
        "old": Field("before", gettext_noop("Before"), "word"),
        "new": Field("after", gettext_noop("After"), "word"),
        "source": SOURCE,
        "source_ref": Field("source_detail", gettext_noop("Where exactly")),
        "method": Field("method", gettext_noop("By"), "word"),
        "actor": Field("by", gettext_noop("Who"), "actor"),
        "delivery_id": MESSAGE_FIELD,
        "policy_version_id": POLICY,
        "wording": Field("wording", gettext_noop("The words that you were shown"), "wording"),
        "language": LANGUAGE,
        "request_id": Field("act", gettext_noop("Act that it was part of")),
    }
)
"""What an entry of the ledger says, field by field of ``consent.Entry``."""
CHOICE_WITHHELD: Final = MappingProxyType({"recipient_id": YOURS, "token_key_id": INTERNAL})

MESSAGE: Final = (
    MESSAGE_FIELD,
    Field("subject", gettext_noop("Subject, as it was written")),
    TOPIC,
    Field("class", gettext_noop("Kind of message"), "word"),
    Field("state", gettext_noop("State"), "word"),
)
"""What is told of a message beside the columns of its delivery."""

HAND_OVERS: Final = "hand_overs"
HAND_OVER: Final = (
    MESSAGE_FIELD,
    Field("vendor", gettext_noop("Handed to")),
    Field("at", gettext_noop("When")),
    Field("outcome", gettext_noop("What came of it"), "word"),
    Field("fields", gettext_noop("Your details that went along")),
    Field("opens", gettext_noop("Opens measured"), "word"),
)
"""What is told of a hand-over of a message to a vendor."""
HAND_OVERS_TITLE: Final = gettext_noop("To whom your details were handed, so that mail reaches you")


ACTS: Final = "looked_at"
ACT: Final = (
    Field("at", gettext_noop("When")),
    Field("act", gettext_noop("What"), "word"),
    Field("door", gettext_noop("By"), "word"),
)
"""What is told of something that our staff did with a person's data, from the audit."""
ACTS_TITLE: Final = gettext_noop("What our staff did with your data")
EXPORTED: Final = "recipient.exported"
ACTS_TOLD: Final = (
    "recipient.looked_up",
    EXPORTED,
    "choice.recorded",
    "suppression.released",
    "suppression.lifted_by_owner",
)
"""The acts that are told; which of our staff it was is about them."""


def titles() -> Mapping[str, str]:
    """Give the title of each kind of rows, by its name in the JSON."""
    own = {told.key: told.title for told in TABLES.values()}
    return own | {HAND_OVERS: HAND_OVERS_TITLE, ACTS: ACTS_TITLE}


def fields() -> Mapping[str, Sequence[Field]]:
    """Give the fields of each kind of rows, in the order in which they are told."""
    found: dict[str, Sequence[Field]] = {}
    beside = {"deliveries": MESSAGE, "consent_entries": tuple(CHOICE.values())}
    for name, told in TABLES.items():
        if not told.fields:
            continue
        own = [one for one in told.fields.values() if one.key]
        found[told.key] = (*beside.get(name, ()), *own)
        if name == "deliveries":
            found[HAND_OVERS] = HAND_OVER
    return found | {ACTS: ACT}
