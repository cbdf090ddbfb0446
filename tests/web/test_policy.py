"""The policy in force, as text that can do nothing to its reader."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from mailprefs import consent
from mailprefs.db.database import Database
from tests.web.conftest import Clock


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: which policy is in force is tested with the ledger, on both."""
    return sqlite_url


def publish(db: Database, clock: Clock, version: str, text: str, *, days: int = 0) -> None:
    with db.transaction() as session:
        begins = clock.now + timedelta(days=days)
        consent.publish_policy(session, version, text, now=clock.now, effective_from=begins)


def test_the_version_in_force_is_shown(client: FlaskClient, db: Database, clock: Clock) -> None:
    assert client.get("/policy").status_code == 404
    publish(
        db,
        clock,
        "2026-1",
        "# Our policy\n\nOne click *ends* it.\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    )
    publish(db, clock, "2027-1", "# A later policy", days=30)
    page = client.get("/policy").text
    assert "Version 2026-1, in force since 22 November 2026" in page
    assert "<em>ends</em>" in page
    assert "<table>" in page
    assert page.count("<h1") == 1
    clock.now += timedelta(days=31)
    assert "A later policy" in client.get("/policy").text


def test_a_policy_without_a_heading_gets_one(
    client: FlaskClient, db: Database, clock: Clock
) -> None:
    publish(db, clock, "1", "Just a sentence.")
    assert "<h1>Privacy policy</h1>" in client.get("/policy").text


def test_the_text_of_a_policy_runs_nothing(client: FlaskClient, db: Database, clock: Clock) -> None:
    publish(
        db, clock, "1", "<script>x</script>\n\n[here](javascript:alert(1)) <img src=x onerror=y>"
    )
    page = client.get("/policy").text
    assert "<script" not in page
    assert "<img src=x" not in page
    assert 'href="javascript' not in page
