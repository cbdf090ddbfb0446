"""Add how far a window of a segment is counted, and room for what it changes."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns; what is counted so far stands before the position."""
    op.add_column("spool_positions", sa.Column("window_end", base.BigId, nullable=True))
    op.add_column("spool_positions", sa.Column("through", sa.LargeBinary(16), nullable=True))
    # Each of these rows is changed in place, once delivered, opened or seen: with some room left in
    # its page, PostgreSQL writes the new one beside it and leaves the index as it is.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE measured SET (fillfactor = 70)")
        op.execute("ALTER TABLE recipients SET (fillfactor = 90)")
