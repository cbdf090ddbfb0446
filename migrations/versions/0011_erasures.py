"""Add what an erasure leaves behind: its proof, and the orders that wait for the vendor."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the index that finds a person's single messages."""
    op.create_table(
        "erasures",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("address_key_id", sa.SmallInteger(), nullable=False),
        sa.Column("number", base.BigId, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("erased_at", base.UtcDateTime(), nullable=False),
        sa.Column("removed", base.Document, nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("call_at", base.UtcDateTime(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("vendor_took_at", base.UtcDateTime(), nullable=True),
        sa.Column("cleaned_at", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_erasures_address_hash", "erasures", ["address_hash"])
    is_open = sa.text("sealed IS NOT NULL OR cleaned_at IS NULL")
    op.create_index(
        "ix_erasures_open", "erasures", ["id"], sqlite_where=is_open, postgresql_where=is_open
    )
    is_single = sa.text("idempotency_key IS NOT NULL")
    op.create_index(
        "ix_deliveries_recipient_id",
        "deliveries",
        ["recipient_id"],
        sqlite_where=is_single,
        postgresql_where=is_single,
    )
