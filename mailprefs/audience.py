"""Who may get what: the only statement of it, asked by review, freeze and the last check.

``may_get`` is one SQL condition over ``recipients`` (and, for promotional mail, the person's
``subscriptions`` row for the topic). ``reason`` is made around the same condition, so it is NULL
exactly for those who may get the message, and *chosen* = eligible + everybody kept out, by reason.

Who is **chosen** in the first place:

* promotional: everybody who has ever been asked about the topic, that is, has a subscription row
  in any state. Those who left or never confirmed are kept out, with that reason.
* administrative in bulk: everybody we know.
* a single message of a standing campaign: the person it is addressed to.

Both conditions have places for the moment of asking; whoever runs a statement that is made of them
fills these by ``asked``. A pause and a frequency hold back promotional mail, and nothing else.

Of several notices of one policy version, each person gets one: whoever an earlier one reached, or
may have reached, is kept out of a later one. That is asked when it is frozen, and it is enough: a
later notice is made when the earlier ones have come to their end (``notices``).
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import (
    ColumnElement,
    Exists,
    Integer,
    ScalarSelect,
    Select,
    String,
    and_,
    bindparam,
    case,
    exists,
    func,
    null,
    or_,
    select,
)
from sqlalchemy.orm import QueryableAttribute, Session

from mailprefs.policy import (
    AddressOrigin,
    MessageClass,
    Skip,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.schema.base import UtcDateTime
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import Suppression
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, LastPromotion
from mailprefs.schema.events import MailboxFact
from mailprefs.schema.people import Recipient, Subscription

CONFIRMATIONS: Final = frozenset({"confirmation"})
"""Single messages that ask a person to confirm an address: all that an unconfirmed one gets."""
_TO_UNCONFIRMED: Final = CONFIRMATIONS | {"alarm", "inbound_mail"}
"""Besides, what is for the operator, at an address that they set: alarms, and mail to us."""
WEEK: Final = timedelta(days=6, hours=12)
"""How long after one campaign another reaches somebody who wants at most one message a week.

Half a day less than seven, or who wants a weekly newsletter weekly would miss every second issue:
an issue is frozen some minutes before the hour at which last week's went to them, and where summer
time begins an hour before it.
"""
_AT: Final = bindparam("asked_at", type_=UtcDateTime)
_WEEK_BEFORE: Final = bindparam("asked_week_before", type_=UtcDateTime)
_BY: Final = bindparam("asked_by", type_=Integer)
_ARRIVED: Final = "delivered"

Of = TypeVar("Of")


class Notice(NamedTuple):
    """A campaign that tells of a policy version."""

    policy_version_id: int
    campaign_id: int


class Audience(NamedTuple):
    """What of a campaign decides who may get it."""

    topic_id: int
    message_class: MessageClass
    template: str | None = None
    notice: Notice | None = None

    @property
    def needs_subscription(self) -> bool:
        """Tell whether the rule reads the person's subscription to the topic."""
        return self.message_class.needs_subscription


class Forecast(NamedTuple):
    """How many people a campaign would reach now; chosen = eligible + sum(kept_out)."""

    chosen: int
    eligible: int
    kept_out: dict[Skip, int]


def of(campaign: Campaign) -> Audience:
    """Give the audience of *campaign*."""
    version = campaign.policy_version_id
    notice = None if version is None else Notice(version, campaign.id)
    return Audience(campaign.topic_id, campaign.message_class, campaign.template, notice)


def asked(now: datetime, campaign_id: int = 0) -> dict[str, object]:
    """Give the values for the places in ``may_get`` and ``reason``: who asks, and when.

    A campaign is never in its own way: who gets at most one a week, and was in a claim of this very
    campaign, may be in another of it. 0: no campaign has claimed anybody yet.
    """
    return {
        "asked_at": now,
        "asked_week_before": now - WEEK,
        "asked_by": campaign_id,
    }


