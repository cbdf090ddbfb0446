"""The consent ledger: gap-free whoever writes, provable after erasure, and every change told."""

import hashlib
import json
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from mailprefs.consent.checking import verify
from mailprefs.consent.entries import GENESIS, Entry, Head, Shown, payload, read, rows
from mailprefs.consent.ledger import SLICE, append, forget, head, history, lock, store
from mailprefs.db.database import Database
from mailprefs.errors import LedgerBroken
from mailprefs.policy import Purpose, Source, SubscriptionState

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
DELETE = "DELETE FROM consent_entries WHERE "
ERASE = "UPDATE consent_entries SET salt = NULL, payload = NULL, recipient_id = NULL "


def entry(recipient_id: int = 1, **fields: object) -> Entry:
    left = Entry(
        recipient_id=recipient_id,
        purpose=Purpose.PROMOTIONAL_EMAIL,
        topic_id=7,
        old=SubscriptionState.SUBSCRIBED,
        new=SubscriptionState.UNSUBSCRIBED,
        source=Source.ONE_CLICK,
        policy_version_id=2,
        method="post_one_click",
        occurred_at=NOW,
    )
    return left._replace(**fields)  # type: ignore[arg-type]  # fields of many types


def filled(db: Database, count: int = 9) -> None:
    """Append entries of three people in turn: 1, 2, 3, 1, 2, 3, ..."""
    with db.transaction() as session:
        append(session, [entry(1 + number % 3) for number in range(count)], now=NOW)


def tampered(db: Database, statement: str) -> None:
    """Run a statement as somebody would who took the triggers away first."""
    with db.transaction() as session:
        table = "" if db.is_sqlite else " ON consent_entries"
        for event in ("update", "delete", "insert"):
            session.execute(text(f"DROP TRIGGER consent_entries_refuse_{event}{table}"))
        session.execute(text(statement))


def checked(db: Database, anchor: Head | None = None) -> int:
    with db.reading() as session:
        return verify(session, () if anchor is None else [anchor])


def test_a_payload_is_canonical_json_with_every_field(db: Database) -> None:
    """Written out by hand: whoever checks the ledger years from now has nothing else."""
    shown = Shown(4, bytes(range(32)))
    full = entry(
        12,
        actor="staff:3",
        delivery_id=(5 << 32) + 1,
        source_ref="import:9",
        wording=shown,
        language="de",
        token_key_id=2,
        request_id="5f",
        occurred_at=NOW.astimezone(timezone(timedelta(hours=1))),
    )
    expected = (
        '{"actor":"staff:3","delivery_id":21474836481,"language":"de","method":"post_one_click",'
        '"new":"unsubscribed","occurred_at":"2026-11-22T09:30:00.123456Z","old":"subscribed",'
        '"policy_version_id":2,"purpose":"promotional_email","recipient_id":12,"request_id":"5f",'
        '"source":"one_click","source_ref":"import:9","token_key_id":2,"topic_id":7,'
        '"wording_id":4,"wording_sha256":'
        '"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}'
    )
    assert payload(full) == expected
    with db.transaction() as session:
        append(session, [full], now=NOW)
    with db.reading() as session:
        (stored,) = history(session, 12)
    assert stored.entry == full
    assert stored.recorded_at == NOW


def test_a_field_that_is_none_is_left_out_and_read_back() -> None:
    bare = entry(3, topic_id=None, old=None)
    assert set(json.loads(payload(bare))) == {
        *("actor", "method", "new", "occurred_at", "policy_version_id", "purpose", "recipient_id"),
        "source",
    }
    assert read(payload(bare)) == bare


@pytest.mark.parametrize(
    "text", ['"recipient_id":0', "\x00\u2028é\U0001f600", "\\", '","source":"']
)
def test_any_text_in_a_field_survives(db: Database, text: str) -> None:
    with db.transaction() as session:
        append(session, [entry(5, source_ref=text), entry(6, method=text)], now=NOW)
    assert checked(db) == 2
    with db.reading() as session:
        assert history(session, 5)[0].entry.source_ref == text
        assert history(session, 6)[0].entry.method == text


