"""Values for a rate limit and what is left of it, shared by admission and HTTP responses."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` job starts in each window of `seconds`; windows begin at multiples of it since 1970."""

    subject: str
    """What the limit applies to, such as `key:1f2e:minute`: a principal or address, and the name of the limit."""
    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """How many job starts a limit still allows, and in how many seconds its next window begins."""

    limit: Limit
    left: int
    reset_seconds: int
    start_us: int
    """Start of the current window, in microseconds since 1970."""


def most_restrictive(statuses: Sequence[LimitStatus]) -> LimitStatus | None:
    """The limit with the smallest fraction left; None when there are no limits."""
    return min(statuses, key=lambda each: each.left / each.limit.most, default=None)
