"""Who may call a route: everyone, if it is listed here; else whoever the view's own rule lets in.

A view that is neither listed nor has a rule answers nobody, so that a forgotten line closes a page
instead of opening it. A walking test asks the same of every route.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, request

from mailprefs.errors import NotAllowed

View = TypeVar("View", bound=Callable[..., Any])
_RULE = "mailprefs_access"

PUBLIC: frozenset[str] = frozenset(
    {
        "static",
        "archive.content",
        "archive.feed",
        "archive.index",
        "archive.listed",
        "archive.show",
        "child_reports.ask",
        "child_reports.report",
        "confirmations.confirm",
        "confirmations.show",
        "erasure.erase",
        "erasure.show",
        "exports.give",
        "exports.show",
        "fresh_links.ask",
        "fresh_links.send",
        "front.show",
        "health.healthz",
        "health.robots",
        "inbound.sendgrid_inbound",
        "pixel.show",
        "policy.changes",
        "policy.show",
        "policy.show_version",
        "preferences.change",
        "preferences.show",
        "sign_up.ask",
        "sign_up.show",
        "unsubscribe.keep",
        "unsubscribe.leave",
        "unsubscribe.say_why",
        "unsubscribe.show",
        "unsubscribe.stop_measuring",
        "unsubscribe.undo",
        "webhooks.sendgrid_events",
    }
)
"""Every endpoint that answers without a sign-in; what it does hangs on its link or signature."""


def allowed_by(rule: Callable[[], None]) -> Callable[[View], View]:
    """Give a decorator that lets a request through to a view only if *rule* raises nothing."""

    def decorate(view: View) -> View:
        setattr(view, _RULE, rule)
        return view

    return decorate


def has_rule(view: Callable[..., Any]) -> bool:
    """Tell whether a view names who may call it."""
    return callable(getattr(view, _RULE, None))


def guard() -> None:
    """Ask, before every request, whether it may be answered.

    :raises NotAllowed: when the view is not public and has no rule, or its rule says no.
    """
    endpoint = request.endpoint
    if endpoint is None or endpoint in PUBLIC:
        return
    rule = getattr(current_app.view_functions[endpoint], _RULE, None)
    if rule is None:
        msg = "This page names nobody who may see it, so nobody does; please tell us."
        raise NotAllowed(msg)
    rule()
