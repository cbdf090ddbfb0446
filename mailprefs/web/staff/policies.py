"""Versions of the policy for staff: publish one, follow its notice, see who was told."""

import csv
from datetime import datetime
from io import StringIO
from typing import Final, NamedTuple

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from mailprefs import audit, consent, subscriptions
from mailprefs.campaigns import schedule
from mailprefs.campaigns.drafts import Company
from mailprefs.consent.policies import LONGEST_TEXT
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.notices import differences, proof, publishing
from mailprefs.notices.checking import New, Terms
from mailprefs.notices.versions import asked_anew, before, notices, standing
from mailprefs.policy import MessageClass, Purpose
from mailprefs.schema.choices import PolicyState, PolicyVersion
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.policy import as_html

_PROOF: Final = "text/csv; charset=utf-8"

routes = Blueprint("policies", __name__, url_prefix="/policy")


class Form(NamedTuple):
    """What stands in the form's fields."""

    version: str = ""
    text: str = ""
    material: str = ""
    summary: str = ""
    date: str = ""
    new_consent: str = ""
    topic: str = ""
    typed: str = ""


@routes.get("")
@auth.only(*publishing.PUBLISHING)
def listed() -> str:
    """List the versions with where they stand."""
    parts, now = here(), here().clock()
    with parts.db.reading() as session:
        current = consent.current_policy(session, now)
        found = [
            (one, standing(one, current, now), notices(session, one.id))
            for one in reversed(consent.versions(session))
        ]
    return render_template("staff/policies.html", versions=found)


@routes.get("/new")
@auth.only(*publishing.PUBLISHING)
def new() -> str:
    """Show an empty form."""
    return _form(Form())


@routes.post("/new")
@auth.only(*publishing.PUBLISHING)
def publish() -> BaseResponse | str | tuple[str, int]:
    """Show what would be published; publish it once its name was typed again."""
    form = Form(**{name: request.form.get(name, "").strip() for name in Form._fields})
    parts = here()
    try:
        form = form._replace(text=_text(form.text))
        wanted = _wanted(form)
        if not form.typed:
            return _form(form, preview=as_html(wanted.text))
        _require_typed(form)
        with parts.db.transaction() as session:
            done = publishing.publish(
                session, wanted, auth.actor(), terms=_terms(), now=parts.clock()
            )
    except (BadInput, Conflict, NotFound) as error:
        return _form(form, trouble=str(error)), 400
    told = "Published. Its notice is a draft now, which a second person approves."
    flash(told if done.notice else "Published.")
    return redirect(url_for("staff.policies.show", number=done.version.id), code=303)


@routes.get("/<int:number>")
@auth.only(*publishing.PUBLISHING)
def show(number: int) -> str:
    """Show one version: what it changes, its notices, and who was told."""
    return _page(number)


@routes.post("/<int:number>/rest")
@auth.only(*publishing.PUBLISHING)
def tell_rest(number: int) -> BaseResponse | tuple[str, int]:
    """Make a notice for those whom none has reached."""
    parts = here()
    try:
        with parts.db.transaction() as session:
            name = _version(session.get(PolicyVersion, number)).version
            notice, is_new = publishing.rest(
                session, name, auth.actor(), terms=_terms(), now=parts.clock()
            )
    except (BadInput, Conflict) as error:
        return _page(number, trouble=str(error)), 409
    flash("A notice for the rest is there." if is_new else "There is one that isn’t through yet.")
    return redirect(url_for("staff.campaigns.show", campaign_id=notice.id), code=303)


@routes.post("/<int:number>/postpone")
@auth.only(*publishing.PUBLISHING)
def postpone(number: int) -> BaseResponse | tuple[str, int]:
    """Give an announced version another date."""
    parts = here()
    try:
        at = _new_date()
        with parts.db.transaction() as session:
            name = _version(session.get(PolicyVersion, number)).version
            publishing.postpone(session, name, at, auth.actor(), terms=_terms(), now=parts.clock())
    except (BadInput, Conflict) as error:
        return _page(number, trouble=str(error)), 409
    flash("The date is changed, and the notice says so; it has to be approved again.")
    return redirect(url_for("staff.policies.show", number=number), code=303)


