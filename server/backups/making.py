"""Makes a backup while servers run, reads it again, and gives it its name last of all."""

import contextlib
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fingerprint.catalog.backup import back_up
from fingerprint.catalog.manifest import manifest_stamp
from fingerprint.configured_database import database_url
from fingerprint.database_backends import parse_address
from fingerprint.settings import given_settings
from fingerprint.unfinished import room_beside
from server.access.identity.admins import FILE as ADMINS
from server.access.identity.session_keys import FILE as SESSION_KEY
from server.backups.archive import DATABASES, Archive, BackupContent, BackupError, our_version, write
from server.backups.mysql import MySql
from server.data_folder import UNFINISHED
from server.settings import ServerSettings
from server.sqlite_copies import copy_database
from server.vitals import record_backup

DATED: Final = re.compile(r"twitchaudio-([0-9]{8}T[0-9]{6}Z)(?:-([0-9]{1,4}))?\.tar")
"""The names that we give to backups in a folder: the time, and a number for a further one of the same second."""

_MAX_A_SECOND: Final = 1000

DATA_FILES: Final = (SESSION_KEY, ADMINS, "tracks.csv")
"""The files of the data folder that are ours, beside the database and the catalog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A finished backup. `left_out`: a sentence for each part of the installation that is not in it.

    `size`: of the file, in bytes.
    """

    place: str
    content: BackupContent
    size: int
    left_out: tuple[str, ...]


def dated_name(number: int = 1) -> str:
    """The name of a backup that is made now: the first one of this second, or a further one."""
    further = "" if number == 1 else f"-{number}"
    return f"twitchaudio-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{further}.tar"


def free_name(is_there: Callable[[str], bool]) -> str:
    """The name of a backup that is made now, which no other one has. Raises BackupError."""
    for number in range(1, _MAX_A_SECOND):
        name = dated_name(number)
        if not is_there(name):
            return name
    raise BackupError("Too many backups were made in this second: try again.")


def outdated(names: Iterable[str], keep: int) -> list[str]:
    """Of the files in a folder, the backups beyond the newest `keep`, by the time in their names."""
    dated = [(found[1], int(found[2] or 1), name) for name in names if (found := DATED.fullmatch(name))]
    return [name for _, _, name in sorted(dated)[:-keep]]


def make_backup(settings: ServerSettings, destination: Path, *, force: bool, keep: int | None = None) -> Made:
    """Back up the installation to a file, or to a new file in a folder that exists. Raises BackupError.

    The file appears whole or not at all; one that is there is replaced with `force` only. `keep`: how many backups
    stay in the folder; older ones are deleted once the new one is there.
    """
    made = write_backup(settings, destination, force=force, keep=keep)
    note_backup(settings, made.content)
    return made


def note_backup(settings: ServerSettings, content: BackupContent) -> None:
    """Write down for the metrics when the backup was made. A data folder that cannot be written takes no notes."""
    with contextlib.suppress(OSError):
        record_backup(settings.pipeline.data_dir, datetime.fromisoformat(content.made_at))


def write_backup(settings: ServerSettings, destination: Path, *, force: bool, keep: int | None = None) -> Made:
    """As `make_backup`, without a note of it."""
    if os.path.lexists(mark := settings.pipeline.data_dir / UNFINISHED):
        raise BackupError(f"A restore was interrupted, so half of it may be there: see {mark}. Restore once more.")
    folder = destination if destination.is_dir() else None
    if folder is not None:
        destination = folder / free_name(lambda name: os.path.lexists(folder / name))
    elif keep is not None:
        raise BackupError(f"--keep takes a folder for DEST, and {destination} is not one.")
    elif not force and os.path.lexists(destination):
        raise _there(destination)
    try:
        with room_beside(destination) as room:
            part = room / "backup.tar"
            _write(settings, part, room)
            content = Archive(part).content
            size = part.stat().st_size
            if folder is None:
                _name(part, destination, force=force)
            else:
                destination = _named_in(part, folder)
    except OSError as error:
        raise BackupError(f"{destination} cannot be made: {error.strerror or error}.") from error
    if keep is not None:
        with contextlib.suppress(OSError):
            for name in outdated((path.name for path in destination.parent.iterdir()), keep):
                (destination.parent / name).unlink()
    return Made(place=str(destination), content=content, left_out=tuple(_left_out(settings)), size=size)


