"""The rules of each message class: pure values, no input and no output.

A message is promotional or administrative, for ever. What each class needs before it may be sent,
and what it carries, is stated here once and asked everywhere else.
"""

from enum import StrEnum


class MessageClass(StrEnum):
    """What kind of mail a topic, a sender and a campaign are; promotional is the default."""

    PROMOTIONAL = "promotional"
    ADMINISTRATIVE = "administrative"

    @property
    def needs_subscription(self) -> bool:
        """Tell whether a person must have subscribed to the topic to receive it."""
        return self is MessageClass.PROMOTIONAL

    @property
    def needs_second_person(self) -> bool:
        """Tell whether a bulk send needs the approval of somebody who did not write it."""
        return self is MessageClass.ADMINISTRATIVE

    @property
    def carries_unsubscribe(self) -> bool:
        """Tell whether each message carries RFC 8058 headers and a visible unsubscribe link."""
        return self is MessageClass.PROMOTIONAL

    @property
    def may_be_public(self) -> bool:
        """Tell whether everybody may read a message on a page; a notice is for those who get it."""
        return self is MessageClass.PROMOTIONAL

    @property
    def may_be_measured(self) -> bool:
        """Tell whether a message of this class may carry the open pixel at all."""
        return self is MessageClass.PROMOTIONAL

    @property
    def honoured_scopes(self) -> tuple["Scope", ...]:
        """List the suppression scopes that keep a person out of this class."""
        if self is MessageClass.PROMOTIONAL:
            return (Scope.PROMOTIONAL, Scope.ALL)
        return (Scope.ALL,)


class Scope(StrEnum):
    """How far a suppression reaches."""

    PROMOTIONAL = "promotional"
    ALL = "all"


class LegalPurpose(StrEnum):
    """Why an administrative message may be sent without a subscription."""

    SECURITY = "security"
    ACCOUNT = "account"
    TRANSACTION = "transaction"
    LEGAL_NOTICE = "legal_notice"
    POLICY_CHANGE = "policy_change"


class SuppressionReason(StrEnum):
    """Why an address is not to be mailed."""

    UNSUBSCRIBED = "unsubscribed"
    COMPLAINED = "complained"
    HARD_BOUNCE = "hard_bounce"
    INVALID = "invalid"
    SOFT_BOUNCES = "soft_bounces"
    ERASED = "erased"

    @property
    def scope(self) -> Scope:
        """Give the scope this reason has: a no to promotions never stops administrative mail.

        Nor does a mailbox that is full or busy for a while: notices are still tried.
        """
        return Scope.PROMOTIONAL if self in _PROMOTIONAL_ONLY else Scope.ALL

    @property
    def can_be_lifted(self) -> bool:
        """Tell whether staff may lift it: what a mailbox said, never what its owner chose."""
        return self not in {SuppressionReason.UNSUBSCRIBED, SuppressionReason.ERASED}


class Skip(StrEnum):
    """Why somebody was kept out of a campaign, at the freeze or at the last check."""

    NOT_SUBSCRIBED = "not_subscribed"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    UNCONFIRMED = "unconfirmed"
    ERASED = "erased"
    CANCELLED = "cancelled"
    EMPTY_FIELD = "empty_field"
    NOT_ON_ALLOW_LIST = "not_on_allow_list"
    PAUSING = "pausing"
    TOO_FREQUENT = "too_frequent"
    TOLD = "told"


class Failure(StrEnum):
    """Why one delivery failed: the vendor refused it, or it couldn't be made ready at all."""

    REFUSED_ADDRESS = "refused_address"
    REFUSED_MESSAGE = "refused_message"
    BROKEN_MESSAGE = "broken_message"


class SubscriptionState(StrEnum):
    """Where a person stands with one topic."""

    PENDING = "pending"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"


class AddressOrigin(StrEnum):
    """How we came to know an address; a merely unconfirmed one gets only its confirmation mail."""

    CONFIRMED = "confirmed"
    IMPORTED = "imported"
    UNCONFIRMED = "unconfirmed"