def test_the_chain_can_be_recomputed_from_its_description(db: Database) -> None:
    """By hashlib alone, after the words at the top of entries.py."""
    filled(db, 3)
    previous = bytes(32)
    with db.reading() as session:
        for row in session.execute(text("SELECT * FROM consent_entries ORDER BY seq")).mappings():
            salt, said = bytes(row["salt"]), row["payload"]
            commitment = hashlib.sha256(salt + said.encode()).digest()
            place = row["seq"].to_bytes(8, "big") + (1795339800123456).to_bytes(8, "big")
            previous = hashlib.sha256(previous + place + commitment).digest()
            assert (bytes(row["commitment"]), bytes(row["entry_hash"])) == (commitment, previous)
            assert len(salt) == 16
        assert head(session) == Head(3, previous)


def test_equal_choices_have_unequal_commitments() -> None:
    """Without the salt, whoever knows what a payload may say could try it out after erasure."""
    first, second = rows([entry(), entry()], GENESIS, NOW)
    assert first.payload == second.payload
    assert first.commitment != second.commitment


def test_an_empty_ledger_verifies(db: Database) -> None:
    assert checked(db) == 0
    assert checked(db, GENESIS) == 0


def test_appending_nothing_changes_nothing(db: Database) -> None:
    with db.transaction() as session:
        assert append(session, [], now=NOW) == []
    assert checked(db) == 0


@pytest.mark.parametrize("count", [1, 19, 20, 1_000])
def test_a_slice_is_appended_in_order_however_it_is_written(db: Database, count: int) -> None:
    with db.transaction() as session:
        append(session, [entry()], now=NOW)
        seqs = append(session, [entry(n) for n in range(count)], now=NOW)
    assert seqs == list(range(2, count + 2))
    assert checked(db) == count + 1


def test_more_than_a_slice_is_refused_so_that_an_opt_out_never_waits_for_it(db: Database) -> None:
    with pytest.raises(ValueError, match="opt-outs waiting"), db.transaction() as session:
        append(session, [entry()] * (SLICE + 1), now=NOW)


def test_what_is_rolled_back_leaves_no_gap(db: Database) -> None:
    filled(db, 2)
    with suppress(LookupError), db.transaction() as session:
        append(session, [entry(), entry()], now=NOW)
        raise LookupError
    with db.transaction() as session:
        assert append(session, [entry()], now=NOW) == [3]
    assert checked(db) == 3


def test_one_person_sees_only_their_own_history_in_order(db: Database) -> None:
    filled(db)
    with db.reading() as session:
        assert [recorded.seq for recorded in history(session, 2)] == [2, 5, 8]
        assert {recorded.entry.recipient_id for recorded in history(session, 2)} == {2}
        assert history(session, 99) == []


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        ("SET seq = 50 WHERE seq = 5", 5),
        ("SET recorded_at = '2026-11-22 09:30:00.123457' WHERE seq = 5", 5),
        ("SET commitment = {other} WHERE seq = 5", 5),
        ("SET entry_hash = {other} WHERE seq = 5", 5),
        ("SET salt = {salt} WHERE seq = 5", 5),
        ("SET payload = replace(payload, 'unsubscribed', 'subscribed') WHERE seq = 5", 5),
        ("SET recipient_id = 3 WHERE seq = 5", 5),
        ("SET salt = NULL WHERE seq = 5", 5),
        ("SET payload = NULL WHERE seq = 5", 5),
        ("SET recipient_id = NULL WHERE seq = 5", 5),
        ("SET commitment = {other} WHERE seq = 1", 1),
        ("SET entry_hash = {other} WHERE seq = 9", 9),
    ],
)
def test_a_change_of_any_column_is_told_by_its_seq(db: Database, change: str, bad: int) -> None:
    filled(db)
    literal = "x'{}'" if db.is_sqlite else "'\\x{}'::bytea"
    values = {"other": literal.format("ab" * 32), "salt": literal.format("ab" * 16)}
    tampered(db, "UPDATE consent_entries " + change.format(**values).replace(":", "\\:"))
    with pytest.raises(LedgerBroken, match=rf"entry {bad} "):
        checked(db)


def test_a_change_of_an_erased_entry_is_told_too(db: Database) -> None:
    filled(db)
    with db.transaction() as session:
        session.execute(text(ERASE + "WHERE recipient_id = 2"))
    tampered(db, "UPDATE consent_entries SET recorded_at = '2020-01-01 00:00:00' WHERE seq = 5")
    with pytest.raises(LedgerBroken, match="entry 5 "):
        checked(db)


@pytest.mark.parametrize(("gone", "told"), [("seq = 4", 4), ("seq = 1", 1), ("seq >= 8", 8)])
def test_a_missing_entry_is_told_by_its_seq(db: Database, gone: str, told: int) -> None:
    filled(db)
    tampered(db, DELETE + gone)
    with pytest.raises(LedgerBroken, match=f"entry {told} is missing"):
        checked(db)


