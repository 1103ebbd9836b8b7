"""Finds the sound of an MP4 file by its description (`moov`; ISO/IEC 14496-12, 8). Pure, for untrusted input.

With it the sound of a long file is fetched without keeping its picture, also where the description comes last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.media.containers import inner_boxes, iter_boxes, number_at

MAX_SOUND_BYTES: Final = 32 << 20
"""The most sound that is taken: 90 s of 48 kHz PCM in stereo are half of it."""

_MAX_FILE_BYTES: Final = 1 << 40
_MAX_CHUNK_SAMPLES: Final = 1 << 22
_TYPE: Final = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"
_TABLES: Final = (b"stsz", b"stsc", b"stts")

Range = tuple[int, int]
"""A part of a file, from a first byte to the one behind its last."""

Numbers = NDArray[np.int64]


class DescriptionError(Exception):
    """A description by which the sound of a file cannot be found."""


@dataclass(frozen=True, slots=True)
class SoundTable:
    """The first sound track of a file. `ranges` are its places in the file, in order and apart from each other.

    `head`, followed by what the file has at `ranges`, is a file of that track alone.
    """

    head: bytes = field(repr=False)
    ranges: Sequence[Range]


def behind_media(content: bytes) -> int | None:
    """Where the box behind the first `mdat` of a file begins, by the file's first bytes.

    None when they have none, and when it says that it goes on to the end of the file.
    """
    at = 0
    for kind, _, _ in iter_boxes(content, 0, len(content)):
        end = _box_end(content, at)
        if kind == b"mdat":
            return end
        if end is None:
            return None
        at = end
    return None


def description(content: bytes) -> bytes | int:
    """The first `moov` box of bytes that begin at a box; or where in them the first box begins that they lack.

    Raises DescriptionError when there is no such box.
    """
    at = 0
    for kind, _, _ in iter_boxes(content, 0, len(content)):
        end = _box_end(content, at)
        if end is None:
            break
        if kind == b"moov":
            if end <= len(content):
                return content[at:end]
            if at:
                return at
            break
        at = end
    if at > max(0, len(content) - 8):
        return at
    raise DescriptionError("it has no description")


def sound_table(moov: bytes, *, max_seconds: float) -> SoundTable:
    """The first `max_seconds` of the first sound track that has samples, by the `moov` box that describes it.

    Raises DescriptionError.
    """
    for start, end in inner_boxes(moov, 0, len(moov), b"moov", b"trak"):
        handler, _ = _inner(moov, start, end, b"mdia", b"hdlr")
        if moov[handler + 8 : handler + 12] == b"soun":
            track = _Track(moov, start, end)
            if track.places.size:
                movie = moov[slice(*_inner(moov, 0, len(moov), b"moov", b"mvhd"))]
                return track.table(_box(b"mvhd", movie), max_seconds)
    raise DescriptionError("it describes no sound")


class _Track:
    """A track of a `moov` box: the places of its chunks in the file, and which samples each of them holds."""

    def __init__(self, moov: bytes, start: int, end: int) -> None:
        self._box = moov[start:end]
        inside = _inner(self._box, 0, len(self._box), b"mdia", b"minf", b"stbl")
        found = {kind: (at, until) for kind, at, until in iter_boxes(self._box, *inside)}
        self._wide = b"co64" in found
        kind = b"co64" if self._wide else b"stco"
        if any(each not in found for each in (*_TABLES, kind)):
            raise DescriptionError("a table of its sound is missing")
        sizes, runs, durations = (found[each] for each in _TABLES)
        self._places_at = found[kind][0] + 8
        self.places = self._numbers(found[kind], 4, 1, 8 if self._wide else 4)[:, 0]
        self._samples = self._of_chunks(self._numbers(runs, 4, 3))
        self._bytes = self._chunk_bytes(*sizes)
        self._durations = self._numbers(durations, 4, 2)

    def _numbers(self, box: Range, count_at: int, columns: int, size: int = 4) -> Numbers:
        """The table of a box: rows of big-endian integers, whose number comes before them."""
        start, end = box[0] + count_at + 4, box[1]
        count = number_at(self._box, box[0] + count_at, 4) * columns
        if start + count * size > end:
            raise DescriptionError("a table of its sound is cut")
        numbers = np.frombuffer(self._box, dtype=f">u{size}", count=count, offset=start)
        if size == 8 and count and int(numbers.max()) > _MAX_FILE_BYTES:
            raise DescriptionError("its sound lies outside of any file")
        return numbers.astype(np.int64).reshape(-1, columns)

    def _of_chunks(self, runs: Numbers) -> Numbers:
        """How many samples each chunk has: a run of equal ones names its first chunk, counted from 1 (8.7.4)."""
        count = self.places.size
        firsts = np.minimum(runs[:, 0], count + 1)
        lengths = np.diff(firsts, append=count + 1)
        if count and (not runs.size or firsts[0] != 1 or (lengths < 0).any()):
            raise DescriptionError("its chunks are out of order")
        if (runs[:, 1] > _MAX_CHUNK_SAMPLES).any():
            raise DescriptionError("its chunks are longer than any real ones")
        return np.repeat(runs[:, 1], lengths)

    def _chunk_bytes(self, start: int, end: int) -> Numbers:
        """How many bytes each chunk has."""
        each = number_at(self._box, start + 4, 4)
        if each:
            return np.minimum(self._samples * each, _MAX_FILE_BYTES)
        sizes = self._numbers((start, end), 8, 1)[:, 0]
        before = np.concatenate(([0], np.cumsum(sizes)))
        ends = np.cumsum(self._samples)
        if ends.size and ends[-1] > sizes.size:
            raise DescriptionError("it has fewer sizes than samples")
        return before[ends] - before[ends - self._samples]

    def _starts(self) -> NDArray[np.float64]:
        """When each chunk begins, in the track's units of time: `stts` has runs of samples of equal duration."""
        counts, durations = self._durations[:, 0].astype(float), self._durations[:, 1].astype(float)
        ends = np.concatenate(([0.0], np.cumsum(counts)))
        times = np.concatenate(([0.0], np.cumsum(counts * durations)))
        return np.interp(np.cumsum(self._samples) - self._samples, ends, times)

    def table(self, mvhd: bytes, max_seconds: float) -> SoundTable:
        """The file of this track alone, up to a time. Raises DescriptionError."""
        media, _ = _inner(self._box, 0, len(self._box), b"mdia", b"mdhd")
        # Version 1 has times of 8 bytes in front.
        scale = number_at(self._box, media + (20 if number_at(self._box, media, 1) == 1 else 12), 4)
        wanted = self._starts() < max_seconds * scale if scale else np.ones(self.places.size, bool)
        order = np.argsort(self.places, kind="stable")
        order = order[wanted[order] & (self._bytes[order] > 0)]
        places, lengths = self.places[order], self._bytes[order]
        total = int(lengths.sum())
        if not total or total > MAX_SOUND_BYTES or (places[:-1] + lengths[:-1] > places[1:]).any():
            raise DescriptionError("its sound cannot be told from the rest")
        track = bytearray(_box(b"trak", self._box))
        head = len(_TYPE) + 8 + len(mvhd) + len(track) + 8
        moved = np.full(self.places.size, head + total)  # chunks that are not taken are behind the end
        moved[order] = head + np.cumsum(lengths) - lengths
        content = moved.astype(">u8" if self._wide else ">u4").tobytes()
        track[8 + self._places_at : 8 + self._places_at + len(content)] = content
        moov = _box(b"moov", mvhd + bytes(track))
        return SoundTable(_TYPE + moov + (8 + total).to_bytes(4, "big") + b"mdat", _joined(places, lengths))


def _joined(places: Numbers, lengths: Numbers) -> list[Range]:
    """Ranges of a file; those that follow each other without a gap are one."""
    ranges: list[Range] = []
    for start, length in zip(places.tolist(), lengths.tolist(), strict=True):
        if ranges and ranges[-1][1] == start:
            ranges[-1] = ranges[-1][0], start + length
        else:
            ranges.append((start, start + length))
    return ranges


def _inner(content: bytes, start: int, end: int, *path: bytes) -> Range:
    """The first box at a path of names. Raises DescriptionError."""
    found = next(inner_boxes(content, start, end, *path), None)
    if found is None:
        raise DescriptionError(f"it has no {path[-1].decode('ascii')}")
    return found


def _box_end(content: bytes, at: int) -> int | None:
    """Where the box at a position ends, by its size; None when it goes on to the end of the file."""
    size = number_at(content, at, 4)
    size = number_at(content, at + 8, 8) if size == 1 else size
    return at + size if size else None


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content
