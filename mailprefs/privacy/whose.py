"""What is of one person: which rows of which table, as the columns' names and marks say."""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Table, false, or_, select
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.people import Recipient
from mailprefs.schema.tables import metadata

_KEYS: Final = frozenset({"recipient_id", "delivery_id", "address_hash", "sender_hash"})


class Whose(NamedTuple):
    """What everything of one person is found by."""

    recipient_id: int | None
    address_hash: bytes
    deliveries: Sequence[int]


def known_by(session: Session, recipient_id: int | None, address_hash: bytes) -> Whose:
    """Give by what a person's rows are found; None for an address that nobody has."""
    found = [] if recipient_id is None else deliveries(session, recipient_id)
    return Whose(recipient_id, address_hash, found)


def rows_about(session: Session, table: Table, whose: Whose) -> ColumnElement[bool]:
    """Give which rows of a table are about the person; as ``tests/walks`` asks, there is a way."""
    names = set(table.c.keys())
    if table.name != Recipient.__tablename__ and not names & _KEYS:
        msg = f"Nothing in {table.name} says whose its rows are."
        raise LookupError(msg)
    ways: list[ColumnElement[bool]] = []
    # Nobody's number is no number: a row that is nobody's is not of somebody unknown.
    if whose.recipient_id is not None and "recipient_id" in names:
        ways.append(table.c.recipient_id == whose.recipient_id)
    if whose.recipient_id is not None and table.name == Recipient.__tablename__:
        ways.append(table.c.id == whose.recipient_id)
    if "delivery_id" in names:
        ways.append(dialects.among(session, table.c.delivery_id, whose.deliveries))
    if table.name != Recipient.__tablename__:
        hashes = names & {"address_hash", "sender_hash"}
        ways += [table.c[name] == whose.address_hash for name in sorted(hashes)]
    return or_(false(), *ways)


def deliveries(session: Session, recipient_id: int) -> Sequence[int]:
    """List everything that one person was or is to be sent."""
    his = Delivery.recipient_id == recipient_id
    # By campaign, or SQLite would read every delivery there is.
    in_campaigns = (
        select(Delivery.id)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(his, Delivery.idempotency_key.is_(None))
    )
    single = select(Delivery.id).where(his, Delivery.idempotency_key.is_not(None))
    return [*session.scalars(in_campaigns), *session.scalars(single)]


def whole(session: Session, person: Recipient) -> bytes:
    """Give every row about one person as JSON, table by table: for a copy that is sealed."""
    whose = known_by(session, person.id, person.address_hash)
    found: dict[str, list[dict[str, Any]]] = {}
    for table in metadata.sorted_tables:
        if any(column.info["mark"].personal for column in table.columns) and (
            table.name == Recipient.__tablename__ or _KEYS & set(table.c.keys())
        ):
            rows = session.execute(select(table).where(rows_about(session, table, whose)))
            found[table.name] = [dict(row) for row in rows.mappings()]
    kept = {name: rows for name, rows in found.items() if rows}
    return json.dumps(kept, default=_said, ensure_ascii=False).encode()


def _said(value: object) -> str:
    """Say what JSON has no form for: instants as ISO 8601, bytes as hexadecimal."""
    return value.hex() if isinstance(value, bytes) else str(value)
