"""P3: whether an open is measured is each person's choice, also where people share a request."""

import json
import re

import pytest

from mailprefs.policy import Choice, TrackingMode
from mailprefs.schema.campaigns import Content
from mailprefs.schema.opens import Loads, Measured, Open
from mailprefs.schema.people import Recipient, Topic
from mailprefs.vendor import bodies
from tests.company import BASE, Arrived, Company

MEASURED, COUNTED, REFUSED, AGREED = (f"{name}@example.org" for name in ("ada", "bo", "cy", "dee"))


@pytest.fixture
def sent(company: Company) -> dict[str, Arrived]:
    """Send one newsletter to four people of all modes; give what arrived, by address."""
    company.bring(MEASURED, COUNTED, REFUSED, AGREED)
    with company.db.transaction() as session:
        for topic in session.query(Topic).filter_by(slug="newsletter"):
            topic.unasked_tracking = TrackingMode.AGGREGATE
        for address, region, choice in (
            (MEASURED, "US", Choice.UNKNOWN),
            (COUNTED, "DE", Choice.UNKNOWN),
            (REFUSED, "US", Choice.REFUSED),
            (AGREED, "DE", Choice.GRANTED),
        ):
            person = session.get_one(Recipient, company.person(address).id)
            person.region, person.open_tracking = region, choice
    number = company.send(body="Hello {{ email }}, it is cold.\n")
    return {one.address: one for one in company.arrived(number)}


def test_all_of_them_share_one_request_and_one_body(
    company: Company, sent: dict[str, Arrived]
) -> None:
    (mailing,) = company.vendor.accepted
    assert len(mailing.people) == len(sent) == 4


def test_each_is_measured_as_they_chose(company: Company, sent: dict[str, Arrived]) -> None:
    own = [sent[address].pixel for address in (MEASURED, AGREED)]
    shared = sent[COUNTED].pixel
    assert None not in {*own, shared} and len({*own, shared}) == 3
    for address in (MEASURED, AGREED):
        path = sent[address].pixel or ""
        link = company.parts.links.read_open(path.rpartition("/")[2].removesuffix(".gif"))
        assert link.delivery_id == sent[address].delivery_id
    token = (shared or "").rpartition("/")[2].removesuffix(".gif")
    assert company.parts.links.read_open(token).delivery_id is None


def test_whoever_refused_gets_no_trace_of_tracking(
    company: Company, sent: dict[str, Arrived]
) -> None:
    """Neither in the message nor in what the vendor is told about this person."""
    message = sent[REFUSED]
    everything = message.subject + message.text + message.html + json.dumps(message.headers)
    assert "/o/" not in everything
    assert "<img" not in message.html
    (mailing,) = company.vendor.accepted
    body = json.loads(bodies.body(mailing))
    (own,) = [one for one in body["personalizations"] if one["to"][0]["email"] == REFUSED]
    assert "/o/" not in json.dumps(own)
    assert "/o/" not in json.dumps(
        {name: body[name] for name in body if name != "personalizations"}
    )


def test_nothing_is_left_empty_or_unresolved_for_anybody(
    company: Company, sent: dict[str, Arrived]
) -> None:
    with company.db.reading() as session:
        mark = session.query(Content).one().tags["mark"]
    for message in sent.values():
        for part in (message.subject, message.text, message.html, *message.headers.values()):
            assert mark not in part
            assert "{{" not in part and "}}" not in part
        assert 'src=""' not in message.html and "src=''" not in message.html
        assert 'href=""' not in message.html
        assert message.address in message.text and message.address in message.html
    (mailing,) = company.vendor.accepted
    assert all(value for one in mailing.people for value in one.substitutions.values())


def test_everybody_has_their_own_links_and_the_choice_about_measuring(
    sent: dict[str, Arrived],
) -> None:
    tokens: set[str] = set()
    for message in sent.values():
        found = set(re.findall(rf"{BASE}/[up]/[\w.~-]+", message.text))
        assert len(found) == 2
        assert tokens.isdisjoint(found)
        tokens |= found


def test_only_what_may_be_measured_is_counted_as_measured(
    company: Company, sent: dict[str, Arrived]
) -> None:
    company.clock.pass_by(minutes=1)
    for address in (MEASURED, AGREED, COUNTED):
        company.load(sent[address])
    with company.db.reading() as session:
        opened = {row.delivery_id for row in session.query(Open)}
        measured = {row.delivery_id for row in session.query(Measured)}
        loads = sum(row.n for row in session.query(Loads))
    assert opened == measured == {sent[one].delivery_id for one in (MEASURED, AGREED)}
    assert loads == 1
