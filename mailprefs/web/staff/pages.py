"""All staff pages as one blueprint, and what they share: headers, the form check, words, errors."""

from typing import Any, Final, NamedTuple, NoReturn

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from mailprefs.errors import (
    BadInput,
    BadToken,
    Conflict,
    MailprefsError,
    NotAllowed,
    NotFound,
    Preflight,
)
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.errors import status_of
from mailprefs.web.staff import (
    account,
    alarms,
    campaigns,
    erasures,
    inbound,
    keys,
    legal,
    lists,
    people,
    policies,
    previews,
    public_pages,
    reports,
    sending,
    sign_in,
    suppressions,
    team,
    unknown,
    words,
    writing,
)

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
"""Our own script, which only fetches the page's numbers again; nothing inline or from elsewhere."""

# A server's own failure is answered by web.errors, which gives it a reference for the log.
_TOLD_HERE: Final = (BadInput, BadToken, Conflict, NotAllowed, NotFound, Preflight)
_MENU: Final = (
    ("staff.campaigns.listed", "Campaigns", "/staff/campaigns"),
    ("staff.reports.listed", "Reports", "/staff/reports"),
    ("staff.people.ask", "People", "/staff/people"),
    ("staff.suppressions.show", "Suppressions", "/staff/suppressions"),
    ("staff.inbound.listed", "Inbound", "/staff/inbound"),
    ("staff.legal.show", "Legal", "/staff/legal"),
    ("staff.lists.topics", "Topics", "/staff/topics"),
    ("staff.policies.listed", "Policy", "/staff/policy"),
    ("staff.team.listed", "Staff", "/staff/team"),
    ("staff.keys.listed", "Keys", "/staff/keys"),
    ("staff.lists.audit_entries", "Audit", "/staff/audit"),
)
_COUNTED: Final = "staff.inbound.listed"

routes = Blueprint("staff", __name__, url_prefix="/staff")
for _part in (
    sign_in,
    account,
    campaigns,
    writing,
    sending,
    previews,
    public_pages,
    people,
    erasures,
    legal,
    suppressions,
    inbound,
    lists,
    keys,
    team,
    alarms,
    unknown,
    reports,
    policies,
):
    routes.register_blueprint(_part.routes)
routes.register_blueprint(sending.everything)


class MenuItem(NamedTuple):
    """A page in the bar at the top; *waiting*: what nobody has dealt with there."""

    url: str
    label: str
    is_here: bool
    waiting: int = 0


def navigation() -> list[MenuItem]:
    """List the pages that the member of staff who asks may see."""
    member = auth.member()
    shown = []
    for endpoint, label, start in _MENU:
        roles = auth.roles_for(current_app.view_functions[endpoint])
        if roles is not None and (not roles or member.holds(*roles)):
            is_here = request.path.startswith(start)
            waiting = inbound.waiting() if endpoint == _COUNTED else 0
            shown.append(MenuItem(url_for(endpoint), label, is_here, waiting))
    return shown


@routes.get("/", strict_slashes=False)
@auth.only()
def home() -> BaseResponse:
    """Go to the campaigns."""
    return redirect(url_for("staff.campaigns.listed"), code=303)


@routes.get("/<path:anywhere>")
@auth.only()
def nowhere(anywhere: str) -> NoReturn:
    """Tell staff on a page of theirs that there is nothing at an address below ours."""
    del anywhere
    msg = "The address may be mistyped, or what it led to is gone."
    raise NotFound(msg)


@routes.before_request
def check_form() -> None:
    """Refuse forms that aren't ours."""
    auth.check_form()


@routes.after_request
def protect(response: Response) -> Response:
    """Let pages run our own script and frame our own previews; a preview sets its own policy."""
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    return response


@routes.context_processor
def shared() -> dict[str, Any]:
    """Give templates who asks and what words there are."""
    settings = here().settings
    return {
        # Not asked for again: a page that tells of a failing store must not need it.
        "me": g.get("member"),
        "navigation": navigation,
        "alarm_banner": alarms.banner,
        "form_token": auth.form_token,
        "environment": settings.environment.value,
        "zone": settings.time_zone,
        "words": words,
    }


@routes.record_once
def _add_filters(state: Any) -> None:  # noqa: ANN401 - Flask's set-up state
    state.app.jinja_env.filters.update(
        number=words.number,
        percent=words.percent,
        mailbox=words.mailbox,
        said=words.said,
        tone=words.tone,
        when=words.when,
        action=words.action,
        typeset=words.typeset,
    )


def refused(error: MailprefsError) -> tuple[str, int]:
    """Tell a member of staff what can't be done, and how to do it instead."""
    heading = "There is nothing here" if isinstance(error, NotFound) else "That didn’t work"
    page = render_template("staff/error.html", heading=heading, sentence=str(error))
    return page, status_of(error)


for _kind in _TOLD_HERE:
    routes.register_error_handler(_kind, refused)
