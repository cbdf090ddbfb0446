"""The link by which somebody gets all that is stored about them: asking shows buttons, no more.

The link was mailed to the address on file and is good once, so neither a forwarded message of ours
nor a program that opens links gets at anybody's data (``privacy.requests``). The file is made when
a button is pressed, and stored nowhere.
"""

from typing import Final

from flask import Blueprint, Response, make_response, request

from mailprefs.languages import Language
from mailprefs.links import REQUEST_PREFIXES
from mailprefs.policy import DataRequest
from mailprefs.privacy import access, requests
from mailprefs.privacy.access import Export
from mailprefs.web import mailed, standing
from mailprefs.web.current import here
from mailprefs.web.request_log import note
from mailprefs.web.speaking import language

KIND: Final = DataRequest.EXPORT
PREFIX: Final = REQUEST_PREFIXES[KIND]
HTML: Final = "html"
JSON: Final = "json"

routes = Blueprint("exports", __name__)


@routes.get(f"{PREFIX}<token:token>")
def show(token: str) -> Response:
    """Show whose data it is and the buttons; asking changes nothing and uses nothing up."""
    return mailed.show(KIND, token, "export")


@routes.post(f"{PREFIX}<token:token>")
def give(token: str) -> Response:
    """Give the file and use the link up, once the file is whole: a fault of ours costs no link.

    :raises StoreUnavailable: when it could not be made.
    """
    parts, nonce, made = here(), mailed.read(KIND, token), None
    if nonce is not None:
        now = parts.clock()
        with parts.db.reading() as session:
            number = requests.whose(session, KIND, nonce, now=now)
            if number is not None and standing.find(session, number) is not None:
                made = access.collect(session, number, zone=parts.settings.time_zone, now=now)
        if made is not None:
            answer = as_file(made, request.form.get("form", HTML), language())
            with parts.db.transaction() as session:
                used = requests.redeem(session, KIND, nonce, now=now)
            if used is not None:
                note(recipient=used)
                return answer
    return mailed.over()


def as_file(export: Export, form: str, spoken: Language) -> Response:
    """Give an export to be kept as a file: as JSON, or as a page to read."""
    is_json = form == JSON
    answer = make_response(access.as_json(export) if is_json else access.as_html(export, spoken))
    answer.content_type = "application/json" if is_json else "text/html; charset=utf-8"
    name = f"data-{export.made_at:%Y-%m-%d}.{JSON if is_json else HTML}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer
