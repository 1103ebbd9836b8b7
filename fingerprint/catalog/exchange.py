"""Exports of a catalog: fingerprints, tags and links of tracks in one file, without sound and without paths.

    a line      JSON: {"twitchaudio_export": 1, "fingerprint": "landmarks-...", "peaks": "peaks-...",
                  "tracks": 12, "covers": 3}
    each track  u32 sizes of the description, the middle's peaks and the side's; the three; u32 CRC-32 of them
    each cover  u32 size; JPEG; u32 CRC-32 of it
    32 bytes    SHA-256 of everything before

All numbers are little-endian. A description is JSON: `id`, `duration_seconds`, `frames`, `name` of the file,
`tags`, `aliases` and the name of its `cover`. Peaks are as `pack_peaks` packs them; an import derives landmarks
from them, so that nothing of a file from elsewhere gets into the index unchecked, and a sandboxed worker makes
covers of the pictures. Versions that know no covers read everything else.
"""

import dataclasses
import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.cover_reader import read_parts
from fingerprint.catalog.covers import MAX_COVER_BYTES, MAX_COVERS, Covers, cover_name
from fingerprint.catalog.file_reader import WORKER_PROGRAM
from fingerprint.catalog.fingerprint import TrackFingerprint, fingerprint_from_peaks
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.index_protocol import MAX_FRAMES, MAX_SECONDS
from fingerprint.catalog.packed_peaks import pack_peaks, unpack_peaks
from fingerprint.catalog.parameters import DEFAULT, Identities
from fingerprint.catalog.problems import CatalogError
from fingerprint.catalog.regular_file import open_regular
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tags import plain_tags
from fingerprint.catalog.tracks import ID_DIGITS, Source, TrackEntry, track_id
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.unfinished import clear_files, room_beside

VERSION: Final = 1
BATCH: Final = 64
"""How many tracks an import writes together."""

FORGET_AFTER: Final = 1000
"""After so many tracks, pages of the index that were read do not count as this process's memory any more."""

MAX_NAME: Final = 1000
MAX_ALIASES: Final = 100
_ID: Final = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")

