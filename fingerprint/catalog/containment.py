"""The containment score: is the track's music in the query at an offset?

Noise only adds energy, so the music's peaks must still show.

For each peak of the track that falls into the query, the query's level there is ranked among the levels of the
same frequency at all other times of the query, and among those of neighboring frequencies at the same time.
Another piece in the same rhythm has high ranks in time, one that dwells on the same notes has them in frequency;
so the level relative to its neighbors in frequency is ranked in time, too, which takes both.

The middle of the query is asked for the peaks of the track's middle, the side (left minus right) for those of the
track's side, where no voice is.

By chance a rank is evenly spread over 0..1, whatever voice or game lies over the music and however loud; where
the music shows through, ranks are high. So the mean of the ranks of many peaks has a known distribution by
chance, which needs no comparison with other tracks.

Known if peaks were independent, that is. Those of notes that are held, and of notes that the query's music uses,
too, are not; so the same peaks are looked up at other times of the query as well. How high they come there, and
how much that varies, is what chance gives *this* track in *this* query.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.matching import Candidate
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.query_levels import BIN_REACH, NEIGHBORS, QueryLevels, some_times
from fingerprint.catalog.rivals import Rivalry

SHIFTS: Final = (-2, 2)
TEMPOS: Final = (1.015, 0.985, 1.03, 0.97)
"""The alignments that are tried: shifts in steps, and tempos at the same pitch."""

WIDER_SHIFTS: Final = tuple(range(-6, 7))
"""The shifts that a tempo must fit better than to be heard: where little of the song is in the sound, another
tempo about the sound's middle does there what a shift does.
"""

TEMPO_GAIN: Final = 3.5
TEMPO_GAIN_SHARE: Final = 0.04
"""How much better: by this sum of z-scores, and by this share of it. Of takes in which one song ends and another
begins, both as they are, one in 800 has more; of whole clips at a tempo of 1.03 most have 5 to 60.
"""

EVEN: Final = 0.4
"""A tempo is heard only where the song is in both halves of the sound: the weaker one has this share of the
stronger's sum of z-scores.
"""

MAX_COARSE: Final = 32
"""The most candidates that are scored by all peaks without alignment; more are first scored by a third of them."""

SIDE_SHARE: Final = 0.1
"""A track counts as mono when its side has fewer peaks than this share of the middle's."""

MIN_ALIGNMENT_Z: Final = 3.0
"""Below this sum of z-scores, an alignment is not refined, and its null-shift z-score is not computed."""

N_NULL_SHIFTS: Final = 6
"""How many other times, evenly spread over the query, the same peaks are scored at as the null distribution."""

PRIOR_STD: Final = 2.4
PRIOR_WEIGHT: Final = 6
"""The standard deviation of the null distribution (of the sum of a channel's three z-scores) on the corpus, and as
how many null shifts it counts besides the query's own: six alone estimate a standard deviation badly.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Containment:
    """How well a track's peaks show in a query, by channel.

    `peaks`: how many fall into the query. `in_time`, `in_frequency`: the mean rank among other times and among
    other frequencies as z-scores (0 by chance, with a standard deviation of about 1 for independent peaks), in
    the middle and in the side; 0 where there is none. `in_both`: likewise, the rank in time of the level
    relative to other frequencies. `null_z_score`: likewise, how many standard deviations the sum of the three is
    above the mean of the same sum at the null shifts. `shift`, `tempo`: the alignment that fits best.
    """

    peaks: int
    in_time: tuple[float, float]
    in_frequency: tuple[float, float]
    in_both: tuple[float, float]
    null_z_score: tuple[float, float]
    shift: int = 0
    tempo: float = 1.0

    @property
    def strength(self) -> float:
        """One number to compare alignments by: the sum of all scores."""
        return sum(self.in_time) + sum(self.in_frequency) + sum(self.in_both)


def containment(
    levels: QueryLevels,
    candidate: Candidate,
    parameters: Parameters = DEFAULT,
    *,
    beside: Rivalry | None = None,
) -> Containment:
    """Look up the peaks of a candidate's track in the query, at the best alignment near the candidate's.

    With `beside`, only those that are its own.
    """
    channels = _channels(levels, candidate, parameters, beside=beside)
    best = _best_alignment(channels)
    null_z_scores = list(_null_z_scores(channels, best))
    scores = [found.scores.tolist() for found in best.found]
    return Containment(
        peaks=len(best.found[0].times),
        in_time=_middle_and_side([of_one[0] for of_one in scores]),
        in_frequency=_middle_and_side([of_one[1] for of_one in scores]),
        in_both=_middle_and_side([of_one[2] for of_one in scores]),
        null_z_score=_middle_and_side(null_z_scores),
        shift=best.shift,
        tempo=best.tempo,
    )


def stands_out(
    levels: QueryLevels, candidate: Candidate, parameters: Parameters = DEFAULT, *, enough: float
) -> bool:
    """Whether a candidate's null-shift z-score, see `Containment`, is `enough` in one of the channels."""
    channels = _channels(levels, candidate, parameters)
    return any(score >= enough for score in _null_z_scores(channels, _best_alignment(channels)))


