"""Alembic's environment: runs the migrations on the connection that `server.migrations` passes on."""  # noqa: INP001 - Alembic loads it by its path

from alembic import context
from sqlalchemy.engine import Connection

from fingerprint.database import metadata
from fingerprint.links import store as link_store
from fingerprint.providers import usage
from server import channel_name_table
from server.access import tables as access_tables
from server.audit import tables as log_tables
from server.channels import tables as channel_tables
from server.songs import tables as song_tables
from server.webhooks import tables as webhook_tables

# Import every module that declares tables, so that the metadata is complete.
assert all(
    module.metadata is metadata
    for module in (
        access_tables,
        channel_name_table,
        channel_tables,
        log_tables,
        link_store,
        song_tables,
        usage,
        webhook_tables,
    )
)


def run(connection: Connection) -> None:
    """Run the migrations inside the caller's transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,  # SQLite alters a table by copying it
        transactional_ddl=True,
        compare_type=True,
    )
    context.run_migrations()


run(context.config.attributes["connection"])
