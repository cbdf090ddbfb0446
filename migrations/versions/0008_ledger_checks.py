"""Add how far the consent ledger is checked, and what the last check found."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "ledger_checks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("begun_at", base.UtcDateTime(), nullable=False),
        sa.Column("seen_at", base.UtcDateTime(), nullable=False),
        sa.Column("ended_at", base.UtcDateTime(), nullable=True),
        sa.Column("seq", base.BigId, nullable=False),
        sa.Column("entry_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=True),
        sa.Column("broken_since", base.UtcDateTime(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_ledger_checks_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_checks"),
    )
