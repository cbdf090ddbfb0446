"""Every column says whether it is personal, and what it says can be carried out."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from mailprefs.schema.base import (
    KEYED_HASH,
    LINK_TO_PERSON,
    OF_RECIPIENT,
    OF_STAFF,
    PLAIN,
    SILENCED,
    Erasure,
    Mark,
    Retention,
)
from mailprefs.schema.tables import metadata

PERSONAL_NAMES = re.compile(
    r"(^|_)(address|email|first_name|last_name|phone|birth\w*|gender|region|language|zone"
    r"|recipient_id|attributes|payload|country|client|apple_seen_on|open_tracking)(_|$)"
)
NEVER_KEPT = re.compile(r"(^|_)(ip|ip_address|remote_addr\w*|user_agent|referer|cookie)$")
# What has such a name and is of nobody, with whose it is.
NOBODYS = {
    "recipients.address_key_id": "the number of a key",
    "suppressions.address_key_id": "the number of a key",
    "erasures.address_key_id": "the number of a key",
    "legal_holds.address_key_id": "the number of a key",
    "senders.from_address": "the company's",
    "senders.reply_to": "the company's",
    "senders.postal_address": "the company's",
    "campaigns.zone": "the schedule's",
    "campaigns.report_zone": "the report's",
    "contents.language": "the message's",
    "wordings.language": "the wording's",
}
# How a row is known to be of one person: a recipient's number, a delivery's, or the address.
WAYS = {"recipient_id", "delivery_id", "address_hash"}


def columns(of: MetaData) -> Iterator[Column[object]]:
    for table in of.sorted_tables:
        yield from table.columns


def unmarked(of: MetaData) -> list[str]:
    """List the columns that don't say whether they are personal."""
    return [str(one) for one in columns(of) if not isinstance(one.info.get("mark"), Mark)]


def impossible(of: MetaData) -> list[str]:
    """List what the marks ask for and nobody could do, or do twice."""
    found = []
    for table in of.sorted_tables:
        marks = {one: one.info["mark"] for one in table.columns if "mark" in one.info}
        kinds = {mark.erasure for mark in marks.values() if mark.personal} - {Erasure.KEEP}
        if len(kinds) > 1:
            found.append(f"{table.name} is erased both by row and by column")
        if kinds and not has_way(table):
            found.append(f"{table.name} holds something personal, and nothing says whose")
        for one, mark in marks.items():
            if mark.erasure is Erasure.NULL and not one.nullable:
                found.append(f"{one} is to become NULL and can't be")
            if mark.erasure is not Erasure.KEEP and not mark.personal:
                found.append(f"{one} is erased and not personal")
            if not mark.personal and mark.retention is not Retention.ALWAYS:
                found.append(f"{one} is kept for a while and not personal")
    return found


def has_way(table: Table) -> bool:
    return table.name == "recipients" or bool(WAYS & {one.name for one in table.columns})


def suspicious(of: MetaData) -> list[str]:
    """List the columns whose name says that they are personal, and whose mark doesn't."""
    return [
        str(one)
        for one in columns(of)
        if PERSONAL_NAMES.search(one.name)
        and str(one) not in NOBODYS
        and not one.info["mark"].personal
    ]


def test_every_column_has_its_mark() -> None:
    assert unmarked(metadata) == []
    assert sum(1 for _ in columns(metadata)) > 100


def test_what_the_marks_ask_for_can_be_done() -> None:
    assert impossible(metadata) == []


def test_what_is_called_personal_is_personal() -> None:
    assert suspicious(metadata) == []
    assert set(NOBODYS) <= {str(one) for one in columns(metadata)}


def test_nothing_that_a_visitor_brings_along_is_ever_stored() -> None:
    assert [str(one) for one in columns(metadata) if NEVER_KEPT.search(one.name)] == []


def test_personal_columns_that_outlive_erasure_are_few_and_lead_to_nobody() -> None:
    """A keyed hash, and a delivery whose link to its person is gone; staff are no recipients."""
    kept = {
        str(one)
        for one in columns(metadata)
        if one.info["mark"].personal and one.info["mark"].erasure is Erasure.KEEP
    }
    assert {one for one in kept if not one.startswith("staff.")} == {
        "recipients.address_hash",
        "suppressions.address_hash",
        "erasures.address_hash",
        # Until the erasure itself is carried out, and the first of them encrypted.
        "erasures.sealed",
        "erasures.number",
        "silenced_deliveries.delivery_id",
        # Until the hold is lifted, and the copy encrypted.
        "legal_holds.address_hash",
        "legal_holds.sealed",
    }
    assert all(one.info["mark"] is OF_STAFF for one in columns(metadata) if "staff." in str(one)
               and one.info["mark"].personal)  # fmt: skip


def test_whatever_hangs_on_a_recipient_is_marked_as_theirs() -> None:
    links = [one for one in columns(metadata) if one.name == "recipient_id"]
    assert {one.table.name for one in links} >= {"subscriptions", "deliveries", "consent_entries"}
    assert [str(one) for one in links if one.info["mark"].erasure is Erasure.KEEP] == []


@pytest.mark.parametrize(
    ("name", "mark", "nullable", "told"),
    [
        ("nickname", None, True, "unmarked"),
        ("nickname", LINK_TO_PERSON, False, "is to become NULL"),
        ("nickname", OF_RECIPIENT, True, "nothing says whose"),
        ("nickname", Mark(False, Erasure.ROW, Retention.ALWAYS), True, "not personal"),
        ("nickname", Mark(False, Erasure.KEEP, Retention.EVIDENCE), True, "not personal"),
        ("first_name", PLAIN, True, "suspicious"),
    ],
)
def test_a_column_that_says_nothing_or_nonsense_fails(
    name: str, mark: Mark | None, told: str, *, nullable: bool
) -> None:
    wrong = MetaData()
    info = {} if mark is None else {"mark": mark}
    Table(
        "friends",
        wrong,
        Column("id", BigInteger, primary_key=True, info={"mark": PLAIN}),
        Column(name, Text, nullable=nullable, info=info),
    )
    if told == "unmarked":
        assert unmarked(wrong) == ["friends.nickname"]
    elif told == "suspicious":
        assert suspicious(wrong) == ["friends.first_name"]
    else:
        assert any(told in one for one in impossible(wrong))


def test_a_table_erased_in_two_ways_fails() -> None:
    wrong = MetaData()
    Table(
        "friends",
        wrong,
        Column("recipient_id", BigInteger, nullable=True, info={"mark": LINK_TO_PERSON}),
        Column("nickname", Text, info={"mark": OF_RECIPIENT}),
    )
    assert impossible(wrong) == ["friends is erased both by row and by column"]


def test_the_marks_that_outlive_erasure_are_told_apart() -> None:
    assert KEYED_HASH.personal and SILENCED.personal
    assert {KEYED_HASH.erasure, SILENCED.erasure} == {Erasure.KEEP}
