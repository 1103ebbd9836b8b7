"""The postings of a query's landmarks: chooses those that are worth reading, and reads them in pieces."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.index import LiveSegment, Snapshot
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.query import QueryFingerprint

PIECE_HITS: Final = 1 << 20
"""About how many hits are processed at once."""

SLICED: Final = 50
"""Ranges with more postings than this on average are copied one by one."""

PLACE_BITS: Final = 19
"""Log2 of the size of the tables of a set of places."""

_LOWER: Final = np.uint32((1 << PLACE_BITS) - 1)
_UPPER: Final = np.uint32(32 - PLACE_BITS)

AGREEING: Final = 1.5
"""A landmark that is seen in several phases or in both channels is trusted more than its parts together: their sum
to this power. Of those seen once 0.4 % are the music's, of those seen four times 4 %, on the corpus.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """A query's landmarks, where those that differ by less than a frame are joined. All arrays have shape (n,).

    `hashes`: uint32, in rising order. `starts`: int64, so that `position - start` is where a posting puts the
    start of the query, in frames. `trusts`: float32, how likely it is the music's, on an arbitrary scale.
    `groups`, of shape (m,): which one each of the query's landmarks belongs to.
    """

    hashes: NDArray[np.uint32]
    starts: NDArray[np.int64]
    trusts: NDArray[np.float32]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hashes)

    @staticmethod
    def of(query: QueryFingerprint, parameters: Parameters = DEFAULT) -> "Landmarks":
        """Joins the landmarks of a query."""
        # The ceiling: a position less this is the floor of (position * phases - time) / phases.
        starts = -(-query.times // parameters.phases)
        # A query's landmarks are in order of hash, then time, so equal ones follow each other.
        first = np.ones(len(starts), np.bool_)
        first[1:] = (query.hashes[1:] != query.hashes[:-1]) | (starts[1:] != starts[:-1])
        groups = np.cumsum(first) - 1
        chosen = np.flatnonzero(first)
        trusts = np.add.reduceat(query.trusts, chosen) if len(chosen) else query.trusts
        trusts = (trusts**AGREEING).astype(np.float32)
        return Landmarks(query.hashes[chosen], starts[chosen], trusts, groups)


@dataclass(frozen=True, slots=True, eq=False)
class PlaceSet:
    """A set of places (uint32), as two tables of their lower and upper bits: few other places are in both."""

    lower: NDArray[np.bool_]
    upper: NDArray[np.bool_]

    @staticmethod
    def of(places: NDArray[np.uint32]) -> "PlaceSet":
        """The set of these places."""
        lower, upper = np.zeros(1 << PLACE_BITS, np.bool_), np.zeros(1 << PLACE_BITS, np.bool_)
        lower[places & _LOWER] = True
        upper[places >> _UPPER] = True
        return PlaceSet(lower, upper)

    def find(self, places: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Where places of the set are, in order; a few others may be among them."""
        # To take by integers of the platform's size is twice as fast as to index by smaller ones.
        found = np.flatnonzero(self.lower.take((places & _LOWER).astype(np.intp), mode="wrap"))
        return found[self.upper.take((places[found] >> _UPPER).astype(np.intp), mode="wrap")]


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Postings whose hash is in the query; all arrays are int64 of shape (n,).

    `positions`: of the postings, counted over all IndexSegments. `cells`: where they put the query's start, in
    frames likewise. `owners`: the landmark of the query that each belongs to.
    """

    positions: NDArray[np.int64]
    cells: NDArray[np.int64]
    owners: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "Hits":
        return Hits(self.positions[chosen], self.cells[chosen], self.owners[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class _Ranges:
    """Ranges of one file's postings and the landmarks that they belong to, shape (n,) each."""

    segment: int
    owners: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    def parts(self) -> Iterator["_Ranges"]:
        """The same ranges in parts of about PIECE_HITS postings."""
        ends = np.cumsum(self.counts)
        low = 0
        while low < len(ends):
            before = int(ends[low - 1]) if low else 0
            high = max(low + 1, int(np.searchsorted(ends, before + PIECE_HITS, side="right")))
            yield _Ranges(self.segment, self.owners[low:high], self.starts[low:high], self.counts[low:high])
            low = high

    def read_into(self, positions: NDArray[np.uint32], segment: IndexSegment) -> None:
        """Write the postings of all ranges there, one range after the other."""
        if len(positions) > SLICED * len(self.counts):
            firsts, lasts = self.starts.tolist(), (self.starts + self.counts).tolist()
            ranges = [segment.postings[first:last] for first, last in zip(firsts, lasts, strict=True)]
            np.concatenate(ranges, out=positions)
        else:
            positions[:] = gather(segment.postings, self.starts, self.counts)


