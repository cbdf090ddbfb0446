"""Add what bounces need: soft ones, lifted suppressions, unreadable events, nightly comparisons."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the four tables, and an index that finds events of a vendor that tracks."""
    op.create_table(
        "malformed_events",
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("received_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_malformed_events"),
    )
    op.create_index("ix_malformed_events_received_at", "malformed_events", ["received_at"])
    op.create_table(
        "soft_bounces",
        sa.Column("delivery_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("recipient_id", base.BigId, nullable=False),
        sa.Column("occurred_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_soft_bounces"),
    )
    op.create_index("ix_soft_bounces_recipient_id", "soft_bounces", ["recipient_id"])
    op.create_index("ix_soft_bounces_occurred_at", "soft_bounces", ["occurred_at"])
    op.create_table(
        "reconciliations",
        sa.Column("night", sa.Date(), nullable=False),
        sa.Column("since", base.UtcDateTime(), nullable=False),
        sa.Column("started_at", base.UtcDateTime(), nullable=False),
        sa.Column("ended_at", base.UtcDateTime(), nullable=True),
        sa.Column("found", base.Document, nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("night", name="pk_reconciliations"),
    )
    op.create_table(
        "suppression_lifts",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("source", sa.String(length=24), nullable=False),
        sa.Column("since", base.UtcDateTime(), nullable=False),
        sa.Column("lifted_at", base.UtcDateTime(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("because", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_suppression_lifts_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_suppression_lifts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_suppression_lifts_address_hash", "suppression_lifts", ["address_hash"])
    op.create_index(
        "ix_vendor_events_tracking",
        "vendor_events",
        ["received_at"],
        sqlite_where=sa.text("kind IN ('opened', 'clicked')"),
        postgresql_where=sa.text("kind IN ('opened', 'clicked')"),
    )
