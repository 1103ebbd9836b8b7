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


def prominence(votes: float, rivals: Sequence[float]) -> float:
    """How far a candidate's votes stand out: the log ratio to the mean of the strongest rivals' votes."""
    strongest = sorted(rivals, reverse=True)[:RIVALS]
    strongest += [FLOOR_VOTES] * (RIVALS - len(strongest))
    chance = sum(max(rival, FLOOR_VOTES) for rival in strongest) / RIVALS
    return math.log(max(votes, 1.0) / chance)


def features(votes: float, rivals: Sequence[float], contained: Containment, *, speed: float) -> tuple[float, ...]:
    """The features that `WEIGHTS` apply to.

    In this order: 1; the votes of the track's best offset, and these compared with the rivals', as logarithms; the
    z-scores of the peaks over the null shifts, the better channel first; the square roots of the z-scores in both
    time and frequency, likewise; whether another speed was tried, which gives chance more room; the square root of
    a hundredth of the number of peaks.
    """
    beyond = (max(MIN_Z, min(score, MAX_Z)) for score in contained.null_z_score)
    in_both = (math.sqrt(max(0.0, min(score, MAX_Z))) for score in contained.in_both)
    other_speed = 0.0 if speed == 1.0 else 1.0
    peaks = math.sqrt(contained.peaks / 100)
    return (
        1.0,
        math.log(max(votes, 1.0)),
        prominence(votes, rivals),
        *sorted(beyond, reverse=True),
        *sorted(in_both, reverse=True),
        other_speed,
        peaks,
    )


def confidence(votes: float, rivals: Sequence[float], contained: Containment, *, speed: float) -> float:
    """The probability that a candidate is right, 0..1."""
    known = features(votes, rivals, contained, speed=speed)
    logit = sum(weight * value for weight, value in zip(WEIGHTS, known, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))
