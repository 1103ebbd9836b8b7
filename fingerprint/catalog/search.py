"""Search a catalog for the track that sounds in a few seconds of audio.

The search takes passes that cost more and more, until an answer is sure: a few landmarks; many, also of the side
signal; then at changed speeds. Each pass's best offsets are examined by `containment`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.confidence import THRESHOLD, confidence, prominence
from fingerprint.catalog.containment import Containment, QueryLevels, best_aligned, containment
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.matching import Candidate, VoteResult, count_votes, find_candidates
from fingerprint.catalog.parameters import DEFAULT, FULL, QUICK, Parameters
from fingerprint.catalog.postings import postings_of
from fingerprint.catalog.query import QueryFingerprint, QueryPeaks, channel_levels, query_landmarks, query_peaks
from fingerprint.catalog.tracks import Track
from fingerprint.domain.audio import Pcm

RIVALS: Final = 10
"""How many tracks the vote histogram returns."""

OFFSETS: Final = 128
FEW_OFFSETS: Final = 12
"""How many offsets, of any tracks, get a containment score without alignment: a track that repeats itself has
votes for several. FEW_OFFSETS: in the first pass, at other speeds and in windows of a long recording.
"""

MAX_EXAMINED: Final = 6
"""How many offsets get a containment score at their best alignment."""

CERTAIN: Final = 0.999
"""When the offset with most votes has this confidence, the others are not examined."""

SURE: Final = 0.95
"""The confidence from which an answer at the sound's own speed ends the query."""

ALIGNMENT_SECONDS: Final = 0.1
"""The largest error of an offset, in seconds."""

SPEEDS: Final = (1.02, 0.98, 1.01, 0.99, 1.03, 0.97, 1.04, 0.96)
"""The speeds that are tried besides the sound's own; any speed between them is near enough to one."""

QUICK_HITS: Final = 250_000
FULL_HITS: Final = 1_000_000
DEEP_HITS: Final = 24_000_000
"""How many postings the passes read. In a small catalog the landmarks have fewer anyway; in one of 10,000 tracks
they have tens of millions.
"""

LARGE: Final = 4 * FULL_HITS
"""When a query's landmarks have more postings than this, the last passes read DEEP_HITS of them."""

MAX_SPEEDS: Final = 2
"""How many of SPEEDS are searched with all landmarks."""

MIN_PROMINENCE: Final = 0.3
"""The prominence of one track, by a part of the landmarks, from which a speed is searched with all of them."""

DEEP_SPEEDS: Final = 1
"""How many speeds are searched in the last pass."""

SCOUT_FAN_OUT: Final = 5
SCOUT_HITS: Final = (60_000, 250_000)
"""How many postings are read to judge a speed; the second, when a query has more than LARGE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A song in a recording.

    `offset_seconds`: how far into the track the recording is at `position_seconds`, where the song begins to be
    heard. `confidence`: the probability that it is this track, 0..1. `speed`: how much faster than the track.
    """

    track: Track
    confidence: float
    offset_seconds: float
    position_seconds: float
    speed: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchPass:
    """One pass of a search: its landmarks, and how many of their postings and offsets to examine.

    A confidence of `enough` ends the query.
    """

    fingerprint: QueryFingerprint
    max_hits: int
    offsets: int
    enough: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """A finding and its evidence: the pass, its offset, and the tracks with most votes, best first."""

    finding: Finding
    search_pass: SearchPass
    candidate: Candidate
    tracks: Sequence[Candidate]


