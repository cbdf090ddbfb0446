"""How each refusal is answered: one table of statuses, a readable page or JSON, a calm 500.

What a person did wrong is told as a sentence. What we did wrong gets a page with a reference, under
which the log says where it happened; the log never shows the message of an unexpected error, which
may hold a path, a token or an address.
"""

import logging
import secrets
import traceback
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from flask import Flask, Response, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from mailprefs.errors import (
    BadAddress,
    BadFile,
    BadInput,
    BadSetting,
    BadSignature,
    BadTemplate,
    BadToken,
    CheckFailed,
    Conflict,
    LedgerBroken,
    MailprefsError,
    NotAllowed,
    NotFound,
    Preflight,
    StoreUnavailable,
)
from mailprefs.languages import ENGLISH, gettext_noop
from mailprefs.web.speaking import gettext, language

log = logging.getLogger("mailprefs.web")

STATUS: Final = MappingProxyType(
    {
        MailprefsError: 500,
        BadSetting: 500,
        BadInput: 400,
        BadAddress: 400,
        BadFile: 400,
        BadTemplate: 400,
        BadToken: 404,
        BadSignature: 403,
        NotFound: 404,
        NotAllowed: 403,
        Conflict: 409,
        CheckFailed: 409,
        Preflight: 422,
        StoreUnavailable: 503,
        LedgerBroken: 500,
    }
)
"""The status of every class of refusal; a walking test fails for a class without one."""

JSON_PREFIXES: Final = ("/api/", "/webhooks/", "/healthz")
"""Paths that programs read: they get errors as JSON."""

_PACKAGE = str(Path(__file__).parent.parent)
_PLACES = 6
_RETRY_SECONDS = "30"
_INTERNAL = 500


class Told(NamedTuple):
    """What the person who asked is told: a heading and what to do."""

    heading: str
    sentence: str


_TOLD: Final = MappingProxyType(
    {
        400: Told(
            gettext_noop("That didn’t work"),
            gettext_noop("Something in the request can’t be read. Please try again."),
        ),
        403: Told(
            gettext_noop("This is not open to you"),
            gettext_noop("You may lack the role for this page."),
        ),
        404: Told(
            gettext_noop("There is nothing here"),
            gettext_noop("The address may be mistyped, or the page is gone."),
        ),
        405: Told(
            gettext_noop("That can’t be done here"),
            gettext_noop("Go back to the page before, and try again from there."),
        ),
        413: Told(
            gettext_noop("That is too much at once"),
            gettext_noop("What was sent is larger than this page takes."),
        ),
        429: Told(
            gettext_noop("A little too often"),
            gettext_noop("Please wait a while, then try again."),
        ),
        500: Told(
            gettext_noop("Something went wrong on our side"),
            gettext_noop("Nothing that you did caused this. Please try again in a few minutes."),
        ),
        503: Told(
            gettext_noop("We can’t save that just now"),
            gettext_noop(
                "Nothing was changed. Please try again in a minute; your link stays good."
            ),
        ),
    }
)


def install(app: Flask) -> None:
    """Answer every error of *app* from here."""
    app.register_error_handler(MailprefsError, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def status_of(error: MailprefsError) -> int:
    """Give the status of the nearest class of *error* that has one."""
    return next(
        STATUS[kind]
        for kind in type(error).__mro__
        if issubclass(kind, MailprefsError) and kind in STATUS
    )


def trouble(error: BaseException) -> str:
    """Log an unexpected error by its classes and places only; give the reference to find it by."""
    reference = secrets.token_hex(4)
    log.error("reference=%s at %s: %s", reference, request.endpoint or "nowhere", _places(error))
    return reference


def in_words(error: MailprefsError) -> str:
    """Say a refusal in the page's language."""
    return _in_words(str(error), status_of(error))


def _refused(error: MailprefsError) -> Response:
    status = status_of(error)
    if status == _INTERNAL:
        return _unexpected(error)
    if status == STATUS[StoreUnavailable]:
        trouble(error)
        response = _answer(status, _TOLD[status].sentence)
        response.headers["Retry-After"] = _RETRY_SECONDS
        return response
    return _answer(status, str(error))


def _http(error: HTTPException) -> Response:
    status = error.code or _INTERNAL
    if error.response is not None or status < 400:
        return make_response(error.get_response())
    response = _answer(status, _told(status).sentence)
    allowed = error.get_response().headers.get("Allow")
    if allowed:
        response.headers["Allow"] = allowed
    return response


def _unexpected(error: Exception) -> Response:
    return _answer(_INTERNAL, _TOLD[_INTERNAL].sentence, trouble(error))


def _answer(status: int, sentence: str, reference: str | None = None) -> Response:
    """Give the page, or the JSON object, that says what is wrong."""
    if request.path.startswith(JSON_PREFIXES):
        body = {"error": sentence} | ({"reference": reference} if reference else {})
        response = jsonify(body)
    else:
        page = render_template(
            "public/error.html",
            heading=gettext(_told(status).heading),
            sentence=_in_words(sentence, status),
            reference=reference,
        )
        response = make_response(page)
    response.status_code = status
    return response


def _told(status: int) -> Told:
    return _TOLD.get(status, _TOLD[400])


def _in_words(sentence: str, status: int) -> str:
    """Say a refusal in the page's language; where that lacks its sentence, in general words."""
    if language() is ENGLISH:
        return sentence
    return gettext(sentence if language().knows(sentence) else _told(status).sentence)


def _places(error: BaseException) -> str:
    """Say which errors led to each other, and the places of ours that they passed."""
    told = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = [
            f"{Path(frame.filename).stem}.{frame.name}:{frame.lineno}"
            for frame in reversed(traceback.extract_tb(current.__traceback__))
            if frame.filename.startswith(_PACKAGE)
        ]
        places = " < ".join(frames[:_PLACES]) or "no place of ours"
        told.append(f"{type(current).__module__}.{type(current).__qualname__} in {places}")
        current = current.__cause__ or current.__context__
    return "; after ".join(told)
