"""The nightly comparison with the vendor's suppression lists, in both directions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from mailprefs import preferences, suppressions
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.events.applying import BOUNCED_AT_ONCE
from mailprefs.jobs import reconciliation
from mailprefs.jobs.reconciliation import Comparison, Found
from mailprefs.policy import Source, SuppressionReason
from mailprefs.preferences.choosing import Door
from mailprefs.schema.choices import Suppression
from mailprefs.schema.events import SoftBounce
from mailprefs.schema.people import Recipient
from mailprefs.vendor.suppression_lists import Listed, ListName, ListsForbidden, ListsUnavailable
from tests.factories import HASHER, make_policy, make_recipient, make_topic, subscribe
from tests.snapshots import snapshot

# Four in the morning in Berlin, when the comparison of the 22nd is due.
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
HARD, COMPLAINED = SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINED
LEFT, INVALID = SuppressionReason.UNSUBSCRIBED, SuppressionReason.INVALID


@dataclass
class FakeLists:
    """The vendor's lists; remembers what was asked for."""

    entries: dict[ListName, list[Listed]] = field(default_factory=dict)
    asked: list[tuple[ListName, datetime]] = field(default_factory=list)
    forbidden: bool = False
    away: bool = False

    def add(
        self, name: ListName, address: str, *, days: float = -1, status: str | None = None
    ) -> None:
        since = NOW + timedelta(days=days)
        self.entries.setdefault(name, []).append(Listed(address, since, status))

    def listed(self, name: ListName, *, since: datetime, until: datetime) -> Iterator[Listed]:
        if self.forbidden:
            raise ListsForbidden("The key may not read the lists; set another one.")
        if self.away:
            raise ListsUnavailable("The vendor can't be reached.")
        self.asked.append((name, since))
        yield from (one for one in self.entries.get(name, ()) if since <= one.since <= until)

    def holds(self, name: ListName, address: str) -> bool:
        return any(one.address == address for one in self.entries.get(name, ()))


@dataclass
class House:
    db: Database
    lists: FakeLists
    people: dict[str, int]
    topic_id: int
    now: datetime = NOW

    @property
    def comparison(self) -> Comparison:
        return Comparison(
            db=self.db,
            lists=self.lists,
            hasher=HASHER,
            zone="Europe/Berlin",
            clock=lambda: self.now,
        )

    def compare(self, *, dry_run: bool = False) -> Found:
        return self.comparison.now(dry_run=dry_run)

    def reasons(self, name: str) -> set[SuppressionReason]:
        with self.db.reading() as session:
            hashed = HASHER.hash(f"{name}@example.org")
            return {one.reason for one in suppressions.of(session, hashed)}

    def gets_news(self, name: str) -> bool:
        with self.db.reading() as session:
            (topic,) = preferences.current(session, self.people[name]).topics
        return topic.is_on


@pytest.fixture
def house(db: Database) -> House:
    with db.transaction() as session:
        make_policy(session)
        topic = make_topic(session)
        people = {}
        for name in ("ada", "bob", "cy", "dee", "eve"):
            person = make_recipient(session, f"{name}@example.org")
            subscribe(session, person, topic)
            people[name] = person.id
        return House(db, FakeLists(), people, topic.id)


def test_each_list_is_applied_by_its_own_rule(house: House) -> None:
    house.lists.add(ListName.BOUNCES, "Ada@Example.org", status="5.1.1")
    house.lists.add(ListName.INVALID, "bob@example.org")
    house.lists.add(ListName.COMPLAINTS, "cy@example.org")
    house.lists.add(ListName.LEFT, "dee@example.org")
    house.lists.add(ListName.BLOCKS, "eve@example.org", status="4.2.2")
    found = house.compare()
    assert {name: house.reasons(name) for name in house.people} == {
        "ada": {HARD},
        "bob": {INVALID},
        "cy": {COMPLAINED, LEFT},
        "dee": {LEFT},
        "eve": set(),
    }
    assert [house.gets_news(name) for name in house.people] == [False] * 4 + [True]
    assert found.lists["bounces"] == {"listed": 1, "new": 1}
    assert found.lists["blocks"] == {"listed": 1}
    assert (found.new, found.failure) == (4, None)


