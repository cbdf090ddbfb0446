"""The running service: web and jobs in one process under granian, or either alone."""

import atexit
import logging
import os
import signal
import socket
import sys
import threading
from functools import partial
from multiprocessing import util
from typing import TYPE_CHECKING, Final

from mailprefs.app.background import Background
from mailprefs.app.joining import build, create_app
from mailprefs.errors import BadSetting
from mailprefs.settings import load
from mailprefs.web.parts import Parts

if TYPE_CHECKING:
    from flask import Flask

# Enough that a few requests which wait for the database don't hold up the pixel, and few enough
# that they don't fight for the interpreter.
_REQUEST_THREADS: Final = min(8, 2 * (os.cpu_count() or 1) + 1)


def serve(*, host: str, port: int, worker: bool) -> None:
    """Serve on *host* and *port* until told to stop; with *worker*, campaigns are sent from here.

    Settings are those of the environment. One process answers and works; the one that called this
    only watches it, and starts it again should it die.
    """
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    _require_free(host, port)
    server = Server(
        "mailprefs.app:wsgi",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=_REQUEST_THREADS,
        websockets=False,
        # Its access log would hold tokens and IP addresses; ours is web/request_log.py.
        log_access=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
    )
    server.serve(target_loader=partial(wsgi, sends=worker), wrap_loader=False)


def _require_free(host: str, port: int) -> None:
    """Refuse a port that another program listens on: granian would share it, silently.

    :raises BadSetting: with the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadSetting(
                f"Nothing can listen on port {port} of {host} ({error.strerror}). Stop the program "
                "that has it, or choose another one: --port."
            ) from None


def wsgi(*, sends: bool = False) -> "Flask":
    """Give the web application of the installation that the environment names, jobs running.

    The process that serves the pixel also counts its hits. *sends*: it hands campaigns over too.

    :raises BadSetting: with one sentence for a setting that is missing or unsafe.
    """
    _log_to_stderr()
    parts = build(load())
    background = Background(parts, sends=sends)
    background.start()
    # A server's child process ends without atexit, but runs multiprocessing's finalizers.
    util.Finalize(None, background.stop, exitpriority=10)
    atexit.register(background.stop)
    return create_app(parts)


def work(parts: Parts) -> None:
    """Send campaigns and count opens, without pages, until SIGTERM or SIGINT."""
    _log_to_stderr()
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    background = Background(parts, sends=True)
    background.start()
    told.wait()
    background.stop()


def _log_to_stderr() -> None:
    """Let our own lines appear, unless whoever embeds us has arranged for them."""
    ours = logging.getLogger("mailprefs")
    if ours.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