def test_two_entries_that_changed_places_are_told(db: Database) -> None:
    filled(db)
    tampered(db, "UPDATE consent_entries SET seq = 100 WHERE seq = 3")
    with db.transaction() as session:
        session.execute(text("UPDATE consent_entries SET seq = 3 WHERE seq = 4"))
        session.execute(text("UPDATE consent_entries SET seq = 4 WHERE seq = 100"))
    with pytest.raises(LedgerBroken, match="entry 3 "):
        checked(db)


def test_a_cut_tail_is_told_against_a_head_that_was_kept_outside(db: Database) -> None:
    """Cutting the head row to match leaves nothing to be told by from inside."""
    filled(db)
    with db.reading() as session:
        kept = head(session)
        sixth = session.execute(text("SELECT entry_hash FROM consent_entries WHERE seq = 6"))
        before = bytes(sixth.scalar_one())
    tampered(db, "DELETE FROM consent_entries WHERE seq > 6")
    with db.transaction() as session:
        session.execute(text("UPDATE consent_head SET seq = 6, entry_hash = :h"), {"h": before})
    assert checked(db) == 6
    with pytest.raises(LedgerBroken, match="entry 7 is missing"):
        checked(db, kept)


def test_a_ledger_that_was_written_anew_is_told_against_a_kept_head(db: Database) -> None:
    filled(db, 3)
    with db.reading() as session:
        kept = head(session)
    tampered(db, "DELETE FROM consent_entries")
    with db.transaction() as session:
        session.execute(text("DELETE FROM consent_head"))
    filled(db, 5)
    assert checked(db) == 5
    with pytest.raises(LedgerBroken, match="entry 3 "):
        checked(db, kept)


def test_a_head_kept_outside_stays_good_while_the_ledger_grows(db: Database) -> None:
    filled(db, 3)
    with db.reading() as session:
        kept = head(session)
    filled(db, 5)
    assert checked(db, kept) == 8


def test_a_wrong_head_row_is_told(db: Database) -> None:
    filled(db)
    with db.transaction() as session:
        session.execute(text("UPDATE consent_head SET seq = 8"))
    with pytest.raises(LedgerBroken, match="head row"):
        checked(db)


def test_erasing_one_person_leaves_a_chain_that_verifies_and_the_others_as_they_were(
    db: Database,
) -> None:
    filled(db)
    with db.reading() as session:
        kept = head(session)
        others = history(session, 1) + history(session, 3)
    with db.transaction() as session:
        assert forget(session, 2) == 3
    assert checked(db, kept) == 9
    with db.reading() as session:
        assert history(session, 2) == []
        assert history(session, 1) + history(session, 3) == others
    filled(db, 2)
    assert checked(db, kept) == 11


def test_fifty_writers_at_once_leave_no_gap(db: Database) -> None:
    """On an empty ledger, so that they also meet over its first row."""
    start = threading.Barrier(50)
    seqs: list[int] = []
    failures: list[BaseException] = []

    def write(number: int) -> None:
        start.wait(30)
        try:
            with db.transaction() as session:
                seqs.extend(append(session, [entry(number), entry(number)], now=NOW))
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=write, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert sorted(seqs) == list(range(1, 101))
    assert checked(db) == 100


def test_whoever_appends_waits_for_whoever_locked_the_head(db: Database) -> None:
    order: list[str] = []

    def write() -> None:
        with db.transaction() as session:
            append(session, [entry()], now=NOW)
            order.append("second")

    filled(db, 1)
    with db.transaction() as session:
        lock(session)
        waiting = threading.Thread(target=write)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_rows_made_beforehand_are_as_good_as_appended_ones(db: Database) -> None:
    """An import makes the rows itself, to store them together with everything else."""
    filled(db, 2)
    with db.transaction() as session:
        store(session, rows([entry(number) for number in range(3)], lock(session), NOW))
    filled(db, 1)
    assert checked(db) == 6


def test_no_address_and_no_payload_stands_in_the_sentence(db: Database) -> None:
    filled(db)
    tampered(db, "UPDATE consent_entries SET payload = 'ann@example.com' WHERE seq = 5")
    with pytest.raises(LedgerBroken) as caught:
        checked(db)
    assert "@" not in str(caught.value)
