"""Where units of SQL work run: on connections to a server, or in threads on connections to a SQLite file."""

import asyncio
import logging
import os
import sqlite3
import stat
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from fingerprint.cancellable_threads import CancellableThreads, CancellationToken
from fingerprint.settings import SettingsError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

Work = Callable[[Connection], T]
"""A unit of work. It may run in another thread, so it must not touch state that the event loop's code changes."""

_SQLITE_BUSY_MS: Final = 2_000
_SQLITE_READERS: Final = 3
_MYSQL_CONNECTIONS: Final = 10
# The limits of `Database` are shorter and do not count the event loop's own lag, as these do.
_MYSQL_ACQUIRE_SECONDS: Final = 20.0
_MYSQL_CONNECT_SECONDS: Final = 20.0
_MYSQL_RECYCLE_SECONDS: Final = 300
_MYSQL_LOCK_SECONDS: Final = 1
_CLOSE_SECONDS: Final = 0.5
_WRITES: Final = "twitchaudio_writes"
_URL_FORMS: Final = "sqlite:///PATH or mysql://USER:PASSWORD@HOST:PORT/NAME"

_log = logging.getLogger(__name__)


def parse_address(address: str) -> URL:
    """The parts of a database's address, with the driver that is used. Raises SettingsError."""
    if address.startswith("mysql") and address.count("@") > 1:
        # What comes after the first one would be taken for the host, and shown in errors.
        takes = f"{_URL_FORMS}, where @ in a password is written as %40, and / as %2F"
        raise SettingsError("TWITCHAUDIO_DATABASE_URL", address, takes, secret=True)
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        url = None
    match None if url is None else url.drivername:
        case "sqlite" if url is not None and url.database not in (None, "", ":memory:"):
            return url.set(drivername="sqlite+pysqlite")
        case "mysql" if url is not None and url.host and url.database and not url.query:
            return url.set(drivername="mysql+aiomysql", query={"charset": "utf8mb4"})
        case _:
            raise SettingsError("TWITCHAUDIO_DATABASE_URL", address, _URL_FORMS, secret=True)


def _mysql_engine(url: URL) -> "AsyncEngine":
    """READ COMMITTED, so that each statement sees what is committed, and few gaps are locked.

    A connection is asked whether it still lives before it is used: a restarted server is not noticed otherwise.
    """
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - it loads the ORM, which SQLite spares

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


def _sqlite_engine(url: URL) -> Engine:
    """Write-ahead log, so that readers never wait for a writer.

    A write transaction takes the write lock at its start (BEGIN IMMEDIATE), since one that begins by reading
    could not be granted it later.
    """
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=_SQLITE_READERS + 1,
        max_overflow=0,
        # Each is used by one thread at a time, though not always by the same.
        connect_args={"timeout": _SQLITE_BUSY_MS / 1000, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # pyright: ignore[reportUnusedFunction] - a listener
        # The driver's own transaction handling would begin at the first write only.
        connection.isolation_level = None
        cursor = connection.cursor()
        # It acts on a new file alone, before anything is written; on another it would wait for who writes there.
        is_new = cursor.execute("PRAGMA page_count").fetchone() == (0,)
        new = ("auto_vacuum=INCREMENTAL",) if is_new else ()
        for pragma in (*new, "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction] - a listener
        if connection.get_execution_options().get(_WRITES):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _keep_private(file: Path) -> None:
    """Create a SQLite file that only its owner may read, or take others' rights to it away.

    SQLite gives the files beside it the same rights. What cannot be created or changed is left to SQLite's errors.
    """
    with suppress(OSError):
        try:
            # Only a new file: to close one that SQLite has open in this process would end SQLite's locks on it.
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & 0o077:
                file.chmod(mode & 0o700)


class Backend(Protocol):
    """Runs units of work: on connections to a server, or in threads on connections to a SQLite file."""

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine that makes the connections."""
        ...

    async def run(self, work: Work[T], *, writes: bool) -> T:
        """Run `work` on a connection; if it `writes`, in a transaction, rolled back on errors and cancellation."""
        ...

    async def close(self) -> None:
        """Cancel the units of work under way and close all connections, within a moment."""
        ...


class _Server:
    """A MySQL or MariaDB server: the event loop runs the work and waits for each statement."""

    def __init__(self, engine: "AsyncEngine") -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        return self._engine.sync_engine

    async def run(self, work: Work[T], *, writes: bool) -> T:
        async with self._connected() as connection:
            if not writes:
                return await connection.run_sync(work)
            async with connection.begin():
                return await connection.run_sync(work)

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator["AsyncConnection"]:
        """A connection that goes back to the pool, or is dropped when returning it fails too."""
        connection = await self._engine.connect()
        try:
            yield connection
        finally:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.close()
            except TimeoutError:
                _log.warning("connection_dropped")


class _File:
    """A SQLite file: one thread runs a whole unit of work.

    Handing work to a thread and back takes longer than a statement, and a turn of the loop when the loop is busy,
    so it happens once for each unit. SQLite allows one writer at a time, so one thread writes: its queue is fair
    and cheap, while SQLite's own lock is polled.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing_engine = engine.execution_options(**{_WRITES: True})
        self._readers = CancellableThreads("database reader", _SQLITE_READERS)
        self._writer = CancellableThreads("database writer", 1)

    @property
    def engine(self) -> Engine:
        return self._engine

    async def run(self, work: Work[T], *, writes: bool) -> T:
        if writes:
            return await self._writer.run(lambda token: self._write(work, token))
        return await self._readers.run(lambda token: self._read(work, token))

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _read(self, work: Work[T], token: CancellationToken) -> T:
        with self._connected(self._engine, token) as connection:
            return work(connection)

    def _write(self, work: Work[T], token: CancellationToken) -> T:
        with self._connected(self._writing_engine, token) as connection, connection.begin():
            result = work(connection)
            token.check()
            return result

    @contextmanager
    def _connected(self, engine: Engine, token: CancellationToken) -> Generator[Connection]:
        """A connection; what runs on it is interrupted when the caller is cancelled."""
        token.check()
        with engine.connect() as connection:
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            with token.on_cancel(driver.interrupt):
                yield connection

    def _close(self) -> None:
        for threads in (self._writer, self._readers):
            threads.close(_CLOSE_SECONDS)
        self._engine.dispose()


def open_backend(address: str) -> Backend:
    """The backend for `sqlite:///PATH` or `mysql://USER:PASSWORD@HOST:PORT/NAME`.

    No connection is opened before its first use, but a file and its folder are created. Raises SettingsError for
    an address that cannot be used.
    """
    url = parse_address(address)
    if url.get_backend_name() == "mysql":
        return _Server(_mysql_engine(url))
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        takes = f"a place that can be written: {folder}: {error.strerror}"
        raise SettingsError("TWITCHAUDIO_DATABASE_URL", address, takes, secret=True) from error
    _keep_private(Path(url.database or ""))
    return _File(_sqlite_engine(url))
