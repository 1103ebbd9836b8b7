"""Alembic's environment: runs the migrations on the connection that `server.migrations` passes on."""  # noqa: INP001 - Alembic loads it by its path

from alembic import context
from sqlalchemy.engine import Connection

# Every module that declares tables is imported, so that the metadata is complete.
import fingerprint.links.media_store
import fingerprint.links.store
import fingerprint.providers.usage  # noqa: F401
import server.access.tables
import server.audit.tables
import server.channel_name_table
import server.channels.tables
import server.learning.tables
import server.owner_choices.tables
import server.songs.tables
import server.webhooks.tables  # noqa: F401
from fingerprint.database import metadata


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
