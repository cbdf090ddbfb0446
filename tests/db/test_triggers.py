"""What must never change is refused by the database itself, whoever asks."""

import itertools
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mailprefs import audit, consent
from mailprefs.audit import CONSOLE
from mailprefs.consent import Entry
from mailprefs.db.database import Database
from mailprefs.policy import Purpose, Source
from mailprefs.schema.campaigns import CampaignState
from tests.factories import make_campaign, make_content, make_policy, make_topic

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ERASE = "UPDATE consent_entries SET salt = NULL, payload = NULL, recipient_id = NULL"
SECOND = " WHERE seq = 2"


def filled(db: Database) -> None:
    """Store three ledger entries and one of everything else that never changes."""
    with db.transaction() as session:
        make_policy(session, "2026-1")
        consent.wording(session, Purpose.PROMOTIONAL_EMAIL, "en", "Leave")
        entry = Entry(
            recipient_id=1,
            purpose=Purpose.PROMOTIONAL_EMAIL,
            topic_id=1,
            old=None,
            new="subscribed",
            source=Source.PAGE,
            policy_version_id=1,
            method="button",
            occurred_at=NOW,
        )
        consent.append(session, [entry] * 3, now=NOW)
        audit.record(session, CONSOLE, "topic.added", ("topic", 1), now=NOW)
        campaign = make_campaign(session, make_topic(session), state=CampaignState.DRAFT)
        make_content(session, campaign)


def run(db: Database, statement: str) -> None:
    with db.transaction() as session:
        session.execute(text(statement))


def everything(db: Database) -> list[list[tuple[object, ...]]]:
    tables = ("consent_entries", "audit_entries", "policy_versions", "wordings", "contents")
    with db.reading() as session:
        return [
            sorted(tuple(row) for row in session.execute(text(f"SELECT * FROM {table}")))  # noqa: S608 - the names above
            for table in tables
        ]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM consent_entries", "the consent ledger is append-only"),
        ("DELETE FROM consent_entries WHERE seq = 3", "the consent ledger is append-only"),
        ("UPDATE consent_entries SET payload = 'x' WHERE seq = 2", "may only be erased"),
        ("UPDATE consent_entries SET payload = NULL WHERE seq = 2", "may only be erased"),
        ("UPDATE consent_entries SET salt = NULL WHERE seq = 2", "may only be erased"),
        ("UPDATE consent_entries SET recipient_id = 2 WHERE seq = 2", "may only be erased"),
        ("UPDATE consent_entries SET recipient_id = NULL WHERE seq = 2", "may only be erased"),
        (ERASE + ", seq = 9 WHERE seq = 3", "may only be erased"),
        (
            ERASE + ", recorded_at = '2020-01-01 00:00:00'",
            "may only be erased",
        ),
        (ERASE + ", commitment = entry_hash", "may only be erased"),
        (ERASE + ", entry_hash = commitment", "may only be erased"),
        ("DELETE FROM audit_entries", "the audit is append-only"),
        ("UPDATE audit_entries SET reason = 'none'", "the audit is append-only"),
        ("DELETE FROM policy_versions", "kept for ever"),
        ("UPDATE policy_versions SET text = 'x'", "never changes"),
        ("UPDATE policy_versions SET sha256 = ''", "never changes"),
        ("UPDATE policy_versions SET version = 'x'", "never changes"),
        ("UPDATE wordings SET text = 'x'", "a wording never changes"),
        ("DELETE FROM wordings", "kept as proof"),
        ("UPDATE contents SET html = ''", "a content never changes"),
    ],
)
def test_it_is_refused_with_a_sentence(db: Database, statement: str, told: str) -> None:
    filled(db)
    before = everything(db)
    with pytest.raises(DBAPIError, match=told):
        run(db, statement)
    assert everything(db) == before


def test_erasing_an_entry_is_allowed_and_only_as_a_whole(db: Database) -> None:
    filled(db)
    run(db, ERASE + SECOND)
    with db.reading() as session:
        assert consent.verify(session) == 3
        assert [one.seq for one in consent.history(session, 1)] == [1, 3]


ERASED = ("salt", "payload", "recipient_id")
KEPT = {
    "seq": "seq + 100",
    "recorded_at": "'2020-01-01 00:00:00'",
    "commitment": "entry_hash",
    "entry_hash": "commitment",
}
PARTS = [some for n in (1, 2) for some in itertools.combinations(ERASED, n)]


@pytest.mark.parametrize("gone", PARTS, ids="-".join)
def test_no_part_of_an_entry_is_erased_without_the_rest(db: Database, gone: list[str]) -> None:
    filled(db)
    before = everything(db)
    parts = ", ".join(f"{name} = NULL" for name in gone)
    with pytest.raises(DBAPIError, match="may only be erased"):
        run(db, f"UPDATE consent_entries SET {parts} WHERE seq = 2")  # noqa: S608 - the names above
    assert everything(db) == before


