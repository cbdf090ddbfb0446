"""`mailprefs retention run`: what each rule did, in words or as JSON."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta

from mailprefs.schema.people import Recipient
from tests.cli.conftest import Shell
from tests.factories import make_recipient


def test_it_says_what_it_did_and_does_it_once(shell: Shell) -> None:
    with closing(shell.db) as db, db.transaction() as session:
        make_recipient(session, apple_seen_on=datetime.now(UTC).date() - timedelta(days=62))
        make_recipient(session, apple_seen_on=datetime.now(UTC).date() - timedelta(days=58))
    done = shell.ask("retention", "run")
    assert done == {"undecided": 0, "deleted": 0, "reduced": 0, "apple": 1, "positions": 0}
    with closing(shell.db) as db, db.reading() as session:
        kept: list[date | None] = [one.apple_seen_on for one in session.query(Recipient)]
    assert sorted(one is None for one in kept) == [False, True]
    told = shell.do("retention", "run")
    assert [line.split()[0] for line in told.splitlines()] == ["0"] * 5
    assert "30 days" in told
    assert "13 months" in told
