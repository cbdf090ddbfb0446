"""Add which campaigns have a public page, and where."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "publications",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name="fk_publications_campaign_id"
        ),
        sa.PrimaryKeyConstraint("campaign_id", name="pk_publications"),
        sa.UniqueConstraint("slug", name="uq_publications_slug"),
    )
