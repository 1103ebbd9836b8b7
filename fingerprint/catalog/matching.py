"""A piece of sound against the catalog: where do its landmarks agree with a track's, all at one offset?

The offset histogram of A. Wang (ISMIR 2003), with differences: a hit counts by how rare its hash is in the
catalog (the log-likelihood ratio of "this track, here" against chance), a frame of the query has one vote for
an offset, and the histogram is counted twice: coarsely, into a table of fixed size in which unrelated offsets
share places, and then exactly for what lies in the highest places. So the memory has a bound whatever the
catalog's size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.index import LiveSegment, Snapshot
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.query import QueryFingerprint

MAX_HITS: Final = 1_000_000
"""How many postings the buckets may hold that a query looks into; the rarest hashes come first."""

TABLE_BITS: Final = (13, 18)
"""The coarse histogram has four places a hit, but no fewer and no more than two to the power of these."""

TABLE_PLACES: Final = 512
"""The coarse histogram's places of which the offsets are counted exactly."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """An offset of a track at which landmarks agree.

    `offset`: where in the track the query's first sample is, in query steps (`hop / phases` samples); negative
    when the track begins within the query. `votes`: the sum of the weights of the query's frames that agree.
    `frames`: how many those are. `speed` is the query fingerprint's.
    """

    live: LiveSegment
    number: int
    offset: int
    votes: float
    frames: int
    speed: float

    @property
    def track_id(self) -> str:
        """The track's id."""
        return self.live.segment.tracks[self.number]["id"].decode()


@dataclass(frozen=True, slots=True, eq=False)
class _Hits:
    """Postings that have a hash of the query, all arrays of shape (n,).

    `positions`: of the postings, counted over all IndexSegments. `cells`: the offset that each speaks for: the
    position of the query's start, in frames. `owners`: the landmark of the query that it belongs to. `weights`.
    """

    positions: NDArray[np.int64]
    cells: NDArray[np.int64]
    owners: NDArray[np.int64]
    weights: NDArray[np.float64]

    def __getitem__(self, chosen: NDArray[np.int64]) -> "_Hits":
        return _Hits(self.positions[chosen], self.cells[chosen], self.owners[chosen], self.weights[chosen])


def find_candidates(
    snapshot: Snapshot,
    query: QueryFingerprint,
    *,
    limit: int,
    parameters: Parameters = DEFAULT,
    max_hits: int | None = None,
) -> list[Candidate]:
    """The best offset of each of the `limit` tracks that agree best, best first.

    `max_hits`: how many postings may be looked at, those of the rarest hashes first (MAX_HITS by default).
    """
    hits = _find_hits(snapshot, query, parameters, MAX_HITS if max_hits is None else max_hits)
    if not len(hits.cells):
        return []
    size = 1 << min(max((4 * len(hits.cells)).bit_length(), TABLE_BITS[0]), TABLE_BITS[1])
    places = hits.cells & (size - 1)
    table = np.bincount(places, hits.weights, size)
    # An offset near the edge of a cell spills into the next.
    spilled: NDArray[np.float64] = table.astype(np.float64)
    spilled[:-1] += table[1:]
    spilled[-1] += table[0]
    starts = spilled >= least_of_the_highest(spilled, TABLE_PLACES)
    high = starts.copy()
    high[1:] |= starts[:-1]
    high[0] |= starts[-1]
    return _count(snapshot, hits[np.flatnonzero(high[places])], query, limit, parameters)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """Where a query's landmarks agree with one track's.

    `offsets`: int64, the offsets at which any do, in query steps like a candidate's, in rising order, and `votes`,
    those offsets' votes, both of shape (n,). `landmarks`: int64, the query's that agree at the candidate's offset.
    """

    offsets: NDArray[np.int64]
    votes: NDArray[np.float64]
    landmarks: NDArray[np.int64]


