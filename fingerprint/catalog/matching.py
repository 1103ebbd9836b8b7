"""A piece of sound against the catalog: where do its landmarks agree with a track's, all at one offset?

The offset histogram of A. Wang (ISMIR 2003), with differences: a hit counts by how rare its hash is in the
catalog (the log-likelihood ratio of "this track, here" against chance), a frame of the query has one vote for
an offset, and votes are counted only where sorting shows that many hits are within a frame. So the memory has a
bound whatever the catalog's size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.index import LiveSegment, Snapshot
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.postings import Hits, Landmarks, Lookup, PlaceSet, bases
from fingerprint.catalog.query import QueryFingerprint

MAX_HITS: Final = 1_000_000
"""The default limit of postings in the buckets that one query reads."""

SORTED_PIECE: Final = 1 << 16
"""How many sorted hits are looked at together: as many as a processor's cache holds."""

CROWDED_PLACES: Final = 6_000
LEAST_PLACES: Final = 128
"""How many places have their offsets counted exactly: at most, and at least where there are so many."""

MOST_PLACES: Final = 4 * CROWDED_PLACES
FEWEST_PLACES: Final = 16
"""Places of one agreeing hit fewer are left out when they are more than MOST_PLACES, as in a large catalog, and
there are FEWEST_PLACES without them, to compare a candidate with.
"""

SAMPLED_EVERY: Final = 16
"""One in so many parts of the sorted hits tells about how many agree at how many places."""

APART_FRAMES: Final = 3
"""Offsets of one track that are at most this far apart count as one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """An offset of a track at which landmarks agree.

    `offset`: where in the track the query's first sample is, in query steps (`hop / phases` samples); negative
    when the track begins within the query. `votes`: the sum of the weights of the query's frames that agree.
    `frames`: the number of those frames. `speed` and `pitch` are the query fingerprint's; without `pitch`, it is
    as much as `speed`. `added`: how many tracks of the catalog were added before the track.
    """

    live: LiveSegment
    number: int
    offset: int
    votes: float
    frames: int
    speed: float
    pitch: float | None = None
    added: int = 0

    @property
    def altered(self) -> bool:
        """Whether the sound is searched as if it were played at another speed or pitch."""
        return self.speed != 1.0 or self.pitch_factor != 1.0

    @property
    def pitch_factor(self) -> float:
        """How many times higher the sound is than the track."""
        return self.speed if self.pitch is None else self.pitch

    def peaks(
        self, between: tuple[float, float], parameters: Parameters, *, side: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The track's peaks between two steps of the query, of the middle or the side: frames and bins."""
        first, last = ((self.offset + step * self.speed) / parameters.phases for step in between)
        segment = self.live.segment
        return (segment.side_peaks if side else segment.peaks)(self.number, (first, last))

    def lasts(self, phases: int) -> tuple[float, float]:
        """The steps of the query at which the track begins and ends."""
        frames = int(self.live.segment.tracks[self.number]["frames"])
        return -self.offset / self.speed, (frames * phases - self.offset) / self.speed

    def same_track(self, other: "Candidate") -> bool:
        """Whether both candidates are of the same track."""
        return self.live is other.live and self.number == other.number

    @property
    def track_id(self) -> str:
        return self.live.segment.tracks[self.number]["id"].decode()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoteResult:
    """The tracks and offsets with most votes in the histogram of a query's landmarks.

    `tracks`: the best offset of each of the tracks that agree best, best first. `offsets`: the offsets that agree
    best, of any tracks, best first: a track that repeats itself has several, and the votes do not tell well
    which of them it is.
    """

    tracks: tuple[Candidate, ...]
    offsets: tuple[Candidate, ...]

    def without(self, others: Sequence[Candidate]) -> "VoteResult":
        """The same without some tracks."""
        kept = tuple(each for each in self.tracks if not any(each.same_track(other) for other in others))
        return VoteResult(tracks=kept, offsets=self.offsets)

    def votes_of_track_and_rivals(self, candidate: Candidate) -> tuple[float, list[float]]:
        """The votes of a candidate's track, at its best offset, and those of the other tracks."""
        own = [each.votes for each in self.tracks if each.same_track(candidate)]
        return max(own, default=candidate.votes), [
            each.votes for each in self.tracks if not each.same_track(candidate)
        ]


NO_VOTES: Final = VoteResult(tracks=(), offsets=())


def find_candidates(
    snapshot: Snapshot,
    query: QueryFingerprint,
    *,
    limit: int,
    parameters: Parameters = DEFAULT,
    max_hits: int | None = None,
) -> tuple[Candidate, ...]:
    """The best offset of each of the `limit` tracks that agree best, best first. See `count_votes`."""
    return count_votes(snapshot, query, tracks=limit, offsets=0, parameters=parameters, max_hits=max_hits).tracks


