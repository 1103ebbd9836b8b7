"""How high a true share may be, given how often something happened."""

import math
from typing import Final

UNLIKELY: Final = 0.05


def highest_share(happened: int, asked: int, *, unlikely: float = UNLIKELY) -> float:
    """The one-sided upper bound of a share, by default of 95 % (C. Clopper, E. Pearson, 1934).

    With a higher share, so few of `asked` independent questions would be less likely than `unlikely`.
    """
    if happened >= asked:
        return 1.0
    low, high = happened / asked, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _so_few(happened, asked, middle) > unlikely else (low, middle)
    return high


def _so_few(happened: int, asked: int, share: float) -> float:
    """The probability that it happens at most so often."""
    if share <= 0:
        return 1.0
    return sum(
        math.exp(_log_ways(asked, count) + count * math.log(share) + (asked - count) * math.log1p(-share))
        for count in range(happened + 1)
    )


def _log_ways(asked: int, count: int) -> float:
    return math.lgamma(asked + 1) - math.lgamma(count + 1) - math.lgamma(asked - count + 1)
