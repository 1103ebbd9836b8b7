"""An IndexSegment: one immutable file with some tracks' landmarks, memory-mapped, so that it opens at once."""

import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.computed_once import computed_once
from fingerprint.catalog.packed_peaks import unpack_peaks
from fingerprint.catalog.problems import DamagedCatalogError
from fingerprint.catalog.regular_file import open_regular
from fingerprint.catalog.segment_layout import SECTIONS, TRACK_RECORD, read_header, remainder_type
from fingerprint.catalog.tracks import TrackEntry, track_id


class IdTable:
    """Finds tracks by id in a file's list of tracks; sorted when it is first used."""

    def __init__(self, records: NDArray[np.void]) -> None:
        self._records = records

    @computed_once
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self._records["id"], kind="stable")

    @computed_once
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
                raise DamagedCatalogError(f"{path} is damaged: it is empty") from error
        header = read_header(path, mapped, identity)
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

    def forget_pages(self) -> None:
        """Let go of the pages that were read, which fill memory: they are read again when they are needed."""
        if hasattr(self._mapped, "madvise"):
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def parts(self) -> Iterator[bytes]:
        """The whole file, as it is mapped, in pieces."""
        for start in range(0, len(self._mapped), _CHECK_BYTES):
            yield self._mapped[start : start + _CHECK_BYTES]
            self.forget_pages()

    def damage(self, *names: str) -> str | None:
        """The first of the named sections (all when none is named) whose checksum is wrong, or None."""
        for name, offset, size, crc in self.sections:
            if names and name not in names:
                continue
            running = 0
            for start in range(offset, offset + size, _CHECK_BYTES):
                running = zlib.crc32(self._mapped[start : min(start + _CHECK_BYTES, offset + size)], running)
                if size > _CHECK_BYTES:
                    self.forget_pages()
            if running != crc:
                return name
        return None


_CHECK_BYTES: Final = 1 << 24
