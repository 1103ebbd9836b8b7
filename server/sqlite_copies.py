"""Copies of a SQLite database by its own online method: whole and consistent while servers write to it."""

import os
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fingerprint.domain.problems import ProblemCode, TwitchAudioError

FOLDER: Final = "backups"
"""Beside the database: copies from before changes of the schema."""

KEPT: Final = 3
"""How many of them are kept."""

_LOCK_SECONDS: Final = 30.0
_COPY: Final = re.compile(r"before-upgrade-[0-9TZ.]+-[0-9a-z_]+\.sqlite3")


def copy_database(source: Path, destination: Path) -> None:
    """Copy a database, as it is at this moment, to a new file that only its owner may read, and check the copy.

    What is still in the log beside the file (`-wal`) is in the copy, too. Raises TwitchAudioError, after which
    there is no copy.
    """
    try:
        os.close(os.open(destination, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        address = f"{source.absolute().as_uri()}?mode=rw"
        with (
            closing(sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS)) as live,
            closing(sqlite3.connect(destination)) as copy,
        ):
            live.backup(copy)
            # One file alone, without a log beside it.
            copy.execute("PRAGMA journal_mode=DELETE")
            require_whole(copy)
    except (OSError, sqlite3.Error) as error:
        destination.unlink(missing_ok=True)
        raise TwitchAudioError(
            ProblemCode.INTERNAL, f"The database {source} cannot be copied to {destination.parent}: {error}."
        ) from error
    except BaseException:
        destination.unlink(missing_ok=True)
        raise


def require_whole(connection: sqlite3.Connection) -> None:
    """Read the whole database. Raises sqlite3.DatabaseError, which names the first thing that is damaged."""
    found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def keep_copy_before_upgrade(database: Path, revision: str) -> Path:
    """Copy a database to the folder beside it before its schema is changed; the oldest such copies are deleted.

    Returns the copy. Raises TwitchAudioError when none can be made.
    """
    folder = database.parent / FOLDER
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        detail = f"The database was not upgraded, since {folder} for a copy cannot be made: {error.strerror}."
        raise TwitchAudioError(ProblemCode.INTERNAL, detail) from error
    copy = folder / f"before-upgrade-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{revision}.sqlite3"
    copy_database(database, copy)
    copies = sorted(path for path in folder.iterdir() if _COPY.fullmatch(path.name))
    for path in copies[:-KEPT]:
        path.unlink(missing_ok=True)
    return copy
