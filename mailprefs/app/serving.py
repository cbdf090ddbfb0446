"""The running service: web and jobs in one process under granian, or either alone."""

import atexit
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import util
from typing import TYPE_CHECKING, Any, Final

from mailprefs.app.background import Background
from mailprefs.app.joining import build, create_app
from mailprefs.errors import BadSetting
from mailprefs.links import OPEN_PREFIX
from mailprefs.settings import load
from mailprefs.useragents import classify
from mailprefs.web.parts import Parts
from mailprefs.web.pixel import IMAGE, PixelFirst

if TYPE_CHECKING:
    from flask import Flask

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)
_ONE_TIME: Final = 0.5
_SOON: Final = 0.05
# What watches this process, as it was when this process was forked off it.
_watching: Final[list[Any]] = []
log = logging.getLogger("mailprefs.app")
# Enough that requests which wait for the database don't hold up the pixel, and that those who leave
# at one moment share a transaction: most of them only wait for it.
_REQUEST_THREADS: Final = 32
# Seconds for which a thread may keep the interpreter while others want it. A choice comes back from
# the database twenty times, and would wait each time for the one who builds a batch of mails.
_TURN: Final = 0.0005


def serve(*, host: str, port: int, worker: bool) -> bool:
    """Serve on *host* and *port* until told to stop; with *worker*, campaigns are sent from here.

    Gives whether everything was brought to its end: not if it was told again, so as to hurry.
    Settings are those of the environment. One process answers and works; the one that called this
    only watches it, and starts it again should it die.
    """
    _require_free(host, port)
    ours = server(host, port)
    hastened = _hasten_when_told_again(ours)
    _watching.append(ours)
    ours.serve(target_loader=partial(_load, sends=worker), wrap_loader=False)
    return not hastened.is_set()


def server(host: str, port: int, *, threads: int = _REQUEST_THREADS) -> Any:  # noqa: ANN401 - granian has no types here
    """Give granian as it serves us: not yet started, and without an application."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    return Server(
        "mailprefs.app:wsgi",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=threads,
        websockets=False,
        # Its access log would hold tokens and IP addresses; ours is web/request_log.py.
        log_access=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
    )


def _hasten_when_told_again(server: Any) -> threading.Event:  # noqa: ANN401 - granian has no types here
    """Pass a second SIGTERM or Ctrl-C on to the process that works; give what tells of it.

    The server itself passes the first one on and waits then, whatever it hears.
    """
    hastened = threading.Event()
    first = server.signal_handler_interrupt

    def told(*_: object) -> None:
        if server.interrupt_signal:
            hastened.set()
            for process in server.wrks:
                process.terminate()
        first()

    server.signal_handler_interrupt = told
    return hastened


def _load(*, sends: bool) -> "Flask":
    """Give the application in the process that works."""
    app = wsgi(sends=sends)
    settle()
    _let_handlers_hear_once()
    for server in _watching:
        _repeat_what_came_early(server)
    return app


def settle() -> None:
    """Make this process, which has loaded all that it serves, ready to serve it fast."""
    _shorten()
    sys.setswitchinterval(_TURN)
    # The first string that nothing speaks against is looked for in the whole list of crawlers.
    classify("-")
    # What is loaded by now stays until the end: no collection need look through it again.
    gc.collect()
    gc.freeze()


def shortened(wrap: Callable[..., Callable[..., int]]) -> Callable[..., Callable[..., int]]:
    """Give granian's *wrap* of an application, with a shorter way to the pixel.

    granian makes an environment of some sixty entries and an object for the answer of each request.
    The pixel needs neither: what it looks at is in granian's own words for the request, and its
    answer never changes. Where granian is asked for more (an access log, a prefix of all paths),
    and for everything but the pixel, its own way is taken.
    """

    def wrapped(
        application: Callable[..., Any], scope: dict[str, Any], log_format: str | None = None
    ) -> Callable[..., int]:
        usual = wrap(application, scope, log_format)
        first = getattr(application, "wsgi_app", None)
        if not isinstance(first, PixelFirst) or log_format or scope.get("url_path_prefix"):
            return usual
        record, headers = first.record, first.headers

        def answer(protocol: Any, request: dict[str, Any]) -> int:  # noqa: ANN401 - granian has no types here
            # As ``PixelFirst`` asks.
            if request["PATH_INFO"].startswith(OPEN_PREFIX) and request["REQUEST_METHOD"] == "GET":
                record(request)
                protocol.response_bytes(200, headers, IMAGE)
                return 200
            return usual(protocol, request)

        return answer

    return wrapped


def _shorten() -> None:
    """Let this process's server take the shorter way to the pixel, if it is as we know it."""
    from granian.server import mp

    name = "_wsgi_call_wrap"
    if hasattr(mp, name):
        setattr(mp, name, shortened(getattr(mp, name)))


def _let_handlers_hear_once() -> None:
    """Let this process's server hear one signal only: a second one within the first hangs it.

    Its handler takes a lock that it then waits for itself, where both the group and its parent tell
    it to end. What is to be hurried is told when its work ends (``_end``).
    """
    from granian import _signals

    set_signals: Callable[..., None] = _signals.set_main_signals

    def set_once(handler: Callable[..., None], reload: Callable[..., None] | None = None) -> None:
        set_signals(hears_once(handler), reload)

    _signals.set_main_signals = set_once


def hears_once(handler: Callable[..., None]) -> Callable[..., None]:
    """Give *handler* as one that does nothing from its second call on, also amid the first."""
    heard: list[int] = []

    def once(number: int, frame: object) -> None:
        heard.append(number)
        if len(heard) == 1:
            handler(number, frame)

    return once


def _repeat_what_came_early(server: Any) -> None:  # noqa: ANN401 - granian has no types here
    """Let a process that was told to end while it started end once it listens.

    Until then it has the signal handlers of the one that watches it, which only take note.
    """
    watching = signal.getsignal(signal.SIGTERM)

    def repeat() -> None:
        while signal.getsignal(signal.SIGTERM) is watching:
            time.sleep(_SOON)
        if server.interrupt_signal:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=repeat, name="early", daemon=True).start()


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
    util.Finalize(None, _end, (background,), exitpriority=10)
    atexit.register(background.stop)
    return create_app(parts)


def work(parts: Parts) -> bool:
    """Send campaigns and count opens, without pages, until SIGTERM or SIGINT.

    Gives whether everything was brought to its end: not if it was told again, so as to hurry.
    """
    _log_to_stderr()
    told = threading.Event()
    for number in _ENDING:
        signal.signal(number, lambda *_: told.set())
    background = Background(parts, sends=True)
    background.start()
    told.wait()
    return _end(background)


def _end(background: Background) -> bool:
    """Bring everything to its end, in a hurry if told again; give whether nothing was left.

    Whoever ends a group of processes tells this one twice, at once: that is one time.
    """
    hasten, began = threading.Event(), time.monotonic()

    def told(*_: object) -> None:
        if time.monotonic() - began > _ONE_TIME:
            hasten.set()

    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            signal.signal(number, told)
    log.info("ending: calls in flight finish first; tell me again to hurry")
    return not background.stop(hasten=hasten)


def _log_to_stderr() -> None:
    """Let our own lines appear, unless whoever embeds us has arranged for them."""
    ours = logging.getLogger("mailprefs")
    if ours.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
