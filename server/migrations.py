"""Upgrades the SQL schema with Alembic, and refuses databases that a newer version has upgraded."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Final

from sqlalchemy import Column, MetaData, String, Table, inspect, select
from sqlalchemy.engine import Connection

from fingerprint.background import Background
from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.sqlite_copies import keep_copy_before_upgrade

_HERE: Final = Path(__file__).parent
_RETRY_SECONDS: Final = 1.0

_VERSION: Final = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Where Alembic keeps the schema's revision, in one row."""

_log = logging.getLogger(__name__)


class NewerSchemaError(TwitchAudioError):
    """The database has a schema of a newer version; it was not changed."""

    def __init__(self, revision: str) -> None:
        detail = (
            f"The database has schema {revision}, which a newer TwitchAudio made. Update TwitchAudio, or let "
            "TWITCHAUDIO_DATABASE_URL name another database. Nothing was changed."
        )
        super().__init__(ProblemCode.INTERNAL, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The schema's revisions before and after an upgrade; `before` is None for an empty database."""

    before: str | None
    after: str


def sql_folder() -> Path:
    """The folder of the migrations: `server/sql` in an installed wheel, `sql` in a checkout."""
    installed = _HERE / "sql"
    return installed if (installed / "env.py").is_file() else _HERE.parent / "sql"


@cache
def revisions() -> tuple[str, ...]:
    """All revisions of the schema, the oldest first: the numbers in the names of the migration files.

    The first call lists a folder, which blocks.
    """
    return tuple(sorted(path.name.partition("_")[0] for path in (sql_folder() / "versions").glob("[0-9]*.py")))


def _current(connection: Connection) -> str | None:
    current = (
        connection.scalar(select(_VERSION.c.version_num)) if inspect(connection).has_table(_VERSION.name) else None
    )
    if current is not None and current not in revisions():
        raise NewerSchemaError(current)
    return current


def _upgrade(connection: Connection, after: str) -> Schema:
    before = _current(connection)
    if before != after:
        file = connection.engine.url.database
        if before is not None and connection.dialect.name == "sqlite" and file is not None:
            # This transaction keeps other writers out, and has not changed anything yet.
            copy = keep_copy_before_upgrade(Path(file), before)
            _log.info("copied_before_upgrade", extra={"copy": str(copy)})
        _run_alembic(connection, after)
    return Schema(before=before, after=after)


def _run_alembic(connection: Connection, to: str) -> None:
    # Alembic takes long to load, and most starts find the schema up to date.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(sql_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)


async def upgrade(database: Database, *, to: str | None = None) -> Schema:
    """Upgrade the schema to the newest revision or to `to`; several processes may do so at once.

    On SQLite in one transaction, after a copy was made beside the file. MySQL commits each
    statement, so an interrupted migration is run again there.

    Raises NewerSchemaError; TwitchAudioError `busy` when the database does not answer.
    """
    after = to or (await asyncio.to_thread(revisions))[-1]
    before = await database.maintain("schema", _current)
    if before == after:
        return Schema(before=before, after=after)
    await asyncio.to_thread(import_module, "alembic.command")
    schema = await database.maintain("schema", lambda connection: _upgrade(connection, after))
    if schema.before != schema.after:
        _log.info("schema_upgraded", extra={"before": schema.before, "after": schema.after})
    return schema


async def check(database: Database) -> None:
    """Raise TwitchAudioError when the schema is not at the newest revision, or the database does not answer."""

    head = (await asyncio.to_thread(revisions))[-1]
    current = await database.read(_current)
    if current != head:
        detail = f"The database has schema {current}, this version needs {head}: run `twitchaudio db upgrade`."
        raise TwitchAudioError(ProblemCode.INTERNAL, detail)


@asynccontextmanager
async def kept_upgraded(database: Database, background: Background) -> AsyncGenerator[None]:
    """Upgrade the schema before the block; in the background if the database server does not answer yet.

    Raises as `upgrade` does, except when a database server does not answer.
    """
    try:
        await upgrade(database)
    except TwitchAudioError as error:
        if not database.remote or error.code is not ProblemCode.BUSY:
            raise
        task = background.start("upgrade the schema", partial(_upgrade_later, database))
    else:
        yield
        return
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _upgrade_later(database: Database) -> None:
    while True:
        await asyncio.sleep(_RETRY_SECONDS)
        try:
            await upgrade(database)
        except TwitchAudioError as error:
            if error.code is not ProblemCode.BUSY:
                _log.error("schema_not_upgraded", extra={"error": error.detail})
                return
        else:
            return
