"""P7: every hand-over to a vendor is on record, and it gets no more of a person than it needs."""

import json

import pytest

from mailprefs.privacy import access, disclosures
from mailprefs.schema.deliveries import HandOver
from mailprefs.vendor import bodies
from tests.company import Company

ADA, BO = "ada@example.org", "bo@example.org"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Give one kind of database: what the vendor gets is the same from both."""
    return sqlite_url


def test_each_call_is_on_record_with_vendor_time_and_fields(company: Company) -> None:
    company.bring(ADA, BO)
    before = company.clock()
    company.send(body="Hello {{ email }}, it is cold.\n")
    with company.db.reading() as session:
        (call,) = session.query(HandOver)
        (line,) = disclosures.register(session)
    assert (call.n, call.outcome) == (2, "accepted")
    assert call.vendor == "sendgrid"
    assert "address" in call.fields.split(",")
    assert call.ended_at is not None and call.ended_at >= call.claimed_at >= before
    assert (line.to_whom, line.fields, line.n) == (call.vendor, call.fields, 2)


def test_nothing_personal_stands_where_the_vendor_keeps_it_for_itself(company: Company) -> None:
    company.bring(ADA)
    company.send()
    (message,) = company.arrived()
    request = bodies.request(company.vendor.accepted[0])
    assert "categories" not in json.dumps(request)
    (own,) = request["personalizations"]
    assert set(own["custom_args"]) == {"mp_delivery", "mp_campaign", "mp_class", "mp_attempt"}
    assert ADA not in json.dumps(own["custom_args"])
    switched = message.body["tracking_settings"]
    assert not any(one["enable"] for one in switched.values())


def test_a_persons_own_export_lists_them(company: Company) -> None:
    company.bring(ADA)
    company.send()
    with company.db.reading() as session:
        found = access.collect(
            session, company.person(ADA).id, zone="UTC", now=company.clock()
        ).section("hand_overs")
    assert [(one["vendor"], one["outcome"]) for one in found] == [("sendgrid", "accepted")]
    assert "address" in str(found[0]["fields"])