@pytest.mark.parametrize("with_erasure", [False, True])
@pytest.mark.parametrize("seq", [1, 2, 3])
@pytest.mark.parametrize("column", KEPT)
def test_what_the_chain_is_made_of_never_changes(
    db: Database, column: str, seq: int, *, with_erasure: bool
) -> None:
    """Neither by itself nor along with an erasure, of a readable entry or of an erased one."""
    filled(db)
    run(db, ERASE + " WHERE seq = 3")
    before = everything(db)
    change = f"{column} = {KEPT[column]} WHERE seq = {seq}"
    start = f"{ERASE}, " if with_erasure else "UPDATE consent_entries SET "
    with pytest.raises(DBAPIError, match="may only be erased"):
        run(db, start + change)
    assert everything(db) == before


def test_no_entry_is_given_to_somebody_else_or_said_anew(db: Database) -> None:
    filled(db)
    before = everything(db)
    literal = "x'00'" if db.is_sqlite else "'\\x00'\\:\\:bytea"
    for values in (
        "recipient_id = 2",
        f"salt = {literal}, payload = '{{}}', recipient_id = 2",
        f"salt = {literal}, payload = NULL, recipient_id = NULL",
        "salt = NULL, payload = '', recipient_id = NULL",
    ):
        with pytest.raises(DBAPIError, match="may only be erased"):
            run(db, f"UPDATE consent_entries SET {values} WHERE seq = 2")  # noqa: S608 - as above
    assert everything(db) == before


def test_an_erased_entry_is_not_filled_again(db: Database) -> None:
    filled(db)
    run(db, ERASE + SECOND)
    with pytest.raises(DBAPIError, match="may only be erased"):
        run(db, "UPDATE consent_entries SET payload = '{}' WHERE seq = 2")


@pytest.mark.parametrize("seqs", [[5], [3], [0], [4, 6], [4, 5, 7]])
def test_entries_out_of_sequence_are_refused(db: Database, seqs: list[int]) -> None:
    """Before the head, after a gap, or with a gap among themselves."""
    filled(db)
    before = everything(db)
    with pytest.raises(DBAPIError, match=r"out of sequence|UNIQUE|duplicate key"):
        run(db, _insert(seqs))
    assert everything(db) == before


def test_entries_in_sequence_are_taken_in_one_statement_or_many(db: Database) -> None:
    filled(db)
    run(db, _insert([4]))
    run(db, _insert([5, 6, 7]))
    with db.reading() as session:
        newest = session.execute(text("SELECT max(seq) FROM consent_entries")).scalar_one()
    assert newest == 7


def test_the_first_entry_is_number_one(db: Database) -> None:
    with pytest.raises(DBAPIError, match="out of sequence"):
        run(db, _insert([2]))
    run(db, _insert([1]))


@pytest.mark.parametrize(
    "table", ["consent_entries", "audit_entries", "policy_versions", "wordings"]
)
@pytest.mark.postgresql
def test_no_table_of_proof_is_emptied_on_postgresql(postgresql_url: str, table: str) -> None:
    db = Database(postgresql_url)
    filled(db)
    with pytest.raises(DBAPIError, match=r"append-only|kept"):
        run(db, f"TRUNCATE {table} CASCADE")
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries",
        "REPLACE INTO consent_entries SELECT * FROM consent_entries WHERE seq = 3",
    ],
)
def test_nothing_is_replaced_on_sqlite(sqlite_url: str, statement: str) -> None:
    db = Database(sqlite_url)
    filled(db)
    before = everything(db)
    with pytest.raises(DBAPIError, match=r"append-only|out of sequence"):
        run(db, statement)
    assert everything(db) == before
    db.close()


def test_a_drafts_contents_may_go_and_a_started_campaigns_stay(db: Database) -> None:
    filled(db)
    before = everything(db)
    run(db, "UPDATE campaigns SET state = 'sending'")
    with pytest.raises(DBAPIError, match="keeps its contents"):
        run(db, "DELETE FROM contents")
    assert everything(db) == before
    run(db, "UPDATE campaigns SET state = 'draft'")
    run(db, "DELETE FROM contents")
    assert everything(db)[-1] == []


def _insert(seqs: list[int]) -> str:
    values = ", ".join(f"({seq}, '2026-11-22 09:30:00', '', '')" for seq in seqs)
    columns = "seq, recorded_at, commitment, entry_hash"
    return f"INSERT INTO consent_entries ({columns}) VALUES {values}"  # noqa: S608 - numbers of this file