class Choice(StrEnum):
    """What a person said to one purpose."""

    UNKNOWN = "unknown"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"

    @property
    def is_no(self) -> bool:
        """Tell whether the person said no, in whatever form: a no always counts as one."""
        return self in _NO


class Frequency(StrEnum):
    """How much promotional mail a person wants at most, of all topics together."""

    ANY = "any"
    WEEKLY = "weekly"


class LeavingReason(StrEnum):
    """Why somebody left, if they care to say; nothing that could say more of them than that."""

    TOO_MANY = "too_many"
    NOT_RELEVANT = "not_relevant"
    NEVER_SIGNED_UP = "never_signed_up"
    OTHER = "other"


class Purpose(StrEnum):
    """What a choice is about: the first two take a yes or a no, the others a word of their own."""

    PROMOTIONAL_EMAIL = "promotional_email"
    OPEN_TRACKING = "open_tracking"
    PAUSE = "pause"
    FREQUENCY = "frequency"
    LANGUAGE = "language"


class TrackingMode(StrEnum):
    """How far opens of one delivery may be measured; ordered from least to most."""

    OFF = "off"
    AGGREGATE = "aggregate"
    INDIVIDUAL = "individual"


class TrackingBasis(StrEnum):
    """On which ground a person of a region may be measured."""

    NOTICE = "notice"
    CONSENT = "consent"


# The European Economic Area, the United Kingdom and Switzerland ask for consent to a pixel
# (ePrivacy Directive article 5(3); CNIL 2026-042; UK PECR regulation 6; Swiss TCA article 45c).
CONSENT_REGIONS = frozenset(
    {
        *("AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR"),
        *("HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT"),
        *("RO", "SE", "SI", "SK"),
    }
)


def tracking_basis(region: str | None, unknown: TrackingBasis) -> TrackingBasis:
    """Give the ground for measuring a person of *region* (ISO 3166-1 alpha-2, or None)."""
    if region is None:
        return unknown
    return TrackingBasis.CONSENT if region in CONSENT_REGIONS else TrackingBasis.NOTICE


_PROMOTIONAL_ONLY = frozenset(
    {
        SuppressionReason.UNSUBSCRIBED,
        SuppressionReason.COMPLAINED,
        SuppressionReason.SOFT_BOUNCES,
    }
)
_NO = frozenset({Choice.REFUSED, Choice.WITHDRAWN, Choice.OBJECTED})
_WIDTH = {TrackingMode.OFF: 0, TrackingMode.AGGREGATE: 1, TrackingMode.INDIVIDUAL: 2}


def tracking_mode(
    choice: Choice, basis: TrackingBasis, *, ceiling: TrackingMode, unasked: TrackingMode
) -> TrackingMode:
    """Give how far one person's copy may be measured.

    A no is always a no. A yes, or silence where a notice is enough, gives the topic's *ceiling*;
    silence where consent is needed gives at most *unasked* (off, or a counter that names nobody).
    """
    if choice in _NO:
        return TrackingMode.OFF
    if choice is Choice.GRANTED or basis is TrackingBasis.NOTICE:
        return ceiling
    return min(ceiling, unasked, key=_WIDTH.__getitem__)


class Role(StrEnum):
    """What a member of staff may do."""

    DRAFT = "draft"
    SEND = "send"
    APPROVE = "approve"
    ANALYSE = "analyse"
    PRIVACY = "privacy"
    ADMIN = "admin"


class DataRequest(StrEnum):
    """What a person may ask about everything that is kept of them."""

    EXPORT = "export"
    ERASE = "erase"


class KeyScope(StrEnum):
    """What a company's own program may do with its key."""

    CHOICES = "choices"
    SUBSCRIBE = "subscribe"


class Source(StrEnum):
    """By which door a choice came in; stored in the consent ledger."""

    ONE_CLICK = "one_click"
    PAGE = "page"
    MAILTO = "mailto"
    PREFERENCES = "preference_page"
    SIGN_UP = "sign_up"
    IMPORT = "import"
    STAFF = "staff"
    API = "api"
    VENDOR = "vendor_event"
    SYSTEM = "system"
