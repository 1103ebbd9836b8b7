"""Alembic's environment: runs the migrations on the connection that `server.migrations` passes on."""  # noqa: INP001 - Alembic loads it by its path

from typing import Any

from alembic import context
from alembic.ddl.mysql import MySQLImpl
from sqlalchemy import inspect
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex

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


class RepeatableMySQL(MySQLImpl):
    """What Alembic does on MySQL, which commits each change of the schema: an interrupted migration is run again.

    `create_table(..., if_not_exists=True)` would make the table's indexes once more, and fail.
    """

    __dialect__ = "mysql"

    def _exec(self, construct: Any, *args: Any, **more: Any) -> Any:
        if isinstance(construct, CreateIndex) and self._is_there(construct.element):
            return None
        return super()._exec(construct, *args, **more)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    def _is_there(self, index: Any) -> bool:
        assert self.connection is not None
        names = {each["name"] for each in inspect(self.connection).get_indexes(index.table.name)}
        return index.name in names


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
