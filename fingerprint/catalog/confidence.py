"""How sure is an alignment? Votes alone do not tell: a long or noisy query has many by chance.

A logistic regression over what is known of the candidate, fitted to right and wrong candidates of the benchmark
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
"""Votes that a rival has at least, so that a catalog of one track has no sure matches by lack of rivals."""

RIVALS: Final = 5
"""The strongest rivals are what a candidate's votes are compared with."""

Z_LIMIT: Final = 12.0
"""Beyond this, a z-score says no more."""

Z_LEAST: Final = -2.0
"""Nor does one below this say more, where it may be negative."""

WEIGHTS: Final = (3.209, -2.297, 8.299, 0.623, 0.489, 1.832, -0.53, -1.662, -1.897)


def prominence(votes: float, rivals: Sequence[float]) -> float:
    """How far a candidate's votes stand out: the logarithm of their ratio to the mean of the strongest rivals'."""
    strongest = sorted(rivals, reverse=True)[:RIVALS]
    strongest += [FLOOR_VOTES] * (RIVALS - len(strongest))
    chance = sum(max(rival, FLOOR_VOTES) for rival in strongest) / RIVALS
    return math.log(max(votes, 1.0) / chance)


def features(votes: float, rivals: Sequence[float], contained: Containment, *, speed: float) -> tuple[float, ...]:
    """What `WEIGHTS` weigh.

    In this order: 1; the votes of the track's best offset, and these compared with the rivals', as logarithms; how
    far beyond chance the peaks show, the better channel first; the square roots of the z-scores in both time and
    frequency, likewise; whether another speed was tried, which gives chance more room; the square root of a
    hundredth of the number of peaks.
    """
    beyond = (max(Z_LEAST, min(score, Z_LIMIT)) for score in contained.null_z_score)
    in_both = (math.sqrt(max(0.0, min(score, Z_LIMIT))) for score in contained.in_both)
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
