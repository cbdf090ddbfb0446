"""Under which name each column of a person's rows is told, or why it isn't.

Tables and columns come from the schema: whatever is marked as personal has to stand here, with all
other columns of its table, and ``collect`` refuses a table that doesn't. ``tests/walks`` names the
column that is missing.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from mailprefs.languages import gettext_noop

# Why something that is stored isn't shown. English in the JSON, in the person's language in HTML.
YOURS: Final = gettext_noop(
    "It only says that a row is about you: your number, or a message’s, stands in it already."
)
KEYED: Final = gettext_noop(
    "A keyed hash of your address: by it we recognise the address without storing it in readable "
    "form. It stays after an erasure, so that nobody adds you again."
)
SECRET: Final = gettext_noop(
    "A check sum, or the random numbers behind it: it says nothing about you, and shown to others "
    "it would weaken the proof or open your links."
)
IN_MAIL: Final = gettext_noop(
    "What was filled into one message, links included: you have it in that message. It is deleted "
    "a few days after."
)
OF_STAFF: Final = gettext_noop("Who of our staff it was: that is about them.")
SEALED: Final = gettext_noop(
    "What an erasure that is under way still needs, encrypted; it goes as soon as it is done."
)
BY_LAW: Final = gettext_noop(
    "Whether the law makes us keep data or give it to authorities: we may have to say nothing "
    "about it, so it is shown to nobody here. Write to us if you want to know."
)
INTERNAL: Final = gettext_noop("A number of ours that only keeps rows apart.")


class Field(NamedTuple):
    """A column's name in the JSON, its label on the page, and how its value is read (``READ``)."""

    key: str
    label: str
    read: str = ""


class Told(NamedTuple):
    """How a table's rows are told: *key* in the JSON, *title* on the page, and its columns.

    Every column is either in *fields* or, with the reason, in *withheld*.
    """

    key: str
    title: str
    fields: Mapping[str, Field]
    withheld: Mapping[str, str]

    @property
    def is_silent(self) -> bool:
        """Tell whether some of it is kept from everybody alike, so that nobody can infer it."""
        return BY_LAW in self.withheld.values()


def _told(key: str, title: str, fields: Mapping[str, Field], **withheld: str) -> Told:
    return Told(key, title, fields, withheld)


MESSAGE_FIELD: Final = Field("message", gettext_noop("Message"), "message")
TOPIC: Final = Field("topic", gettext_noop("Topic"), "topic")
POLICY: Final = Field("policy_version", gettext_noop("Privacy policy, version"), "policy")
SOURCE: Final = Field("source", gettext_noop("How we know"), "word")
_REASON: Final = Field("reason", gettext_noop("Reason"), "word")
_WHY: Final = Field("reason", gettext_noop("Reason"))
_SINCE: Final = Field("since", gettext_noop("Since"))
_ASKED: Final = Field("asked_at", gettext_noop("Asked for"))
LANGUAGE: Final = Field("language", gettext_noop("In which language"))
WORDING: Final = Field("wording", gettext_noop("The words that you were shown"), "wording")
_KIND: Final = Field("kind", gettext_noop("What"), "word")
WHEN: Final = Field("at", gettext_noop("When"))
_COUNTRY: Final = Field("country", gettext_noop("Country"))
_HOW_JUDGED: Final = {
    "kind": Field("kind", gettext_noop("Loaded by"), "open_kind"),
    "reason": Field("reason", gettext_noop("Judged so because"), "open_reason"),
    "ruleset": Field("rules", gettext_noop("Rules that judged it, version")),
    "country": _COUNTRY,
    "client": Field("program", gettext_noop("Family of mail program"), "client"),
}

