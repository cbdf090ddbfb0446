"""``mailprefs suppression``: an address or a number, and exactly what the vendor is asked for."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.schema.people import Recipient
from mailprefs.schema.staff import AuditEntry
from mailprefs.vendor.suppression_lists import ListName
from tests.cli.conftest import ADMIN, Shell

BECAUSE = ("--because", "Her provider mended the mailbox.")
HARD = ("--reason", "hard_bounce", *BECAUSE)


@dataclass
class FakeLists:
    """The vendor's lists, which hold what is asked for; remembers letter by letter what was."""

    taken_off: list[tuple[ListName, str]] = field(default_factory=list)

    def take_off(self, name: ListName, address: str) -> bool:
        self.taken_off.append((name, address))
        return True

    def close(self) -> None: ...


@pytest.fixture
def lists(people: Shell) -> FakeLists:
    found = FakeLists()
    people.monkeypatch.setattr("mailprefs.cli.suppressions.suppression_lists", lambda _: found)
    return found


@pytest.fixture
def sandbox(people: Shell) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(read_key="SG.may-read")) as running:
        people.set(SENDGRID_HOST=running.url, SENDGRID_READ_KEY="SG.may-read")
        yield running


def number_of(people: Shell, address: str) -> int:
    with closing(people.db) as db, db.reading() as session:
        number: int = session.query(Recipient.id).filter_by(address=address).scalar()
        return number


def released(people: Shell) -> list[tuple[str, str]]:
    with closing(people.db) as db, db.reading() as session:
        found = session.query(AuditEntry).filter_by(action="suppression.released")
        return [(one.subject_kind, one.subject_id) for one in found]


def test_the_vendor_is_asked_for_the_address_as_we_wrote_to_it(
    people: Shell, lists: FakeLists
) -> None:
    number = number_of(people, "ada@example.org")
    for whom in ("Ada@Example.ORG", number):
        people.do("suppression", "release", whom, *HARD)
    assert lists.taken_off == [(ListName.BOUNCES, "ada@example.org")] * 2
    assert released(people) == [("recipient", str(number))] * 2


def test_an_address_that_nobody_here_has_is_released_too_and_not_named(
    people: Shell, lists: FakeLists
) -> None:
    people.do("suppression", "release", "Stranger@EXAMPLE.net", *HARD)
    assert lists.taken_off == [(ListName.BOUNCES, "Stranger@example.net")]
    assert released(people) == [("vendor_list", "bounces")]


@pytest.mark.parametrize("whom", ["99", "9" * 40, "nobody"])
def test_whom_we_can_not_mean_is_one_sentence(people: Shell, lists: FakeLists, whom: str) -> None:
    for act in ("show", "lift", "release"):
        said = people("suppression", act, whom, *(() if act == "show" else HARD))
        assert said.status == (2 if whom == "nobody" else 1)
        assert len(said.sentences) == 1
    assert (lists.taken_off, released(people)) == ([], [])


def test_a_release_needs_the_role(people: Shell, lists: FakeLists) -> None:
    said = people("suppression", "release", "ada@example.org", *HARD, "--as", "ilse@example.com")
    assert said.status == 1
    assert (lists.taken_off, released(people)) == ([], [])
    people.do("staff", "add", "pia@example.com", "--role", "privacy", "--as", ADMIN)
    people.do("suppression", "release", "ada@example.org", *HARD, "--as", "pia@example.com")
    assert len(lists.taken_off) == 1


def test_of_what_the_vendor_keeps_no_list_nothing_is_asked(people: Shell, lists: FakeLists) -> None:
    said = people(
        *("suppression", "release", "ada@example.org", "--reason", "soft_bounces"), *BECAUSE
    )
    assert said.status == 1
    assert "keeps no list of this kind" in said.err
    assert lists.taken_off == []


def test_what_a_comparison_prints_can_be_pasted(people: Shell, sandbox: Sandbox) -> None:
    number = number_of(people, "ada@example.org")
    sandbox.webhook.lists.put("bounces", "ada@example.org", status="5.1.1")
    first = people.do("reconcile")
    assert "Compared: the vendor's lists, all of them." in first
    assert "2009" not in first
    told = people.do("suppression", "show", number)
    assert "holds back all mail; since " in told
    assert ", told by the vendor." in told
    people.do("suppression", "lift", number, *HARD)
    said = people.do("reconcile")
    assert "the vendor's lists since " in said
    printed = f"mailprefs suppression release {number} --reason hard_bounce --because TEXT"
    (line,) = [line for line in said.splitlines() if "suppression release" in line]
    assert line.endswith(printed)
    people.do(*printed.split()[1:-1], BECAUSE[1])
    assert "suppression release" not in people.do("reconcile")