def heard_tempo(
    levels: QueryLevels, candidate: Candidate, found: Containment, parameters: Parameters = DEFAULT
) -> float:
    """The tempo of the best alignment where it fits clearly better than any shift at the sound's own, else 1."""
    if found.tempo == 1.0:
        return 1.0
    channels = _channels(levels, candidate, parameters)
    best = _score_alignment(channels, shift=found.shift, tempo=found.tempo)
    shifted = max(_score_alignment(channels, shift=shift, tempo=1.0).strength for shift in WIDER_SHIFTS)
    clearly = best.strength - shifted >= max(TEMPO_GAIN, TEMPO_GAIN_SHARE * shifted)
    halves = [peaks.halves(scores) for peaks, scores in zip(channels, best.found, strict=True)]
    first, second = (sum(strengths) for strengths in zip(*halves, strict=True))
    return found.tempo if clearly and min(first, second) >= EVEN * max(first, second) else 1.0


def best_aligned(
    levels: QueryLevels, candidates: Sequence[Candidate], parameters: Parameters = DEFAULT, *, limit: int
) -> list[Candidate]:
    """The candidates whose peaks show best without alignment, best first: a sixth of the work of aligning them.

    Most are rejected by a third of their peaks.
    """
    ranked, ranked_relative = some_times(levels.ranked), some_times(levels.ranked_relative)
    thinned = replace(levels, ranked=ranked, ranked_relative=ranked_relative)

    def best(among: Sequence[Candidate], *, limit: int, every: int) -> list[Candidate]:
        order = np.argsort(-_strengths(thinned, among, parameters, every=every), kind="stable")
        return [among[place] for place in order[:limit].tolist()]

    if len(candidates) > MAX_COARSE:
        candidates = best(candidates, limit=MAX_COARSE, every=3)
    return best(candidates, limit=limit, every=1)


def _strengths(
    levels: QueryLevels, candidates: Sequence[Candidate], parameters: Parameters, *, every: int
) -> NDArray[np.float64]:
    """The strength of each candidate by every `every`-th of its peaks, without alignment, shape (candidates,).

    Hot path; simple form: `_score_alignment(_channels(...), shift=0, tempo=1.0).strength` of each. All of them
    are looked up at once, since each has too few peaks to be worth a call.
    """
    if not candidates:
        return np.empty(0)
    found = [_places(levels, each, parameters, every=every) for each in candidates]
    strengths = np.zeros(len(candidates))
    for channel in range(len(levels.channels) if any(levels.heard[1:]) else 1):
        owners = np.repeat(np.arange(len(candidates)), [len(each[channel][0]) for each in found])
        places = np.concatenate([each[channel][0] for each in found])
        pitches = np.concatenate([each[channel][1] for each in found])
        times = np.rint(places).astype(np.int64)
        inside = (times >= 0) & (times < levels.steps)
        owners, times = owners[inside], times[inside]
        peaks = _Peaks.of(levels, channel, places[inside], pitches[inside])
        edges = np.searchsorted(owners, np.arange(len(candidates) + 1)).tolist()
        for lower in peaks.lower(slice(None), times):
            for number, (first, last) in enumerate(itertools.pairwise(edges)):
                if last - first > 1:
                    strengths[number] += _mean_rank(lower[first:last]) * (12 * (last - first)) ** 0.5
    return strengths


