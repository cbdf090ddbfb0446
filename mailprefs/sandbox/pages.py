"""The mailbox page: what was accepted, as the people would see it.

A mail's HTML is shown in a frame that runs nothing, sends nothing and loads pictures from this
machine only; its links open beside it. There is no script on any page.
"""

import re
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, abort, redirect, render_template, request
from markupsafe import Markup, escape
from werkzeug.wrappers import Response as AnyResponse

from mailprefs import times
from mailprefs.sandbox import inbound, parts
from mailprefs.sandbox.records import Message, Search
from mailprefs.settings import is_loopback, templates_dir

bp = Blueprint("pages", __name__)

A_PAGE = 30
A_ROW = 36
"""Characters of a row of a message on a phone."""
A_STEP, LONGEST = 8, 20
"""Rows that make a message's frame one step higher, and the most steps (see mailbox.css)."""
_TOLD = {
    "taken": "The mail was sent, and the service has taken it.",
    "dropped": "The service refused the mail, so the vendor dropped it: nobody hears of it.",
    "waits": "The service could not take the mail; the vendor tries again later.",
}
TABS = ("html", "text", "headers", "request")
_HERE = "http://127.0.0.1:* http://localhost:*"
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none';"
    f" frame-ancestors 'none'; form-action 'self' {_HERE}"
)
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none';"
    f" style-src 'unsafe-inline'; img-src data: {_HERE}; form-action 'none'; base-uri 'none';"
    " frame-ancestors 'self'"
)
_HEAD = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
_URL = re.compile(r"""(https?://[^\s<>"']+[^\s<>"'.,;:!?)\]])""")
_ONE_CLICK = re.compile(r"<(https?://[^>\s]+)>")


def install(app: Flask) -> None:
    """Add the pages, and their ways to write a time and a link, to *app*."""
    app.register_blueprint(bp)
    app.add_template_filter(times.written, "time")
    app.add_template_filter(_links, "links")


@bp.get("/")
def front() -> AnyResponse:
    """Lead to the mailbox."""
    return redirect("/mailbox")


@bp.get("/mailbox")
def mailbox() -> str:
    """Show the newest mails, or those that a search finds: ``words``, ``class``, ``page``."""
    box = parts.here().mailbox
    asked = request.args
    search = Search(words=asked.get("words", ""), message_class=asked.get("class", ""))
    count = box.count(search)
    last = max(1, -(-count // A_PAGE))
    wanted = asked.get("page", "1")
    page = min(int(wanted), last) if wanted.isascii() and wanted.isdigit() and wanted > "0" else 1
    return render_template(
        "sandbox/mailbox.html",
        mails=box.summaries(search, limit=A_PAGE, skip=(page - 1) * A_PAGE),
        search=search,
        count=count,
        page=page,
        last=last,
        classes=box.classes(),
        address_of=lambda number: _query(search, number),
    )


@bp.get("/mailbox/<int:number>")
def mail(number: int) -> str:
    """Show one mail; ``tab`` chooses how."""
    box = parts.here().mailbox
    found = _found(number)
    tab = request.args.get("tab", "html" if found.html else "text")
    newer, older = box.neighbours(number)
    return render_template(
        "sandbox/mail.html",
        mail=found,
        tab=tab if tab in TABS else "html",
        newer=newer,
        older=older,
        one_click=_one_click(found),
        by_mail=bool(parts.here().settings.inbound) and inbound.leaving(found) is not None,
        told=_TOLD.get(request.args.get("mailed", "")),
        length=_length(found.text),
    )


@bp.post("/mailbox/<int:number>/mailto")
def leave_by_mail(number: int) -> AnyResponse:
    """Send the mail that a mail program sends by the header's ``mailto:``; say what came of it."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        abort(403)
    sandbox, letter = parts.here(), inbound.leaving(_found(number))
    if letter is None or not sandbox.settings.inbound:
        abort(404)
    status = inbound.post(sandbox.settings.inbound, sandbox.webhook.key, letter)
    word = "taken" if 200 <= status < 300 else "dropped" if 0 < status < 500 else "waits"
    return redirect(f"/mailbox/{number}?mailed={word}", 303)


@bp.get("/mailbox/<int:number>/html")
def mail_html(number: int) -> Response:
    """Give a mail's HTML for the frame: links open in a page of their own, nothing runs."""
    html = _found(number).html
    opened = '<base target="_blank">'
    match = _HEAD.search(html)
    cut = match.end() if match else 0
    shown = Response(html[:cut] + opened + html[cut:], content_type="text/html; charset=utf-8")
    shown.headers["Content-Security-Policy"] = MAIL_POLICY
    return shown


@bp.get("/mailbox.css")
def style() -> Response:
    """Give the stylesheet of the pages."""
    return Response((templates_dir() / "sandbox" / "mailbox.css").read_bytes(), mimetype="text/css")


@bp.get("/mailbox.svg")
def icon() -> Response:
    """Give the icon of the pages."""
    drawn = (templates_dir() / "sandbox" / "mailbox.svg").read_bytes()
    return Response(drawn, mimetype="image/svg+xml")


@bp.after_app_request
def protect(response: Response) -> Response:
    """Let a page load nothing but its own stylesheet, and be shown in no other page's frame."""
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def _found(number: int) -> Message:
    found = parts.here().mailbox.message(number)
    if found is None:
        abort(404)
    return found


def _query(search: Search, page: int) -> str:
    asked = {"words": search.words, "class": search.message_class, "page": page if page > 1 else ""}
    text = urlencode({name: value for name, value in asked.items() if value})
    return f"/mailbox?{text}" if text else "/mailbox"


def _one_click(message: Message) -> str:
    """Give the URL behind the button that mail programs show beside the sender (RFC 8058)."""
    headers = {name.lower(): value for name, value in message.headers.items()}
    match = _ONE_CLICK.search(headers.get("list-unsubscribe", ""))
    if not match or "list-unsubscribe-post" not in headers or not is_loopback(match[1]):
        return ""
    return match[1]


def _links(text: str) -> Markup:
    """Escape a text and make its URLs links that open beside the page."""
    pieces = _URL.split(text)
    anchor = Markup('<a href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>')
    # Every second piece is a URL, as the pattern has one group.
    return Markup().join(
        anchor.format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )


def _length(text: str) -> int:
    """Give how long a message is on a phone, in steps from 1 to ``LONGEST``, by its plain text.

    There is no script to measure the message with, so its frame is as high as its text lets guess.
    """
    rows = sum(1 + len(_URL.sub("", line)) // A_ROW for line in text.splitlines())
    return max(1, min(LONGEST, -(-rows // A_STEP)))
