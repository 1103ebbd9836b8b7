"""Gives the space of deleted rows back to the disk: by itself, SQLite keeps it in its file for later rows."""

import contextlib
import shutil
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import Connection

from fingerprint.background import Background, unhurried
from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Clock

STEP_PAGES: Final = 256
"""How many pages one step gives back: 1 MiB."""

KEPT_PAGES: Final = 1_000
"""How many free pages always stay for new rows, and at least a tenth of the file."""

_INTERVAL_SECONDS: Final = 600.0
_INCREMENTAL: Final = 2
_LOCK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """The size of a database file, in bytes."""

    before: int
    after: int


def give_back(connection: Connection) -> int:
    """Give some free pages back; returns how many. 0 when there are few, or the file was not made for it."""
    mode, free, pages = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("auto_vacuum", "freelist_count", "page_count")
    )
    if mode != _INCREMENTAL:
        return 0
    count = min(STEP_PAGES, free - max(KEPT_PAGES, pages // 10))
    for _ in range(count):
        # Python's driver runs such a statement up to its first page, whatever number it is given.
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return max(0, count)


@asynccontextmanager
async def space_given_back(database: Database, clock: Clock, background: Background) -> AsyncGenerator[None]:
    """Give free pages of a SQLite file back during the block, in small transactions."""
    if database.remote:
        yield
        return

    async def keep_giving_back() -> None:
        while True:
            with contextlib.suppress(TwitchAudioError):
                more = 1
                while more:
                    async with unhurried(clock):
                        more = await database.transact(give_back)
            await clock.sleep(_INTERVAL_SECONDS)

    async with background.running({"give free space back": keep_giving_back}):
        yield


def vacuum(file: Path) -> Vacuumed:
    """Write a database again without free pages, so that it gives space back by itself from then on.

    Nothing else may use it. Raises TwitchAudioError, after which it is as it was.
    """
    if not file.is_file():
        raise TwitchAudioError(ProblemCode.INTERNAL, f"There is no database {file}.")
    before = file.stat().st_size
    needed, free = 2 * before, shutil.disk_usage(file.parent).free
    if free < needed:
        room = f"{_mb(needed)} MB free beside {file}, and there are {_mb(free)}"
        raise TwitchAudioError(ProblemCode.INTERNAL, f"This needs {room}. Nothing was changed.")
    address = f"{file.absolute().as_uri()}?mode=rw"
    try:
        with closing(
            sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS, isolation_level=None)
        ) as connection:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        detail = f"The database {file} was not changed: {error}."
        raise TwitchAudioError(ProblemCode.INTERNAL, detail) from error
    return Vacuumed(before, file.stat().st_size)


def _mb(size: int) -> int:
    return round(size / 1e6)
