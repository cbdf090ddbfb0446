"""Publishing a version of the policy, and what becomes of it until it is in force.

A material version is announced: a notice is made of it, a second person approves that, and when it
has been sent to everybody, the version's date holds (``settle``). The notice has to begin so many
days before that date, or it isn't sent; then the version waits for a later date (``postpone``).
Roles: admin or privacy, whoever may answer for the policy.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailprefs import audit, consent, recipients, staff, subscriptions
from mailprefs.audit import CONSOLE, SYSTEM, Actor
from mailprefs.campaigns import drafts
from mailprefs.campaigns.drafts import Notice
from mailprefs.errors import BadInput, Conflict, NotAllowed
from mailprefs.notices import writing
from mailprefs.notices.checking import (
    SHORTEST,
    New,
    Terms,
    check,
    date_of,
    require_ahead,
    require_latest,
    said,
)
from mailprefs.notices.versions import asked_anew, before, newest, notices
from mailprefs.policy import MessageClass, Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.choices import PolicyLapse, PolicyState, PolicyVersion
from mailprefs.schema.people import Sender, Topic

PUBLISHING: Final = (Role.ADMIN, Role.PRIVACY)
KNOWN_FOR: Final = timedelta(days=100)
"""Less than the shortest time after which a delivery is nobody's any more (retention)."""
_OVER: Final = (CampaignState.FINISHED, CampaignState.HELD)


class Published(NamedTuple):
    """A version, its notice if it needs one, and whether it was published just now."""

    version: PolicyVersion
    notice: Campaign | None
    is_new: bool


def publish(session: Session, new: New, actor: Actor, *, terms: Terms, now: datetime) -> Published:
    """Store a version and, of a material one, the draft of its notice, if there is anybody to tell.

    :raises BadInput: for a text, a date, a summary or a purpose that can't be, with what can.
    :raises Conflict: if the name is another text's, or another version comes into force later.
    :raises NotAllowed: without one of the roles.
    """
    require_role(session, actor)
    check(new)
    before = consent.current_policy(session, now)
    is_told = new.summary is not None and recipients.any_to_tell(session)
    date = date_of(new, terms, now, is_told=is_told)
    known = {one.version for one in consent.versions(session)}
    require_latest(session, new.name.strip(), date, now)
    number = consent.publish_policy(
        session, new.name, new.text, now=now, effective_from=date, summary=said(new.summary)
    )
    version = session.get_one(PolicyVersion, number)
    if version.version in known:
        return Published(version, newest(session, number), is_new=False)
    session.add_all(
        PolicyLapse(policy_version_id=number, purpose=purpose, done_to=0, ended_at=None)
        for purpose in new.new_consent
    )
    _note(session, actor, "policy.published", version, now, material=version.is_material)
    notice = None
    if version.is_material and not is_told:
        _settle(session, version, date)
        _note(session, actor, "policy.nobody_to_tell", version, now)
    elif version.is_material:
        notice = _announce(session, version, before, new.topic, actor, terms=terms, now=now)
        if new.at_once is not None:
            notice.send_by = None
            _settle(session, version, now)
            _note(session, actor, "policy.at_once", version, now, reason=new.at_once)
    session.flush()
    return Published(version, notice, is_new=True)


def postpone(  # noqa: PLR0913 - which, to when, by whom, where and when
    session: Session,
    name: str,
    effective_from: datetime,
    actor: Actor,
    *,
    terms: Terms,
    now: datetime,
) -> Campaign:
    """Give an announced version another date, and make its notice say so; an approval is void.

    :raises Conflict: for a version that isn't announced, or whose notice has left the draft.
    :raises BadInput: for a date that leaves too little time.
    """
    require_role(session, actor)
    version = _announced(session, name)
    notice = _only_draft(session, version)
    require_ahead(effective_from, terms, now)
    version.effective_from = effective_from
    session.flush()
    _remake(session, version, notice, actor, terms=terms, now=now)
    _note(session, actor, "policy.postponed", version, now, to=effective_from.isoformat())
    return notice


