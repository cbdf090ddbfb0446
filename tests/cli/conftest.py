"""Commands as a person types them, run in this process on an installation of the test's own."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mailprefs.cli.main import main
from mailprefs.db.database import Database
from mailprefs.settings import PREFIX

ADMIN = "marta@example.com"


class Answer(NamedTuple):
    """What one command came to."""

    status: int
    out: str
    err: str

    @property
    def sentences(self) -> list[str]:
        """Give the lines of the refusal."""
        return self.err.strip().splitlines()


@dataclass
class Shell:
    """An installation and the commands on it."""

    data: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: object) -> Answer:
        """Run one command and give what it came to, whatever that is."""
        self.capsys.readouterr()
        status = main([str(word) for word in words])
        said = self.capsys.readouterr()
        return Answer(status, said.out, said.err)

    def do(self, *words: object) -> str:
        """Run a command that has to work; give what it printed."""
        answer = self(*words)
        assert answer.status == 0, answer
        return answer.out.strip()

    def ask(self, *words: object) -> Any:  # noqa: ANN401 - whatever JSON the command prints
        """Run a command with ``--json``; give what it answered."""
        return json.loads(self.do(*words, "--json"))

    def set(self, **settings: str) -> None:
        """Set settings for the commands that follow."""
        for name, value in settings.items():
            self.monkeypatch.setenv(f"{PREFIX}{name}", value)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file beside the installation."""
        path = self.data.parent / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    @property
    def db(self) -> Database:
        """Open the database beside the commands; the caller closes it."""
        return Database(f"sqlite:///{self.data / 'mailprefs.db'}")


PEOPLE = (
    "email;first name;last name;Plan\n"
    "ada@example.org;Ada;Lovelace;gold\n"
    "grace@example.org;Grace;Hopper;\n"
    "ada@example.org;Ada;Lovelace;gold\n"
    "nobody;No;Body;\n"
)
_SETTINGS = {
    "ENVIRONMENT": "sandbox",
    "SENDGRID_HOST": "http://127.0.0.1:9",
    "SENDGRID_API_KEY": "SG.sandbox.nothing-real-is-sent",
    "BASE_URL": "https://mail.example.com",
    "CONTACT": "hello@example.com",
    "CONNECT_TIMEOUT": "1",
    "READ_TIMEOUT": "2",
}


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """Make an installation with two topics, two people on the staff, and two on the newsletter."""
    folder = tmp_path_factory.mktemp("installation")
    data = folder / "data"
    data.mkdir(mode=0o700)
    shutil.copy(sqlite_template, data / "mailprefs.db")
    file = folder / "people.csv"
    file.write_text(PEOPLE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as settings:
        for name, value in {**_SETTINGS, "DATA_DIR": str(data)}.items():
            settings.setenv(f"{PREFIX}{name}", value)
        for words in (
            ("init", "--admin", ADMIN, "--name", "Marta"),
            ("topic", "add", "news", "--name", "News"),
            ("topic", "add", "legal", "--class", "administrative", "--name", "Legal"),
            ("staff", "add", "ilse@example.com", "--role", "approve", "--role", "draft"),
        ):
            assert main(words) == 0
        shutil.copytree(data, folder / "empty")
        bring = ("import", str(file), "--topic", "news", "--source", "Box on the order form")
        assert main(bring) == 0
    return folder


@pytest.fixture
def bare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """Give an installation that is still to be made."""
    shell = Shell(tmp_path / "data", monkeypatch, capsys)
    shell.set(**_SETTINGS, DATA_DIR=str(shell.data))
    monkeypatch.setenv("COLUMNS", "200")
    return shell


@pytest.fixture
def shell(bare: Shell, made_once: Path) -> Shell:
    """Give an installation with keys, senders, topics of both classes, and two on the staff."""
    shutil.copytree(made_once / "empty", bare.data)
    return bare


@pytest.fixture
def people(bare: Shell, made_once: Path) -> Shell:
    """Give the same installation with two people on its newsletter."""
    shutil.copytree(made_once / "data", bare.data)
    return bare


@pytest.fixture
def letter(people: Shell) -> int:
    """Give the number of a draft to these people."""
    source = people.write("letter.md", 'Hello {{ first_name | "there" }}.\n')
    words = ("campaign", "create", "--topic", "news", "--subject", "Hello", "--source", source)
    return int(people.do(*words))
