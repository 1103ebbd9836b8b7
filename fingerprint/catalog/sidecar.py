"""Sidecars: files beside the music that say more than its tags do, or say it better.

`tracks.csv` or `tracks.json` describes files in its folder and in folders below, one row or object each, by
`file`, the path from there. `NAME.json` beside a file, such as `song.flac.json`, describes that file alone. The
sidecar nearest to the file wins. With a number in `track`, a row describes that song of a file that holds several.
Sidecars' names are in any case. Columns and keys are `COLUMNS`, all optional: what is known of a song, and an id
or a link for each service. An empty value leaves the tag as it is. See `table` for what is read as a CSV. A cue
sheet tells which songs a file of a whole album holds.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Final, cast

from fingerprint.catalog.cue_sheets import CueSheets
from fingerprint.catalog.cuts import Cut
from fingerprint.catalog.file_table import MAX_PATH, FileTable, loosely_named, relative_to_folder
from fingerprint.catalog.listings import Listings
from fingerprint.catalog.song_tags import Tags, over
from fingerprint.catalog.table import Row, SidecarError, TableRow, is_said, read_object, read_table
from fingerprint.catalog.tags import PLAIN_FORMS, PLAIN_FORMS_TAKE, SAID_LIMIT
from fingerprint.domain.credits import artist_names, credits_of
from fingerprint.domain.identification import METADATA_FIELDS, ExternalIds
from fingerprint.domain.links import SERVICES, ids_of_tag
from fingerprint.domain.text import clean_text

FOLDER_NAMES: Final = ("tracks.csv", "tracks.json")
FILE_ENDING: Final = ".json"
LEVELS: Final = 4
"""How many folders, from a file's own upwards, may hold a sidecar for it."""

MAX_TROUBLES: Final = 20
"""The most errors of one sidecar that are named."""
MAX_ROWS_NAMED: Final = 5

_NUMBER: Final = re.compile(r"0*(\d{1,3})(?:\s*/\s*\d+|\.0+)?")
"""A number as tables have it: `7`, `07`, `7/12`, and `7.0` of a spreadsheet."""

