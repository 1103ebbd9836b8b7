"""How sure is an alignment? Votes alone do not tell: a long or noisy query has many by chance."""

import math
from collections.abc import Sequence
from typing import Final

from fingerprint.catalog.matching import Candidate

THRESHOLD: Final = 0.5
"""A match is given when its confidence is at least this."""

FLOOR_VOTES: Final = 60.0
"""Votes that a rival has at least, so that a catalog of one track has no sure matches by lack of rivals."""

WEIGHTS: Final = (-5.0, 5.0)


def confidence(candidates: Sequence[Candidate], duration_seconds: float) -> float:
    """The probability that the first of the candidates is right, 0..1."""
    _ = duration_seconds
    rivals = sorted((candidate.votes for candidate in candidates[1:6]), reverse=True)
    rivals += [0.0] * (5 - len(rivals))
    chance = sum(max(votes, FLOOR_VOTES) for votes in rivals) / 5
    constant, slope = WEIGHTS
    return 1 / (1 + math.exp(-(constant + slope * math.log(max(candidates[0].votes, 1.0) / chance) * 2)))
