"""What is kept for how long, and why: every table once, by a rule or for as long as a reason says.

The periods stand in ``mailprefs.periods``, where an operator's changes are read as well.
``docs/retention.md`` shows all of this, and a test compares the two.
"""

from typing import Final, NamedTuple

from mailprefs.events import soft
from mailprefs.jobs.retention import evidence, people, proof, sent
from mailprefs.jobs.retention.stepping import Way, rows_of
from mailprefs.policy import MessageClass
from mailprefs.schema.alarms import Alarm
from mailprefs.schema.choices import ReasonGiven, SuppressionLift
from mailprefs.schema.deliveries import LastPromotion
from mailprefs.schema.events import MalformedEvent, SoftBounce, VendorEventRow
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.legal import LegalHold
from mailprefs.schema.opens import SpoolPosition
from mailprefs.schema.people import SignUp
from mailprefs.schema.requests import DataRequestRow
from mailprefs.schema.sending import Presence
from mailprefs.schema.staff import SignInLink


class Rule(NamedTuple):
    """One rule: its name, of which tables, what is kept so long, what then, why, and how."""

    name: str
    tables: frozenset[str]
    what: str
    then: str
    why: str
    way: Way


def _rule(name: str, tables: str, what: str, then: str, why: str, way: Way) -> Rule:  # noqa: PLR0913, PLR0917 - a line of the table
    return Rule(name, frozenset(tables.split()), what, then, why, way)


RULES: Final = (
    _rule(
        "undecided",
        "undecided_opens",
        "the exact time of a fetch that looks like a person's",
        "deleted",
        "the vendor tells within three days when the message was delivered, and before that it "
        "isn't known whether a machine fetched it",
        evidence.undecided(),
    ),
    _rule(
        "evidence",
        "opens measured mailbox_facts open_retention",
        "delivery, kind and day of an open; whether a message was delivered, opened, loaded; from "
        "the first message of the campaign",
        "deleted",
        "a season can be compared with the same one a year ago, and with the month after",
        evidence.whole(),
    ),
    _rule(
        "details",
        "opens",
        "an open's minute, kind, reason, country, family of mail program",
        "delivery, kind and local day are left",
        "long enough to see why a fetch was judged as it was",
        evidence.details(),
    ),
    _rule(
        "links",
        "deliveries",
        "who got a promotional message, from the first message of its campaign, once it has ended",
        "the delivery is nobody's",
        "as long as the evidence of its opens, for a person's export and a late complaint",
        sent.links(MessageClass.PROMOTIONAL),
    ),
    _rule(
        "notices",
        "deliveries",
        "who got an administrative campaign, from its first message, once it has ended",
        "the delivery is nobody's",
        "proof that people were told, for as long as claims can usually be made",
        sent.links(MessageClass.ADMINISTRATIVE),
    ),
    _rule(
        "single_values",
        "single_values",
        "what stands in a message to one person, such as a link, once it is handed over",
        "deleted",
        "until nobody has to decide any more whether it goes again",
        sent.single_values(),
    ),
    _rule(
        "single_messages",
        "deliveries mailbox_facts",
        "who got a message of their own, what for, and what became of it in the mailbox",
        "the delivery is nobody's, and what it was for is gone",
        "as long as who got promotional mail",
        sent.single_messages(),
    ),
    _rule(
        "hand_overs",
        "hand_overs",
        "the vendor's own words about a request that it refused",
        "deleted; number of people, fields and times stay",
        "they may quote an address; which fields a vendor got stays on record",
        sent.hand_overs(),
    ),
    _rule(
        "vendor_events",
        "vendor_events",
        "an event of the vendor's webhook, which holds no address",
        "deleted; what it came to stays",
        "the vendor repeats its events for a day, and copies count once",
        rows_of(VendorEventRow, VendorEventRow.received_at, VendorEventRow.id),
    ),
    _rule(
        "malformed_events",
        "malformed_events",
        "why an event couldn't be read",
        "deleted",
        "as long as readable ones",
        rows_of(MalformedEvent, MalformedEvent.received_at, MalformedEvent.digest),
    ),
    _rule(
        "soft_bounces",
        "soft_bounces",
        "that a mailbox refused a message for now, unless its address is held back for that",
        "deleted",
        "twice as long as the rule that holds an address back looks at",
        rows_of(
            SoftBounce, SoftBounce.occurred_at, SoftBounce.delivery_id, unless=soft.is_in_force()
        ),
    ),
    _rule(
        "reconciliations",
        "reconciliations",
        "what a night's comparison with the vendor's lists came to",
        "deleted",
        "it names people by number whom the vendor holds back",
        proof.reconciliations(),
    ),
    _rule(
        "last_promotions",
        "last_promotions",
        "which campaign last reached somebody who wants one a week at most",
        "deleted",
        "after a week it holds nothing back",
        rows_of(LastPromotion, LastPromotion.at, LastPromotion.recipient_id),
    ),
    _rule(
        "reasons_given",
        "reasons_given",
        "that somebody has said why they left, and not what",
        "deleted",
        "they are asked only while their leaving can be undone",
        rows_of(ReasonGiven, ReasonGiven.left_at, ReasonGiven.recipient_id),
    ),
    _rule(
        "apple",
        "recipients",
        "the day on which Apple's privacy proxy last loaded a person's mail",
        "deleted",
        "people change their mail program",
        people.apple(),
    ),
    _rule(
        "unconfirmed",
        "recipients subscriptions",
        "an address that nobody confirmed, unless its owner said no to something",
        "deleted, with what it waits for",
        "whoever wanted it has found the mail by then, or may sign up again",
        people.unconfirmed(),
    ),
    _rule(
        "sign_ups",
        "sign_ups",
        "a topic that somebody asked for, and nobody confirmed",
        "deleted",
        "the link that confirms it is good for three days",
        rows_of(SignUp, SignUp.asked_at, SignUp.recipient_id),
    ),
    _rule(
        "ledger",
        "consent_entries",
        "choices of people who are gone, from the last one on",
        "made unreadable; the chain stays",
        "proof of consent and refusal, for as long as claims can usually be made",
        people.gone(),
    ),
    _rule(
        "lifts",
        "suppression_lifts",
        "that a suppression was lifted, by whom and why, unless the address is still on file",
        "deleted",
        "as the choices in the ledger; while the address is on file, an old entry of the "
        "vendor's list must not bring the suppression back",
        rows_of(
            SuppressionLift,
            SuppressionLift.lifted_at,
            SuppressionLift.id,
            unless=proof.is_on_file(),
        ),
    ),
    _rule(
        "import_refusals",
        "import_refusals",
        "which lines of an imported file were refused, and why, without what stood in them",
        "deleted; counts stay",
        "time to mend the file",
        proof.import_refusals(),
    ),
    _rule(
        "inbound",
        "inbound_mails",
        "a mail that somebody wrote to us, or an address reported as a child's; what it says goes "
        "earlier, when it is dealt with",
        "deleted",
        "a month to answer it, as the law gives for questions about somebody's data",
        rows_of(InboundRow, InboundRow.received_at, InboundRow.id),
    ),
    _rule(
        "data_requests",
        "data_requests",
        "that somebody asked for their data or to be erased, and when they used the link for it",
        "deleted",
        "to show that they were answered, as long as who got a message of their own",
        rows_of(DataRequestRow, DataRequestRow.asked_at, DataRequestRow.nonce_hash),
    ),
    _rule(
        "disclosures",
        "disclosures",
        "whose data was disclosed to an authority or a company, where it was one person's",
        "the entry is nobody's; to whom, what, when and why stay",
        "as the choices in the ledger: to answer whoever asks where their data went",
        proof.disclosures(),
    ),
    _rule(
        "legal_holds",
        "legal_holds",
        "a legal hold, from when it was lifted",
        "deleted; the audit stays",
        "proof of why something was kept, for as long as claims can usually be made",
        rows_of(LegalHold, LegalHold.lifted_at, LegalHold.id),
    ),
    _rule(
        "sign_in_links",
        "sign_in_links",
        "a link that signed staff in, or expired",
        "deleted",
        "it does nothing any more",
        rows_of(SignInLink, SignInLink.expires_at, SignInLink.nonce_hash),
    ),
    _rule(
        "alarms",
        "alarms",
        "an alarm, from when it was over",
        "deleted",
        "to see what comes back every year",
        rows_of(Alarm, Alarm.cleared_at, Alarm.id),
    ),
    _rule(
        "positions",
        "spool_positions",
        "how far a file of pixel hits was counted, once nothing reads it",
        "deleted",
        "longer than any campaign is recorded: no hit before the position counts again",
        rows_of(SpoolPosition, SpoolPosition.updated_at, SpoolPosition.segment),
    ),
    _rule(
        "presences",
        "presences",
        "that a process was at work",
        "deleted",
        "whoever is at work says so every few seconds",
        rows_of(Presence, Presence.seen_at, Presence.owner),
    ),
)
"""Every rule, in the order in which they are applied."""

