"""Is the track's music in the query at an offset? Noise only adds energy, so the music's peaks must still show.

For each peak of the track that falls into the query, the query's level there is ranked among the levels of the
same frequency at all other times of the query, and among those of neighboring frequencies at the same time.
Another piece in the same rhythm has high ranks in time, one that dwells on the same notes has them in frequency;
so the level relative to its neighbors in frequency is ranked in time, too, which takes both.

By chance a rank is evenly spread over 0..1, whatever voice or game lies over the music and however loud; where
the music shows through, ranks are high. So the mean of the ranks of many peaks has a known distribution by
chance, which needs no comparison with other tracks.

Known if peaks were independent, that is. Those of notes that are held, and of notes that the query's music uses,
too, are not; so the same peaks are looked up at other times of the query as well. How high they come there, and
how much that varies, is what chance gives *this* track in *this* query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import SILENCE, sliding_maximum
from fingerprint.catalog.matching import Candidate
from fingerprint.catalog.parameters import DEFAULT, Parameters

STEP_REACH: Final = 2
BIN_REACH: Final = 1
"""How far from its place in the catalog a peak may be in the query."""

NEIGHBORS: Final = 12
"""Bins on each side whose levels a peak's is ranked among; those next to it are left out."""

SHIFTS: Final = (-2, 2)
TEMPOS: Final = (1.015, 0.985, 1.03, 0.97)
"""What is tried to align better: steps, and speeds at the same pitch."""

RANKED_STEPS: Final = 4
"""A level is ranked among every fourth of the times: the steps overlap, so the others say the same."""

AUDIBLE: Final = 0.5
"""A side of which a smaller share is above silence is left out: among levels that are equal there are no ranks."""

HOPEFUL: Final = 3.0
"""An alignment below this sum of z-scores is not worth it."""

CHANCES: Final = 6
"""At so many other times, evenly spread over the query, the peaks are looked up to see what chance gives."""

USUAL_SPREAD: Final = 2.4
USUAL_WEIGHT: Final = 6
"""The standard deviation of the sum of a channel's three z-scores by chance, on the corpus, and how many of
CHANCES it counts for: six of them alone do not tell a standard deviation well.
"""


@dataclass(frozen=True, slots=True, eq=False)
class QueryLevels:
    """A query's spectrograms, mid and side, made ready to look up peaks.

    `channels`: shape (bins, steps). `relative`: the same less the mean of the neighbors in frequency. `ranked` and
    `ranked_relative`: the times of both that levels are ranked among, shape (bins, steps / RANKED_STEPS). `heard`:
    whether a channel is looked at; the side is not when there is hardly any, as in sound that is mono after all.
    """

    channels: tuple[NDArray[np.float32], ...]
    relative: tuple[NDArray[np.float32], ...]
    ranked: tuple[NDArray[np.float32], ...]
    ranked_relative: tuple[NDArray[np.float32], ...]
    heard: tuple[bool, ...]

    @staticmethod
    def of(levels: Sequence[NDArray[np.float32]]) -> "QueryLevels":
        """From `channel_levels`."""
        channels = tuple(
            np.ascontiguousarray(sliding_maximum(sliding_maximum(channel, STEP_REACH, 0), BIN_REACH, 1).T)
            for channel in levels
        )
        relative = tuple(channel - neighborhood_means(channel) for channel in channels)
        ranked = _some_times(channels)
        loud = [int(np.count_nonzero(channel > SILENCE)) > AUDIBLE * channel.size for channel in ranked[1:]]
        return QueryLevels(channels, relative, ranked, _some_times(relative), (True, *loud))

    @property
    def bins(self) -> int:
        """How many bins there are."""
        return self.channels[0].shape[0]

    @property
    def steps(self) -> int:
        """How many steps the query is long."""
        return self.channels[0].shape[1]


def _some_times(channels: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], ...]:
    return tuple(np.ascontiguousarray(channel[:, ::RANKED_STEPS]) for channel in channels)