def count_votes(
    snapshot: Snapshot,
    query: QueryFingerprint,
    *,
    tracks: int,
    offsets: int,
    parameters: Parameters = DEFAULT,
    max_hits: int | None = None,
) -> VoteResult:
    """The vote histogram of a query: its best tracks and offsets, at most `tracks` and `offsets` of them.

    `max_hits`: how many postings may be read, those of the rarest landmarks first (see `postings`);
    MAX_HITS by default.
    """
    lookup = Lookup(snapshot, Landmarks.of(query, parameters), MAX_HITS if max_hits is None else max_hits)
    return votes_of(snapshot, lookup, query, tracks=tracks, offsets=offsets, parameters=parameters)


def votes_of(
    snapshot: Snapshot,
    lookup: Lookup,
    query: QueryFingerprint,
    *,
    tracks: int,
    offsets: int,
    parameters: Parameters = DEFAULT,
) -> VoteResult:
    """The vote histogram of a query whose postings have been looked up, see `count_votes`."""
    if not len(lookup):
        return NO_VOTES
    hits = lookup.hits(crowded(lookup.places))
    if not len(hits):
        return NO_VOTES
    return _histogram(snapshot, lookup, hits, limits=(tracks, offsets), query=query, phases=parameters.phases)


def crowded(places: NDArray[np.uint32]) -> PlaceSet:
    """Where most hits agree: the places at which so many are within a frame.

    Sorting reads the memory in order, a histogram of all hits is all over it. The number of hits that a place
    must have is the least that no more than CROWDED_PLACES have.
    """
    ordered = np.sort(places)
    agreeing, found, at = _least_agreeing(ordered)
    counted = len(at)
    if counted < FEWEST_PLACES or (counted < LEAST_PLACES and found <= MOST_PLACES):
        at = _agreeing_at(ordered, max(1, agreeing - 1))
    chosen = ordered[at]
    return PlaceSet.of(np.concatenate([chosen, chosen + np.uint32(1)]))


def _least_agreeing(ordered: NDArray[np.uint32]) -> tuple[int, int, NDArray[np.int64]]:
    """The least number of agreeing hits that at most CROWDED_PLACES have; how many have one fewer; where so many.

    Hot path; simple form: count them for 2, 3, 4 and so on. Where there are many hits, a part of them tells about
    how many it is, so that all are looked at once or twice, and then only those that are left.
    """
    agreeing = 1
    every = SAMPLED_EVERY if len(ordered) > SAMPLED_EVERY * SORTED_PIECE else 0
    while every and _agreeing_count(ordered, agreeing, every=every) * every > CROWDED_PLACES:
        agreeing += 1
    # With more places than that, one hit is too few.
    least, before = (2, len(ordered)) if len(ordered) > CROWDED_PLACES else (1, 0)
    agreeing = max(least, agreeing - 1)
    at = _agreeing_at(ordered, agreeing)
    while agreeing > least and len(at) <= CROWDED_PLACES:
        # The part told too many.
        agreeing -= 1
        at = _agreeing_at(ordered, agreeing)
    while len(at) > CROWDED_PLACES:
        before = len(at)
        at = at[at < len(ordered) - agreeing]
        at = at[ordered[at + agreeing] - ordered[at] <= 1]
        agreeing += 1
    return agreeing, before or len(at), at


def _agreeing_at(ordered: NDArray[np.uint32], count: int) -> NDArray[np.int64]:
    """From which of the sorted places on so many hits are within a frame."""
    firsts = range(0, max(1, len(ordered)), SORTED_PIECE)
    parts = zip(firsts, _agreeing(ordered, count), strict=False)
    found = [np.flatnonzero(each) + first for first, each in parts]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _agreeing_count(ordered: NDArray[np.uint32], count: int, *, every: int) -> int:
    """How many of every so many-th part of the sorted places do."""
    return sum(int(np.count_nonzero(each)) for each in _agreeing(ordered, count, every=every))


def _agreeing(ordered: NDArray[np.uint32], count: int, *, every: int = 1) -> Iterator[NDArray[np.bool_]]:
    """For parts of the sorted places, whether so many hits, from each place of a part on, are within a frame.

    `every`: every so many-th part only.
    """
    for first in range(0, max(1, len(ordered) - count + 1), every * SORTED_PIECE):
        part = ordered[first : first + SORTED_PIECE + count - 1]
        last = max(0, len(part) - count + 1)
        yield part[count - 1 :][:last] - part[:last] <= 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """The offsets at which a query's landmarks agree with one track's.

    `offsets`: int64, the offsets at which any do, in query steps like a candidate's, in rising order, and `votes`,
    those offsets' votes, both of shape (n,). `landmarks`: int64, the query's that agree at the candidate's offset.
    """

    offsets: NDArray[np.int64]
    votes: NDArray[np.float64]
    landmarks: NDArray[np.int64]


