"""P14: every message and every page says how to reach us, and what comes is never lost."""

import json

import pytest

from mailprefs import inbound
from tests.company import Arrived, Company
from tests.promises.conftest import signed
from tests.web.test_inbound import BOUNDARY, multipart
from tests.web.test_webhooks import KEY, public

ADA, CONTACT = "ada@example.org", "hello@example.com"
MAILBOX = "unsubscribe@in.example.com"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one kind of database: a page doesn't see which it is."""
    return sqlite_url


@pytest.fixture
def messages(company: Company) -> list[Arrived]:
    """Give one message of each class."""
    company.bring(ADA)
    company.send()
    company.send("legal")
    return company.arrived()


def test_an_answer_to_any_message_reaches_us(messages: list[Arrived]) -> None:
    assert len({one.message_class for one in messages}) == 2
    for one in messages:
        assert one.body["reply_to"]["email"] == CONTACT


def test_every_page_says_how_to_reach_us(company: Company, messages: list[Arrived]) -> None:
    number = company.person(ADA).id
    paths = [
        messages[0].one_click,
        company.parts.links.preferences_path(number),
        "/p/AAAA",
        "/subscribe",
        "/fresh-link",
        "/policy",
        "/report-a-child",
    ]
    for path in paths:
        page = company.client.get(path).text
        assert f"mailto:{CONTACT}" in page, path


def test_what_somebody_writes_is_passed_on_to_the_contact(company: Company) -> None:
    company.bring(ADA)
    company.change(inbound_mailbox=MAILBOX, sendgrid_inbound_key=public(KEY))
    raw = multipart(
        {
            "headers": "Message-ID: <1@example.com>\nSubject: A question\n",
            "from": f"Ada <{ADA}>",
            "to": MAILBOX,
            "subject": "A question",
            "text": "When does the tea come?",
            "envelope": json.dumps({"to": [MAILBOX], "from": ADA}),
        }
    )
    answer = company.client.post(
        "/webhooks/sendgrid/inbound",
        data=raw,
        headers=signed(company, raw, KEY),
        content_type=f"multipart/form-data; boundary={BOUNDARY}",
    )
    assert answer.status_code == 200
    company.work()
    (passed_on,) = [one for one in company.arrived() if one.address == CONTACT]
    assert "When does the tea come?" in passed_on.text
    with company.db.reading() as session:
        (listed,) = inbound.listed(session, limit=10)
    assert listed.was_forwarded