def agreement(
    snapshot: Snapshot, query: QueryFingerprint, candidate: Candidate, parameters: Parameters = DEFAULT
) -> Agreement:
    """The offset histogram of one candidate, and the landmarks in its highest place."""
    hits = _find_hits(snapshot, query, parameters, MAX_HITS)
    bases = _bases(snapshot)
    index = next(number for number, live in enumerate(snapshot.segments) if live is candidate.live)
    record = candidate.live.segment.tracks[candidate.number]
    first = int(bases[index]) + int(record["first_frame"])
    own = hits[np.flatnonzero((hits.positions >= first) & (hits.positions < first + int(record["frames"])))]
    # A hit counts for its own cell and for the one before, as in `_count`.
    cells = np.concatenate([own.cells, own.cells - 1]) - first
    frames = np.tile(query.times[own.owners] // parameters.phases, 2)
    weights = np.tile(own.weights, 2)
    order = np.lexsort((-weights, frames, cells))
    cells, frames, weights = cells[order], frames[order], weights[order]
    voting = np.ones(len(cells), np.bool_)
    voting[1:] = (cells[1:] != cells[:-1]) | (frames[1:] != frames[:-1])
    found, places = np.unique(cells, return_inverse=True)
    chosen = candidate.offset // parameters.phases - 1
    agreeing = (own.cells - first == chosen) | (own.cells - first == chosen + 1)
    return Agreement(
        offsets=(found + 1) * parameters.phases,
        votes=np.bincount(places, weights * voting, len(found)).astype(np.float64),
        landmarks=np.unique(own.owners[agreeing]),
    )


def least_of_the_highest(table: NDArray[np.float64], count: int) -> float:
    """The `count`-th largest value of a table, or something small when fewer are above 0.

    A power of two of values, at least `count` squared or so. Each row of `count` rows has a largest value, so the
    one sought is not below the least of these: few are left to be sorted.
    """
    least = max(float(table.reshape(count, -1).max(axis=1).min()), 1e-9)
    highest = table[table >= least]
    return float(np.partition(highest, -count)[-count]) if len(highest) > count else least


def _find_hits(snapshot: Snapshot, query: QueryFingerprint, parameters: Parameters, max_hits: int) -> _Hits:
    hashes = query.hashes
    bases = _bases(snapshot)
    buckets = [_buckets(live.segment, hashes) for live in snapshot.segments]
    followed = np.flatnonzero(_affordable(hashes, [last - first for first, last in buckets], max_hits))
    found_owners: list[NDArray[np.int64]] = []
    found_positions: list[NDArray[np.int64]] = []
    for live, base, (first, last) in zip(snapshot.segments, bases, buckets, strict=False):
        starts, counts = _find_postings(live.segment, hashes[followed], first[followed], last[followed])
        owner, position = _read_postings(live, starts, counts)
        found_owners.append(followed[owner])
        found_positions.append(position + base)
    owners = np.concatenate(found_owners) if found_owners else np.empty(0, np.int64)
    positions = np.concatenate(found_positions) if found_positions else np.empty(0, np.int64)
    # How likely a hash agrees by chance at one offset is how often it occurs in a frame of the catalog.
    frequency = np.bincount(owners, minlength=len(hashes)) / max(1, snapshot.frames)
    weights = np.log(1 + 0.1 / np.maximum(frequency, 1e-12))
    # The floor of (position * phases - time) / phases.
    starts_at = -query.times // parameters.phases
    return _Hits(positions, positions + starts_at[owners], owners, weights[owners])


def _bases(snapshot: Snapshot) -> NDArray[np.int64]:
    """Where each IndexSegment's positions begin when they are counted over all, and where the last one's end."""
    return np.cumsum([0, *(live.segment.frames for live in snapshot.segments)], dtype=np.int64)


def _affordable(
    hashes: NDArray[np.uint32], sizes: Sequence[NDArray[np.int64]], max_hits: int
) -> NDArray[np.bool_]:
    """Which landmarks are followed: those in the smallest buckets, all that are of one hash or none of them."""
    totals = np.zeros(len(hashes), np.int64)
    for size in sizes:
        totals += size
    if totals.sum() <= max_hits:
        return np.ones(len(hashes), np.bool_)
    # Equal hashes follow each other.
    starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]])
    occurrences = np.diff(np.r_[starts, len(hashes)])
    totals = totals[starts] * occurrences
    rarest = np.argsort(totals, kind="stable")
    followed = np.ones(len(starts), np.bool_)
    followed[rarest[np.cumsum(totals[rarest]) > max_hits]] = False
    return np.repeat(followed, occurrences)


