"""The SQL database: tables and engine, SQLAlchemy Core on asyncio; no ORM, and no dialect is named elsewhere.

Moments are whole microseconds since 1970 in UTC, which sort, compare and round-trip alike in every dialect.
The schema is made by Alembic from `sql/versions`; a test holds the two against each other.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    MetaData,
    String,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.settings import PipelineSettings, SettingsError

QUERY_SECONDS: Final = 3.0
"""The limit of one unit of work, the wait for a connection and for locks included."""

SQLITE_FILE: Final = "twitchaudio.sqlite3"
_SQLITE_BUSY_MS: Final = 2_000
_SQLITE_CONNECTIONS: Final = 4
_WRITES: Final = "twitchaudio_writes"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_URL_FORMS: Final = "sqlite:///PATH (MySQL is not supported yet)"

_log = logging.getLogger(__name__)


def exact_text(length: int) -> String:
    """A short text compared byte by byte: MySQL's default collations take `Slug` and `slug` for the same."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


metadata: Final = MetaData()

identifications: Final = Table(
    "identifications",
    metadata,
    Column("id", exact_text(64), primary_key=True),
    Column("target_key", exact_text(191), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("target", Text, nullable=False),
    Column("at_seconds", Float(53)),
    Column("status", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),
    # The finished answer in the wire form; up to 16 MiB on MySQL.
    Column("body", Text(2**24 - 1)),
    Index("ix_identifications_target_status_created", "target_key", "status", "created_us"),
)

leases: Final = Table(
    "leases",
    metadata,
    Column("target_key", exact_text(191), primary_key=True),
    Column("identification_id", exact_text(64), nullable=False),
    Column("owner", exact_text(191), nullable=False),
    Column("fence", BigInteger, nullable=False),
    # 0 once the work is over: no lease, and nothing to renew.
    Column("expires_us", BigInteger, nullable=False),
)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """The inverse of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def database_url(settings: PipelineSettings) -> str:
    """The configured address, or that of the SQLite file in the data folder."""
    if settings.database_url is not None:
        return settings.database_url
    return URL.create("sqlite", database=str(settings.data_dir / SQLITE_FILE)).render_as_string()


def _parse(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        raise SettingsError("TWITCHAUDIO_DATABASE_URL", address, _URL_FORMS, secret=True)
    return url.set(drivername="sqlite+aiosqlite")


def open_engine(address: str) -> AsyncEngine:
    """An engine for `sqlite:///PATH`; nothing is opened before its first use.

    Write-ahead log, so that readers never wait for a writer; a write transaction takes the write lock at its
    start (BEGIN IMMEDIATE), since one that begins by reading could not be granted it later.

    Raises SettingsError for another address.
    """
    engine = create_async_engine(
        _parse(address),
        hide_parameters=True,
        pool_size=_SQLITE_CONNECTIONS,
        max_overflow=0,
        pool_timeout=QUERY_SECONDS,
        connect_args={"timeout": _SQLITE_BUSY_MS / 1000},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # pyright: ignore[reportUnusedFunction] - a listener
        # The driver's own transaction handling would begin at the first write only.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction] - a listener
        if connection.get_execution_options().get(_WRITES):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@asynccontextmanager
async def _translated() -> AsyncGenerator[None]:
    """Turn every error of the database into `busy` for the person who asks, and a log entry for the operator."""
    try:
        async with asyncio.timeout(QUERY_SECONDS):
            yield
    except (SQLAlchemyError, sqlite3.Error, OSError, TimeoutError) as error:
        _log.error("database_failed", extra={"error": f"{type(error).__name__}: {error}"[:500]})
        detail = "Our database does not answer. Try again in a moment."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0) from error


class Database:
    """Units of work on an engine: each has a time limit and fails as TwitchAudioError `busy`, never otherwise."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writing_engine = engine.execution_options(**{_WRITES: True})
        # SQLite has one writer at a time: queueing here is fair and cheap, its own lock is polled.
        self._writer = asyncio.Lock()

    @property
    def engine(self) -> AsyncEngine:
        """The engine itself, for migrations."""
        return self._engine

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A connection to read from; each statement sees what is committed when it starts."""
        async with _translated(), self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction: committed at the end, rolled back when the block raises."""
        async with _translated(), self._writer, self._writing_engine.begin() as connection:
            yield connection

    async def ping(self) -> None:
        """Raise `busy` when the database cannot be asked."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))


@asynccontextmanager
async def open_database(address: str) -> AsyncGenerator[Database]:
    """The database at an address, closed at the end; a missing folder is made.

    Raises SettingsError for an address that cannot be used.
    """
    engine = open_engine(address)
    folder = Path(engine.url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        takes = f"a place that can be written: {folder}: {error.strerror}"
        raise SettingsError("TWITCHAUDIO_DATABASE_URL", address, takes, secret=True) from error
    try:
        yield Database(engine)
    finally:
        await engine.dispose()
