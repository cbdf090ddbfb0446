"""Whatever order and repetition the same events come in, the state is the same."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mailprefs.schema.events import (
    MailboxFact,
    MailboxTotal,
    SoftBounce,
    VendorEventRow,
)
from mailprefs.schema.opens import Measured
from mailprefs.schema.people import Subscription
from mailprefs.vendor.message import Event, VendorEvent
from tests.events.conftest import Mailed, mail
from tests.events.reported import apply, event
from tests.sending import NOW, check_measured

pytestmark = pytest.mark.faults

_HAPPENINGS: tuple[tuple[Event, dict[str, Any]], ...] = (
    (Event.QUEUED, {}),
    (Event.DEFERRED, {}),
    (Event.DELIVERED, {}),
    (Event.BOUNCED, {"type": "bounce", "status": "5.1.1"}),
    (Event.BOUNCED, {"type": "blocked", "status": "4.2.2"}),
    (Event.BOUNCED, {"type": "blocked", "reason": "content"}),
    (Event.REJECTED, {"reason": "bounced"}),
    (Event.REJECTED, {"reason": "unsubscribed"}),
    (Event.REJECTED, {"reason": "complained"}),
    (Event.REJECTED, {"reason": "invalid"}),
    (Event.COMPLAINED, {}),
    (Event.UNSUBSCRIBED, {}),
    (Event.SUBSCRIBED, {}),
    (Event.OPENED, {}),
    (Event.UNKNOWN, {}),
)


_TAKEN = _HAPPENINGS.index((Event.DELIVERED, {}))
_REFUSED = _HAPPENINGS.index((Event.BOUNCED, {"type": "blocked", "status": "4.2.2"}))


def state(mailed: Mailed) -> dict[str, list[tuple[Any, ...]]]:
    """Give what is in force for these people, by their places, and the sums.

    The proof of how it came to be is left out: the ledger tells in which order we heard of it.
    """
    place = {one: spot for spot, one in enumerate(itertools.chain(*mailed.sent))}
    campaigns = {ids[0] >> 32: spot for spot, ids in enumerate(mailed.sent)}
    with mailed.db.reading() as session:
        facts = session.execute(
            select(MailboxFact.delivery_id, MailboxFact.event, MailboxFact.occurred_at)
        )
        totals = session.execute(
            select(MailboxTotal.campaign_id, MailboxTotal.event, MailboxTotal.n)
        )
        stored = session.execute(select(VendorEventRow.delivery_id, VendorEventRow.kind))
        soft = session.execute(select(SoftBounce.delivery_id, SoftBounce.occurred_at))
        chosen = session.execute(
            select(Subscription.recipient_id, Subscription.topic_id, Subscription.state)
        )
        measured = session.execute(select(Measured.delivery_id, Measured.bits))
        return {
            "facts": sorted((place[one], *rest) for one, *rest in facts if one in place),
            "totals": sorted((campaigns[one], *n) for one, *n in totals if one in campaigns),
            "stored": sorted((place[one], kind) for one, kind in stored if one in place),
            "soft": sorted((place[one], at) for one, at in soft if one in place),
            "measured": sorted((place[one], bits) for one, bits in measured if one in place),
            "choices": sorted(
                (mailed.people.index(who), mailed.topic_ids.index(topic), kept)
                for who, topic, kept in chosen
                if who in mailed.people
            ),
            "suppressed": [
                (spot, one.reason, one.scope, one.source, one.created_at, place[one.delivery_id])
                for spot in range(len(mailed.people))
                for one in mailed.suppressed(spot)
                if one.delivery_id is not None
            ],
        }


@st.composite
def happenings(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    """Draw what happened: which campaign, to whom, what, and on which day."""
    one = st.tuples(
        st.integers(0, 5),
        st.integers(0, 2),
        st.integers(0, len(_HAPPENINGS) - 1),
        st.integers(0, 40),
    )
    return draw(st.lists(one, min_size=1, max_size=24, unique=True))


@st.composite
def refusals(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    """Draw a mailbox that refuses and takes mail, each delivery more than once."""
    one = st.tuples(
        st.integers(0, 3), st.just(0), st.sampled_from((_TAKEN, _REFUSED)), st.integers(0, 9)
    )
    return draw(st.lists(one, min_size=4, max_size=16, unique=True))


def as_event(mailed: Mailed, happened: tuple[int, int, int, int]) -> VendorEvent:
    campaign, who, what, day = happened
    kind, fields = _HAPPENINGS[what]
    # Two happenings of one kind on one day would be one event; each has a second of its own.
    return replace(event(mailed.sent[campaign][who], kind, days=day, seconds=what), **fields)


def copies(draw: Callable[..., list[int]], n: int) -> list[int]:
    """Draw an order of *n* events with some of them again, none left out."""
    again = draw(st.lists(st.integers(0, n - 1), max_size=n))
    return draw(st.permutations([*range(n), *again]))


@settings(
    max_examples=15,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_permutation_and_duplication_gives_the_same_state(
    mailed: Mailed, data: st.DataObject
) -> None:
    check_any_order(mailed, data, data.draw(happenings()))


@settings(
    max_examples=25,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_refusals_around_deliveries_give_the_same_state_in_any_order(
    mailed: Mailed, data: st.DataObject
) -> None:
    check_any_order(mailed, data, data.draw(refusals()))


def check_any_order(
    mailed: Mailed, data: st.DataObject, happened: list[tuple[int, int, int, int]]
) -> None:
    once, again = mail(mailed.db), mail(mailed.db)
    later = NOW + timedelta(days=50)
    apply(mailed.db, *(as_event(once, one) for one in happened), now=later)
    order, size = copies(data.draw, len(happened)), data.draw(st.integers(1, 9))
    for start in range(0, len(order), size):
        part = order[start : start + size]
        apply(mailed.db, *(as_event(again, happened[one]) for one in part), now=later)
    assert state(again) == state(once)
    assert sum(n for *_, n in state(once)["totals"]) == len(state(once)["facts"])
    check_measured(mailed.db)
