"""The rules of a request outside its personalizations: sender, content, settings, size."""

import json
import re
from collections.abc import Mapping
from datetime import datetime

from mailprefs.vendor.preflight.addresses import address, headers
from mailprefs.vendor.preflight.people import custom_args, personalizations, send_at
from mailprefs.vendor.preflight.rules import (
    MOST_PEOPLE,
    Fault,
    Faults,
    Object,
    Place,
    exactly,
    repeats,
    unknown,
)

MOST_REQUEST_BYTES = 30_000_000
"""A request of this size is too large, attachments included."""

_ROOT = frozenset(
    "personalizations from reply_to reply_to_list subject content attachments template_id headers"
    " categories custom_args send_at batch_id asm ip_pool_name mail_settings"
    " tracking_settings".split()
)
_SETTINGS: Mapping[str, Mapping[str, Mapping[str, type]]] = {
    "mail_settings": {
        "bypass_list_management": {"enable": bool},
        "bypass_spam_management": {"enable": bool},
        "bypass_bounce_management": {"enable": bool},
        "bypass_unsubscribe_management": {"enable": bool},
        "footer": {"enable": bool, "text": str, "html": str},
        "sandbox_mode": {"enable": bool},
    },
    "tracking_settings": {
        "click_tracking": {"enable": bool, "enable_text": bool},
        "open_tracking": {"enable": bool, "substitution_tag": str},
        "subscription_tracking": {
            "enable": bool, "text": str, "html": str, "substitution_tag": str,
        },
        "ganalytics": {
            "enable": bool, "utm_source": str, "utm_medium": str, "utm_term": str,
            "utm_content": str, "utm_campaign": str,
        },
    },
}  # fmt: skip


def faults(request: object, *, now: datetime) -> Faults:
    """List every broken rule of a parsed Mail Send v3 request, in the order of its parts."""
    if not isinstance(request, dict):
        yield Fault((), "not a JSON object.")
        return
    yield from unknown(request, (), _ROOT)
    yield from personalizations(request, now)
    yield from _senders(request)
    yield from _contents(request)
    yield from headers(request.get("headers", {}), ("headers",))
    yield from custom_args(request.get("custom_args", {}), {}, ("custom_args",))
    yield from send_at(request, (), now)
    yield from _delivery(request)
    for part, shapes in _SETTINGS.items():
        yield from _settings(request.get(part, {}), (part,), shapes)
    yield from _bypasses(request.get("mail_settings", {}))
    yield from _size(request)


