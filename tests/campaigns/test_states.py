"""From draft to its end: who may do what, once, however often and however many people press."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.audit import CONSOLE, Actor
from mailprefs.campaigns import drafts, schedule, states
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import freeze
from mailprefs.errors import BadInput, Conflict, NotAllowed, NotFound
from mailprefs.policy import MessageClass, Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from tests import factories, sending
from tests.campaigns.conftest import COMPANY, NOTICE, NOW, House

D = CampaignState


def actions(session: Session, number: int) -> list[str]:
    return [note.action for note in audit.of(session, ("campaign", number))]


def put(session: Session, number: int, state: CampaignState) -> None:
    """Move a campaign to a state without the way that leads there."""
    states.find(session, number).state = state
    session.flush()


# --- approving ------------------------------------------------------------------------------------


def test_a_second_person_approves_and_is_named(house: House) -> None:
    number = house.draft(NOTICE)
    with house.db.transaction() as session:
        states.approve(session, number, house.bob, now=NOW)
        campaign = states.find(session, number)
        note = audit.of(session, ("campaign", number))[-1]
    assert (campaign.state, campaign.approver_id) == (D.DRAFT, house.bob.staff_id)
    assert campaign.approved_at == NOW
    assert (note.action, note.staff_id, note.details) == (
        "campaign.approved",
        house.bob.staff_id,
        {"revision": 1},
    )


def test_neither_author_nor_last_editor_is_the_second_person(house: House) -> None:
    number = house.draft(NOTICE)
    with house.db.transaction() as session:
        with pytest.raises(NotAllowed, match="a second person"):
            states.approve(session, number, house.ann, now=NOW)
        drafts.edit(session, number, NOTICE, house.bob, company=COMPANY, now=NOW)
        for one in (house.ann, house.bob):
            with pytest.raises(NotAllowed, match="a second person"):
                states.approve(session, number, one, now=NOW)
        third = Actor(factories.make_staff(session, Role.APPROVE).id, "console")
        states.approve(session, number, third, now=NOW)


def test_nobody_approves_what_they_have_not_read(house: House) -> None:
    number = house.draft(NOTICE)
    with house.db.transaction() as session:
        drafts.edit(session, number, NOTICE, house.ann, company=COMPANY, now=NOW)
        with pytest.raises(Conflict, match="look at it again"):
            states.approve(session, number, house.bob, now=NOW, revision=1)
        assert states.find(session, number).approved_at is None
        states.approve(session, number, house.bob, now=NOW, revision=2)


def test_the_console_approves_only_as_somebody(house: House) -> None:
    number = house.draft(NOTICE)
    with house.db.transaction() as session:
        with pytest.raises(NotAllowed, match="--as"):
            states.approve(session, number, CONSOLE, now=NOW)
        states.approve(session, number, house.bob._replace(door="console"), now=NOW)


def test_a_draft_of_the_console_still_needs_somebody_with_the_role(house: House) -> None:
    number = house.draft(NOTICE, by=CONSOLE)
    with house.db.transaction() as session:
        with pytest.raises(NotAllowed, match="role approve"):
            states.approve(session, number, house.carl, now=NOW)
        states.approve(session, number, house.ann, now=NOW)


def test_an_approval_is_given_once(house: House) -> None:
    number = house.draft(NOTICE)
    with house.db.transaction() as session:
        third = Actor(factories.make_staff(session, Role.APPROVE).id, "page")
        states.approve(session, number, house.bob, now=NOW)
        with pytest.raises(Conflict, match="approved already"):
            states.approve(session, number, third, now=NOW)
        assert states.find(session, number).approver_id == house.bob.staff_id


def test_a_newsletter_needs_no_approval(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session, pytest.raises(Conflict, match="needs no approval"):
        states.approve(session, number, house.bob, now=NOW)


# --- sending and taking back ----------------------------------------------------------------------


def test_a_notice_that_nobody_approved_stays_a_draft(house: House) -> None:
    number = house.draft(NOTICE)
    for actor in (house.ann, CONSOLE):
        with house.db.transaction() as session, pytest.raises(NotAllowed, match="isn't approved"):
            states.send(session, number, actor, now=NOW, due_at=NOW)
    with house.db.transaction() as session:
        assert states.find(session, number).state is D.DRAFT
        states.approve(session, number, house.bob, now=NOW)
        states.send(session, number, house.ann, now=NOW, due_at=NOW)
        assert states.find(session, number).state is D.SCHEDULED


def test_sending_needs_its_role(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session, pytest.raises(NotAllowed, match="role send"):
        states.send(session, number, house.carl, now=NOW, due_at=NOW)


def test_a_send_keeps_the_instant_and_the_zone_in_which_it_was_said(house: House) -> None:
    number = house.draft()
    due = schedule.instant("2027-03-28T09:00", "Europe/Berlin")
    with house.db.transaction() as session:
        states.send(session, number, house.ann, now=NOW, due_at=due, zone="Europe/Berlin")
        campaign = states.find(session, number)
        assert campaign.due_at == datetime.fromisoformat("2027-03-28T07:00:00+00:00")
        assert campaign.zone == "Europe/Berlin"
        assert freeze.begin_due(session, now=due - timedelta(seconds=1)) == []
        assert freeze.begin_due(session, now=due) == [number]


def test_a_time_that_is_past_is_refused(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session, pytest.raises(BadInput, match="is past"):
        states.send(session, number, house.ann, now=NOW, due_at=NOW - timedelta(seconds=1))


def test_within_the_delay_a_send_is_taken_back_and_the_approval_stays(house: House) -> None:
    number = house.draft(NOTICE)
    with house.db.transaction() as session:
        states.approve(session, number, house.bob, now=NOW)
        due = schedule.due_after(NOW, 60)
        assert due - NOW == timedelta(minutes=1)
        states.send(session, number, house.ann, now=NOW, due_at=due)
        states.undo(session, number, house.ann, now=NOW)
        campaign = states.find(session, number)
        assert (campaign.state, campaign.due_at, campaign.zone) == (D.DRAFT, None, None)
        assert campaign.approved_at == NOW
        assert freeze.begin_due(session, now=due) == []
        assert actions(session, number)[-2:] == ["campaign.sent", "campaign.send_undone"]


def test_once_it_has_begun_a_send_can_not_be_taken_back(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        states.send(session, number, house.ann, now=NOW, due_at=NOW)
        freeze.begin_due(session, now=NOW)
        with pytest.raises(Conflict, match="is freezing; only one that is scheduled"):
            states.undo(session, number, house.ann, now=NOW)


# --- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "zone", "utc"),
    [
        ("2027-03-28T01:59:59", "Europe/Berlin", "2027-03-28T00:59:59"),
        ("2027-03-28T03:00", "Europe/Berlin", "2027-03-28T01:00:00"),
        ("2027-10-31T01:59", "Europe/Berlin", "2027-10-30T23:59:00"),
        ("2027-10-31T03:00", "Europe/Berlin", "2027-10-31T02:00:00"),
        ("2027-03-14T01:59", "America/New_York", "2027-03-14T06:59:00"),
        ("2027-03-14T03:00", "America/New_York", "2027-03-14T07:00:00"),
        ("2027-11-07T00:59", "America/New_York", "2027-11-07T04:59:00"),
        ("2027-11-07T02:00", "America/New_York", "2027-11-07T07:00:00"),
        ("2027-07-01T09:00", "Asia/Kathmandu", "2027-07-01T03:15:00"),
        ("2027-07-01 09:00", "UTC", "2027-07-01T09:00:00"),
    ],
)
def test_a_local_time_is_one_instant(local: str, zone: str, utc: str) -> None:
    assert schedule.instant(local, zone) == datetime.fromisoformat(f"{utc}+00:00")


@pytest.mark.parametrize(
    ("local", "zone", "told"),
    [
        ("2027-03-28T02:00", "Europe/Berlin", "doesn't exist in Europe/Berlin"),
        ("2027-03-28T02:59:59", "Europe/Berlin", "doesn't exist in Europe/Berlin"),
        ("2027-03-14T02:30", "America/New_York", "doesn't exist in America/New_York"),
        ("2027-10-31T02:00", "Europe/Berlin", "happens twice in Europe/Berlin"),
        ("2027-10-31T02:59:59", "Europe/Berlin", "happens twice in Europe/Berlin"),
        ("2027-11-07T01:30", "America/New_York", "happens twice in America/New_York"),
        ("2027-03-28T09:00+02:00", "Europe/Berlin", "without an offset"),
        ("2027-03-28", "Europe/Berlin", "Write the time as"),
        ("tomorrow", "Europe/Berlin", "Write the time as"),
        ("2027-02-30T09:00", "Europe/Berlin", "Write the time as"),
        ("2027-03-28T09:00", "Europe/Bern", "Write the time as"),
        ("2027-03-28T09:00", "", "Write the time as"),
        ("2027-03-28T09:00", "../../etc/passwd", "Write the time as"),
        ("0001-01-01T00:00", "Europe/Berlin", "Write the time as"),
        ("9999-12-31T23:59", "America/New_York", "Write the time as"),
    ],
)
def test_a_time_that_is_no_instant_or_two_is_refused_with_a_sentence(
    local: str, zone: str, told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        schedule.instant(local, zone)


# --- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [D.FREEZING, D.SENDING])
def test_a_paused_campaign_goes_on_where_it_was(house: House, running: CampaignState) -> None:
    number = house.draft()
    with house.db.transaction(Gate.TAKING) as session:
        put(session, number, running)
        states.pause(session, number, house.ann, now=NOW)
        assert states.find(session, number).state is D.PAUSED
        states.resume(session, number, house.bob, now=NOW)
        campaign = states.find(session, number)
        assert (campaign.state, campaign.paused_from) == (running, None)
        assert actions(session, number)[1:] == ["campaign.paused", "campaign.resumed"]


def test_resuming_clears_why_mailprefs_paused_it(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        put(session, number, D.PAUSED)
        campaign = states.find(session, number)
        campaign.paused_from, campaign.paused_reason = D.SENDING, "The vendor refused it."
        session.flush()
        states.resume(session, number, house.ann, now=NOW)
        resumed = session.get_one(Campaign, number, populate_existing=True)
        assert (resumed.state, resumed.paused_reason) == (D.SENDING, None)


def test_stopped_for_good_whoever_was_not_mailed_is_skipped(house: House) -> None:
    """Calls in flight finish: they are sent or not whatever we'd like."""
    with house.db.transaction() as session:
        topic = factories.make_topic(session)
        sending.make_people(session, topic, 7)
        number = sending.make_due(session, topic)
    sending.freeze_all(house.db)
    in_flight = sending.take_one(house.db)
    with house.db.transaction(Gate.TAKING) as session:
        states.cancel(session, number, house.ann, now=NOW)
    assert sending.take(house.db) is None
    sending.answer(house.db, in_flight)
    counted = sending.count(house.db, number)
    assert (counted.sent, counted.skipped, counted.pending) == (3, {"cancelled": 4}, 0)
    with house.db.reading() as session:
        assert states.find(session, number).finished_at == NOW


