"""Add the mail that people write to us, which is kept for a short while."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "inbound_mails",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("received_at", base.UtcDateTime(), nullable=False),
        sa.Column("wish", sa.String(length=24), nullable=False),
        sa.Column("recipient_id", base.BigId, nullable=True),
        sa.Column("sender_hash", sa.LargeBinary(length=16), nullable=True),
        sa.Column("is_proven", sa.Boolean(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("attachments", base.Document, nullable=False),
        sa.Column("forward_id", base.BigId, nullable=True),
        sa.Column("link_id", base.BigId, nullable=True),
        sa.Column("handled_at", base.UtcDateTime(), nullable=True),
        sa.Column("handled_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["handled_by"], ["staff.id"], name="fk_inbound_mails_handled_by"),
        sa.PrimaryKeyConstraint("id", name="pk_inbound_mails"),
        sa.UniqueConstraint("digest", name="uq_inbound_mails_digest"),
        sqlite_autoincrement=True,
    )
    for column in ("received_at", "recipient_id", "sender_hash"):
        op.create_index(f"ix_inbound_mails_{column}", "inbound_mails", [column], unique=False)
