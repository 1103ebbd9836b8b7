"""A rate limit, and how much of it is left: what admission counts and responses tell."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` starts in each window of `seconds`; windows begin at whole multiples of it."""

    subject: str
    """Who is limited, and by which of their limits, such as `key:1f2e:minute`."""
    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """How many starts a limit still allows, and in how many seconds its next window begins."""

    limit: Limit
    left: int
    reset_seconds: int
    start_us: int
    """When the window began, in microseconds since 1970."""


def most_restrictive(statuses: Sequence[LimitStatus]) -> LimitStatus | None:
    """The limit with the smallest share left; None for no limits."""
    return min(statuses, key=lambda each: each.left / each.limit.most, default=None)