TABLES: Final[Mapping[str, Told]] = MappingProxyType(
    {
        "recipients": _told(
            "person",
            gettext_noop("You"),
            {
                "id": Field("number", gettext_noop("Your number with us")),
                "address": Field("address", gettext_noop("E-mail address")),
                "address_origin": Field(
                    "address_origin", gettext_noop("How we came to know the address"), "word"
                ),
                "first_name": Field("first_name", gettext_noop("First name")),
                "last_name": Field("last_name", gettext_noop("Last name")),
                "attributes": Field("attributes", gettext_noop("Other details")),
                "region": Field("region", gettext_noop("Country or region")),
                "language": LANGUAGE,
                "language_since": Field(
                    "language_chosen_at", gettext_noop("Language chosen by you")
                ),
                "zone": Field("time_zone", gettext_noop("Time zone")),
                "open_tracking": Field(
                    "open_tracking", gettext_noop("Measuring whether you open e-mails"), "word"
                ),
                "paused_until": Field(
                    "paused_until", gettext_noop("Promotional mail is paused until")
                ),
                "frequency": Field("frequency", gettext_noop("Promotional mail at most"), "word"),
                "apple_seen_on": Field(
                    "apple_proxy_seen_on",
                    gettext_noop("Your mail was loaded by Apple’s privacy proxy, last on"),
                ),
                "created_at": Field("known_since", gettext_noop("Known to us since")),
            },
            address_hash=KEYED,
            address_key_id=KEYED,
        ),
        "subscriptions": _told(
            "subscriptions",
            gettext_noop("What you are subscribed to, or not any more"),
            {
                "topic_id": TOPIC,
                "state": Field("state", gettext_noop("State"), "word"),
                "source": SOURCE,
                "since": _SINCE,
                "policy_version_id": POLICY,
            },
            recipient_id=YOURS,
        ),
        "sign_ups": _told(
            "sign_ups",
            gettext_noop("Sign-ups that wait for your confirmation"),
            {
                "topic_id": TOPIC,
                "asked_at": _ASKED,
                "source": SOURCE,
                "source_ref": Field("form", gettext_noop("Form or program")),
                "wording_id": WORDING,
                "language": LANGUAGE,
            },
            recipient_id=YOURS,
        ),
        "consent_entries": _told(
            "choices",
            gettext_noop("Every choice of yours that is on record"),
            {
                "seq": Field("entry", gettext_noop("Entry in the ledger")),
                "recorded_at": Field("recorded_at", gettext_noop("Recorded")),
                "payload": Field("", "", "choice"),
            },
            salt=SECRET,
            commitment=SECRET,
            entry_hash=SECRET,
            recipient_id=YOURS,
        ),
        "reasons_given": _told(
            "reasons_given",
            gettext_noop("That you told us why you left; which reason, we don’t know"),
            {"left_at": Field("left_at", gettext_noop("Left"))},
            recipient_id=YOURS,
        ),
        "suppressions": _told(
            "held_back",
            gettext_noop("Why mail to your address is held back"),
            {
                "reason": _REASON,
                "scope": Field("scope", gettext_noop("Mail that is held back"), "word"),
                "source": SOURCE,
                "delivery_id": MESSAGE_FIELD,
                "created_at": _SINCE,
            },
            id=INTERNAL,
            address_hash=KEYED,
            address_key_id=KEYED,
        ),
        "suppression_lifts": _told(
            "no_longer_held_back",
            gettext_noop("What no longer holds back mail to your address"),
            {
                "reason": _REASON,
                "source": SOURCE,
                "since": _SINCE,
                "lifted_at": Field("lifted_at", gettext_noop("Lifted")),
                "because": Field("because", gettext_noop("Because")),
            },
            id=INTERNAL,
            address_hash=KEYED,
            staff_id=OF_STAFF,
        ),
        "deliveries": _told(
            "messages",
            gettext_noop("Messages to you"),
            {
                "id": Field("", "", "delivery"),
                "campaign_id": Field("campaign", gettext_noop("Campaign"), "campaign"),
                "policy_version_id": POLICY,
                "own_state": Field("not_sent", gettext_noop("Not sent"), "word"),
                "own_reason": Field("not_sent_because", gettext_noop("Not sent because"), "word"),
                "idempotency_key": Field("key", gettext_noop("Sent once by this key")),
            },
            recipient_id=YOURS,
        ),
        "single_values": _told(
            "filled_in",
            gettext_noop("What was filled into messages to you alone"),
            {"delivery_id": MESSAGE_FIELD},
            values=IN_MAIL,
        ),
        "last_promotions": _told(
            "last_promotion",
            gettext_noop("Your last promotional message, as you want one a week at most"),
            {
                "campaign_id": Field("campaign", gettext_noop("Campaign"), "campaign"),
                "at": WHEN,
            },
            recipient_id=YOURS,
        ),
        "mailbox_facts": _told(
            "mailbox",
            gettext_noop("What became of messages at your mailbox"),
            {
                "delivery_id": MESSAGE_FIELD,
                "event": Field("event", gettext_noop("What happened"), "word"),
                "occurred_at": WHEN,
            },
        ),
        "vendor_events": _told(
            "vendor_events",
            gettext_noop("What the company that delivers our mail told us lately"),
            {
                "delivery_id": MESSAGE_FIELD,
                "kind": Field("event", gettext_noop("What happened"), "word"),
                "occurred_at": WHEN,
                "received_at": Field("told_at", gettext_noop("Told to us")),
                "event_id": Field("vendor_event", gettext_noop("Its number of the event")),
                "message_id": Field("vendor_message", gettext_noop("Its number of the message")),
                "status": Field("status", gettext_noop("The mailbox’s answer")),
                "classification": Field("classification", gettext_noop("Kind of answer")),
            },
            id=INTERNAL,
            natural_key=SECRET,
            hand_over_id=INTERNAL,
        ),
        "soft_bounces": _told(
            "refused_for_now",
            gettext_noop("Messages that your mailbox refused for the time being"),
            {"delivery_id": MESSAGE_FIELD, "occurred_at": WHEN},
            recipient_id=YOURS,
        ),
        "opens": _told(
            "opens",
            gettext_noop("Messages whose picture was loaded"),
            {
                "delivery_id": MESSAGE_FIELD,
                "first_seen_at": Field("first_at", gettext_noop("First")),
                **_HOW_JUDGED,
                "policy_version_id": POLICY,
            },
        ),
        "undecided_opens": _told(
            "opens_undecided",
            gettext_noop("Loaded pictures that are still being judged"),
            {"delivery_id": MESSAGE_FIELD, "at": WHEN, **_HOW_JUDGED},
        ),
        "measured": _told(
            "measured",
            gettext_noop("Messages of which we measure whether you open them"),
            {
                "delivery_id": MESSAGE_FIELD,
                "bits": Field("known", gettext_noop("Known so far"), "bits"),
            },
        ),
        "silenced_deliveries": _told(
            "never_measured",
            gettext_noop("Messages of which nothing is measured any more"),
            {"delivery_id": MESSAGE_FIELD},
        ),
        "inbound_mails": _told(
            "mail_to_us",
            gettext_noop("Mail to us in your name or with your link"),
            {
                "received_at": Field("received_at", gettext_noop("Received")),
                "wish": Field("wish", gettext_noop("Taken as"), "word"),
                "is_proven": Field("is_proven", gettext_noop("The sender’s domain vouched for it")),
                "sender": Field("sender", gettext_noop("From"), "own_mail"),
                "subject": Field("subject", gettext_noop("Subject"), "own_mail"),
                "body": Field("text", gettext_noop("Text"), "own_mail"),
                "attachments": Field("attachments", gettext_noop("Attachments"), "own_mail"),
                "link_id": Field("answer", gettext_noop("Message that answered it"), "message"),
                "handled_at": Field("handled_at", gettext_noop("Dealt with")),
            },
            id=INTERNAL,
            digest=SECRET,
            recipient_id=YOURS,
            sender_hash=KEYED,
            forward_id=INTERNAL,
            handled_by=OF_STAFF,
        ),
        "data_requests": _told(
            "requests",
            gettext_noop("Your requests about your data"),
            {
                "kind": _KIND,
                "asked_at": _ASKED,
                "expires_at": Field("expires_at", gettext_noop("The link ends")),
                "used_at": Field("used_at", gettext_noop("The link was used")),
            },
            nonce_hash=SECRET,
            recipient_id=YOURS,
        ),
        "disclosures": _told(
            "disclosures",
            gettext_noop("To whom else data about you was given"),
            {
                "at": WHEN,
                "to_whom": Field("to", gettext_noop("Given to")),
                "basis": Field("basis", gettext_noop("On which ground"), "word"),
                "fields": Field("fields", gettext_noop("Your details that went along")),
                "reason": _WHY,
            },
            id=INTERNAL,
            recipient_id=YOURS,
            n=INTERNAL,
            staff_id=OF_STAFF,
            sha256=BY_LAW,
        ),
        "legal_holds": _told(
            "legal_holds",
            gettext_noop("What the law makes us keep"),
            {},
            **dict.fromkeys(
                (
                    *("id", "address_hash", "address_key_id", "reason", "placed_at", "placed_by"),
                    *("erasure_asked_at", "erasure_source", "sealed"),
                    *("lifted_at", "lifted_by", "lifted_because"),
                ),
                BY_LAW,
            ),
        ),
        "erasures": _told(
            "erasures",
            gettext_noop("Earlier erasures of this address"),
            {
                "erased_at": Field("erased_at", gettext_noop("Erased")),
                "removed": Field("removed", gettext_noop("Rows removed")),
                "vendor_took_at": Field(
                    "vendor_took_at", gettext_noop("The company that delivers our mail was told")
                ),
                "cleaned_at": Field("cleaned_at", gettext_noop("Cleaned out of the files")),
            },
            id=INTERNAL,
            address_hash=KEYED,
            address_key_id=KEYED,
            number=SEALED,
            sealed=SEALED,
            calls=INTERNAL,
            call_at=INTERNAL,
            failure=INTERNAL,
        ),
    }
)
"""Every table that holds something of a person, in the order in which it is told."""