def remake(session: Session, name: str, actor: Actor, *, terms: Terms, now: datetime) -> Campaign:
    """Make the waiting notice of a version again, with the sender's details as of now.

    :raises Conflict: if there is none that is still a draft.
    """
    require_role(session, actor)
    version = consent.version(session, name)
    notice = _only_draft(session, version)
    _remake(session, version, notice, actor, terms=terms, now=now)
    return notice


def rest(
    session: Session, name: str, actor: Actor, *, terms: Terms, now: datetime
) -> tuple[Campaign, bool]:
    """Make a notice for those whom the earlier ones didn't reach; tell whether it is new.

    While one hasn't come to its end, it is given again, so that nobody is told twice.

    :raises Conflict: for a version without notices.
    """
    require_role(session, actor)
    version = consent.version(session, name)
    last = newest(session, version.id)
    if last is None and not version.is_material:
        msg = f"Version {version.version} isn't material, so nobody has to be told of it."
        raise Conflict(msg)
    if version.state is PolicyState.WITHDRAWN:
        msg = f"Version {version.version} was withdrawn, so there is nothing to tell of."
        raise Conflict(msg)
    topic = None
    if last is not None:
        if last.state not in {*_OVER, CampaignState.CANCELLED}:
            return last, False
        _require_known(notices(session, version.id)[0], now)
        topic = session.get_one(Topic, last.topic_id).slug
    old = before(session, version)
    notice = _announce(session, version, old, topic, actor, terms=terms, now=now)
    _note(session, actor, "policy.notified_again", version, now, campaign=notice.id)
    return notice, True


def _require_known(first: Campaign, now: datetime) -> None:
    """Refuse to tell the rest when it isn't known for certain any more who was told."""
    if first.started_at is not None and now - first.started_at > KNOWN_FOR:
        raise Conflict(
            f"The first notice went more than {KNOWN_FOR.days} days ago. Whose its messages were "
            "is forgotten some time after, so somebody could be told twice."
        )


def withdraw(
    session: Session, name: str, reason: str, actor: Actor, *, now: datetime
) -> PolicyVersion:
    """Give an announced version up; its notice can't be sent any more.

    :raises Conflict: for a version that isn't announced, or of which people are being told.
    :raises BadInput: without a reason.
    """
    require_role(session, actor)
    version = _announced(session, name)
    notice = _only_draft(session, version)
    if len(reason.strip()) < SHORTEST:
        raise BadInput("Write why in a sentence; it is kept in the audit.")
    version.state = PolicyState.WITHDRAWN
    notice.send_by = now
    session.flush()
    _note(session, actor, "policy.withdrawn", version, now, reason=reason.strip())
    return version


def settle(session: Session, *, now: datetime) -> list[str]:
    """Let the date hold of every announced version whose notice has been sent; give their names.

    A date that has passed meanwhile becomes *now*: nothing is in force in hindsight.
    """
    announced = session.scalars(
        select(PolicyVersion).where(PolicyVersion.state == PolicyState.ANNOUNCED).with_for_update()
    ).all()
    settled = []
    for version in announced:
        begun = [
            one for one in notices(session, version.id) if one.state is not CampaignState.DRAFT
        ]
        if begun and begun[-1].state in _OVER:
            _settle(session, version, max(version.effective_from, now))
            _note(session, SYSTEM, "policy.date_holds", version, now)
            settled.append(version.version)
    return settled


def any_to_settle(session: Session) -> bool:
    """Tell whether ``settle`` has something to look at; for reading, so that looking is cheap."""
    query = select(PolicyVersion.id).where(PolicyVersion.state == PolicyState.ANNOUNCED)
    return session.execute(query.limit(1)).first() is not None


def require_role(session: Session, actor: Actor) -> None:
    """Let whoever may answer for the policy pass: admin or privacy, and whoever holds the console.

    :raises NotAllowed: for everybody else.
    """
    if actor == CONSOLE:
        return
    if actor.staff_id is None or not staff.roles_of(session, actor.staff_id) & {*PUBLISHING}:
        raise NotAllowed("This needs the role admin or privacy; an admin can give it to you.")


