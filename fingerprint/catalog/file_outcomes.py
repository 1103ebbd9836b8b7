"""What is asked of the files of a library, and what became of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fingerprint.catalog.covers import FolderPicture
from fingerprint.catalog.cuts import Cut
from fingerprint.catalog.fingerprint import TrackFingerprint
from fingerprint.catalog.tracks import Source


@dataclass(frozen=True, slots=True)
class PictureBeside:
    """The picture beside a file: the name of its cover, empty if it is unusable, and what tells its changes."""

    cover: str
    stamp: tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Read:
    """A file with a recording that was decoded: what is known of it, without its sidecar, and the fingerprint.

    `beside`: the picture in its folder, if it has none of its own.
    """

    path: Path
    source: Source
    fingerprint: TrackFingerprint
    beside: PictureBeside | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose recording is in the catalog already, or is being read from another file.

    `source` has a digest of its content; of its encoded sound, its tags and its cover only if it was described.
    `beside`: the picture in its folder, if it is not known to have one of its own.
    """

    path: Path
    source: Source
    was_described: bool = False
    beside: PictureBeside | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that could not be read; `reason` is one sentence.

    `by_choice`: it was left out because of its name or its kind, and nothing failed.
    """

    path: Path
    reason: str
    by_choice: bool = False


FileOutcome = Read | Known | Unreadable


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to read. `describe`: its tags are wanted even if its content is known.

    `songs`: the numbers and places of its songs, by a cue sheet; empty for a file that is one song. `picture`: the
    cover beside it, for a file without one of its own. `unchanged`: what is known of a file of which nothing is
    new but that picture.
    """

    path: Path
    root: str = ""
    describe: bool = False
    songs: tuple[tuple[int, Cut], ...] = ()
    picture: FolderPicture | None = None
    unchanged: tuple[Source, ...] = ()


class Claims(Protocol):
    """Which recordings need no decoding. What is not known is claimed by the file that asks."""

    def content_is_known(self, content: str) -> bool:
        """Whether a file with this content is in the catalog, or is being read."""
        ...

    def sound_is_known(self, sound: str) -> bool:
        """Whether the same encoded sound is in the catalog, or is being read."""
        ...
