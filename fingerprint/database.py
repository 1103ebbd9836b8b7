"""The SQL database, SQLite or MySQL: SQLAlchemy Core on asyncio; no ORM, and no dialect is named elsewhere.

Moments are whole microseconds since 1970 in UTC, which sort, compare and round-trip alike in every dialect.
The schema is made by Alembic from `sql/versions`; a test holds the two against each other.
"""

import asyncio
import logging
import math
import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    UpdateBase,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.schema import SchemaItem

from fingerprint.database_advice import NO_ANSWER, database_advice
from fingerprint.database_backends import Backend, Work, open_backend
from fingerprint.domain.problems import ProblemCode, TwitchAudioError

T = TypeVar("T")

Values = Mapping[str, Any]
"""The bound values of a statement, by the names of its parameters."""

NO_VALUES: Final[Values] = {}

QUERY_SECONDS: Final = 3.0
"""The limit of one unit of work, the wait for a connection and for locks included."""

MAINTENANCE_SECONDS: Final = 600.0
"""The limit of a change to the schema, the wait for another process that changes it included."""

_MYSQL_DEADLOCK: Final = 1213
_ATTEMPTS: Final = 3
_STEP_SECONDS: Final = 0.05
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_log = logging.getLogger(__name__)


def exact_text(length: int) -> String:
    """A short text compared byte by byte: MySQL's default collations take `Slug` and `slug` for the same."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


MYSQL_TABLE: Final[dict[str, Any]] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
"""What every table says for itself: the defaults of a server or of a database may be anything."""

metadata: Final = MetaData()


def sql_table(name: str, *parts: SchemaItem) -> Table:
    """A table of the database, of these columns, constraints and indexes."""
    return Table(name, metadata, *parts, **MYSQL_TABLE)


heard_spans: Final = sql_table(
    "heard_spans",
    Column("identification_id", exact_text(64), primary_key=True),
    Column("broadcast_id", exact_text(32), nullable=False),
    # Seconds since the broadcast began, rounded outwards.
    Column("start_s", BigInteger, nullable=False),
    Column("end_s", BigInteger, nullable=False),
    Index("ix_heard_spans_broadcast_start", "broadcast_id", "start_s"),
)
"""The time lines of broadcasts: where the sound of an answer is."""

identifications: Final = sql_table(
    "identifications",
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
    Index("ix_identifications_kind_status_created", "kind", "status", "created_us"),
)

leases: Final = sql_table(
    "leases",
    Column("target_key", exact_text(191), primary_key=True),
    Column("identification_id", exact_text(64), nullable=False),
    Column("owner", exact_text(191), nullable=False),
    Column("fence", BigInteger, nullable=False),
    # 0 once the work is over: no lease, and nothing to renew.
    Column("expires_us", BigInteger, nullable=False),
    Index("ix_leases_identification", "identification_id"),
)


named_locks: Final = sql_table(
    "named_locks",
    Column("name", exact_text(64), primary_key=True),
    # How often it was taken: a row is locked by changing it.
    Column("taken", BigInteger, nullable=False),
)


def to_us(moment: datetime) -> int:
    """Converts an aware datetime to whole microseconds since 1970 (UTC)."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Converts microseconds since 1970 to an aware datetime in UTC; the inverse of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)


class _DeadlockError(TwitchAudioError):
    """The server ended the transaction in favor of another one; it may be run again at once."""