def _announced(session: Session, name: str) -> PolicyVersion:
    version = consent.version(session, name)
    if version.state is not PolicyState.ANNOUNCED:
        msg = (
            f"The date of version {version.version} holds, so it can't be changed any more; "
            "publish another version."
        )
        if version.state is PolicyState.WITHDRAWN:
            msg = f"Version {version.version} was withdrawn; publish another one."
        raise Conflict(msg)
    return version


def _only_draft(session: Session, version: PolicyVersion) -> Campaign:
    """Give the notice of a version of which nobody has been told yet.

    :raises Conflict: once it has left the draft.
    """
    last = newest(session, version.id)
    if last is None or last.state is not CampaignState.DRAFT:
        where = "has no notice" if last is None else f"is told of by campaign {last.id}"
        raise Conflict(
            f"Version {version.version} {where}, which isn't a draft. While a send can still be "
            "taken back, do that first; once people are told of a date, it stays."
        )
    return last


def _announce(  # noqa: PLR0913 - of what, instead of what, where, by whom and when
    session: Session,
    version: PolicyVersion,
    old: PolicyVersion | None,
    topic: str | None,
    actor: Actor,
    *,
    terms: Terms,
    now: datetime,
) -> Campaign:
    slug = topic or _first_topic(session)
    draft = _draft(session, version, old, slug, terms)
    notice = Notice(version.id, _send_by(version, terms))
    number = drafts.create_notice(session, draft, notice, actor, company=terms.company, now=now)
    return session.get_one(Campaign, number)


def _remake(  # noqa: PLR0913 - which, of what, by whom, where and when
    session: Session,
    version: PolicyVersion,
    notice: Campaign,
    actor: Actor,
    *,
    terms: Terms,
    now: datetime,
) -> None:
    slug = session.get_one(Topic, notice.topic_id).slug
    draft = _draft(session, version, before(session, version), slug, terms)
    made = Notice(version.id, _send_by(version, terms))
    drafts.edit_notice(session, notice, draft, made, actor, company=terms.company, now=now)


def _draft(
    session: Session,
    version: PolicyVersion,
    old: PolicyVersion | None,
    slug: str,
    terms: Terms,
) -> drafts.Draft:
    topic = subscriptions.topic(session, slug)
    if topic.message_class is not MessageClass.ADMINISTRATIVE:
        raise BadInput(f"The topic {slug} is promotional; a notice needs an administrative one.")
    told = writing.Told(
        old.version if old is not None else None,
        version.version,
        version.effective_from,
        version.summary or "",
        asked_anew(session, version.id),
    )
    sender = session.get_one(Sender, topic.sender_id)
    return writing.draft(told, topic=slug, base_url=sender.base_url, zone=terms.company.zone)


def _send_by(version: PolicyVersion, terms: Terms) -> datetime | None:
    """Give by when a notice has to begin; of a version whose date holds, whenever it can."""
    if version.state is not PolicyState.ANNOUNCED:
        return None
    return version.effective_from - terms.ahead


def _first_topic(session: Session) -> str:
    found = subscriptions.topics(session, MessageClass.ADMINISTRATIVE)
    if not found:
        raise Conflict(
            "A notice needs an administrative topic, and there is none; add one: "
            "mailprefs topic add notices --class administrative --name Notices"
        )
    return found[0].slug


def _settle(session: Session, version: PolicyVersion, effective_from: datetime) -> None:
    session.execute(
        update(PolicyVersion)
        .where(PolicyVersion.id == version.id, PolicyVersion.state == PolicyState.ANNOUNCED)
        .values(state=PolicyState.SETTLED, effective_from=effective_from)
    )
    session.refresh(version)


def _note(
    session: Session,
    actor: Actor,
    action: str,
    version: PolicyVersion,
    now: datetime,
    **details: object,
) -> None:
    reason = details.pop("reason", None)
    audit.record(
        session,
        actor,
        action,
        ("policy_version", version.id),
        now=now,
        reason=None if reason is None else str(reason),
        details={"version": version.version, **details},
    )
