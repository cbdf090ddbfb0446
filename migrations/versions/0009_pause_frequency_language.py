"""Add what people choose besides yes and no: a pause, a frequency, their language."""

import sqlalchemy as sa
from alembic import op

from mailprefs.policy import Frequency
from mailprefs.schema import base

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and the table of whom a campaign has reached this week."""
    op.add_column("recipients", sa.Column("paused_until", base.UtcDateTime(), nullable=True))
    op.add_column("recipients", sa.Column("frequency", base.words(Frequency), nullable=True))
    op.add_column("recipients", sa.Column("language_since", base.UtcDateTime(), nullable=True))
    op.create_table(
        "last_promotions",
        sa.Column("recipient_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("recipient_id", name="pk_last_promotions"),
    )
