"""Add how many people gave which reason for leaving."""

import sqlalchemy as sa
from alembic import op

from mailprefs.policy import LeavingReason
from mailprefs.schema import base

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the sums, and the table of who has given a reason already."""
    op.create_table(
        "leaving_reasons",
        sa.Column("topic_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("reason", base.words(LeavingReason), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("topic_id", "month", "reason", name="pk_leaving_reasons"),
    )
    op.create_table(
        "reasons_given",
        sa.Column("recipient_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("left_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("recipient_id", name="pk_reasons_given"),
    )