class AudioQuery:
    """A piece of sound to search for, with everything that is computed from it once."""

    def __init__(
        self,
        pcm: Pcm,
        parameters: Parameters = DEFAULT,
        *,
        levels: list[NDArray[np.float32]] | None = None,
        alone: bool = True,
    ) -> None:
        """`levels` may hold `channel_levels(pcm)` where they are known already.

        `alone`: whether this is all there is of the sound; a window of a long recording has neighbors, which may
        give a better answer, so less is tried.
        """
        self.pcm = pcm
        self.alone = alone
        self._parameters = parameters
        self._levels = levels

    @cached_property
    def levels(self) -> list[NDArray[np.float32]]:
        """The spectrograms of middle and side, see `channel_levels`."""
        return channel_levels(self.pcm, self._parameters) if self._levels is None else self._levels

    @cached_property
    def prepared_levels(self) -> QueryLevels:
        """The same spectrograms, prepared for looking up peaks."""
        return QueryLevels.of(self.levels)

    @cached_property
    def quick_peaks(self) -> QueryPeaks:
        """The peaks of the first pass."""
        return query_peaks(self.levels, self._parameters, effort=QUICK)

    @cached_property
    def quick(self) -> QueryFingerprint:
        """The landmarks of the first pass."""
        return query_landmarks(self.quick_peaks, self._parameters, fan_out=QUICK.fan_out)

    @cached_property
    def full_peaks(self) -> QueryPeaks:
        """The peaks of the second pass."""
        return query_peaks(self.levels, self._parameters, effort=FULL)

    @cached_property
    def scout_peaks(self) -> QueryPeaks:
        """The peaks of the middle in two phases, to judge speeds by."""
        return self.full_peaks.only((0, self._parameters.phases // 2))

    def scout(self, speed: float) -> QueryFingerprint:
        """A fourth of all landmarks, to judge whether another speed is worth searching."""
        return query_landmarks(self.scout_peaks, self._parameters, fan_out=SCOUT_FAN_OUT, speed=speed)

    def full(self, speed: float = 1.0) -> QueryFingerprint:
        """The landmarks of the second pass, and of a speed that is worth searching."""
        return query_landmarks(self.full_peaks, self._parameters, fan_out=FULL.fan_out, speed=speed)


def likeliest(
    snapshot: Snapshot,
    query: AudioQuery,
    parameters: Parameters = DEFAULT,
    *,
    as_it_is: bool = True,
    speeds: Sequence[float] = SPEEDS,
) -> Finding | None:
    """The likeliest track at any confidence; None when no track shares a landmark."""
    best = examine(snapshot, query, parameters, as_it_is=as_it_is, speeds=speeds)
    return None if best is None else best.finding


def examine(
    snapshot: Snapshot,
    query: AudioQuery,
    parameters: Parameters = DEFAULT,
    *,
    as_it_is: bool = True,
    speeds: Sequence[float] = SPEEDS,
) -> Examined | None:
    """The same finding as `likeliest`, with its evidence."""
    return Search(snapshot, query, parameters).run(as_it_is=as_it_is, speeds=speeds)


class Search:
    """The passes of one search, and the best answer so far."""

    def __init__(self, snapshot: Snapshot, query: AudioQuery, parameters: Parameters = DEFAULT) -> None:
        self._snapshot = snapshot
        self._query = query
        self._parameters = parameters
        self._best: Examined | None = None

    def run(self, *, as_it_is: bool, speeds: Sequence[float]) -> Examined | None:
        """Run the passes until an answer is sure."""
        if not len(self._snapshot) or not len(self._query.levels[0]):
            return None
        for search_pass in self.passes(as_it_is=as_it_is, speeds=speeds):
            self._examine(search_pass)
            if self._sure(search_pass.enough):
                break
        return self._best

    def passes(self, *, as_it_is: bool, speeds: Sequence[float]) -> Iterator[SearchPass]:
        """The passes of the search, in order of cost."""
        query = self._query
        offsets = OFFSETS if query.alone else FEW_OFFSETS
        if as_it_is:
            yield SearchPass(fingerprint=query.quick, max_hits=QUICK_HITS, offsets=FEW_OFFSETS, enough=SURE)
            yield SearchPass(fingerprint=query.full(), max_hits=FULL_HITS, offsets=offsets, enough=SURE)
        large = postings_of(self._snapshot, query.full()) > LARGE
        promising = self._promising(speeds, SCOUT_HITS[large])
        for speed in promising:
            yield SearchPass(
                fingerprint=query.full(speed), max_hits=FULL_HITS, offsets=FEW_OFFSETS, enough=THRESHOLD
            )
        for speed in [*([1.0] if as_it_is else []), *promising[:DEEP_SPEEDS]] if large else []:
            yield SearchPass(fingerprint=query.full(speed), max_hits=DEEP_HITS, offsets=offsets, enough=THRESHOLD)

    def count_votes(self, search_pass: SearchPass) -> VoteResult:
        """The vote histogram of a pass's landmarks."""
        return count_votes(
            self._snapshot,
            search_pass.fingerprint,
            tracks=RIVALS,
            offsets=search_pass.offsets,
            parameters=self._parameters,
            max_hits=search_pass.max_hits,
        )

    def offsets_to_examine(self, votes: VoteResult) -> Iterator[Candidate]:
        """The offset with most votes; then those with the best containment score without alignment."""
        yield from votes.offsets[:1]
        levels, others = self._query.prepared_levels, votes.offsets[1:]
        yield from best_aligned(levels, others, self._parameters, limit=MAX_EXAMINED - 1)

    def contained(self, candidate: Candidate) -> Containment:
        """How well a candidate's music shows in the sound."""
        return containment(self._query.prepared_levels, candidate, self._parameters)

    def _sure(self, enough: float) -> bool:
        return self._best is not None and self._best.finding.confidence >= enough

    def _promising(self, speeds: Sequence[float], max_hits: int) -> list[float]:
        """The speeds worth a closer look: those at which a part of the landmarks favors one track the most."""
        found: list[tuple[float, float]] = []
        for speed in speeds:
            candidates = find_candidates(
                self._snapshot,
                self._query.scout(speed),
                limit=RIVALS,
                parameters=self._parameters,
                max_hits=max_hits,
            )
            if candidates:
                votes = [candidate.votes for candidate in candidates]
                found.append((prominence(votes[0], votes[1:]), speed))
        found.sort(reverse=True)
        return [speed for favored, speed in found[:MAX_SPEEDS] if favored >= MIN_PROMINENCE]

    def _examine(self, search_pass: SearchPass) -> None:
        votes = self.count_votes(search_pass)
        for candidate in self.offsets_to_examine(votes):
            finding = self._finding(votes, candidate)
            if self._best is None or finding.confidence > self._best.finding.confidence:
                self._best = Examined(
                    finding=finding, search_pass=search_pass, candidate=candidate, tracks=votes.tracks
                )
            if self._sure(CERTAIN):
                break

    def _finding(self, result: VoteResult, candidate: Candidate) -> Finding:
        parameters = self._parameters
        contained = self.contained(candidate)
        votes, rivals = result.votes_of_track_and_rivals(candidate)
        offset = candidate.offset / candidate.speed - contained.shift
        seconds = offset * parameters.hop / parameters.phases / parameters.rate
        return Finding(
            track=candidate.live.track(candidate.number),
            confidence=confidence(votes, rivals, contained, speed=candidate.speed),
            # An offset before the track's start means that the track begins within the recording.
            offset_seconds=max(0.0, seconds * candidate.speed),
            position_seconds=-seconds if seconds < -ALIGNMENT_SECONDS else 0.0,
            speed=candidate.speed * contained.tempo,
        )
