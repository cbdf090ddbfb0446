"""A person's export: all of theirs from every table, nothing of anybody else's, no secret."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from mailprefs import audit, consent, languages
from mailprefs.audit import Actor
from mailprefs.consent import Entry
from mailprefs.db.database import Database
from mailprefs.errors import NotFound
from mailprefs.policy import Purpose, Source
from mailprefs.privacy.access import Export, as_html, as_json, collect
from mailprefs.privacy.access.beside import fields
from mailprefs.privacy.access.collecting import is_of_people
from mailprefs.privacy.access.telling import BY_LAW, TABLES
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.legal import Disclosure, DisclosureBasis
from mailprefs.schema.people import Recipient
from mailprefs.schema.tables import metadata
from tests.factories import (
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_staff,
    make_topic,
)
from tests.privacy.people import NOW, SENT, People

LATER = NOW + timedelta(days=2)
BERLIN = "Europe/Berlin"


@pytest.fixture
def people(db: Database) -> People:
    with db.transaction() as session:
        return People(session, [one for one in metadata.sorted_tables if is_of_people(one)])


def of(db: Database, recipient_id: int) -> Export:
    with db.reading() as session:
        return collect(session, recipient_id, zone=BERLIN, now=LATER)


def test_every_table_of_people_is_in_the_export_with_every_field(
    db: Database, people: People
) -> None:
    export = of(db, people.ada.id)
    for name, told in TABLES.items():
        assert (len(export.section(told.key)) >= 1) == bool(told.fields), name
    for key, told_fields in fields().items():
        for record in export.section(key):
            assert list(record) == [one.key for one in told_fields], key


def test_nothing_of_anybody_else_and_no_secret_is_in_it(db: Database, people: People) -> None:
    ada, bo = people.ada, people.bo
    export = of(db, ada.id)
    english = languages.ENGLISH
    for text in (as_json(export), as_html(export, english)):
        assert SENT[0] in text
        assert SENT[1] not in text
        assert f"t{ada.id}" in text
        assert f"t{bo.id}" not in text
        for secret in (ada.address_hash, bytes([ada.id]) * 16):
            assert secret.hex() not in text
        assert "b'" not in text and "\\x" not in text
    said = export.document()["not_shown"]
    assert isinstance(said, list)
    hashed = {one for held in said if "keyed hash" in held["why"] for one in held["columns"]}
    assert {"recipients.address_hash", "suppressions.address_hash"} <= hashed


def test_the_json_has_its_form_and_utc_times(db: Database, people: People) -> None:
    document = json.loads(as_json(of(db, people.ada.id)))
    assert document["format"] == "mailprefs-person"
    assert document["version"] == 1
    assert document["made_at"] == "2027-03-03T12:00:00Z"
    assert document["time_zone"] == BERLIN
    assert document["data"]["person"][0]["address"] == SENT[0]
    assert document["data"]["reasons_given"] == [{"left_at": "2027-03-01T12:00:00Z"}]
    (subscription,) = document["data"]["subscriptions"]
    assert subscription["topic"] == "Newsletter"
    assert subscription["policy_version"].startswith("2026-")


def choose(db: Database, person: int, policy: int, words: str, new: str) -> None:
    with db.transaction() as session:
        shown = consent.wording(session, Purpose.OPEN_TRACKING, "en", words)
        entry = Entry(
            person, Purpose.OPEN_TRACKING, None, None, new, Source.STAFF, policy, "button", NOW,
            actor="staff:7", wording=shown,
        )  # fmt: skip
        consent.append(session, [entry], now=NOW)


def test_choices_come_with_the_words_that_were_shown_and_the_policy_in_effect(
    db: Database,
) -> None:
    with db.transaction() as session:
        first, second = make_policy(session, "2026"), make_policy(session, "2027")
        ada = make_recipient(session).id
    choose(db, ada, first, "May we measure?", "granted")
    choose(db, ada, second, "May we still measure?", "withdrawn")
    told = [
        (one["after"], one["wording"], one["policy_version"], one["by"])
        for one in of(db, ada).section("choices")
    ]
    assert told == [
        ("granted", "May we measure?", "2026", "staff"),
        ("withdrawn", "May we still measure?", "2027", "staff"),
    ]


def test_a_call_that_did_not_carry_the_person_is_not_told(db: Database) -> None:
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(session, make_topic(session), name="Spring")
        ada, bo = (make_recipient(session) for _ in range(2))
        ids = make_sent(session, campaign, [ada, bo], modes="a-", at=NOW)
    (told,) = of(db, ada.id).section("hand_overs")
    assert told == {
        "message": f"{campaign.id}-{ids[0] & 0xFFFFFFFF}",
        "vendor": "test",
        "at": NOW - timedelta(seconds=1),
        "outcome": "accepted",
        "fields": ["address"],
        "opens": "aggregate",
    }
    assert of(db, bo.id).section("hand_overs") == ()
    (message,) = of(db, bo.id).section("messages")
    assert (message["campaign"], message["subject"]) == ("Spring", "Hello")


def test_what_somebody_else_wrote_with_the_persons_link_stays_theirs(
    db: Database, people: People
) -> None:
    with db.transaction() as session:
        others = update(InboundRow).where(InboundRow.recipient_id == people.ada.id)
        session.execute(others.values(sender_hash=people.bo.address_hash))
    mails = of(db, people.ada.id).section("mail_to_us")
    theirs = [one for one in mails if one["sender"] is None]
    assert [(one["subject"], one["text"], one["attachments"]) for one in theirs] == [
        (None, None, None)
    ]
    assert f"t{people.bo.id}" not in as_json(of(db, people.ada.id))


def test_what_the_law_may_forbid_us_to_tell_shows_in_no_export(
    db: Database, people: People
) -> None:
    """Neither that there is such a thing nor, by what is left out, that there is none."""
    with db.transaction() as session:
        stranger = make_recipient(session).id
    (told,) = of(db, people.ada.id).section("disclosures")
    assert told["basis"] == "vendor"
    with db.transaction() as session:
        session.execute(update(Disclosure).values(basis=DisclosureBasis.LAW))
    document = of(db, people.ada.id).document()
    assert "disclosures" not in document["data"]  # type: ignore[operator]  # a mapping
    whys = {one.why: one.columns for one in of(db, stranger).withheld if one.why == BY_LAW}
    assert whys == {
        one.why: one.columns for one in of(db, people.ada.id).withheld if one.why == BY_LAW
    }
    assert "legal_holds.reason" in whys[BY_LAW]


def test_what_our_staff_did_is_told_and_not_who_of_them(db: Database) -> None:
    with db.transaction() as session:
        person, staff = make_recipient(session).id, make_staff(session)
        actor = Actor(staff.id, "page")
        for action in ("recipient.looked_up", "recipient.something_else"):
            audit.record(session, actor, action, ("recipient", person), now=NOW)
        audit.record(session, actor, "recipient.looked_up", ("recipient", person + 1), now=NOW)
    assert of(db, person).section("looked_at") == (
        {"at": NOW, "act": "recipient.looked_up", "door": "page"},
    )


def test_who_is_unknown_or_erased_has_no_export(db: Database) -> None:
    with pytest.raises(NotFound):
        of(db, 7)


@pytest.mark.parametrize("language", languages.every(), ids=lambda language: language.tag)
def test_the_page_stands_alone_and_speaks_the_language(
    db: Database, people: People, language: languages.Language
) -> None:
    if db.is_sqlite:  # the page is the same from either database
        page = as_html(of(db, people.ada.id), language)
        assert f'<html lang="{language.tag}" dir="{language.direction}">' in page
        assert not re.search(r"<script|\ssrc=|url\(|@import|<link", page)
        assert set(re.findall(r'href="([^"]*)"', page)) <= {
            f"#{key}" for key in (*fields(), "not_shown")
        }
        assert BERLIN in page
        assert "%(" not in page


def test_the_page_shows_what_is_in_it_as_text(db: Database) -> None:
    with db.transaction() as session:
        person = make_recipient(session, first_name="<script>alert(1)</script>").id
        session.execute(update(Recipient).values(attributes={"<b>": "&"}))
    page = as_html(of(db, person), languages.ENGLISH)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;: &amp;" in page


def test_times_on_the_page_are_of_the_named_zone(db: Database) -> None:
    at = datetime(2027, 7, 1, 22, 30, tzinfo=UTC)
    with db.transaction() as session:
        person = make_recipient(session, created_at=at).id
    page = as_html(of(db, person), languages.ENGLISH)
    assert "2 July 2027, 00:30" in page
