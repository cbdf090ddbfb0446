"""P1: you can unsubscribe from promotional e-mails by the link in them.

The header's one click and the page's button end all promotional mail, at the commit, also of a
campaign that is being sent; the links never expire.
"""

import re
import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import delete, select

from mailprefs import consent, links
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import people
from mailprefs.errors import BadToken
from mailprefs.policy import Source
from mailprefs.schema.deliveries import Batch, Delivery, HandOver
from mailprefs.schema.events import MailboxTotal
from mailprefs.settings import OneClickScope
from tests.company import BASE, ONE_CLICK, TOKEN_KEY, Arrived, Company

ADA, BO, CY, DEE, EVE = (f"{name}@example.org" for name in ("ada", "bo", "cy", "dee", "eve"))
LONG, SHORT = 20.0, 0.4


def press(company: Company, message: Arrived) -> None:
    """Do what a mail provider does for the button beside the subject."""
    response = company.client.post(message.one_click, data=ONE_CLICK)
    assert response.status_code == 200


def press_on_the_page(company: Company, message: Arrived) -> None:
    """Follow the link in the footer, and press the large button on its page, if it is there."""
    found = re.search(rf"{BASE}(/u/\S+)", message.text)
    assert found is not None
    browser = company.client
    page = browser.get(found[1])
    assert page.status_code == 200
    form = re.search(
        rf'<form[^>]*action="{re.escape(found[1])}[?]lang=en#said"[^>]*>(.*?)</form>',
        page.text,
        re.DOTALL,
    )
    if form is None:
        assert "/undo" in page.text, "there is neither a way to leave nor one to come back"
        return
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[1]))
    assert browser.post(found[1], data=fields).status_code == 200


WAYS = pytest.mark.parametrize("leave", [press, press_on_the_page], ids=["header", "page"])
Leave = Callable[[Company, Arrived], None]


def test_every_promotional_message_carries_the_header_and_a_link_that_is_seen(
    company: Company,
) -> None:
    """RFC 8058 section 3.1: both headers, an HTTPS URI, and the exact value of the second."""
    company.bring(ADA, BO)
    number = company.send(body="Hello {{ email }}.\n")
    tokens = set()
    for message in company.arrived(number):
        path = message.one_click
        tokens.add(path)
        assert message.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "\n" not in "".join(message.headers.values())
        assert f"{BASE}{path}" in message.text
        assert f'href="{BASE}{path}"' in message.html
    assert len(tokens) == 2


@WAYS
def test_one_click_ends_all_promotional_mail_of_that_person_only(
    company: Company, leave: Leave
) -> None:
    company.bring(ADA, BO)
    company.bring(ADA, BO, topic="offers")
    leave(company, company.message(company.send(), ADA))
    assert company.readers(company.send()) == [BO]
    assert company.readers(company.send("offers")) == [BO]


@WAYS
def test_it_holds_for_a_campaign_that_is_being_sent(company: Company, leave: Leave) -> None:
    company.bring(ADA, BO, CY, DEE, EVE)
    earlier = company.send()
    running = company.write()
    worker = company.begin(running, batch_size=2)
    worker.send_next()
    mailed = company.readers(running)
    assert len(mailed) == 2
    waiting = sorted({ADA, BO, CY, DEE, EVE} - set(mailed))
    leave(company, company.message(earlier, waiting[0]))
    leave(company, company.message(running, mailed[0]))
    company.work()
    assert company.readers(running) == sorted([*mailed, *waiting[1:]])
    counted = company.counts(running)
    assert (counted.sent, counted.skipped) == (4, {"unsubscribed": 1})


@WAYS
def test_it_holds_for_a_campaign_that_is_scheduled(company: Company, leave: Leave) -> None:
    company.bring(ADA, BO)
    earlier, later = company.send(), company.write()
    company.start(later)
    leave(company, company.message(earlier, ADA))
    company.work()
    assert company.readers(later) == [BO]
    assert company.counts(later).kept_out == {"unsubscribed": 1}


@WAYS
def test_it_is_tied_to_the_message_that_caused_it(company: Company, leave: Leave) -> None:
    company.bring(ADA, BO)
    first, second = company.send(), company.send()
    message = company.message(second, ADA)
    for _ in range(2):
        leave(company, message)
    with company.db.reading() as session:
        totals = session.scalars(select(MailboxTotal).where(MailboxTotal.event == "unsubscribed"))
        assert [(one.campaign_id, one.n) for one in totals] == [(second, 1)]
        said = consent.history(session, company.person(ADA).id)
    own = [one.entry for one in said if one.entry.actor == "self"]
    assert {one.delivery_id for one in own} == {message.delivery_id}
    assert {one.source for one in own} <= {Source.ONE_CLICK, Source.PAGE}
    assert first != second


