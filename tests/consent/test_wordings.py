"""Words and policies that people chose under: kept exactly, once each."""

import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import text

from mailprefs import consent
from mailprefs.consent import Shown
from mailprefs.db.database import Database
from mailprefs.errors import BadInput, Conflict
from mailprefs.policy import Purpose

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
MAIL, TRACK = Purpose.PROMOTIONAL_EMAIL, Purpose.OPEN_TRACKING


def test_the_exact_words_are_kept_once_with_their_hash(db: Database) -> None:
    words = "Yes, write to me.\u00a0<b>Gern!</b>\n"
    with db.transaction() as session:
        first = consent.wording(session, MAIL, "de", words)
        again = consent.wording(session, MAIL, "de", words)
        assert first == again
        assert first.sha256 == sha256(words.encode()).digest()
        assert consent.wording_text(session, first.id) == words
        assert consent.wording_text(session, 99) is None


def test_other_words_another_language_and_another_purpose_are_told_apart(db: Database) -> None:
    with db.transaction() as session:
        ids = {
            consent.wording(session, MAIL, "en", "OK").id,
            consent.wording(session, MAIL, "en", "OK.").id,
            consent.wording(session, MAIL, "de", "OK").id,
            consent.wording(session, TRACK, "en", "OK").id,
        }
    assert len(ids) == 4


def test_many_first_readers_of_a_page_store_its_words_once(db: Database) -> None:
    start = threading.Barrier(8)
    found: list[Shown] = []

    def read() -> None:
        start.wait(30)
        with db.transaction() as session:
            found.append(consent.wording(session, TRACK, "en", "May we measure?"))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(found)) == 1
    with db.reading() as session:
        assert session.execute(text("SELECT count(*) FROM wordings")).scalar_one() == 1


def test_before_the_first_policy_a_sentence_says_what_to_do(db: Database) -> None:
    with db.transaction() as session:
        assert consent.current_policy(session, NOW) is None
        with pytest.raises(Conflict, match="mailprefs policy publish"):
            consent.policy_in_force(session, NOW)


def test_the_policy_in_force_is_the_last_that_has_begun(db: Database) -> None:
    with db.transaction() as session:
        first = consent.publish_policy(session, "2025", "Old.", now=NOW - 9 * DAY)
        second = consent.publish_policy(session, "2026", "New.", now=NOW)
        consent.publish_policy(session, "2027", "Next.", now=NOW, effective_from=NOW + 9 * DAY)
        assert consent.policy_in_force(session, NOW - DAY) == first
        assert consent.policy_in_force(session, NOW) == second
        assert consent.policy_in_force(session, NOW + 8 * DAY) == second
        current = consent.current_policy(session, NOW + 9 * DAY)
    assert current is not None
    assert (current.version, current.text, current.sha256) == (
        "2027",
        "Next.",
        sha256(b"Next.").digest(),
    )


def test_of_two_that_begin_at_once_the_later_published_holds(db: Database) -> None:
    with db.transaction() as session:
        consent.publish_policy(session, "a", "A", now=NOW)
        second = consent.publish_policy(session, "b", "B", now=NOW)
        assert consent.policy_in_force(session, NOW) == second


def test_publishing_the_same_again_changes_nothing(db: Database) -> None:
    with db.transaction() as session:
        first = consent.publish_policy(session, "2026", "Text.", now=NOW)
        assert consent.publish_policy(session, " 2026 ", "Text.", now=NOW + DAY) == first
        assert consent.policy_in_force(session, NOW) == first


def test_a_published_text_is_not_replaced(db: Database) -> None:
    with db.transaction() as session:
        consent.publish_policy(session, "2026", "Text.", now=NOW)
        with pytest.raises(Conflict, match="give the new text a new version"):
            consent.publish_policy(session, "2026", "Other text.", now=NOW)


@pytest.mark.parametrize(("version", "words"), [("", "Text."), (" ", "Text."), ("2026", " \n")])
def test_an_empty_policy_is_refused(db: Database, version: str, words: str) -> None:
    with db.transaction() as session, pytest.raises(BadInput, match="needs a name and a text"):
        consent.publish_policy(session, version, words, now=NOW)
