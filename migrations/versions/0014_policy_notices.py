"""Add what a policy version needs besides its text: its notice, and the consent it asks anew."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ANNOUNCED = "OLD.state <> 'announced'"
_CHANGED = (
    "NEW.text <> OLD.text OR NEW.sha256 <> OLD.sha256 OR NEW.version <> OLD.version"
    " OR NEW.is_material <> OLD.is_material"
    " OR COALESCE(NEW.summary, '') <> COALESCE(OLD.summary, '')"
    f" OR ({_ANNOUNCED} AND (NEW.state <> OLD.state OR NEW.effective_from <> OLD.effective_from))"
)
_SENTENCE = "the text of a policy version never changes, nor what holds of it"


def upgrade() -> None:
    """Add columns and a table, and let the trigger refuse changes of what they say, too."""
    state = sa.Column("state", sa.String(24), server_default="settled", nullable=False)
    op.add_column("policy_versions", state)
    op.add_column(
        "policy_versions",
        sa.Column("is_material", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("policy_versions", sa.Column("summary", sa.Text(), nullable=True))
    op.add_column("policy_versions", sa.Column("published_at", base.UtcDateTime(), nullable=True))
    op.create_table(
        "policy_lapses",
        sa.Column("policy_version_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(24), nullable=False),
        sa.Column("done_to", base.BigId, nullable=False),
        sa.Column("ended_at", base.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["policy_version_id"], ["policy_versions.id"], name="fk_policy_lapses_policy_version_id"
        ),
        sa.PrimaryKeyConstraint("policy_version_id", "purpose", name="pk_policy_lapses"),
    )
    op.add_column("campaigns", sa.Column("policy_version_id", sa.Integer(), nullable=True))
    op.add_column("campaigns", sa.Column("send_by", base.UtcDateTime(), nullable=True))
    op.create_index(
        "ix_campaigns_policy_version_id",
        "campaigns",
        ["policy_version_id"],
        sqlite_where=sa.text("policy_version_id IS NOT NULL"),
        postgresql_where=sa.text("policy_version_id IS NOT NULL"),
    )
    for statement in _trigger():
        op.execute(statement)


def _trigger() -> list[str]:
    if op.get_bind().dialect.name == "sqlite":
        body = f"WHEN {_CHANGED} BEGIN SELECT RAISE(ABORT, '{_SENTENCE}'); END"
        made = (
            f"CREATE TRIGGER policy_versions_refuse_update BEFORE UPDATE ON policy_versions {body}"
        )
        return ["DROP TRIGGER policy_versions_refuse_update", made]
    body = (
        f"BEGIN IF {_CHANGED} THEN RAISE EXCEPTION '{_SENTENCE}' "
        "USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END"
    )
    head = "CREATE OR REPLACE FUNCTION policy_versions_refuse_update() RETURNS trigger"
    return [f"{head} LANGUAGE plpgsql AS $$ {body} $$"]
