"""From draft to finished: approve, send, undo, pause, resume, cancel.

Each function changes one campaign's state under a conditional UPDATE, so that a double click or
two people at once do it once, and writes the audit. Pausing and cancelling take the gate (the edge
opens their transaction with ``Gate.TAKING``): after their commit no new vendor call begins.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailprefs import audit, staff, times
from mailprefs.audit import Actor
from mailprefs.campaigns import schedule
from mailprefs.db.database import require_taking
from mailprefs.deliveries import calls, pace
from mailprefs.deliveries.cancel import cancel_pending
from mailprefs.errors import BadInput, Conflict, NotAllowed, NotFound
from mailprefs.policy import Role
from mailprefs.schema.campaigns import Campaign, CampaignState

RUNNING = frozenset({CampaignState.FREEZING, CampaignState.SENDING})
LARGEST_ID: Final = 2**31 - 1
"""Campaign and ordinal fill one 64-bit delivery id between them."""
_SECOND_PERSON: Final = (
    "Administrative mail reaches people who left all promotions, so a second person approves it: "
    "somebody other than its author and its last editor."
)
_NOT_APPROVED: Final = (
    "This administrative campaign isn't approved yet. Somebody with the role approve, other than "
    "its author and last editor, approves it: mailprefs campaign approve {} --as ADDRESS"
)
_CHANGED: Final = "Somebody changed campaign {} in the meantime; look at it again."
_TOO_LATE: Final = (
    "This notice had to begin by {}, so that people know early enough of what it tells. Give the "
    "policy version a later date (mailprefs policy postpone), or publish another one."
)
_UNSAID: Final = {"zone": None, "due_wall": None, "due_fold": None}
STOPPABLE = RUNNING | {CampaignState.SCHEDULED, CampaignState.PAUSED, CampaignState.HELD}


def find(session: Session, campaign_id: int) -> Campaign:
    """Give one campaign.

    :raises NotFound: for an unknown id, and for the standing campaigns of single messages.
    """
    is_possible = 0 < campaign_id <= LARGEST_ID
    campaign = session.get(Campaign, campaign_id) if is_possible else None
    if campaign is None or campaign.standing:
        msg = (
            f"There is no campaign {campaign_id}. `mailprefs campaign list` shows those there are."
        )
        raise NotFound(msg)
    return campaign


def approve(
    session: Session,
    campaign_id: int,
    actor: Actor,
    *,
    now: datetime,
    revision: int | None = None,
) -> None:
    """Approve an administrative campaign, as its second person.

    *revision* is the one that this person has read; without it, the current one.

    :raises NotAllowed: without the role, or for the author or last editor of it.
    :raises Conflict: unless it is an administrative draft that nobody has approved yet, and still
        the revision that was read.
    """
    campaign = find(session, campaign_id)
    staff.require(session, actor, Role.APPROVE)
    if revision not in {None, campaign.revision}:
        raise Conflict(_CHANGED.format(campaign_id))
    if not campaign.message_class.needs_second_person:
        msg = "A promotional campaign needs no approval; send it."
        raise Conflict(msg)
    if actor.staff_id is None or actor.staff_id in {campaign.author_id, campaign.editor_id}:
        raise NotAllowed(_SECOND_PERSON)
    if campaign.approved_at is not None:
        msg = f"Campaign {campaign_id} is approved already; an edit would void that."
        raise Conflict(msg)
    _change(
        session,
        campaign,
        {CampaignState.DRAFT},
        "approved",
        approver_id=actor.staff_id,
        approved_at=now,
    )
    _note(session, actor, "campaign.approved", campaign, now, revision=campaign.revision)


def is_missed(campaign: Campaign) -> bool:
    """Tell whether a campaign's time was missed, so that it waits for a person."""
    is_paused = campaign.state is CampaignState.PAUSED
    return is_paused and campaign.paused_from is CampaignState.SCHEDULED


def not_approved(campaign: Campaign) -> str | None:
    """Say that a campaign still waits for its second person, and how to approve it; else None."""
    if not campaign.message_class.needs_second_person or campaign.approved_at is not None:
        return None
    return _NOT_APPROVED.format(campaign.id)


def send(  # noqa: PLR0913 - which, by whom and when
    session: Session,
    campaign_id: int,
    actor: Actor,
    *,
    now: datetime,
    due_at: datetime,
    zone: str | None = None,
    revision: int | None = None,
) -> None:
    """Let a checked draft go at *due_at*; until then ``undo`` takes it back.

    The caller has let the checks pass (``review.require``); *revision* is the one they are of.

    :raises NotAllowed: without the role, or for administrative mail that nobody approved.
    :raises BadInput: for a time that is past.
    :raises Conflict: unless it still is the draft that was checked, and for a notice too late.
    """
    campaign = find(session, campaign_id)
    staff.require(session, actor, Role.SEND)
    if revision not in {None, campaign.revision}:
        raise Conflict(_CHANGED.format(campaign_id))
    if due_at < now:
        raise BadInput("That time is past. Choose a later one, or send without a time.")
    if waits := not_approved(campaign):
        raise NotAllowed(waits)
    _require_in_time(campaign, due_at)
    said = schedule.said(due_at, zone) if zone else None
    _change(
        session,
        campaign,
        {CampaignState.DRAFT},
        "sent",
        state=CampaignState.SCHEDULED,
        due_at=due_at,
        zone=zone,
        due_wall=said.wall if said else None,
        due_fold=said.fold if said else None,
    )
    _note(session, actor, "campaign.sent", campaign, now, due_at=due_at.isoformat())


