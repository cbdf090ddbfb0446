"""The vendor's account as it should be set, or as it is told to be wrong: for ``doctor``."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from flask import Blueprint, Response, jsonify, request

from mailprefs import errors
from mailprefs.sandbox import asking, parts
from mailprefs.sandbox.mail_send import refusal
from mailprefs.sandbox.wrongs import Wrong

bp = Blueprint("account", __name__)

_WEBHOOK_ID: Final = "00000000-0000-4000-8000-000000000001"
_EVENTS: Final = (
    "processed", "delivered", "dropped", "deferred", "bounce", "spam_report", "unsubscribe",
    "group_unsubscribe", "group_resubscribe",
)  # fmt: skip


@bp.get("/v3/user/webhooks/event/settings/all")
def webhooks() -> Response:
    """List the webhooks: the one that this sandbox posts to."""
    wrong = _wrong()
    events = dict.fromkeys(_EVENTS, Wrong.EVENTS_MISSING not in wrong) | {"processed": True}
    events |= dict.fromkeys(("open", "click"), Wrong.EVENTS_OF_TRACKING in wrong)
    url = parts.here().settings.webhook
    one = {
        "id": _WEBHOOK_ID,
        "enabled": Wrong.WEBHOOK_OFF not in wrong,
        "url": "https://old.example.com/events" if Wrong.WEBHOOK_ELSEWHERE in wrong else url,
        "friendly_name": "mailprefs",
        **events,
    }
    exists = url and Wrong.NO_WEBHOOK not in wrong
    return jsonify(max_allowed=5, webhooks=[one] if exists else [])


@bp.get("/v3/user/webhooks/event/settings/signed/<webhook_id>")
def signed(webhook_id: str) -> Response:
    """Give the public key that a webhook's events are verified with."""
    key = parts.here().webhook.key.public
    wrong = _wrong()
    if Wrong.UNSIGNED in wrong:
        key = ""
    if Wrong.OTHER_KEY in wrong:
        key = key[::-1]
    return jsonify(id=webhook_id, public_key=key)


@bp.get("/v3/tracking_settings")
def tracking() -> Response:
    """List the kinds of tracking."""
    is_on = Wrong.TRACKING_ON in _wrong()
    kinds = ("open", "click", "subscription", "google_analytics")
    return jsonify(result=[{"name": kind, "enabled": is_on and kind == "open"} for kind in kinds])


@bp.get("/v3/tracking_settings/<any(open, click, subscription, google_analytics):kind>")
def one_tracking(kind: str) -> Response:
    """Tell whether one kind of tracking is on by default."""
    return jsonify(enabled=Wrong.TRACKING_ON in _wrong() and kind in {"open", "click"})


@bp.get("/v3/whitelabel/domains")
def domains() -> Response:
    """Authenticate every domain that is asked for: nothing real is sent from here."""
    domain = request.args.get("domain", "example.com")
    wrong = _wrong()
    if wrong & {Wrong.SENDER_UNKNOWN, Wrong.ONE_SENDER}:
        return jsonify([])
    return jsonify([{"id": 1, "domain": domain, "subdomain": "em1", "valid": True}])


@bp.get("/v3/verified_senders")
def senders() -> Response:
    """List the From addresses that were verified one by one."""
    known = ["news@mail.example.com"] if Wrong.ONE_SENDER in _wrong() else []
    return jsonify(results=[{"from_email": one, "verified": True} for one in known])


@bp.get("/sandbox/account")
def account() -> Response:
    """List what is wrong with the account."""
    return jsonify(wrong=sorted(_wrong()))


@bp.post("/sandbox/account")
def change() -> Response:
    """Be wrong in the ways that ``wrong`` lists; with an empty list, be as it should be."""
    wanted = asking.json_object().get("wrong")
    if not isinstance(wanted, list) or not set(wanted) <= set(Wrong):
        raise errors.BadInput(f"The account takes wrong: a list of {', '.join(Wrong)}.")
    parts.here().account.be(Wrong(one) for one in wanted)
    return account()


@bp.before_request
def at_the_door() -> Response | None:
    """Let only a key read what is the account's, as the vendor does."""
    if not request.path.startswith("/v3/"):
        return None
    if not request.headers.get("Authorization", "").startswith("Bearer "):
        return refusal(401, "authorization required")
    return refusal(403, "access forbidden") if Wrong.FORBIDDEN in _wrong() else None


@bp.after_request
def by_its_clock(response: Response) -> Response:
    """Date every answer, by a clock that may be wrong."""
    ahead = timedelta(minutes=10) if Wrong.CLOCK in _wrong() else timedelta()
    response.headers["Date"] = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
    return response


def _wrong() -> frozenset[Wrong]:
    return parts.here().account.wrong
