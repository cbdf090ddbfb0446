"""The sandbox as a web application: Mail Send v3, the checks and the mailbox page, joined."""

from datetime import datetime

from flask import Flask, Response, render_template, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException

from mailprefs.errors import BadInput
from mailprefs.sandbox import account, asking, checks, mail_send, pages, parts, suppression
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.settings import templates_dir


class _Json(DefaultJSONProvider):
    """Writes times as ISO 8601, and keeps the order of fields."""

    sort_keys = False

    @staticmethod
    def default(o: object) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write a time as ISO 8601, and leave all else to Flask."""
        return o.isoformat() if isinstance(o, datetime) else DefaultJSONProvider.default(o)


def create_sandbox(settings: SandboxSettings | None = None) -> Flask:
    """Make a sandbox; ``parts.of(app).close()`` ends it.

    :raises BadSetting: for settings that can't work.
    """
    app = Flask("mailprefs.sandbox", template_folder=str(templates_dir()), static_folder=None)
    # A page of another site that names itself 127.0.0.1 (DNS rebinding) is told nothing.
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost", "[::1]"]
    app.json = _Json(app)
    parts.install(app, settings or SandboxSettings())
    app.register_blueprint(mail_send.bp)
    app.register_blueprint(checks.bp)
    app.register_blueprint(suppression.bp)
    app.register_blueprint(account.bp)
    pages.install(app)
    app.register_error_handler(HTTPException, _refuse)
    app.register_error_handler(BadInput, asking.say_what_is_wrong)
    return app


def _refuse(error: HTTPException) -> Response:
    """Answer below ``/v3`` in the vendor's words, elsewhere with a page."""
    if request.path.startswith("/v3/") and error.code:
        return mail_send.refusal(error.code, error.name.lower())
    return Response(render_template("sandbox/error.html", error=error), error.code or 500)
