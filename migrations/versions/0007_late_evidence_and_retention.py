"""Add what late evidence of opens is judged by, and how far old evidence is reduced."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "undecided_opens",
        sa.Column("delivery_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("ruleset", sa.SmallInteger(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("client", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "kind", "at", name="pk_undecided_opens"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "open_retention",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reduced_at", base.UtcDateTime(), nullable=True),
        sa.Column("deleted_at", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("campaign_id", name="pk_open_retention"),
    )
