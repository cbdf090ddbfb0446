import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.vendor.message import Verdict
from mailprefs.vendor.sendgrid import SendGrid
from tests.vendor.mailings import person, promotional

ROOT = Path(__file__).parents[2]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    command = (
        # Whoever runs the tests in the background may have told all their processes to ignore it.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from pathlib import Path; from mailprefs.sandbox.server import serve;"
        f"serve(port=0, store=Path({str(tmp_path / 'mail.sqlite')!r}),"
        f" key_file=Path({str(tmp_path / 'key.pem')!r}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as running:
        assert running.stdout
        mailbox, host, api_key, key = (running.stdout.readline().strip() for _ in range(4))
        assert api_key.startswith("MAILPREFS_SENDGRID_API_KEY=SG.")
        yield (
            running,
            {
                "mailbox": mailbox.removeprefix("Mailbox: "),
                "host": host.removeprefix("MAILPREFS_SENDGRID_HOST="),
                "key": key.removeprefix("MAILPREFS_SENDGRID_WEBHOOK_KEY="),
            },
        )
        running.kill()


def test_a_served_sandbox_says_where_to_look_and_what_to_set(
    process: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    _, said = process
    assert said["mailbox"] == said["host"] + "/mailbox"
    assert said["host"].startswith("http://127.0.0.1:")
    assert len(said["key"]) == 124  # a P-256 key as base64 of DER


def test_what_a_killed_sandbox_accepted_is_still_there(
    process: tuple[subprocess.Popen[str], dict[str, str]], tmp_path: Path
) -> None:
    running, said = process
    carrier = SendGrid("SG.any", said["host"])
    people = [person(number) for number in range(1, 301)]
    assert carrier.hand_over(promotional(people=people)).verdict is Verdict.ACCEPTED
    carrier.close()
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    with Sandbox(SandboxSettings(store=tmp_path / "mail.sqlite")) as again:
        assert again.accepted == len(again.messages) == 300


@pytest.mark.faults
def test_an_interrupted_sandbox_ends_by_itself(
    process: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    running, _ = process
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=10) == 0
