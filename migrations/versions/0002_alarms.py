"""Add the alarms, the turns of work that one process does, and find hand-overs by their time."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables and the indices."""
    op.create_table(
        "alarms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("since", base.UtcDateTime(), nullable=False),
        sa.Column("raised_at", base.UtcDateTime(), nullable=False),
        sa.Column("last_seen", base.UtcDateTime(), nullable=False),
        sa.Column("cleared_at", base.UtcDateTime(), nullable=True),
        sa.Column("told_at", base.UtcDateTime(), nullable=True),
        sa.Column("told_cleared_at", base.UtcDateTime(), nullable=True),
        sa.Column("mailed_at", base.UtcDateTime(), nullable=True),
        sa.Column("mailed_cleared_at", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_alarms"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_alarms_kind_subject",
        "alarms",
        ["kind", "subject"],
        unique=True,
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_index("ix_alarms_cleared_at", "alarms", ["cleared_at"], unique=False)
    op.create_table(
        "turns",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("taken_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_turns"),
    )
    op.create_index("ix_hand_overs_claimed_at", "hand_overs", ["claimed_at"], unique=False)
