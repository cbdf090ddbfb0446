"""P2: after opting out you still receive administrative messages, and only these.

A promotional no never stops administrative mail, and promotional mail can't leave as such.
"""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mailprefs import subscriptions, suppressions
from mailprefs.campaigns import states
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, BadTemplate, Conflict, NotAllowed
from mailprefs.policy import (
    AddressOrigin,
    LegalPurpose,
    MessageClass,
    Scope,
    Source,
    SuppressionReason,
)
from mailprefs.schema.people import Recipient, Topic
from mailprefs.subscriptions import NewSender, NewTopic
from tests.company import BASE, ONE_CLICK, Company

ADA, BO, CY = (f"{name}@example.org" for name in ("ada", "bo", "cy"))
NOW_SAID = "A notice that asks nobody to buy anything."


def leave(company: Company, address: str) -> None:
    """Leave all promotional mail by the link of a newsletter."""
    message = company.message(company.send(), address)
    assert company.client.post(message.one_click, data=ONE_CLICK).status_code == 200


def test_a_notice_reaches_those_who_left_and_a_newsletter_does_not(company: Company) -> None:
    company.bring(ADA, BO)
    leave(company, ADA)
    assert company.readers(company.send()) == [BO]
    assert company.readers(company.send("legal")) == [ADA, BO]


def test_a_notice_needs_no_subscription_and_a_newsletter_does(company: Company) -> None:
    company.bring(ADA, topic="offers")
    company.bring(BO)
    assert company.readers(company.send()) == [BO]
    assert company.readers(company.send("account")) == [ADA, BO]


def test_the_page_of_leaving_says_what_still_comes(company: Company) -> None:
    company.bring(ADA)
    message = company.message(company.send(), ADA)
    page = company.client.get(message.one_click).text
    assert "Legal" in page and "Account" in page
    company.client.post(message.one_click, data=ONE_CLICK)
    assert company.readers(company.send("legal")) == [ADA]


@pytest.mark.parametrize("reason", list(SuppressionReason))
def test_whatever_stands_against_an_address_stops_just_what_it_says(
    company: Company, reason: SuppressionReason
) -> None:
    """The matrix of class and reason: a no to promotions stops these, a dead mailbox stops all."""
    company.bring(ADA, BO)
    person = company.person(ADA)
    with company.db.transaction(Gate.TAKING) as session:
        suppressions.add(
            session, person.address_hash, 1, reason, Source.VENDOR, now=company.clock()
        )
    promotional, administrative = company.send(), company.send("legal")
    assert company.readers(promotional) == [BO]
    is_reached = reason in {
        SuppressionReason.UNSUBSCRIBED,
        SuppressionReason.COMPLAINED,
        SuppressionReason.SOFT_BOUNCES,
    }
    assert is_reached is (reason.scope is Scope.PROMOTIONAL)
    assert company.readers(administrative) == ([ADA, BO] if is_reached else [BO])
    counted = company.counts(administrative)
    assert sum(counted.kept_out.values()) == (0 if is_reached else 1)


def test_an_address_that_nobody_confirmed_gets_neither(company: Company) -> None:
    company.bring(ADA, BO)
    with company.db.transaction() as session:
        session.get_one(
            Recipient, company.person(ADA).id
        ).address_origin = AddressOrigin.UNCONFIRMED
    assert company.readers(company.send()) == [BO]
    assert company.readers(company.send("legal")) == [BO]


def test_a_notice_offers_no_way_out_that_would_not_be_true_and_is_never_measured(
    company: Company,
) -> None:
    company.bring(ADA)
    company.bring(BO)
    notice = company.message(company.send("legal"), ADA)
    letter = company.message(company.send(), ADA)
    everything = notice.text + notice.html
    assert not {"List-Unsubscribe", "List-Unsubscribe-Post"} & set(notice.headers)
    assert f"{BASE}/u/" not in everything
    assert f"{BASE}/p/" in notice.text and f"{BASE}/p/" in notice.html
    assert "the law asks us to tell you this" in notice.text
    assert notice.pixel is None
    assert letter.pixel is not None
    assert (notice.message_class, letter.message_class) == (
        MessageClass.ADMINISTRATIVE,
        MessageClass.PROMOTIONAL,
    )


def test_the_vendor_is_told_which_class_it_carries_and_tracks_neither(company: Company) -> None:
    company.bring(ADA)
    letter = company.message(company.send(), ADA).body
    notice = company.message(company.send("legal"), ADA).body
    assert letter["from"]["email"] != notice["from"]["email"]
    assert notice["mail_settings"]["bypass_unsubscribe_management"] == {"enable": True}
    assert "bypass_unsubscribe_management" not in letter["mail_settings"]
    for body in (letter, notice):
        assert "bypass_list_management" not in body["mail_settings"]
        assert not {"asm", "categories", "custom_args"} & set(body)
        tracking = body["tracking_settings"]
        assert set(tracking) == {
            "click_tracking",
            "open_tracking",
            "subscription_tracking",
            "ganalytics",
        }
        assert not any(value for one in tracking.values() for value in one.values())


