"""The policy in force, as text that can do nothing to its reader."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from mailprefs import consent
from mailprefs.db.database import Database
from mailprefs.schema.choices import PolicyState, PolicyVersion
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


def test_each_version_keeps_its_address_and_says_where_it_stands(
    client: FlaskClient, db: Database, clock: Clock
) -> None:
    publish(db, clock, "2026-1", "# Our policy\n\nWe keep orders for one year.", days=-30)
    publish(db, clock, "2026 2", "# Our policy\n\nWe keep orders for two years.")
    publish(db, clock, "2027-1", "# Our policy\n\nWe keep nothing.", days=30)
    page = client.get("/policy").text
    assert "We keep orders for two years." in page
    for address in ("/policy/2026-1", "/policy/2026%202", "/policy/2026%202/changes/2027-1"):
        assert f'href="{address}"' in page
    assert "former version 2026-1" in client.get("/policy/2026-1").text
    assert "in force since" in client.get("/policy/2026%202").text
    assert "isn’t in force yet" in client.get("/policy/2027-1").text
    clock.now += timedelta(days=31)
    assert "former version 2026 2" in client.get("/policy/2026%202").text
    assert client.get("/policy/none").status_code == 404
    assert client.get("/policy/none/changes/2026-1").status_code == 404


def test_what_changed_is_told_in_words_and_not_by_colour_alone(
    client: FlaskClient, db: Database, clock: Clock
) -> None:
    same = "\n\n".join(f"Sentence {n}." for n in range(9))
    publish(db, clock, "a", f"We keep orders for one year.\n\n{same}\n\nGone.", days=-2)
    publish(db, clock, "b", f"We keep orders for two years.\n\n{same}\n\n<b>New</b>", days=-1)
    page = client.get("/policy/a/changes/b").text
    assert '<span class="visually-hidden">(removed:) </span>one year.</del>' in page
    assert '<span class="visually-hidden">(added:) </span>two years.</ins>' in page
    for word in ("Changed", "Removed", "Added"):
        assert f'<p class="what">{word}</p>' in page
    assert "&lt;b&gt;New&lt;/b&gt;" in page
    assert "Passages that are the same: 7" in page
    assert "<script" not in page
    assert "Both texts say the same." in client.get("/policy/a/changes/a").text


def test_a_version_that_was_withdrawn_has_no_page(
    client: FlaskClient, db: Database, clock: Clock
) -> None:
    publish(db, clock, "a", "We keep orders.", days=-2)
    with db.transaction() as session:
        session.add(
            PolicyVersion(
                version="b",
                text="We sell orders.",
                sha256=b"",
                effective_from=clock.now,
                state=PolicyState.WITHDRAWN,
            )
        )
    assert client.get("/policy/b").status_code == 404
    assert "/policy/b" not in client.get("/policy").text
