"""Add the breaker, what was decided about unclear hand-overs, and who may get a second copy."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and their indices."""
    zero = sa.text("0")
    _add("batches", sa.Column("after_id", base.BigId, nullable=True))
    _index("ix_batches_after_id", "batches", ["after_id"], "after_id IS NOT NULL")
    _add(
        "hand_overs",
        sa.Column("after_id", base.BigId, nullable=True),
        sa.Column("heard_at", base.UtcDateTime(), nullable=True),
        sa.Column("decision", sa.String(24), nullable=True),
        sa.Column("decided_at", base.UtcDateTime(), nullable=True),
    )
    _index("ix_hand_overs_heard", "hand_overs", ["id"], "heard_at IS NOT NULL")
    _index(
        "ix_hand_overs_after_id", "hand_overs", ["campaign_id", "after_id"], "after_id IS NOT NULL"
    )
    _add(
        "vendor_pace",
        sa.Column("unclear", sa.Integer(), nullable=False, server_default=zero),
        sa.Column("opened_at", base.UtcDateTime(), nullable=True),
        sa.Column("probe_at", base.UtcDateTime(), nullable=True),
        sa.Column("probing_id", base.BigId, nullable=True),
        sa.Column("probes", sa.Integer(), nullable=False, server_default=zero),
    )


def _add(table: str, *columns: sa.Column[object]) -> None:
    for column in columns:
        op.add_column(table, column)


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition
    )