def test_a_notice_goes_ahead_of_newsletters_that_were_begun_before_it(company: Company) -> None:
    company.bring(ADA, BO, CY)
    letter = company.write()
    worker = company.begin(letter, batch_size=1)
    worker.send_next()
    notice = company.write("legal")
    company.begin(notice, batch_size=1)
    company.work()
    classes = [one.campaign_id for one in company.arrived()]
    assert classes == [letter, notice, notice, notice, letter, letter]


# --- promotional mail can't leave as administrative -----------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE campaigns SET message_class = 'administrative', purpose = 'account'",
        "UPDATE campaigns SET topic_id = (SELECT id FROM topics WHERE slug = 'legal')",
        "UPDATE topics SET message_class = 'administrative' WHERE slug = 'newsletter'",
        "UPDATE topics SET sender_id = 3 - sender_id",
        "UPDATE senders SET message_class = 'administrative'",
        "UPDATE topics SET tracking = 'individual' WHERE slug = 'legal'",
        "UPDATE campaigns SET purpose = 'account'",
        "UPDATE campaigns SET standing = true",
    ],
)
def test_the_database_itself_refuses_to_mix_the_classes(company: Company, statement: str) -> None:
    company.write()
    with company.db.transaction() as session:
        with pytest.raises(DBAPIError):
            session.execute(text(statement))
        session.rollback()


def test_the_approver_is_never_the_author_not_even_by_hand(company: Company) -> None:
    company.write("legal")
    with company.db.transaction() as session:
        with pytest.raises(DBAPIError, match="second_person"):
            session.execute(text("UPDATE campaigns SET approver_id = author_id"))
        session.rollback()


def test_what_is_not_said_to_be_administrative_is_promotional(company: Company) -> None:
    with company.db.transaction() as session:
        now = company.clock()
        topic = subscriptions.add_topic(session, NewTopic("more", "More"), company.author, now=now)
        sender = NewSender("More", "more@example.com", "hello@example.com", "1 Street", BASE)
        made = subscriptions.add_sender(session, sender, company.author, now=now)
    assert topic.message_class is MessageClass.PROMOTIONAL
    assert made.message_class is MessageClass.PROMOTIONAL


@pytest.mark.parametrize(
    ("topic", "body", "told"),
    [
        ("legal", "Leave: {{ unsubscribe_url }}\n", "unsubscribe"),
        ("legal", "{{ pixel }}\n", "never measured"),
        ("legal", "{{ measurement_url }}\n", "never measured"),
        ("newsletter", "Hello {{ reason }}\n", "reason"),
    ],
)
def test_a_text_that_is_not_of_its_class_is_refused_with_the_reason(
    company: Company, topic: str, body: str, told: str
) -> None:
    with pytest.raises(BadTemplate, match=told):
        company.write(topic, body=body)


def test_a_newsletter_can_not_claim_a_legal_purpose(company: Company) -> None:
    with pytest.raises(BadInput, match="administrative campaigns only"):
        company.write(purpose=LegalPurpose.ACCOUNT, reason=NOW_SAID)


def test_a_notice_that_one_person_alone_stands_for_is_not_sent(company: Company) -> None:
    company.bring(ADA)
    company.second = company.author
    with pytest.raises(NotAllowed, match="second person"):
        company.write("legal")
    assert company.arrived() == []


def test_an_edit_after_the_approval_keeps_a_notice_back(company: Company) -> None:
    company.bring(ADA)
    number = company.write("legal")
    with company.db.transaction() as session:
        states.new_revision(session, states.find(session, number), editor_id=None)
    now = company.clock()
    with company.db.transaction() as session, pytest.raises(NotAllowed, match="isn't approved"):
        states.send(session, number, company.author, now=now, due_at=now)


def test_two_classes_never_write_from_one_address(company: Company) -> None:
    with company.db.transaction() as session:
        legal = subscriptions.topic(session, "legal")
        news = session.get_one(Topic, subscriptions.topic(session, "newsletter").id)
        senders = {one.id: one for one in subscriptions.senders(session)}
        changes = {"from_address": senders[news.sender_id].from_address}
        with pytest.raises(Conflict, match="already sends promotional mail"):
            subscriptions.change_sender(
                session, legal.sender_id, changes, company.author, now=company.clock()
            )
