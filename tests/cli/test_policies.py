"""Versions of the policy at the console: what a person types, and what they are told comes next."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import ADMIN, Shell

SUMMARY = "We keep orders for two years instead of one."
MATERIAL = ("--material", "--summary", SUMMARY)


@pytest.fixture
def text(people: Shell) -> Path:
    return people.write("policy.md", "# Privacy\n\nWe keep orders for two years.\n")


def standings(shell: Shell) -> dict[str, str]:
    return {one["version"]: one["standing"] for one in shell.ask("policy", "list")}


def test_a_version_that_is_not_material_is_in_force_at_once(people: Shell, text: Path) -> None:
    said = people.do("policy", "publish", text, "--version", "v2")
    assert said == "Version v2 is in force."
    assert standings(people)["v2"] == "in force"
    assert people.do("policy", "publish", text, "--version", "v2") == said, "again changes nothing"


def test_a_material_version_waits_for_its_notice_and_the_next_steps_are_told(
    people: Shell, text: Path
) -> None:
    said = people.do("policy", "publish", text, "--version", "v2", *MATERIAL, "--as", ADMIN)
    assert "Version v2 is announced; it takes effect on" in said
    number = people.ask("policy", "show", "v2")["notices"][0]["campaign"]
    assert f"mailprefs campaign approve {number} --as A-SECOND-PERSON" in said
    assert standings(people)["v2"] == "announced"
    sums = people.ask("policy", "proof", "v2")
    assert (sums["told"], sums["known"]) == (0, 2)


def test_a_material_version_is_in_force_at_once_where_there_is_nobody_to_tell(
    shell: Shell,
) -> None:
    file = shell.write("policy.md", "# Privacy\n\nWe keep orders for two years.\n")
    said = shell.do("policy", "publish", file, "--version", "v2", *MATERIAL)
    assert said == "Version v2 is in force."
    shown = shell.ask("policy", "show", "v2")
    assert (shown["standing"], shown["summary"], shown["notices"]) == ("in force", SUMMARY, [])


def test_or_at_its_date_which_may_be_near(shell: Shell) -> None:
    file = shell.write("policy.md", "# Privacy\n\nWe keep orders for two years.\n")
    soon = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    words = ("--version", "v2", *MATERIAL, "--effective-from", soon)
    said = shell.do("policy", "publish", file, *words)
    assert said.startswith("Version v2 is in force from ")
    assert standings(shell)["v2"] == "coming"
    assert (
        "in hindsight"
        in shell(
            "policy",
            "publish",
            file,
            "--version",
            "v3",
            *MATERIAL,
            "--effective-from",
            "2020-01-01",
        ).err
    )


def test_whoever_comes_before_that_date_can_be_told(shell: Shell) -> None:
    file = shell.write("policy.md", "# Privacy\n\nWe keep orders for two years.\n")
    shell.do("policy", "publish", file, "--version", "v2", *MATERIAL)
    brought = shell.write("people.csv", "email\nada@example.org\n")
    shell.do("import", brought, "--topic", "news", "--source", "Box on the order form")
    assert "Its notice is campaign" in shell.do("policy", "notify", "v2", "--rest")


def test_a_near_date_is_refused_where_people_have_to_be_told(people: Shell, text: Path) -> None:
    soon = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    words = ("--version", "v2", *MATERIAL, "--effective-from", soon)
    assert "days before it takes effect" in people("policy", "publish", text, *words).err
    assert "v2" not in standings(people)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--summary", SUMMARY), "say --material, too"),
        (("--reason", "A court has ordered it."), "A reason belongs to --now"),
        (("--zone", "Europe/Berlin"), "A zone belongs to a date"),
        (("--material", "--summary", "short"), "in a few sentences"),
    ],
)
def test_words_that_do_not_belong_together_are_refused_with_a_sentence(
    people: Shell, text: Path, words: tuple[str, ...], sentence: str
) -> None:
    answer = people("policy", "publish", text, "--version", "v2", *words)
    assert answer.status != 0
    assert sentence in answer.err
    assert "v2" not in standings(people)


def test_a_text_that_is_no_utf_8_is_refused(people: Shell) -> None:
    file = people.write("policy.md", b"# Datenschutz f\xfcr alle\n")
    answer = people("policy", "publish", file, "--version", "v2")
    assert answer.status != 0 and "UTF-8" in answer.err


def test_a_version_is_postponed_withdrawn_and_compared(people: Shell, text: Path) -> None:
    people.do("policy", "publish", text, "--version", "v2", *MATERIAL)
    later = f"{datetime.now(UTC) + timedelta(days=90):%Y-%m-%d}"
    assert "announced" in people.do("policy", "postpone", "v2", "--effective-from", later)
    assert people.ask("policy", "show", "v2")["effective_from"].startswith(later)
    assert "new date" in people("policy", "postpone", "v2").err
    first = next(iter(standings(people)))
    assert people.ask("policy", "diff", first, "v2")["changes"] > 0
    assert people.do("policy", "diff", "v2", "v2") == "Both texts say the same."
    withdrawn = people.do("policy", "withdraw", "v2", "--reason", "We keep it as it was.")
    assert withdrawn == "Version v2 is withdrawn and never comes into force."


def test_the_proof_of_everybody_is_a_file_that_only_its_owner_reads(
    people: Shell, text: Path, tmp_path: Path
) -> None:
    people.do("policy", "publish", text, "--version", "v2", *MATERIAL)
    file = tmp_path / "proof.csv"
    people.do("policy", "proof", "v2", "--csv", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert "@" not in "".join(lines)


def test_it_takes_the_role_of_whoever_answers_for_the_policy(people: Shell, text: Path) -> None:
    words = ("policy", "publish", text, "--version", "v2", "--as", "ilse@example.com")
    assert "admin or privacy" in people(*words).err
    assert "v2" not in standings(people)
