"""Retries: as often, after as long and as many in a job as allowed, and never sooner than the upstream asks."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from fingerprint.retry import RetryBudget, RetryPolicy, retry, retry_after_seconds, retry_budget

pytestmark = pytest.mark.unit


class AwayError(Exception):
    pass


class Upstream:
    """Gives or raises what it is told to, one outcome after the other; waits are only written down."""

    def __init__(self, *outcomes: str | Exception) -> None:
        self.outcomes: Sequence[str | Exception] = outcomes
        self.calls = 0
        self.retries = 0
        self.waits: list[float] = []

    async def call(self) -> str:
        outcome = self.outcomes[self.calls]
        self.calls += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def counted(self) -> None:
        self.retries += 1

    async def retried(
        self, policy: RetryPolicy, *, retry_after: float = 0.0, budget: RetryBudget | None = None
    ) -> str:
        return await retry(
            self.call,
            errors=AwayError,
            retry_after=lambda outcome: None if outcome == "good" else retry_after,
            policy=policy,
            budget=budget,
            on_retry=self.counted,
            sleep=self.sleep,
        )


ONCE_MORE = RetryPolicy()


@pytest.mark.parametrize("first", ["bad", AwayError()], ids=["a value", "an exception"])
async def test_what_may_pass_is_tried_again(first: str | Exception) -> None:
    upstream = Upstream(first, "good")
    assert await upstream.retried(ONCE_MORE) == "good"
    assert (upstream.calls, upstream.retries) == (2, 1)
    assert all(0 <= wait <= 0.25 for wait in upstream.waits)


async def test_the_last_outcome_is_given_as_it_is() -> None:
    assert await Upstream("bad", "worse").retried(ONCE_MORE) == "worse"
    last = AwayError("last")
    with pytest.raises(AwayError) as caught:
        await Upstream("bad", last).retried(ONCE_MORE)
    assert caught.value is last


async def test_what_is_final_is_not_tried_again() -> None:
    upstream = Upstream("good", "good")
    assert await upstream.retried(ONCE_MORE) == "good"
    other = Upstream(ZeroDivisionError(), "good")
    with pytest.raises(ZeroDivisionError):
        await other.retried(ONCE_MORE)
    assert (upstream.calls, other.calls) == (1, 1)


async def test_waits_are_random_and_grow() -> None:
    waits: list[list[float]] = []
    for _ in range(200):
        upstream = Upstream(*["bad"] * 3, "good")
        await upstream.retried(RetryPolicy(max_attempts=4, min_wait_seconds=0.1, max_wait_seconds=1.0))
        waits.append(upstream.waits)
    for each, (least, most) in zip(zip(*waits, strict=True), [(0.1, 1), (0.2, 2), (0.4, 4)], strict=True):
        assert least <= min(each) < least + (most - least) / 4
        assert most - (most - least) / 4 < max(each) <= most


async def test_a_wait_that_the_upstream_asks_for_is_obeyed() -> None:
    upstream = Upstream("bad", "good")
    assert await upstream.retried(ONCE_MORE, retry_after=0.9) == "good"
    assert upstream.waits == [0.9]


async def test_when_it_asks_for_too_much_it_is_not_tried_again() -> None:
    upstream = Upstream("bad", "good")
    assert await upstream.retried(ONCE_MORE, retry_after=30.0) == "bad"
    assert (upstream.calls, upstream.retries) == (1, 0)


async def test_a_budget_bounds_the_retries_of_all_that_share_it() -> None:
    budget = RetryBudget(1)
    assert await Upstream("bad", "good").retried(ONCE_MORE, budget=budget) == "good"
    assert await Upstream("bad", "good").retried(ONCE_MORE, budget=budget) == "bad"


async def test_a_job_has_a_budget_for_all_of_its_tasks_and_none_of_the_next() -> None:
    async def call() -> str:
        return await Upstream("bad", "good").retried(ONCE_MORE)

    with retry_budget(2):
        assert sorted(await asyncio.gather(*(call() for _ in range(5)))) == ["bad"] * 3 + ["good"] * 2
    assert await call() == "good"
    with retry_budget(1):
        assert await call() == "good"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30.0),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 25 Nov 2026 12:00:30", 30.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("1.5", 0.0),
        ("²", 0.0),
        ("9" * 400, 999_999_999_999.0),
        ("Wed, 25 Nov 99999 12:00:30 GMT", 0.0),
    ],
)
def test_retry_after_headers_are_read(header: str | None, seconds: float) -> None:
    assert retry_after_seconds(header, datetime(2026, 11, 25, 12, tzinfo=UTC)) == seconds