def eligible(audience: Audience, now: datetime) -> Select[int]:
    """Give the query for the ids of all recipients who may get a message to *audience*."""
    return chosen(audience).where(may_get(audience)).params(asked(now))


def chosen(audience: Audience) -> Select[int]:
    """Give the query for the ids of all recipients the campaign is meant for."""
    query = select(Recipient.id)
    if not audience.needs_subscription:
        return query
    return query.join(Subscription, subscribed_to(audience))


def subscribed_to(audience: Audience) -> ColumnElement[bool]:
    """Give the condition that joins a recipient's subscription row to this audience's topic."""
    return and_(
        Subscription.recipient_id == Recipient.id, Subscription.topic_id == audience.topic_id
    )


def may_get(audience: Audience) -> ColumnElement[bool]:
    """Give the rule itself: true for a person who may get the message now.

    Never true for a person whose row is gone: it may stand over outer joins.
    """
    conditions = [Recipient.id.is_not(None), ~_suppressed(audience)]
    if audience.template in CONFIRMATIONS:
        # Whoever was erased and signs up anew is asked; only their own answer ends the erasure's
        # hold on the address.
        but_erased = _suppressed(audience, besides=SuppressionReason.ERASED)
        conditions = [Recipient.id.is_not(None), ~but_erased]
    if audience.template not in _TO_UNCONFIRMED:
        conditions.append(Recipient.address_origin != AddressOrigin.UNCONFIRMED)
    if audience.needs_subscription:
        conditions.append(Subscription.state == SubscriptionState.SUBSCRIBED)
        conditions += [~_paused(), ~_has_had_enough()]
    if audience.notice is not None:
        conditions.append(~_told_before(audience.notice))
    return and_(*conditions)


def reason(audience: Audience) -> ColumnElement[str | None]:
    """Give why a person is kept out, as a ``Skip`` word; NULL for a person who may get it.

    Where several reasons hold, the one a person would name first: erased, told already, left,
    suppressed, never confirmed, never subscribed, paused, reached by another one within a week.
    """
    told = () if audience.notice is None else ((_told_before(audience.notice), Skip.TOLD.value),)
    left: ColumnElement[bool] = _suppressed(audience, SuppressionReason.UNSUBSCRIBED)
    later: list[tuple[ColumnElement[bool], str]] = []
    if audience.needs_subscription:
        left = or_(Subscription.state == SubscriptionState.UNSUBSCRIBED, left)
        is_subscribed = Subscription.state == SubscriptionState.SUBSCRIBED
        later = [
            (and_(is_subscribed, _paused()), Skip.PAUSING.value),
            (is_subscribed, Skip.TOO_FREQUENT.value),
        ]
    return case(
        (may_get(audience), null()),
        (
            or_(Recipient.id.is_(None), _suppressed(audience, SuppressionReason.ERASED)),
            Skip.ERASED.value,
        ),
        *told,
        (left, Skip.UNSUBSCRIBED.value),
        (_suppressed(audience), Skip.SUPPRESSED.value),
        (Recipient.address_origin == AddressOrigin.UNCONFIRMED, Skip.UNCONFIRMED.value),
        *later,
        else_=Skip.NOT_SUBSCRIBED.value,
    ).cast(String(24))


def batch_of(column: QueryableAttribute[Of]) -> ScalarSelect[Of]:
    """Give a column of the batch that a delivery is in; NULL while it is in none."""
    return (
        select(column)
        .where(Batch.campaign_id == Delivery.campaign_id, Batch.first_id <= Delivery.id)
        .order_by(Batch.first_id.desc())
        .limit(1)
        .correlate_except(Batch)
        .scalar_subquery()
    )


def came_back() -> ColumnElement[bool]:
    """Tell whether the mailbox of a delivery didn't take it, as far as was told."""
    return or_(
        has_fact("bounced"), has_fact("dropped"), and_(has_fact("blocked"), ~has_fact(_ARRIVED))
    )