@asynccontextmanager
async def _lag_tolerant_timeout(seconds: float) -> AsyncGenerator[None]:
    """A time limit that counts ticks of the loop, not wall time: its lag must not look like a slow database.

    One use of the database takes a dozen turns of the loop. When thousands of requests come at once a turn takes
    tenths of a second, and all of them would fail as if the database could not be reached.
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
    """Turn every error of the database into `busy` for the caller, and into a log entry for the operator."""
    try:
        async with _lag_tolerant_timeout(seconds):
            yield
    except (SQLAlchemyError, sqlite3.Error, OSError, EOFError, TimeoutError) as error:
        detail = NO_ANSWER
        if isinstance(error, DBAPIError) and error.orig is not None and error.orig.args[:1] == (_MYSQL_DEADLOCK,):
            raise _DeadlockError(ProblemCode.BUSY, detail, retry_after_seconds=1.0) from error
        said = {"error": f"{type(error).__name__}: {error}"[:500], "advice": database_advice(error)}
        _log.error("database_failed", extra=said)
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0) from error


class Database:
    """Units of work: each has a time limit and fails as TwitchAudioError `busy`, never otherwise.

    A unit is a plain function of a connection. What it returns must not need the connection any more. On SQLite it
    runs in another thread: it must neither change what the event loop's code uses nor use the running loop.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine behind the connections, for tests and metrics that observe it."""
        return self._backend.engine

    @property
    def remote(self) -> bool:
        """True for a database server, which may come back after a failure; False for a file."""
        return self.engine.dialect.name != "sqlite"

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which changes nothing; each statement sees what is committed when it starts."""
        async with _translated(QUERY_SECONDS):
            return await self._backend.run(work, writes=False)

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in a transaction, rolled back when it raises.

        It is run again from its start when the database rolled it back to end a deadlock.
        """
        for _attempt in range(_ATTEMPTS - 1):
            try:
                return await self._transact_once(work)
            except _DeadlockError:
                _log.info("deadlock")
        return await self._transact_once(work)

    async def _transact_once(self, work: Work[T]) -> T:
        async with _translated(QUERY_SECONDS):
            return await self._backend.run(work, writes=True)

    async def rows(self, query: Select[*tuple[Any, ...]], values: Values = NO_VALUES) -> Sequence[Row[Any]]:
        return await self.read(lambda connection: connection.execute(query, values).all())

    async def first(self, query: Select[*tuple[Any, ...]], values: Values = NO_VALUES) -> Row[Any] | None:
        return await self.read(lambda connection: connection.execute(query, values).first())

    async def change(self, statement: UpdateBase, values: Values = NO_VALUES) -> int:
        """Run one statement that changes rows; returns how many it changed."""
        return await self.transact(lambda connection: connection.execute(statement, values).rowcount)

    async def maintain(self, name: str, work: Work[T]) -> T:
        """Run `work` in a transaction with time for a change of the schema; one at a time among all processes.

        MySQL commits each such change by itself: there, the changes of work that fails are not undone.
        """
        lock = {"name": f"twitchaudio-{name}", "seconds": MAINTENANCE_SECONDS}

        def locked(connection: Connection) -> T:
            connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), lock)
            try:
                return work(connection)
            finally:
                connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": lock["name"]})

        async with _translated(MAINTENANCE_SECONDS):
            if self.remote:
                return await self._backend.run(locked, writes=True)
            return await self._run_when_unlocked(work)

    async def _run_when_unlocked(self, work: Work[T]) -> T:
        """Run `work` in a transaction of a file, however long another process holds the file's lock."""
        told = False
        while True:
            try:
                return await self._backend.run(work, writes=True)
            except OperationalError as error:
                # Each try has waited for a moment itself.
                if not isinstance(error.orig, sqlite3.Error) or error.orig.sqlite_errorname != "SQLITE_BUSY":
                    raise
            if not told:
                _log.warning("database_locked_by_another_process")
            told = True

    async def ping(self) -> None:
        """Raise TwitchAudioError `busy` when the database cannot be queried."""
        await self.read(lambda connection: connection.execute(text("SELECT 1")).first())


@asynccontextmanager
async def open_database(address: str) -> AsyncGenerator[Database]:
    """The database at an address, closed at the end; the missing folder of a file is made.

    Raises SettingsError for an address that cannot be used.
    """
    async with closing_database(open_backend(address)) as database:
        yield database


@asynccontextmanager
async def closing_database(backend: Backend) -> AsyncGenerator[Database]:
    """The database of a backend, closed at the end."""
    try:
        yield Database(backend)
    finally:
        await backend.close()
