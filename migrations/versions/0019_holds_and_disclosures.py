"""Add holds on people's data, and the register of what was disclosed to whom."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "legal_holds",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("address_key_id", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_at", base.UtcDateTime(), nullable=False),
        sa.Column("placed_by", sa.Integer(), nullable=True),
        sa.Column("erasure_asked_at", base.UtcDateTime(), nullable=True),
        sa.Column("erasure_source", sa.String(length=24), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("lifted_at", base.UtcDateTime(), nullable=True),
        sa.Column("lifted_by", sa.Integer(), nullable=True),
        sa.Column("lifted_because", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["placed_by"], ["staff.id"], name="fk_legal_holds_placed_by"),
        sa.ForeignKeyConstraint(["lifted_by"], ["staff.id"], name="fk_legal_holds_lifted_by"),
        sa.PrimaryKeyConstraint("id", name="pk_legal_holds"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_legal_holds_address_hash", "legal_holds", ["address_hash"])
    op.create_table(
        "disclosures",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.Column("basis", sa.String(length=24), nullable=False),
        sa.Column("to_whom", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("recipient_id", base.BigId, nullable=True),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_disclosures_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_disclosures"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_disclosures_at", "disclosures", ["at"])
    op.create_index("ix_disclosures_recipient_id", "disclosures", ["recipient_id"])