_SIZES: Final = struct.Struct("<III")
_SIZE: Final = struct.Struct("<I")
_CRC: Final = struct.Struct("<I")
_BEGIN: Final = b'{"twitchaudio_export":'
_MAX_HEAD_BYTES: Final = 4096
_MAX_DESCRIPTION_BYTES: Final = 1 << 20
_MAX_PEAKS_BYTES: Final = 64 << 20
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    twitchaudio_export: int
    fingerprint: str
    tracks: int
    peaks: str = ""
    covers: int = 0

    @property
    def made_by(self) -> Identities:
        """The fingerprint that made the peaks."""
        if not self.peaks:
            return Identities.of_landmarks(self.fingerprint)
        return Identities(landmarks=self.fingerprint, peaks=self.peaks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Description:
    id: str
    duration_seconds: float
    frames: int
    name: str
    tags: Tags
    aliases: tuple[str, ...] = ()
    cover: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of an import: tracks that are new, and those that were there and have this description, too."""

    added: int
    already: int


def export_tracks(
    snapshot: Snapshot, chosen: Sequence[TrackEntry], file: Path, *, covers: Covers | None = None
) -> int:
    """Write an export of tracks, in one step: a file of this name that is no export is not replaced.

    `covers`: where their covers are; None to leave them out. Returns how many covers are damaged or not there, and
    were left out. Raises CatalogError.
    """
    if os.path.lexists(file) and not _is_export(file):
        raise CatalogError(f"{file} already exists and is not a catalog export: it was not changed.")
    if os.path.islink(file):  # noqa: PTH114 - False for a name that is too long
        # What it leads to is replaced, and it stays.
        file = file.resolve()
    wanted = set[str]() if covers is None else {entry.cover for entry in chosen if entry.cover}
    names = [name for name in sorted(wanted) if covers is not None and covers.read(name) is not None]
    try:
        clear_files(file.parent, _BEGIN)
        with room_beside(file) as room:
            temporary = room / "export"
            with temporary.open("xb") as opened:
                digest = hashlib.sha256()
                for part in _parts(snapshot, chosen, covers, names):
                    digest.update(part)
                    opened.write(part)
                opened.write(digest.digest())
                opened.flush()
                os.fsync(opened.fileno())
            temporary.replace(file)
    except OSError as error:
        raise CatalogError(f"{file} cannot be written: {error.strerror}.") from error
    return len(wanted) - len(names)


def _is_export(file: Path) -> bool:
    try:
        if not file.is_file():
            return False
        with file.open("rb") as opened:
            _read_head(opened, file)
    except (CatalogError, OSError):
        return False
    return True


def _parts(
    snapshot: Snapshot, chosen: Sequence[TrackEntry], covers: Covers | None, names: Sequence[str]
) -> Iterator[bytes]:
    made_by = snapshot.manifest.made_by or DEFAULT.identities
    head = _Head(
        twitchaudio_export=VERSION,
        fingerprint=made_by.landmarks,
        tracks=len(chosen),
        peaks=made_by.peaks,
        covers=len(names),
    )
    yield msgspec.json.encode(head) + b"\n"
    for done, entry in enumerate(chosen, 1):
        live, number = snapshot.places(entry.id)[0]
        if done % FORGET_AFTER == 0:
            live.segment.forget_pages()
        record, raw = live.segment.tracks[number], live.segment.raw_peaks(number)
        middle = int(record["peaks_size"])
        description = _Description(
            id=entry.id,
            duration_seconds=entry.duration_seconds,
            frames=int(record["frames"]),
            name=Path(entry.track.path).name,
            tags=entry.preferred.described,
            aliases=entry.aliases,
            cover=(entry.cover or "") if entry.cover in names else "",
        )
        parts = (msgspec.json.encode(description), raw[:middle].tobytes(), raw[middle:].tobytes())
        yield _SIZES.pack(*(len(part) for part in parts))
        yield from parts
        yield _CRC.pack(zlib.crc32(b"".join(parts)))
    for name in names:
        cover = covers.read(name) if covers is not None else None
        if cover is None:
            raise CatalogError(f"The cover {name} was changed meanwhile: run the command again.")
        yield _SIZE.pack(len(cover.content))
        yield cover.content
        yield _CRC.pack(zlib.crc32(cover.content))


def check_export(file: Path) -> None:
    """Read all of an export. Raises CatalogError when there is none, or it would be refused."""
    try:
        with open_regular(file) as opened:
            _check_digest(opened, file)
            _find_covers(opened, file)
    except OSError as error:
        raise CatalogError(f"{file} cannot be read: {error.strerror}.") from error


def import_tracks(
    writer: CatalogWriter, file: Path, owner: str, *, program: Sequence[str] = WORKER_PROGRAM
) -> ImportReport:
    """Merge an export into a catalog; `owner` names whose tracks these are, so that they can be removed together.

    Covers are made again in processes that run `program`; one that is unusable is left out. Blocks, and cannot be
    used where an event loop runs. Nothing is imported from a file that is damaged. Raises CatalogError.
    """
    try:
        with open_regular(file) as opened:
            _check_digest(opened, file)
            covers = _read_covers(writer, opened, file, program)
            return _merge(writer, _tracks(opened, file, owner, covers), owner)
    except OSError as error:
        raise CatalogError(f"{file} cannot be read: {error.strerror}.") from error


def _merge(
    writer: CatalogWriter, tracks: Iterator[tuple[TrackEntry, TrackFingerprint]], owner: str
) -> ImportReport:
    known = {entry.id: entry for entry in writer.snapshot().entries()}
    added = already = 0
    new: dict[str, tuple[TrackEntry, TrackFingerprint]] = {}
    changed: dict[str, TrackEntry] = {}

    def commit() -> None:
        if new or changed:
            writer.add(list(new.values()), describing=[entry for key, entry in changed.items() if key not in new])
            new.clear()
            changed.clear()

    for entry, fingerprint in tracks:
        before = known.get(entry.id)
        if before is None:
            known[entry.id] = entry
            new[entry.id] = (entry, fingerprint)
            added += 1
        else:
            others = [source for source in before.sources if source.owner != owner]
            aliases = tuple(dict.fromkeys([*before.aliases, *entry.aliases]))
            merged = dataclasses.replace(before, sources=(*others, *entry.sources), aliases=aliases)
            known[entry.id] = merged
            if entry.id in new:
                new[entry.id] = (merged, fingerprint)
            elif merged != before:
                changed[entry.id] = merged
            already += 1
        if len(new) >= BATCH:
            commit()
    commit()
    return ImportReport(added=added, already=already)


def _read_covers(
    writer: CatalogWriter, opened: BufferedReader, file: Path, program: Sequence[str]
) -> dict[str, str]:
    """The covers of an export, by the names that they have there. All of it is checked before one is kept."""
    spans = _find_covers(opened, file)
    kept = read_parts(opened, list(spans.values()), writer.keep_cover, program)
    opened.seek(0)
    return dict(zip(spans, kept, strict=True))


def _find_covers(opened: BufferedReader, file: Path) -> dict[str, tuple[int, int]]:
    """Check all of an export. Returns where the covers are in it, start and size, by their names."""
    head = _read_head(opened, file)
    if not 0 <= head.covers <= MAX_COVERS:
        raise _damaged(file)
    spans: dict[str, tuple[int, int]] = {}
    try:
        for _ in _stored_tracks(opened, file):
            pass
        for _ in range(head.covers):
            (size,) = _SIZE.unpack(opened.read(_SIZE.size))
            start = opened.tell()
            content = opened.read(min(size, MAX_COVER_BYTES + 1))
            spans[cover_name(content)] = (start, size)
            if len(content) != size or _CRC.unpack(opened.read(_CRC.size))[0] != zlib.crc32(content):
                raise _damaged(file)
    except (struct.error, ValueError) as error:
        raise _damaged(file) from error
    return spans


def _check_digest(opened: BinaryIO, file: Path) -> None:
    """Read the whole file once, and go back to its start. Raises CatalogError when it is damaged."""
    _read_head(opened, file)
    size = opened.seek(0, os.SEEK_END) - _DIGEST_BYTES
    opened.seek(0)
    digest = hashlib.sha256()
    while size > 0:
        part = opened.read(min(1 << 20, size))
        if not part:
            break
        digest.update(part)
        size -= len(part)
    if digest.digest() != opened.read(_DIGEST_BYTES):
        raise _damaged(file)
    opened.seek(0)


def _read_head(opened: BinaryIO, file: Path) -> _Head:
    try:
        line = opened.readline(_MAX_HEAD_BYTES)
        version = msgspec.json.decode(line, type=dict[str, object])["twitchaudio_export"]
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError) as error:
        raise CatalogError(f"{file} is not a catalog export, or its start is damaged.") from error
    if version != VERSION:
        raise CatalogError(
            f"{file} is an export of version {version}; this version of TwitchAudio reads version {VERSION}."
        )
    try:
        head = msgspec.json.decode(line, type=_Head)
    except msgspec.MsgspecError as error:
        raise _damaged(file) from error
    if not DEFAULT.identities.same_peaks(head.made_by):
        raise CatalogError(
            f"{file} was made by the fingerprint {head.fingerprint}, and this version of TwitchAudio makes "
            f"{DEFAULT.identity}: they cannot be compared. Ask for an export of this version."
        )
    return head


def _tracks(
    opened: BinaryIO, file: Path, owner: str, covers: Mapping[str, str]
) -> Iterator[tuple[TrackEntry, TrackFingerprint]]:
    for described, middle, side in _stored_tracks(opened, file):
        fingerprint = fingerprint_from_peaks(
            middle, side, frames=described.frames, duration_seconds=described.duration_seconds
        )
        if not len(fingerprint.hashes):
            raise _damaged(file)
        source = Source(
            path=Path(described.name).name[:MAX_NAME] or described.id,
            owner=owner,
            tags=plain_tags(described.tags),
            cover=covers.get(described.cover, ""),
        )
        yield (
            TrackEntry(
                id=described.id,
                duration_seconds=described.duration_seconds,
                sources=(source,),
                aliases=tuple(alias for alias in described.aliases[:MAX_ALIASES] if _ID.fullmatch(alias)),
            ),
            fingerprint,
        )


_Peaks = NDArray[np.uint16]


def _stored_tracks(opened: BinaryIO, file: Path) -> Iterator[tuple[_Description, _Peaks, _Peaks]]:
    """The descriptions of an export's tracks and their peaks, middle and side, each checked."""
    opened.seek(0)
    head = _read_head(opened, file)
    for _ in range(head.tracks):
        try:
            sizes = _SIZES.unpack(opened.read(_SIZES.size))
            if (
                sizes[0] > _MAX_DESCRIPTION_BYTES
                or max(sizes[1:]) > _MAX_PEAKS_BYTES
                or sizes[1] % 2
                or sizes[2] % 2
            ):
                raise _damaged(file)
            parts = [opened.read(size) for size in sizes]
            if _CRC.unpack(opened.read(_CRC.size))[0] != zlib.crc32(b"".join(parts)):
                raise _damaged(file)
            described = msgspec.json.decode(parts[0], type=_Description)
            middle, side = _peaks(described, parts[1], parts[2])
        except (struct.error, msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            raise _damaged(file) from error
        yield described, middle, side


def _peaks(described: _Description, middle: bytes, side: bytes) -> tuple[_Peaks, _Peaks]:
    """The packed peaks, middle and side. Raises ValueError for peaks that no track has."""
    if not (0 < described.frames <= MAX_FRAMES and 0 < described.duration_seconds <= MAX_SECONDS):
        raise ValueError("no track is so long")
    packed = np.frombuffer(middle, "<u2"), np.frombuffer(side, "<u2")
    for each in packed:
        frames, bins = unpack_peaks(each)
        if len(frames) and (frames[-1] >= described.frames or bins.max() >= DEFAULT.bins):
            raise ValueError("a peak is beyond the track")
        if not np.array_equal(pack_peaks(frames.astype(np.uint32), bins.astype(np.uint16)), each):
            raise ValueError("the peaks are packed in another way")
    if track_id(*packed) != described.id:
        raise ValueError("the id is another recording's")
    return packed


def _damaged(file: Path) -> CatalogError:
    return CatalogError(f"{file} is damaged: it is not as it was written. Nothing of it was used; get it again.")
