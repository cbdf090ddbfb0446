"""The service and its helpers refuse to start with a sentence, not with a stack."""

import socket

import pytest

from tests.cli.conftest import Shell


@pytest.mark.parametrize("command", ["run", "worker"])
def test_the_service_says_what_is_missing_before_it_starts(bare: Shell, command: str) -> None:
    said = bare(command)
    assert (said.status, len(said.sentences)) == (2, 1)
    assert "There is no installation in" in said.err


def test_a_taken_port_is_one_sentence(bare: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = bare("sandbox", "--port", taken.getsockname()[1])
    assert (said.status, len(said.sentences)) == (2, 1)
    assert "is taken" in said.err


def test_the_sandbox_tells_nobody_outside_of_this_machine(bare: Shell) -> None:
    said = bare("sandbox", "--webhook", "https://hooks.example.com/events")
    assert (said.status, len(said.sentences)) == (2, 1)
    assert "this machine only" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--port", "99999"),
        ("run", "--port", "eighty"),
        ("sandbox", "--port", "0"),
        ("sandbox", "--calls-per-second", "-1"),
    ],
)
def test_a_number_that_cannot_be_is_refused_in_a_sentence(
    bare: Shell, words: tuple[str, ...]
) -> None:
    said = bare(*words)
    assert said.status == 2
    assert "write a whole number from 1 to " in said.err