def test_a_second_time_and_a_dry_run_change_nothing(house: House) -> None:
    for name, who in ((ListName.BOUNCES, "ada"), (ListName.LEFT, "bob")):
        house.lists.add(name, f"{who}@example.org")
    before = snapshot(house.db)
    assert house.compare(dry_run=True).new == 2
    assert snapshot(house.db) == before
    house.compare()
    after = snapshot(house.db)
    again = house.compare()
    assert again.lists["bounces"] == {"known": 1, "listed": 1}
    assert again.new == 0
    assert {
        name: rows for name, rows in snapshot(house.db).items() if name != "reconciliations"
    } == {name: rows for name, rows in after.items() if name != "reconciliations"}


def test_a_bounce_that_says_nothing_for_good_only_counts(house: House) -> None:
    house.lists.add(ListName.BOUNCES, "ada@example.org", status="5.2.2")
    assert house.compare().lists["bounces"] == {"for_now": 1, "listed": 1}
    assert house.reasons("ada") == set()


def test_an_address_that_is_nobodys_yet_is_kept_out_for_later(house: House) -> None:
    for name in (ListName.BOUNCES, ListName.COMPLAINTS, ListName.LEFT):
        house.lists.add(name, "frank@example.org")
    house.compare()
    assert house.reasons("frank") == {HARD, COMPLAINED, LEFT}


def test_who_was_lifted_here_is_told_and_stays_lifted(house: House) -> None:
    house.lists.add(ListName.BOUNCES, "ada@example.org", days=-3)
    house.compare()
    with house.db.transaction() as session:
        suppressions.lift_by_staff(
            session,
            HASHER.hash("ada@example.org"),
            HARD,
            CONSOLE,
            because="The mailbox is back.",
            now=NOW,
        )
    house.now = NOW + timedelta(days=1)
    found = house.compare()
    assert house.reasons("ada") == set()
    assert found.still_listed == [(house.people["ada"], "bounces")]
    house.lists.add(ListName.BOUNCES, "ada@example.org", days=0.5)
    house.compare()
    assert house.reasons("ada") == {HARD}, "it bounced again after the lift"


def test_who_came_back_here_is_not_sent_away_by_an_old_list(house: House) -> None:
    house.lists.add(ListName.LEFT, "ada@example.org", days=-2)
    house.compare()
    with house.db.transaction(Gate.TAKING) as session:
        preferences.set_topics(
            session,
            house.people["ada"],
            {house.topic_id: True},
            Door(Source.PREFERENCES, "ticked_checkbox"),
            now=NOW + timedelta(hours=1),
        )
    house.now = NOW + timedelta(days=1)
    house.compare()
    assert house.gets_news("ada")


def test_what_there_should_be_and_is_not_is_counted(house: House) -> None:
    with house.db.transaction() as session:
        hashed = HASHER.hash("ada@example.org")
        since = NOW - timedelta(days=1)
        suppressions.add(session, hashed, 1, HARD, Source.VENDOR, now=since)
    assert house.compare().missing_there == {"hard_bounce": 1}
    house.lists.add(ListName.BOUNCES, "ada@example.org")
    assert house.compare().missing_there == {}


def test_it_asks_from_a_day_before_the_last_time_on(house: House) -> None:
    house.compare()
    assert {since.year for _, since in house.lists.asked} == {2009}
    house.lists.asked.clear()
    house.now = NOW + timedelta(days=1)
    assert house.comparison.tonight() is not None
    assert {since for _, since in house.lists.asked} == {NOW - timedelta(days=1)}


