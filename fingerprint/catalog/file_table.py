"""A sidecar's table: its rows by the files that they name, however another program writes paths."""

import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from fingerprint.catalog.song_tags import Tags
from fingerprint.domain.text import clean_text

MAX_PATH: Final = 8192
"""How long the path of a file in a table may be, in characters."""


@dataclass(slots=True)
class FileTable:
    """A table's rows by the path from its folder, and where each is for people, such as `line 3`.

    `songs`: those of one song of a file each, by its number, and where they are.
    """

    path: Path
    rows: dict[PurePath, Tags] = field(default_factory=dict[PurePath, Tags])
    places: dict[PurePath, str] = field(default_factory=dict[PurePath, str])
    loosely: dict[str, PurePath] = field(default_factory=dict[str, PurePath])
    used: set[PurePath] = field(default_factory=set[PurePath])
    songs: dict[PurePath, dict[int, tuple[Tags, str]]] = field(
        default_factory=dict[PurePath, dict[int, tuple[Tags, str]]]
    )
    unmatched: set[tuple[PurePath, int]] = field(default_factory=set[tuple[PurePath, int]])

    def of(self, path: Path) -> Tags | None:
        """What the table says of a file: by its very path, else by one with other case, accents or slashes."""
        relative = self._meant(path)
        if relative is None:
            return None
        songs = self.songs.get(relative, {})
        if relative not in self.rows and len(songs) == 1:
            # Of a file that is one song, its number on the album may be given.
            [(number, (tags, _))] = songs.items()
            self.unmatched.discard((relative, number))
            return tags
        return self.rows.get(relative)

    def of_song(self, path: Path, part: int) -> tuple[Tags | None, Tags | None]:
        """What the table says of a file that holds several songs, and of one of these."""
        relative = self._meant(path)
        if relative is None:
            return None, None
        said = self.songs.get(relative, {}).get(part)
        self.unmatched.discard((relative, part))
        return self.rows.get(relative), None if said is None else said[0]

    def _meant(self, path: Path) -> PurePath | None:
        """The file as the table has it."""
        relative: PurePath = path.relative_to(self.path.parent)
        if relative not in self.rows and relative not in self.songs:
            like = self.loosely.get(loosely_named(str(relative)))
            if like is None or like in self.used or os.path.lexists(self.path.parent / like):
                return None
            relative = like
        self.used.add(relative)
        return relative

    def place(self, file: PurePath) -> str:
        """Where the first row of a file is."""
        return self.places.get(file) or next(place for _, place in self.songs[file].values())

    def unused(self) -> list[PurePath]:
        """The files that rows name and that are not there."""
        folder = self.path.parent
        files = dict.fromkeys([*self.rows, *self.songs])
        return [file for file in files if file not in self.used and not _exists(folder / file)]

    def unused_songs(self) -> list[str]:
        """The rows that name songs which their files do not hold."""
        missing = sorted((file, part) for file, part in self.unmatched if file in self.used)
        return [f"{self.songs[file][part][1]}: {file} has no track {part}" for file, part in missing]


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):  # such as a name that is too long to exist, or one with a NUL
        return False


def relative_to_folder(name: str, folder: Path) -> PurePath:
    """A path from a table's folder, without `.` and `..` in it."""
    text = os.path.normpath(name)
    inside = f"{folder}/"
    return PurePath(text.removeprefix(inside))


def loosely_named(name: str) -> str:
    """A path for comparison, whatever program wrote it: Windows' slashes, composed or decomposed accents, case.

    Characters that tables cannot hold do not count, such as line breaks.
    """
    text = " ".join(clean_text(os.path.normpath(name.replace("\\", "/")), MAX_PATH).split())
    return unicodedata.normalize("NFC", text).casefold()
