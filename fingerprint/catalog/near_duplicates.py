"""Finds recordings that share sound: other bit rates and masterings, radio edits, and mixes that hold a track.

For each track, landmarks of windows all over it are looked up in the index, the rarest first. Offsets at which
several agree are then compared peak by peak, ten seconds at a time, so that it is known what is shared and where.
What was sped up or slowed down by more than about half a percent is not found.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import Constellation
from fingerprint.catalog.index import LiveSegment, Snapshot
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.landmarks import pair_peaks
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.postings import find_postings

WINDOWS: Final = 12
WINDOW_PEAKS: Final = 80
"""Of each track, the landmarks of so many windows with so many peaks are looked up: about a second each."""

MAX_HITS: Final = 100_000
"""How many postings are read for a track, in all of the catalog."""

MIN_VOTES: Final = 6
"""How many landmarks have to agree on an offset; by chance, three do in a large catalog."""

MAX_OFFSETS: Final = 40
"""How many offsets, of any tracks, are compared peak by peak."""

BLOCK_SECONDS: Final = 10.0
ALIKE: Final = 0.45
"""The share of a block's peaks that the other track has, too. Chance gives 0.08, a common drum loop up to 0.4."""

MIN_BLOCK_PEAKS: Final = 20

MIN_SHARED_SECONDS: Final = 15.0
MIN_SHARE: Final = 0.5
"""What two tracks share to be named: so many seconds, or so much of the shorter one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPart:
    """A part of a track that another one has, too: where it is in each, in seconds from their starts."""

    start_seconds: float
    end_seconds: float
    other_start_seconds: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end_seconds - self.start_seconds

    def reversed(self) -> "SharedPart":
        """The same part as the other track sees it."""
        return SharedPart(
            start_seconds=self.other_start_seconds,
            end_seconds=self.other_start_seconds + self.seconds,
            other_start_seconds=self.start_seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicate:
    """A track that shares `parts` with another one; `share`: how much of the shorter of the two that is, 0..1."""

    other_id: str
    share: float
    parts: tuple[SharedPart, ...]

    @property
    def seconds(self) -> float:
        """How much is shared."""
        return sum(part.seconds for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Place:
    """A track: the number of its segment, and its own in there."""

    segment: int
    number: int


def near_duplicates(
    snapshot: Snapshot, parameters: Parameters = DEFAULT
) -> Iterator[tuple[str, list[NearDuplicate]]]:
    """For each track, its id and what it shares with others, as far as it is the one to look from.

    A pair is found from its shorter track, or from both; each finding is told once for each direction in which it
    was found. Takes some milliseconds a track; no memory but that for one.
    """
    for segment, live in enumerate(snapshot.segments):
        for number in np.flatnonzero(live.alive).tolist():
            place = _Place(segment, number)
            yield live.segment.tracks[number]["id"].decode(), _of_track(snapshot, place, parameters)


def all_near_duplicates(found: Iterator[tuple[str, list[NearDuplicate]]]) -> dict[str, list[NearDuplicate]]:
    """What each track shares with others, in both directions, the most first."""
    pairs: dict[str, dict[str, NearDuplicate]] = {}
    for track_id, near in found:
        for each in near:
            seen = SharedPart.reversed
            back = NearDuplicate(
                other_id=track_id,
                share=each.share,
                parts=tuple(sorted(map(seen, each.parts), key=lambda part: part.start_seconds)),
            )
            for one, finding in ((track_id, each), (each.other_id, back)):
                known = pairs.setdefault(one, {}).get(finding.other_id)
                if known is None or known.seconds < finding.seconds:
                    pairs[one][finding.other_id] = finding
    return {
        track_id: sorted(others.values(), key=lambda each: (-each.seconds, each.other_id))
        for track_id, others in pairs.items()
    }


def _of_track(snapshot: Snapshot, place: _Place, parameters: Parameters) -> list[NearDuplicate]:
    live = snapshot.segments[place.segment]
    frames, bins = live.segment.peaks(place.number)
    if len(frames) < MIN_BLOCK_PEAKS:
        return []
    hashes, anchors = _sampled_landmarks(frames, bins, parameters)
    shared: dict[_Place, list[tuple[int, NDArray[np.bool_]]]] = {}
    blocks = (frames / parameters.frames_per_second // BLOCK_SECONDS).astype(np.int64)
    for other, offset in _offsets(snapshot, place, hashes, anchors):
        segment = snapshot.segments[other.segment].segment
        alike = _alike_blocks(
            segment, other.number, offset, peaks=(frames, bins), blocks=blocks, parameters=parameters
        )
        if alike.any():
            shared.setdefault(other, []).append((offset, alike))
    length = _seconds(live, place.number, parameters)
    found: list[NearDuplicate] = []
    for other, offsets in shared.items():
        other_live = snapshot.segments[other.segment]
        other_length = _seconds(other_live, other.number, parameters)
        parts = _parts(offsets, length, other_length, parameters)
        seconds = sum(part.seconds for part in parts)
        shorter = max(1e-9, min(length, other_length))
        if seconds >= min(MIN_SHARED_SECONDS, MIN_SHARE * shorter):
            other_id = other_live.segment.tracks[other.number]["id"].decode()
            found.append(NearDuplicate(other_id=other_id, share=min(1.0, seconds / shorter), parts=parts))
    return found


def _seconds(live: LiveSegment, number: int, parameters: Parameters) -> float:
    return float(int(live.segment.tracks[number]["frames"]) / parameters.frames_per_second)


def _sampled_landmarks(
    frames: NDArray[np.int64], bins: NDArray[np.int64], parameters: Parameters
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The hashes and anchors of landmarks in windows all over a track."""
    last = max(0, len(frames) - WINDOW_PEAKS)
    starts = sorted({round(start) for start in np.linspace(0, last, WINDOWS)})
    hashes: list[NDArray[np.uint32]] = []
    anchors: list[NDArray[np.int64]] = []
    for start in starts:
        window = slice(start, start + WINDOW_PEAKS)
        nothing = np.zeros(len(frames[window]), np.int64)
        peaks = Constellation(frames[window], bins[window], nothing.astype(np.float32), nothing)
        pairs = pair_peaks(peaks, parameters, fan_out=parameters.fan_out)
        hashes.append(pairs.hashes)
        anchors.append(pairs.anchors)
    return np.concatenate(hashes), np.concatenate(anchors)


