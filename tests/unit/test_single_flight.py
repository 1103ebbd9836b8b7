"""The single-flight cache: one call for all who wait, whatever is cancelled, evicted or invalidated meanwhile."""

import asyncio
import math
import traceback
from collections.abc import Awaitable, Callable, Sequence

import pytest

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.single_flight import SingleFlightCache
from tests.fakes import FakeClock

pytestmark = [pytest.mark.unit, pytest.mark.timeout(18)]  # nothing here waits for anything outside

FAILED = TwitchAudioError(ProblemCode.TOKEN_INVALID, "No.", retry_after_seconds=7.0)
AWAY = UpstreamError("gql", "Away.")


class Source:
    """What is loaded: counts its calls, holds them at a gate, and gives what it was told to, or raises it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.ended: list[str] = []
        self.gates: list[asyncio.Event] = []
        self.held = False
        self.gives: Sequence[str | Exception] = []

    def load(self, key: str) -> Callable[[], Awaitable[str]]:
        return lambda: self._load(key)

    async def _load(self, key: str) -> str:
        number = len(self.calls)
        self.calls.append(key)
        outcome = self.gives[number] if number < len(self.gives) else f"{key}{number}"
        try:
            gate = asyncio.Event()
            self.gates.append(gate)
            if self.held:
                await gate.wait()
        finally:
            self.ended.append(key)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class World:
    def __init__(
        self,
        *,
        fresh_seconds: float | Callable[[str], float] = 10.0,
        failure_seconds: float | Callable[[TwitchAudioError], float] = 0.0,
        stale_seconds: float = 0.0,
        max_entries: int = 100,
    ) -> None:
        self.clock = FakeClock()
        self.source = Source()
        self.cache: SingleFlightCache[str, str] = SingleFlightCache(
            clock=self.clock,
            fresh_seconds=fresh_seconds,
            failure_seconds=failure_seconds,
            stale_seconds=stale_seconds,
            max_entries=max_entries,
        )

    async def get(self, key: str = "a") -> str:
        return await self.cache.get(key, self.source.load(key))

    def ask(self, key: str = "a") -> "asyncio.Task[str]":
        return asyncio.create_task(self.get(key))

    async def begun(self, key: str = "a") -> "asyncio.Task[str]":
        """A question whose call has begun."""
        asking = self.ask(key)
        await self.steps()
        return asking

    async def steps(self, count: int = 5) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    def let_go(self, number: int = 0) -> None:
        self.source.gates[number].set()


# --- How long a value counts --------------------------------------------------------------------------


async def test_a_value_is_given_again_while_it_is_fresh() -> None:
    world = World()
    assert [await world.get(), await world.get()] == ["a0", "a0"]
    assert (world.cache.fresh("a"), world.cache.last("a")) == ("a0", "a0")
    await world.clock.advance(10)
    assert (world.cache.fresh("a"), world.cache.last("a")) == (None, "a0")
    assert await world.get() == "a1"


async def test_the_age_counts_from_the_start_of_the_call() -> None:
    world = World()
    world.source.held = True
    asking = await world.begun()
    await world.clock.advance(9)
    world.let_go()
    assert await asking == "a0"
    assert await world.get() == "a0"
    await world.clock.advance(1)
    assert world.cache.fresh("a") is None


async def test_the_time_may_depend_on_the_value() -> None:
    world = World(fresh_seconds=lambda value: math.inf if value == "long" else 1.0)
    world.source.gives = ["long", "short"]
    assert [await world.get("a"), await world.get("b")] == ["long", "short"]
    await world.clock.advance(1e9)
    assert (world.cache.fresh("a"), world.cache.fresh("b")) == ("long", None)


async def test_zero_seconds_share_calls_and_keep_nothing() -> None:
    world = World(fresh_seconds=0.0)
    world.source.held = True
    asking = [world.ask() for _ in range(3)]
    await world.steps()
    world.let_go()
    assert await asyncio.gather(*asking) == ["a0"] * 3
    assert world.cache.last("a") is None
    world.source.held = False
    assert await world.get() == "a1"


async def test_none_is_a_value() -> None:
    calls = 0

    async def nothing() -> None:
        nonlocal calls
        calls += 1

    cache: SingleFlightCache[str, None] = SingleFlightCache(clock=FakeClock(), fresh_seconds=1.0)
    for _ in range(3):
        await cache.get("a", nothing)
    assert calls == 1


# --- One call for all ---------------------------------------------------------------------------------


async def test_what_is_begun_is_there_for_the_first_caller() -> None:
    world = World(fresh_seconds=10)
    world.source.held = True
    for _ in range(2):
        world.cache.begin("a", world.source.load("a"))
    caller = asyncio.create_task(world.cache.get("a", world.source.load("a")))
    await asyncio.sleep(0)
    world.source.gates[0].set()
    assert await caller == "a0"
    world.cache.begin("a", world.source.load("a"))
    await asyncio.sleep(0)
    assert world.source.calls == ["a"], "it is fresh"
    world.source.gives = ["", FAILED]
    world.source.held = False
    world.cache.begin("b", world.source.load("b"))
    await world.steps()
    await world.cache.close()
    world.cache.begin("c", world.source.load("c"))
    assert world.source.calls == ["a", "b"], "nothing is begun when it is closed"


async def test_a_thousand_callers_share_one_call_and_other_keys_do_not_wait() -> None:
    world = World()
    world.source.held = True
    asking = [world.ask() for _ in range(1_000)]
    other = await world.begun("b")
    assert world.source.calls == ["a", "b"]
    world.let_go(1)
    assert await other == "b1"
    assert not any(task.done() for task in asking)
    world.let_go(0)
    assert set(await asyncio.gather(*asking)) == {"a0"}


@pytest.mark.parametrize("steps", range(6))
async def test_a_caller_that_is_cancelled_cancels_nothing_that_others_wait_for(steps: int) -> None:
    """Whoever asked first, wherever it is when it is cancelled."""
    world = World()
    world.source.held = True
    first, second = world.ask(), world.ask()
    await world.steps(steps)
    first.cancel()
    await world.steps()
    world.let_go()
    assert await second == "a0"
    assert first.cancelled()
    assert world.source.calls == ["a"]


async def test_the_value_is_stored_when_all_callers_have_left() -> None:
    world = World()
    world.source.held = True
    asking = [world.ask() for _ in range(3)]
    await world.steps()
    for task in asking:
        task.cancel()
    await world.steps()
    world.let_go()
    await world.steps()
    assert await world.get() == "a0"


async def test_a_failure_for_which_nobody_waits_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.source.held, world.source.gives = True, [FAILED]
    asking = await world.begun()
    asking.cancel()
    await world.steps()
    world.let_go()
    await world.steps()
    assert world.source.ended == ["a"]
    assert not caplog.records


# --- Failures -----------------------------------------------------------------------------------------


async def test_each_caller_gets_an_exception_of_its_own_that_says_the_same() -> None:
    world = World(failure_seconds=5.0)
    world.source.held, world.source.gives = True, [AWAY]
    asking = [world.ask() for _ in range(50)]
    await world.steps()
    world.let_go()
    errors = await asyncio.gather(*asking, return_exceptions=True)
    with pytest.raises(UpstreamError) as later:
        await world.get()
    everyone = [*errors, later.value]
    assert len({id(error) for error in everyone}) == 51
    for error in everyone:
        assert isinstance(error, UpstreamError)
        assert error.problem == AWAY.problem
        assert len(traceback.extract_tb(error.__traceback__)) < 10
    assert world.source.calls == ["a"]


async def test_a_failure_is_not_stored_unless_that_is_asked_for() -> None:
    world = World()
    world.source.gives = [FAILED]
    with pytest.raises(TwitchAudioError):
        await world.get()
    assert await world.get() == "a1"


async def test_a_failure_is_raised_again_for_a_time_that_counts_from_its_end() -> None:
    world = World(failure_seconds=lambda error: 3.0 if error.code is ProblemCode.TOKEN_INVALID else 0.0)
    world.source.held, world.source.gives = True, [FAILED, AWAY]
    asking = await world.begun()
    await world.clock.advance(100)
    world.let_go()
    with pytest.raises(TwitchAudioError):
        await asking
    await world.clock.advance(2.9)
    with pytest.raises(TwitchAudioError) as caught:
        await world.get()
    assert (caught.value.code, caught.value.retry_after_seconds) == (ProblemCode.TOKEN_INVALID, 7.0)
    await world.clock.advance(0.1)
    world.source.held = False
    with pytest.raises(UpstreamError):
        await world.get()
    assert await world.get() == "a2"


async def test_a_mistake_of_ours_is_never_stored() -> None:
    world = World(failure_seconds=60.0)
    world.source.gives = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await world.get()
    assert await world.get() == "a1"


async def test_a_failure_takes_the_old_value_away() -> None:
    world = World()
    world.source.gives = ["old", FAILED]
    await world.get()
    await world.clock.advance(10)
    with pytest.raises(TwitchAudioError):
        await world.get()
    assert world.cache.last("a") is None


async def test_a_stale_value_bridges_a_failing_upstream_for_a_bounded_time() -> None:
    world = World(stale_seconds=60.0, failure_seconds=5.0)
    world.source.gives = ["old", AWAY, AWAY]
    assert await world.get() == "old"
    await world.clock.advance(10)
    assert [await world.get(), await world.get()] == ["old", "old"]
    assert world.source.calls == ["a", "a"]
    assert world.cache.fresh("a") is None
    await world.clock.advance(60)
    with pytest.raises(UpstreamError):
        await world.get()
    await world.clock.advance(5)
    assert await world.get() == "a3"


async def test_a_stale_value_does_not_hide_another_answer() -> None:
    world = World(stale_seconds=60.0)
    world.source.gives = ["old", FAILED, AWAY]
    await world.get()
    await world.clock.advance(10)
    with pytest.raises(TwitchAudioError, match=r"No\."):
        await world.get()
    with pytest.raises(UpstreamError):
        await world.get()


# --- Bounds -------------------------------------------------------------------------------------------


async def test_the_least_recently_used_is_evicted_and_never_all() -> None:
    world = World(max_entries=3)
    for key in "abc":
        await world.get(key)
    await world.get("a")
    await world.get("d")
    assert [world.cache.fresh(key) for key in "abcd"] == ["a0", None, "c2", "d3"]


async def test_failures_are_bounded_as_well() -> None:
    world = World(max_entries=2, failure_seconds=60.0)
    world.source.gives = [FAILED] * 3
    for key in "abc":
        with pytest.raises(TwitchAudioError):
            await world.get(key)
    assert await world.get("a") == "a3"
    with pytest.raises(TwitchAudioError):
        await world.get("c")


async def test_too_many_calls_are_refused_and_joining_is_not() -> None:
    world = World(max_entries=2)
    world.source.held = True
    asking = [world.ask("a"), world.ask("b")]
    await world.steps()
    with pytest.raises(TwitchAudioError) as caught:
        await world.get("c")
    assert (caught.value.code, caught.value.retry_after_seconds) == (ProblemCode.BUSY, 5.0)
    joined = await world.begun("a")
    # What is invalidated is under way all the same.
    world.cache.invalidate_all()
    with pytest.raises(TwitchAudioError):
        await world.get("c")
    world.let_go(0)
    world.let_go(1)
    assert await asyncio.gather(*asking, joined) == ["a0", "b1", "a0"]
    world.source.held = False
    assert await world.get("c") == "c2"


# --- What is said to be wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("everything", [False, True])
async def test_what_is_invalidated_while_it_is_loaded_is_not_stored(everything: bool) -> None:
    world = World()
    world.source.held = True
    before = await world.begun()
    if everything:
        world.cache.invalidate_all()
    else:
        world.cache.invalidate("a")
    after = await world.begun()
    world.let_go(1)
    assert await after == "a1"
    # The older call ends last, and must not replace what is newer.
    world.let_go(0)
    assert await before == "a0"
    assert await world.get() == "a1"


@pytest.mark.parametrize("everything", [False, True])
async def test_a_failure_is_invalidated_as_well(everything: bool) -> None:
    world = World(failure_seconds=60.0)
    world.source.gives = [FAILED]
    with pytest.raises(TwitchAudioError):
        await world.get()
    if everything:
        world.cache.invalidate_all()
    else:
        world.cache.invalidate("a")
    assert await world.get() == "a1"


async def test_every_value_is_invalidated_at_once() -> None:
    world = World(fresh_seconds=math.inf)
    assert [await world.get("a"), await world.get("b")] == ["a0", "b1"]
    world.cache.invalidate_all()
    assert (world.cache.fresh("a"), world.cache.last("b")) == (None, None)
    assert [await world.get("a"), await world.get("b")] == ["a2", "b3"]


async def test_a_cache_that_is_told_nothing_else_keeps_no_failure_and_gives_nothing_stale() -> None:
    clock, source = FakeClock(), Source()
    source.gives = ["a", AWAY, AWAY, "b"]
    async with SingleFlightCache[str, str](clock=clock, fresh_seconds=1.0) as cache:
        assert await cache.get("x", source.load("x")) == "a"
        await clock.advance(1.0)
        for _ in range(2):
            with pytest.raises(UpstreamError):
                await cache.get("x", source.load("x"))
        assert await cache.get("x", source.load("x")) == "b"


async def test_with_no_time_to_keep_it_a_new_value_takes_the_old_one_away() -> None:
    seconds = [10.0, 0.0]
    world = World(fresh_seconds=lambda _: seconds.pop(0))
    assert await world.get() == "a0"
    await world.clock.advance(10)
    assert world.cache.last("a") == "a0"
    assert await world.get() == "a1"
    assert world.cache.last("a") is None


async def test_what_has_ended_is_let_go() -> None:
    world = World(failure_seconds=60.0)
    world.source.gives = ["a", FAILED]
    await world.get("a")
    with pytest.raises(TwitchAudioError):
        await world.get("b")
    await world.steps()
    cache = world.cache
    assert (len(cache._flights), len(cache._tasks)) == (0, 0)  # pyright: ignore[reportPrivateUsage]


async def test_a_call_that_an_invalidation_replaced_ends_without_ending_the_new_one() -> None:
    world = World()
    world.source.held = True
    old = await world.begun()
    world.cache.invalidate("a")
    new = await world.begun()
    world.let_go(0)
    assert await old == "a0"
    await world.steps()
    joined = await world.begun()
    world.let_go(1)
    assert [await new, await joined] == ["a1", "a1"], "the third joins the second's call"


async def test_the_failure_of_an_invalidated_call_takes_nothing_away() -> None:
    world = World(failure_seconds=60.0)
    world.source.held, world.source.gives = True, [FAILED]
    before = await world.begun()
    world.cache.invalidate("a")
    after = await world.begun()
    world.let_go(1)
    await after
    world.let_go(0)
    with pytest.raises(TwitchAudioError):
        await before
    assert await world.get() == "a1"


async def test_expired_by_a_herd_it_is_loaded_once() -> None:
    world = World()
    await world.get()
    world.source.held = True

    async def again() -> str:
        world.cache.expire("a")
        return await world.get()

    asking = [asyncio.create_task(again()) for _ in range(100)]
    await world.steps()
    world.let_go(1)
    assert set(await asyncio.gather(*asking)) == {"a1"}
    assert await world.get() == "a1"


# --- The end ------------------------------------------------------------------------------------------


async def test_closing_ends_every_call_and_waits_for_it() -> None:
    world = World()
    world.source.held = True
    async with world.cache as cache:
        assert cache is world.cache
        waiting = [world.ask("a"), world.ask("b")]
        await world.steps()
        world.cache.invalidate("b")
    assert sorted(world.source.ended) == ["a", "b"]
    for task in waiting:
        with pytest.raises(TwitchAudioError) as caught:
            await task
        assert (caught.value.code, caught.value.retry_after_seconds) == (ProblemCode.BUSY, 5.0)
    with pytest.raises(TwitchAudioError) as refused:
        await world.get("c")
    assert refused.value.code is ProblemCode.BUSY


async def test_a_call_that_has_not_begun_is_closed_as_well() -> None:
    world = World()
    asking = world.ask()
    await asyncio.sleep(0)
    await world.cache.close()
    with pytest.raises(TwitchAudioError):
        await asking
    assert world.source.ended == world.source.calls


async def test_a_caller_that_is_cancelled_while_the_cache_closes_is_cancelled() -> None:
    world = World()
    world.source.held = True
    asking = await world.begun()
    asking.cancel()
    await world.cache.close()
    await asyncio.wait([asking])
    assert asking.cancelled()


@pytest.mark.parametrize("steps", range(8))
async def test_a_caller_that_is_cancelled_after_its_call_was_is_cancelled(steps: int) -> None:
    world = World()
    world.source.held = True
    asking = await world.begun()
    closing = asyncio.create_task(world.cache.close())
    await world.steps(steps)
    cancelled = asking.cancel()
    await asyncio.wait([asking])
    await closing
    assert asking.cancelled() is cancelled
    if not cancelled:
        with pytest.raises(TwitchAudioError):
            await asking
