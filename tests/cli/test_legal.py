"""`mailprefs legal`: holds, the register, and files for others, by the privacy role only."""

import csv
import io
import json
import stat
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.cli.conftest import ADMIN, Shell

ADA, GRACE = "ada@example.org", "grace@example.org"
COURT = ("--to", "Court of Exampletown", "--reason", "Order 12 O 34/27 of the court")
LACKS_ROLE = ("--as", "ilse@example.com")


def hold(shell: Shell, address: str = ADA) -> str:
    return shell.do("legal", "hold", address, "--reason", "Order 12 O 34/27", "--as", ADMIN)


def test_an_erasure_waits_for_the_hold_and_is_done_with_it(people: Shell) -> None:
    assert hold(people) == "Legal hold 1 is in force."
    assert "is remembered" in people.do("recipient", "erase", ADA)
    assert people.ask("recipient", "show", ADA)["suppressions"][0]["reason"] == "erased"
    (listed,) = people.ask("legal", "holds")
    assert listed["erasure_waits"] and not listed["holds_sealed_copy"]
    assert "an erasure waits" in people.do("legal", "holds")
    assert "is erased" in people.do("legal", "lift", 1, "--because", "The case is closed.")
    assert people("recipient", "show", ADA).status != 0


def test_a_child_is_erased_at_once_and_its_copy_can_be_given_to_the_court(people: Shell) -> None:
    hold(people)
    people.do("recipient", "erase", ADA, "--child")
    assert people("recipient", "show", ADA).status != 0
    file = people.data.parent / "copy.json"
    people.do("legal", "copy", 1, file, *COURT)
    assert "Lovelace" in file.read_text(encoding="utf-8")
    people.do("legal", "lift", 1, "--because", "The case is closed.")
    gone = people("legal", "copy", 1, people.data.parent / "again.json", *COURT)
    assert "Nothing is sealed" in gone.err


def test_all_of_one_person_goes_into_a_private_file_and_on_record(people: Shell) -> None:
    file = people.data.parent / "ada.json"
    people.do("legal", "export", ADA, file, *COURT, "--as", ADMIN)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text(encoding="utf-8")
    assert ADA in text and GRACE not in text
    assert json.loads(text)["for"] == "Court of Exampletown"
    (line,) = people.ask("legal", "register")
    assert (line["basis"], line["to"], line["people"]) == ("law", "Court of Exampletown", 1)


def test_a_transfer_holds_everybody_and_the_register_says_so(people: Shell) -> None:
    file = people.data.parent / "all.zip"
    done = people.ask("legal", "transfer", file, "--to", "Example Holding", *COURT[2:])
    assert done["people"] == 2
    with ZipFile(file) as archive:
        assert len(archive.read("people.jsonl").splitlines()) == 2
    (line,) = people.ask("legal", "register")
    assert (line["basis"], line["sha256"]) == ("transfer", done["sha256"])


def test_what_was_disclosed_by_other_means_is_written_down_and_printed_as_csv(
    people: Shell,
) -> None:
    told = ("--basis", "affiliate", "--to", "=Example Shop", "--fields", "address,first name")
    said = people.do("legal", "record", *told, "--people", 2, "--reason", "They share the shop.")
    assert said == "Disclosure 1 is on record."
    assert "affiliate" in people.do("legal", "register")
    (row,) = csv.DictReader(io.StringIO(people.do("legal", "register", "--csv")))
    assert (row["basis"], row["to"], row["people"]) == ("affiliate", "'=Example Shop", "2")


@pytest.mark.parametrize(
    "words",
    [
        ("hold", ADA, "--reason", "Order 12 O 34/27"),
        ("lift", "1", "--because", "The case is closed."),
        ("holds",),
        ("register",),
        ("record", "--basis", "law", "--fields", "address", "--people", "1", *COURT),
        ("export", ADA, "FILE", *COURT),
        ("copy", "1", "FILE", *COURT),
        ("transfer", "FILE", *COURT),
    ],
    ids=lambda words: words[0],
)
def test_it_takes_the_privacy_role(people: Shell, words: tuple[str, ...], tmp_path: Path) -> None:
    given = [str(tmp_path / "out") if word == "FILE" else word for word in words]
    refused = people("legal", *given, *LACKS_ROLE)
    assert refused.status != 0 and "privacy" in refused.err
    assert list(tmp_path.glob("out*")) == []
    assert people.ask("legal", "holds") == people.ask("legal", "register") == []
