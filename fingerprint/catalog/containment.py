"""Is the track's music in the query at an offset? Noise only adds energy, so the music's peaks must still show.

For each peak of the track that falls into the query, the query's level there is ranked among the levels of the
same frequency at all other times of the query, and among those of neighboring frequencies at the same time.
Another piece in the same rhythm has high ranks in time, one that dwells on the same notes has them in frequency;
so the level relative to its neighbors in frequency is ranked in time, too, which takes both.

By chance a rank is evenly spread over 0..1, whatever voice or game lies over the music and however loud; where
the music shows through, ranks are high. So the mean of the ranks of many peaks has a known distribution by
chance, which needs no comparison with other tracks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.constellation import sliding_maximum
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

HOPEFUL: Final = 3.0
"""An alignment below this sum of z-scores is not worth it."""


@dataclass(frozen=True, slots=True, eq=False)
class QueryLevels:
    """A query's spectrograms, mid and side, made ready to look up peaks. Shapes are (steps, bins).

    `relative`: the same less the mean of the neighbors in frequency.
    """

    channels: tuple[NDArray[np.float32], ...]
    relative: tuple[NDArray[np.float32], ...]

    @staticmethod
    def of(levels: Sequence[NDArray[np.float32]]) -> "QueryLevels":
        """From `channel_levels`."""
        channels = tuple(
            sliding_maximum(sliding_maximum(channel, STEP_REACH, 0), BIN_REACH, 1) for channel in levels
        )
        return QueryLevels(channels, tuple(channel - neighborhood_means(channel) for channel in channels))


def neighborhood_means(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each bin and its neighbors on both sides; at the edges, of those that are there."""
    bins = channel.shape[1]
    # Running sums, with enough of the first and the last in front and behind to look beyond the edges.
    sums = np.zeros((len(channel), bins + 2 * NEIGHBORS + 1), np.float32)
    np.cumsum(channel, axis=1, out=sums[:, NEIGHBORS + 1 : NEIGHBORS + 1 + bins])
    sums[:, NEIGHBORS + 1 + bins :] = sums[:, NEIGHBORS + bins : NEIGHBORS + bins + 1]
    means = sums[:, 2 * NEIGHBORS + 1 :] - sums[:, :bins]
    places: NDArray[np.int64] = np.arange(bins, dtype=np.int64)
    means /= np.minimum(places + (NEIGHBORS + 1), bins) - np.maximum(places - NEIGHBORS, 0)
    return means


@dataclass(frozen=True, slots=True, kw_only=True)
class Containment:
    """How well a track's peaks show in a query.

    `peaks`: how many fall into the query. `in_time`, `in_frequency`: the mean rank among other times and among
    other frequencies as z-scores (0 by chance, with a standard deviation of about 1 for independent peaks), in
    the middle and in the side; mono sound has the middle twice. `in_both`: likewise, the rank in time of the level
    relative to other frequencies. `shift`, `tempo`: the alignment that fits best.
    """

    peaks: int
    in_time: tuple[float, float]
    in_frequency: tuple[float, float]
    in_both: tuple[float, float]
    shift: int = 0
    tempo: float = 1.0

    @property
    def strength(self) -> float:
        """All of it as one number, to compare alignments by."""
        return sum(self.in_time) + sum(self.in_frequency) + sum(self.in_both)


def containment(levels: QueryLevels, candidate: Candidate, parameters: Parameters = DEFAULT) -> Containment:
    """Look up the peaks of a candidate's track in the query, at the best alignment near the candidate's."""
    frames, bins = candidate.live.segment.peaks(candidate.number)
    steps = len(levels.channels[0])
    # A query that was taken slower has its peaks earlier and higher.
    places = (frames * parameters.phases - candidate.offset) / candidate.speed
    near = (places > -steps) & (places < 2 * steps)
    places, pitches = places[near], np.rint(bins[near] * candidate.speed).astype(np.int64)
    best = _look_up(levels, places, pitches)
    if best.strength < HOPEFUL:
        return best
    for shift in SHIFTS:
        found = _look_up(levels, places + shift, pitches)
        if found.strength > best.strength:
            best = replace(found, shift=shift)
    places = places + best.shift
    shift = best.shift
    for tempo in TEMPOS:
        found = _look_up(levels, steps / 2 + (places - steps / 2) / tempo, pitches)
        if found.strength > best.strength:
            best = replace(found, shift=shift, tempo=tempo)
    return best


def _look_up(levels: QueryLevels, places: NDArray[np.float64], pitches: NDArray[np.int64]) -> Containment:
    steps, bins = levels.channels[0].shape
    times = np.rint(places).astype(np.int64)
    inside = (times >= 0) & (times < steps) & (pitches < bins - 1)
    times, pitches = times[inside], pitches[inside]
    count = len(times)
    if count < 2:
        return Containment(peaks=count, in_time=(0.0, 0.0), in_frequency=(0.0, 0.0), in_both=(0.0, 0.0))
    scale = (12 * count) ** 0.5
    reach = np.arange(2 * BIN_REACH, NEIGHBORS + 1)
    around = np.clip(pitches[:, np.newaxis] + np.concatenate([-reach, reach]), 0, bins - 1)
    in_time: list[float] = []
    in_frequency: list[float] = []
    in_both: list[float] = []
    for channel, relative in zip(levels.channels, levels.relative, strict=True):
        at = channel[times, pitches]
        in_time.append(float((channel[:, pitches] < at).mean() - 0.5) * scale)
        in_both.append(float((relative[:, pitches] < relative[times, pitches]).mean() - 0.5) * scale)
        neighbors = channel[times[:, np.newaxis], around]
        in_frequency.append(float((neighbors < at[:, np.newaxis]).mean() - 0.5) * scale)
    return Containment(
        peaks=count,
        in_time=(in_time[0], in_time[-1]),
        in_frequency=(in_frequency[0], in_frequency[-1]),
        in_both=(in_both[0], in_both[-1]),
    )