@pytest.mark.parametrize("stop", [states.pause, states.cancel])
def test_a_stop_outside_the_gate_is_refused_before_anything_is_written(
    house: House, stop: Callable[..., None]
) -> None:
    """Its commit would say nothing of a claim that goes on beside it."""
    number = house.draft()
    with house.db.transaction() as session:
        put(session, number, D.SENDING)
    for gate in (Gate.NONE, Gate.USING):
        refused = pytest.raises(RuntimeError, match=r"Gate\.TAKING")
        with refused, house.db.transaction(gate) as session:
            stop(session, number, house.ann, now=NOW)
    with house.db.reading() as session:
        assert states.find(session, number).state is D.SENDING


ACTS: dict[str, Callable[..., None]] = {
    "undo": states.undo,
    "pause": states.pause,
    "resume": states.resume,
    "cancel": states.cancel,
    "send": partial(states.send, due_at=NOW),
}
ALLOWED = {
    "send": {D.DRAFT},
    "undo": {D.SCHEDULED},
    "pause": {D.FREEZING, D.SENDING},
    "resume": {D.PAUSED},
    "cancel": {D.SCHEDULED, D.FREEZING, D.SENDING, D.PAUSED, D.HELD},
}


@pytest.mark.parametrize("act", sorted(ACTS))
def test_each_act_is_for_some_states_and_says_so_in_all_others(house: House, act: str) -> None:
    number = house.draft()
    with house.db.transaction(Gate.TAKING) as session:
        for state in CampaignState:
            put(session, number, state)
            if state in ALLOWED[act]:
                ACTS[act](session, number, house.ann, now=NOW)
                assert states.find(session, number).state is not state
                continue
            said = "a draft" if state is CampaignState.DRAFT else state.value
            with pytest.raises(Conflict, match=f"is {said}; only one that is"):
                ACTS[act](session, number, house.ann, now=NOW)
            assert states.find(session, number).state is state


