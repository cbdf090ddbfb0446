"""P3: a no to being measured holds for mail that was sent, that waits, and that is yet to come."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailprefs import preferences
from mailprefs.db.database import Gate
from mailprefs.jobs.ingest import Ingest
from mailprefs.policy import Choice, Source
from mailprefs.preferences import Door
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.opens import (
    Loads,
    Measured,
    MeasuredTotal,
    Open,
    OpenRollup,
    UndecidedOpen,
)
from tests.company import Arrived, Company

ADA, BO = "ada@example.org", "bo@example.org"
APPLE = "Mozilla/5.0"
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"


def choose(company: Company, address: str, *, granted: bool) -> None:
    """Choose on the preference page."""
    with company.db.transaction(Gate.TAKING) as session:
        preferences.set_tracking(
            session,
            company.person(address).id,
            Door(Source.PREFERENCES, "button"),
            granted=granted,
            now=company.clock(),
        )


def load(company: Company, path: str, headers: Mapping[str, str]) -> None:
    """Fetch a picture, and count what was written down of it."""
    answer = company.client.get(path, headers=dict(headers))
    assert answer.status_code == 200
    company.parts.spool.sync()
    Ingest(company.db, company.parts.settings.spool_dir, company.clock).drain()


def opened(company: Company) -> set[int]:
    with company.db.reading() as session:
        return {row.delivery_id for row in session.query(Open)}


def pixel(message: Arrived) -> str:
    assert message.pixel is not None
    return message.pixel


def test_a_no_forgets_what_was_opened_and_silences_what_was_sent(company: Company) -> None:
    company.bring(ADA, BO)
    number = company.send()
    ada, bo = company.message(number, ADA), company.message(number, BO)
    company.clock.pass_by(minutes=1)
    for message in (ada, bo):
        load(company, pixel(message), {"User-Agent": SAFARI})
    assert opened(company) == {ada.delivery_id, bo.delivery_id}
    with company.db.reading() as session:
        cells = sorted((row.dimension, row.value, row.n) for row in session.query(OpenRollup))
        totals = sorted((row.bits, row.n) for row in session.query(MeasuredTotal))
    choose(company, ADA, granted=False)
    load(company, pixel(ada), {"User-Agent": "Thunderbird/128.0"})
    load(company, pixel(ada), {"User-Agent": APPLE})
    with company.db.reading() as session:
        for column in (Open.delivery_id, UndecidedOpen.delivery_id, Measured.delivery_id):
            assert set(session.scalars(select(column))) == {bo.delivery_id}
        assert sorted((row.dimension, row.value, row.n) for row in session.query(OpenRollup)) == (
            cells
        )
        assert sorted((row.bits, row.n) for row in session.query(MeasuredTotal)) == totals
    assert company.person(ADA).apple_seen_on is None


def test_a_later_yes_is_for_later_mail_only(company: Company) -> None:
    company.bring(ADA)
    before = company.message(company.send(), ADA)
    company.clock.pass_by(minutes=1)
    choose(company, ADA, granted=False)
    between = company.message(company.send(), ADA)
    choose(company, ADA, granted=True)
    after = company.message(company.send(), ADA)
    assert between.pixel is None
    company.clock.pass_by(minutes=1)
    for message in (before, after):
        load(company, pixel(message), {"User-Agent": SAFARI})
    assert opened(company) == {after.delivery_id}


def test_a_no_while_the_message_waits_sends_it_without_a_picture(company: Company) -> None:
    company.bring(ADA, BO)
    number = company.write()
    worker = company.begin(number, batch_size=500)
    choose(company, ADA, granted=False)
    while worker.send_next() is not None:
        pass
    message = company.message(number, ADA)
    assert "/o/" not in message.subject + message.text + message.html + str(message.headers)
    assert company.message(number, BO).pixel is not None
    with company.db.reading() as session:
        measured = {row.delivery_id for row in session.query(Measured)}
    assert measured == {company.message(number, BO).delivery_id}


def test_a_yes_again_while_it_waits_doesnt_bring_the_measuring_back(company: Company) -> None:
    company.bring(ADA)
    number = company.write()
    worker = company.begin(number, batch_size=500)
    choose(company, ADA, granted=False)
    choose(company, ADA, granted=True)
    while worker.send_next() is not None:
        pass
    message = company.message(number, ADA)
    company.clock.pass_by(minutes=1)
    if message.pixel is not None:
        load(company, message.pixel, {"User-Agent": SAFARI})
    assert opened(company) == set()


@pytest.mark.parametrize("signal", [{"Sec-GPC": "1"}, {"DNT": "1"}])
def test_a_request_that_says_do_not_track_leaves_nothing(
    company: Company, signal: dict[str, str]
) -> None:
    company.bring(ADA)
    message = company.message(company.send(), ADA)
    company.clock.pass_by(minutes=1)
    load(company, pixel(message), {"User-Agent": SAFARI} | signal)
    with company.db.reading() as session:
        for table in (Open, UndecidedOpen, OpenRollup, Loads):
            assert session.query(table).count() == 0
    assert company.person(ADA).open_tracking is Choice.UNKNOWN
    load(company, pixel(message), {"User-Agent": SAFARI})
    assert opened(company) == {message.delivery_id}


def test_how_somebodys_mail_is_loaded_is_known_to_the_next_campaign(company: Company) -> None:
    company.bring(ADA, BO)
    first = company.message(company.send(), ADA)
    company.clock.pass_by(minutes=1)
    load(company, pixel(first), {"User-Agent": APPLE})
    assert company.person(ADA).apple_seen_on == company.clock().date()
    assert company.person(BO).apple_seen_on is None
    company.clock.pass_by(days=59)
    second = company.send()
    with company.db.reading() as session:
        totals = session.query(MeasuredTotal).where(MeasuredTotal.campaign_id == second)
        assert {row.bits: row.n for row in totals if row.n} == {0: 1, 2: 1}
    company.clock.pass_by(days=3)
    third = company.send()
    with company.db.reading() as session:
        totals = session.query(MeasuredTotal).where(MeasuredTotal.campaign_id == third)
        assert {row.bits: row.n for row in totals if row.n} == {0: 2}


def test_nothing_is_recorded_ninety_days_after_the_first_message(company: Company) -> None:
    company.bring(ADA)
    number = company.send()
    message = company.message(number, ADA)
    with company.db.reading() as session:
        begun = session.get_one(Campaign, number).first_hand_over_at
    assert begun is not None
    left = begun + timedelta(days=90) - company.clock()
    company.clock.pass_by(seconds=left.total_seconds() + 1)
    load(company, pixel(message), {"User-Agent": SAFARI})
    assert opened(company) == set()