def gather(
    postings: NDArray[np.uint32], firsts: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.uint32]:
    """Ranges of postings, one after the other: each begins at `firsts` and has `counts` of them."""
    place = np.repeat(firsts - (np.cumsum(counts) - counts), counts)
    place += np.arange(len(place))
    return postings[place]


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """What has been read: the ranges, which landmarks they are of, and how many hits each of them has."""

    parts: tuple[_Ranges, ...]
    followed: NDArray[np.bool_]
    found: NDArray[np.int64]

    @staticmethod
    def nothing(landmarks: int) -> "_Read":
        return _Read((), np.zeros(landmarks, np.bool_), np.zeros(landmarks, np.int64))


class Lookup:
    """The postings of a query's landmarks in a catalog; those of the most telling ones, when there are too many.

    `weights`: float32, of shape (landmarks,): the log-likelihood of "this track, here" against chance. How likely
    a hash agrees by chance at one offset is how often it occurs in a frame of the catalog. `places`: uint32, of
    shape (hits,): where each puts the query's start, in frames, of which the lower 32 bits are kept.
    """

    def __init__(
        self, snapshot: Snapshot, landmarks: Landmarks, max_hits: int, *, known: "Lookup | None" = None
    ) -> None:
        """`known`: of the same landmarks, with fewer hits, which are not read again."""
        self._snapshot = snapshot
        self.landmarks = landmarks
        self._bases = bases(snapshot)
        read = _Read.nothing(len(landmarks)) if known is None else known.read
        affordable, more = self._find(max_hits, read.followed)
        self._parts = (*read.parts, *more)
        self._ends = np.cumsum([0, *(int(part.counts.sum()) for part in self._parts)])
        self.places = np.empty(self._ends[-1], np.uint32)
        if known is not None:
            self.places[: len(known)] = known.places
        found = read.found.copy()
        for part, piece in itertools.islice(self._pieces(), len(read.parts), None):
            live = snapshot.segments[part.segment]
            positions = self.places[piece]
            part.read_into(positions, live.segment)
            found += np.bincount(part.owners, part.counts, len(landmarks)).astype(np.int64)
            if live.removed:
                gone = _gone(live, positions.astype(np.int64))
                found -= np.bincount(np.repeat(part.owners, part.counts)[gone], minlength=len(landmarks))
            shifts = (self._bases[part.segment] - landmarks.starts[part.owners]).astype(np.uint32)
            positions += np.repeat(shifts, part.counts)
        self.read = _Read(self._parts, affordable, found)
        self.weights = np.log(1 + 0.1 * max(1, snapshot.frames) / np.maximum(found, 1)).astype(np.float32)

    def __len__(self) -> int:
        """The number of hits, including those in removed tracks."""
        return len(self.places)

    def hits(self, wanted: PlaceSet) -> Hits:
        """The hits at the wanted places; those in removed tracks are left out."""
        found: list[Hits] = []
        for part, piece in self._pieces():
            places = self.places[piece]
            chosen = wanted.find(places)
            live, base = self._snapshot.segments[part.segment], self._bases[part.segment]
            before = np.searchsorted(chosen, np.cumsum(part.counts))
            owners = np.repeat(part.owners, np.diff(before, prepend=0))
            starts = self.landmarks.starts[owners]
            own = (places[chosen] + (starts - base).astype(np.uint32)).astype(np.int64)
            positions = own + base
            hits = Hits(positions, positions - starts, owners)
            found.append(hits[~_gone(live, own)] if live.removed else hits)
        none = np.empty(0, np.int64)
        return Hits(
            np.concatenate([none, *(hits.positions for hits in found)]),
            np.concatenate([none, *(hits.cells for hits in found)]),
            np.concatenate([none, *(hits.owners for hits in found)]),
        )

    def _pieces(self) -> Iterator[tuple[_Ranges, slice]]:
        for number, part in enumerate(self._parts):
            yield part, slice(int(self._ends[number]), int(self._ends[number + 1]))

    def _find(self, max_hits: int, read: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], list[_Ranges]]:
        """Which landmarks are affordable, and the ranges of the postings of those that have not been read."""
        found = [find_postings(live.segment, self.landmarks.hashes) for live in self._snapshot.segments]
        affordable = _affordable(self.landmarks, [counts for _, counts in found], max_hits)
        parts: list[_Ranges] = []
        for number, (starts, counts) in enumerate(found):
            there = np.flatnonzero((counts > 0) & affordable & ~read)
            parts += _Ranges(number, there, starts[there], counts[there]).parts()
        return affordable, parts


