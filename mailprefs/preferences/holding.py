"""What people hold before they choose: topics, an answer as a whole, what stands against mail."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from mailprefs import consent, subscriptions, suppressions
from mailprefs.consent import Recorded
from mailprefs.policy import Choice, MessageClass, Purpose, SubscriptionState, SuppressionReason
from mailprefs.preferences import wishes
from mailprefs.schema.people import Recipient
from mailprefs.subscriptions import Standing

PERSON: Final = "self"
"""How the ledger names the person, where they chose themselves."""
NOES: Final = frozenset(
    {SubscriptionState.UNSUBSCRIBED.value, *(choice.value for choice in Choice if choice.is_no)}
)
"""The words of the ledger that end something."""
_PROMOTIONAL_SCOPES: Final = MessageClass.PROMOTIONAL.honoured_scopes


class Held(NamedTuple):
    """What one person holds before a choice; ``topics`` has only those ever asked about."""

    person: Recipient
    topics: Mapping[int, Standing]
    promotional_ids: frozenset[int]
    promotional: Choice
    suppressed_by: frozenset[SuppressionReason]
    history: Sequence[Recorded]

    def of(self, purpose: Purpose, topic_id: int | None) -> str | None:
        """Give what one thing is now; None where the person was never asked or said nothing."""
        if topic_id is not None:
            standing = self.topics.get(topic_id)
            return standing.state if standing else None
        if purpose in wishes.WISHES:
            return wishes.of(self.person, purpose)
        if purpose is Purpose.OPEN_TRACKING:
            return self.person.open_tracking
        return self.promotional

    def gets(self, topic_id: int) -> bool:
        """Tell whether messages of a promotional topic come, given all that may hold them back."""
        standing = self.topics.get(topic_id)
        return (
            not any(reason.scope in _PROMOTIONAL_SCOPES for reason in self.suppressed_by)
            and standing is not None
            and standing.state is SubscriptionState.SUBSCRIBED
        )

    def subscribed(self) -> list[int]:
        """List the promotional topics that this person asked for, confirmed or not."""
        return self._in(SubscriptionState.SUBSCRIBED, SubscriptionState.PENDING)

    def unsubscribed(self) -> list[int]:
        """List the promotional topics that this person has left."""
        return self._in(SubscriptionState.UNSUBSCRIBED)

    def _in(self, *states: SubscriptionState) -> list[int]:
        return [
            topic_id
            for topic_id, standing in sorted(self.topics.items())
            if topic_id in self.promotional_ids and standing.state in states
        ]


def held(session: Session, person: Recipient) -> Held:
    """Give what one person holds."""
    return held_each(session, [person])[person.id]


def held_each(session: Session, people: Sequence[Recipient]) -> dict[int, Held]:
    """Give what each of some people holds, by their number."""
    ids = [person.id for person in people]
    reasons = suppressions.reasons_each(session, ids)
    topics = subscriptions.standings_each(session, ids)
    histories = consent.histories(session, ids)
    promotional_ids = subscriptions.promotional_ids(session)
    found = {}
    for person in people:
        history, against = histories.get(person.id, ()), reasons.get(person.id, frozenset())
        found[person.id] = Held(
            person=person,
            topics=topics.get(person.id, {}),
            promotional_ids=promotional_ids,
            promotional=_promotional(history, against),
            suppressed_by=against,
            history=history,
        )
    return found


def last_said(history: Sequence[Recorded]) -> dict[tuple[str, int | None], Recorded]:
    """Give the last entry about each thing, by purpose and topic, of a history in order."""
    return {(one.entry.purpose, one.entry.topic_id): one for one in history}


def own_noes(history: Sequence[Recorded]) -> dict[int | None, str]:
    """Give the noes to promotional mail that are the person's own last word, by topic.

    None stands for all promotional mail. Only these can be taken back by the page's undo.
    """
    return {
        one.entry.topic_id: one.entry.new
        for one in last_said(history).values()
        if one.entry.purpose == Purpose.PROMOTIONAL_EMAIL
        and one.entry.actor == PERSON
        and one.entry.new in NOES
    }


def _promotional(history: Sequence[Recorded], against: frozenset[SuppressionReason]) -> Choice:
    """Give the answer to promotional mail as a whole.

    The suppression decides; the ledger says in which words, where the person said it here.
    """
    recorded = last_said(history).get((Purpose.PROMOTIONAL_EMAIL, None))
    said = Choice(recorded.entry.new) if recorded else Choice.UNKNOWN
    if SuppressionReason.UNSUBSCRIBED in against:
        return said if said.is_no else Choice.WITHDRAWN
    return Choice.UNKNOWN if said.is_no else said