def undo(session: Session, campaign_id: int, actor: Actor, *, now: datetime) -> None:
    """Take a send back while nothing has begun, one that was missed too; the approval stays."""
    campaign = find(session, campaign_id)
    staff.require(session, actor, Role.SEND)
    missed = is_missed(campaign)
    _change(
        session,
        campaign,
        {CampaignState.PAUSED if missed else CampaignState.SCHEDULED},
        "taken back",
        state=CampaignState.DRAFT,
        paused_from=None,
        paused_reason=None,
        due_at=None,
        **_UNSAID,
    )
    _note(session, actor, "campaign.send_undone", campaign, now)


def pause(session: Session, campaign_id: int, actor: Actor, *, now: datetime) -> None:
    """Hold a running campaign: calls in flight finish, no new one begins.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    campaign = find(session, campaign_id)
    staff.require(session, actor, Role.SEND)
    # The state that is left is the row's own: a worker may move it on while we look at it.
    _change(
        session, campaign, RUNNING, "paused", state=CampaignState.PAUSED, paused_from=Campaign.state
    )
    _note(session, actor, "campaign.paused", campaign, now)


def resume(session: Session, campaign_id: int, actor: Actor, *, now: datetime) -> None:
    """Go on with a paused campaign where it stopped; one whose time was missed begins now."""
    campaign = find(session, campaign_id)
    staff.require(session, actor, Role.SEND)
    missed = is_missed(campaign)
    if missed:
        _require_in_time(campaign, now)
    _change(
        session,
        campaign,
        {CampaignState.PAUSED},
        "resumed",
        state=campaign.paused_from or CampaignState.SENDING,
        paused_from=None,
        paused_reason=None,
        **({"due_at": now, **_UNSAID} if missed else {}),
    )
    _note(session, actor, "campaign.resumed", campaign, now)


def cancel(session: Session, campaign_id: int, actor: Actor, *, now: datetime) -> None:
    """Stop a campaign for good: calls in flight finish, everybody else is skipped as cancelled.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    campaign = find(session, campaign_id)
    staff.require(session, actor, Role.SEND)
    _change(
        session, campaign, STOPPABLE, "cancelled", state=CampaignState.CANCELLED, finished_at=now
    )
    cancel_pending(session, campaign_id)
    _note(session, actor, "campaign.cancelled", campaign, now)


def start_sending(session: Session, actor: Actor, *, now: datetime) -> None:
    """Let all sending go on after the vendor refused it or took nothing for a while.

    :raises NotAllowed: without the role.
    """
    staff.require(session, actor, Role.SEND)
    pace.start(session)
    calls.forget(session)
    audit.record(session, actor, "sending.started", ("vendor", "pace"), now=now)


def in_words(state: str) -> str:
    """Say a state so that it can follow "is": ``a draft``."""
    return "a draft" if state == CampaignState.DRAFT else state


def new_revision(session: Session, campaign: Campaign, **values: Any) -> None:  # noqa: ANN401 - columns of campaigns, checked by SQLAlchemy
    """Begin the draft's next revision; an approval was for the former one and is void.

    :raises Conflict: for a campaign that has left the draft.
    """
    _change(
        session,
        campaign,
        {CampaignState.DRAFT},
        "edited",
        revision=campaign.revision + 1,
        approver_id=None,
        approved_at=None,
        **values,
    )


def _require_in_time(campaign: Campaign, begins: datetime) -> None:
    """Refuse to begin a notice after the last moment for it."""
    if campaign.send_by is not None and begins > campaign.send_by:
        raise Conflict(_TOO_LATE.format(times.written(campaign.send_by)))


def _change(
    session: Session,
    campaign: Campaign,
    allowed: Collection[CampaignState],
    done: str,
    **values: Any,  # noqa: ANN401 - columns of campaigns, checked by SQLAlchemy
) -> None:
    """Update the campaign if it still is in an allowed state, else say where it stands.

    :raises Conflict: when it isn't in one of the allowed states (any more).
    """
    changed = session.execute(
        update(Campaign)
        .where(Campaign.id == campaign.id, Campaign.state.in_(allowed))
        .where(Campaign.revision == campaign.revision)
        .values(**values)
        .returning(Campaign.id)
    ).one_or_none()
    if changed is None:
        session.refresh(campaign)
        *others, last = (in_words(state.value) for state in CampaignState if state in allowed)
        words = f"{', '.join(others)} or {last}" if others else last
        msg = (
            f"Campaign {campaign.id} is {in_words(campaign.state.value)}; only one that is {words} "
            f"can be {done}."
        )
        if campaign.state in allowed:
            msg = _CHANGED.format(campaign.id)
        raise Conflict(msg)
    session.refresh(campaign)


def _note(
    session: Session,
    actor: Actor,
    action: str,
    campaign: Campaign,
    now: datetime,
    **details: object,
) -> None:
    audit.record(session, actor, action, ("campaign", campaign.id), now=now, details=details)
