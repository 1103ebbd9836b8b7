"""The cue sheets beside music: which songs each file of a whole album holds."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fingerprint.catalog.cue_sheet import cut_and_tags, read_cue
from fingerprint.catalog.cuts import Cut
from fingerprint.catalog.endings import AUDIO_SUFFIXES
from fingerprint.catalog.file_table import loosely_named
from fingerprint.catalog.listings import Listings
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.table import SidecarError, read_text

Songs = dict[int, tuple[Cut, Tags]]
"""The songs of a file by their numbers: where each begins and ends, and what is said of it."""


class Say(Protocol):
    """Tells what is wrong with a sheet, in one sentence; `by_choice`: it is only worth a word."""

    def __call__(self, path: Path, reason: str, *, by_choice: bool = False) -> None: ...


@dataclass(slots=True)
class CueSheets:
    """The cue sheets read so far, those of each folder once."""

    listings: Listings
    say: Say
    _folders: dict[Path, dict[str, Songs]] = field(default_factory=dict[Path, dict[str, Songs]])
    _sheets: dict[Path, str] = field(default_factory=dict[Path, str])
    """The name of the cue sheet that counts, by the file that it describes."""

    def songs(self, path: Path) -> Songs:
        """The songs of a file by its sheet; empty without one."""
        folder = path.parent
        if folder not in self._folders:
            self._folders[folder] = {}
            names = self.listings.names(str(folder))
            for name in names:
                if name.lower().endswith(".cue"):
                    self._read_cue(folder / name, names)
        return self._folders[folder].get(path.name, {})

    def _read_cue(self, path: Path, names: Sequence[str]) -> None:
        try:
            songs = read_cue(read_text(path), lambda reason: self.say(path, reason))
        except SidecarError as error:
            self.say(path, str(error))
            return
        if not songs:
            self.say(path, "it names no song with a file and a time")
        for file, of_file in songs.items():
            name = _named_file(file, path, names)
            if name is None:
                self.say(path, f"the file {file[:80]!r} that it describes is not there", by_choice=True)
                continue
            described = {song.number: cut_and_tags(song) for song in of_file}
            first = self._folders[path.parent].setdefault(name, described)
            self._sheets.setdefault(path.parent / name, path.name)
            if first != described:
                other = self._sheets[path.parent / name]
                reason = f"the file {name[:80]!r} is described by {other[:80]!r}, too, which counts"
                self.say(path, reason, by_choice=True)


def _named_file(file: str, cue: Path, names: Sequence[str]) -> str | None:
    """The file that a cue sheet means: with any ending, since albums are encoded again, or the sheet's name."""
    wanted = loosely_named(re.split(r"[\\/]", file)[-1])
    by_name = {loosely_named(name): name for name in names}
    if wanted in by_name:
        return by_name[wanted]
    for stem in (os.path.splitext(wanted)[0], loosely_named(cue.stem)):  # noqa: PTH122 - as text
        for name, real in by_name.items():
            found, suffix = os.path.splitext(name)  # noqa: PTH122 - as text
            if found == stem and suffix in AUDIO_SUFFIXES:
                return real
    return None
