"""Rows of ``measured``: whose opens of a message may be told apart, from claim to hand-over.

A row is written by the claim, because an open may come before the answer to the request does. It
is taken back when the request was not accepted, so that a row always stands for a message that is
or may be in somebody's mailbox. ``measured_totals`` moves along with every row.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Table, delete, text
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.kept import Kept
from mailprefs.deliveries.people import Found
from mailprefs.schema.opens import Measured

_APPLE: Final = 2
_NEW: Final = (0, _APPLE)
"""The bits of a message of which nothing is known but how its reader's mail is loaded."""
_MEASURED: Final[Table] = Measured.metadata.tables[Measured.__tablename__]
# Through the driver: a campaign has one row for each person who may be measured.
# One statement for all, because between two of them another thread may take the interpreter.
_INSERT_SQLITE: Final = Kept(
    text(
        "INSERT OR IGNORE INTO measured (delivery_id, bits)"
        " SELECT value, :bits FROM json_each(:ids)"
    )
)
_INSERT_POSTGRESQL: Final = (
    "INSERT INTO measured (delivery_id, bits) SELECT unnest(%s::bigint[]), %s"
    " ON CONFLICT DO NOTHING"
)
_ADD_UP: Final = Kept(
    text(
        "INSERT INTO measured_totals (campaign_id, bits, n) VALUES (:campaign_id, :bits, :by)"
        " ON CONFLICT (campaign_id, bits) DO UPDATE SET n = measured_totals.n + excluded.n"
    )
)


def add(session: Session, campaign_id: int, found: Found) -> None:
    """Write the rows of those whose mode is individual; those that exist stay as they are."""
    _move(session, campaign_id, 0, _insert(session, found.measured, 0))
    _move(session, campaign_id, _APPLE, _insert(session, found.apple, _APPLE))


def take_back(session: Session, campaign_id: int, ids: tuple[int, int]) -> None:
    """Delete the rows of the deliveries from first to last of which nothing is known yet."""
    gone = session.execute(
        delete(_MEASURED)
        .where(_MEASURED.c.delivery_id.between(*ids), _MEASURED.c.bits.in_(_NEW))
        .returning(_MEASURED.c.bits)
    )
    for bits, n in sorted(Counter(gone.scalars()).items()):
        _move(session, campaign_id, bits, -n)


def _insert(session: Session, ids: Sequence[int], bits: int) -> int:
    """Insert what isn't there; give how many rows are new."""
    if not ids:
        return 0
    if dialects.is_sqlite(session):
        return _INSERT_SQLITE.change(session, {"bits": bits, "ids": str(list(ids))})
    connection = session.connection()
    return connection.exec_driver_sql(_INSERT_POSTGRESQL, (list(ids), bits)).rowcount


def _move(session: Session, campaign_id: int, bits: int, by: int) -> None:
    """Change the campaign's total of *bits* by a number."""
    if by:
        _ADD_UP.change(session, {"campaign_id": campaign_id, "bits": bits, "by": by})
