"""``/v3/suppression/...`` and erasing as the vendor does it, and how a program fills the lists."""

import hmac
from uuid import uuid4

from flask import Blueprint, Response, abort, jsonify, request

from mailprefs import errors
from mailprefs.sandbox import asking, fates, lists, parts
from mailprefs.sandbox.mail_send import refusal

bp = Blueprint("suppression", __name__)

MOST_ON_A_PAGE = 500
MOST_ERASED = 5_000
_END_OF_TIME = 4_102_444_800


@bp.before_request
def check_key() -> Response | None:
    """Refuse who has no key, and a key that may only send."""
    if not request.path.startswith("/v3/"):
        return None
    settings = parts.here().settings
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not given:
        return refusal(401, "The provided authorization grant is invalid, expired, or revoked")
    if settings.read_key and not hmac.compare_digest(given.encode(), settings.read_key.encode()):
        return refusal(403, "access forbidden")
    return None


@bp.get("/v3/suppression/<name>")
def page(name: str) -> Response:
    """List one list: ``start_time``, ``end_time``, ``limit`` (at most 500), ``offset``."""
    limit = asking.number("limit", MOST_ON_A_PAGE)
    if name not in lists.NAMES:
        abort(404)
    if limit > MOST_ON_A_PAGE:
        return refusal(400, "limit must be at most 500", "limit")
    found = parts.here().webhook.lists.page(
        name,
        since=asking.number("start_time", 0),
        until=asking.number("end_time", _END_OF_TIME),
        limit=limit,
        skip=asking.number("offset", 0),
    )
    return jsonify(found)


@bp.get("/v3/suppression/<name>/<email>")
def one(name: str, email: str) -> Response:
    """Give what one list holds of one address."""
    if name not in lists.NAMES:
        abort(404)
    return jsonify(parts.here().webhook.lists.of(name, email))


@bp.delete("/v3/suppression/<name>/<email>")
def take_off(name: str, email: str) -> Response:
    """Take one address off one list."""
    if name not in lists.NAMES or not parts.here().webhook.lists.take_off(name, email):
        abort(404)
    return Response(status=204)


@bp.post("/v3/recipients/erasejob")
def erase() -> Response | tuple[Response, int]:
    """Erase what is held of some addresses: take the order, and have it done at once."""
    wish = asking.json_body()
    addresses = wish.get("email_addresses") if isinstance(wish, dict) else None
    if not isinstance(addresses, list) or not 0 < len(addresses) <= MOST_ERASED:
        return refusal(400, "email_addresses must hold 1 to 5000 addresses", "email_addresses")
    if any(not isinstance(one, str) or one.count("@") != 1 for one in addresses):
        return refusal(400, "invalid email address", "email_addresses")
    here = parts.here()
    for one in addresses:
        for name in lists.NAMES:
            here.webhook.lists.take_off(name, one)
        here.mailbox.erase(one)
    return jsonify(job_id=str(uuid4())), 202


@bp.post("/sandbox/lists")
def put() -> Response:
    """Put an address on a list: ``list``, ``email``, ``reason``, ``status``."""
    wish = asking.json_body()
    if not isinstance(wish, dict) or wish.get("list") not in lists.NAMES or "email" not in wish:
        raise errors.BadInput(f"Say list (one of {', '.join(lists.NAMES)}) and email.")
    said = {name: str(wish[name]) for name in ("reason", "status") if name in wish}
    parts.here().webhook.lists.put(str(wish["list"]), str(wish["email"]), **said)
    return Response(status=204)


@bp.get("/sandbox/fates")
def fates_now() -> Response:
    """List the fates in force."""
    return jsonify(fates=parts.here().webhook.fates.now())


@bp.post("/sandbox/fates")
def put_fates() -> Response:
    """Replace the fates by one, or by a list of them: see ``fates.Fate`` for the fields."""
    parts.here().webhook.fates.put(fates.read(asking.json_body()))
    return fates_now()


@bp.delete("/sandbox/fates")
def all_delivered() -> Response:
    """End all fates: mail is delivered again."""
    parts.here().webhook.fates.put(())
    return fates_now()