def has_fact(event: str) -> Exists:
    """Tell whether something is known of a delivery."""
    return (
        exists()
        .where(MailboxFact.delivery_id == Delivery.id, MailboxFact.event == event)
        .correlate(Delivery)
    )


def complained() -> ColumnElement[bool]:
    """Give who marked a message as spam: notices are handed over for them, and dropped there.

    The vendor holds back all mail to such an address, whatever its class. It isn't asked to pass
    over that: more mail to people who complain costs the delivery of everybody else's.
    """
    return (
        exists()
        .where(
            Suppression.address_hash == Recipient.address_hash,
            Suppression.reason == SuppressionReason.COMPLAINED,
        )
        .correlate(Recipient)
    )


def why_not(audience: Audience, now: datetime) -> Select[str, int]:
    """Give the query for how many of the chosen are kept out, by reason."""
    kept_out = chosen(audience).add_columns(reason(audience).label("reason")).subquery()
    return (
        select(kept_out.c.reason, func.count())
        .where(kept_out.c.reason.is_not(None))
        .group_by(kept_out.c.reason)
        .params(asked(now))
    )


def forecast(session: Session, audience: Audience, now: datetime) -> Forecast:
    """Count whom a campaign to *audience* would reach if it were frozen now.

    One statement, so the numbers add up while people come and go.
    """
    people = chosen(audience).add_columns(reason(audience).label("reason")).subquery()
    query = select(people.c.reason, func.count()).group_by(people.c.reason)
    rows = session.execute(query, asked(now))
    counts: dict[str | None, int] = dict(rows.all())
    reached = counts.pop(None, 0)
    kept_out = {Skip(word): n for word, n in sorted(counts.items()) if word is not None}
    return Forecast(reached + sum(kept_out.values()), reached, kept_out)


def _told_before(notice: Notice) -> Exists:
    """Give whether an earlier notice of the same version reached the person, or may have."""
    return (
        select(Delivery.id)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(
            Campaign.policy_version_id == notice.policy_version_id,
            Campaign.id < notice.campaign_id,
            Delivery.recipient_id == Recipient.id,
            Delivery.idempotency_key.is_(None),
            Delivery.own_state.is_(None),
            batch_of(Batch.state) != BatchState.CANCELLED,
            ~came_back(),
        )
        # For each person by the index of campaign and person. PostgreSQL would rather join all
        # messages at once, and before it has statistics of them, that ran into its time limit.
        .offset(0)
        .correlate(Recipient)
        .exists()
    )


def _suppressed(
    audience: Audience,
    why: SuppressionReason | None = None,
    *,
    besides: SuppressionReason | None = None,
) -> Exists:
    """Give whether a suppression that this class honours stands against the person's address."""
    scopes = audience.message_class.honoured_scopes
    conditions = [
        Suppression.address_hash == Recipient.address_hash,
        # Not IN, whose text SQLAlchemy makes anew each time the statement runs.
        or_(*(Suppression.scope == scope for scope in scopes)),
    ]
    if why is not None:
        conditions.append(Suppression.reason == why)
    if besides is not None:
        conditions.append(Suppression.reason != besides)
    return exists().where(*conditions).correlate(Recipient)


def _paused() -> ColumnElement[bool]:
    """Give whether a pause of all promotional mail is on; NULL never, as nobody's is unknown."""
    return and_(Recipient.paused_until.is_not(None), Recipient.paused_until > _AT)


def _has_had_enough() -> ColumnElement[bool]:
    """Give whether another campaign has reached somebody this week who wants one a week.

    The column is asked first: it stands in the row that is read anyway, and is NULL for all others.
    """
    reached = exists().where(
        LastPromotion.recipient_id == Recipient.id,
        LastPromotion.at > _WEEK_BEFORE,
        LastPromotion.campaign_id != _BY,
    )
    return and_(Recipient.frequency.is_not(None), reached.correlate(Recipient))