@pytest.mark.parametrize("act", sorted(ACTS))
def test_each_act_needs_the_role_and_a_campaign(house: House, act: str) -> None:
    number = house.draft()
    with house.db.transaction(Gate.TAKING) as session:
        put(session, number, min(ALLOWED[act]))
        with pytest.raises(NotAllowed, match="role send"):
            ACTS[act](session, number, house.carl, now=NOW)
        for unknown in (0, -1, number + 1, 2**31, 2**70):
            with pytest.raises(NotFound, match="no campaign"):
                ACTS[act](session, unknown, house.ann, now=NOW)
        assert actions(session, number) == ["campaign.created"]


def test_the_standing_campaigns_of_single_messages_are_nobodys_to_touch(house: House) -> None:
    with house.db.transaction(Gate.TAKING) as session:
        legal = factories.make_topic(session, None, MessageClass.ADMINISTRATIVE)
        standing = factories.make_campaign(
            session, legal, standing=True, template="fresh_link", purpose="account"
        )
        with pytest.raises(NotFound):
            states.cancel(session, standing.id, house.ann, now=NOW)


def test_of_two_people_who_stop_it_at_once_one_does(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        put(session, number, D.SENDING)
    came_to = at_once(
        house.db,
        *(partial(states.cancel, campaign_id=number, actor=one) for one in (house.ann, house.bob)),
    )
    assert sorted(came_to) == ["Conflict", "done"]
    with house.db.reading() as session:
        assert actions(session, number) == ["campaign.created", "campaign.cancelled"]


def test_of_a_double_click_on_send_one_counts(house: House) -> None:
    number = house.draft()
    click = partial(states.send, campaign_id=number, actor=house.ann, due_at=NOW)
    assert sorted(at_once(house.db, click, click)) == ["Conflict", "done"]
    with house.db.reading() as session:
        assert actions(session, number) == ["campaign.created", "campaign.sent"]


def test_nobody_sends_what_somebody_changes_in_the_same_moment(house: House) -> None:
    """A send is of the revision that was looked at, so an edit in between stands in its way."""
    number = house.draft()
    with house.db.transaction() as session:
        looked_at = states.find(session, number)
    with house.db.transaction() as session:
        states.new_revision(session, states.find(session, number), editor_id=house.bob.staff_id)
    with house.db.transaction() as session:
        stale = session.merge(looked_at, load=False)
        with pytest.raises(Conflict, match="Somebody changed campaign"):
            states.send(session, stale.id, house.ann, now=NOW, due_at=NOW)


def at_once(db: Database, *acts: Callable[..., None]) -> list[str]:
    """Do all acts in the same moment, each in a transaction of its own; give what each came to."""
    together = threading.Barrier(len(acts))
    came_to: list[str] = []

    def run(act: Callable[..., None]) -> None:
        together.wait(10)
        try:
            with db.transaction(Gate.TAKING) as session:
                act(session, now=NOW)
            came_to.append("done")
        except Conflict:
            came_to.append("Conflict")

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return came_to