def _middle_and_side(values: Sequence[float]) -> tuple[float, float]:
    """The values of the middle and the side; 0 for a side that is not used."""
    return values[0], values[1] if len(values) > 1 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _AlignmentScores:
    """The scores of an alignment in one channel: the peaks in the query are those from `first` on.

    `times`: the steps they are at. `scores`: shape (3,), z-scores in time, in frequency and in both.
    """

    first: int
    times: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Alignment:
    """An alignment, and its scores in each channel."""

    shift: int
    tempo: float
    found: tuple[_AlignmentScores, ...]
    strength: float
    """One number to compare alignments by."""


def _strength(alignment: _Alignment) -> float:
    return alignment.strength


def _score_alignment(channels: Sequence["_Peaks"], *, shift: int, tempo: float) -> _Alignment:
    found = tuple(peaks.scores_at(shift, tempo) for peaks in channels)
    return _Alignment(shift, tempo, found, sum(float(each.scores.sum()) for each in found))


def _best_alignment(channels: Sequence["_Peaks"]) -> _Alignment:
    best = _score_alignment(channels, shift=0, tempo=1.0)
    if best.strength >= MIN_ALIGNMENT_Z:
        for shift in SHIFTS:
            best = max(best, _score_alignment(channels, shift=shift, tempo=1.0), key=_strength)
        for tempo in TEMPOS:
            best = max(best, _score_alignment(channels, shift=best.shift, tempo=tempo), key=_strength)
    return best


def _null_z_scores(channels: Sequence["_Peaks"], best: _Alignment) -> Iterator[float]:
    """The null-shift z-score of each channel."""
    for peaks, found in zip(channels, best.found, strict=True):
        refined = best.strength >= MIN_ALIGNMENT_Z
        yield peaks.null_z_score(found) if refined else float(found.scores.sum()) / PRIOR_STD


def _channels(
    levels: QueryLevels,
    candidate: Candidate,
    parameters: Parameters,
    *,
    beside: Rivalry | None = None,
) -> list["_Peaks"]:
    """The track's peaks in each channel that is used, see `_places`."""
    found = _places(levels, candidate, parameters, beside=beside)
    return [_Peaks.of(levels, channel, places, pitches) for channel, (places, pitches) in enumerate(found)]