@routes.post("/<int:number>/withdraw")
@auth.only(*publishing.PUBLISHING)
def withdraw(number: int) -> BaseResponse | tuple[str, int]:
    """Give an announced version up."""
    parts = here()
    try:
        with parts.db.transaction() as session:
            name = _version(session.get(PolicyVersion, number)).version
            reason = request.form.get("reason", "")
            publishing.withdraw(session, name, reason, auth.actor(), now=parts.clock())
    except (BadInput, Conflict) as error:
        return _page(number, trouble=str(error)), 409
    flash("Withdrawn: it never comes into force.")
    return redirect(url_for("staff.policies.show", number=number), code=303)


@routes.post("/<int:number>/proof.csv")
@auth.only(*publishing.PUBLISHING)
def export(number: int) -> Response:
    """Give everybody by number with what became of them; noted in the audit."""
    parts = here()
    with parts.db.transaction() as session:
        version = _version(session.get(PolicyVersion, number))
        details = {"version": version.version}
        subject = ("policy_version", number)
        action, now = "policy.proof_exported", parts.clock()
        audit.record(session, auth.actor(), action, subject, now=now, details=details)
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(proof.header())
    with parts.db.reading() as session:
        writer.writerows(map(proof.cells, proof.lines(session, version)))
    answer = Response(text.getvalue(), content_type=_PROOF)
    answer.headers["Content-Disposition"] = f"attachment; filename=policy-{number}.csv"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _form(form: Form, *, preview: Markup | None = None, trouble: str | None = None) -> str:
    with here().db.reading() as session:
        topics = subscriptions.topics(session, MessageClass.ADMINISTRATIVE)
        current = consent.current_policy(session, here().clock())
    changes = differences.compare(current.text, form.text).changes if current and preview else None
    return render_template(
        "staff/policy_new.html",
        form=form,
        topics=topics,
        preview=preview,
        changes=changes,
        current=current,
        trouble=trouble,
        notice_days=here().settings.policy_notice_days,
    )


def _page(number: int, trouble: str | None = None) -> str:
    parts, now = here(), here().clock()
    with parts.db.reading() as session:
        version = _version(session.get(PolicyVersion, number))
        of_it = notices(session, number)
        return render_template(
            "staff/policy.html",
            version=version,
            standing=standing(version, consent.current_policy(session, now), now),
            former=before(session, version),
            asked_anew=asked_anew(session, number),
            notices=of_it,
            sums=proof.sums(session, version) if of_it else None,
            told=proof.TOLD,
            is_announced=version.state is PolicyState.ANNOUNCED,
            trouble=trouble,
        )


def _version(found: PolicyVersion | None) -> PolicyVersion:
    if found is None:
        raise NotFound("There is no such policy version.")
    return found


def _text(pasted: str) -> str:
    """Give the text that was uploaded, or else pasted.

    :raises BadInput: for a file that isn't UTF-8, or far too large.
    """
    file = request.files.get("file")
    if file is None or not file.filename:
        return pasted.replace("\r\n", "\n")
    content = file.stream.read(LONGEST_TEXT + 1)
    if len(content) > LONGEST_TEXT:
        raise BadInput("That file is far too large for a policy. Is it the right one?")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BadInput("That file isn’t UTF-8 text; save it as UTF-8.") from error


def _wanted(form: Form) -> New:
    is_material = bool(form.material)
    purposes = (Purpose.OPEN_TRACKING,) if form.new_consent else ()
    return New(
        form.version,
        form.text,
        form.summary.replace("\r\n", "\n") if is_material else None,
        _instant(form.date),
        purposes if is_material else (),
        form.topic or None,
    )


def _instant(day: str) -> datetime | None:
    """Give when a day begins in the installation's zone."""
    return schedule.instant(f"{day}T00:00", here().settings.time_zone) if day else None


def _new_date() -> datetime:
    found = _instant(request.form.get("date", "").strip())
    if found is None:
        raise BadInput("Say the new date.")
    return found


def _require_typed(form: Form) -> None:
    if form.typed != form.version:
        raise BadInput("The name that you typed isn’t the version’s; nothing was published.")


def _terms() -> Terms:
    settings = here().settings
    return Terms(Company(settings.contact, settings.time_zone), settings.policy_notice_days)
