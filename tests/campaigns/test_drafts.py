"""Writing: the topic decides the class, a change is a new revision, and an approval is of one."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from mailprefs import audit
from mailprefs.audit import CONSOLE, SYSTEM
from mailprefs.campaigns import drafts, states
from mailprefs.errors import BadInput, BadTemplate, Conflict, NotAllowed, NotFound
from mailprefs.policy import LegalPurpose, MessageClass
from mailprefs.schema.campaigns import Campaign, CampaignState, Content, SourceFormat
from tests import factories
from tests.campaigns.conftest import COMPANY, NEWSLETTER, NOTICE, NOW, House


def test_the_topic_decides_the_class(house: House) -> None:
    letter, notice = house.draft(), house.draft(NOTICE)
    with house.db.reading() as session:
        found = {one.id: one.message_class for one in session.scalars(select(Campaign))}
    assert found == {letter: MessageClass.PROMOTIONAL, notice: MessageClass.ADMINISTRATIVE}


def test_a_draft_is_stored_whole_and_is_audited(house: House) -> None:
    number = house.draft(NOTICE)
    with house.db.reading() as session:
        campaign = states.find(session, number)
        content = drafts.content(session, campaign)
        (note,) = audit.of(session, ("campaign", number))
    assert (campaign.state, campaign.revision, campaign.report_zone) == (
        CampaignState.DRAFT,
        1,
        "Europe/Berlin",
    )
    assert (campaign.author_id, campaign.editor_id) == (house.ann.staff_id, house.ann.staff_id)
    assert (campaign.name, campaign.purpose) == (NOTICE.subject, LegalPurpose.POLICY_CHANGE)
    assert (content.subject_source, content.body_source) == (NOTICE.subject, NOTICE.body)
    assert content.format is SourceFormat.MARKDOWN
    assert (note.action, note.staff_id, note.reason) == (
        "campaign.created",
        house.ann.staff_id,
        NOTICE.reason,
    )


def test_a_change_is_a_new_revision_and_the_former_content_stays_as_it_was(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        first = drafts.content(session, states.find(session, number))
        changed = replace(NEWSLETTER, subject="The thaw", body="It is warm.\n")
        drafts.edit(session, number, changed, house.bob, company=COMPANY, now=NOW)
        campaign = states.find(session, number)
        now_shown = drafts.content(session, campaign)
        kept = session.get_one(Content, first.id)
        assert (campaign.revision, campaign.name, campaign.editor_id) == (
            2,
            "The thaw",
            house.bob.staff_id,
        )
        assert campaign.author_id == house.ann.staff_id
        assert (now_shown.revision, now_shown.subject) == (2, "The thaw")
        assert (kept.revision, kept.subject) == (1, "The first frost")
        actions = [note.action for note in audit.of(session, ("campaign", number))]
    assert actions == ["campaign.created", "campaign.edited"]


def test_a_name_of_its_own_stays_while_the_subject_changes(house: House) -> None:
    named, unnamed = house.draft(name="Winter, 1 of 3"), house.draft()
    with house.db.transaction() as session:
        for number in (named, unnamed):
            written = drafts.as_stored(session, states.find(session, number))
            again = replace(written, subject="The thaw")
            drafts.edit(session, number, again, house.ann, company=COMPANY, now=NOW)
        names = [states.find(session, number).name for number in (named, unnamed)]
    assert names == ["Winter, 1 of 3", "The thaw"]


def test_an_edit_voids_the_approval(house: House) -> None:
    number = house.draft(NOTICE)
    with house.db.transaction() as session:
        states.approve(session, number, house.bob, now=NOW)
        assert states.find(session, number).approved_at == NOW
        drafts.edit(session, number, NOTICE, house.ann, company=COMPANY, now=NOW)
        campaign = states.find(session, number)
        assert (campaign.approver_id, campaign.approved_at) == (None, None)
        with pytest.raises(NotAllowed, match="isn't approved"):
            states.send(session, number, house.ann, now=NOW, due_at=NOW)


def test_only_a_draft_can_be_edited(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        states.send(session, number, house.ann, now=NOW, due_at=NOW)
        with pytest.raises(Conflict, match="is scheduled; only one that is a draft can be"):
            drafts.edit(session, number, NEWSLETTER, house.ann, company=COMPANY, now=NOW)
        assert states.find(session, number).revision == 1


def test_a_campaign_keeps_its_topic_and_with_it_its_class(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session, pytest.raises(Conflict, match="keeps its topic"):
        drafts.edit(session, number, NOTICE, house.ann, company=COMPANY, now=NOW)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"purpose": None}, "give its legal purpose"),
        ({"reason": None}, "write the reason"),
        ({"reason": "  because    "}, "write the reason"),
        ({"topic": "news"}, "belong to administrative campaigns only"),
        ({"topic": "news", "purpose": None}, "belong to administrative campaigns only"),
        ({"topic": "news", "reason": None}, "belong to administrative campaigns only"),
    ],
)
def test_administrative_mail_and_nothing_else_has_a_purpose_and_a_reason(
    house: House, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        house.draft(NOTICE, **changes)
    assert how_many(house) == 0


def test_an_edit_keeps_the_rule_of_purpose_and_reason(house: House) -> None:
    number = house.draft(NOTICE)
    without = replace(NOTICE, reason="")
    with house.db.transaction() as session, pytest.raises(BadInput, match="write the reason"):
        drafts.edit(session, number, without, house.ann, company=COMPANY, now=NOW)


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"body": "Hello {{ first_name"}, BadTemplate, "Line 1 of the body"),
        ({"subject": " "}, BadTemplate, "subject is empty"),
        ({"body": "{{ plan }}"}, BadTemplate, "plan"),
        ({"topic": "sport"}, NotFound, "Topics: news, legal"),
    ],
)
def test_what_cannot_be_composed_leaves_nothing_behind(
    house: House, changes: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        house.draft(**changes)
    assert how_many(house) == 0


def test_writing_needs_its_role_and_the_console_has_it(house: House) -> None:
    with pytest.raises(NotAllowed):
        house.draft(by=SYSTEM)
    number = house.draft(by=CONSOLE)
    assert house.draft(by=house.carl)
    with house.db.transaction() as session:
        reader = audit.Actor(factories.make_staff(session).id, "page")
        with pytest.raises(NotAllowed):
            drafts.edit(session, number, NEWSLETTER, reader, company=COMPANY, now=NOW)


def test_a_stored_content_can_not_be_changed(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        content = drafts.content(session, states.find(session, number))
        content.subject = "Something else"
        with pytest.raises(DBAPIError, match="contents"):
            session.flush()
        session.rollback()


def how_many(house: House) -> int:
    with house.db.reading() as session:
        return session.scalar(select(func.count()).select_from(Campaign)) or 0
