"""Reading what more than a person's own row says: names behind numbers, choices, messages."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import audit, consent
from mailprefs.consent.entries import read
from mailprefs.db import dialects
from mailprefs.opens import bits
from mailprefs.privacy.access.beside import ACTS_TOLD, CHOICE
from mailprefs.privacy.access.export import Record, Value
from mailprefs.privacy.whose import Whose
from mailprefs.schema.campaigns import Campaign, Content
from mailprefs.schema.choices import PolicyVersion
from mailprefs.schema.deliveries import Batch, BatchState, Delivery, HandOver
from mailprefs.schema.people import Topic
from mailprefs.useragents import Client, OpenKind, Reason

_ORDINAL: Final = (1 << 32) - 1
_MODES: Final = {"i": "individual", "a": "aggregate", "o": "off"}
_NOT_IN_CALL: Final = "-"
_BITS: Final = {
    bits.DELIVERED: "delivered",
    bits.APPLE: "apple_proxy",
    bits.HUMAN: "opened",
    bits.FETCHED: "loaded",
}


class Reading:
    """Reads columns by the names in ``telling``; each name behind a number is looked up once."""

    def __init__(self, session: Session, whose: Whose) -> None:
        self._session = session
        self._whose = whose
        self._wordings: dict[int, str | None] = {}
        self._campaigns: dict[int, str | None] = {}
        self._ways: dict[str, Callable[[Any], Value]] = {
            "message": message_number,
            "topic": self._topics.get,
            "policy": self._policies.get,
            "wording": self._wording,
            "campaign": self._campaign,
            "actor": _actor,
            "bits": lambda value: [word for bit, word in _BITS.items() if value & bit],
            "open_kind": lambda number: _named(OpenKind, number),
            "open_reason": lambda number: _named(Reason, number),
            "client": lambda number: _named(Client, number),
        }

    def value(self, way: str, stored: Any, row: Mapping[str, Any]) -> Value:  # noqa: ANN401 - any column's value
        """Give what is told of a stored value; *way* is the ``read`` of its field."""
        if stored is None:
            return None
        if way == "own_mail" and row["sender_hash"] != self._whose.address_hash:
            # It held this person's link, and somebody else wrote it.
            return None
        told = self._ways.get(way)
        if told is not None:
            return told(stored)
        plain: Value = stored.value if isinstance(stored, Enum) else stored
        return plain

    def choice(self, payload: str) -> Record:
        """Give what an entry of the ledger says."""
        said = read(payload)._asdict()
        if said["wording"] is not None:
            said["wording"] = said["wording"].id
        return {
            field.key: self.value(field.read, said[name], said) for name, field in CHOICE.items()
        }

    def messages(self) -> Mapping[int, Record]:
        """Give what is told of each of the person's deliveries beside its own columns."""
        return {
            row.id: {
                "message": message_number(row.id),
                "subject": row.subject,
                "topic": self._topics.get(row.topic_id),
                "class": row.message_class.value,
                "state": (row.own_state or row.state or BatchState.PENDING).value,
            }
            for row in self._sent
        }

    def hand_overs(self) -> Iterator[Record]:
        """Give each call to a vendor that carried a message to the person, oldest first."""
        batches: dict[int, list[Any]] = {}
        for row in self._sent:
            if row.batch_id is not None:
                batches.setdefault(row.batch_id, []).append(row)
        found = self._session.execute(
            select(
                *(HandOver.batch_id, HandOver.vendor, HandOver.claimed_at, HandOver.outcome),
                *(HandOver.fields, HandOver.modes),
            )
            .where(dialects.among(self._session, HandOver.batch_id, batches))
            .order_by(HandOver.id)
        )
        for call in found:
            for row in batches[call.batch_id]:
                place = row.id - row.first_id
                mode = call.modes[place : place + 1] or _NOT_IN_CALL
                if mode != _NOT_IN_CALL:
                    yield {
                        "message": message_number(row.id),
                        "vendor": call.vendor,
                        "at": call.claimed_at,
                        "outcome": call.outcome,
                        "fields": call.fields.split(","),
                        "opens": _MODES.get(mode, mode),
                    }

    def acts(self) -> Iterator[Record]:
        """Give what our staff did with the person's data, oldest first, and not who of them."""
        if self._whose.recipient_id is not None:
            for one in audit.of(self._session, ("recipient", self._whose.recipient_id)):
                if one.action in ACTS_TOLD:
                    yield {"at": one.at, "act": one.action, "door": one.door}

    @cached_property
    def _sent(self) -> Sequence[Any]:
        """List the person's deliveries, each with every batch that has carried it."""
        return self._session.execute(
            select(
                *(Delivery.id, Delivery.own_state, Campaign.topic_id, Campaign.message_class),
                *(Content.subject_source.label("subject"), Batch.id.label("batch_id")),
                *(Batch.first_id, Batch.state),
            )
            .join(Campaign, Campaign.id == Delivery.campaign_id)
            .outerjoin(
                Batch,
                (Batch.campaign_id == Delivery.campaign_id)
                & (Batch.first_id <= Delivery.id)
                & (Batch.last_id >= Delivery.id),
            )
            .outerjoin(Content, Content.id == Batch.content_id)
            .where(dialects.among(self._session, Delivery.id, self._whose.deliveries))
            .order_by(Delivery.id, Batch.id)
        ).all()

    @cached_property
    def _topics(self) -> Mapping[int, str]:
        rows = self._session.execute(select(Topic.id, Topic.name))
        return {row.id: row.name for row in rows}

    @cached_property
    def _policies(self) -> Mapping[int, str]:
        rows = self._session.execute(select(PolicyVersion.id, PolicyVersion.version))
        return {row.id: row.version for row in rows}

    def _wording(self, number: int) -> str | None:
        if number not in self._wordings:
            self._wordings[number] = consent.wording_text(self._session, number)
        return self._wordings[number]

    def _campaign(self, number: int) -> str | None:
        if number not in self._campaigns:
            query = select(Campaign.name).where(Campaign.id == number)
            self._campaigns[number] = self._session.scalar(query)
        return self._campaigns[number]


def message_number(delivery_id: int) -> str:
    """Give a message's number as it is told: of its campaign, and within that.

    As text, because programs that read JSON lose the last figures of so large a number.
    """
    return f"{delivery_id >> 32}-{delivery_id & _ORDINAL}"


def _actor(actor: str) -> str:
    """Say who chose, and of staff not which of them."""
    return actor.partition(":")[0]


def _named(kind: type[OpenKind] | type[Reason] | type[Client], number: int) -> str:
    """Give the word of a number, or, of one that another release wrote, the number."""
    try:
        return kind(number).name.lower()
    except ValueError:
        return str(number)
