"""Asking for less mail, or for another language: in force, on record, and never made more of."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailprefs import audit, consent, preferences
from mailprefs.audit import CONSOLE
from mailprefs.consent import checking
from mailprefs.db.database import Database, Gate
from mailprefs.errors import BadInput, Conflict
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.run import run
from mailprefs.policy import Frequency, Purpose, Source
from mailprefs.preferences import Applied, Door
from mailprefs.schema.people import Recipient
from tests.factories import HASHER
from tests.preferences.people import (
    DAY,
    NOW,
    ONE_CLICK,
    PAGE,
    World,
    entries,
    refusals,
    said,
    settle,
    states,
)

STAFF = Door(Source.STAFF, "asked_by_phone", actor=CONSOLE)
FIRST_MIDNIGHT = datetime(2026, 12, 23, tzinfo=UTC)


def pause(
    db: Database, world: World, days: int | None, door: Door = PAGE, *, now: datetime = NOW
) -> Applied:
    with db.transaction(Gate.TAKING) as session:
        return preferences.set_pause(session, world.ann, days, door, now=now)


def weekly(
    db: Database, world: World, frequency: Frequency = Frequency.WEEKLY, door: Door = PAGE
) -> Applied:
    with db.transaction(Gate.TAKING) as session:
        return preferences.set_frequency(session, world.ann, frequency, door, now=NOW)


def language(db: Database, world: World, tag: str) -> Applied:
    with db.transaction(Gate.TAKING) as session:
        return preferences.set_language(session, world.ann, tag, PAGE, now=NOW)


def ann(db: Database, world: World) -> Recipient:
    with db.reading() as session:
        return session.get_one(Recipient, world.ann)


def take_back(
    db: Database, world: World, applied: Applied, *, after: timedelta = timedelta(minutes=1)
) -> Applied:
    with db.transaction(Gate.TAKING) as session:
        act = applied.request_id or ""
        now = NOW + after
        return preferences.take_back(session, world.ann, act, PAGE, now=now, window=DAY)


def test_a_pause_lasts_to_the_first_midnight_after_its_days_and_stands_in_the_ledger(
    db: Database,
) -> None:
    world = settle(db)
    assert pause(db, world, 30).has_changed
    assert ann(db, world).paused_until == FIRST_MIDNIGHT
    assert said(db, world.ann) == [("pause", None, "none", "2026-12-23T00:00:00Z")]
    assert states(db, world.ann) == {world.news: "subscribed", world.offers: "subscribed"}
    assert refusals(db, world.ann) == []


def test_pressed_twice_it_is_one_pause(db: Database) -> None:
    world = settle(db)
    pause(db, world, 90)
    assert not pause(db, world, 90, now=NOW + timedelta(seconds=1)).has_changed
    assert len(said(db, world.ann)) == 1


def test_the_person_ends_a_pause_early_or_has_another(db: Database) -> None:
    world = settle(db)
    pause(db, world, 90)
    pause(db, world, 30)
    assert ann(db, world).paused_until == FIRST_MIDNIGHT
    assert pause(db, world, None).has_changed
    assert ann(db, world).paused_until is None
    assert said(db, world.ann)[-1] == ("pause", None, "2026-12-23T00:00:00Z", "none")


def test_to_end_a_pause_that_is_over_is_no_choice(db: Database) -> None:
    world = settle(db)
    pause(db, world, 30)
    assert not pause(db, world, None, now=FIRST_MIDNIGHT).has_changed
    assert len(said(db, world.ann)) == 1


def test_a_pause_of_any_other_length_is_refused(db: Database) -> None:
    world = settle(db)
    with pytest.raises(BadInput, match="30 or 90 days"):
        pause(db, world, 36_500)
    assert said(db, world.ann) == []


def test_one_click_of_somebody_who_pauses_unsubscribes(db: Database) -> None:
    world = settle(db)
    pause(db, world, 30)
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_all(session, world.ann, world.one_click(), now=NOW)
    assert set(states(db, world.ann).values()) == {"unsubscribed"}
    assert ann(db, world).paused_until == FIRST_MIDNIGHT


def test_a_frequency_is_chosen_and_given_up(db: Database) -> None:
    world = settle(db)
    assert weekly(db, world).has_changed
    assert not weekly(db, world).has_changed
    assert ann(db, world).frequency is Frequency.WEEKLY
    assert weekly(db, world, Frequency.ANY).has_changed
    assert ann(db, world).frequency is None
    assert said(db, world.ann) == [
        ("frequency", None, "any", "weekly"),
        ("frequency", None, "weekly", "any"),
    ]


def test_staff_may_ask_for_less_on_somebodys_behalf_and_it_is_audited(db: Database) -> None:
    world = settle(db)
    assert pause(db, world, 30, STAFF).has_changed
    assert pause(db, world, 90, STAFF).has_changed
    assert weekly(db, world, door=STAFF).has_changed
    with db.reading() as session:
        noted = [one.action for one in audit.of(session, ("recipient", world.ann))]
    assert noted == ["choice.recorded"] * 3
    assert {one.entry.actor for one in entries(db, world.ann)} == {"console"}


def test_staff_never_make_more_mail_of_a_choice(db: Database) -> None:
    world = settle(db)
    pause(db, world, 90)
    weekly(db, world)
    before = said(db, world.ann)
    for days in (30, None):
        with pytest.raises(Conflict, match="only they can take it back"):
            pause(db, world, days, STAFF)
    with pytest.raises(Conflict, match="only they can take it back"):
        weekly(db, world, Frequency.ANY, STAFF)
    assert said(db, world.ann) == before


def test_what_was_chosen_is_on_record_with_words_policy_and_door(db: Database) -> None:
    world = settle(db)
    with db.transaction(Gate.TAKING) as session:
        words = consent.wording(session, Purpose.PAUSE, "en", "Pause for 30 days")
        door = PAGE._replace(wording=words, language="en", delivery_id=world.sent_news)
        preferences.set_pause(session, world.ann, 30, door, now=NOW)
    (one,) = entries(db, world.ann)
    assert one.entry.wording == words
    assert (one.entry.policy_version_id, one.entry.language) == (world.policy, "en")
    assert (one.entry.source, one.entry.actor) == (Source.PREFERENCES, "self")
    with db.reading() as session:
        assert checking.verify(session) == 1


@pytest.mark.parametrize("is_paused", [True, False])
def test_less_mail_is_undone_to_what_it_was(db: Database, *, is_paused: bool) -> None:
    world = settle(db)
    if is_paused:
        pause(db, world, 90)
    before = ann(db, world).paused_until
    applied = pause(db, world, 30)
    assert take_back(db, world, applied).has_changed
    assert ann(db, world).paused_until == before
    assert not take_back(db, world, applied).has_changed


def test_undo_leaves_what_was_said_since(db: Database) -> None:
    world = settle(db)
    applied = pause(db, world, 30)
    pause(db, world, 90)
    assert not take_back(db, world, applied).has_changed
    assert ann(db, world).paused_until != FIRST_MIDNIGHT


def test_undo_has_its_window_and_takes_back_nobody_elses_choice(db: Database) -> None:
    world = settle(db)
    applied = weekly(db, world)
    assert not take_back(db, world, applied, after=DAY + timedelta(seconds=1)).has_changed
    by_staff = pause(db, world, 30, STAFF)
    assert not take_back(db, world, by_staff).has_changed


def test_undo_of_leaving_everything_brings_it_all_back_and_uncounts_it(db: Database) -> None:
    world = settle(db)
    with db.transaction(Gate.TAKING) as session:
        door = PAGE._replace(delivery_id=world.sent_news)
        applied = preferences.opt_out_all(session, world.ann, door, now=NOW)
    assert take_back(db, world, applied).has_changed
    assert set(states(db, world.ann).values()) == {"subscribed"}
    assert refusals(db, world.ann) == []


def test_undo_of_a_tick_ends_what_it_began(db: Database) -> None:
    world = settle(db)
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_topic(session, world.ann, world.news, ONE_CLICK, now=NOW)
        wanted = {world.news: True, world.offers: False}
        applied = preferences.set_topics(session, world.ann, wanted, PAGE, now=NOW)
    assert take_back(db, world, applied).has_changed
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "subscribed"}


def test_a_chosen_language_outlives_every_import(db: Database, tmp_path: Path) -> None:
    world = settle(db)
    imported(db, tmp_path, "fr")
    assert (ann(db, world).language, ann(db, world).language_since) == ("fr", None)
    assert language(db, world, "fr").has_changed, "that a file said so is no choice"
    assert not language(db, world, "fr").has_changed
    imported(db, tmp_path, "de")
    assert ann(db, world).language == "fr"
    assert said(db, world.ann)[-1] == ("language", None, None, "fr")


def test_an_import_neither_ends_a_pause_nor_a_frequency(db: Database, tmp_path: Path) -> None:
    world = settle(db)
    pause(db, world, 30)
    weekly(db, world)
    imported(db, tmp_path, "de")
    found = ann(db, world)
    assert (found.paused_until, found.frequency) == (FIRST_MIDNIGHT, Frequency.WEEKLY)


def imported(db: Database, folder: Path, tag: str) -> None:
    file = folder / f"{tag}.csv"
    file.write_text(f"email,language\nann@example.com,{tag}\n")
    order = ImportOrder(topic="news", source=f"A form in {tag}")
    run(db, file, order, hasher=HASHER, actor=CONSOLE, clock=lambda: NOW + DAY)
