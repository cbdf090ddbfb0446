"""The command line itself: quick help, one version, one sentence a refusal."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import click
import pytest

from mailprefs import settings
from mailprefs.cli.main import commands, main
from mailprefs.errors import MailprefsError
from mailprefs.settings import places
from tests.cli.conftest import Shell

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"flask", "sqlalchemy", "pydantic", "rich", "alembic", "granian", "sendgrid", "mrml"}


def names() -> list[str]:
    return commands.list_commands(click.Context(commands))


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_answers_without_loading_anything_heavy(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from mailprefs.cli.main import main\n"
        f"main({words})\n"
        "print(*sorted(name for name in sys.modules if '.' not in name))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "campaign" in done.stdout + done.stderr
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())


def test_every_command_loads_and_is_described_where_it_is_listed() -> None:
    context = click.Context(commands)
    for name in names():
        command = commands.get_command(context, name)
        assert command is not None, name
        assert command.name == name
        assert command.help, name


def test_every_command_and_option_says_what_it_is_for() -> None:
    def walk(command: click.Command) -> None:
        assert command.help, command.name
        for one in getattr(command, "commands", {}).values():
            walk(one)

    for name in names():
        command = commands.get_command(click.Context(commands), name)
        assert command is not None
        walk(command)


def test_no_list_of_commands_breaks_off_in_the_middle_of_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in names():
        assert main([name, "--help"]) == 0
        listed = capsys.readouterr().out.partition("Commands:")[2]
        assert not [line for line in listed.splitlines() if line.endswith("...")], name


def test_the_version_is_that_of_the_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert f'version = "{capsys.readouterr().out.split()[1]}"' in (
        ROOT / "pyproject.toml"
    ).read_text(encoding="utf-8")


def test_the_version_of_an_installed_wheel_is_its_metadatas(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A wheel has no pyproject.toml beside it."""
    monkeypatch.setattr(places, "_PACKAGE", tmp_path / "mailprefs")
    monkeypatch.setattr(metadata, "version", lambda name: f"{name} 7.8.9")
    assert settings.version() == "mailprefs 7.8.9"


def test_an_unknown_command_is_a_mistake(bare: Shell) -> None:
    assert bare("send").status == 2
    assert "No such command" in bare("send").err


def test_a_refusal_is_one_sentence_and_its_own_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusal(MailprefsError):
        exit_status = 9

    def refuse(*_: object, **__: object) -> None:
        raise Refusal("This can't be done; do that.")

    monkeypatch.setattr(commands, "main", refuse)
    assert main([]) == 9
    assert capsys.readouterr() == ("", "mailprefs: This can't be done; do that.\n")


def test_an_interrupted_command_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise click.Abort

    monkeypatch.setattr(commands, "main", interrupt)
    assert main([]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_before_init_every_command_says_what_to_do(bare: Shell) -> None:
    answer = bare("campaign", "list")
    assert answer.status == 2
    assert "There is no installation in" in answer.err
    bare.set(TOKEN_KEYS="q8" * 2 + "Zt0v3Jd7Kx1mYwR5uHs9LfEaPnBcGi2o4T6zVyXQ")
    bare.set(ADDRESS_KEY="h3" * 2 + "Yt0v3Jd7Kx1mYwR5uHs9LfEaPnBcGi2o4T6zVyXQ")
    answer = bare("campaign", "list")
    assert (answer.status, answer.sentences) == (
        1,
        ["mailprefs: The database isn't set up for this version yet; run: mailprefs init"],
    )
