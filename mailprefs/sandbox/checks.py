"""The sandbox's own API: what programs ask it, and how they tell it to misbehave."""

from flask import Blueprint, Response, abort, jsonify, request

from mailprefs import errors
from mailprefs.sandbox import asking, moods, parts
from mailprefs.sandbox.records import Search

bp = Blueprint("checks", __name__, url_prefix="/sandbox")

MOST_AT_ONCE = 1_000


@bp.get("/messages")
def messages() -> Response:
    """List accepted messages with all their parts, oldest first.

    Query: ``after`` (a message's id), ``limit`` (at most 1,000), ``to`` (an address), ``class``,
    ``words``. The answer's ``last`` is the next ``after``; ``accepted`` counts every recipient.
    """
    mailbox = parts.here().mailbox
    search = Search(
        words=request.args.get("words", ""),
        message_class=request.args.get("class", ""),
        to=request.args.get("to", ""),
        after=asking.number("after", 0),
    )
    found = mailbox.messages(search, limit=min(asking.number("limit", 100), MOST_AT_ONCE))
    last = found[-1].id if found else search.after
    return jsonify(messages=found, last=last, accepted=mailbox.accepted())


@bp.get("/messages/<int:number>")
def message(number: int) -> Response:
    """Give one message with all its parts."""
    found = parts.here().mailbox.message(number)
    if found is None:
        abort(404)
    return jsonify(found)


@bp.delete("/messages")
def forget() -> Response:
    """Forget all messages and requests."""
    parts.here().mailbox.empty()
    return Response(status=204)


@bp.get("/requests")
def requests() -> Response:
    """List the requests that came in, refused and dropped ones too, oldest first."""
    mailbox = parts.here().mailbox
    limit = min(asking.number("limit", 100), MOST_AT_ONCE)
    found = mailbox.requests(after=asking.number("after", 0), limit=limit)
    last = found[-1].id if found else asking.number("after", 0)
    return jsonify(requests=found, last=last, accepted=mailbox.accepted())


@bp.get("/carried")
def carried() -> Response:
    """List every accepted recipient: delivery, attempt, and from when to when its request was here.

    Query: ``after`` (a message's id), ``limit`` (at most 1,000); ``last`` is the next ``after``.
    """
    limit = min(asking.number("limit", MOST_AT_ONCE), MOST_AT_ONCE)
    found = parts.here().mailbox.carried(after=asking.number("after", 0), limit=limit)
    last = found[-1].id if found else asking.number("after", 0)
    return jsonify(carried=[one._asdict() for one in found], last=last)


@bp.get("/mood")
def mood() -> Response:
    """List the moods in force."""
    return jsonify(moods=parts.here().moods.now())


@bp.post("/mood")
def put_mood() -> Response:
    """Replace the moods by one, or by a list of them: see ``moods.Mood`` for the fields."""
    parts.here().moods.put(moods.read(asking.json_body()))
    return mood()


@bp.delete("/mood")
def behave() -> Response:
    """End all moods."""
    parts.here().moods.put(())
    return mood()


@bp.get("/webhook")
def webhook() -> Response:
    """Tell what was posted, what is still to be posted, and the key to verify it with."""
    here = parts.here().webhook
    return jsonify(public_key=here.key.public, posted=here.posted, pending=here.pending)


@bp.post("/webhook")
def change_webhook() -> Response:
    """Hold events back (``paused``), post each more than once (``copies``), ``shuffled`` or not."""
    wish = asking.json_object()
    paused, copies, shuffled = wish.get("paused"), wish.get("copies"), wish.get("shuffled")
    flags = all(isinstance(flag, bool | None) for flag in (paused, shuffled))
    if not flags or copies not in {None, 1, 2, 3, 4, 5}:
        raise errors.BadInput(
            "The webhook takes paused and shuffled (true or false) and copies (1 to 5)."
        )
    parts.here().webhook.change(paused=paused, copies=copies, shuffled=shuffled)
    return webhook()


@bp.get("/webhook-key")
def webhook_key() -> Response:
    """Give the key to verify events with, as the vendor shows it: one line of base64."""
    return Response(parts.here().webhook.key.public + "\n", content_type="text/plain")


@bp.post("/events")
def tell() -> Response:
    """Post any event of one message: ``message`` (its id), ``event`` (the word), other fields."""
    wish = asking.json_object()
    number, word = wish.pop("message", None), wish.pop("event", None)
    if not isinstance(number, int) or not isinstance(word, str):
        raise errors.BadInput("An event has a message (its number) and an event (the word).")
    if not parts.here().webhook.tell_one(number, word, wish):
        abort(404)
    return Response(status=202)
