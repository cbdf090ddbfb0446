"""The open pixel: one constant picture for whoever asks, and one line in the spool if it counts.

``PixelFirst`` answers in front of Flask, whose own machinery would cost thirty times what there is
to do. The same view is registered in Flask too, for what isn't a plain GET and for the walking
tests, and a test compares the two byte for byte.

The answer never depends on the link: a forged, old, foreign or refused one gets the same status,
headers and bytes, in the same way, so that nothing can be learned by trying.
"""

import logging
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, request
from PIL import Image

from mailprefs.errors import BadToken
from mailprefs.links import OPEN_PREFIX
from mailprefs.settings import Settings
from mailprefs.spool import Record
from mailprefs.useragents import RULESET, classify
from mailprefs.web import headers
from mailprefs.web.current import here
from mailprefs.web.parts import Parts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ENDPOINT: Final = "pixel.show"

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
        self._read = parts.links.read_open
        self._append = parts.spool.append
        self._clock = parts.clock

    def record(self, environ: "WSGIEnvironment") -> None:
        """Note one GET; nothing that goes wrong here reaches the reader.

        Whoever sends Global Privacy Control (``Sec-GPC: 1``) or Do Not Track (``DNT: 1``) isn't
        recorded at all.
        """
        if environ.get("HTTP_SEC_GPC") == "1" or environ.get("HTTP_DNT") == "1":
            return
        try:
            campaign_id, delivery_id = self._read(environ["PATH_INFO"][len(OPEN_PREFIX) :])
            kind, reason, client = classify(environ.get("HTTP_USER_AGENT"))
            is_aggregate = delivery_id is None
            self._append(
                Record(
                    campaign_id if delivery_id is None else delivery_id,
                    is_aggregate,
                    int(self._clock().timestamp() * 1000),
                    kind,
                    reason,
                    client,
                    None,
                    RULESET,
                )
            )
        except BadToken:
            return
        except Exception as error:  # noqa: BLE001 - the reader of a mail can't help us
            log.error("A pixel hit was lost: %s", type(error).__name__)  # noqa: TRY400 - the traceback shows the link


class PixelFirst:
    """Answers the pixel's GET in front of *app*; everything else goes on to it."""

    def __init__(self, app: "WSGIApplication", parts: Parts) -> None:
        """Stand in front of *app*."""
        self.behind = app
        self._record = Recorder(parts).record
        self._headers = answer_headers(parts.settings)
        self._body = (IMAGE,)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].startswith(OPEN_PREFIX):
            self._record(environ)
            start_response("200 OK", self._headers.copy())
            return self._body
        return self.behind(environ, start_response)


@routes.get(f"{OPEN_PREFIX}<token:token>")
def show(token: str) -> Response:
    """Answer as ``PixelFirst`` does; HEAD and OPTIONS record nothing."""
    del token
    parts = here()
    if request.method == "GET":
        Recorder(parts).record(request.environ)
    return Response(IMAGE, headers=answer_headers(parts.settings))
