"""The SQL database, SQLite or MySQL: SQLAlchemy Core on asyncio; no ORM, and no dialect is named elsewhere.

Moments are whole microseconds since 1970 in UTC, which sort, compare and round-trip alike in every dialect.
The schema is made by Alembic from `sql/versions`; a test holds the two against each other.
"""

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import itemgetter
from pathlib import Path
from threading import Thread
from typing import Any, Final, TypeVar
from weakref import WeakSet

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
    insert,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.settings import PipelineSettings, SettingsError

T = TypeVar("T")

QUERY_SECONDS: Final = 3.0
"""The limit of one unit of work, the wait for a connection and for locks included."""

MAINTENANCE_SECONDS: Final = 600.0
"""The limit of a change to the schema, the wait for another process that changes it included."""

SQLITE_FILE: Final = "twitchaudio.sqlite3"
_SQLITE_BUSY_MS: Final = 2_000
_SQLITE_CONNECTIONS: Final = 4
_MYSQL_CONNECTIONS: Final = 10
_MYSQL_ACQUIRE_SECONDS: Final = 2.0
_MYSQL_CONNECT_SECONDS: Final = 2.0
_MYSQL_RECYCLE_SECONDS: Final = 300
_MYSQL_LOCK_SECONDS: Final = 1
_MYSQL_DEADLOCK: Final = 1213
_ATTEMPTS: Final = 3
_ROWS_AT_ONCE: Final = 500
_STEP_SECONDS: Final = 0.05
_CLOSE_SECONDS: Final = 0.5
_WRITES: Final = "twitchaudio_writes"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_URL_FORMS: Final = "sqlite:///PATH or mysql://USER:PASSWORD@HOST:PORT/NAME"

_log = logging.getLogger(__name__)


def exact_text(length: int) -> String:
    """A short text compared byte by byte: MySQL's default collations take `Slug` and `slug` for the same."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


MYSQL_TABLE: Final[dict[str, Any]] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
"""What every table says for itself: the defaults of a server or of a database may be anything."""

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
    # When a listener reported the answer as wrong.
    Column("doubted_us", BigInteger),
    Index("ix_identifications_target_status_created", "target_key", "status", "created_us"),
    **MYSQL_TABLE,
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
    **MYSQL_TABLE,
)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


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
    match None if url is None else url.drivername:
        case "sqlite" if url is not None and url.database not in (None, "", ":memory:"):
            return url.set(drivername="sqlite+aiosqlite")
        case "mysql" if url is not None and url.host and url.database and not url.query:
            return url.set(drivername="mysql+aiomysql", query={"charset": "utf8mb4"})
        case _:
            raise SettingsError("TWITCHAUDIO_DATABASE_URL", address, _URL_FORMS, secret=True)


def open_engine(address: str) -> AsyncEngine:
    """An engine for `sqlite:///PATH` or `mysql://USER:PASSWORD@HOST:PORT/NAME`; nothing is opened before its use.

    Raises SettingsError for another address.
    """
    url = _parse(address)
    return _mysql_engine(url) if url.get_backend_name() == "mysql" else _sqlite_engine(url)


def _mysql_engine(url: URL) -> AsyncEngine:
    """READ COMMITTED, so that each statement sees what is committed, and few gaps are locked.

    A connection is asked whether it still lives before it is used: a restarted server is not noticed otherwise.
    """
    return create_async_engine(
        url,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_size=_MYSQL_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_MYSQL_ACQUIRE_SECONDS,
        pool_recycle=_MYSQL_RECYCLE_SECONDS,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": _MYSQL_CONNECT_SECONDS,
            "init_command": f"SET SESSION innodb_lock_wait_timeout = {_MYSQL_LOCK_SECONDS}",
        },
    )


def _sqlite_engine(url: URL) -> AsyncEngine:
    """Write-ahead log, so that readers never wait for a writer.

    A write transaction takes the write lock at its start (BEGIN IMMEDIATE), since one that begins by reading
    could not be granted it later.
    """
    engine = create_async_engine(
        url,
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


class _DeadlockError(TwitchAudioError):
    """The server ended the transaction in favor of another one; it may be run again at once."""


@asynccontextmanager
async def _patience(seconds: float) -> AsyncGenerator[None]:
    """A time limit that counts in small steps: what the loop does meanwhile is not the database's fault.

    Each use of it takes a dozen turns of the loop. When thousands come at once a turn takes tenths of a second,
    and all would be told that the database is away.
    """
    loop = asyncio.get_running_loop()
    left = math.ceil(seconds / _STEP_SECONDS)
    async with asyncio.timeout(None) as limit:

        def step() -> None:
            nonlocal left, timer
            left -= 1
            if left > 0:
                timer = loop.call_later(_STEP_SECONDS, step)
            else:
                limit.reschedule(loop.time())

        timer = loop.call_later(_STEP_SECONDS, step)
        try:
            yield
        finally:
            timer.cancel()


@asynccontextmanager
async def _translated(seconds: float) -> AsyncGenerator[None]:
    """Turn every error of the database into `busy` for the person who asks, and a log entry for the operator."""
    try:
        async with _patience(seconds):
            yield
    except (SQLAlchemyError, sqlite3.Error, OSError, EOFError, TimeoutError) as error:
        detail = "Our database does not answer. Try again in a moment."
        if isinstance(error, DBAPIError) and error.orig is not None and error.orig.args[:1] == (_MYSQL_DEADLOCK,):
            raise _DeadlockError(ProblemCode.BUSY, detail, retry_after_seconds=1.0) from error
        _log.error("database_failed", extra={"error": f"{type(error).__name__}: {error}"[:500]})
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0) from error


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A connection that goes back to the pool, or is dropped when the server does not even answer to that."""
    connection = await engine.connect()
    try:
        yield connection
    finally:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await connection.close()
        except TimeoutError:
            _log.warning("connection_dropped")


