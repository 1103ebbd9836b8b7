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

from fingerprint.catalog.index import LiveSegment, Snapshot
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.landmarks import hash_pairs, successors
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.postings import find_postings, gather

WINDOWS: Final = 12
WINDOW_PEAKS: Final = 80
"""Of each track, the landmarks of so many windows with so many peaks are looked up: about a second each."""

FIRST_HITS: Final = 20_000
MAX_HITS: Final = 100_000
"""How many postings are read for a track, in all of the catalog: the first to see whether any agree at all."""

FIRST_VOTES: Final = 3
MIN_VOTES: Final = 6
"""How many landmarks have to agree on an offset, of the first and of all; by chance, three do now and then."""

MAX_OFFSETS: Final = 40
"""How many offsets, of any tracks, are compared peak by peak."""

BLOCK_SECONDS: Final = 10.0
ALIKE: Final = 0.45
"""The share of a block's peaks that the other track has, too. Chance gives 0.08, a common drum loop up to 0.4."""

MIN_BLOCK_PEAKS: Final = 20

LOOKED_UP_AT_ONCE: Final = 100
"""How many hashes are looked up before pages are forgotten: the system may map a megabyte for each."""

FORGET_AFTER: Final = 4
"""After so many tracks, pages of the index that were read do not count as this process's memory any more.

A track's postings are on thousands of pages.
"""

_BEYOND: Final = np.iinfo(np.int64).max

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
        for done, number in enumerate(np.flatnonzero(live.alive).tolist(), 1):
            place = _Place(segment, number)
            if done % FORGET_AFTER == 0:
                for each in snapshot.segments:
                    each.segment.forget_pages()
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
    starts = np.linspace(0, max(0, len(frames) - WINDOW_PEAKS), WINDOWS).round().astype(np.int64)
    chosen = np.unique(np.minimum(starts[:, np.newaxis] + np.arange(WINDOW_PEAKS), len(frames) - 1))
    at, heights = frames[chosen], bins[chosen]
    # Windows are moved apart, so that no peak is paired with one of another window.
    apart = at + np.cumsum(np.diff(chosen, prepend=chosen[0]) > 1) * (parameters.lapse_frames + 1)
    anchor, target, _ = successors(apart, heights, parameters, fan_out=parameters.fan_out)
    return hash_pairs(heights[anchor], heights[target] - heights[anchor], at[target] - at[anchor]), at[anchor]


def _offsets(
    snapshot: Snapshot, place: _Place, hashes: NDArray[np.uint32], anchors: NDArray[np.int64]
) -> list[tuple[_Place, int]]:
    """The likeliest offsets of other tracks, in frames: where the track would begin in each of them."""
    ranges = [_found(live.segment, hashes) for live in snapshot.segments]
    totals = np.sum([counts for _, counts in ranges], axis=0)
    order = np.argsort(totals, kind="stable")
    read = np.cumsum(totals[order])
    likely: list[tuple[int, _Place, int]] = []
    for max_hits, min_votes in ((FIRST_HITS, FIRST_VOTES), (MAX_HITS, MIN_VOTES)):
        chosen = np.sort(order[read <= max_hits])
        likely = []
        for segment, (live, (starts, counts)) in enumerate(zip(snapshot.segments, ranges, strict=True)):
            own = place.number if segment == place.segment else None
            found = _voted(live, own, (starts[chosen], counts[chosen], anchors[chosen]), min_votes)
            likely += [(votes, _Place(segment, track), offset) for votes, track, offset in found]
        if not likely:
            return []
    likely.sort(key=lambda each: -each[0])
    taken: list[tuple[_Place, int]] = []
    for _, other_place, offset in likely:
        if len(taken) == MAX_OFFSETS:
            break
        if not any(known == other_place and abs(at - offset) <= 2 for known, at in taken):
            taken.append((other_place, offset))
    return taken


def _found(segment: IndexSegment, hashes: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the postings of hashes start and how many they are, looked up in pieces."""
    starts, counts = np.zeros(len(hashes), np.int64), np.zeros(len(hashes), np.int64)
    for first in range(0, len(hashes), LOOKED_UP_AT_ONCE):
        piece = slice(first, first + LOOKED_UP_AT_ONCE)
        starts[piece], counts[piece] = find_postings(segment, hashes[piece])
        segment.forget_pages()
    return starts, counts


def _gathered(segment: IndexSegment, firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The postings of some ranges, read in pieces."""
    found: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for first in range(0, len(firsts), LOOKED_UP_AT_ONCE):
        piece = slice(first, first + LOOKED_UP_AT_ONCE)
        found.append(gather(segment.postings, firsts[piece], counts[piece]).astype(np.int64))
        segment.forget_pages()
    return np.concatenate(found)


def _voted(
    live: LiveSegment,
    own: int | None,
    postings: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    min_votes: int,
) -> list[tuple[int, int, int]]:
    """The votes, tracks and offsets on which enough of a file's postings agree; none for the track's `own` number.

    `postings`: where those of each landmark start, how many they are, and the landmark's anchor.
    """
    firsts, counts, anchors = postings
    positions = _gathered(live.segment, firsts, counts)
    cells = positions - np.repeat(anchors, counts)
    # Most postings agree with no other: which track those are in need not be known.
    agreeing = _agreeing(cells, min_votes)
    positions, cells = positions[agreeing], cells[agreeing]
    tracks = live.segment.track_numbers(positions)
    other = live.alive[tracks]
    if own is not None:
        other &= tracks != own
    tracks = tracks[other]
    offsets = cells[other] - live.segment.tracks["first_frame"][tracks].astype(np.int64)
    keys, votes = np.unique((tracks << 32) + offsets + (1 << 31), return_counts=True)
    # Agreement may be spread over two neighboring frames.
    beside = np.r_[np.where(np.diff(keys) == 1, votes[1:], 0), np.zeros(min(1, len(keys)), np.int64)]
    found: list[tuple[int, int, int]] = []
    for index in np.flatnonzero(votes + beside >= min_votes).tolist():
        track, offset = divmod(int(keys[index]), 1 << 32)
        at = offset - (1 << 31) + (1 if beside[index] > votes[index] else 0)
        found.append((int(votes[index] + beside[index]), track, at))
    return found


def _agreeing(cells: NDArray[np.int64], min_votes: int) -> NDArray[np.bool_]:
    """Which postings may have enough others at the same cell or the next one, as far as a small table tells."""
    size = 1 << max(10, (2 * len(cells)).bit_length())
    folded = cells & (size - 1)
    votes = np.bincount(folded, minlength=size)
    enough = votes + np.roll(votes, -1) >= min_votes
    enough |= np.roll(enough, 1)
    found: NDArray[np.bool_] = enough[folded]
    return found


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
    # Not by `np.isin`, which takes a hundred times as long for such keys.
    there = np.append(np.sort((other_frames - offset) * parameters.bins + other_bins, kind="stable"), _BEYOND)
    own = frames * parameters.bins + bins
    common = np.zeros(len(own), np.bool_)
    for frame in (-1, 0, 1):
        key = own + frame * parameters.bins
        common |= there[np.searchsorted(there, key - 1)] <= key + 1
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
