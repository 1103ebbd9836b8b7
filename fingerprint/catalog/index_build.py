"""Builds IndexSegments from fingerprints, or by merging other IndexSegments."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.fingerprint import TrackFingerprint
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.packed_peaks import pack_peaks
from fingerprint.catalog.segment_layout import GAP, TRACK_RECORD, directory_bits, remainder_type
from fingerprint.catalog.segment_writer import SegmentWriter
from fingerprint.catalog.tracks import TrackEntry

MERGE_POSTINGS: Final = 1 << 22
"""About how many postings a merge has in memory at the same time."""


def build_segment(
    path: Path,
    tracks: Sequence[tuple[TrackEntry, TrackFingerprint]],
    *,
    identity: str,
    hash_bits: int,
    catalog: str = "",
) -> str:
    """Write an IndexSegment of new tracks; returns its identity."""
    records = np.zeros(len(tracks), TRACK_RECORD)
    texts = [track.encode() for track, _ in tracks]
    peaks = [pack_peaks(fingerprint.peak_frames, fingerprint.peak_bins) for _, fingerprint in tracks]
    side_peaks = [pack_peaks(fingerprint.side_frames, fingerprint.side_bins) for _, fingerprint in tracks]
    records["id"] = [track.id.encode() for track, _ in tracks]
    records["frames"] = [fingerprint.frames for _, fingerprint in tracks]
    records["landmarks"] = [len(fingerprint.hashes) for _, fingerprint in tracks]
    records["text_size"] = [len(text) for text in texts]
    records["peaks_size"] = [len(packed) for packed in peaks]
    records["side_peaks_size"] = [len(packed) for packed in side_peaks]
    frames = place_tracks(records)
    hashes = np.concatenate([fingerprint.hashes for _, fingerprint in tracks])
    positions = np.concatenate(
        [
            fingerprint.anchors + np.uint32(first)
            for (_, fingerprint), first in zip(tracks, records["first_frame"], strict=True)
        ]
    )
    key = np.sort(hashes.astype(np.uint64) << np.uint64(32) | positions)
    bits = directory_bits(len(key), hash_bits)
    with SegmentWriter(path, identity=identity, hash_bits=hash_bits, catalog=catalog) as writer:
        reserve_sections(writer, records, bits, hash_bits)
        writer.write("tracks", records, 0)
        writer.write("texts", b"".join(texts), 0)
        of_each = [packed for pair in zip(peaks, side_peaks, strict=True) for packed in pair]
        writer.write("peaks", np.concatenate(of_each), 0)
        postings = PostingsWriter(writer, bits, hash_bits)
        postings.write((key >> np.uint64(32)).astype(np.uint32), key.astype(np.uint32))
        postings.finish()
        writer.finish(directory_bits=bits, postings=len(key), frames=frames, tracks=len(records))
        return writer.id


@dataclass(frozen=True, slots=True, eq=False)
class MergeSource:
    """An IndexSegment to merge, without the removed tracks (numbers in its list of tracks).

    `entries`: what is to be said of tracks, by number, instead of what the segment says; their ids too.
    """

    segment: IndexSegment
    removed: frozenset[int]
    entries: Mapping[int, TrackEntry] = field(default_factory=dict[int, TrackEntry])

    @property
    def kept(self) -> NDArray[np.int64]:
        """The numbers of the tracks that remain."""
        numbers = np.arange(len(self.segment.tracks))
        return numbers[~np.isin(numbers, list(self.removed))]

    @property
    def records(self) -> NDArray[np.void]:
        """The records of the tracks that remain, with new ids and sizes of texts."""
        kept = self.kept
        records = self.segment.tracks[kept]
        for place, number in enumerate(kept.tolist() if self.entries else ()):
            if number in self.entries:
                records["id"][place] = self.entries[number].id.encode()
                records["text_size"][place] = len(self.entries[number].encode())
        return records

    def text(self, number: int) -> bytes:
        """What is to be stored of a track."""
        entry = self.entries.get(number)
        return self.segment.raw_text(number) if entry is None else entry.encode()


def merge_segments(
    path: Path, sources: Sequence[MergeSource], *, identity: str, hash_bits: int, catalog: str = ""
) -> str:
    """Write one IndexSegment with the contents of several; returns its identity.

    Memory does not grow with their size.
    """
    kept = [source.kept for source in sources]
    records = np.concatenate([source.records for source in sources])
    frames = place_tracks(records)
    postings = int(records["landmarks"].astype(np.int64).sum())
    bits = directory_bits(postings, hash_bits)
    # The new start of each old track; None for removed ones.
    moves: list[NDArray[np.int64]] = []
    first = 0
    for source, numbers in zip(sources, kept, strict=True):
        move = np.full(len(source.segment.tracks), _REMOVED)
        old = source.segment.tracks["first_frame"][numbers].astype(np.int64)
        move[numbers] = records["first_frame"][first : first + len(numbers)].astype(np.int64) - old
        moves.append(move)
        first += len(numbers)
    with SegmentWriter(path, identity=identity, hash_bits=hash_bits, catalog=catalog) as writer:
        reserve_sections(writer, records, bits, hash_bits)
        writer.write("tracks", records, 0)
        at_text = at_peaks = 0
        for source, numbers in zip(sources, kept, strict=True):
            for number in numbers:
                at_text = writer.write("texts", source.text(int(number)), at_text)
        for source, numbers in zip(sources, kept, strict=True):
            for number in numbers:
                at_peaks = writer.write("peaks", source.segment.raw_peaks(int(number)), at_peaks)
        output = PostingsWriter(writer, bits, hash_bits)
        for low, high, coarse in _hash_ranges([source.segment for source in sources]):
            hashes, positions = _gather(sources, moves, low, high, coarse)
            order = np.lexsort((positions, hashes))
            output.write(hashes[order], positions[order])
        output.finish()
        writer.finish(directory_bits=bits, postings=postings, frames=frames, tracks=len(records))
        return writer.id


_REMOVED: Final = np.iinfo(np.int64).min


def place_tracks(records: NDArray[np.void]) -> int:
    """Fill in the positions of tracks, texts and peaks; returns the number of frames of all tracks together."""
    spans = records["frames"].astype(np.int64) + GAP
    records["first_frame"] = np.cumsum(spans) - spans + GAP
    for name, sizes in (("text", records["text_size"].astype(np.int64)), ("peaks", _all_peaks(records))):
        records[f"{name}_start"] = np.cumsum(sizes) - sizes
    return int(spans.sum()) + GAP


def _all_peaks(records: NDArray[np.void]) -> NDArray[np.int64]:
    """The number of values of each track's constellations, middle and side."""
    sizes: NDArray[np.int64] = records["peaks_size"].astype(np.int64) + records["side_peaks_size"]
    return sizes


