"""Keys at the console: shown once, for a year at most, taken back for good."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Shell


def day(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


def test_a_key_is_shown_once_listed_and_taken_back(people: Shell) -> None:
    told = people.do("key", "add", "The shop", "--scope", "choices", "--expires", day(90))
    text, _, rest = told.partition("\n")
    assert text.startswith("mpk_")
    assert len(text) == 47
    assert "key 1" in rest
    (one,) = people.ask("key", "list")
    assert (one["name"], one["scopes"], one["revoked"]) == ("The shop", ["choices"], False)
    assert text not in people.do("key", "list")
    people.do("key", "revoke", "1")
    people.do("key", "revoke", "1")
    assert people.ask("key", "list")[0]["revoked"] is True


@pytest.mark.parametrize(
    ("name", "days", "told"),
    [
        ("", 90, "which program"),
        ("x" * 81, 90, "which program"),
        ("Shop", -2, "within 366 days"),
        ("Shop", 400, "within 366 days"),
    ],
)
def test_a_key_that_nobody_should_have_is_refused(
    people: Shell, name: str, days: int, told: str
) -> None:
    refused = people("key", "add", name, "--scope", "choices", "--expires", day(days))
    assert refused.status == 2
    assert told in refused.err
    assert people.ask("key", "list") == []


def test_only_a_key_that_there_is_can_be_taken_back(people: Shell) -> None:
    assert "There is no key 7" in people("key", "revoke", "7").err
