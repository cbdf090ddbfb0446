"""The kinds of alarm, and what a person who reads one has to know: words, no behaviour."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class AlarmKind(StrEnum):
    """What can stand in the way of the sending."""

    SENDING_STOPPED = "sending_stopped"
    BREAKER_OPEN = "breaker_open"
    CAMPAIGN_STALLED = "campaign_stalled"
    UNKNOWN_WAITING = "unknown_waiting"
    SCHEDULE_MISSED = "schedule_missed"
    WEBHOOK_SILENT = "webhook_silent"
    VENDOR_TRACKING = "vendor_tracking"
    EVENTS_SET_ASIDE = "events_set_aside"
    LISTS_NOT_COMPARED = "lists_not_compared"
    LEDGER_BROKEN = "ledger_broken"
    ERASURE_WAITS = "erasure_waits"
    INBOUND_NOT_FORWARDED = "inbound_not_forwarded"
    IS_A_COPY = "is_a_copy"
    SPOOL_FILLING = "spool_filling"
    DISK_FILLING = "disk_filling"
    HEADS_NOT_KEPT = "heads_not_kept"

    @property
    def of_machine(self) -> bool:
        """Tell whether it is about one machine, which only that machine can see."""
        return self in _OF_MACHINE

    @property
    def advice(self) -> "Advice":
        """Give what to know and to do about it."""
        return ADVICE[self]


class Advice(NamedTuple):
    """What to know of one kind: its name, what is safe meanwhile, what to do, and the command."""

    title: str
    safe: str
    todo: str
    command: str

    @property
    def anchor(self) -> str:
        """Give the place of its entry in ``docs/runbook.md``."""
        return self.title.lower().replace(" ", "-")


RUNBOOK: Final = "docs/runbook.md"
_OF_MACHINE: Final = frozenset(
    {AlarmKind.SPOOL_FILLING, AlarmKind.DISK_FILLING, AlarmKind.HEADS_NOT_KEPT}
)

ADVICE: Final = MappingProxyType(
    {
        AlarmKind.SENDING_STOPPED: Advice(
            "All sending is stopped",
            "Nothing is lost and nobody gets anything twice: all wait in the ledger. Links, "
            "unsubscribing and counting go on.",
            "Mend what the reason names (key, sender identity, credits), then let the sending "
            "go on.",
            "mailprefs sending start",
        ),
        AlarmKind.BREAKER_OPEN: Advice(
            "The vendor answers unclearly",
            "Nothing is sent but a small probe now and then; it goes on by itself as soon as a "
            "probe is accepted.",
            "Look at the vendor's status page. Wait, unless the network between you and the "
            "vendor is to blame.",
            "mailprefs sending show",
        ),
        AlarmKind.CAMPAIGN_STALLED: Advice(
            "A campaign does not move",
            "Whoever was sent the message has it once, all others wait; it goes on from there.",
            "The sentence names the cause. If no worker runs, start the service or a worker.",
            "mailprefs worker",
        ),
        AlarmKind.UNKNOWN_WAITING: Advice(
            "Unknown deliveries wait for a decision",
            "These people may have the message or not. Nothing is sent to them again by itself.",
            "Decide: accept that some may lack it, or send again and accept that some get it "
            "twice.",
            "mailprefs campaign unknown ID",
        ),
        AlarmKind.SCHEDULE_MISSED: Advice(
            "A campaign missed its time",
            "Nothing of it was sent. It waits for a person, because its moment may be over.",
            "Let it go now, or cancel it.",
            "mailprefs campaign resume ID",
        ),
        AlarmKind.WEBHOOK_SILENT: Advice(
            "The webhook is silent",
            "Sending goes on. Bounces and complaints aren't known here meanwhile; the vendor "
            "repeats its events for 24 hours, so nothing is lost if it is mended within that time.",
            "Check the webhook at the vendor: address, signature and key. The doctor compares "
            "them with the settings.",
            "mailprefs doctor",
        ),
        AlarmKind.VENDOR_TRACKING: Advice(
            "The vendor is tracking",
            "No open or click that the vendor reports is ever counted here. But readers are "
            "measured against the policy, and links may be rewritten.",
            "Switch open and click tracking off in the vendor's account, for all its users.",
            "mailprefs doctor",
        ),
        AlarmKind.EVENTS_SET_ASIDE: Advice(
            "Events are set aside",
            "All other events are stored and applied; those set aside change nothing.",
            "Compare the webhook's settings at the vendor, and update mailprefs if the vendor "
            "has a new kind of event.",
            "mailprefs doctor",
        ),
        AlarmKind.LISTS_NOT_COMPARED: Advice(
            "Suppression lists not compared",
            "Bounces, complaints and unsubscribes that the webhook reports are applied as ever. "
            "One that never came is made up for by the next comparison.",
            "Give the key access to the vendor's suppressions, or wait until the vendor answers; "
            "then compare once by hand.",
            "mailprefs reconcile",
        ),
        AlarmKind.LEDGER_BROKEN: Advice(
            "The consent ledger is broken",
            "Sending and choices go on by the current state, which the ledger only proves. What "
            "the entries from the named one on prove is in doubt.",
            "Change nothing. Copy the database, check it against every head that was kept, and "
            "compare it with the last good backup.",
            "mailprefs ledger verify",
        ),
        AlarmKind.ERASURE_WAITS: Advice(
            "An erasure waits",
            "The person is gone from every table, and gets no mail. What waits is the vendor's "
            "copy, or cleaning the database's files; both are tried again by themselves.",
            "The sentence names the cause. Give the key access to the vendor's erasure, or end "
            "what reads from the database for hours.",
            "mailprefs doctor",
        ),
        AlarmKind.INBOUND_NOT_FORWARDED: Advice(
            "Inbound mail is not passed on",
            "No mail is lost: each stands on the staff pages under Inbound for 30 days. Whoever "
            "left by mail has left.",
            "Read them there (role privacy), and mend what kept them from the contact's address.",
            "mailprefs doctor",
        ),
        AlarmKind.IS_A_COPY: Advice(
            "This is a copy",
            "Nothing is sent from here, so nobody gets anything twice and nobody who left gets "
            "anything. Links, pages and unsubscribing work.",
            "If this is to be the live installation, adopt it: refusals since the backup are "
            "applied, and what may have been sent becomes unknown. Else switch it off.",
            "mailprefs instance show",
        ),
        AlarmKind.SPOOL_FILLING: Advice(
            "The spool fills",
            "The pixel answers and unsubscribing works. Hits that don't fit any more are not "
            "counted, and nothing else suffers.",
            "Hits wait on disk until they are counted: see that the service runs on that machine "
            "and reaches its database.",
            "mailprefs doctor",
        ),
        AlarmKind.DISK_FILLING: Advice(
            "The disk fills",
            "Everything works until it is full. Then choices of people answer 503 instead of "
            "a false yes, and sending waits.",
            "Make room on that machine, or move the data directory to a larger disk.",
            "mailprefs doctor",
        ),
        AlarmKind.HEADS_NOT_KEPT: Advice(
            "Heads of the ledger are not kept",
            "The ledger goes on, and heads that were kept before are as good as ever. Nothing "
            "outside the database proves what is added meanwhile.",
            "Let the service's user write to the file in MAILPREFS_LEDGER_HEADS on that machine.",
            "mailprefs ledger head",
        ),
    }
)
