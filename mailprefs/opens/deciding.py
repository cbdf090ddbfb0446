"""What the vendor told of a delivery, and what it says of opens that were counted before."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.db.dialects import among
from mailprefs.opens import turn, writing
from mailprefs.opens.judging import moved
from mailprefs.schema.opens import Measured


def set_bits(session: Session, wanted: Mapping[int, int]) -> int:
    """Set bits of measured deliveries, by id, and move their campaigns' totals along.

    Deliveries that aren't measured (any more) are left out. Gives how many rows changed.
    """
    if not wanted:
        return 0
    turn.take(session)
    rows = session.connection().execute(
        select(Measured.delivery_id, Measured.bits)
        .where(among(session, Measured.delivery_id, wanted))
        .order_by(Measured.delivery_id)
    )
    before = {row.delivery_id: row.bits for row in rows}
    after = {one: bits | wanted[one] for one, bits in before.items() if bits | wanted[one] != bits}
    writing.set_bits(session, after)
    writing.add_to_totals(session, moved(before, after))
    return len(after)
