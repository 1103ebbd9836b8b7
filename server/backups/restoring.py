"""Takes a backup back: checks all of it, writes all of it beside what is there, and then swaps by renaming."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.manifest import require_catalog
from fingerprint.catalog.write_lock import WriteLock
from fingerprint.configured_database import database_url
from fingerprint.database_backends import parse_address
from fingerprint.settings import given_settings
from server import migrations
from server.backups.archive import DATABASES, Archive, BackupContent, BackupError
from server.backups.making import DATA_FILES, sqlite_schema
from server.backups.mysql import MySql
from server.data_folder import UNFINISHED, replaced
from server.settings import ServerSettings
from server.sqlite_copies import require_whole

_BESIDE_SQLITE: Final = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was restored.

    `aside`: where the data that was there is now. `differing`: a sentence for each setting that is another now.
    """

    content: BackupContent
    aside: tuple[Path, ...]
    differing: tuple[str, ...]


def restore_backup(settings: ServerSettings, source: Path, *, force: bool) -> Restored:
    """Make the installation hold what a backup holds. Raises BackupError; then everything is as it was.

    Refused while a server uses the data folder or the database, and where data is there, unless with `force`:
    then that data is renamed, not deleted.
    """
    if source.is_dir():
        raise BackupError(f"{source} is a folder: name the file of the backup in it.")
    try:
        archive = Archive(source)
        with replaced(settings.pipeline.data_dir):
            return _Restore(settings, archive).run(force=force)
    except sqlite3.Error as error:
        raise BackupError(f"The database in {source} is damaged: {error}. Nothing was changed.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise BackupError(f"{source} cannot be restored: {reason}. Everything is as it was.") from error


class _Restore:
    def __init__(self, settings: ServerSettings, archive: Archive) -> None:
        self._archive = archive
        self._content = archive.content
        self._stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        self._not_undone: list[str] = []
        pipeline = settings.pipeline
        self._data_dir = pipeline.data_dir
        url = parse_address(database_url(pipeline))
        self._server = MySql(url) if url.get_backend_name() == "mysql" else None
        self._sqlite = None if self._server is not None else Path(url.database or "")
        catalogs = [place for place in pipeline.catalog_places if isinstance(place, Path)]
        kind = "sqlite" if self._server is None else "mysql"
        if self._content.database not in (None, kind):
            raise BackupError(
                f"The backup holds a {self._content.database} database, and TWITCHAUDIO_DATABASE_URL names a "
                f"{kind} one. Nothing was changed."
            )
        if self._content.catalogs > len(catalogs):
            raise BackupError(
                f"The backup knows {self._content.catalogs} catalogs, and TWITCHAUDIO_CATALOGS names "
                f"{len(catalogs)} folders. Nothing was changed."
            )
        self._places = catalogs
        self._catalogs: Mapping[int, Path] = {
            number: place
            for number, place in enumerate(catalogs)
            if any(name.startswith(f"catalogs/{number}/") for name in self._content.files)
        }

    def run(self, *, force: bool) -> Restored:
        targets = dict(self._targets())
        self._require_room(force=force)
        mark = self._data_dir / UNFINISHED
        # Then an earlier one was interrupted, and being as it was is not enough.
        was_marked = os.path.lexists(mark)
        try:
            aside = self._put_in_place(targets, mark)
        except BaseException as error:
            if self._not_undone:
                steps = "; ".join(self._not_undone)
                raise BackupError(
                    f"The restore failed, and what was there could not be put back: {steps}. Then delete {mark}: "
                    "no server starts until then."
                ) from error
            if not was_marked:
                _unmark(mark, "Nothing was restored")
            raise
        _unmark(mark, "Everything is restored")
        return Restored(content=self._content, aside=tuple(aside), differing=tuple(self._differing()))

    def _put_in_place(self, targets: Mapping[str, Path], mark: Path) -> Sequence[Path]:
        """Swap everything; returns where the data is now that was there. What fails is undone."""
        aside: list[Path] = []
        with ExitStack() as always, ExitStack() as undo:
            for place in self._places[: self._content.catalogs]:
                if place.is_dir():
                    always.enter_context(WriteLock(place / "writer.lock"))
            staged = {
                target: target.parent / f".{target.name}.restoring-{self._stamp}" for target in targets.values()
            }
            for target, path in staged.items():
                _remove_interrupted(target)
                always.callback(_remove, path)
            dump = self._data_dir / f".database.restoring-{self._stamp}.sql"
            always.callback(_remove, dump)
            self._extract(targets, staged, dump)
            self._write(mark)
            if self._server is not None and self._content.database == "mysql":
                aside += self._load(self._server, dump, undo)
            for old in (part for place in self._possible() for part in _parts(place)):
                if not old.exists():
                    continue
                kept = old.with_name(f"{old.name}.before-restore-{self._stamp}")
                if _holds_data(old):
                    aside.append(kept)
                else:
                    always.callback(_remove, kept)
                # First, so that an interrupt finds it.
                undo.callback(self._undo, f"rename {kept} to {old.name}", _rename_back, kept, old)
                old.rename(kept)
            for target, path in staged.items():
                undo.callback(self._undo, f"delete {target}", _rename_back, target, path)
                path.rename(target)
            undo.pop_all()
        return aside

    def _write(self, mark: Path) -> None:
        """Say that half of it may be there from now on, however this ends. Raises OSError."""
        with mark.open("w", encoding="utf-8") as file:
            file.write(
                "A backup was being restored here. To undo that, replace what is new with what was there before:\n"
                f"rename everything that ends in .before-restore-{self._stamp}, here and where the\n"
                "catalogs are, to its name without that. Then delete this file.\n"
            )
            file.flush()
            os.fsync(file.fileno())

    def _undo(self, step: str, work: Callable[..., None], *arguments: Path) -> None:
        """Undo one step; one that fails is kept as something that is left to do, and the others go on."""
        try:
            work(*arguments)
        except (OSError, BackupError):
            self._not_undone.append(step)

    def _targets(self) -> Iterator[tuple[str, Path]]:
        """The file or folder that each part of the backup becomes."""
        if self._sqlite is not None and DATABASES["sqlite"] in self._content.files:
            yield DATABASES["sqlite"], self._sqlite
        for number, place in self._catalogs.items():
            yield f"catalogs/{number}", place
        for name in DATA_FILES:
            if f"data/{name}" in self._content.files:
                yield f"data/{name}", self._data_dir / name

    def _require_room(self, *, force: bool) -> None:
        """Refuse what is in use, and data that would be replaced."""
        if self._sqlite is not None and self._sqlite.is_file():
            _require_unused(self._sqlite)
        full = [path for path in self._possible() if _holds_data(path)]
        where = str(full[0]) if full else ""
        if self._server is not None and self._content.database == "mysql":
            if others := self._server.connections():
                raise BackupError(
                    f"The database is in use by {others} connections: stop the servers first. Nothing was changed."
                )
            if not where and self._server.tables():
                where = "the database"
        if where and not force:
            raise BackupError(
                f"There is data already, in {where}: add --force to replace it; it is then kept aside. "
                "Nothing was changed."
            )

    def _possible(self) -> Iterator[Path]:
        """Everything that an installation may have, in the backup or not."""
        if self._sqlite is not None:
            yield self._sqlite
        yield from self._places[: self._content.catalogs]
        for name in DATA_FILES:
            yield self._data_dir / name

    def _extract(self, targets: Mapping[str, Path], staged: Mapping[Path, Path], dump: Path) -> None:
        """Write everything beside its place, and check what checksums cannot: that it can be used."""
        places: dict[str, Path] = {}
        for name in self._content.files:
            if name in targets:
                places[name] = staged[targets[name]]
            elif name == DATABASES["mysql"]:
                places[name] = dump
            elif name.startswith("catalogs/"):
                _, number, inside = name.split("/", 2)
                if int(number) not in self._catalogs or f"catalogs/{number}" not in targets:
                    raise BackupError(
                        f"The backup holds {name!r}, for which there is no place. Nothing was changed."
                    )
                places[name] = staged[targets[f"catalogs/{number}"]] / inside
            else:
                raise BackupError(f"The backup holds {name!r}, for which there is no place. Nothing was changed.")
        for path in staged.values():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._archive.extract(places)
        if self._sqlite is not None and DATABASES["sqlite"] in places:
            with closing(sqlite3.connect(places[DATABASES["sqlite"]])) as connection:
                require_whole(connection)
                schema = sqlite_schema(connection)
            if schema is not None and schema not in migrations.revisions():
                raise migrations.NewerSchemaError(schema)
        for place in self._catalogs.values():
            require_catalog(staged[place])
            if problems := Catalog(staged[place], any_fingerprint=True).verify():
                raise BackupError(f"A catalog in the backup is damaged: {problems[0]} Nothing was changed.")

    def _load(self, server: MySql, dump: Path, undo: ExitStack) -> Iterator[Path]:
        """Load a dump; what the database held goes to a file first, and back from it when anything fails."""
        if server.tables():
            kept = self._data_dir / f"database.sql.before-restore-{self._stamp}"
            server.dump(kept)
            undo.callback(self._undo, f"load {kept} into the database", server.load, kept)
            yield kept
        else:
            undo.callback(self._undo, "delete all tables of the database", server.clear)
        server.load(dump)

    def _differing(self) -> Iterator[str]:
        now = given_settings(ServerSettings)
        for name, value in sorted(self._content.settings.items()):
            if name == "TWITCHAUDIO_DATA_DIR":
                continue  # a restore elsewhere is usual
            if name not in now:
                yield f"{name} was set{'' if value is None else f' to {value}'} and is not now."
            elif value != now[name]:
                yield f"{name} was {value or 'a secret'} and is {now[name] or 'a secret'} now."


def _parts(target: Path) -> list[Path]:
    """A file with those that SQLite keeps beside it: a log that stays would be taken for the new file's."""
    return [target, *(target.with_name(f"{target.name}{end}") for end in _BESIDE_SQLITE)]


def _holds_data(path: Path) -> bool:
    """Whether there is more than an empty file, or a folder of locks."""
    if path.is_dir():
        return any(not inside.name.endswith(".lock") for inside in path.iterdir())
    return os.path.lexists(path) and path.stat().st_size > 0


def _require_unused(file: Path) -> None:
    """Refuse a SQLite database that another process has open, of an older version too; a damaged one is unused."""
    with contextlib.suppress(sqlite3.DatabaseError), closing(sqlite3.connect(file, timeout=1.0)) as connection:
        connection.isolation_level = None
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise BackupError(
                    f"The database {file} is in use: stop the server first. Nothing was changed."
                ) from error
            raise


def _rename_back(path: Path, former: Path) -> None:
    """Undo a renaming, unless it was not done. Raises OSError."""
    if not path.exists():
        return
    if former.exists():
        raise FileExistsError(former)
    path.rename(former)


def _remove(path: Path) -> None:
    """Delete a file or folder. What cannot be deleted stays, and is deleted by the next restore."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _unmark(mark: Path, said: str) -> None:
    try:
        mark.unlink(missing_ok=True)
    except OSError as error:
        reason = f"{said}, but {mark} cannot be deleted: {error.strerror}."
        raise BackupError(f"{reason} Delete it, since no server starts until then.") from error


def _remove_interrupted(target: Path) -> None:
    """Delete what a restore that was killed has left beside a target."""
    begin = f".{target.name}.restoring-"
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            if path.name.startswith(begin):
                _remove(path)