def agreement(
    snapshot: Snapshot,
    query: QueryFingerprint,
    candidate: Candidate,
    parameters: Parameters = DEFAULT,
    *,
    max_hits: int = MAX_HITS,
) -> Agreement:
    """The offset histogram of one candidate, and the landmarks in its highest place."""
    landmarks = Landmarks.of(query, parameters)
    lookup = Lookup(snapshot, landmarks, max_hits)
    index = next(number for number, live in enumerate(snapshot.segments) if live is candidate.live)
    record = candidate.live.segment.tracks[candidate.number]
    first = int(bases(snapshot)[index]) + int(record["first_frame"])
    last = first + int(record["frames"])
    hits = lookup.hits(PlaceSet.of(np.arange(first - query.steps, last).astype(np.uint32)))
    own = hits[(hits.positions >= first) & (hits.positions < last)]
    # A hit counts for its own cell and for the one before, as in `_histogram`.
    cells = np.concatenate([own.cells, own.cells - 1]) - first
    frames = np.tile(landmarks.starts[own.owners], 2)
    weights = np.tile(lookup.weights[own.owners], 2)
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
        landmarks=np.flatnonzero(np.isin(landmarks.groups, own.owners[agreeing])),
    )


def _histogram(
    snapshot: Snapshot,
    lookup: Lookup,
    hits: Hits,
    *,
    limits: tuple[int, int],
    query: QueryFingerprint,
    phases: int,
) -> VoteResult:
    """Count the votes exactly, and pick the tracks and the offsets that have most."""
    edges = bases(snapshot)
    segments = np.searchsorted(edges, hits.positions, side="right") - 1
    numbers = np.empty(len(segments), np.int64)
    firsts = np.empty(len(segments), np.int64)
    for index, live in enumerate(snapshot.segments):
        own = segments == index
        numbers[own] = live.segment.track_numbers(hits.positions[own] - edges[index])
        firsts[own] = live.segment.tracks["first_frame"][numbers[own]] + edges[index]
    # A track over all IndexSegments, then the offset in it, then the frame of the query: one number to sort by.
    before = np.cumsum([0, *(len(live.segment.tracks) for live in snapshot.segments)], dtype=np.int64)
    offsets = hits.cells - firsts
    lowest = int(offsets.min()) - 1
    span = int(offsets.max()) - lowest + 1
    frames = lookup.landmarks.starts[hits.owners]
    width = int(frames.max()) + 1
    keys = ((before[segments] + numbers) * span + (offsets - lowest)) * width + frames
    # A hit counts for its own cell and for the one before, so that no offset lies on an edge.
    keys = np.concatenate([keys, keys - width])
    order = np.argsort(keys)
    keys, weights = keys[order], np.tile(lookup.weights[hits.owners].astype(np.float64), 2)[order]
    # One vote for each frame of the query and offset: the weightiest.
    first_vote = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    weights = np.maximum.reduceat(weights, first_vote)
    cells = keys[first_vote] // width
    starts = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
    votes = np.add.reduceat(weights, starts)
    counts = np.diff(np.r_[starts, len(weights)])
    cells = cells[starts]
    of_tracks = cells // span
    begins = np.flatnonzero(np.r_[True, of_tracks[1:] != of_tracks[:-1]])
    ends = np.r_[begins[1:], len(cells)]
    best_of_tracks = [
        int(begins[place] + votes[begins[place] : ends[place]].argmax())
        for place in _highest(np.maximum.reduceat(votes, begins), limits[0])[: limits[0]]
    ]
    picked: list[int] = []
    seen: dict[int, list[int]] = {}
    # Each that is picked leaves out at most so many others.
    for index in _highest(votes, limits[1] * (2 * APART_FRAMES + 1)):
        if len(picked) >= limits[1]:
            break
        track, offset = divmod(int(cells[index]), span)
        others = seen.setdefault(track, [])
        if all(abs(offset - other) > APART_FRAMES for other in others):
            others.append(offset)
            picked.append(int(index))
    candidates: dict[int, Candidate] = {}
    for index in dict.fromkeys([*best_of_tracks, *picked]):
        track, offset = divmod(int(cells[index]), span)
        owner = int(np.searchsorted(before, track, side="right")) - 1
        candidates[index] = Candidate(
            live=snapshot.segments[owner],
            number=track - int(before[owner]),
            offset=(offset + lowest + 1) * phases,
            votes=float(votes[index]),
            frames=int(counts[index]),
            speed=query.speed,
            pitch=query.pitch,
            added=track,
        )
    return VoteResult(
        tracks=tuple(candidates[index] for index in best_of_tracks),
        offsets=tuple(candidates[index] for index in picked),
    )


def _highest(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Where the `count` highest values are, and those equal to the last: highest first, equal ones in order."""
    if not count:
        return np.empty(0, np.int64)
    least = np.partition(values, -count)[-count] if count < len(values) else -np.inf
    chosen = np.flatnonzero(values >= least)
    return chosen[np.argsort(-values[chosen], kind="stable")]
