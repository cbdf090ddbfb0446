"""A public page is chosen, begins with the sending, keeps its address, and is nobody's own."""

from dataclasses import replace

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from mailprefs import audit
from mailprefs.campaigns import archive, drafts, review, states
from mailprefs.campaigns.archive import Message
from mailprefs.deliveries.origin import of_campaign
from mailprefs.errors import BadInput, BadTemplate, Conflict, NotAllowed, NotFound
from mailprefs.links import Links
from mailprefs.policy import TrackingMode
from mailprefs.rendering.person import Person, preview
from mailprefs.rendering.public import public
from mailprefs.schema.campaigns import Campaign, CampaignState, SourceFormat
from mailprefs.settings import Settings
from tests.campaigns.conftest import COMPANY, NEWSLETTER, NOTICE, NOW, House

NOBODY = Person(0, "", "", "", {}, "", 0, TrackingMode.OFF)
ASK = "https://mail.example.com/fresh-link"


def begin(session: Session, number: int, **columns: object) -> None:
    """Let a campaign have begun to be sent, as the freeze does."""
    values = {"state": CampaignState.SENDING, "started_at": NOW} | columns
    session.execute(update(Campaign).where(Campaign.id == number).values(**values))


def listed(session: Session) -> list[Message]:
    return archive.messages(session, archive.place(session, "news"), "en")


