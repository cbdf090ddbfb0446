"""What everybody may read: lists of published messages, each one's page, and a feed of a topic.

A message has styles of its own, which our pages forbid. So it stands in a frame, as an answer of
its own: sandboxed, with a policy that lets it run nothing. The page around it is ours and speaks
the reader's language. Nothing here is anybody's own: every answer is the same for everybody, and
may be kept, if it is asked about each time, so that a withdrawn page is gone at once.
"""

from typing import Final

from flask import Blueprint, Response, make_response, render_template, request, url_for

from mailprefs.campaigns import archive
from mailprefs.campaigns.archive import IN_FEED, PAGE, Message, Place
from mailprefs.campaigns.publications import PATH
from mailprefs.languages import direction
from mailprefs.web import headers
from mailprefs.web.current import here
from mailprefs.web.speaking import language

MESSAGE_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation; "
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data: https:; "
    "form-action 'none'; frame-ancestors 'self'"
)
"""A message has inline styles and pictures of its own; it runs nothing and sends nothing."""
_FRAMING: Final = f"{headers.CONTENT_SECURITY_POLICY}; frame-src 'self'"
# Kept by whoever likes, and asked about each time.
_CACHE: Final = "public, no-cache"
_ATOM: Final = "application/atom+xml; charset=utf-8"
_LARGEST: Final = 2**31 - 1

routes = Blueprint("archive", __name__, url_prefix=PATH)


@routes.get("")
def index() -> Response:
    """List the topics that have public messages."""
    with here().db.reading() as session:
        found = archive.places(session)
    return _answer(render_template("public/archive.html", places=found))


@routes.get("/<topic>")
def listed(topic: str) -> Response:
    """List a topic's public messages, the newest first.

    :raises NotFound: for an unknown or an administrative topic.
    """
    before = request.args.get("before", type=int)
    with here().db.reading() as session:
        where = archive.place(session, topic)
        found = archive.messages(session, where, language().tag, before=_possible(before))
    page = render_template(
        "public/archive_topic.html",
        where=where,
        messages=found,
        older=found[-1].campaign_id if len(found) == PAGE else None,
        sender_name=where.sender.name,
    )
    return _answer(page)


@routes.get("/<topic>/feed.xml")
def feed(topic: str) -> Response:
    """Give a topic's newest public messages as a feed, each in full (RFC 4287).

    :raises NotFound: for an unknown or an administrative topic.
    """
    with here().db.reading() as session:
        where = archive.place(session, topic)
        found = archive.messages(session, where, language().tag, most=IN_FEED)
    updated = found[0].sent_at if found else where.topic.created_at
    text = render_template("public/feed.xml", where=where, messages=found, updated=updated)
    return _answer(text, kind=_ATOM)


@routes.get("/<topic>/<slug>")
def show(topic: str, slug: str) -> Response:
    """Show one message, in a frame.

    :raises NotFound: unless it is public.
    """
    where, found = _found(topic, slug)
    page = render_template(
        "public/archive_message.html",
        where=where,
        message=found,
        content_direction=direction(found.language),
        content_path=url_for(".content", topic=topic, slug=slug, lang=found.language),
        sender_name=where.sender.name,
    )
    response = _answer(page)
    response.headers["Content-Security-Policy"] = _FRAMING
    return response


@routes.get("/<topic>/<slug>/message")
def content(topic: str, slug: str) -> Response:
    """Give the message alone, for the frame around it or a window of its own.

    :raises NotFound: unless it is public.
    """
    _, found = _found(topic, slug)
    response = _answer(found.shown.document)
    response.headers["Content-Security-Policy"] = MESSAGE_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    # It is found by the page around it.
    response.headers["X-Robots-Tag"] = "noindex, indexifembedded"
    return response


def _found(topic: str, slug: str) -> tuple[Place, Message]:
    tag = request.args.get("lang") or language().tag
    with here().db.reading() as session:
        where = archive.place(session, topic)
        return where, archive.message(session, where, slug, tag)


def _possible(before: int | None) -> int | None:
    """Give a campaign's number from an address, if it can be one."""
    return before if before is not None and 0 < before <= _LARGEST else None


def _answer(text: str, *, kind: str = "text/html; charset=utf-8") -> Response:
    response = make_response(text)
    response.headers["Content-Type"] = kind
    response.headers["Cache-Control"] = _CACHE
    # Published to be found, unlike everything else of ours.
    response.headers["X-Robots-Tag"] = "all"
    response.headers["Vary"] = "Accept-Language"
    response.add_etag()
    response.make_conditional(request)
    return response