def _buckets(segment: IndexSegment, hashes: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in a file the bucket of each hash starts and ends."""
    buckets = hashes >> np.uint32(segment.remainder_bits)
    first = segment.directory[buckets].astype(np.int64)
    return first, segment.directory[buckets + np.uint32(1)].astype(np.int64)


def _find_postings(
    segment: IndexSegment, hashes: NDArray[np.uint32], first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in its bucket the postings of each hash start, and how many they are."""
    if segment.remainder_bits:
        lower = (hashes & np.uint32((1 << segment.remainder_bits) - 1)).astype(np.int64)
        first, last = _bisect(segment, first, last, lower), _bisect(segment, first, last, lower + 1)
    return first, last - first


def _bisect(
    segment: IndexSegment, low: NDArray[np.int64], high: NDArray[np.int64], wanted: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The first place from `low` to `high` with a remainder of at least `wanted`; `high` where there is none."""
    if not len(segment.remainders):
        return high
    for _ in range(int((high - low).max(initial=0)).bit_length()):
        middle = (low + high) // 2
        # Where the search is over, `middle` may lie behind the last place; there nothing changes.
        smaller = segment.remainders.take(middle, mode="clip") < wanted
        smaller &= low < high
        low, high = np.where(smaller, middle + 1, low), np.where(smaller, high, middle)
    return low


def _read_postings(
    live: LiveSegment, starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Some ranges of postings in one file: the number of the range and the position, of shape (n,)."""
    segment = live.segment
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    place += np.arange(len(place))
    positions = segment.postings[place].astype(np.int64)
    if live.removed:
        kept = live.alive[segment.track_numbers(positions)]
        owner, positions = owner[kept], positions[kept]
    return owner, positions


def _count(
    snapshot: Snapshot, hits: _Hits, query: QueryFingerprint, limit: int, parameters: Parameters
) -> list[Candidate]:
    """Count the votes exactly, and pick the best offset of each of the best tracks."""
    bases = _bases(snapshot)
    segments = np.searchsorted(bases, hits.positions, side="right") - 1
    numbers = np.empty(len(segments), np.int64)
    firsts = np.empty(len(segments), np.int64)
    for index, live in enumerate(snapshot.segments):
        own = segments == index
        numbers[own] = live.segment.track_numbers(hits.positions[own] - bases[index])
        firsts[own] = live.segment.tracks["first_frame"][numbers[own]] + bases[index]
    # A track over all IndexSegments, then the offset in it, then the frame of the query: one number to sort by.
    before = np.cumsum([0, *(len(live.segment.tracks) for live in snapshot.segments)], dtype=np.int64)
    offsets = hits.cells - firsts
    lowest = int(offsets.min()) - 1
    span = int(offsets.max()) - lowest + 1
    frames = query.times[hits.owners] // parameters.phases
    width = int(frames.max()) + 1
    keys = ((before[segments] + numbers) * span + (offsets - lowest)) * width + frames
    # A hit counts for its own cell and for the one before, so that no offset lies on an edge.
    keys = np.concatenate([keys, keys - width])
    order = np.argsort(keys)
    keys, weights = keys[order], np.tile(hits.weights, 2)[order]
    # One vote for each frame of the query and offset: the weightiest.
    first_vote = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    weights = np.maximum.reduceat(weights, first_vote)
    cells = keys[first_vote] // width
    starts = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
    votes = np.add.reduceat(weights, starts)
    counts = np.diff(np.r_[starts, len(weights)])
    cells = cells[starts]
    candidates: list[Candidate] = []
    seen: set[int] = set()
    for index in np.argsort(-votes, kind="stable"):
        track, offset = divmod(int(cells[index]), span)
        if track in seen:
            continue
        seen.add(track)
        owner = int(np.searchsorted(before, track, side="right")) - 1
        candidates.append(
            Candidate(
                live=snapshot.segments[owner],
                number=track - int(before[owner]),
                offset=(offset + lowest + 1) * parameters.phases,
                votes=float(votes[index]),
                frames=int(counts[index]),
                speed=query.speed,
            )
        )
        if len(candidates) == limit:
            break
    return candidates
