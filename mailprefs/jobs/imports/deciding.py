"""The only statement of what an import may do to whom. Pure: nothing is read or written.

No yes is ever made of a no: whoever unsubscribed, complained, bounced or was erased is kept out, by
reason. What is known of people is updated, what they chose never. Somebody who signed up and never
confirmed has chosen nothing yet, and counts as unknown.

A no is taken from any file: from one of people who left, and from a line that says so in a column
of its own. It is noted once more where the person's own click said it here: the click can be taken
back, and what the file said can't be taken back with it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mailprefs.jobs.imports.people import Person
from mailprefs.policy import AddressOrigin, MessageClass, SubscriptionState, SuppressionReason
from mailprefs.schema.imports import ImportedAs

# The first that applies is the one that is told.
_ORDER: Final = (
    SuppressionReason.ERASED,
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.COMPLAINED,
    SuppressionReason.HARD_BOUNCE,
    SuppressionReason.INVALID,
)
_REASONS: Final = {
    ImportedAs.UNSUBSCRIBED: SuppressionReason.UNSUBSCRIBED,
    ImportedAs.BOUNCED: SuppressionReason.HARD_BOUNCE,
    ImportedAs.COMPLAINED: SuppressionReason.COMPLAINED,
}

_NO_REASON: Final = frozenset[SuppressionReason]()
_NO_CLICK: Final[Mapping[int | None, str]] = MappingProxyType({})


class Terms(NamedTuple):
    """What a file says of the people in it, and about which topic."""

    imported_as: ImportedAs
    topic_id: int
    message_class: MessageClass


class Known(NamedTuple):
    """What the database holds of one person, and where they stand with the topic.

    A language that the person has chosen themselves isn't a file's to change.
    """

    id: int
    address_origin: str
    first_name: str | None
    last_name: str | None
    language: str | None
    region: str | None
    zone: str | None
    attributes: dict[str, Any]
    state: str | None
    has_chosen_language: bool = False


class Standing(NamedTuple):
    """What the database holds of a slice's people, by address hash.

    ``clicked``: the noes that people said here themselves, by recipient id, and then by topic
    (None: all promotions), in the ledger's word; whoever has none isn't in it.
    """

    known: Mapping[bytes, Known]
    suppressed: Mapping[bytes, frozenset[SuppressionReason]]
    clicked: Mapping[int, Mapping[int | None, str]] = MappingProxyType({})


class Choice(NamedTuple):
    """A subscription that an import sets: whose, from which state (None: no row), to which.

    ``recipient_id``: None for a person who is added by the same slice.
    """

    address_hash: bytes
    recipient_id: int | None
    old: SubscriptionState | None
    new: SubscriptionState


class Leaver(NamedTuple):
    """Who ended all promotional mail, as in ``Choice``; ``said``: the no that is in force already.

    That is the person's own, as the ledger has it; None where there was none, or nobody's word.
    """

    address_hash: bytes
    recipient_id: int | None
    said: str | None


class _Before(NamedTuple):
    """What the database holds of one person: ``Standing``, looked up."""

    known: Known | None
    reasons: frozenset[SuppressionReason]
    clicked: Mapping[int | None, str]


@dataclass(slots=True)
class Counts:
    """What became of the rows of a file; every row is in one of these."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate_in_file: int = 0
    refused: int = 0
    kept_out: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """Give the number of rows: the sum of all the others."""
        return (
            self.added
            + self.updated
            + self.unchanged
            + self.duplicate_in_file
            + self.refused
            + self.kept_out.total()
        )

    def plus(self, other: "Counts") -> "Counts":
        """Give the sum of two parts of a file."""
        return Counts(
            self.added + other.added,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.duplicate_in_file + other.duplicate_in_file,
            self.refused + other.refused,
            self.kept_out + other.kept_out,
        )

    def document(self) -> dict[str, Any]:
        """Give the counts as JSON holds them."""
        return {
            "rows": self.rows,
            "added": self.added,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "duplicate_in_file": self.duplicate_in_file,
            "kept_out": dict(sorted(self.kept_out.items())),
            "refused": self.refused,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Counts":
        """Give the counts that ``document`` wrote."""
        said = {name: document[name] for name in document if name not in {"rows", "kept_out"}}
        return cls(**said, kept_out=Counter(document.get("kept_out", {})))


@dataclass(slots=True)
class Changes:
    """What a slice changes: new people, new values of known ones, choices, suppressions.

    ``left``: who ended all promotional mail; an address that is nobody's is suppressed without.
    """

    counts: Counts = field(default_factory=Counts)
    added: list[Person] = field(default_factory=list)
    updated: list[Known] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    left: list[Leaver] = field(default_factory=list)
    suppressed: list[tuple[bytes, SuppressionReason]] = field(default_factory=list)


def decide(people: Iterable[Person], standing: Standing, terms: Terms) -> Changes:
    """Say what becomes of each of *people*, no two of whom are the same, given how they stand."""
    changes = Changes()
    brings_a_no = terms.imported_as in _REASONS
    for person in people:
        known = standing.known.get(person.address_hash)
        reasons = standing.suppressed.get(person.address_hash, _NO_REASON)
        clicked = standing.clicked.get(known.id, _NO_CLICK) if known else _NO_CLICK
        before = _Before(known, reasons, clicked)
        if brings_a_no:
            _take_no(changes, person, before, terms)
        elif person.says_no:
            _take_own_no(changes, person, before, terms)
        else:
            _take_yes(changes, person, before, terms)
    return changes


def _take_yes(changes: Changes, person: Person, before: _Before, terms: Terms) -> None:
    """Add or update one person, and subscribe them unless they ever said no."""
    known = before.known
    asks = terms.message_class.needs_subscription
    reason = _kept_out(known, before.reasons, terms.message_class)
    if known is None:
        if reason:
            changes.counts.kept_out[reason] += 1
            return
        changes.counts.added += 1
        changes.added.append(person)
        if asks:
            changes.choices.append(_choice(person, None, SubscriptionState.SUBSCRIBED))
        return
    merged = _merged(known, person)
    if merged is not None:
        changes.updated.append(merged)
    if reason:
        changes.counts.kept_out[reason] += 1
        return
    subscribes = asks and known.state != SubscriptionState.SUBSCRIBED
    if subscribes:
        changes.choices.append(_choice(person, known, SubscriptionState.SUBSCRIBED))
    if subscribes or merged is not None:
        changes.counts.updated += 1
    else:
        changes.counts.unchanged += 1


def _take_own_no(changes: Changes, person: Person, before: _Before, terms: Terms) -> None:
    """Note the no of a line in a file of people who agreed: it holds, and it adds nobody.

    Whom we know counts as updated if that changes anything, everybody else as kept out.
    """
    told = SuppressionReason(person.says_no or "")
    kept_out = _kept_out(before.known, before.reasons, terms.message_class) or told
    can_leave = terms.message_class.needs_subscription
    if can_leave and SuppressionReason.ERASED not in before.reasons:
        is_new = _note_no(changes, person, before, terms.topic_id, told)
        if is_new and before.known:
            changes.counts.updated += 1
            return
    changes.counts.kept_out[kept_out] += 1


def _take_no(changes: Changes, person: Person, before: _Before, terms: Terms) -> None:
    """Take one line of a file of people who left, complained or bounced.

    Only who unsubscribed is added; an address alone is kept as a hash.
    """
    counts, reason = changes.counts, _REASONS[terms.imported_as]
    if SuppressionReason.ERASED in before.reasons:
        counts.kept_out[SuppressionReason.ERASED] += 1
        return
    is_new = _note_no(changes, person, before, terms.topic_id, reason)
    counts.unchanged += not is_new
    if before.known is not None:
        counts.updated += is_new
        return
    counts.added += is_new
    if is_new and reason is SuppressionReason.UNSUBSCRIBED:
        changes.added.append(person)
        changes.choices.append(_choice(person, None, SubscriptionState.UNSUBSCRIBED))
        changes.left.append(Leaver(person.address_hash, None, None))


def _note_no(
    changes: Changes, person: Person, before: _Before, topic_id: int, reason: SuppressionReason
) -> bool:
    """Note what a no changes for an address and for whom we know by it; tell whether it does."""
    known, clicked = before.known, before.clicked
    is_new = reason not in before.reasons
    if is_new:
        changes.suppressed.append((person.address_hash, reason))
    if known is None or reason is not SuppressionReason.UNSUBSCRIBED:
        return is_new
    if is_new or None in clicked:
        said = None if is_new else clicked[None]
        changes.left.append(Leaver(person.address_hash, known.id, said))
        is_new = True
    if known.state != SubscriptionState.UNSUBSCRIBED or topic_id in clicked:
        changes.choices.append(_choice(person, known, SubscriptionState.UNSUBSCRIBED))
        is_new = True
    return is_new


def _kept_out(
    known: Known | None, reasons: frozenset[SuppressionReason], message_class: MessageClass
) -> str | None:
    """Give why a person isn't imported for messages of a class; None if nothing is in the way."""
    if not reasons and (known is None or known.state is None):
        return None
    honoured = {reason for reason in reasons if reason.scope in message_class.honoured_scopes}
    if (
        known is not None
        and known.state == SubscriptionState.UNSUBSCRIBED
        and message_class.needs_subscription
    ):
        honoured.add(SuppressionReason.UNSUBSCRIBED)
    return next((reason.value for reason in _ORDER if reason in honoured), None)


def _choice(person: Person, known: Known | None, new: SubscriptionState) -> Choice:
    if known is None:
        return Choice(person.address_hash, None, None, new)
    old = SubscriptionState(known.state) if known.state else None
    return Choice(person.address_hash, known.id, old, new)


def _merged(known: Known, person: Person) -> Known | None:
    """Give what is known with what the file says put over it; None if that changes nothing."""
    attributes = known.attributes
    if any(attributes.get(name) != value for name, value in person.attributes):
        attributes = attributes | dict(person.attributes)
    merged = known._replace(
        address_origin=(
            AddressOrigin.IMPORTED.value
            if known.address_origin == AddressOrigin.UNCONFIRMED
            else known.address_origin
        ),
        first_name=person.first_name or known.first_name,
        last_name=person.last_name or known.last_name,
        language=known.language if known.has_chosen_language else person.language or known.language,
        region=person.region or known.region,
        zone=person.zone or known.zone,
        attributes=attributes,
    )
    return None if merged == known else merged
