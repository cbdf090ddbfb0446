"""`mailprefs recipient erase`: once for good, again for the proof, never with a name."""

import pytest

from tests.cli.conftest import ADMIN, Shell

ADA = "ada@example.org"


@pytest.mark.parametrize("child", [(), ("--child",)])
def test_a_person_is_erased_and_the_proof_names_nobody(
    people: Shell, child: tuple[str, ...]
) -> None:
    proof = people.ask("recipient", "erase", " Ada@Example.org", *child, "--as", ADMIN)
    assert proof["removed"]["recipients"] == 1
    assert proof["removed"]["subscriptions"] == 1
    assert proof["cleaned_at"] is not None
    assert proof["vendor"]["took_at"] is None
    assert "No connection" in proof["vendor"]["failure"]
    shown = people.do("recipient", "erase", ADA)
    for said in (str(proof), shown):
        assert "ada" not in said.lower() and "lovelace" not in said.lower()
        assert "child" not in said
    assert people("recipient", "show", ADA).status != 0
    assert people.ask("suppression", "list")[0]["reason"] == "erased"


def test_a_second_time_is_no_fault_and_shows_the_same_proof(people: Shell) -> None:
    first = people.ask("recipient", "erase", ADA)
    again = people.ask("recipient", "erase", ADA)
    assert (first["id"], first["removed"]) == (again["id"], again["removed"])


def test_an_address_that_nobody_has_is_kept_out_and_that_is_said(people: Shell) -> None:
    assert "nobody here had that address" in people.do("recipient", "erase", "cy@example.org")


def test_it_takes_the_privacy_role(people: Shell) -> None:
    refused = people("recipient", "erase", ADA, "--as", "ilse@example.com")
    assert refused.status != 0
    assert people.ask("recipient", "show", ADA)["address"] == ADA