def test_a_night_has_one_comparison_after_three_and_a_failed_one_comes_again(
    house: House,
) -> None:
    house.now = NOW - timedelta(hours=2)
    assert house.comparison.tonight() is None, "it is two in the morning there"
    house.now = NOW
    house.lists.away = True
    found = house.comparison.tonight()
    assert found is not None
    assert found.failure == "The vendor can't be reached."
    house.lists.away = False
    assert house.comparison.tonight() is None, "not at once"
    house.now = NOW + timedelta(hours=1, minutes=1)
    again = house.comparison.tonight()
    assert again is not None
    assert (again.failure, again.since.year) == (None, 2009)
    house.now = NOW + timedelta(hours=5)
    assert house.comparison.tonight() is None
    with house.db.reading() as session:
        kept = reconciliation.last(session)
    assert kept is not None
    assert (kept.failure, kept.found["failure"]) == (None, None)


def test_a_key_that_may_not_read_is_tried_once_a_night(house: House) -> None:
    house.lists.forbidden = True
    for hours in range(12):
        house.now = NOW + timedelta(hours=hours, minutes=hours)
        assert (house.comparison.tonight() is None) is (hours > 0)
    house.lists.forbidden = False
    assert house.compare().failure is None, "a person may ask at any time"
    house.lists.forbidden = True
    house.now = NOW + timedelta(days=1)
    assert house.comparison.tonight() is not None


def test_a_night_after_a_closed_key_is_a_night_like_any_other(house: House) -> None:
    house.lists.forbidden = True
    assert house.comparison.tonight() is not None
    house.lists.forbidden, house.lists.away = False, True
    house.now = NOW + timedelta(days=1)
    assert house.comparison.tonight() is not None
    house.lists.away = False
    house.now += timedelta(hours=1, minutes=1)
    again = house.comparison.tonight()
    assert again is not None, "the vendor was away for an hour, and the key isn't closed any more"
    assert again.failure is None


def test_each_night_everybody_is_looked_at_again_who_was_refused_or_is_held_back(
    house: House,
) -> None:
    """More people than are looked at in one transaction, so that nobody at its end is left out."""
    with house.db.transaction() as session:
        people = [make_recipient(session) for _ in range(2 * BOUNCED_AT_ONCE + 1)]
        refused, held = people[:-1], people[-1:]
        for number, person in enumerate(refused):
            session.add_all(
                SoftBounce(
                    delivery_id=(900 + day) << 32 | number + 1,
                    recipient_id=person.id,
                    occurred_at=NOW - timedelta(days=day),
                )
                for day in (1, 2, 3)
            )
        for number, person in enumerate(held):
            # By an event that has turned out to be earlier, nothing holds them back any more.
            why = SuppressionReason.SOFT_BOUNCES
            suppressions.add(session, person.address_hash, 1, why, Source.VENDOR, now=NOW)
            once = {"recipient_id": person.id, "occurred_at": NOW - timedelta(days=1)}
            session.add(SoftBounce(delivery_id=999 << 32 | number + 1, **once))
        refused_hashes = {one.address_hash for one in refused}
    found = house.compare()
    with house.db.reading() as session:
        assert set(session.scalars(select(Suppression.address_hash))) == refused_hashes
    assert found.reset == 1


def test_whom_a_late_delivery_leaves_refused_too_often_is_found_even_without_the_lists(
    house: House,
) -> None:
    with house.db.transaction() as session:
        session.add_all(
            SoftBounce(
                delivery_id=(900 + day) << 32 | 1,
                recipient_id=house.people["ada"],
                occurred_at=NOW - timedelta(days=day),
            )
            for day in (1, 2, 3)
        )
    house.lists.forbidden = True
    house.compare(dry_run=True)
    assert house.reasons("ada") == set()
    house.compare()
    assert house.reasons("ada") == {SuppressionReason.SOFT_BOUNCES}


def test_no_report_names_an_address(house: House) -> None:
    house.lists.add(ListName.BOUNCES, "ada@example.org")
    found = house.compare()
    assert "@" not in repr(found) + repr(snapshot(house.db)["reconciliations"])
    assert "@" not in repr(house.lists.entries[ListName.BOUNCES])


def test_many_entries_are_applied_in_slices(house: House) -> None:
    for number in range(40):
        house.lists.add(ListName.BOUNCES, f"person{number}@example.net")
    assert house.compare().new == 40
    with house.db.reading() as session:
        assert session.query(Suppression).count() == 40
        assert session.query(Recipient).count() == 5
