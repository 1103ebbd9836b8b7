"""An IndexSegment: one immutable file with some tracks' landmarks, memory-mapped, so that it opens at once.

All numbers are little-endian. The file is

    offset  size
         0     8  magic "TWAINDEX"
         8     4  u32 format version (3)
        12     4  u32 CRC-32 of the header, bytes 16 to 4096
        16     8  u64 size of the whole file
        24    40  the fingerprint's identity, ASCII, padded with NUL
        64     4  u32 bits of a hash
        68     4  u32 bits of the directory, b
        72     8  u64 number of postings
        80     8  u64 frames that the positions span
        88     8  u64 number of tracks
        96   144  one entry for each section, in this order: u64 offset, u64 size, u32 CRC-32, u32 0
       240    32  the file's random identity, ASCII hex
       272    32  the identity of the catalog that it was written for
      4096        the sections, each at a multiple of 64:

    tracks     one record for each track (TRACK_RECORD), in order of their first frames
    texts      the tracks' tags, JSON, one after another
    peaks      the tracks' constellations, u16 each: see `pack_peaks`; of each track the middle's, then the side's
    directory  u32[2^b + 1]: where in `postings` each bucket starts; the bucket of a hash is its upper b bits
    remainders u8 or u16[postings]: the lower bits of each posting's hash; empty when b is all of them
    postings   u32[postings]: positions, in order of hash, then position

A position is a frame: the track's first frame plus the landmark's anchor in the track. Tracks are GAP frames
apart, so that offsets of neighboring tracks cannot be mixed up. The directory's size follows the number of
postings: a small file has coarse buckets and remainders, a large one has a bucket for each hash.

Version 2 had no identities; it is read as well. While a file is written, its header has the magic, the version and
the identities, and no checksum.
"""

import mmap
import os
import re
import secrets
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.problems import CatalogError, DamagedCatalogError, OtherFingerprintError
from fingerprint.catalog.regular_file import open_regular
from fingerprint.catalog.tracks import TrackEntry, track_id

MAGIC: Final = b"TWAINDEX"
FORMAT_VERSION: Final = 3
_READABLE_VERSIONS: Final = (2, FORMAT_VERSION)
HEADER_BYTES: Final = 4096
GAP: Final = 512
"""Frames between tracks; longer than any window that is matched."""

POSITION_LIMIT: Final = 2**32 - 1
"""The most frames, and the most postings, in one file."""

SECTIONS: Final = ("tracks", "texts", "peaks", "directory", "remainders", "postings")
_ALIGNMENT: Final = 64

TRACK_RECORD: Final = np.dtype(
    [
        ("id", "S12"),
        ("frames", "<u4"),
        ("first_frame", "<u4"),
        ("landmarks", "<u4"),
        ("text_size", "<u4"),
        ("peaks_size", "<u4"),
        ("side_peaks_size", "<u4"),
        ("text_start", "<u8"),
        ("peaks_start", "<u8"),
    ]
)
_HEADER: Final = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("crc", "<u4"),
        ("size", "<u8"),
        ("identity", "S40"),
        ("hash_bits", "<u4"),
        ("directory_bits", "<u4"),
        ("postings", "<u8"),
        ("frames", "<u8"),
        ("tracks", "<u8"),
        ("sections", [("offset", "<u8"), ("size", "<u8"), ("crc", "<u4"), ("zero", "<u4")], (len(SECTIONS),)),
        ("id", "S32"),
        ("catalog", "S32"),
    ]
)
_NAME: Final = re.compile(r"([0-9]{8})(?:-[0-9a-f]{8})?\.(seg|tmp)")
_CRC_START: Final = 16
_PEAK_BIN_BITS: Final = 9
_PEAK_GAP_LIMIT: Final = 127
_NO_BIN: Final = 0