STAYS: Final = {
    "recipients": "while the person is on file: until they are erased",
    "subscriptions": "with the person",
    "deliveries": "number, campaign and state of a message that is nobody's any more: for counts",
    "suppressions": "a keyed hash, so that nobody is mailed again who must not be",
    "erasures": "what an erasure removed, for whoever asks; it names nobody",
    "silenced_deliveries": "the number of a message that is never counted, whoever restores what",
    "consent_entries": "hash and time of every entry, or the chain would prove nothing; all of it "
    "while the person is on file",
    "disclosures": "to whom which fields of how many people went, when, on what ground and why",
    "consent_head": "where the ledger ends",
    "ledger_checks": "how far the ledger is checked",
    "policy_versions": "every text that anybody ever agreed under",
    "policy_lapses": "for what consent was asked anew, and how far that is",
    "purposes": "what people are asked about",
    "wordings": "the words that people saw when choosing: proof, and nobody's",
    "attributes": "which fields there are",
    "senders": "the company's own",
    "topics": "the company's own",
    "campaigns": "what was sent, when and by whom: the company's own",
    "contents": "what was sent: the company's own",
    "publications": "which messages everybody may read, and where: the company's own",
    "kept_out": "sums",
    "batches": "which messages went together: numbers",
    "hand_overs": "when which fields of how many people went to which vendor",
    "open_rollup": "sums that name nobody",
    "loads": "sums that name nobody",
    "measured_totals": "sums that name nobody",
    "mailbox_totals": "sums that name nobody",
    "leaving_reasons": "sums that name nobody, under the rule of small numbers",
    "releases": "sums that name nobody, under the rule of small numbers",
    "open_retention": "how far the evidence of a campaign is reduced",
    "imports": "where people of the ledger agreed: proof, with counts and without their data",
    "staff": "the names of those whose acts stand in the audit; their access ends at once",
    "staff_roles": "with the member of staff",
    "api_keys": "which programs could do what, and until when: the company's own",
    "audit_entries": "who did what; it names no recipient but by number, and is never changed",
    "send_counts": "the present hour and day",
    "call_pace": "the vendor's present pace",
    "instance": "by what the installation knows itself",
    "instance_machines": "by what the installation knows itself",
    "vendor_pace": "the vendor's present pace",
    "turns": "when a piece of work was last begun",
}
"""What stays of a table, and why; a table with a rule as well loses what the rule says."""