def _named_in(part: Path, folder: Path) -> Path:
    """Give the finished file a name of its own in a folder; other programs may take one meanwhile.

    Raises OSError, BackupError.
    """
    for _ in range(_MAX_A_SECOND):
        destination = folder / free_name(lambda name: os.path.lexists(folder / name))
        with contextlib.suppress(_ThereError):
            _name(part, destination, force=False)
            return destination
    raise BackupError(f"Other programs take all names in {folder}: try again.")


def _write(settings: ServerSettings, part: Path, folder: Path) -> None:
    pipeline = settings.pipeline
    files: list[tuple[str, Path]] = []
    kind, schema = _copy_sql(settings, folder)
    if kind is not None:
        files.append((DATABASES[kind], folder / DATABASES[kind]))
    catalogs = [place for place in pipeline.catalog_places if isinstance(place, Path)]
    for number, place in enumerate(catalogs):
        if manifest_stamp(place) is None:
            continue
        copy = folder / "catalogs" / str(number)
        back_up(place, copy)
        found = sorted(path for path in copy.rglob("*") if path.is_file() and path.suffix != ".lock")
        files += [(path.relative_to(folder).as_posix(), path) for path in found]
    data = [(f"data/{name}", pipeline.data_dir / name) for name in DATA_FILES]
    files += [(name, path) for name, path in data if path.is_file()]
    if not files:
        raise BackupError(f"There is nothing to back up in {pipeline.data_dir}: is TWITCHAUDIO_DATA_DIR right?")

    def about(entries: dict[str, object]) -> dict[str, object]:
        return {
            "version": our_version(),
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "database": kind,
            "schema": schema,
            "catalogs": len(catalogs),
            "settings": given_settings(ServerSettings),
            "files": entries,
        }

    write(part, files, about)


def _copy_sql(settings: ServerSettings, folder: Path) -> tuple[str | None, str | None]:
    """Copy the database; its kind and the revision of its schema, None where there is none."""
    url = parse_address(database_url(settings.pipeline))
    if url.get_backend_name() == "mysql":
        server = MySql(url)
        schema = server.schema()
        server.dump(folder / DATABASES["mysql"])
        return "mysql", schema
    source = Path(url.database or "")
    if not source.is_file() or not source.stat().st_size:
        return None, None
    copy = folder / DATABASES["sqlite"]
    copy_database(source, copy)
    with closing(sqlite3.connect(copy)) as connection:
        return "sqlite", sqlite_schema(connection)


def sqlite_schema(connection: sqlite3.Connection) -> str | None:
    """The revision of a database's schema; None when it has none. Raises sqlite3.Error."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _name(part: Path, destination: Path, *, force: bool) -> None:
    """Give the finished file its name. Raises OSError, _ThereError when another one has it meanwhile."""
    if force:
        part.replace(destination)
    else:
        try:
            destination.hardlink_to(part)
        except FileExistsError as error:
            raise _there(destination) from error
        except OSError:
            # This file system has no hard links.
            if os.path.lexists(destination):
                raise _there(destination) from None
            part.rename(destination)
    with contextlib.suppress(OSError):
        handle = os.open(destination.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class _ThereError(BackupError):
    """There is a file of this name already."""


def _there(destination: Path) -> _ThereError:
    return _ThereError(f"{destination} is there already: add --force to replace it.")


def _left_out(settings: ServerSettings) -> Iterator[str]:
    secrets = sorted(name for name, value in given_settings(ServerSettings).items() if value is None)
    if secrets:
        yield f"Secrets in the environment are not in it: {', '.join(secrets)}. Keep them elsewhere."
    if settings.pipeline.jobs == "dynamodb":
        yield "Jobs and answers are in DynamoDB: use its own backups for those tables."
    for place in settings.pipeline.remote_catalogs:
        yield f"The catalog {place} is in object storage: use the versions of its bucket."