def new_id() -> str:
    """A random identity of a catalog or of one of its files: 32 hex digits."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentName:
    """An index file in a folder, finished or not, as far as its name and the start of its header tell.

    `number`: the one in its name. `catalog`: the identity of its catalog, empty for a file of version 2.
    """

    path: Path
    number: int
    catalog: str
    finished: bool


def segment_file(number: int, suffix: str = "") -> str:
    """The name of an index file. `suffix`: 8 hex digits where others may choose the same number."""
    return f"{number:08d}-{suffix}.seg" if suffix else f"{number:08d}.seg"


def is_segment_name(name: str) -> bool:
    """Whether a file is named like an index file that is finished."""
    named = _NAME.fullmatch(name)
    return named is not None and named[2] == "seg"


def read_name(path: Path) -> SegmentName | None:
    """What kind of index file this is; None for any other file, whatever it is called."""
    named = _NAME.fullmatch(path.name)
    if named is None:
        return None
    try:
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb") as file:
            raw = file.read(_HEADER.itemsize)
    except OSError:
        return None
    if len(raw) < _HEADER.itemsize or not raw.startswith(MAGIC):
        return None
    header: np.void = np.frombuffer(raw, _HEADER, 1)[0]
    return SegmentName(
        path=path,
        number=int(named[1]),
        catalog=header["catalog"].decode("ascii", "replace"),
        finished=named[2] == "seg",
    )


def directory_bits(postings: int, hash_bits: int) -> int:
    """The directory's size: 2^8 to 2^hash_bits buckets, so that directory and remainders are small together.

    About sixteen postings share a bucket; from so many postings on that their remainders would take more than a
    directory without any, each hash has one of its own.
    """
    if postings >= 3 << hash_bits:
        return hash_bits
    return min(hash_bits, max(8, hash_bits - 16, postings.bit_length() - 4))


def remainder_type(bits: int) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
    """The type that holds the lower `bits` bits of a hash."""
    return np.dtype(np.uint8) if bits <= 8 else np.dtype("<u2")


def pack_peaks(frames: NDArray[np.uint32], bins: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """A constellation as u16: frames since the previous peak in the upper 7 bits, the bin in the lower 9.

    Bin 0 is not a peak; it marks a gap longer than 127 frames.
    """
    gaps = np.diff(frames.astype(np.int64), prepend=0)
    fillers = np.maximum(gaps - 1, 0) // _PEAK_GAP_LIMIT
    packed = np.full(len(gaps) + int(fillers.sum()), _PEAK_GAP_LIMIT << _PEAK_BIN_BITS | _NO_BIN, np.int64)
    places = np.arange(len(gaps)) + np.cumsum(fillers)
    packed[places] = (gaps - fillers * _PEAK_GAP_LIMIT) << _PEAK_BIN_BITS | bins
    return packed.astype("<u2")


def unpack_peaks(
    packed: NDArray[np.uint16], between: tuple[float, float] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The inverse of `pack_peaks`: frames and bins, both of shape (n,).

    With `between`, only those from the first frame up to, but not including, the second.
    """
    frames = np.cumsum(packed >> _PEAK_BIN_BITS, dtype=np.int64)
    if between is not None:
        first, last = np.searchsorted(frames, between)
        frames, packed = frames[first:last], packed[first:last]
    bins = (packed & ((1 << _PEAK_BIN_BITS) - 1)).astype(np.int64)
    real = bins != _NO_BIN
    return frames[real], bins[real]


class SegmentWriter:
    """Writes an IndexSegment section by section to a temporary file, and renames it when it is complete.

    `id`: the new file's identity. `catalog`: that of its catalog. No file that is there already is written to.
    """

    def __init__(self, path: Path, *, identity: str, hash_bits: int, catalog: str = "") -> None:
        self.id: Final = new_id()
        self._path = path
        self._temporary = path.with_name(f"{path.stem}-{self.id[:8]}.tmp")
        self._header = np.zeros((), _HEADER)
        self._header["magic"], self._header["version"] = MAGIC, FORMAT_VERSION
        self._header["identity"], self._header["hash_bits"] = identity.encode(), hash_bits
        self._header["id"], self._header["catalog"] = self.id.encode(), catalog.encode()
        self._end = HEADER_BYTES
        self._file = self._temporary.open("xb+", buffering=0)
        try:
            # Tells whose file it is, if this process is killed while it writes.
            self._file.write(self._header.tobytes())
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def reserve(self, name: str, size: int) -> None:
        """Reserve space for a section; sections are reserved in the order of SECTIONS."""
        entry = self._header["sections"][SECTIONS.index(name)]
        entry["offset"], entry["size"] = self._end, size
        self._end += -(-size // _ALIGNMENT) * _ALIGNMENT

    def write(self, name: str, part: NDArray[np.generic] | bytes, at: int) -> int:
        """Write a part of a section at `at` bytes from its start; parts come in order. Returns where it ends."""
        entry = self._header["sections"][SECTIONS.index(name)]
        raw = part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes()
        self._file.seek(int(entry["offset"]) + at)
        self._write(raw)
        entry["crc"] = zlib.crc32(raw, int(entry["crc"]))
        return at + len(raw)

    def finish(self, *, directory_bits: int, postings: int, frames: int, tracks: int) -> None:
        """Write the header, sync the file to disk, and rename it to its final name."""
        header = self._header
        header["directory_bits"], header["postings"] = directory_bits, postings
        header["frames"], header["tracks"], header["size"] = frames, tracks, self._end
        raw = bytearray(header.tobytes().ljust(HEADER_BYTES, b"\0"))
        crc = zlib.crc32(bytes(raw[_CRC_START:]))
        raw[_CRC_START - 4 : _CRC_START] = crc.to_bytes(4, "little")
        self._file.seek(0)
        self._write(bytes(raw))
        self._file.truncate(self._end)
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._path)

    def _write(self, raw: bytes) -> None:
        left = memoryview(raw)
        while left:
            left = left[self._file.write(left) :]


