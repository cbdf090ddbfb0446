"""`mailprefs retention`: what each rule did, in words or as JSON, and what the rules are."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta

from mailprefs.periods import KNOWN
from mailprefs.schema.people import Recipient
from tests.cli.conftest import Shell
from tests.factories import make_recipient


def test_it_says_what_it_did_and_does_it_once(shell: Shell) -> None:
    with closing(shell.db) as db, db.transaction() as session:
        make_recipient(session, apple_seen_on=datetime.now(UTC).date() - timedelta(days=62))
        make_recipient(session, apple_seen_on=datetime.now(UTC).date() - timedelta(days=58))
    expected = dict.fromkeys(KNOWN, 0) | {"apple": 1}
    assert shell.ask("retention", "run", "--dry-run") == expected
    assert shell.ask("retention", "run") == expected
    with closing(shell.db) as db, db.reading() as session:
        kept: list[date | None] = [one.apple_seen_on for one in session.query(Recipient)]
    assert sorted(one is None for one in kept) == [False, True]
    told = shell.do("retention", "run")
    assert {line.split()[0] for line in told.splitlines()} == {"0"}
    assert "30 days" in told
    assert "13 months" in told


def test_the_rules_are_listed_with_the_reason_of_a_longer_period(shell: Shell) -> None:
    shell.set(RETENTION="details: 7 days; ledger: 60 months because our regulator asks for it")
    rules = {one["rule"]: one for one in shell.ask("retention", "show")}
    assert (rules["details"]["kept"], rules["details"]["longer_because"]) == ("7 days", None)
    assert rules["ledger"]["kept"] == "60 months"
    assert "longer than usual, because our regulator asks for it" in shell.do("retention", "show")


def test_a_longer_period_without_a_reason_stops_the_program(shell: Shell) -> None:
    shell.set(RETENTION="ledger: 60 months")
    refused = shell("retention", "show")
    assert refused.status == 2
    assert "MAILPREFS_RETENTION" in refused.err
    assert "say why" in refused.err