def test_nothing_is_public_unless_its_staff_chose_so(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        begin(session, number)
        assert listed(session) == []
        assert archive.places(session) == []
        stored = drafts.content(session, states.find(session, number))
        assert "/archive" not in stored.html + stored.text


def test_a_public_message_leads_to_one_page_and_is_there_once_it_is_sent(house: House) -> None:
    number = house.draft(public=True)
    with house.db.transaction() as session:
        campaign = states.find(session, number)
        where = archive.address(session, campaign)
        stored = drafts.content(session, campaign)
        assert where is not None
        assert where.startswith("https://mail.example.com/archive/news/the-first-frost-")
        assert f'href="{where}"' in stored.html
        assert where in stored.text
        assert "archive_url" not in str(stored.tags["slots"])
        assert listed(session) == []
        begin(session, number)
        (message,) = listed(session)
        assert where.endswith(message.slug)
        assert [one.topic.slug for one in archive.places(session)] == ["news"]


@pytest.mark.parametrize(
    "columns",
    [
        {"state": CampaignState.DRAFT},
        {"state": CampaignState.SCHEDULED, "started_at": None},
        {"state": CampaignState.CANCELLED},
    ],
    ids=["taken back", "waiting", "stopped before anybody got it"],
)
def test_what_nobody_was_sent_has_no_page(house: House, columns: dict[str, object]) -> None:
    number = house.draft(public=True)
    with house.db.transaction() as session:
        begin(session, number, **columns)
        assert listed(session) == []


def test_the_address_stays_through_edits_and_withdrawals(house: House) -> None:
    number = house.draft(public=True)
    with house.db.transaction() as session:
        campaign = states.find(session, number)
        where = archive.address(session, campaign)
        draft = replace(drafts.as_stored(session, campaign), subject="The second frost")
        assert draft.public
        drafts.edit(session, number, draft, house.ann, company=COMPANY, now=NOW)
        assert archive.address(session, campaign) == where
        archive.withdraw(session, number, house.ann, company=COMPANY, now=NOW)
        assert archive.address(session, campaign) is None
        assert "/archive" not in drafts.content(session, campaign).html
        archive.publish(session, number, house.ann, company=COMPANY, now=NOW)
        assert archive.address(session, campaign) == where
        assert str(where) in drafts.content(session, campaign).html


def test_a_sent_message_is_published_and_withdrawn_without_a_change_to_it(house: House) -> None:
    number = house.draft()
    with house.db.transaction() as session:
        campaign = states.find(session, number)
        begin(session, number)
        session.refresh(campaign)
        before = drafts.content(session, campaign).sha256
        archive.publish(session, number, house.ann, company=COMPANY, now=NOW)
        assert len(listed(session)) == 1
        archive.withdraw(session, number, house.ann, company=COMPANY, now=NOW)
        assert listed(session) == []
        assert (campaign.revision, drafts.content(session, campaign).sha256) == (1, before)
        told = [entry.action for entry in audit.of(session, ("campaign", number))]
        assert told.count("campaign.published") == told.count("campaign.withdrawn") == 1


def test_a_published_page_shows_what_was_sent_and_no_later_revision(house: House) -> None:
    number = house.draft(public=True)
    with house.db.transaction() as session:
        house_draft = replace(NEWSLETTER, public=True, body="Something else entirely.\n")
        begin(session, number)
        session.expire_all()
        with pytest.raises(Conflict):
            drafts.edit(session, number, house_draft, house.ann, company=COMPANY, now=NOW)
        (message,) = listed(session)
        assert "it is cold" in message.shown.html
        assert "Something else" not in message.shown.html


def test_only_promotional_messages_and_only_those_who_may_are_let_publish(house: House) -> None:
    with pytest.raises(BadInput, match="promotional"):
        house.draft(NOTICE, public=True)
    notice, news = house.draft(NOTICE), house.draft()
    with house.db.transaction() as session:
        with pytest.raises(BadInput, match="promotional"):
            archive.publish(session, notice, house.ann, company=COMPANY, now=NOW)
        with pytest.raises(NotFound):
            archive.place(session, "legal")
        with pytest.raises(Conflict, match="no public page"):
            archive.withdraw(session, news, house.ann, company=COMPANY, now=NOW)
        begin(session, news)
        with pytest.raises(NotAllowed):
            archive.publish(session, news, house.carl, company=COMPANY, now=NOW)


def test_the_page_is_what_somebody_gets_of_whom_nothing_is_known(house: House) -> None:
    """The same words as the send's, with the personal links exchanged and the pixel left out."""
    body = (
        'Dear {{ first_name | "reader <3" }},\n\n'
        '{% if last_name %}PRO for {{ first_name | "you" }}{% else %}'
        'basic for {{ last_name | "all" }}{% endif %}\n\n[Change it]({{ preferences_url }})\n'
    )
    number = house.draft(public=True, subject='{{ first_name | "All" }}, it is cold', body=body)
    with house.db.transaction() as session:
        campaign = states.find(session, number)
        composed = drafts.composed(drafts.content(session, campaign))
        links = Links([b"k" * 32])
        origin = of_campaign(session, links, number)
        sent = preview(composed, origin, NOBODY)
        shown = public(composed, personal_links=ASK)
        expected = sent.html
        for path in (links.unsubscribe_path(0, origin.topic_id, 0), links.preferences_path(0, 0)):
            expected = expected.replace(origin.base_url + path, ASK)
        assert shown.html == expected.replace(" </body>", "</body>")
        assert shown.subject == "All, it is cold"
        assert "PRO" not in shown.html
        for personal in ("/u/", "/p/", "/o/", 'width="1"', composed.mark):
            assert personal not in shown.html


def test_the_check_tells_of_gaps_and_of_a_missing_link(house: House, settings: Settings) -> None:
    number = house.draft(public=True, body="Dear {{ first_name }},\n\nit is cold.\n")
    mjml = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>Cold</mj-text></mj-column></mj-section>"
        "</mj-body></mjml>"
    )
    other = house.draft(public=True, body=mjml, format=SourceFormat.MJML)
    with house.db.reading() as session:
        found = {one.code for one in review.review(session, number, settings, now=NOW).checks}
        of_other = {one.code for one in review.review(session, other, settings, now=NOW).checks}
    assert "public_gap" in found
    assert "no_public_link" not in found
    assert "no_public_link" in of_other


def test_the_address_can_stand_in_a_public_message_only(house: House) -> None:
    body = "[Read it in your browser]({{ archive_url }})\n"
    with pytest.raises(BadTemplate, match="has no public page"):
        house.draft(body=body)
    number = house.draft(body=body, public=True)
    with (
        house.db.transaction() as session,
        pytest.raises(BadTemplate, match="has no public page"),
    ):
        archive.withdraw(session, number, house.ann, company=COMPANY, now=NOW)
