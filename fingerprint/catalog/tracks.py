"""A track of the catalog: its sound's identity, the files that it was found in, and what is known of it.

Three identities are kept apart. The *sound*: `track_id`, a digest of the stored peaks, which survives retagging,
moving and another container. The *source*: a file, by path, size, times and digests of its content. The
*description*: the file's tags and what sidecars say, each as it was found; they are merged when a track is shown.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import numpy as np
from msgspec import convert
from numpy.typing import NDArray

from fingerprint.catalog.file_stamps import FileStamp, packed_stamp
from fingerprint.catalog.song_tags import Tags, over, title_from_name
from fingerprint.domain.identification import METADATA_FIELDS, ExternalIds, SongMetadata

ID_DIGITS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that a track was found in.

    `path`: absolute, as it was found; `root`: the folder that was indexed, empty for a file that was named itself.
    `size` in bytes, `modified_ns`, `changed_ns` and `inode` tell whether the file is the same; `changed_ns` is 0
    for a file that was indexed by an earlier version, which kept less. `content`: a digest of the file;
    `sound`: a digest of its encoded sound, without tags; empty where it could not be read. `tags` and `sidecar`:
    the description by its origins. `missing_since`: when the file was first not found, in seconds since 1970.
    `owner`: who gave the track with an export; then there is no file, and `path` is the one's name there.
    `part`: which song of a file with several; 0 for a file that is one song. `cut`: where it begins and ends in
    seconds, by a cue sheet (an end of 0: with the file); `own_sheet`: by one in the file's own tags. `cover`: the
    name of its cover, empty if it has none; `picture`: what tells whether the picture beside it was changed, None
    if the file has one of its own.
    """

    path: str
    part: int = 0
    cut: tuple[float, float] | None = None
    own_sheet: bool = False
    root: str = ""
    size: int = 0
    modified_ns: int = 0
    changed_ns: int = 0
    inode: int = 0
    content: str = ""
    sound: str = ""
    tags: Tags = field(default_factory=Tags)
    sidecar: Tags | None = None
    missing_since: float | None = None
    owner: str = ""
    cover: str = ""
    picture: tuple[str, int, int] | None = None

    @property
    def key(self) -> str:
        """Tells the file from others, and its songs from each other; begins with the path."""
        return f"{self.path}\0{self.part}" if self.part else self.path

    @property
    def described(self) -> Tags:
        """Everything that is said about the song here; without a title it is called by the file's name."""
        tags = self.merged_tags
        return tags if tags.title else dataclasses.replace(tags, title=title_from_name(Path(self.path)))

    @property
    def merged_tags(self) -> Tags:
        """What tags and sidecars say, together."""
        return self.tags if self.sidecar is None else over(self.tags, self.sidecar)

    def same_file(self, stamp: FileStamp) -> bool:
        """Whether a file with this stamp is the one that was read, unchanged since."""
        return bool(stamp) and stamp == packed_stamp(self.size, self.modified_ns, self.changed_ns, self.inode)

    def to_json(self) -> dict[str, Any]:
        """The stored form; what is empty is left out."""
        body = {name: value for name in _SOURCE if (value := getattr(self, name))}
        body["tags"] = _short(self.tags)
        if self.sidecar is not None:
            body["sidecar"] = _short(self.sidecar)
        return body


def _short(tags: Tags) -> dict[str, Any]:
    # Not by `asdict`, which copies deeply: a change of a sidecar encodes a whole library.
    body = {name: value for name in _TAGS if name != "ids" and (value := getattr(tags, name))}
    if tags.ids != _NO_IDS:
        body["ids"] = {name: value for name, value in asdict(tags.ids).items() if value}
    return body