_TEXT_COLUMNS: Final = ("title", *(name for name in METADATA_FIELDS if name not in ("artists", "ids")))
TRACK_COLUMN: Final = "track"
COLUMNS: Final = (*_TEXT_COLUMNS, "artists", *(service.name for service in SERVICES), TRACK_COLUMN)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error in a sidecar, whose value was ignored; `reason` is one sentence.

    `by_choice`: it is no error, and only worth a word.
    """

    path: Path
    reason: str
    by_choice: bool = False


_Beside = tuple[list[FileTable], dict[str, str]]


@dataclass(slots=True)
class Sidecars:
    """The sidecars read so far. Each folder is read once; `troubles` collects the errors.

    `roots`: the folders whose music is indexed: what is wrong with a table in one of them is said. Above them a
    file of that name may have another purpose. `listings`: the names in folders that are known already.
    """

    roots: Sequence[str] = ()
    listings: Listings = field(default_factory=Listings)
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    _folders: dict[Path, list[FileTable]] = field(default_factory=dict[Path, list[FileTable]])
    _known: dict[Path, _Beside] = field(default_factory=dict[Path, _Beside])
    _told: Counter[Path] = field(default_factory=Counter[Path])
    _cues: CueSheets = field(init=False)

    def __post_init__(self) -> None:
        self._cues = CueSheets(self.listings, self._say)

    def of(self, path: Path, part: int = 0) -> Tags | None:
        """The tags that sidecars give for a music file, or for a song of one with several; or None."""
        tables, own_names = self._beside(path.parent)
        said: Tags | None = None
        of_song: Tags | None = None
        for table in tables:
            if part:
                of_file, song = table.of_song(path, part)
                said, of_song = _joined(said, of_file), _joined(of_song, song)
            else:
                said = _joined(said, table.of(path))
        own = own_names.get((path.name + FILE_ENDING).lower()) if own_names else None
        if own is not None:
            said = _joined(said, self._read_alone(path.with_name(own)))
        songs = self._cues.songs(path)
        if not part:
            # A sheet with one song for each file says the same as tags.
            return _joined(next(iter(songs.values()))[1], said) if len(songs) == 1 else said
        if said is not None:
            # What a row says of a file is said of the album, unless it can be of one song alone.
            said = replace(said, title=None, isrc=None, ids=ExternalIds())
        said = _joined(songs[part][1], said) if part in songs else said
        return _joined(said, of_song)

    def songs(self, path: Path) -> tuple[tuple[int, Cut], ...]:
        """The numbers and places of the songs of a file, by its cue sheet; empty for a file that is one song."""
        songs = self._cues.songs(path)
        return tuple((number, cut) for number, (cut, _) in songs.items()) if len(songs) > 1 else ()

    def check_rows(self) -> None:
        """Say which rows name files that are not there; when all files have been described."""
        for table in (table for tables in self._folders.values() for table in tables):
            if not self._is_ours(table.path.parent):
                continue
            for reason in table.unused_songs():
                self._say(table.path, reason)
            unused = table.unused()
            if not unused:
                continue
            named = [f"{table.place(file)} ({file})" for file in unused[:MAX_ROWS_NAMED]]
            more = f" and {len(unused) - len(named)} more" if len(unused) > len(named) else ""
            rows = "1 row names a file that is" if len(unused) == 1 else f"{len(unused)} rows name files that are"
            self._say(table.path, f"{rows} not there: {', '.join(named)}{more}")

    def _say(self, path: Path, reason: str, *, by_choice: bool = False) -> None:
        self._told[path] += 1
        if self._told[path] <= MAX_TROUBLES:
            self.troubles.append(Trouble(path, reason, by_choice))
        elif self._told[path] == MAX_TROUBLES + 1:
            self.troubles.append(Trouble(path, "there is more that is wrong with it"))

    def _is_ours(self, folder: Path) -> bool:
        return any(folder == root or root in folder.parents for root in map(Path, self.roots))

    def _beside(self, folder: Path) -> _Beside:
        """The tables that may describe files in a folder, farthest first, and the names of files like sidecars.

        The latter by their names in lower case.
        """
        found = self._known.get(folder)
        if found is None:
            listed = self.listings.names(str(folder))
            above = [folder, *folder.parents[: LEVELS - 1]]
            tables = [table for each in reversed(above) for table in self._folder(each, own=each == folder)]
            names = {low: name for name in listed if (low := name.lower()).endswith(FILE_ENDING)}
            found = self._known[folder] = (tables, names)
        return found

    def _folder(self, folder: Path, *, own: bool) -> list[FileTable]:
        found = self._folders.get(folder)
        if found is None:
            found = self._folders[folder] = []
            for name in FOLDER_NAMES:
                called = self.listings.find(str(folder), name)
                if called is None:
                    continue
                path = folder / called
                try:
                    found.append(self._read_files(path, said=own or self._is_ours(folder)))
                except SidecarError as error:
                    if own or self._is_ours(folder):
                        self._say(path, str(error))
        return found

    def _read_files(self, path: Path, *, said: bool) -> FileTable:
        """A table's rows by file; unless it is `said`, a table without any may be another program's.

        Raises SidecarError.
        """
        table = FileTable(path)
        told = len(self.troubles)
        for row in read_table(
            path, columns=COLUMNS, needed="file", on_trouble=lambda reason: self._say(path, reason)
        ):
            name = _text(row.cells.get("file"), MAX_PATH)
            if not name:
                if any(_text(cell) for cell in row.cells.values()):
                    self._say(path, f"{row.place} names no file")
                continue
            file = relative_to_folder(name, path.parent)
            number = self._number(path, row)
            if number is None and (file in table.rows or file in table.songs):
                continue
            if number:
                self._add_song(table, file, number, row)
                table.loosely[loosely_named(name)] = table.loosely[loosely_named(str(file))] = file
                continue
            if file in table.rows:
                self._say(
                    path, f"{row.place} describes {name[:80]!r} again, after {table.places[file]}: it counts"
                )
            table.rows[file] = self._tags(path, row.cells, f"{row.place}: ")
            table.places[file] = row.place
            table.loosely[loosely_named(name)] = table.loosely[loosely_named(str(file))] = file
        if not said and not table.rows and not table.songs:
            del self.troubles[told:]
        return table

    def _number(self, path: Path, row: TableRow) -> int | None:
        """The song of a file that a row describes; 0 for the whole file, None for what is no number."""
        text = _text(row.cells.get(TRACK_COLUMN))
        if not text:
            return 0
        found = _NUMBER.fullmatch(text)
        if found is None or not int(found[1]):
            self._say(path, f"{row.place}: {TRACK_COLUMN} takes the number of a song, not {text[:80]!r}")
            return None
        return int(found[1])

    def _add_song(self, table: FileTable, file: PurePath, number: int, row: TableRow) -> None:
        songs = table.songs.setdefault(file, {})
        if number in songs:
            self._say(
                table.path,
                f"{row.place} describes track {number} of {str(file)[:80]!r} again, after {songs[number][1]}: it "
                "counts",
            )
        songs[number] = (self._tags(table.path, row.cells, f"{row.place}: "), row.place)
        table.unmatched.add((file, number))

    def by_column(self, path: Path, column: str) -> dict[str, Tags]:
        """What a table says, by the text in one of its columns; rows without it are left out.

        Raises SidecarError for a table that cannot be read.
        """
        rows = read_table(
            path, columns=(*COLUMNS, column), needed=None, on_trouble=lambda reason: self._say(path, reason)
        )
        return {
            key: self._tags(path, row.cells, f"{row.place}: ")
            for row in rows
            if (key := _text(row.cells.get(column)))
        }

    def _read_alone(self, path: Path) -> Tags | None:
        try:
            row = read_object(path, columns=COLUMNS, on_trouble=lambda reason: self._say(path, reason))
            return self._tags(path, row)
        except SidecarError as error:
            self._say(path, str(error))
            return None

    def _tags(self, path: Path, row: Row, place: str = "") -> Tags:
        ids = ExternalIds()
        for service in SERVICES:
            text = _text(row.get(service.name))
            found = ids_of_tag(service.name, text) if text else None
            if text and found is None:
                self._say(path, f"{place}{service.name} takes a link to a song or its id, not {text[:80]!r}")
            ids = ids.filled(found or ExternalIds())
        for name, takes in PLAIN_FORMS_TAKE.items():
            text = _text(row.get(name))
            if text and PLAIN_FORMS[name](text) is None:
                self._say(path, f"{place}{name} takes {takes}, not {text[:80]!r}")
        texts = {name: _text(row.get(name)) for name in _TEXT_COLUMNS}
        known: dict[str, Any] = {
            name: PLAIN_FORMS[name](text) if name in PLAIN_FORMS else text or None for name, text in texts.items()
        }
        artists = _artists(row.get("artists"))
        if known["title"] and artists:
            credit = credits_of(known["title"], artists)
            known["title"], artists = credit.title, credit.artists
        return Tags(**known, artists=artists, ids=ids)


def _joined(said: Tags | None, nearer: Tags | None) -> Tags | None:
    return over(said, nearer) if said is not None and nearer is not None else nearer or said


def _text(value: object, limit: int = SAID_LIMIT) -> str:
    """A cell as text; numbers become their digits, and values of any other type an empty text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not is_said(value):
        return ""
    return clean_text(" ".join(str(value).split()), limit)


def _artists(value: object) -> tuple[str, ...]:
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return artist_names(*map(_text, values))
