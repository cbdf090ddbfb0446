"""Create the first tables, and the triggers that keep what must never change."""

import sqlalchemy as sa
from alembic import op

from mailprefs.schema import base

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table in the order of its references, then the triggers."""
    _attributes()
    _consent_entries()
    _consent_head()
    _deliveries()
    _loads()
    _mailbox_facts()
    _mailbox_totals()
    _measured()
    _measured_totals()
    _open_rollup()
    _opens()
    _policy_versions()
    _purposes()
    _recipients()
    _senders()
    _silenced_deliveries()
    _single_values()
    _spool_positions()
    _staff()
    _suppressions()
    _vendor_events()
    _vendor_pace()
    _audit_entries()
    _sign_in_links()
    _staff_roles()
    _topics()
    _wordings()
    _campaigns()
    _imports()
    _subscriptions()
    _contents()
    _import_refusals()
    _kept_out()
    _batches()
    _hand_overs()
    _triggers()


def _attributes() -> None:
    op.create_table(
        "attributes",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_attributes"),
    )


def _consent_entries() -> None:
    op.create_table(
        "consent_entries",
        sa.Column("seq", base.BigId, autoincrement=False, nullable=False),
        sa.Column("recorded_at", base.UtcDateTime(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("entry_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("recipient_id", base.BigId, nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_consent_entries"),
    )
    op.create_index(
        "ix_consent_entries_recipient_id", "consent_entries", ["recipient_id"], unique=False
    )


def _consent_head() -> None:
    op.create_table(
        "consent_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", base.BigId, nullable=False),
        sa.Column("entry_hash", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_consent_head_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_consent_head"),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("recipient_id", base.BigId, nullable=True),
        sa.Column("policy_version_id", sa.Integer(), nullable=False),
        sa.Column("own_state", sa.String(24), nullable=True),
        sa.Column("own_reason", sa.String(length=24), nullable=True),
        sa.Column("idempotency_key", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "(own_state IS NULL) = (own_reason IS NULL)", name=op.f("ck_deliveries_own")
        ),
        sa.CheckConstraint("id >> 32 = campaign_id", name=op.f("ck_deliveries_campaign")),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    op.create_index(
        "ix_deliveries_own_state",
        "deliveries",
        ["campaign_id", "own_state", "own_reason"],
        unique=False,
        sqlite_where=sa.text("own_state IS NOT NULL"),
        postgresql_where=sa.text("own_state IS NOT NULL"),
    )
    op.create_index(
        "uq_deliveries_campaign_id_idempotency_key",
        "deliveries",
        ["campaign_id", "idempotency_key"],
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "uq_deliveries_campaign_id_recipient_id",
        "deliveries",
        ["campaign_id", "recipient_id"],
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NULL"),
        postgresql_where=sa.text("idempotency_key IS NULL"),
    )


def _loads() -> None:
    op.create_table(
        "loads",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "day", "kind", name="pk_loads"),
    )


def _mailbox_facts() -> None:
    op.create_table(
        "mailbox_facts",
        sa.Column("delivery_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("event", sa.String(length=24), nullable=False),
        sa.Column("occurred_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "event", name="pk_mailbox_facts"),
        sqlite_with_rowid=False,
    )


def _mailbox_totals() -> None:
    op.create_table(
        "mailbox_totals",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(length=24), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "event", name="pk_mailbox_totals"),
    )


def _measured() -> None:
    op.create_table(
        "measured",
        sa.Column("delivery_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("bits", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_measured"),
    )


def _measured_totals() -> None:
    op.create_table(
        "measured_totals",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bits", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "bits", name="pk_measured_totals"),
    )


def _open_rollup() -> None:
    op.create_table(
        "open_rollup",
        sa.Column("campaign_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dimension", sa.String(length=8), nullable=False),
        sa.Column("value", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "dimension", "value", "kind", name="pk_open_rollup"),
    )


def _opens() -> None:
    op.create_table(
        "opens",
        sa.Column("delivery_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("ruleset", sa.SmallInteger(), nullable=False),
        sa.Column("policy_version_id", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", base.UtcDateTime(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("client", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "kind", name="pk_opens"),
        sqlite_with_rowid=False,
    )


def _policy_versions() -> None:
    op.create_table(
        "policy_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("effective_from", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policy_versions"),
        sa.UniqueConstraint("version", name="uq_policy_versions_version"),
    )


def _purposes() -> None:
    op.create_table(
        "purposes",
        sa.Column("slug", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("slug", name="pk_purposes"),
    )


def _recipients() -> None:
    op.create_table(
        "recipients",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("address_key_id", sa.SmallInteger(), nullable=False),
        sa.Column("address_origin", sa.String(24), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("attributes", base.Document, nullable=False),
        sa.Column("region", sa.String(length=2), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=True),
        sa.Column("open_tracking", sa.String(24), nullable=False),
        sa.Column("apple_seen_on", sa.Date(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recipients"),
        sa.UniqueConstraint("address_hash", name="uq_recipients_address_hash"),
        sqlite_autoincrement=True,
    )


def _senders() -> None:
    op.create_table(
        "senders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_class", sa.String(24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("from_address", sa.String(length=320), nullable=False),
        sa.Column("reply_to", sa.String(length=320), nullable=False),
        sa.Column("postal_address", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("ip_pool", sa.String(length=64), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "message_class IN ('promotional', 'administrative')", name=op.f("ck_senders_class")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_senders"),
        sa.UniqueConstraint("id", "message_class", name="uq_senders_id_message_class"),
    )


def _silenced_deliveries() -> None:
    op.create_table(
        "silenced_deliveries",
        sa.Column("delivery_id", base.BigId, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_silenced_deliveries"),
    )


def _single_values() -> None:
    op.create_table(
        "single_values",
        sa.Column("delivery_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("values", base.Document, nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_single_values"),
    )


def _spool_positions() -> None:
    op.create_table(
        "spool_positions",
        sa.Column("segment", sa.LargeBinary(length=16), nullable=False),
        sa.Column("position", base.BigId, nullable=False),
        sa.Column("updated_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("segment", name="pk_spool_positions"),
    )


def _staff() -> None:
    op.create_table(
        "staff",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("session_key", sa.String(length=64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_staff"),
        sa.UniqueConstraint("email", name="uq_staff_email"),
        sa.UniqueConstraint("session_key", name="uq_staff_session_key"),
        sqlite_autoincrement=True,
    )


def _suppressions() -> None:
    op.create_table(
        "suppressions",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("address_key_id", sa.SmallInteger(), nullable=False),
        sa.Column("scope", sa.String(24), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("source", sa.String(24), nullable=False),
        sa.Column("delivery_id", base.BigId, nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_suppressions"),
        sa.UniqueConstraint("address_hash", "reason", name="uq_suppressions_address_hash_reason"),
        sqlite_autoincrement=True,
    )


def _vendor_events() -> None:
    op.create_table(
        "vendor_events",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("event_id", sa.String(length=100), nullable=True),
        sa.Column("natural_key", sa.String(length=32), nullable=False),
        sa.Column("delivery_id", base.BigId, nullable=True),
        sa.Column("hand_over_id", base.BigId, nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("occurred_at", base.UtcDateTime(), nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=True),
        sa.Column("classification", sa.String(length=32), nullable=True),
        sa.Column("received_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vendor_events"),
        sa.UniqueConstraint("event_id", name="uq_vendor_events_event_id"),
        sa.UniqueConstraint("natural_key", name="uq_vendor_events_natural_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vendor_events_delivery_id", "vendor_events", ["delivery_id"], unique=False)
    op.create_index("ix_vendor_events_received_at", "vendor_events", ["received_at"], unique=False)


def _vendor_pace() -> None:
    op.create_table(
        "vendor_pace",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next_turn_at", base.UtcDateTime(), nullable=False),
        sa.Column("wait_until", base.UtcDateTime(), nullable=True),
        sa.Column("waits", sa.Integer(), nullable=False),
        sa.Column("stopped_at", base.UtcDateTime(), nullable=True),
        sa.Column("stopped_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_vendor_pace_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_vendor_pace"),
    )


def _audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("door", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("details", base.Document, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_audit_entries_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_audit_entries_subject_kind_subject_id",
        "audit_entries",
        ["subject_kind", "subject_id"],
        unique=False,
    )


def _sign_in_links() -> None:
    op.create_table(
        "sign_in_links",
        sa.Column("nonce_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("expires_at", base.UtcDateTime(), nullable=False),
        sa.Column("used_at", base.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_sign_in_links_staff_id"),
        sa.PrimaryKeyConstraint("nonce_hash", name="pk_sign_in_links"),
    )


def _staff_roles() -> None:
    op.create_table(
        "staff_roles",
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(24), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_staff_roles_staff_id"),
        sa.PrimaryKeyConstraint("staff_id", "role", name="pk_staff_roles"),
    )


def _topics() -> None:
    op.create_table(
        "topics",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("message_class", sa.String(24), nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("tracking", sa.String(24), nullable=False),
        sa.Column("unasked_tracking", sa.String(24), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "message_class = 'promotional' OR tracking = 'off'", name=op.f("ck_topics_pixel")
        ),
        sa.CheckConstraint(
            "message_class IN ('promotional', 'administrative')", name=op.f("ck_topics_class")
        ),
        sa.CheckConstraint(
            "unasked_tracking IN ('off', 'aggregate')", name=op.f("ck_topics_unasked")
        ),
        sa.ForeignKeyConstraint(
            ["sender_id", "message_class"],
            ["senders.id", "senders.message_class"],
            name="fk_topics_sender_id_message_class",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_topics"),
        sa.UniqueConstraint("id", "message_class", name="uq_topics_id_message_class"),
        sa.UniqueConstraint("slug", name="uq_topics_slug"),
        sqlite_autoincrement=True,
    )


def _wordings() -> None:
    op.create_table(
        "wordings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["purpose"], ["purposes.slug"], name="fk_wordings_purpose"),
        sa.PrimaryKeyConstraint("id", name="pk_wordings"),
        sa.UniqueConstraint(
            "purpose", "language", "sha256", name="uq_wordings_purpose_language_sha256"
        ),
    )


def _campaigns() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("topic_id", base.BigId, nullable=False),
        sa.Column("message_class", sa.String(24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("standing", sa.Boolean(), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=True),
        sa.Column("purpose", sa.String(24), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("editor_id", sa.Integer(), nullable=True),
        sa.Column("approver_id", sa.Integer(), nullable=True),
        sa.Column("approved_at", base.UtcDateTime(), nullable=True),
        sa.Column("paused_from", sa.String(24), nullable=True),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("due_at", base.UtcDateTime(), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=True),
        sa.Column("report_zone", sa.String(length=64), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("started_at", base.UtcDateTime(), nullable=True),
        sa.Column("first_hand_over_at", base.UtcDateTime(), nullable=True),
        sa.Column("finished_at", base.UtcDateTime(), nullable=True),
        sa.Column("closed_at", base.UtcDateTime(), nullable=True),
        sa.Column("frozen_to", base.BigId, nullable=False),
        sa.Column("freeze_end", base.BigId, nullable=True),
        sa.Column("chosen", sa.Integer(), nullable=False),
        sa.Column("frozen", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(message_class = 'administrative') = (purpose IS NOT NULL)",
            name=op.f("ck_campaigns_legal_purpose"),
        ),
        sa.CheckConstraint(
            "NOT standing OR message_class = 'administrative'", name=op.f("ck_campaigns_standing")
        ),
        sa.CheckConstraint(
            "approver_id IS NULL OR approver_id <> author_id",
            name=op.f("ck_campaigns_second_person"),
        ),
        sa.ForeignKeyConstraint(["approver_id"], ["staff.id"], name="fk_campaigns_approver_id"),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name="fk_campaigns_author_id"),
        sa.ForeignKeyConstraint(["editor_id"], ["staff.id"], name="fk_campaigns_editor_id"),
        sa.ForeignKeyConstraint(
            ["topic_id", "message_class"],
            ["topics.id", "topics.message_class"],
            name="fk_campaigns_topic_id_message_class",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_campaigns"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_campaigns_state", "campaigns", ["state"], unique=False)
    op.create_index("uq_campaigns_template", "campaigns", ["template"], unique=True)


def _imports() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("topic_id", base.BigId, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("imported_as", sa.String(24), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("policy_version_id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("started_at", base.UtcDateTime(), nullable=False),
        sa.Column("finished_at", base.UtcDateTime(), nullable=True),
        sa.Column("rows_done", sa.Integer(), nullable=False),
        sa.Column("counts", base.Document, nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_version_id"], ["policy_versions.id"], name="fk_imports_policy_version_id"
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_imports_staff_id"),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name="fk_imports_topic_id"),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
    )


def _subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("recipient_id", base.BigId, nullable=False),
        sa.Column("topic_id", base.BigId, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("source", sa.String(24), nullable=False),
        sa.Column("since", base.UtcDateTime(), nullable=False),
        sa.Column("policy_version_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_version_id"], ["policy_versions.id"], name="fk_subscriptions_policy_version_id"
        ),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["recipients.id"], name="fk_subscriptions_recipient_id"
        ),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name="fk_subscriptions_topic_id"),
        sa.PrimaryKeyConstraint("recipient_id", "topic_id", name="pk_subscriptions"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_subscriptions_topic_id_state", "subscriptions", ["topic_id", "state"], unique=False
    )


def _contents() -> None:
    op.create_table(
        "contents",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("variant", sa.String(length=32), nullable=False),
        sa.Column("format", sa.String(24), nullable=False),
        sa.Column("subject_source", sa.Text(), nullable=False),
        sa.Column("body_source", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("tags", base.Document, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name="fk_contents_campaign_id"),
        sa.PrimaryKeyConstraint("id", name="pk_contents"),
        sa.UniqueConstraint(
            "campaign_id",
            "revision",
            "language",
            "variant",
            name="uq_contents_campaign_id_revision_language_variant",
        ),
        sqlite_autoincrement=True,
    )


def _import_refusals() -> None:
    op.create_table(
        "import_refusals",
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("field", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name="fk_import_refusals_import_id"),
        sa.PrimaryKeyConstraint("import_id", "line", name="pk_import_refusals"),
    )


def _kept_out() -> None:
    op.create_table(
        "kept_out",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name="fk_kept_out_campaign_id"),
        sa.PrimaryKeyConstraint("campaign_id", "reason", name="pk_kept_out"),
    )


def _batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("content_id", base.BigId, nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("first_id", base.BigId, nullable=False),
        sa.Column("last_id", base.BigId, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("own", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("hand_over_id", base.BigId, nullable=True),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", base.UtcDateTime(), nullable=True),
        sa.CheckConstraint("own BETWEEN 0 AND n", name=op.f("ck_batches_own")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name="fk_batches_campaign_id"),
        sa.ForeignKeyConstraint(["content_id"], ["contents.id"], name="fk_batches_content_id"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_batches_campaign_id_first_id", "batches", ["campaign_id", "first_id"], unique=False
    )
    op.create_index(
        "ix_batches_pending",
        "batches",
        ["campaign_id", "priority", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_batches_sending",
        "batches",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "ix_batches_unknown",
        "batches",
        ["campaign_id"],
        unique=False,
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("state = 'unknown'"),
    )


def _hand_overs() -> None:
    op.create_table(
        "hand_overs",
        sa.Column("id", base.BigId, nullable=False),
        sa.Column("batch_id", base.BigId, nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("message_class", sa.String(24), nullable=False),
        sa.Column("vendor", sa.String(length=32), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("modes", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("claimed_at", base.UtcDateTime(), nullable=False),
        sa.Column("ended_at", base.UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=24), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("message_id", sa.String(length=128), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_hand_overs_batch_id"),
        sa.PrimaryKeyConstraint("id", name="pk_hand_overs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_hand_overs_batch_id", "hand_overs", ["batch_id"], unique=False)
    op.create_index("ix_hand_overs_campaign_id", "hand_overs", ["campaign_id"], unique=False)
    op.create_index("ix_hand_overs_message_id", "hand_overs", ["message_id"], unique=False)


_MORE_THAN_ERASURE = (
    "NEW.salt IS NOT NULL OR NEW.payload IS NOT NULL OR NEW.recipient_id IS NOT NULL"
    " OR NEW.seq <> OLD.seq OR NEW.recorded_at <> OLD.recorded_at"
    " OR NEW.commitment <> OLD.commitment OR NEW.entry_hash <> OLD.entry_hash"
)
# Each: table, what is refused, when (SQL over OLD and NEW; "" is always), and the sentence.
_REFUSALS = (
    ("consent_entries", "DELETE", "", "the consent ledger is append-only"),
    (
        "consent_entries",
        "UPDATE",
        _MORE_THAN_ERASURE,
        "an entry of the consent ledger may only be erased",
    ),
    ("audit_entries", "DELETE", "", "the audit is append-only"),
    ("audit_entries", "UPDATE", "", "the audit is append-only"),
    ("policy_versions", "DELETE", "", "a policy version is kept for ever"),
    (
        "policy_versions",
        "UPDATE",
        "NEW.text <> OLD.text OR NEW.sha256 <> OLD.sha256 OR NEW.version <> OLD.version",
        "the text of a policy version never changes",
    ),
    ("wordings", "UPDATE", "", "a wording never changes"),
    ("wordings", "DELETE", "", "a wording is kept as proof"),
    ("contents", "UPDATE", "", "a content never changes; an edit makes a new revision"),
    (
        "contents",
        "DELETE",
        "(SELECT state FROM campaigns WHERE id = OLD.campaign_id) <> 'draft'",
        "a started campaign keeps its contents",
    ),
)
_ON_SQLITE = (
    (
        "consent_entries",
        "INSERT",
        "NEW.seq <> COALESCE((SELECT max(seq) FROM consent_entries), 0) + 1",
        "an entry of the consent ledger is out of sequence",
    ),
    # INSERT OR REPLACE takes the old row away without a DELETE that a trigger would see.
    (
        "audit_entries",
        "INSERT",
        "EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id)",
        "the audit is append-only",
    ),
)
# Once a statement: a query a row would make an import's slices three times as long. It asks for
# the ends of the index only: a scan would cost every opt-out more with each year of the ledger.
_GAPLESS_ON_POSTGRESQL = """
CREATE FUNCTION consent_entries_refuse_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  first bigint := (SELECT min(seq) FROM added);
BEGIN
  IF first <> COALESCE((SELECT max(seq) FROM consent_entries WHERE seq < first), 0) + 1
    OR (SELECT max(seq) FROM consent_entries) <> (SELECT max(seq) FROM added)
    OR (SELECT max(seq) - first + 1 <> count(*) FROM added)
  THEN RAISE EXCEPTION 'an entry of the consent ledger is out of sequence'
    USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER consent_entries_refuse_insert AFTER INSERT ON consent_entries
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION consent_entries_refuse_insert();
"""
_NEVER_EMPTIED = ("consent_entries", "audit_entries", "policy_versions", "wordings")


def _triggers() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for refusal in (*_REFUSALS, *_ON_SQLITE):
            op.execute(_sqlite_trigger(*refusal))
        return
    for refusal in _REFUSALS:
        for statement in _postgresql_trigger(*refusal):
            op.execute(statement)
    op.execute(_GAPLESS_ON_POSTGRESQL)
    for table in _NEVER_EMPTIED:
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse_delete()"
        )


def _sqlite_trigger(table: str, event: str, condition: str, sentence: str) -> str:
    when = f"WHEN {condition} " if condition else ""
    trigger = f"CREATE TRIGGER {table}_refuse_{event.lower()} BEFORE {event} ON {table} {when}"
    return f"{trigger}BEGIN SELECT RAISE(ABORT, '{sentence}'); END"


def _postgresql_trigger(table: str, event: str, condition: str, sentence: str) -> list[str]:
    name = f"{table}_refuse_{event.lower()}"
    row = "OLD" if event == "DELETE" else "NEW"
    function = (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {condition or 'true'} THEN RAISE EXCEPTION '{sentence}' "
        f"USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN {row}; END $$"
    )
    trigger = (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
    )
    return [function, trigger]
