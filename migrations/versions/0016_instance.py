"""Add by what a database knows itself, and how many refusals its journal holds."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the one row."""
    table = op.create_table(
        "instance",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=True),
        sa.Column("refusals", base.BigId, nullable=False),
        sa.Column("adopted_at", base.UtcDateTime(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_instance_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_instance"),
    )
    op.bulk_insert(table, [{"id": 1, "refusals": 0}])
    op.create_table(
        "instance_machines",
        sa.Column("machine", sa.String(length=32), nullable=False),
        sa.Column("joined_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("machine", name="pk_instance_machines"),
    )