def reserve_sections(writer: SegmentWriter, records: NDArray[np.void], bits: int, hash_bits: int) -> None:
    """Reserve space for all sections, for tracks whose records are filled in."""
    postings = int(records["landmarks"].sum(dtype=np.int64))
    rest = hash_bits - bits
    writer.reserve("tracks", records.nbytes)
    writer.reserve("texts", int(records["text_size"].sum(dtype=np.int64)))
    writer.reserve("peaks", 2 * int(_all_peaks(records).sum()))
    writer.reserve("directory", 4 * (2**bits + 1))
    writer.reserve("remainders", postings * remainder_type(rest).itemsize if rest else 0)
    writer.reserve("postings", 4 * postings)


class PostingsWriter:
    """Writes remainders and postings, which must be in order of hash, and counts for the directory."""

    def __init__(self, writer: SegmentWriter, bits: int, hash_bits: int) -> None:
        self._writer = writer
        self._rest = hash_bits - bits
        self._counts = np.zeros(2**bits + 1, np.int64)
        self._at_remainders = 0
        self._at_postings = 0

    def write(self, hashes: NDArray[np.uint32], positions: NDArray[np.uint32]) -> None:
        """Write the next postings, in order of hash."""
        if not len(hashes):
            return
        buckets = (hashes >> np.uint32(self._rest)).astype(np.int64)
        low = int(buckets[0])
        counts = np.bincount(buckets - low)
        self._counts[low + 1 : low + 1 + len(counts)] += counts
        if self._rest:
            lower = (hashes & np.uint32((1 << self._rest) - 1)).astype(remainder_type(self._rest))
            self._at_remainders = self._writer.write("remainders", lower, self._at_remainders)
        self._at_postings = self._writer.write("postings", positions.astype("<u4"), self._at_postings)

    def finish(self) -> None:
        """Write the directory after the last postings."""
        self._writer.write("directory", np.cumsum(self._counts).astype("<u4"), 0)


def _hash_ranges(segments: Sequence[IndexSegment]) -> Iterator[tuple[int, int, int]]:
    """Ranges of buckets in the coarsest of the directories, with about MERGE_POSTINGS postings each."""
    coarse = min(segment.directory_bits for segment in segments)
    starts = np.zeros(2**coarse + 1, np.int64)
    for segment in segments:
        starts = starts + segment.directory[:: 2 ** (segment.directory_bits - coarse)]
    low = 0
    while low < 2**coarse:
        full = int(starts[low]) + MERGE_POSTINGS
        high = int(np.searchsorted(starts, full, side="right")) - 1
        high = min(max(high, low + 1), 2**coarse)
        yield low, high, coarse
        low = high


def _gather(
    sources: Sequence[MergeSource], moves: Sequence[NDArray[np.int64]], low: int, high: int, coarse: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The postings of a range of coarse buckets from all sources, at their new positions."""
    hashes: list[NDArray[np.uint32]] = []
    positions: list[NDArray[np.uint32]] = []
    for source, move in zip(sources, moves, strict=True):
        segment = source.segment
        finer = segment.directory_bits - coarse
        first, last = low << finer, high << finer
        old = segment.postings[int(segment.directory[first]) : int(segment.directory[last])]
        moved = move[segment.track_numbers(old)]
        kept = moved != _REMOVED
        hashes.append(segment.hashes(first, last)[kept])
        positions.append((old[kept].astype(np.int64) + moved[kept]).astype(np.uint32))
    return np.concatenate(hashes), np.concatenate(positions)
