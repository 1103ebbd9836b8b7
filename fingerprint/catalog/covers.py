"""Covers: small pictures of albums, each kept once, in the folder `covers` of a catalog.

A cover is a JPEG of at most MAX_EDGE pixels, made by a sandboxed worker from a picture that is embedded in a file,
or lies beside it; its file is called by a digest of what it holds, `3f...e1.jpg`. A track's sources name their
covers. Like an index file, a cover is never changed; one that no track needs any more is deleted.
"""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fingerprint.catalog.listings import Listings
from fingerprint.catalog.picture_header import UnusablePictureError, picture_header

FOLDER_NAME: Final = "covers"
MAX_EDGE: Final = 640
MAX_COVER_BYTES: Final = 1 << 20

MAX_COVERS: Final = 100_000
MAX_COVERS_BYTES: Final = 4 << 30
"""The most covers of one catalog, and how many bytes they take together."""

_JPEG: Final = b"\xff\xd8"

_NAME: Final = re.compile(r"[0-9a-f]{32}\.jpg")
_LEFTOVER: Final = re.compile(r"[0-9a-f]{32}\.jpg-[0-9a-f]{8}\.tmp")
_NAMED: Final = re.compile(rb'"cover":"([0-9a-f]{32}\.jpg)"')

PICTURE_NAMES: Final = ("cover", "folder", "front", "album", "albumart")
_PICTURE_ENDINGS: Final = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """A track's cover.

    `name` tells it from all others, and never means another picture. `content` is of the type `media_type`;
    `width` and `height` are in pixels.
    """

    name: str
    content: bytes
    media_type: str
    width: int
    height: int

    @property
    def digest(self) -> str:
        """The name without its ending: 32 hex digits."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class FolderPicture:
    """A picture beside music: its path, and what tells whether it was changed."""

    path: Path
    stamp: tuple[str, int, int]
    """Its name, its size in bytes and the time of its content in ns."""


class Covers:
    """The covers of the catalog in a folder."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / FOLDER_NAME
        self._counted: tuple[int, int] | None = None

    def read(self, name: str) -> Cover | None:
        """The cover with a name; None if it is not there, or not as it was written."""
        if not is_cover_name(name):
            return None
        content = _content(self.folder / name)
        if content is None or cover_name(content) != name:
            return None
        try:
            header = picture_header(content)
        except UnusablePictureError:
            return None
        return Cover(
            name=name,
            content=content,
            media_type=header.media_type,
            width=header.width,
            height=header.height,
        )

    def keep(self, content: bytes) -> str:
        """Keep a cover, and return its name.

        Raises UnusablePictureError when there are too many, OSError when it cannot be written.
        """
        name = cover_name(content)
        path = self.folder / name
        if self.read(name) is not None:
            return name
        if self.folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "it is a link", str(self.folder))
        self.folder.mkdir(exist_ok=True)
        if self._counted is None:
            sizes = [
                status.st_size for each in self.names() if (status := _status(self.folder / each)) is not None
            ]
            self._counted = len(sizes), sum(sizes)
        count, size = self._counted
        if count >= MAX_COVERS or size + len(content) > MAX_COVERS_BYTES:
            raise UnusablePictureError("the catalog holds as many covers as it may")
        temporary = self.folder / f"{name}-{secrets.token_hex(4)}.tmp"
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        self._counted = count + 1, size + len(content)
        return name

    def names(self) -> Iterator[str]:
        """The names of all covers that are there."""
        yield from (name for name in _listed(self.folder) if is_cover_name(name))

    def size(self) -> int:
        """How many bytes the covers take together."""
        statuses = (_status(self.folder / name) for name in self.names())
        return sum(status.st_size for status in statuses if status is not None)

    def drop(self, needed: Collection[str]) -> list[str]:
        """Delete the covers that are not needed, and what a killed writer left; returns the names of the covers.

        A file that only has such a name stays, as does one that cannot be deleted.
        """
        gone: list[str] = []
        for name in self.names():
            content = None if name in needed else _content(self.folder / name)
            if content is not None and cover_name(content) == name and _delete(self.folder / name):
                gone.append(name)
        for name in _listed(self.folder):
            path = self.folder / name
            content = _content(path) if _LEFTOVER.fullmatch(name) else None
            if content is not None and _JPEG.startswith(content[: len(_JPEG)]):
                _delete(path)
        if gone:
            self._counted = None
        return gone


def _listed(folder: Path) -> list[str]:
    """The names in a folder; none of one that is a link, which leads to what is not the catalog's."""
    try:
        return [] if folder.is_symlink() else os.listdir(folder)  # noqa: PTH208 - names
    except OSError:
        return []


def cover_name(content: bytes) -> str:
    """What a cover is called."""
    return f"{hashlib.sha256(content).hexdigest()[:32]}.jpg"


def is_cover_name(name: str) -> bool:
    """Whether a file is called as a cover is."""
    return _NAME.fullmatch(name) is not None


def covers_named(stored: bytes) -> set[str]:
    """The covers that the stored form of a track names, without decoding it."""
    return {name.decode() for name in _NAMED.findall(stored)} if b'"cover"' in stored else set()


class FolderPictures:
    """Finds the picture beside a music file: `cover.jpg`, `folder.png` and the like. Each folder is read once."""

    def __init__(self, listings: Listings) -> None:
        self._listings = listings
        self._found: dict[str, FolderPicture | None] = {}

    def beside(self, path: str) -> FolderPicture | None:
        """The picture in a file's folder that is most likely its cover."""
        folder = os.path.dirname(path)  # noqa: PTH120 - as text, for speed
        if folder not in self._found:
            self._found[folder] = _picture_in(folder, self._listings.names(folder))
        return self._found[folder]


def _picture_in(folder: str, names: Sequence[str]) -> FolderPicture | None:
    likely = [
        (PICTURE_NAMES.index(stem), name)
        for name in names
        for stem, ending in [os.path.splitext(name.lower())]  # noqa: PTH122 - as text
        if ending in _PICTURE_ENDINGS and stem in PICTURE_NAMES
    ]
    for _, name in sorted(likely):
        path = Path(folder, name)
        status = _status(path)
        if status is not None:
            return FolderPicture(path, (name, status.st_size, status.st_mtime_ns))
    return None


def _status(path: Path) -> os.stat_result | None:
    """What is known of a regular file; None for anything else, links too."""
    try:
        return path.lstat() if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def _content(path: Path) -> bytes | None:
    """A regular file that is no larger than a cover; None for anything else."""
    status = _status(path)
    if status is None or status.st_size > MAX_COVER_BYTES:
        return None
    try:
        return path.read_bytes()
    except OSError:
        return None


def _delete(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
