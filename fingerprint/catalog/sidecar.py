"""Sidecars: files beside the music that say more than its tags do, or say it better.

`tracks.csv` or `tracks.json` describes files in its folder and in folders below, one row or object each, by
`file`, the path from there. `NAME.json` beside a file, such as `song.flac.json`, describes that file alone. The
sidecar nearest to the file wins. Columns and keys are `COLUMNS`, all optional: what is known of a song, and an id
or a link for each service. An empty value leaves the tag as it is. A CSV's columns are separated by commas,
semicolons or tabs.
"""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final, cast

from fingerprint.catalog.tags import PLAIN_FORMS, isrc_of
from fingerprint.catalog.tracks import Tags, over
from fingerprint.domain.credits import artist_names, credits_of
from fingerprint.domain.identification import METADATA_FIELDS, ExternalIds
from fingerprint.domain.links import SERVICES, ids_of_tag

FOLDER_NAMES: Final = ("tracks.csv", "tracks.json")
FILE_ENDING: Final = ".json"
LEVELS: Final = 4
"""How many folders, from a file's own upwards, may hold a sidecar for it."""

MAX_BYTES: Final = 32 << 20
TEXT_LIMIT: Final = 1000

_TEXT_COLUMNS: Final = ("title", *(name for name in METADATA_FIELDS if name not in ("artists", "ids")))
COLUMNS: Final = (*_TEXT_COLUMNS, "artists", *(service.name for service in SERVICES))

Row = Mapping[str, object]
_Beside = tuple[list[tuple[Path, dict[PurePath, Tags]]], frozenset[str]]


class SidecarError(Exception):
    """A sidecar cannot be read; the text is one sentence without the file's name."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error in a sidecar, whose value was ignored; `reason` is one sentence."""

    path: Path
    reason: str


@dataclass(slots=True)
class Sidecars:
    """The sidecars read so far. Each folder is read once; `troubles` collects the errors."""

    troubles: list[Trouble] = field(default_factory=list[Trouble])
    _folders: dict[Path, dict[PurePath, Tags]] = field(default_factory=dict[Path, dict[PurePath, Tags]])
    _known: dict[Path, _Beside] = field(default_factory=dict[Path, _Beside])

    def of(self, path: Path) -> Tags | None:
        """The tags that sidecars give for a music file, or None."""
        tables, own_names = self._beside(path.parent)
        said: Tags | None = None
        for folder, rows in tables:
            said = _joined(said, rows.get(path.relative_to(folder)))
        name = path.name + FILE_ENDING
        if name not in own_names:
            return said
        own = path.with_name(name)
        return _joined(said, self._read_alone(own)) if own.is_file() else said

    def _beside(self, folder: Path) -> _Beside:
        """The tables that may describe files in a folder, farthest first, and the names of files like sidecars."""
        found = self._known.get(folder)
        if found is None:
            above = [folder, *folder.parents[: LEVELS - 1]]
            tables = [(each, self._folder(each, own=each == folder)) for each in reversed(above)]
            try:
                names = frozenset(name for name in os.listdir(folder) if name.endswith(FILE_ENDING))  # noqa: PTH208 - names
            except OSError:
                names = frozenset[str]()
            found = self._known[folder] = ([(each, rows) for each, rows in tables if rows], names)
        return found

    def _folder(self, folder: Path, *, own: bool) -> dict[PurePath, Tags]:
        found = self._folders.get(folder)
        if found is None:
            found = self._folders[folder] = {}
            for name in FOLDER_NAMES:
                path = folder / name
                try:
                    if _is_file(path):
                        found.update(self._read_rows(path))
                except SidecarError as error:
                    # A file of that name in a folder above the music may have another purpose.
                    if own:
                        self.troubles.append(Trouble(path, str(error)))
        return found

    def _read_rows(self, path: Path) -> dict[PurePath, Tags]:
        return {PurePath(file): tags for file, tags in self.by_column(path, "file", must_exist=True).items()}

    def by_column(self, path: Path, column: str, *, must_exist: bool = False) -> dict[str, Tags]:
        """What a table says, by the text in one of its columns; rows without it are left out.

        Raises SidecarError for a table that cannot be read, or lacks a column that `must_exist`.
        """
        needed = column if must_exist else None
        return {key: self._tags(path, row) for row in _rows(path, needed) if (key := _text(row.get(column)))}

    def _read_alone(self, path: Path) -> Tags | None:
        try:
            return self._tags(path, _object(path))
        except SidecarError as error:
            self.troubles.append(Trouble(path, str(error)))
            return None

    def _tags(self, path: Path, row: Row) -> Tags:
        ids = ExternalIds()
        for service in SERVICES:
            text = _text(row.get(service.name))
            found = ids_of_tag(service.name, text) if text else None
            if text and found is None:
                self.troubles.append(
                    Trouble(path, f"{service.name} takes a link to a song or its id, not {text[:80]!r}")
                )
            ids = ids.filled(found or ExternalIds())
        isrc = _text(row.get("isrc"))
        if isrc and isrc_of(isrc) is None:
            self.troubles.append(Trouble(path, f"isrc takes 12 letters and digits, not {isrc[:80]!r}"))
        texts = {name: _text(row.get(name)) for name in _TEXT_COLUMNS}
        known: dict[str, Any] = {
            name: PLAIN_FORMS[name](text) if name in PLAIN_FORMS else text or None for name, text in texts.items()
        }
        artists = _artists(row.get("artists"))
        if known["title"] and artists:
            credit = credits_of(known["title"], artists)
            known["title"], artists = credit.title, credit.artists
        return Tags(**known, artists=artists, ids=ids)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long to exist
        return False


def _joined(said: Tags | None, nearer: Tags | None) -> Tags | None:
    return over(said, nearer) if said is not None and nearer is not None else nearer or said


def _text(value: object) -> str:
    """A cell as text; numbers become their digits, and values of any other type an empty text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).replace("\0", " ").strip()[:TEXT_LIMIT]


def _artists(value: object) -> tuple[str, ...]:
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return artist_names(*map(_text, values))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SidecarError(f"it cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise SidecarError(f"it is longer than {MAX_BYTES >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SidecarError("it is not UTF-8") from error


def _json(path: Path) -> object:
    try:
        return cast("object", json.loads(_read(path)))
    except (ValueError, RecursionError) as error:
        raise SidecarError("it is not JSON") from error


def _object(path: Path) -> Row:
    body = _json(path)
    if not isinstance(body, dict):
        raise SidecarError("it holds no JSON object")
    return cast("Row", body)


def _rows(path: Path, needed: str | None) -> Iterator[Row]:
    if path.suffix == ".json":
        body: Any = _json(path)
        if not isinstance(body, list):
            raise SidecarError("it holds no JSON list of objects")
        for row in cast("list[object]", body):
            if isinstance(row, dict):
                yield cast("Row", row)
        return
    text = _read(path)
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        if needed is not None and needed not in names:
            raise SidecarError(f"its first line names no column `{needed}`")
        reader.fieldnames = names
        yield from reader
    except csv.Error as error:
        raise SidecarError(f"it is no CSV: {error}") from error