_TAGS: Final = tuple(item.name for item in dataclasses.fields(Tags))
_SOURCE: Final = tuple(item.name for item in dataclasses.fields(Source) if item.name not in ("tags", "sidecar"))
_NO_IDS: Final = ExternalIds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Track(SongMetadata):
    """A track as it is shown: its description, and the preferred one of its files.

    `id`: 12 hex digits, see `track_id`. `path` of the file, without what cannot be printed; `size` in bytes.
    `cover`: the name of its cover, see `covers`.
    """

    id: str
    title: str
    path: str
    size: int
    modified_ns: int
    duration_seconds: float
    cover: str | None = None

    @property
    def text(self) -> str:
        """Artists, title, album, label, ISRC and path."""
        return " ".join(filter(None, (*self.artists, self.title, self.album, self.label, self.isrc, self.path)))

    def to_json(self) -> dict[str, Any]:
        """The form that `catalog list --json` prints."""
        return {
            "id": self.id,
            "title": self.title,
            **self.metadata,
            "artists": list(self.artists),
            "ids": {name: value for name, value in asdict(self.ids).items() if value},
            "duration": round(self.duration_seconds, 3),
            "path": self.path,
            "cover": self.cover,
        }

    def encode(self) -> bytes:
        """The form that an IndexSegment stores, of a track with this description and file."""
        return TrackEntry.of(self).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackEntry:
    """Everything that a catalog knows of one recording, besides its fingerprint.

    `sources`: the files that it was found in, at least one, in the order in which they were found. `aliases`: ids
    that the track had before.
    """

    id: str
    duration_seconds: float
    sources: tuple[Source, ...]
    aliases: tuple[str, ...] = ()

    @staticmethod
    def of(track: Track) -> "TrackEntry":
        """The entry of a track with one file."""
        tags = Tags(title=track.title, **track.metadata)
        source = Source(path=track.path, size=track.size, modified_ns=track.modified_ns, tags=tags)
        return TrackEntry(id=track.id, duration_seconds=track.duration_seconds, sources=(source,))

    @property
    def preferred(self) -> Source:
        """The file that describes the track: one that is there, that a sidecar describes, and that says most."""
        if len(self.sources) == 1:
            return self.sources[0]
        return max(
            self.sources,
            key=lambda source: (
                source.missing_since is None,
                source.sidecar is not None,
                source.merged_tags.filled,
            ),
        )

    @property
    def missing(self) -> bool:
        """Whether none of the files was found any more."""
        return all(source.missing_since is not None for source in self.sources)

    @property
    def track(self) -> Track:
        """The track as it is shown."""
        source = self.preferred
        described = source.described
        return Track(
            id=self.id,
            title=described.title or "",
            **described.metadata,
            path=_printable(source.path),
            size=source.size,
            modified_ns=source.modified_ns,
            duration_seconds=self.duration_seconds,
            cover=source.cover or self.cover,
        )

    @property
    def cover(self) -> str | None:
        """The name of the cover: that of the preferred file, else of another one."""
        return next(
            (source.cover for source in (self.preferred, *self.sources) if source.cover),
            None,
        )

    @property
    def text(self) -> str:
        """The text that `catalog search` searches: tags and paths of all files."""
        found = [self.track.text]
        for source in self.sources if len(self.sources) > 1 else ():
            tags = source.described
            found += [*tags.artists, tags.title or "", tags.album or "", _printable(source.path)]
        return " ".join(found)

    def with_sources(self, sources: Sequence[Source]) -> "TrackEntry":
        """The same track, found in these files."""
        return dataclasses.replace(self, sources=tuple(sources))

    def encode(self) -> bytes:
        """The form that an IndexSegment stores: everything but the id."""
        body: dict[str, Any] = {
            "duration": self.duration_seconds,
            "sources": [source.to_json() for source in self.sources],
        }
        if self.aliases:
            body["aliases"] = self.aliases
        # ASCII, so that names of files that are no UTF-8 survive as escaped surrogates.
        return json.dumps(body, separators=(",", ":")).encode()

    @staticmethod
    def decode(track_id: str, text: bytes) -> "TrackEntry":
        """The inverse of `encode`; also reads what earlier versions stored.

        Raises ValueError, KeyError or TypeError for anything else.
        """
        try:
            stored = _stored.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return _decode_slowly(track_id, text)
        return _entry(track_id, stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    duration: float
    sources: tuple[Source, ...]
    aliases: tuple[str, ...] = ()


_stored: Final = msgspec.json.Decoder(_Stored)


def _entry(track_id: str, stored: _Stored) -> TrackEntry:
    if not stored.sources:
        raise ValueError("a track without a source")
    return TrackEntry(
        id=track_id,
        duration_seconds=stored.duration,
        sources=stored.sources,
        aliases=stored.aliases,
    )


def _decode_slowly(track_id: str, text: bytes) -> TrackEntry:
    """Entries with surrogates in a path, and those of format 2, which had one file and merged tags."""
    body = cast("dict[str, Any]", json.loads(text.decode("utf-8", "surrogatepass")))
    if "sources" in body:
        return _entry(track_id, convert(body, _Stored))
    # Fields that tracks indexed earlier lack get their defaults.
    known = {name: body[name] for name in METADATA_FIELDS if body.get(name) is not None}
    return TrackEntry(
        id=track_id,
        duration_seconds=body["duration"],
        sources=(
            Source(
                path=body["path"],
                size=body["size"],
                modified_ns=body["modified_ns"],
                content=track_id,
                tags=Tags(title=body["title"], **convert(known, SongMetadata).metadata),
            ),
        ),
    )


def track_id(packed_peaks: NDArray[np.uint16], packed_side_peaks: NDArray[np.uint16]) -> str:
    """The identity of a recording: a digest of its constellations, middle and side, as `pack_peaks` packs them."""
    digest = hashlib.sha256(len(packed_peaks).to_bytes(8, "little"))
    digest.update(packed_peaks.astype("<u2").tobytes())
    digest.update(packed_side_peaks.astype("<u2").tobytes())
    return digest.hexdigest()[:ID_DIGITS]


def _printable(path: str) -> str:
    """A path without surrogates, which stand for bytes that are no UTF-8."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