def neighborhood_means(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each bin and its neighbors on both sides; at the edges, of those that are there."""
    bins, steps = channel.shape
    padded = np.zeros((bins + 2 * NEIGHBORS, steps), np.float32)
    padded[NEIGHBORS : NEIGHBORS + bins] = channel
    # The sum of 2 * NEIGHBORS + 1 rows, from sums of 1, 2, 4, 8 and so on.
    means = np.zeros((bins, steps), np.float32)
    begin, width = 0, 1
    while width <= 2 * NEIGHBORS + 1:
        if (2 * NEIGHBORS + 1) & width:
            means += padded[begin : begin + bins]
            begin += width
        padded = padded[:-width] + padded[width:]
        width *= 2
    places: NDArray[np.int64] = np.arange(bins, dtype=np.int64)
    counts = np.minimum(places + (NEIGHBORS + 1), bins) - np.maximum(places - NEIGHBORS, 0)
    means /= counts[:, np.newaxis].astype(np.float32)
    return means


@dataclass(frozen=True, slots=True, kw_only=True)
class Containment:
    """How well a track's peaks show in a query.

    `peaks`: how many fall into the query. `in_time`, `in_frequency`: the mean rank among other times and among
    other frequencies as z-scores (0 by chance, with a standard deviation of about 1 for independent peaks), in
    the middle and in the side; 0 where there is none. `in_both`: likewise, the rank in time of the level
    relative to other frequencies. `beyond_chance`: likewise, how many standard deviations the sum of the three is
    above what the same peaks have at other times of the query. `shift`, `tempo`: the alignment that fits best.
    """

    peaks: int
    in_time: tuple[float, float]
    in_frequency: tuple[float, float]
    in_both: tuple[float, float]
    beyond_chance: tuple[float, float]
    shift: int = 0
    tempo: float = 1.0

    @property
    def strength(self) -> float:
        """All of it as one number, to compare alignments by."""
        return sum(self.in_time) + sum(self.in_frequency) + sum(self.in_both)


def containment(levels: QueryLevels, candidate: Candidate, parameters: Parameters = DEFAULT) -> Containment:
    """Look up the peaks of a candidate's track in the query, at the best alignment near the candidate's."""
    frames, bins = candidate.live.segment.peaks(candidate.number)
    steps = levels.steps
    # A query that was taken slower has its peaks earlier and higher.
    places = (frames * parameters.phases - candidate.offset) / candidate.speed
    pitches = np.rint(bins * candidate.speed).astype(np.int64)
    # No alignment that is tried takes a peak from farther away into the query.
    margin = 4 + 0.05 * steps
    near = (places > -margin) & (places < steps + margin) & (pitches < levels.bins - 1)
    places = places[near]
    rows = _Rows.of(levels, pitches[near])
    best, shift, tempo = rows.look_up(places), 0, 1.0
    if best.strength >= HOPEFUL:
        for tried in SHIFTS:
            found = rows.look_up(places + tried)
            if found.strength > best.strength:
                best, shift = found, tried
        places = places + shift
        for tried in TEMPOS:
            found = rows.look_up(steps / 2 + (places - steps / 2) / tried)
            if found.strength > best.strength:
                best, tempo = found, tried
    beyond = rows.beyond_chance(best) if best.strength >= HOPEFUL else best.scores.sum(axis=1) / USUAL_SPREAD
    return Containment(
        peaks=len(best.times),
        in_time=_of_both(best.scores[:, 0]),
        in_frequency=_of_both(best.scores[:, 1]),
        in_both=_of_both(best.scores[:, 2]),
        beyond_chance=_of_both(beyond),
        shift=shift,
        tempo=tempo,
    )


def _of_both(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Of the middle and the side; mono sound has none."""
    return float(scores[0]), float(scores[1]) if len(scores) > 1 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What an alignment gives: the peaks in the query are those from `first` on, `times` the steps they are at.

    `scores`: shape (channels, 3), z-scores in time, in frequency and in both.
    """

    first: int
    times: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def strength(self) -> float:
        """All of it as one number, to compare alignments by."""
        return float(self.scores.sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """What is looked up of a query for some peaks, whatever their times.

    `at`, shape (peaks,), and `around`, shape (peaks, neighbors): where in the flattened `levels.channels` each
    peak's bin begins, and its neighbors'. `ranked`, `ranked_relative`: shape (peaks, times), each peak's bin in
    those of `levels`.
    """

    levels: QueryLevels
    at: NDArray[np.int64]
    around: NDArray[np.int64]
    ranked: tuple[NDArray[np.float32], ...]
    ranked_relative: tuple[NDArray[np.float32], ...]

    @staticmethod
    def of(levels: QueryLevels, pitches: NDArray[np.int64]) -> "_Rows":
        reach = np.arange(2 * BIN_REACH, NEIGHBORS + 1)
        around = np.clip(pitches[:, np.newaxis] + np.concatenate([-reach, reach]), 0, levels.bins - 1)
        return _Rows(
            levels,
            pitches * levels.steps,
            around * levels.steps,
            tuple(channel[pitches] for channel in levels.ranked),
            tuple(channel[pitches] for channel in levels.ranked_relative),
        )

    def look_up(self, places: NDArray[np.float64]) -> _Found:
        """The peaks at these steps, in order of time; those outside the query are left out."""
        times = np.rint(places).astype(np.int64)
        first, last = (int(edge) for edge in np.searchsorted(times, (0, self.levels.steps)))
        times = times[first:last]
        return _Found(first, times, self._scores(first, times))

    def beyond_chance(self, found: _Found) -> NDArray[np.float64]:
        """Each channel's sum of z-scores against those of the same peaks at other times, shape (channels,).

        The query is a ring for this: what would lie behind its end is looked up at its beginning.
        """
        steps = self.levels.steps
        chances = np.stack(
            [
                self._scores(found.first, (found.times + steps * number // (CHANCES + 1)) % steps).sum(axis=1)
                for number in range(1, CHANCES + 1)
            ]
        )
        squares = ((chances - chances.mean(axis=0)) ** 2).sum(axis=0) + USUAL_WEIGHT * USUAL_SPREAD**2
        spread = np.sqrt(squares / (CHANCES - 1 + USUAL_WEIGHT))
        return (found.scores.sum(axis=1) - chances.mean(axis=0)) / spread

    def _scores(self, first: int, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """The z-scores of the peaks from `first` on at these times, shape (channels, 3)."""
        count = len(times)
        scores = np.zeros((len(self.levels.channels), 3))
        if count < 2:
            return scores
        mine = slice(first, first + count)
        at = self.at[mine] + times
        around = self.around[mine] + times[:, np.newaxis]
        for number, (channel, relative) in enumerate(zip(self.levels.channels, self.levels.relative, strict=True)):
            if not self.levels.heard[number]:
                continue
            flat = channel.reshape(-1)
            level = flat[at][:, np.newaxis]
            scores[number, 0] = _mean_rank(self.ranked[number][mine], level)
            scores[number, 1] = _mean_rank(flat[around], level)
            level = relative.reshape(-1)[at][:, np.newaxis]
            scores[number, 2] = _mean_rank(self.ranked_relative[number][mine], level)
        return scores * (12 * count) ** 0.5


def _mean_rank(rows: NDArray[np.float32], at: NDArray[np.float32]) -> float:
    """The mean share of each row's values that are lower than the row's in `at`, less a half."""
    return int(np.count_nonzero(rows < at)) / rows.size - 0.5
