"""A process that has loaded the program and forks it: a start costs milliseconds, not seconds.

What it forks is ``mailprefs`` with its arguments, in a process group of its own; only the loading
of modules is done once for all. It is asked by lines of JSON, and ends with whoever asks.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, Final

from mailprefs.cli.main import main as mailprefs

_LOADED: Final = (
    "mailprefs.app",
    "mailprefs.app.background",
    "mailprefs.app.serving",
    "mailprefs.cli.campaigns",
    "mailprefs.cli.running",
    "mailprefs.cli.sending",
    "mailprefs.sandbox.server",
    "mailprefs.vendor.sendgrid",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
)


def serve() -> None:
    """Answer each line of standard input with one of standard output."""
    for name in _LOADED:
        importlib.import_module(name)
    # Ctrl-C is for whoever asks; its end is ours.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        wish = json.loads(line)
        answer = _fork(wish) if "words" in wish else _poll(int(wish["poll"]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _fork(wish: Mapping[str, Any]) -> int:
    """Start the program with these words, settings and log; give its process."""
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(wish["environment"])
        _redirect(wish["log"])
        sys.argv = ["mailprefs", *wish["words"]]
        status = mailprefs() or 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)


def _poll(pid: int) -> int | None:
    """Give a process's exit status, below 0 for a signal; None while it lives."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


if __name__ == "__main__":
    serve()
