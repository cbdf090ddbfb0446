"""Rows are a projection of the ledger: made anew from it, they are the same."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from mailprefs import consent, preferences, suppressions
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.errors import Conflict
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.run import run
from mailprefs.policy import Frequency, Purpose, Source, SubscriptionState, SuppressionReason
from mailprefs.preferences import Door
from mailprefs.preferences.rebuilding import Difference, differences, rebuild
from mailprefs.schema.imports import ImportedAs
from mailprefs.schema.people import Recipient
from tests.factories import HASHER, make_policy, make_recipient, make_topic
from tests.preferences.people import DAY, NOW, ONE_CLICK, PAGE

# All but a suppression's number, which is given anew.
ROWS = """
SELECT recipient_id, topic_id, state, source, since, policy_version_id FROM subscriptions
ORDER BY recipient_id, topic_id;
SELECT address_hash, address_key_id, scope, reason, source, delivery_id, created_at
FROM suppressions ORDER BY address_hash, reason;
SELECT id, open_tracking, paused_until, frequency, language, language_since
FROM recipients ORDER BY id;
SELECT delivery_id FROM silenced_deliveries ORDER BY delivery_id
""".split(";")
WIPE = (
    "DELETE FROM subscriptions",
    "DELETE FROM suppressions WHERE reason = 'unsubscribed' AND source <> 'import'",
    "UPDATE recipients SET open_tracking = 'unknown'",
    "UPDATE recipients SET paused_until = NULL, frequency = NULL",
    "UPDATE recipients SET language = NULL, language_since = NULL",
)


def rows(db: Database) -> list[list[tuple[object, ...]]]:
    with db.reading() as session:
        return [[tuple(row) for row in session.execute(text(query))] for query in ROWS]


def found(db: Database) -> list[Difference]:
    with db.reading() as session:
        return list(differences(session))


def take_back_last(session: Session, who: int, now: datetime) -> None:
    """Take back whatever the person did last."""
    history = consent.history(session, who)
    last = history[-1].entry.request_id if history else None
    preferences.take_back(session, who, last or "", PAGE, now=now, window=DAY)


def a_life(db: Database, seed: int) -> None:
    """Let ten people choose at random, by every door, for a while."""
    chance = random.Random(seed)
    with db.transaction() as session:
        make_policy(session)
        topics = [make_topic(session, slug).id for slug in ("news", "offers", "sport")]
        people = [make_recipient(session).id for _ in range(10)]
    staff = Door(Source.STAFF, "page", actor=CONSOLE)

    def ticks() -> dict[int, bool]:
        chosen = chance.sample(topics, chance.randint(0, 3))
        return {one: chance.random() < 0.6 for one in chosen}

    def act(session: Session, who: int, step: int) -> None:
        now = NOW + timedelta(hours=step)
        message = ONE_CLICK._replace(delivery_id=chance.choice([None, (1 << 32) + who]))
        some, state = ticks(), chance.choice(["subscribed", "unsubscribed"])
        acts: list[Callable[[], object]] = [
            lambda: preferences.set_topics(session, who, some, PAGE, now=now),
            lambda: preferences.opt_out_all(session, who, message, now=now),
            lambda: preferences.opt_out_topic(session, who, topics[0], message, now=now),
            lambda: preferences.undo(session, who, PAGE, now=now, window=DAY),
            lambda: preferences.keep_topics(session, who, topics[:2], PAGE, now=now),
            lambda: preferences.set_tracking(
                session, who, chance.choice([PAGE, staff]), granted=step % 2 == 0, now=now
            ),
            lambda: preferences.set_by_staff(
                session, who, "offers", SubscriptionState(state), CONSOLE, now=now
            ),
            lambda: preferences.set_pause(
                session, who, chance.choice([30, 90, None]), chance.choice([PAGE, staff]), now=now
            ),
            lambda: preferences.set_frequency(
                session, who, chance.choice(list(Frequency)), chance.choice([PAGE, staff]), now=now
            ),
            lambda: preferences.set_language(
                session, who, chance.choice(["de", "pt-BR"]), PAGE, now=now
            ),
            lambda: take_back_last(session, who, now),
        ]
        chance.choice(acts)()

    for step in range(80):
        try:
            with db.transaction(Gate.TAKING) as session:
                act(session, chance.choice(people), step)
        except Conflict:
            continue  # a yes over a no


@pytest.mark.parametrize("seed", range(4))
def test_rows_made_anew_from_the_ledger_are_the_same(db: Database, seed: int) -> None:
    a_life(db, seed)
    before = rows(db)
    assert found(db) == []
    assert len(before[0]) > 5
    with db.transaction(Gate.TAKING) as session:
        for statement in WIPE:
            session.execute(text(statement))
    assert rows(db) != before
    with db.transaction(Gate.TAKING) as session:
        assert rebuild(session) > 0
    assert rows(db) == before
    assert found(db) == []
    with db.transaction(Gate.TAKING) as session:
        assert rebuild(session) == 0


@pytest.mark.parametrize(
    ("change", "purpose", "has_topic"),
    [
        ("UPDATE subscriptions SET state = 'subscribed'", "promotional_email", True),
        ("UPDATE subscriptions SET source = 'staff'", "promotional_email", True),
        ("DELETE FROM subscriptions", "promotional_email", True),
        ("DELETE FROM suppressions", "promotional_email", False),
        ("UPDATE recipients SET open_tracking = 'granted' WHERE id = 1", "open_tracking", False),
        ("UPDATE recipients SET paused_until = NULL", "pause", False),
        ("UPDATE recipients SET frequency = NULL", "frequency", False),
        ("UPDATE recipients SET language = 'fr' WHERE id = 1", "language", False),
    ],
)
def test_a_row_that_was_changed_behind_the_ledgers_back_is_told_and_put_right(
    db: Database, change: str, purpose: str, *, has_topic: bool
) -> None:
    with db.transaction(Gate.TAKING) as session:
        make_policy(session)
        topic, ann = make_topic(session).id, make_recipient(session).id
        make_recipient(session)
        preferences.set_topics(session, ann, {topic: True}, PAGE, now=NOW)
        preferences.opt_out_all(session, ann, PAGE, now=NOW)
        preferences.set_tracking(session, ann, PAGE, granted=False, now=NOW)
        preferences.set_pause(session, ann, 30, PAGE, now=NOW)
        preferences.set_frequency(session, ann, Frequency.WEEKLY, PAGE, now=NOW)
        preferences.set_language(session, ann, "de", PAGE, now=NOW)
    before = rows(db)
    with db.transaction() as session:
        session.execute(text(change))
    told = found(db)
    assert [tuple(one) for one in told] == [(ann, purpose, topic if has_topic else None)]
    with db.transaction(Gate.TAKING) as session:
        assert rebuild(session) == 1
    assert rows(db) == before


def test_a_yes_without_an_entry_is_told_and_taken_away(db: Database) -> None:
    """Nobody is mailed on the strength of a row that the ledger knows nothing of."""
    with db.transaction() as session:
        policy, topic = make_policy(session), make_topic(session).id
        ann = make_recipient(session).id
        session.execute(
            text(
                "INSERT INTO subscriptions (recipient_id, topic_id, state, source, since,"
                " policy_version_id) VALUES (:who, :topic, 'subscribed', 'import', :now, :policy)"
            ),
            {"who": ann, "topic": topic, "now": "2026-11-22 09:30:00.000000", "policy": policy},
        )
    assert found(db) == [Difference(ann, Purpose.PROMOTIONAL_EMAIL, topic)]
    with db.transaction(Gate.TAKING) as session:
        rebuild(session)
    assert rows(db)[0] == []


@pytest.mark.parametrize("source", [Source.IMPORT, Source.API, Source.VENDOR])
def test_a_no_that_came_for_an_address_stays(db: Database, source: Source) -> None:
    """A file, another program or the vendor's list named it, maybe before it was anybody's."""
    with db.transaction() as session:
        make_policy(session)
        ann = session.get_one(Recipient, make_recipient(session).id)
        reason = SuppressionReason.UNSUBSCRIBED
        suppressions.add(session, ann.address_hash, 1, reason, source, now=NOW)
    assert found(db) == []
    with db.transaction(Gate.TAKING) as session:
        assert rebuild(session) == 0
    assert len(rows(db)[1]) == 1


@pytest.mark.parametrize("imported_as", list(ImportedAs))
def test_what_an_import_writes_stands_in_the_ledger_too(
    db: Database, tmp_path: Path, imported_as: ImportedAs
) -> None:
    """A second file meets people who chose in between: its rows and entries still agree."""
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "news")
        make_topic(session, "offers")
    imported(db, tmp_path, "news", ImportedAs.SUBSCRIBED)
    with db.transaction(Gate.TAKING) as session:
        preferences.set_topics(session, 1, {1: False, 2: True}, PAGE, now=NOW)
        preferences.opt_out_all(session, 2, ONE_CLICK, now=NOW)
    for slug in ("news", "offers"):
        imported(db, tmp_path, slug, imported_as)
    assert found(db) == []
    assert len(rows(db)[0]) >= 4


def imported(db: Database, folder: Path, slug: str, imported_as: ImportedAs) -> None:
    file = folder / f"{slug}-{imported_as}.csv"
    people = "".join(f"p{n}@example.com,{slug}\n" for n in range(4))
    file.write_text(f"email,first_name\n{people}")
    order = ImportOrder(topic=slug, source="A form of ours", imported_as=imported_as)
    run(db, file, order, hasher=HASHER, actor=CONSOLE, clock=lambda: NOW + DAY)
