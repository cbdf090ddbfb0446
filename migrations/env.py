"""Alembic's entry: runs the migrations on the connection that mailprefs hands over."""

from alembic import context

from mailprefs.schema.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite can't alter most of a table in place: Alembic rebuilds it.
    render_as_batch=context.config.attributes.get("batch", connection.dialect.name == "sqlite"),
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
