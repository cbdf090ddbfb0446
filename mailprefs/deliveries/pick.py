"""Which batch is next: single messages, then administrative campaigns, then promotional ones."""

from typing import Final, NamedTuple

from sqlalchemy import Table, insert, select, text, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.kept import Kept
from mailprefs.policy import MessageClass, TrackingMode
from mailprefs.schema.deliveries import Batch, BatchState, Delivery

_BATCHES: Final[Table] = Batch.metadata.tables[Batch.__tablename__]

_COLUMNS = """
    b.id, b.campaign_id, b.content_id, b.priority, b.first_id, b.last_id, b.n, b.own,
    c.topic_id, c.message_class, c.template, c.first_hand_over_at IS NULL,
    t.slug, t.name, t.tracking, t.unasked_tracking,
    s.base_url, s.from_address, s.name, s.reply_to, s.ip_pool, b.after_id
"""
# The state of campaigns stands still while the gate is held. The campaigns come in the order of
# their class, and the first one's first batch that no other worker is taking is the answer. What
# else is needed is joined to that one batch: joined further in, it may undo the order.
_POSTGRESQL: Final = f"""
    SELECT {_COLUMNS}
    FROM (
        SELECT b.*
        FROM (
            SELECT id FROM campaigns WHERE state = 'sending' {{}}
            ORDER BY standing DESC, message_class, id
        ) c
        CROSS JOIN LATERAL (
            SELECT * FROM batches
            WHERE campaign_id = c.id AND state = 'pending'
            ORDER BY priority, id LIMIT 1
            FOR UPDATE SKIP LOCKED
        ) b
        LIMIT 1
    ) b
    JOIN campaigns c ON c.id = b.campaign_id
    JOIN topics t ON t.id = c.topic_id
    JOIN senders s ON s.id = t.sender_id
"""  # noqa: S608 - made of constants
_SQLITE: Final = f"""
    SELECT {_COLUMNS}
    FROM batches b
    JOIN campaigns c ON c.id = b.campaign_id
    JOIN topics t ON t.id = c.topic_id
    JOIN senders s ON s.id = t.sender_id
    WHERE b.id = (
        SELECT f.batch_id
        FROM (
            SELECT standing, message_class, id, (
                SELECT p.id FROM batches p
                WHERE p.campaign_id = campaigns.id AND p.state = 'pending'
                ORDER BY p.priority, p.id LIMIT 1
            ) AS batch_id
            FROM campaigns WHERE state = 'sending' {{}}
        ) f
        WHERE f.batch_id IS NOT NULL
        ORDER BY f.standing DESC, f.message_class, f.id LIMIT 1
    )
"""  # noqa: S608 - made of constants
_ALL: Final = {
    True: Kept(text(_SQLITE.format(""))),
    False: Kept(text(_POSTGRESQL.format(""))),
}


class Without(NamedTuple):
    """What must not be picked: these classes, and campaigns of these senders.

    A single message is held back by its class only: somebody waits for it at this moment.
    """

    classes: frozenset[str] = frozenset()
    sender_ids: tuple[int, ...] = ()


NOTHING: Final = Without()


class Picked(NamedTuple):
    """A pending batch, locked for this transaction, with its campaign, topic and sender."""

    id: int
    campaign_id: int
    content_id: int
    priority: int
    first_id: int
    last_id: int
    n: int
    own: int
    topic_id: int
    message_class: MessageClass
    template: str | None
    is_first: bool
    topic_slug: str
    topic_name: str
    tracking: TrackingMode
    unasked_tracking: TrackingMode
    base_url: str
    from_address: str
    from_name: str
    reply_to: str
    ip_pool: str | None
    after_id: int | None = None

    @property
    def open(self) -> int:
        """Give how many deliveries of the batch have no state of their own."""
        return self.n - self.own

    @property
    def is_measurable(self) -> bool:
        """Tell whether anybody's opens of this may be measured at all."""
        return self.message_class.may_be_measured and self.tracking is not TrackingMode.OFF

    @property
    def facts(self) -> tuple[str | None, ...]:
        """Give what of topic and sender stands in every message."""
        return (
            self.topic_name,
            self.base_url,
            self.from_address,
            self.from_name,
            self.reply_to,
            self.ip_pool,
        )


def first(session: Session, without: Without = NOTHING) -> Picked | None:
    """Give the next pending batch of all campaigns that are sending, locked; None if none is.

    Whatever is *without* room is passed over, and holds nothing else back.
    """
    is_sqlite = dialects.is_sqlite(session)
    query = _ALL[is_sqlite]
    if without != NOTHING:
        query = Kept(text((_SQLITE if is_sqlite else _POSTGRESQL).format(_but(without))))
    row = query.row(session)
    if row is None:
        return None
    values = list(row)
    values[9] = MessageClass(row[9])
    values[11] = bool(row[11])
    values[14], values[15] = TrackingMode(row[14]), TrackingMode(row[15])
    return Picked(*values)


def _but(without: Without) -> str:
    """Give the condition that passes over what has no room."""
    parts = [f"AND message_class <> '{MessageClass(one).value}'" for one in without.classes]
    if without.sender_ids:
        ids = ", ".join(str(int(one)) for one in without.sender_ids)
        topics = f"SELECT id FROM topics WHERE sender_id IN ({ids})"  # noqa: S608 - whole numbers
        parts.append(f"AND (standing OR topic_id NOT IN ({topics}))")
    return " ".join(parts)


def split(session: Session, picked: Picked, most: int) -> Picked:
    """Leave the first *most* open deliveries in the batch; the others become one of their own."""
    rest = session.execute(
        select(Delivery.id)
        .where(Delivery.id.between(picked.first_id, picked.last_id), Delivery.own_state.is_(None))
        .order_by(Delivery.id)
        .offset(most)
        .limit(1)
    ).scalar_one()
    n = rest - picked.first_id
    session.execute(
        insert(_BATCHES).values(
            campaign_id=picked.campaign_id,
            content_id=picked.content_id,
            priority=picked.priority,
            first_id=rest,
            last_id=picked.last_id,
            n=picked.n - n,
            own=picked.own - (n - most),
            state=BatchState.PENDING,
            after_id=picked.after_id,
        )
    )
    smaller = picked._replace(last_id=rest - 1, n=n, own=n - most)
    session.execute(
        update(_BATCHES)
        .where(_BATCHES.c.id == picked.id)
        .values(last_id=smaller.last_id, n=smaller.n, own=smaller.own)
    )
    return smaller