def _places(
    levels: QueryLevels,
    candidate: Candidate,
    parameters: Parameters,
    *,
    every: int = 1,
    beside: Rivalry | None = None,
) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """The steps and bins of every `every`-th of the track's peaks; of those that are its own, with `beside`.

    For each channel that is used. The middle uses the middle's peaks, and the side the side's own. For a track
    with hardly any in its side, such as mono, the middle's are looked up in the query's side, too: in another mix
    they may be there.
    """
    # No alignment that is tried moves a peak from farther away into the query.
    margin = 4 + 0.05 * levels.steps
    between = (-margin, levels.steps + margin)
    tracks = [candidate.peaks(between, parameters)]
    sides = [False]
    if any(levels.heard[1:]):
        side = candidate.peaks(between, parameters, side=True)
        stereo = len(side[0]) >= SIDE_SHARE * len(tracks[0][0])
        tracks.append(side if stereo else tracks[0])
        sides.append(stereo)
    found: list[tuple[NDArray[np.float64], NDArray[np.int64]]] = []
    for (frames, bins), of_side in zip(tracks, sides, strict=True):
        if beside is not None:
            own = ~beside.shared(between, parameters, side=of_side)
            frames, bins = frames[own], bins[own]  # noqa: PLW2901 - what is the track's own
        # In a query that was slowed down, the peaks are earlier; in one that was lowered, they are higher.
        places = (frames[::every] * parameters.phases - candidate.offset) / candidate.speed
        pitches = np.rint(bins[::every] * candidate.pitch_factor).astype(np.int64)
        heard = pitches < levels.bins - 1
        found.append((places[heard], pitches[heard]))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Peaks:
    """Peaks of a track in one channel of a query, prepared to be looked up at several alignments.

    `level` and `relative`: the channel as one row. `at`: where in it each peak's bin begins, shape (peaks,).
    `around`: likewise the neighboring bins, shape (neighbors, peaks). `ranked`, `ranked_relative`: the levels of
    each peak's bin at other times, shape (peaks, times). `places`: the step of each peak, in rising order.
    """

    steps: int
    level: NDArray[np.float32]
    relative: NDArray[np.float32]
    at: NDArray[np.int64]
    around: NDArray[np.int64]
    ranked: NDArray[np.float32]
    ranked_relative: NDArray[np.float32]
    places: NDArray[np.float64]

    @staticmethod
    def of(levels: QueryLevels, channel: int, places: NDArray[np.float64], pitches: NDArray[np.int64]) -> "_Peaks":
        reach = np.arange(2 * BIN_REACH, NEIGHBORS + 1)
        around = np.clip(pitches + np.concatenate([-reach, reach])[:, np.newaxis], 0, levels.bins - 1)
        return _Peaks(
            levels.steps,
            levels.channels[channel].reshape(-1),
            levels.relative[channel].reshape(-1),
            pitches * levels.steps,
            around * levels.steps,
            levels.ranked[channel][pitches],
            levels.ranked_relative[channel][pitches],
            places,
        )

    def scores_at(self, shift: int, tempo: float) -> _AlignmentScores:
        """The scores of the peaks at an alignment; those outside the query are left out."""
        places = self.places + shift
        if tempo != 1.0:
            places = self.steps / 2 + (places - self.steps / 2) / tempo
        times = np.rint(places).astype(np.int64)
        first, last = (int(edge) for edge in np.searchsorted(times, (0, self.steps)))
        times = times[first:last]
        return _AlignmentScores(first, times, self._scores(first, times))

    def null_z_score(self, found: _AlignmentScores) -> float:
        """The z-score of the alignment's sum of z-scores among those of the same peaks at the null shifts.

        Shifts are circular: a peak that would be after the query's end is looked up at its beginning. The
        standard deviation is the posterior mean of a prior with PRIOR_STD and PRIOR_WEIGHT.
        """
        null_sums = np.array(
            [
                self._scores(
                    found.first, (found.times + self.steps * number // (N_NULL_SHIFTS + 1)) % self.steps
                ).sum()
                for number in range(1, N_NULL_SHIFTS + 1)
            ]
        )
        squares = ((null_sums - null_sums.mean()) ** 2).sum() + PRIOR_WEIGHT * PRIOR_STD**2
        deviation = (squares / (N_NULL_SHIFTS - 1 + PRIOR_WEIGHT)) ** 0.5
        return float((found.scores.sum() - null_sums.mean()) / deviation)

    def halves(self, found: _AlignmentScores) -> tuple[float, float]:
        """The sums of the z-scores of an alignment's peaks in the first and in the second half of the query."""
        middle = int(np.searchsorted(found.times, self.steps / 2))
        parts = ((found.first, found.times[:middle]), (found.first + middle, found.times[middle:]))
        first, second = (float(self._scores(begin, times).sum()) for begin, times in parts)
        return first, second

    def _scores(self, first: int, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """The z-scores of the peaks from `first` on at these times, shape (3,)."""
        count = len(times)
        if count < 2:
            return np.zeros(3)
        ranks = [_mean_rank(lower) for lower in self.lower(slice(first, first + count), times)]
        return np.array(ranks) * (12 * count) ** 0.5

    def lower(self, mine: slice, times: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
        """Which levels are lower than those of some peaks at these times, shape (peaks, n).

        First those of other times, then those of other frequencies, then the relative ones of other times.
        """
        at = self.at[mine] + times
        level = self.level.take(at)
        yield self.ranked[mine] < level[:, np.newaxis]
        # With long rows, this takes less than with a row of neighbors for each peak.
        yield (self.level.take(self.around[:, mine] + times) < level).T
        yield self.ranked_relative[mine] < self.relative.take(at)[:, np.newaxis]


def _mean_rank(lower: NDArray[np.bool_]) -> float:
    """The share of levels that are lower, less a half."""
    return int(np.count_nonzero(lower)) / lower.size - 0.5
