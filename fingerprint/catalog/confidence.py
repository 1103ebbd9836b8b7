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

WEIGHTS: Final = (-1.65, -1.495, 3.312, 1.318, 0.255, 0.359, -0.066, 1.939, 0.179, -2.376, -0.492)


def prominence(votes: float, rivals: Sequence[float]) -> float:
    """How far a candidate's votes stand out: the logarithm of their ratio to the mean of the strongest rivals'."""
    strongest = sorted(rivals, reverse=True)[:RIVALS]
    strongest += [FLOOR_VOTES] * (RIVALS - len(strongest))
    chance = sum(max(rival, FLOOR_VOTES) for rival in strongest) / RIVALS
    return math.log(max(votes, 1.0) / chance)


def features(votes: float, rivals: Sequence[float], contained: Containment, *, speed: float) -> tuple[float, ...]:
    """What `WEIGHTS` weigh.

    In this order: 1; the votes, and the votes compared with the rivals', as logarithms; the square roots of the
    z-scores in time, in frequency and in both, the better channel first; whether another speed was tried, which
    gives chance more room; the square root of a hundredth of the number of peaks.
    """
    scores = [
        math.sqrt(max(0.0, min(score, Z_LIMIT)))
        for channels in (contained.in_time, contained.in_frequency, contained.in_both)
        for score in sorted(channels, reverse=True)
    ]
    other_speed = 0.0 if speed == 1.0 else 1.0
    peaks = math.sqrt(contained.peaks / 100)
    return (1.0, math.log(max(votes, 1.0)), prominence(votes, rivals), *scores, other_speed, peaks)


def confidence(votes: float, rivals: Sequence[float], contained: Containment, *, speed: float) -> float:
    """The probability that a candidate is right, 0..1."""
    known = features(votes, rivals, contained, speed=speed)
    logit = sum(weight * value for weight, value in zip(WEIGHTS, known, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))
