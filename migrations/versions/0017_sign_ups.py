"""Add what waits for the confirmation of a mailbox's owner."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "sign_ups",
        sa.Column("recipient_id", base.BigId, nullable=False),
        sa.Column("topic_id", base.BigId, nullable=False),
        sa.Column("asked_at", base.UtcDateTime(), nullable=False),
        sa.Column("source", sa.String(length=24), nullable=False),
        sa.Column("source_ref", sa.String(length=64), nullable=True),
        sa.Column("wording_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["recipients.id"], name="fk_sign_ups_recipient_id"
        ),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name="fk_sign_ups_topic_id"),
        sa.ForeignKeyConstraint(["wording_id"], ["wordings.id"], name="fk_sign_ups_wording_id"),
        sa.PrimaryKeyConstraint("recipient_id", "topic_id", name="pk_sign_ups"),
        sqlite_with_rowid=False,
    )
