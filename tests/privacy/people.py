"""Two people with a row in every table that knows people."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Date, Float, Integer, LargeBinary, Table, select
from sqlalchemy.orm import Session

from mailprefs import consent
from mailprefs.consent import Entry
from mailprefs.policy import Purpose, Source
from mailprefs.schema.base import Erasure, UtcDateTime
from mailprefs.schema.people import Recipient
from mailprefs.schema.tables import metadata
from tests.factories import make_campaign, make_policy, make_recipient, make_sent, make_topic

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
SENT = "ada@example.org", "bo@example.org"


def personal_tables() -> list[Table]:
    """List the tables of which erasure changes anything."""
    return [
        table
        for table in metadata.sorted_tables
        if any(one.info["mark"].erasure is not Erasure.KEEP for one in table.columns)
    ]


def value(one: Column[Any], number: int) -> object:
    """Give something that fits a column."""
    kinds: list[tuple[type, object]] = [
        (UtcDateTime, NOW),
        (Date, date(2027, 3, 1)),
        (JSON, {"of": number}),
        (LargeBinary, bytes([number]) * 16),
        (Boolean, False),
        (Integer, number),
        (Float, 1.0),
    ]
    for of, sample in kinds:
        if isinstance(one.type, of):
            return sample
    words = getattr(one.type, "_enum_class", None) or getattr(one.type, "enum_class", None)
    if words is not None:
        return next(iter(words))
    return f"t{number}"[: getattr(one.type, "length", None) or 64]


class People:
    """Two people, each with a row in every table that knows people."""

    def __init__(self, session: Session, tables: Sequence[Table] | None = None) -> None:
        self.tables = personal_tables() if tables is None else tables
        make_policy(session)
        topic = make_topic(session, "newsletter")
        self.topic_id = topic.id
        words = consent.wording(session, Purpose.PROMOTIONAL_EMAIL, "en", "Yes, please.")
        self.wording_id = words.id
        self.ada, self.bo = (make_recipient(session, address) for address in SENT)
        campaign = make_campaign(session, topic)
        self.deliveries = dict(
            zip(
                (self.ada.id, self.bo.id),
                make_sent(session, campaign, [self.ada, self.bo]),
                strict=True,
            )
        )
        for person in (self.ada, self.bo):
            self._fill(session, person)

    def _fill(self, session: Session, person: Recipient) -> None:
        for table in self.tables:
            if self.rows(session, table, person):
                continue
            if table.name == "consent_entries":
                entry = Entry(
                    person.id, "promotional_email", None, None, "granted", Source.PAGE, 1, "button",
                    NOW,
                )  # fmt: skip
                consent.append(session, [entry], now=NOW)
                continue
            row = {
                one.name: self._cell(one, person)
                for one in table.columns
                if one.name != "id" or table.name == "deliveries"
            }
            session.execute(table.insert().values(row))

    def _cell(self, one: Column[Any], person: Recipient) -> object:
        known = {
            "recipient_id": person.id,
            "delivery_id": self.deliveries[person.id],
            "address_hash": person.address_hash,
            "topic_id": self.topic_id,
            "policy_version_id": 1,
            "wording_id": self.wording_id,
            "sender_hash": person.address_hash,
        }
        if any(link.column.table.name == "staff" for link in one.foreign_keys):
            return None
        return known[one.name] if one.name in known else value(one, person.id)

    def rows(self, session: Session, table: Table, person: Recipient) -> int:
        """Count the rows of a person, by whatever says whose they are."""
        keys = {
            "recipient_id": person.id,
            "delivery_id": self.deliveries[person.id],
            "address_hash": person.address_hash,
        }
        if table.name == "recipients":
            return len(session.execute(select(table.c.id).where(table.c.id == person.id)).all())
        ways = [name for name in keys if name in table.c]
        return max(
            len(session.execute(select(table.c[name]).where(table.c[name] == keys[name])).all())
            for name in ways
        )
