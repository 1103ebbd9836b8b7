"""The confidence of an alignment. Votes alone are not enough: a long or noisy query has many by chance.

A logistic regression over the candidate's features, fitted to right and wrong candidates of the benchmark
corpus, so that the outcome is a probability. docs/recognition.md says how it was fitted and checked.
"""

import math
from collections.abc import Sequence
from typing import Final

from fingerprint.catalog.containment import Containment

THRESHOLD: Final = 0.85
"""A match is given when its confidence is at least this: at most 1 % of clips of other music, speech or games
reach it, on the benchmark corpus.
"""

FLOOR_VOTES: Final = 60.0
"""The least votes that a rival counts as having, so that a catalog of one track does not make every match sure."""

RIVALS: Final = 5
"""How many of the strongest rivals a candidate's votes are compared with."""

MAX_Z: Final = 12.0
"""Higher z-scores count as this one."""

MIN_Z: Final = -2.0
"""Lower z-scores count as this one, where negative ones are possible."""

WEIGHTS: Final = (3.209, -2.297, 8.299, 0.623, 0.489, 1.832, -0.53, -1.662, -1.897)


USUAL_SECONDS: Final = 6.0
MOST_SECONDS: Final = 10.0
"""Longer sound than usual has more room for chance: its odds are divided by the square of its length."""

TEMPO_CHANCES: Final = 2.5
"""An alignment at another tempo (`containment.TEMPOS`) is the best of five, which are not independent."""

SPEED_CHANCES: Final = 2.0
"""How many times more speeds are tried than when `WEIGHTS`, which know of other speeds, were fitted."""

USUAL_TRACKS: Final = 1000
"""The size of a catalog for which `WEIGHTS` hold, as they were fitted and checked in smaller ones."""

FAR_CHANCES: Final = 6.0
"""Likewise for the speeds and pitches of the last attempt."""


UNKNOWN_CHANCES: Final = 2.3
"""How many times likelier unknown music is in a question than among the clips to which `WEIGHTS` were fitted, of
which one in eight has no answer. On the corpus it costs one of 308 right answers; of other music about half as
much is named, as far as the scores below the threshold tell.
"""

WHOLE_THRESHOLD: Final = THRESHOLD * UNKNOWN_CHANCES / (1 - THRESHOLD + THRESHOLD * UNKNOWN_CHANCES)
"""The same, 0.93, for a few seconds that are all there is of the sound: no other part of it need agree."""


def beside_chances(probability: float, chances: float) -> float:
    """The probability of a match that is the best of so many hypotheses: its odds are divided by their number.

    Each hypothesis is another chance for other music to look like the track (Bonferroni), so what counts as sure
    grows with how many are tried, and one threshold holds for all.
    """
    return probability / (probability + (1 - probability) * chances)


def chances_of_takes(take: int) -> float:
    """The chances of the `take`-th take of one question, counted from 1.

    A question that goes on until something is found has the chances of all its takes. Divided by the square of
    its number, all further ones together have no more than 0.65 times the chance of the first one.
    """
    return float(take * take)


def chances_of_length(seconds: float) -> float:
    """The chances of sound of a length, against those of a few seconds."""
    return (min(max(seconds, USUAL_SECONDS), MOST_SECONDS) / USUAL_SECONDS) ** 2


def chances_of_tracks(tracks: int) -> float:
    """The chances of a catalog of so many tracks, against one of a usual size.

    Votes are compared with those of rivals, of which a larger catalog has stronger ones, so chance alone hardly
    grows. What grows is how much music there is that really resembles the sound: the square root is between both.
    """
    return max(1.0, tracks / USUAL_TRACKS) ** 0.5


def prominence(votes: float, rivals: Sequence[float]) -> float:
    """How far a candidate's votes stand out: the log ratio to the mean of the strongest rivals' votes."""
    strongest = sorted(rivals, reverse=True)[:RIVALS]
    strongest += [FLOOR_VOTES] * (RIVALS - len(strongest))
    chance = sum(max(rival, FLOOR_VOTES) for rival in strongest) / RIVALS
    return math.log(max(votes, 1.0) / chance)


def features(votes: float, rivals: Sequence[float], contained: Containment, *, altered: bool) -> tuple[float, ...]:
    """The features that `WEIGHTS` apply to.

    In this order: 1; the votes of the track's best offset, and these compared with the rivals', as logarithms; the
    z-scores of the peaks over the null shifts, the better channel first; the square roots of the z-scores in both
    time and frequency, likewise; whether another speed or pitch was tried, which gives chance more room; the
    square root of a hundredth of the number of peaks.
    """
    beyond = (max(MIN_Z, min(score, MAX_Z)) for score in contained.null_z_score)
    in_both = (math.sqrt(max(0.0, min(score, MAX_Z))) for score in contained.in_both)
    peaks = math.sqrt(contained.peaks / 100)
    return (
        1.0,
        math.log(max(votes, 1.0)),
        prominence(votes, rivals),
        *sorted(beyond, reverse=True),
        *sorted(in_both, reverse=True),
        1.0 if altered else 0.0,
        peaks,
    )


def confidence(votes: float, rivals: Sequence[float], contained: Containment, *, altered: bool) -> float:
    """The probability that a candidate is right, 0..1."""
    known = features(votes, rivals, contained, altered=altered)
    logit = sum(weight * value for weight, value in zip(WEIGHTS, known, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))
