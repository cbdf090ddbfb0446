"""`mailprefs instance`: what a copy says of itself, and how it becomes the live one."""

from contextlib import closing

from sqlalchemy import text

from tests.cli.conftest import ADMIN, Shell


def copy(people: Shell) -> None:
    """Make the installation look as if its database were another's."""
    with closing(people.db) as db, db.transaction() as session:
        session.execute(text("UPDATE instance SET name = 'of-another'"))


def test_a_copy_says_so_and_is_adopted_by_name(people: Shell) -> None:
    assert people.ask("instance", "show")["is_live"] is True
    copy(people)
    shown = people.ask("instance", "show")
    assert (shown["is_live"], "instance adopt" in shown["reason"]) == (False, True)
    assert "aren't of one installation" in people("doctor").out
    refused = people("instance", "adopt", "--as", ADMIN)
    assert refused.status != 0
    assert "--without-lists" in refused.err
    done = people.ask("instance", "adopt", "--without-lists", "--as", ADMIN)
    assert (done["unknown"], done["refusals"]) == (0, {})
    assert people.do("instance", "show") == "This is the live installation."


def test_refusals_of_the_journal_reach_the_older_database(people: Shell) -> None:
    with closing(people.db) as db, db.reading() as session:
        before = session.execute(text("SELECT refusals FROM instance")).scalar_one()
    people.do("recipient", "erase", "ada@example.org")
    people.do("subscription", "set", "grace@example.org", "news", "unsubscribed")
    with closing(people.db) as db, db.transaction() as session:
        session.execute(text("UPDATE instance SET refusals = :n"), {"n": before})
    done = people.ask("instance", "adopt", "--without-lists")
    assert done["refusals"] == {"erased": 1, "topic": 1}
    assert people("instance", "adopt", "--without-lists").status != 0


def test_it_takes_an_admin(people: Shell) -> None:
    copy(people)
    for command in ("adopt", "join"):
        assert people("instance", command, "--as", "ilse@example.com").status != 0
    assert people.ask("instance", "show")["is_live"] is False
