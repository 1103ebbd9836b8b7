"""Repeats calls after failures that may pass: how often, after which wait, and how often and long in one job."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


class RetryBudget:
    """The number of retries left, shared by several calls.

    `refused_again`: hosts that refused a request even after the pause that they had asked for.
    """

    def __init__(self, retries: int) -> None:
        self.left = retries
        self.refused_again: set[str] = set()

    def take(self) -> bool:
        """Take one retry; False when none is left."""
        self.left -= 1
        return self.left >= 0


_job_budget: ContextVar[RetryBudget | None] = ContextVar("job_retry_budget", default=None)


@contextmanager
def retry_budget(retries: int | RetryBudget) -> Generator[None]:
    """Allows at most `retries` retries inside the block, in this task and those that it starts: when everything
    fails, a job does not multiply the load by the retries of each of its calls.
    """
    token = _job_budget.set(RetryBudget(retries) if isinstance(retries, int) else retries)
    try:
        yield
    finally:
        _job_budget.reset(token)


def job_budget() -> RetryBudget | None:
    """The budget of the surrounding `retry_budget`; None outside of a job."""
    return _job_budget.get()


_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def time_limit(seconds: float) -> Generator[None]:
    """Tells the calls inside the block how long they may wait for an upstream; it interrupts nothing.

    Inside another block the earlier end counts. Not for a block that yields: a generator shares its context.
    """
    until = time.monotonic() + seconds
    outer = _deadline.get()
    token = _deadline.set(until if outer is None else min(outer, until))
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float | None:
    """Seconds until the end of the surrounding `time_limit`; None outside of one."""
    until = _deadline.get()
    return None if until is None else until - time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a call is made, and how long to wait before each further time.

    The first wait is random between `min_wait_seconds` and `max_wait_seconds`, and both double with each further
    one ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015). A longer wait that the upstream asks for
    with `Retry-After` is obeyed; when it asks for more than `max_retry_after_seconds`, the call is not made again.
    """

    max_attempts: int = 2
    min_wait_seconds: float = 0.0
    max_wait_seconds: float = 0.25
    max_retry_after_seconds: float = 1.0

    def wait_seconds(self, attempt: int, retry_after: float | None) -> float | None:
        """Seconds to wait after a failed attempt, counted from 1; None when it is not repeated.

        `retry_after` is the least wait that the upstream asks for, or None for an outcome that a retry cannot
        change.
        """
        if retry_after is None or attempt >= self.max_attempts or retry_after > self.max_retry_after_seconds:
            return None
        doubled = 2 ** (attempt - 1)
        wait = random.uniform(self.min_wait_seconds, self.max_wait_seconds) * doubled  # noqa: S311 - no secret
        return max(wait, retry_after)


ONCE_MORE: Final = RetryPolicy()


async def retry(
    call: Callable[[], Awaitable[T]],
    *,
    errors: type[E],
    retry_after: Callable[[T | E], float | None],
    policy: RetryPolicy = ONCE_MORE,
    budget: RetryBudget | None = None,
    on_retry: Callable[[], None] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Returns what `call` returns, or raises what it raises, after retries.

    `retry_after` says for each value, and each exception in `errors`, whether a retry may help: the least seconds
    to wait, or None when the outcome is final. Retries count against `budget` and that of the job.
    `on_retry` is called before each retry.
    """
    for attempt in range(1, policy.max_attempts + 1):
        try:
            value = await call()
        except errors as error:
            wait = _wait(policy, attempt, retry_after(error), budget)
            if wait is None:
                raise
        else:
            wait = _wait(policy, attempt, retry_after(value), budget)
            if wait is None:
                return value
        if on_retry is not None:
            on_retry()
        await sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def any_error(outcome: object) -> float | None:
    """A `retry_after` that repeats after every exception and treats every value as final."""
    return 0.0 if isinstance(outcome, Exception) else None


def retry_after_seconds(header: str | None, now: datetime) -> float:
    """The seconds to wait that a `Retry-After` header asks for (RFC 9110, section 10.2.3); 0 for none."""
    text = (header or "").strip()
    if text.isdecimal() and text.isascii():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


def _wait(
    policy: RetryPolicy, attempt: int, retry_after: float | None, budget: RetryBudget | None
) -> float | None:
    wait = policy.wait_seconds(attempt, retry_after)
    if wait is None:
        return None
    for each in (budget, _job_budget.get()):
        if each is not None and not each.take():
            return None
    return wait