class Database:
    """Units of work on an engine: each has a time limit and fails as TwitchAudioError `busy`, never otherwise."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writing_engine = engine.execution_options(**{_WRITES: True})
        # SQLite has one writer at a time: queueing here is fair and cheap, its own lock is polled.
        self._writer = None if self.remote else asyncio.Lock()

    @property
    def engine(self) -> AsyncEngine:
        """The engine itself, for migrations."""
        return self._engine

    @property
    def remote(self) -> bool:
        """A server that may come back, rather than a file."""
        return self._engine.dialect.name != "sqlite"

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A connection to read from; each statement sees what is committed when it starts."""
        async with _translated(QUERY_SECONDS), _connected(self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction: committed at the end, rolled back when the block raises."""
        async with _translated(QUERY_SECONDS), self._transaction() as connection:
            yield connection

    async def transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do `work` in a transaction, and once more from its start when the database chose it to end a deadlock.

        For transactions of several statements that others may run at the same time.
        """
        for _attempt in range(_ATTEMPTS - 1):
            try:
                async with self.write() as connection:
                    return await work(connection)
            except _DeadlockError:
                _log.info("deadlock")
        async with self.write() as connection:
            return await work(connection)

    @asynccontextmanager
    async def maintain(self, name: str) -> AsyncGenerator[AsyncConnection]:
        """A transaction with time for a change of the schema; one at a time among all processes.

        MySQL commits each such change by itself: there, what a failed block had done stays.
        """
        async with _translated(MAINTENANCE_SECONDS), self._transaction() as connection:
            if not self.remote:
                yield connection
                return
            lock = {"name": f"twitchaudio-{name}", "seconds": MAINTENANCE_SECONDS}
            await connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), lock)
            try:
                yield connection
            finally:
                await connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": lock["name"]})

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            if self._writer is not None:
                await stack.enter_async_context(self._writer)
            connection = await stack.enter_async_context(_connected(self._writing_engine))
            await stack.enter_async_context(connection.begin())
            yield connection

    async def ping(self) -> None:
        """Raise `busy` when the database cannot be asked."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))


async def insert_all(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, several hundred with each statement.

    The driver's own way for many rows takes a statement for each: on SQLite its thread and ours then pass the
    interpreter to each other for every row, which takes longer than the work where requests keep ours busy.
    """
    if not rows:
        return
    compiled = insert(table).compile(dialect=connection.dialect, column_keys=list(rows[0]))
    head, _, one = str(compiled).rpartition(" VALUES ")
    picked = itemgetter(*(compiled.positiontup or ()))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        values = tuple(chain.from_iterable(map(picked, part)))
        await connection.exec_driver_sql(f"{head} VALUES {', '.join([one] * len(part))}", values)


@asynccontextmanager
async def open_database(address: str) -> AsyncGenerator[Database]:
    """The database at an address, closed at the end; the missing folder of a file is made.

    Raises SettingsError for an address that cannot be used.
    """
    engine = open_engine(address)
    database = Database(engine)
    if not database.remote:
        folder = Path(engine.url.database or "").parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            takes = f"a place that can be written: {folder}: {error.strerror}"
            raise SettingsError("TWITCHAUDIO_DATABASE_URL", address, takes, secret=True) from error
    threads = _driver_threads(engine)
    try:
        yield database
    finally:
        await engine.dispose()
        left = [thread for thread in threads if thread.is_alive()]
        if left:
            await asyncio.to_thread(_join, left)


def _driver_threads(engine: AsyncEngine) -> Set[Thread]:
    """The threads of the connections to SQLite, as they are made.

    That of a connection whose user was cancelled in mid-query still reports to the loop, which must be there.
    """
    threads: WeakSet[Thread] = WeakSet()

    @event.listens_for(engine.sync_engine, "connect")
    def note(connection: Any, _record: object) -> None:  # pyright: ignore[reportUnusedFunction] - a listener
        thread = getattr(connection.driver_connection, "_thread", None)
        if isinstance(thread, Thread):
            threads.add(thread)

    return threads


def _join(threads: Iterable[Thread]) -> None:
    until = time.monotonic() + _CLOSE_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
