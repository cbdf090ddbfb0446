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