def _senders(request: Object) -> Faults:
    if "from" not in request:
        yield Fault(("from",), "it is missing; it must be an object with an email.")
    else:
        yield from address(request["from"], ("from",))
    if "reply_to" in request:
        yield from address(request["reply_to"], ("reply_to",))
    if "reply_to_list" not in request:
        return
    if "reply_to" in request:
        yield Fault(("reply_to_list",), "use either reply_to or reply_to_list, not both.")
    listed = request["reply_to_list"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_PEOPLE:
        yield Fault(("reply_to_list",), f"it must be a list of 1 to {MOST_PEOPLE} addresses.")
        return
    for index, entry in enumerate(listed):
        yield from address(entry, ("reply_to_list", index))
    if repeats(listed):
        yield Fault(("reply_to_list",), "an address stands there twice.")


def _contents(request: Object) -> Faults:
    yield from exactly(request, "template_id", str, ())
    contents = request.get("content")
    if contents is None and request.get("template_id"):
        return
    if not isinstance(contents, list) or not contents:
        yield Fault(("content",), "it must be a list of at least one part.")
        return
    ranks = []
    for index, part in enumerate(contents):
        yield from _content(part, ("content", index))
        kind = part.get("type") if isinstance(part, dict) else None
        ranks.append({"text/plain": 0, "text/html": 1}.get(kind, 2) if kind else 2)
    if ranks != sorted(ranks):
        yield Fault(("content",), "the order must be text/plain, text/html, then any other.")


def _content(part: object, place: Place) -> Faults:
    if not isinstance(part, dict):
        yield Fault(place, "it must be an object with type and value.")
        return
    yield from unknown(part, place, frozenset({"type", "value"}))
    for name in ("type", "value"):
        if not isinstance(part.get(name), str) or not part[name]:
            yield Fault((*place, name), "it must be a text of at least one character.")
    kind = part.get("type")
    if isinstance(kind, str) and re.search(r"[;\r\n]", kind):
        yield Fault((*place, "type"), "it can't hold a semicolon or a line break.")


def _delivery(request: Object) -> Faults:
    yield from _categories(request.get("categories", []))
    yield from _asm(request)
    yield from _attachments(request.get("attachments", []))
    yield from exactly(request, "batch_id", str, ())
    pool = request.get("ip_pool_name", "none")
    if not isinstance(pool, str) or not 2 <= len(pool) <= 64:
        yield Fault(("ip_pool_name",), "it must be a text of 2 to 64 characters.")


def _categories(categories: object) -> Faults:
    place = ("categories",)
    if not isinstance(categories, list) or len(categories) > 10:
        yield Fault(place, "it must be a list of at most 10 texts.")
        return
    for index, category in enumerate(categories):
        if not isinstance(category, str) or not 1 <= len(category) <= 255:
            yield Fault((*place, index), "it must be a text of 1 to 255 characters.")
        elif not category.isascii():
            yield Fault((*place, index), "it must be ASCII.")
    if repeats(categories):
        yield Fault(place, "a category stands there twice.")


def _asm(request: Object) -> Faults:
    if "asm" not in request:
        return
    asm = request["asm"]
    if not isinstance(asm, dict) or "group_id" not in asm:
        yield Fault(("asm",), "it must be an object with a group_id.")
        return
    yield from unknown(asm, ("asm",), frozenset({"group_id", "groups_to_display"}))
    yield from exactly(asm, "group_id", int, ("asm",))
    groups = asm.get("groups_to_display", [])
    if not isinstance(groups, list) or len(groups) > 25 or any(type(g) is not int for g in groups):
        yield Fault(("asm", "groups_to_display"), "it must be a list of at most 25 numbers.")


def _attachments(attachments: object) -> Faults:
    if not isinstance(attachments, list):
        yield Fault(("attachments",), "it must be a list.")
        return
    known = frozenset({"content", "type", "filename", "disposition", "content_id"})
    for index, attachment in enumerate(attachments):
        place = ("attachments", index)
        if not isinstance(attachment, dict):
            yield Fault(place, "it must be an object.")
            continue
        yield from unknown(attachment, place, known)
        for name in ("content", "filename"):
            if not isinstance(attachment.get(name), str) or not attachment[name]:
                yield Fault((*place, name), "it must be a text of at least one character.")
        if attachment.get("disposition", "inline") not in {"inline", "attachment"}:
            yield Fault((*place, "disposition"), "it must be inline or attachment.")


def _settings(settings: object, place: Place, shapes: Mapping[str, Mapping[str, type]]) -> Faults:
    if not isinstance(settings, dict):
        yield Fault(place, "it must be an object.")
        return
    yield from unknown(settings, place, frozenset(shapes))
    for name in shapes.keys() & settings.keys():
        setting = settings[name]
        if not isinstance(setting, dict):
            yield Fault((*place, name), "it must be an object.")
            continue
        yield from unknown(setting, (*place, name), frozenset(shapes[name]))
        for key, kind in shapes[name].items():
            yield from exactly(setting, key, kind, (*place, name))


def _bypasses(settings: object) -> Faults:
    if not isinstance(settings, dict):
        return
    enabled = [
        name for name, setting in settings.items()
        if name.startswith("bypass_") and isinstance(setting, dict) and setting.get("enable")
    ]  # fmt: skip
    if "bypass_list_management" in enabled and len(enabled) > 1:
        yield Fault(("mail_settings",), "bypass_list_management can't be combined with another.")


def _size(request: Object) -> Faults:
    try:
        size = len(json.dumps(request, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        yield Fault((), "a text holds half of a character (a lone surrogate).")
        return
    if size >= MOST_REQUEST_BYTES:
        yield Fault((), f"{size} bytes, but it must stay under {MOST_REQUEST_BYTES}.")