@WAYS
def test_a_link_works_after_ten_years_and_without_any_trace_of_its_message(
    company: Company, leave: Leave
) -> None:
    company.bring(ADA, BO)
    number = company.send()
    message = company.message(number, ADA)
    company.clock.pass_by(days=3_652)
    with company.db.transaction() as session:
        for table, column in (
            (HandOver, HandOver.campaign_id),
            (Batch, Batch.campaign_id),
            (Delivery, Delivery.campaign_id),
        ):
            session.execute(delete(table).where(column == number))
    leave(company, message)
    assert company.readers(company.send()) == [BO]


def test_a_link_outlives_the_key_that_signed_it(company: Company) -> None:
    company.bring(ADA, BO)
    message = company.message(company.send(), ADA)
    fresh = sha256(b"the next token key of a company that isn't").hexdigest()
    company.change(token_keys=SecretStr(f"{TOKEN_KEY},{fresh}"))
    fresh_token = company.message(company.send(), ADA).one_click.rpartition("/")[2]
    with pytest.raises(BadToken):
        links.Links(links.parse_keys(TOKEN_KEY)).read_unsubscribe(fresh_token)
    press(company, message)
    assert company.readers(company.send()) == [BO]


def test_where_it_is_set_so_one_click_ends_the_topic_only(company: Company) -> None:
    company.change(one_click_scope=OneClickScope.TOPIC)
    company.bring(ADA)
    company.bring(ADA, topic="offers")
    press(company, company.message(company.send(), ADA))
    company.bring(BO)
    assert company.readers(company.send()) == [BO]
    assert company.readers(company.send("offers")) == [ADA]


def test_nothing_brings_somebody_back_but_they_themselves(company: Company) -> None:
    """Neither the weekly import of the same file nor a new topic does."""
    company.bring(ADA, BO)
    press(company, company.message(company.send(), ADA))
    company.bring(ADA, BO)
    company.bring(ADA, BO, topic="offers")
    assert company.readers(company.send()) == [BO]
    assert company.readers(company.send("offers")) == [BO]


# --- the answer and the claim ---------------------------------------------------------------------


class Race:
    """A claim that stops between its look at who may get it and its commit, and a one-click POST.

    The look is the real one: ``people.read``, in the middle of a worker's step.
    """

    def __init__(self, company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looked, self.may_commit, self.answered = (threading.Event() for _ in range(3))
        self.order: list[str] = []
        company.bring(ADA)
        self.message = company.message(company.send(), ADA)
        self.number = company.write()
        self.worker = company.begin(self.number, batch_size=10)
        read, record = people.read, company.vendor.hand_over

        def look_and_wait(*args: Any, **options: Any) -> people.Found:  # noqa: ANN401 - as the real one
            found = read(*args, **options)
            self.looked.set()
            assert self.may_commit.wait(LONG)
            self.order.append("claimed")
            return found

        def hand_over(mailing: Any) -> Any:  # noqa: ANN401 - as the real one
            self.order.append("handed over")
            return record(mailing)

        monkeypatch.setattr(people, "read", look_and_wait)
        monkeypatch.setattr(company.vendor, "hand_over", hand_over)
        self.claim = threading.Thread(target=self.worker.send_next)
        self.opt_out = threading.Thread(target=self.leave, args=(company.client,))

    def leave(self, browser: FlaskClient) -> None:
        response = browser.post(self.message.one_click, data=ONE_CLICK)
        assert response.status_code == 200
        self.order.append("answered")
        self.answered.set()

    def begin(self) -> None:
        self.claim.start()
        assert self.looked.wait(LONG)
        self.opt_out.start()

    def end(self) -> None:
        self.may_commit.set()
        for thread in (self.claim, self.opt_out):
            thread.join(LONG)
            assert not thread.is_alive()


def test_the_answer_to_an_opt_out_waits_for_the_claim_that_looked_before_it(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So whatever is handed over after a 2xx was claimed with the opt-out in sight."""
    race = Race(company, monkeypatch)
    race.begin()
    assert not race.answered.wait(SHORT)
    race.end()
    assert race.order.index("claimed") < race.order.index("answered")
    assert race.answered.is_set()
    assert company.readers(race.number) == [ADA]
    monkeypatch.undo()
    company.bring(BO)
    assert company.readers(company.send()) == [BO]


@pytest.mark.postgresql
def test_without_the_gate_somebody_is_mailed_after_the_answer(
    postgresql_company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same steps with the claim outside of the gate: the promise is broken, and is seen to be.

    (On SQLite the gate is the writer lock itself; tests/db/test_gate_race.py takes that away.)
    """
    race = Race(postgresql_company, monkeypatch)
    transaction = Database.transaction

    def ungated(db: Database, gate: Gate = Gate.NONE, **options: Any) -> Any:  # noqa: ANN401 - as the real one
        return transaction(db, Gate.NONE if gate is Gate.USING else gate, **options)

    monkeypatch.setattr(Database, "transaction", ungated)
    race.begin()
    assert race.answered.wait(LONG)
    assert race.order == ["answered"]
    race.end()
    assert race.order == ["answered", "claimed", "handed over"]
    assert postgresql_company.readers(race.number) == [ADA]
