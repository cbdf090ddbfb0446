"""Add counted limits, the learned pace of calls, who is at work, and schedules as said."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and add the columns."""
    op.create_table(
        "send_counts",
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("turn_at", base.UtcDateTime(), nullable=False),
        sa.Column("turn_n", sa.Integer(), nullable=False),
        sa.Column("hour_at", base.UtcDateTime(), nullable=False),
        sa.Column("hour_n", sa.Integer(), nullable=False),
        sa.Column("day_at", base.UtcDateTime(), nullable=False),
        sa.Column("day_n", sa.Integer(), nullable=False),
        sa.Column("first_at", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_send_counts"),
    )
    op.create_table(
        "call_pace",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("refused_at", base.UtcDateTime(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=True),
        sa.Column("ceiling", sa.Float(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_call_pace_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_call_pace"),
    )
    op.create_table(
        "presences",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("started_at", base.UtcDateTime(), nullable=False),
        sa.Column("seen_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_presences"),
    )
    op.add_column("campaigns", sa.Column("due_wall", sa.String(16), nullable=True))
    op.add_column("campaigns", sa.Column("due_fold", sa.SmallInteger(), nullable=True))