def bases(snapshot: Snapshot) -> NDArray[np.int64]:
    """The start of each IndexSegment's positions when counted over all segments, and the end of the last one's."""
    return np.cumsum([0, *(live.segment.frames for live in snapshot.segments)], dtype=np.int64)


def postings_of(snapshot: Snapshot, query: QueryFingerprint) -> int:
    """The number of postings of a query's landmarks."""
    hashes, repeated = np.unique(query.hashes, return_counts=True)
    return sum(int(find_postings(live.segment, hashes)[1] @ repeated) for live in snapshot.segments)


def _affordable(landmarks: Landmarks, counts: Sequence[NDArray[np.int64]], max_hits: int) -> NDArray[np.bool_]:
    """Which landmarks are used: first those with few postings and those that were seen often."""
    totals = np.zeros(len(landmarks), np.int64)
    for count in counts:
        totals += count
    if totals.sum() <= max_hits:
        return np.ones(len(landmarks), np.bool_)
    best = np.argsort(totals / landmarks.trusts, kind="stable")
    followed = np.ones(len(landmarks), np.bool_)
    followed[best[np.cumsum(totals[best]) > max_hits]] = False
    return followed


def find_postings(
    segment: IndexSegment, hashes: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The start and the number of the postings of each hash in a file."""
    buckets = hashes >> np.uint32(segment.remainder_bits)
    first = segment.directory[buckets].astype(np.int64)
    last = segment.directory[buckets + np.uint32(1)].astype(np.int64)
    if segment.remainder_bits:
        lower = (hashes & np.uint32((1 << segment.remainder_bits) - 1)).astype(segment.remainders.dtype)
        first = _bisect(segment.remainders, first, last, lower, side="left")
        last = _bisect(segment.remainders, first, last, lower, side="right")
    return first, last - first


def _bisect(
    values: NDArray[np.unsignedinteger],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    wanted: NDArray[np.unsignedinteger],
    *,
    side: Literal["left", "right"],
) -> NDArray[np.int64]:
    """`np.searchsorted` in many ranges at once: where in its range, `first` to `last`, each value belongs."""
    below = np.less if side == "left" else np.less_equal
    found = first.copy()
    if not len(values):
        return found
    step = 1 << int((last - first).max(initial=0)).bit_length() >> 1
    while step:
        probed = found + (step - 1)
        inside = np.flatnonzero(probed < last)
        inside = inside[below(values[probed[inside]], wanted[inside])]
        found[inside] += step
        step >>= 1
    return found


def _gone(live: LiveSegment, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which positions are in removed tracks."""
    records = live.segment.tracks[np.sort(np.fromiter(live.removed, np.int64))]
    begins = records["first_frame"].astype(np.int64)
    ends = begins + records["frames"]
    # Positions before the first removed track are not.
    return positions < np.r_[0, ends][np.searchsorted(begins, positions, side="right")]
