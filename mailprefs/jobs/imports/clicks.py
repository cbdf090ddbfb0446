"""Which of a slice's people said no here themselves, by a click that they could take back."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from mailprefs.consent.ledger import history
from mailprefs.db import dialects
from mailprefs.jobs.imports.deciding import Standing
from mailprefs.policy import Source, SubscriptionState, SuppressionReason
from mailprefs.preferences.holding import own_noes
from mailprefs.schema.choices import Suppression
from mailprefs.schema.people import Recipient, Subscription

_NOT_THE_PERSON: Final = (Source.IMPORT, Source.STAFF, Source.API)


def still_in_force(
    session: Session, standing: Standing, topic_id: int
) -> dict[int, Mapping[int | None, str]]:
    """Give the noes that are people's own last word, by recipient id, and then by topic.

    None stands for all promotions; of topics only *topic_id* is sure to be there. The rows say who
    is worth a look into the ledger: a million people whom an earlier file brought as gone cost one
    statement a slice.
    """
    asked = [
        one.id
        for address_hash, one in standing.known.items()
        if one.state == SubscriptionState.UNSUBSCRIBED
        or SuppressionReason.UNSUBSCRIBED in standing.suppressed.get(address_hash, ())
    ]
    if not asked:
        return {}
    topic = exists().where(
        Subscription.recipient_id == Recipient.id,
        Subscription.topic_id == topic_id,
        Subscription.state == SubscriptionState.UNSUBSCRIBED,
        Subscription.source.not_in(_NOT_THE_PERSON),
    )
    everything = exists().where(
        Suppression.address_hash == Recipient.address_hash,
        Suppression.reason == SuppressionReason.UNSUBSCRIBED,
        Suppression.source.not_in(_NOT_THE_PERSON),
    )
    found = session.scalars(
        select(Recipient.id).where(
            dialects.among(session, Recipient.id, asked), or_(topic, everything)
        )
    ).all()
    own = {number: own_noes(history(session, number)) for number in found}
    return {number: noes for number, noes in own.items() if noes}