class IdTable:
    """Finds tracks by id in a file's list of tracks; sorted when it is first used."""

    def __init__(self, records: NDArray[np.void]) -> None:
        self._records = records

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self._records["id"], kind="stable")

    @cached_property
    def _ids(self) -> NDArray[np.bytes_]:
        return self._records["id"][self._order]

    def numbers(self, track_id: bytes) -> list[int]:
        """The numbers of the tracks with an id, removed ones too."""
        wanted = np.array(track_id, self._ids.dtype)
        first, last = (int(np.searchsorted(self._ids, wanted, side=side)) for side in ("left", "right"))
        return self._order[first:last].tolist()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IndexSegment:
    """An open file of postings. Arrays are views of the mapped file and cannot be written to."""

    path: Path
    id: str
    """The file's identity; one of version 2 has none but its checksum."""
    version: int
    size: int
    hash_bits: int
    directory_bits: int
    frames: int
    tracks: NDArray[np.void]
    ids: IdTable
    directory: NDArray[np.uint32]
    remainders: NDArray[np.uint8] | NDArray[np.uint16]
    postings: NDArray[np.uint32]
    _texts: NDArray[np.uint8]
    _peaks: NDArray[np.uint16]
    sections: tuple[tuple[str, int, int, int], ...]
    """Each section's name, offset, size and checksum."""
    _mapped: mmap.mmap

    @staticmethod
    def open(path: Path, *, identity: str) -> "IndexSegment":
        """Map a file. Reads the header and the list of tracks only.

        Raises FileNotFoundError; DamagedCatalogError for a file that was cut or changed; OtherFingerprintError.
        """
        with open_regular(path) as file:
            try:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise DamagedCatalogError(f"{path} is empty") from error
        header = _read_header(path, mapped, identity)
        entries = tuple(
            (name, int(entry["offset"]), int(entry["size"]), int(entry["crc"]))
            for name, entry in zip(SECTIONS, header["sections"], strict=True)
        )
        places = {name: (offset, size) for name, offset, size, _ in entries}

        def view(name: str, kind: np.dtype[np.generic]) -> NDArray[np.generic]:
            offset, size = places[name]
            return np.frombuffer(mapped, kind, size // kind.itemsize, offset)

        hash_bits, bits = int(header["hash_bits"]), int(header["directory_bits"])
        records: NDArray[np.void] = view("tracks", TRACK_RECORD)  # pyright: ignore[reportAssignmentType] - the dtype says what it is
        segment = IndexSegment(
            path=path,
            id=header["id"].decode() or f"{int(header['crc']):08x}",
            version=int(header["version"]),
            size=int(header["size"]),
            hash_bits=hash_bits,
            directory_bits=bits,
            frames=int(header["frames"]),
            tracks=records,
            ids=IdTable(records),
            directory=view("directory", np.dtype("<u4")),  # pyright: ignore[reportArgumentType] - likewise
            remainders=view("remainders", remainder_type(hash_bits - bits)),  # pyright: ignore[reportArgumentType] - likewise
            postings=view("postings", np.dtype("<u4")),  # pyright: ignore[reportArgumentType] - likewise
            _texts=view("texts", np.dtype(np.uint8)),  # pyright: ignore[reportArgumentType] - likewise
            _peaks=view("peaks", np.dtype("<u2")),  # pyright: ignore[reportArgumentType] - likewise
            sections=entries,
            _mapped=mapped,
        )
        counts = (len(segment.tracks), len(segment.postings), len(segment.directory))
        if counts != (int(header["tracks"]), int(header["postings"]), 2**bits + 1) or segment.damage("tracks"):
            raise DamagedCatalogError(f"{path} is damaged: its parts do not fit together")
        if hasattr(mapped, "madvise"):
            # Postings are read at random positions: reading ahead would only fill the memory.
            mapped.madvise(mmap.MADV_RANDOM)
        return segment

    @property
    def remainder_bits(self) -> int:
        """The number of a hash's lower bits, which are stored in the remainders."""
        return self.hash_bits - self.directory_bits

    def entry(self, number: int) -> TrackEntry:
        """What is known of the track with a number."""
        return self.decode(number, self.tracks[number]["id"], self.raw_text(number))

    def texts(self, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, bytes, bytes]]:
        """The numbers, ids and stored bytes of the tracks that are chosen."""
        numbers = np.flatnonzero(chosen)
        records = self.tracks[numbers]
        starts, sizes = records["text_start"].tolist(), records["text_size"].tolist()
        content = self._texts.data
        for number, found, start, size in zip(
            numbers.tolist(), records["id"].tolist(), starts, sizes, strict=True
        ):
            yield number, found, bytes(content[start : start + size])

    def decode(self, number: int, track_id: bytes, text: bytes) -> TrackEntry:
        """What is known of a track, from its stored bytes. Raises DamagedCatalogError."""
        try:
            return TrackEntry.decode(track_id.decode(), text)
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedCatalogError(f"{self.path} is damaged: track {number} has unreadable tags") from error

    def raw_text(self, number: int) -> bytes:
        """The stored bytes of what is known of a track."""
        start, size = int(self.tracks[number]["text_start"]), int(self.tracks[number]["text_size"])
        return self._texts[start : start + size].tobytes()

    def raw_peaks(self, number: int) -> NDArray[np.uint16]:
        """A track's constellations as they are stored."""
        record = self.tracks[number]
        start = int(record["peaks_start"])
        return self._peaks[start : start + int(record["peaks_size"]) + int(record["side_peaks_size"])]

    def track_id(self, number: int) -> str:
        """The identity of a track's recording, computed from its constellations."""
        raw, middle = self.raw_peaks(number), int(self.tracks[number]["peaks_size"])
        return track_id(raw[:middle], raw[middle:])

    def peaks(
        self, number: int, between: tuple[float, float] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A track's constellation: frames from the track's start, and bins. `between` as in `unpack_peaks`."""
        return unpack_peaks(self.raw_peaks(number)[: int(self.tracks[number]["peaks_size"])], between)

    def side_peaks(
        self, number: int, between: tuple[float, float] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The constellation of a track's side, in the same form; empty for a mono track."""
        return unpack_peaks(self.raw_peaks(number)[int(self.tracks[number]["peaks_size"]) :], between)

    def track_numbers(self, positions: NDArray[np.integer]) -> NDArray[np.int64]:
        """Which track each position belongs to."""
        return np.searchsorted(self.tracks["first_frame"], positions, side="right") - 1

    def hashes(self, first: int, last: int) -> NDArray[np.uint32]:
        """The full hashes of the postings in the buckets `first` to `last`, the end excluded."""
        bounds = self.directory[first : last + 1].astype(np.int64)
        upper = np.repeat(np.arange(first, last, dtype=np.uint32), np.diff(bounds))
        if not self.remainder_bits:
            return upper
        return upper << np.uint32(self.remainder_bits) | self.remainders[bounds[0] : bounds[-1]]

    @property
    def content(self) -> memoryview:
        """The whole file, as it is mapped."""
        return memoryview(self._mapped)

    def damage(self, *names: str) -> str | None:
        """The first of the named sections (all when none is named) whose checksum is wrong, or None."""
        for name, offset, size, crc in self.sections:
            if names and name not in names:
                continue
            running = 0
            for start in range(offset, offset + size, _CHECK_BYTES):
                running = zlib.crc32(self._mapped[start : min(start + _CHECK_BYTES, offset + size)], running)
            if running != crc:
                return name
        return None


_CHECK_BYTES: Final = 1 << 24


def _read_header(path: Path, mapped: mmap.mmap, identity: str) -> np.void:
    raw = mapped[:HEADER_BYTES]
    if raw[: len(MAGIC)] != MAGIC:
        raise DamagedCatalogError(f"{path} is not a part of a catalog, or its start was overwritten")
    if len(raw) < HEADER_BYTES:
        raise DamagedCatalogError(f"{path} was cut: its header is not whole")
    header: np.void = np.frombuffer(raw, _HEADER, 1)[0]
    version = int(header["version"])
    if version not in _READABLE_VERSIONS:
        raise CatalogError(
            f"{path} has format {version}; this version of TwitchAudio reads formats up to {FORMAT_VERSION}. Use "
            "the version that made it, or add the music to an empty catalog folder."
        )
    if zlib.crc32(raw[_CRC_START:]) != int(header["crc"]):
        raise DamagedCatalogError(f"{path} is damaged: its header is not as it was written")
    if int(header["size"]) != len(mapped):
        raise DamagedCatalogError(f"{path} was cut: it has {len(mapped)} bytes instead of {int(header['size'])}")
    made_by = header["identity"].decode()
    if made_by != identity:
        raise other_fingerprint(path.parent, made_by, identity)
    return header


def other_fingerprint(directory: Path, made_by: str, ours: str) -> OtherFingerprintError:
    """The error for a catalog that was made by another fingerprint."""
    return OtherFingerprintError(
        f"The catalog in {directory} was made by the fingerprint {made_by}, and this version of TwitchAudio makes "
        f"{ours}: they cannot be compared. `twitchaudio catalog rebuild` makes it again, from the music where it "
        "has to; `list`, `search`, `stats` and `export` read it as it is."
    )
