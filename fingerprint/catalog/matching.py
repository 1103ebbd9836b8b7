"""A piece of sound against the catalog: where do its landmarks agree with a track's, all at one offset?

The offset histogram of A. Wang (ISMIR 2003), with differences: a hit counts by how rare its hash is in the
catalog (the log-likelihood ratio of "this track, here" against chance), a frame of the query has one vote for
an offset, and the histogram is counted twice: coarsely, into a table of fixed size in which unrelated offsets
share places, and then exactly for what lies in the highest places. So the memory has a bound whatever the
catalog's size.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.fingerprint import QueryFingerprint
from fingerprint.catalog.index import LiveSegment, Snapshot
from fingerprint.catalog.parameters import DEFAULT, Parameters

MAX_HITS: Final = 1_000_000
"""How many postings a query may look at; the rarest hashes come first."""

TABLE_BITS: Final = 18
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
    position of the query's start, in frames. `frames`: the frame of the query that it belongs to. `weights`.
    """

    positions: NDArray[np.int64]
    cells: NDArray[np.int64]
    frames: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "_Hits":
        return _Hits(self.positions[chosen], self.cells[chosen], self.frames[chosen], self.weights[chosen])


def find_candidates(
    snapshot: Snapshot, query: QueryFingerprint, *, limit: int, parameters: Parameters = DEFAULT
) -> list[Candidate]:
    """The best offset of each of the `limit` tracks that agree best, best first."""
    hits = _find_hits(snapshot, query, parameters)
    if not len(hits.cells):
        return []
    mask = (1 << TABLE_BITS) - 1
    places = hits.cells & mask
    table = np.bincount(places, hits.weights, 1 << TABLE_BITS)
    # An offset near the edge of a cell spills into the next.
    table += np.roll(table, -1)
    threshold = max(float(np.partition(table, -TABLE_PLACES)[-TABLE_PLACES]), 1e-9)
    high = table >= threshold
    return _count(snapshot, hits[high[places] | high[(places - 1) & mask]], limit, query.speed, parameters)


def _find_hits(snapshot: Snapshot, query: QueryFingerprint, parameters: Parameters) -> _Hits:
    hashes, which = np.unique(query.hashes, return_inverse=True)
    order = np.argsort(which, kind="stable")
    first_of_hash = np.searchsorted(which[order], np.arange(len(hashes) + 1))
    times = query.times[order]
    bases = _bases(snapshot)
    bounds: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    totals = np.zeros(len(hashes), np.int64)
    for live in snapshot.segments:
        buckets = hashes >> np.uint32(live.segment.remainder_bits)
        starts = live.segment.directory[buckets].astype(np.int64)
        counts = live.segment.directory[buckets + np.uint32(1)].astype(np.int64) - starts
        bounds.append((starts, counts))
        totals += counts * np.diff(first_of_hash)
    affordable = np.ones(len(hashes), np.bool_)
    if totals.sum() > MAX_HITS:
        rarest = np.argsort(totals, kind="stable")
        affordable[rarest[np.cumsum(totals[rarest]) > MAX_HITS]] = False
    owners: list[NDArray[np.int64]] = []
    positions: list[NDArray[np.int64]] = []
    for live, base, (starts, counts) in zip(snapshot.segments, bases, bounds, strict=False):
        owner, position = _read_postings(live, hashes, starts, np.where(affordable, counts, 0))
        owners.append(owner)
        positions.append(position + base)
    owner = np.concatenate(owners) if owners else np.empty(0, np.int64)
    position = np.concatenate(positions) if positions else np.empty(0, np.int64)
    # How likely a hash agrees by chance at one offset is how often it occurs in a frame of the catalog.
    frequency = np.bincount(owner, minlength=len(hashes)) / max(1, snapshot.frames)
    weight_of = np.log(1 + 0.1 / np.maximum(frequency, 1e-12)).astype(np.float32)
    # A hash that occurs several times in the query speaks for several offsets.
    occurrences = np.diff(first_of_hash)[owner]
    hit = np.repeat(np.arange(len(owner)), occurrences)
    nth = np.arange(len(hit)) - np.repeat(np.cumsum(occurrences) - occurrences, occurrences)
    time = times[first_of_hash[owner[hit]] + nth]
    phases = parameters.phases
    found = position[hit]
    return _Hits(found, (found * phases - time) // phases, time // phases, weight_of[owner[hit]])


def _bases(snapshot: Snapshot) -> NDArray[np.int64]:
    """Where each IndexSegment's positions begin when they are counted over all, and where the last one's end."""
    return np.cumsum([0, *(live.segment.frames for live in snapshot.segments)], dtype=np.int64)


def _read_postings(
    live: LiveSegment, hashes: NDArray[np.uint32], starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The postings of some hashes in one file: the number of the hash and the position, of shape (n,)."""
    segment = live.segment
    owner = np.repeat(np.arange(len(hashes)), counts)
    place = np.arange(len(owner)) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    if segment.remainder_bits:
        lower = hashes & np.uint32((1 << segment.remainder_bits) - 1)
        same = segment.remainders[place] == lower[owner]
        owner, place = owner[same], place[same]
    positions = segment.postings[place].astype(np.int64)
    if live.removed:
        kept = live.alive[segment.track_numbers(positions)]
        owner, positions = owner[kept], positions[kept]
    return owner, positions


def _count(snapshot: Snapshot, hits: _Hits, limit: int, speed: float, parameters: Parameters) -> list[Candidate]:
    """Count the votes exactly, and pick the best offset of each of the best tracks."""
    bases = _bases(snapshot)
    owners = np.searchsorted(bases, hits.positions, side="right") - 1
    numbers = np.empty(len(owners), np.int64)
    for index, live in enumerate(snapshot.segments):
        own = owners == index
        numbers[own] = live.segment.track_numbers(hits.positions[own] - bases[index])
    # A hit counts for its own cell and for the one before, so that no offset lies on an edge.
    keys = np.stack([np.tile(owners, 2), np.tile(numbers, 2), np.concatenate([hits.cells, hits.cells - 1])])
    frames, weights = np.tile(hits.frames, 2), np.tile(hits.weights, 2)
    # One vote for each frame of the query and offset: the weightiest.
    order = np.lexsort((-weights, frames, *keys[::-1]))
    keys, frames, weights = keys[:, order], frames[order], weights[order]
    new_cell = np.r_[True, (np.diff(keys, axis=1) != 0).any(axis=0)]
    first_vote = new_cell | np.r_[True, np.diff(frames) != 0]
    keys, weights, new_cell = keys[:, first_vote], weights[first_vote], new_cell[first_vote]
    starts = np.flatnonzero(new_cell)
    votes = np.add.reduceat(weights, starts)
    counts = np.diff(np.r_[starts, len(weights)])
    candidates: list[Candidate] = []
    seen: set[tuple[int, int]] = set()
    for index in np.argsort(-votes, kind="stable"):
        owner, number, cell = (int(value) for value in keys[:, starts[index]])
        if (owner, number) in seen:
            continue
        seen.add((owner, number))
        live = snapshot.segments[owner]
        first = int(live.segment.tracks["first_frame"][number]) + int(bases[owner])
        candidates.append(
            Candidate(
                live=live,
                number=number,
                offset=(cell + 1 - first) * parameters.phases,
                votes=float(votes[index]),
                frames=int(counts[index]),
                speed=speed,
            )
        )
        if len(candidates) == limit:
            break
    return candidates
