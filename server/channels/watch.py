"""A watch: a channel that is identified at an interval while it is live. Its rules are pure; see `after`."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from fingerprint.domain.identification import Identification, Status
from fingerprint.domain.problems import Problem, ProblemCode

OFFLINE_AGAIN_SECONDS: Final = 20.0
"""A stream that is not live is tried once more after this time before its watch ends: some are back at once."""

QUIET_FACTOR_MOST: Final = 4.0
"""After tries in a row without a match, e.g. during talk, the wait grows to at most this many times."""

TROUBLE_SECONDS: Final = 60.0

LOOK_SECONDS: Final = 300.0
"""How often the watch of a channel's owner looks whether the channel is live again."""

OFFLINE_MOST: Final = 14 * 24 * 12
"""Looks in a row that find no stream before an owner's watch ends: two weeks."""

OWNER: Final = "owner:"
"""Before the number of the channel's owner in `Watch.made_by`."""

_DAY_SECONDS: Final = 86_400
_NOT_NOW: Final = frozenset({ProblemCode.NOT_LIVE, ProblemCode.RESTRICTED_STREAM})

_HOPELESS: Final = frozenset({ProblemCode.CHANNEL_NOT_FOUND, ProblemCode.RESTRICTED_STREAM})
_OFF: Final = frozenset(
    {
        ProblemCode.RECOGNIZER_UNAVAILABLE,
        ProblemCode.MAINTENANCE,
        ProblemCode.INACTIVE,
        ProblemCode.STREAMS_DISABLED,
        ProblemCode.BLACKLISTED,
        ProblemCode.RATE_LIMITED,
    }
)
"""Nothing was captured, and nothing will be for a while: such a try does not count against the budget."""


class WatchState(StrEnum):
    """Whether a watch is running or has ended."""

    RUNNING = "running"
    ENDED = "ended"


class Ended(StrEnum):
    """Why a watch ended, beside the problem codes of a channel that cannot be watched."""

    STREAM_ENDED = "stream-ended"
    BUDGET_USED = "budget-used"
    STOPPED = "stopped"
    KEY_INVALID = "key-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A channel's watch. `used` of `budget` identifications; `quiet` and `offline` count tries in a row.

    `fence` grows each time a server takes the watch, and when it is started again: a late server changes nothing.
    """

    channel: str
    every_seconds: int
    budget: int
    used: int
    state: WatchState
    reason: str | None
    made_by: str
    created_at: datetime
    next_at: datetime
    last_at: datetime | None
    fence: int
    channel_id: str | None = None
    """The channel's id, once Twitch has named it: the watch follows the channel when it is renamed."""
    quiet: int = 0
    offline: int = 0

    @property
    def owner_id(self) -> str | None:
        """The channel's owner, if they started the watch.

        Then `used` and `budget` are of one day in UTC, and the watch goes on with the next stream.
        """
        return self.made_by.removeprefix(OWNER) if self.made_by.startswith(OWNER) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What follows a try: the next one, `wait_seconds` after its start; or the reason why the watch ends."""

    wait_seconds: float = 0.0
    reason: str | None = None
    quiet: int = 0
    offline: int = 0
    counted: bool = True


def after(watch: Watch, outcome: Identification | Problem) -> Next:
    """The next step after a try, which is counted in `used` already."""
    problem = outcome if isinstance(outcome, Problem) else outcome.problem
    if problem is not None:
        of_owner = None if watch.owner_id is None else _after_problem_of_owner(watch, problem)
        found = of_owner or _after_problem(watch, problem)
    elif isinstance(outcome, Identification) and outcome.status is Status.NO_MATCH:
        quiet = watch.quiet + 1
        factor = min(QUIET_FACTOR_MOST, 1 + quiet / 2)
        # The first miss changes nothing: one is often only speech over a song.
        found = Next(wait_seconds=watch.every_seconds * (factor if quiet > 1 else 1.0), quiet=quiet)
    else:
        found = Next(wait_seconds=watch.every_seconds)
    if found.reason is None and found.counted and watch.used >= watch.budget:
        if watch.owner_id is None:
            return Next(reason=Ended.BUDGET_USED)
        return replace(found, wait_seconds=max(found.wait_seconds, left_of_day(watch.last_at)))
    return found


def left_of_day(moment: datetime | None) -> float:
    """Seconds until the next day in UTC."""
    return 0.0 if moment is None else _DAY_SECONDS - moment.timestamp() % _DAY_SECONDS


def _after_problem(watch: Watch, problem: Problem) -> Next:
    wait = max(float(watch.every_seconds), problem.retry_after_seconds or 0.0)
    if problem.code is ProblemCode.NOT_LIVE:
        if watch.offline:
            return Next(reason=Ended.STREAM_ENDED)
        return Next(wait_seconds=OFFLINE_AGAIN_SECONDS, offline=1, quiet=watch.quiet, counted=False)
    if problem.code in _HOPELESS:
        return Next(reason=str(problem.code))
    if problem.code is ProblemCode.KEY_INVALID:
        return Next(reason=Ended.KEY_INVALID)
    if problem.code in _OFF:
        return Next(wait_seconds=max(wait, TROUBLE_SECONDS), quiet=watch.quiet, counted=False)
    return Next(wait_seconds=wait, quiet=watch.quiet)


def _after_problem_of_owner(watch: Watch, problem: Problem) -> Next | None:
    """The next step where it differs for a watch of the channel's owner."""
    if problem.code in _NOT_NOW:
        return _look_again(watch)
    if problem.code is ProblemCode.FORBIDDEN:
        return Next(reason=str(problem.code))
    return None


def _look_again(watch: Watch) -> Next:
    if watch.offline >= OFFLINE_MOST:
        return Next(reason=Ended.STREAM_ENDED)
    wait = LOOK_SECONDS if watch.offline else OFFLINE_AGAIN_SECONDS
    return Next(wait_seconds=wait, offline=watch.offline + 1, counted=False)
