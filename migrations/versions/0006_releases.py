"""Add the released numbers of campaigns, which all reports are made of."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "releases",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("released_at", base.UtcDateTime(), nullable=True),
        sa.Column("looked_at", base.UtcDateTime(), nullable=False),
        sa.Column("frozen_at", base.UtcDateTime(), nullable=True),
        sa.Column("people", sa.SmallInteger(), nullable=False),
        sa.Column("numbers", base.Document, nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name="fk_releases_campaign_id"),
        sa.PrimaryKeyConstraint("campaign_id", name="pk_releases"),
    )
