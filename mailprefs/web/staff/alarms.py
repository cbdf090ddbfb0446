"""What stands in the way of the sending: a banner on every staff page, and a page of its own."""

from typing import Final, NamedTuple

from flask import Blueprint, g, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.alarms import keeping
from mailprefs.alarms.kinds import Advice, AlarmKind
from mailprefs.errors import StoreUnavailable
from mailprefs.jobs import alarms
from mailprefs.policy import Role
from mailprefs.schema.alarms import Alarm
from mailprefs.schema.deliveries import VendorPace
from mailprefs.web import auth
from mailprefs.web.current import here
from mailprefs.web.staff import words

_KINDS: Final = {kind.value: kind for kind in AlarmKind}
_CAMPAIGN: Final = "campaign "
# Where a page does what is to be done: who may do it, which page, and what the link says.
_DONE_HERE: Final = {
    AlarmKind.SENDING_STOPPED: (Role.SEND, "staff.campaigns.listed", "Let sending go on"),
    AlarmKind.CAMPAIGN_STALLED: (None, "staff.campaigns.show", "Show the campaign"),
    AlarmKind.UNKNOWN_WAITING: (Role.SEND, "staff.unknown.show", "See what is unknown, and decide"),
    AlarmKind.SCHEDULE_MISSED: (Role.SEND, "staff.campaigns.show", "Decide on the campaign’s page"),
}

routes = Blueprint("alarms", __name__, url_prefix="/alarms")


class Deed(NamedTuple):
    """A page that does what is to be done, and what its link says."""

    url: str
    label: str


class Shown(NamedTuple):
    """One alarm as a page shows it; *url* leads to its campaign, if it is about one."""

    alarm: Alarm
    kind: AlarmKind | None
    campaign: str | None
    url: str | None

    @property
    def sentence(self) -> Markup:
        """Give the sentence as pages set type: commands as such, apostrophes curved."""
        return words.typeset(self.alarm.sentence)

    @property
    def command(self) -> str:
        """Give the command that helps, for the campaign that it is about."""
        command = self.kind.advice.command if self.kind else "mailprefs alarms"
        return command.replace("ID", self.campaign or "ID")

    @property
    def deed(self) -> Deed | None:
        """Give the page that does what is to be done; None without one, or without the role."""
        found = _DONE_HERE.get(self.kind) if self.kind else None
        if found is None:
            return None
        role, endpoint, label = found
        if role is not None and not auth.member().holds(role):
            return None
        if self.campaign is None:
            return Deed(url_for(endpoint), label)
        return Deed(url_for(endpoint, campaign_id=int(self.campaign)), label)

    @property
    def advice(self) -> Advice | None:
        """Give what to know and to do; None for a kind of a later release."""
        return self.kind.advice if self.kind else None


@routes.get("")
@auth.only()
def listed() -> str:
    """Show the open alarms with what is safe and what to do, and those that were over lately."""
    parts = here()
    with parts.db.reading() as session:
        now_open = _open(session)
        cleared = [_shown(one) for one in keeping.cleared_lately(session, now=parts.clock())]
    return render_template("staff/alarms.html", now_open=now_open, cleared=cleared)


def banner() -> list[Shown]:
    """List the open alarms for the page that is being made; none where the page tells them itself.

    A store that is away has its own page, which must not need the store.
    """
    if g.get("member") is None or request.endpoint == "staff.alarms.listed":
        return []
    try:
        with here().db.reading() as session:
            return _open(session)
    except StoreUnavailable:
        return []


def look_again() -> None:
    """Look at once, after a change that may have ended an alarm."""
    parts = here()
    alarms.look_again(parts.db, parts.settings, now=parts.clock())


def _open(session: Session) -> list[Shown]:
    """List the open alarms, without those that somebody has mended since the last look."""
    found = keeping.open_now(session)
    pace = session.execute(select(VendorPace.stopped_at, VendorPace.opened_at)).one_or_none()
    mended = {
        AlarmKind.SENDING_STOPPED.value: pace is None or pace.stopped_at is None,
        AlarmKind.BREAKER_OPEN.value: pace is None or pace.opened_at is None,
    }
    return [_shown(one) for one in found if not mended.get(one.kind)]


def _shown(alarm: Alarm) -> Shown:
    campaign = url = None
    if alarm.subject.startswith(_CAMPAIGN):
        campaign = alarm.subject.removeprefix(_CAMPAIGN)
        url = url_for("staff.campaigns.show", campaign_id=int(campaign))
    return Shown(alarm, _KINDS.get(alarm.kind), campaign, url)
