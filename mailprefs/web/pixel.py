"""The open pixel: one constant picture for whoever asks, and one line in the spool if it counts.

``PixelFirst`` answers in front of Flask, whose own machinery would cost thirty times what there is
to do. The same view is registered in Flask too, for what isn't a plain GET and for the walking
tests, and a test compares the two byte for byte.

The answer never depends on the link: a forged, old, foreign or refused one gets the same status,
headers and bytes, in the same way, so that nothing can be learned by trying.
"""

import logging
import time
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Flask, Response, current_app, request
from PIL import Image

from mailprefs.errors import BadToken
from mailprefs.links import DELIVERY, OPEN_PREFIX
from mailprefs.settings import Settings
from mailprefs.useragents.tables import LONGEST
from mailprefs.web import headers
from mailprefs.web.current import here
from mailprefs.web.fetches import Judge, known
from mailprefs.web.parts import Parts, utc_now

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ENDPOINT: Final = "pixel.show"
_RECORDER: Final = "mailprefs.pixel"
_PREFIX_LENGTH: Final = len(OPEN_PREFIX)

log = logging.getLogger("mailprefs.web")
routes = Blueprint("pixel", __name__)


def _drawn() -> bytes:
    """Draw one transparent point, once."""
    file = BytesIO()
    Image.new("P", (1, 1), 0).save(file, "GIF", transparency=0, optimize=True)
    return file.getvalue()


IMAGE: Final = _drawn()
"""The picture: a GIF of one transparent point."""


def answer_headers(settings: Settings) -> list[tuple[str, str]]:
    """Give the headers of every answer, always the same."""
    return [
        ("Content-Type", "image/gif"),
        ("Content-Length", str(len(IMAGE))),
        ("Cache-Control", "no-store, no-cache, must-revalidate, private, max-age=0"),
        # Web mail that isolates its pages may show the picture.
        ("Cross-Origin-Resource-Policy", "cross-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Robots-Tag", "noindex, nofollow"),
        *headers.transport_security(settings).items(),
    ]


class Recorder:
    """Writes a fetch into the spool, if the link is ours and the reader doesn't object."""

    def __init__(self, parts: Parts) -> None:
        """Take what is needed out of *parts* once, for speed."""
        self._read = parts.links.open_reader()
        self._append = parts.spool.append_hit
        self._lost = parts.spool.count_lost
        self._judge = Judge(parts).rest
        clock = parts.clock
        self._now = time.time if clock is utc_now else lambda: clock().timestamp()

    def record(self, environ: "WSGIEnvironment") -> None:
        """Note one GET; nothing that goes wrong here reaches the reader.

        Whoever sends Global Privacy Control (``Sec-GPC: 1``) or Do Not Track (``DNT: 1``) isn't
        recorded at all.
        """
        get = environ.get
        if get("HTTP_SEC_GPC") == "1" or get("HTTP_DNT") == "1":
            return
        try:
            form, subject = self._read(environ["PATH_INFO"][_PREFIX_LENGTH:])
            at = self._now()
            opened, loaded, asks, verdict = known(get("HTTP_USER_AGENT", "")[:LONGEST])
            is_open = form == DELIVERY
            rest = opened if is_open else loaded
            if asks:
                rest = self._judge(environ, verdict, subject if is_open else None, at) or rest
            self._append(subject, int(at * 1000), rest)
        except BadToken:
            return
        except Exception as error:  # noqa: BLE001 - the reader of a mail can't help us
            self._lost()
            log.error("A pixel hit was lost: %s", type(error).__name__)  # noqa: TRY400 - the traceback shows the link


class PixelFirst:
    """Answers the pixel's GET in front of *app*; everything else goes on to it."""

    def __init__(self, app: "WSGIApplication", recorder: Recorder, settings: Settings) -> None:
        """Stand in front of *app*."""
        self.behind = app
        self.record = recorder.record
        self.headers = answer_headers(settings)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        if environ["PATH_INFO"].startswith(OPEN_PREFIX) and environ["REQUEST_METHOD"] == "GET":
            self.record(environ)
            start_response("200 OK", self.headers.copy())
            # A list, and no other sequence: granian sends it as it is, not piece by piece.
            return [IMAGE]
        return self.behind(environ, start_response)


def install(app: Flask, parts: Parts) -> None:
    """Put the pixel in front of *app*, and let its view record by the same recorder.

    So there is one count of bursts, whichever of the two is asked.
    """
    recorder = app.extensions[_RECORDER] = Recorder(parts)
    app.wsgi_app = PixelFirst(app.wsgi_app, recorder, parts.settings)  # type: ignore[method-assign]  # Flask's documented way to put a layer in front


@routes.get(f"{OPEN_PREFIX}<token:token>")
def show(token: str) -> Response:
    """Answer as ``PixelFirst`` does; HEAD and OPTIONS record nothing."""
    del token
    if request.method == "GET":
        recorder: Recorder = current_app.extensions[_RECORDER]
        recorder.record(request.environ)
    return Response(IMAGE, headers=answer_headers(here().settings))
