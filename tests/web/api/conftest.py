"""Somebody who asks the API, and a campaign that there is something to say about."""

from datetime import timedelta

import pytest
from flask import Flask

from mailprefs.policy import LegalPurpose, MessageClass
from mailprefs.reports import releases
from mailprefs.reports.campaigns import find
from mailprefs.reports.cells import USUAL
from mailprefs.web.parts import Parts
from tests.factories import make_campaign, make_topic
from tests.reports.counting import (
    APPLE_LOADED,
    APPLE_OPENED,
    OPENED,
    SILENT,
    measured,
    rolled_up,
)
from tests.web.staff.browsing import Browser


@pytest.fixture
def browser(app: Flask, parts: Parts) -> Browser:
    return Browser(app, parts)


@pytest.fixture
def number(parts: Parts) -> int:
    """Store a campaign of three days ago whose numbers are released; give its id."""
    return sent(parts, "Spring letter", opened=152)


@pytest.fixture
def notice(parts: Parts) -> int:
    """Store an administrative campaign; give its id."""
    with parts.db.transaction() as session:
        topic = make_topic(session, "terms", MessageClass.ADMINISTRATIVE)
        campaign = make_campaign(
            session,
            topic,
            purpose=LegalPurpose.LEGAL_NOTICE,
            reason="The terms promise it.",
            first_hand_over_at=parts.clock() - timedelta(days=3),
        )
        return campaign.id


def sent(parts: Parts, name: str, *, opened: int) -> int:
    """Store a campaign that many of a thousand people opened, and release its numbers."""
    begun = parts.clock() - timedelta(days=3)
    with parts.db.transaction() as session:
        topic = make_topic(session)
        campaign = make_campaign(session, topic, name=name, first_hand_over_at=begun)
        bits = {SILENT: 501 - opened, OPENED: opened, APPLE_LOADED: 480, APPLE_OPENED: 20}
        measured(session, campaign.id, bits)
        day = begun.date().isoformat()
        rolled_up(session, campaign.id, "hour", {f"{day}T10": opened - 30, f"{day}T11": 50})
        rolled_up(session, campaign.id, "country", {"DE": opened // 2, "IS": 4})
        rolled_up(session, campaign.id, "client", {"2": opened // 2, "1": opened // 4, "0": 2})
    with parts.db.transaction() as session:
        found = find(session, campaign.id)
        assert releases.refresh(session, found, now=parts.clock(), rule=USUAL)
    return campaign.id