def _offsets(
    snapshot: Snapshot, place: _Place, hashes: NDArray[np.uint32], anchors: NDArray[np.int64]
) -> list[tuple[_Place, int]]:
    """The likeliest offsets of other tracks, in frames: where the track would begin in each of them."""
    ranges = [find_postings(live.segment, hashes) for live in snapshot.segments]
    totals = np.sum([counts for _, counts in ranges], axis=0)
    order = np.argsort(totals, kind="stable")
    chosen = np.sort(order[np.cumsum(totals[order]) <= MAX_HITS])
    likely: list[tuple[int, _Place, int]] = []
    for segment, (live, (starts, counts)) in enumerate(zip(snapshot.segments, ranges, strict=True)):
        first, number = starts[chosen], counts[chosen]
        positions = live.segment.postings[
            np.repeat(first - (np.cumsum(number) - number), number) + np.arange(number.sum())
        ].astype(np.int64)
        tracks = live.segment.track_numbers(positions)
        offsets = positions - live.segment.tracks["first_frame"][tracks].astype(np.int64)
        offsets -= np.repeat(anchors[chosen], number)
        other = live.alive[tracks]
        if segment == place.segment:
            other &= tracks != place.number
        keys, votes = np.unique((tracks[other] << 32) + offsets[other] + (1 << 31), return_counts=True)
        # Agreement may be spread over two neighboring frames.
        beside = np.r_[np.where(np.diff(keys) == 1, votes[1:], 0), 0]
        for index in np.flatnonzero(votes + beside >= MIN_VOTES).tolist():
            track, offset = divmod(int(keys[index]), 1 << 32)
            at = offset - (1 << 31) + (1 if beside[index] > votes[index] else 0)
            likely.append((int(votes[index] + beside[index]), _Place(segment, track), at))
    likely.sort(key=lambda each: -each[0])
    taken: list[tuple[_Place, int]] = []
    for _, other_place, offset in likely:
        if len(taken) == MAX_OFFSETS:
            break
        if not any(known == other_place and abs(at - offset) <= 2 for known, at in taken):
            taken.append((other_place, offset))
    return taken


def _alike_blocks(
    segment: IndexSegment,
    number: int,
    offset: int,
    *,
    peaks: tuple[NDArray[np.int64], NDArray[np.int64]],
    blocks: NDArray[np.int64],
    parameters: Parameters,
) -> NDArray[np.bool_]:
    """Which blocks of a track, with these peaks, another one has at an offset."""
    frames, bins = peaks
    reach = (float(frames[0] + offset - 1), float(frames[-1] + offset + 2))
    other_frames, other_bins = segment.peaks(number, reach)
    there = (other_frames - offset) * parameters.bins + other_bins
    near = [there + frame * parameters.bins + height for frame in (-1, 0, 1) for height in (-1, 0, 1)]
    common = np.isin(frames * parameters.bins + bins, np.concatenate(near))
    count = int(blocks[-1]) + 1
    all_peaks = np.bincount(blocks, minlength=count)
    hits = np.bincount(blocks, common, minlength=count)
    return (all_peaks >= MIN_BLOCK_PEAKS) & (hits >= ALIKE * all_peaks)


def _parts(
    offsets: list[tuple[int, NDArray[np.bool_]]], length: float, other_length: float, parameters: Parameters
) -> tuple[SharedPart, ...]:
    """The parts of a track that another one has; each block counts once, at the offset that is likeliest."""
    taken = np.zeros(max(len(alike) for _, alike in offsets), np.bool_)
    parts: list[SharedPart] = []
    for offset, alike in offsets:
        own = alike & ~taken[: len(alike)]
        taken[: len(alike)] |= alike
        edges = np.flatnonzero(np.diff(np.r_[False, own, False].astype(np.int8)))
        for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            shift = offset / parameters.frames_per_second
            start = max(first * BLOCK_SECONDS, -shift)
            until = min(end * BLOCK_SECONDS, length, other_length - shift)
            if until > start:
                times = [round(seconds, 1) for seconds in (start, until, start + shift)]
                parts.append(
                    SharedPart(start_seconds=times[0], end_seconds=times[1], other_start_seconds=times[2])
                )
    return tuple(sorted(parts, key=lambda part: part.start_seconds))
