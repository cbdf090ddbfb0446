"""Add the links by which people get all that is kept of them, or erase it."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "data_requests",
        sa.Column("nonce_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("recipient_id", base.BigId, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("asked_at", base.UtcDateTime(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.Column("used_at", base.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["recipients.id"], name="fk_data_requests_recipient_id"
        ),
        sa.PrimaryKeyConstraint("nonce_hash", name="pk_data_requests"),
    )
    op.create_index("ix_data_requests_recipient_id", "data_requests", ["recipient_id"])
    op.create_index("ix_data_requests_asked_at", "data_requests", ["asked_at"])
