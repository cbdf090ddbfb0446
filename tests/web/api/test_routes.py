"""The API: the same objects as the console, for signed-in staff, with errors as JSON."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailprefs.app import create_app
from mailprefs.campaigns import shown
from mailprefs.deliveries import presence
from mailprefs.policy import Role
from mailprefs.schema.sending import SendCount
from mailprefs.web.parts import Parts
from tests.factories import make_topic
from tests.sending import freeze_all, make_due, make_people
from tests.web.staff.browsing import BASE, Browser


def test_a_campaign_is_the_object_that_the_console_prints(
    browser: Browser, parts: Parts, number: int
) -> None:
    browser.sign_in_as(Role.ANALYSE)
    response = browser.get(f"/api/campaigns/{number}")
    assert response.status_code == 200
    with parts.db.reading() as session:
        assert response.json == shown.overview(session, number, now=parts.clock()).as_json()
    assert {"id", "state", "message_class", "chosen", "kept_out", "frozen", "sent", "skipped",
            "failed", "unknown", "pending", "mailbox"} <= set(response.json or {})  # fmt: skip


@pytest.mark.parametrize("path", ["/api/campaigns/{0}", "/api/campaigns"])
def test_a_limit_that_holds_a_campaign_up_is_its_cause(parts: Parts, path: str) -> None:
    given = parts.settings.model_copy(update={"send_limits": "3/day"})
    later = datetime.now(UTC) + timedelta(minutes=3)
    with parts.db.transaction() as session:
        topic = make_topic(session)
        make_people(session, topic, 2)
        number = make_due(session, topic)
    freeze_all(parts.db)
    with parts.db.transaction() as session:
        presence.seen(session, "here:1")
        at = {"turn_at": later, "hour_at": later, "day_at": later}
        session.add(SendCount(name="all", turn_n=3, hour_n=3, day_n=3, **at))
    limited = replace(parts, settings=given, clock=lambda: later)
    browser = Browser(create_app(limited), limited)
    browser.sign_in_as(Role.ANALYSE)
    told = browser.get(path.format(number)).json or {}
    (one,) = told.get("campaigns", [told])
    assert "The limit of 3 recipients a day is reached" in one["stalled"]


def test_the_list_holds_every_campaign(browser: Browser, number: int) -> None:
    browser.sign_in_as(Role.DRAFT)
    answer = browser.get("/api/campaigns").json
    assert answer
    assert [one["name"] for one in answer["campaigns"]] == ["Spring letter"]


@pytest.mark.parametrize("path", ["/api/campaigns/404", "/api/campaigns/404/report"])
def test_an_unknown_campaign_is_told_as_json(browser: Browser, path: str) -> None:
    browser.sign_in_as(Role.ANALYSE)
    response = browser.get(path)
    assert response.status_code == 404
    assert response.json == {
        "error": "There is no campaign 404. `mailprefs campaign list` shows those there are."
    }


def test_errors_are_json_for_everybody(browser: Browser, number: int) -> None:
    nobody = browser.get(f"/api/campaigns/{number}")
    assert nobody.status_code == 401
    assert nobody.is_json
    browser.sign_in_as(Role.PRIVACY)
    refused = browser.get(f"/api/campaigns/{number}")
    assert refused.status_code == 403
    assert refused.json
    assert "role" in refused.json["error"]
    lost = browser.get("/api/nonesuch")
    assert lost.status_code == 404
    assert lost.is_json
    wrong = browser.client.post("/api/campaigns", base_url=BASE)
    assert wrong.status_code == 405
    assert wrong.is_json
