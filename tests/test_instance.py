"""A copy is told from the live installation: by name, by machine, and by what the journal knows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from mailprefs import instance, journal
from mailprefs.db.database import Database, Gate, refused
from mailprefs.errors import Conflict
from mailprefs.instance import Guard, Place
from mailprefs.journal import Journal, Refusal
from mailprefs.schema.instance import InstanceRow

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
SAID = Refusal(bytes(16), journal.PROMOTIONAL, NOW)


@dataclass
class House:
    """A database with its journal, and a place to run it at."""

    db: Database
    place: Place

    def why(self) -> str | None:
        with self.db.reading() as session:
            return instance.examine(session, self.place)


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    kept = Journal(tmp_path / "refusals.jsonl")
    db = Database(database_url, kept)
    yield House(db, Place(tmp_path / "data", kept, "machine-one"))
    db.close()


def settled(house: House) -> House:
    instance.settle(house.db, house.place, now=NOW)
    return house


def test_a_new_installation_knows_itself_and_may_send(house: House) -> None:
    assert house.why() is None
    settled(house)
    settled(house)
    assert house.why() is None
    assert (house.place.data_dir / "instance").stat().st_size == 33


def test_a_committed_refusal_is_in_the_journal_with_the_databases_number(house: House) -> None:
    for _ in range(3):
        with house.db.transaction(Gate.TAKING) as session:
            refused(session, SAID)
    assert [one.seq for one in house.place.journal.lines()] == [1, 2, 3]
    with house.db.reading() as session:
        assert instance.refusals_known(session) == 3


def test_one_that_was_rolled_back_is_not(house: House) -> None:
    def breaks_off() -> None:
        with house.db.transaction(Gate.TAKING) as session:
            refused(session, SAID)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_off()
    assert house.place.journal.lines() == []


def an_older_database(house: House) -> None:
    with house.db.transaction(Gate.TAKING) as session:
        refused(session, SAID)
    with house.db.transaction() as session:
        session.execute(update(InstanceRow).values(refusals=0))


def another_machine(house: House) -> None:
    house.place = house.place._replace(machine="machine-two")


def another_folder(house: House) -> None:
    house.place = house.place._replace(data_dir=house.place.data_dir.with_name("elsewhere"))


def another_name(house: House) -> None:
    (house.place.data_dir / "instance").write_text("of-another\n")


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (an_older_database, "older than the journal"),
        (another_machine, "copied or moved"),
        (another_folder, "aren't of one installation"),
        (another_name, "aren't of one installation"),
    ],
)
def test_what_was_copied_or_restored_may_not_send_until_it_is_adopted(
    house: House, happens: Callable[[House], None], said: str
) -> None:
    settled(house)
    happens(house)
    assert said in (house.why() or "")
    instance.settle(house.db, house.place, now=NOW)
    assert said in (house.why() or "")
    with house.db.transaction() as session:
        instance.adopt(session, house.place, now=NOW)
    assert house.why() is None


def test_a_further_machine_joins_a_live_database_and_no_other(house: House) -> None:
    settled(house)
    first = house.place
    house.place = Place(first.data_dir.with_name("second"), first.journal, "machine-two")
    with house.db.transaction() as session:
        instance.join(session, house.place, now=NOW)
    assert house.why() is None
    house.place = first
    assert house.why() is None
    an_older_database(house)
    with house.db.transaction() as session, pytest.raises(Conflict, match="older"):
        instance.join(session, house.place._replace(machine="machine-three"), now=NOW)


def test_the_guard_holds_its_answer_for_a_moment_and_asks_again_on_a_new_connection(
    house: House,
) -> None:
    guard = Guard(house.db, house.place, lambda: NOW)
    assert guard() is None
    an_older_database(house)
    with house.db.reading() as session:
        assert guard(session) is None
    house.db.engine.dispose()
    with house.db.transaction() as session:
        assert "older" in (guard(session) or "")
