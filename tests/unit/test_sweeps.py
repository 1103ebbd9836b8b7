"""One whole identification, in which the n-th call fails, hangs, or works without an answer, for n = 1, 2, 3 ...

The same with the job, a request or the shutdown cancelled at each await in turn, and with a shutdown at each turn
of the event loop. Afterwards there is an answer or a cancellation, no task that goes on, no lease that is held, no
room that is taken. From the resolver to the service everything is real but Twitch's wire, the decoder, the
recognizers and the database.
"""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar

import pytest
from aiohttp import ServerDisconnectedError
from yarl import URL

from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import Identification, Stage, Status
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, FileTarget, Target, VideoTarget
from fingerprint.job_ports import LEASE_SECONDS, Claimed, JobOutcome, Lease
from fingerprint.media.capture import StreamCapture
from fingerprint.media.fetch import Fetched
from fingerprint.media.host_pauses import HostPauses
from fingerprint.media.pcm import Decoded
from fingerprint.pipeline import JOB_SECONDS, Pipeline
from fingerprint.ports import OnStage, Recognition
from fingerprint.twitch.live_source_cache import LiveSourceCache
from fingerprint.twitch.resolve import TwitchResolver
from fingerprint.upstream_settings import TwitchSettings
from server.identifications.runners.inprocess import InProcessRunner
from server.identifications.service import IdentificationService
from server.observability import Metrics
from tests.builders import NOON
from tests.fakes import FakeRecognizers, MemoryJobStore
from tests.unit.small_twitch import SmallDecoder, SmallTwitch, small_fetcher
from tests.virtual_time import VirtualTimeLoop, run_virtually

T = TypeVar("T")

TARGETS: dict[str, Target] = {
    "live": ChannelTarget("ladder"),
    "video": VideoTarget("1", 5.0),
    "clip": ClipTarget("AbrasivePlayfulMangoMau5"),
}
MAX_CALLS: Final = 60
STORE_SECONDS: Final = 10.0
"""After what time a database that hangs is given up by its adapter."""

SETTINGS: Final = TwitchSettings(
    gql_url=URL("https://gql.twitch.tv/gql"),
    usher_url=URL("https://usher.ttvnw.net/"),
    media_hosts=("*.ttvnw.net",),
)


class How(StrEnum):
    """What happens to the n-th call."""

    FAILS = "fails"
    HANGS = "hangs"
    UNANSWERED = "works without an answer"
    CRASHES = "crashes"
    """By a fault of ours, an exception of any kind."""


class LoopClock:
    """The loop's own time."""

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Calls:
    """Counts the calls of all kinds, and spoils one of them."""

    def __init__(self, number: int = 0, how: How = How.FAILS) -> None:
        self.number = number
        self.how = how
        self.made: list[str] = []

    async def call(self, kind: str, work: Callable[[], Awaitable[Any]], failure: Exception) -> Any:
        """Do a piece of work, unless this is the call that is spoiled; `failure` is how such work fails."""
        self.made.append(kind)
        if len(self.made) != self.number:
            return await work()
        match self.how:
            case How.HANGS if kind.startswith("store"):
                await asyncio.sleep(STORE_SECONDS)
            case How.HANGS:
                await asyncio.Event().wait()
            case How.UNANSWERED:
                await work()
            case How.CRASHES:
                raise RuntimeError(kind)
            case _:
                await asyncio.sleep(0)
        raise failure


class CountedStore(MemoryJobStore):
    """The store in memory, whose writes are counted."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self.calls = calls

    async def _counted(self, kind: str, work: Callable[[], Awaitable[Any]]) -> Any:
        busy = TwitchAudioError(ProblemCode.BUSY, "The store is down.", retry_after_seconds=5.0)
        return await self.calls.call(f"store {kind}", work, busy)

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        return await self._counted("renew", partial(super().renew, lease, now=now, lease_seconds=lease_seconds))

    async def progress(self, lease: Lease, stage: Stage) -> bool:
        return await self._counted("progress", partial(super().progress, lease, stage))

    async def finish(self, lease: Lease, identification: Identification) -> bool:
        return await self._counted("finish", partial(super().finish, lease, identification))

    async def heard(self, broadcast: str, start: float, end: float) -> Sequence[Identification]:
        return await self._counted("heard", partial(super().heard, broadcast, start, end))


class CountedDecoder(SmallDecoder):
    """Each decoding is a process that may not start, or not end within its limit of 5 s."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def decode(self, encoded: bytes, *, container: str, max_seconds: float) -> Decoded:
        broken = TwitchAudioError(ProblemCode.INTERNAL, "The decoder broke down.")
        work = partial(super().decode, encoded, container=container, max_seconds=max_seconds)
        try:
            async with asyncio.timeout(5):
                return await self._calls.call("decoder", work, broken)
        except TimeoutError:
            raise broken from None


class CountedRecognizers(FakeRecognizers):
    """A recognizer's failure is a problem."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        away = TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, "It is away.")
        return await self._calls.call("recognizer", partial(super().identify, recording, on_stage), away)


def twitch_of(calls: Calls) -> SmallTwitch:
    twitch = SmallTwitch()

    async def fault(step: str, url: URL) -> Fetched | None:
        async def nothing() -> None:
            await asyncio.sleep(0.01)

        lost = UpstreamError(step, "Twitch broke off the connection.")
        lost.__cause__ = ServerDisconnectedError()
        await calls.call(f"{step} {url.name}", nothing, lost)
        return None

    twitch.fault = fault
    return twitch


async def identified(
    target: Target, calls: Calls, runs: Callable[..., Awaitable[Any]]
) -> tuple[Any, CountedStore]:
    """What `runs` makes of the job for a target, and the store after it."""
    clock = LoopClock()
    store = CountedStore(calls)
    claim = await store.claim(target, owner="me", now=clock.now(), lease_seconds=LEASE_SECONDS)
    assert isinstance(claim, Claimed)
    async with pipeline_of(calls, clock) as pipeline:
        return await runs(pipeline.run(claim.lease, claim.identification, target, store=store)), store


@asynccontextmanager
async def pipeline_of(calls: Calls, clock: LoopClock) -> AsyncGenerator[Pipeline]:
    """A pipeline whose work has ended with its block."""
    async with small_fetcher(twitch_of(calls), pauses=HostPauses(clock)) as fetcher:
        sources = LiveSourceCache(TwitchResolver(fetcher, SETTINGS), clock)
        try:
            yield Pipeline(
                resolver=sources,
                capture=StreamCapture(fetcher, CountedDecoder(calls), clock, sources=sources),
                recognizers=CountedRecognizers(calls),
                clock=clock,
            )
        finally:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not others, "everything that was begun has ended"


async def to_its_end(job: Coroutine[Any, Any, JobOutcome | None]) -> JobOutcome | None:
    return await job


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_whatever_call_goes_wrong_there_is_an_answer_in_time(target: Target, how: How) -> None:
    for number in range(1, MAX_CALLS):
        calls = Calls(number, how)
        outcome, store = run_virtually(identified(target, calls, to_its_end))
        assert isinstance(outcome, JobOutcome), (number, calls.made)
        assert outcome.stored
        found = outcome.identification
        assert found.status.finished
        assert (found.status is Status.FAILED) == (found.problem is not None)
        assert found.timings.total_ms is not None
        assert found.timings.total_ms <= JOB_SECONDS * 1000 + 1
        if found.problem is not None and how is not How.CRASHES and "decoder" not in calls.made[number - 1]:
            assert found.problem.code is not ProblemCode.INTERNAL, (number, calls.made)
        assert [row.status for row in store.rows.values()] == [found.status]
        assert all(lease.expires_at < NOON for lease in store.leases.values()), "it was given back"
        if len(calls.made) < number:
            assert found.status is Status.SUCCESSFUL
            return
    raise AssertionError("it never ran without a fault")


class CancelledAt:
    """Awaits a coroutine, and cancels the task that does so at the n-th time that it waits."""

    def __init__(self, job: Coroutine[Any, Any, Any], number: int) -> None:
        self._job = job
        self._number = number
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        steps = self._job.__await__()
        thrown: BaseException | None = None
        while True:
            try:
                waiting = steps.send(None) if thrown is None else steps.throw(thrown)
            except StopIteration as done:
                return done.value
            self.waits += 1
            if self.waits == self._number:
                task.cancel()
            thrown = None
            try:
                yield waiting
            except BaseException as error:  # noqa: BLE001 - it is passed on to the coroutine
                thrown = error


@pytest.mark.parametrize("part", ["job", "work"])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_wherever_it_is_cancelled_nothing_goes_on(target: Target, part: str) -> None:
    """Both what waits for the work and stores the answer, and the work itself."""
    for number in range(1, 10 * MAX_CALLS):
        calls = Calls()

        async def cancelled(job: Coroutine[Any, Any, Any], number: int = number) -> tuple[int, object]:
            run = CancelledAt(job, number)
            task = asyncio.create_task(_waited(run))
            await asyncio.wait({task})
            return run.waits, None if task.cancelled() else task.result()

        run = run_virtually(
            identified(target, calls, cancelled) if part == "job" else _work(target, calls, cancelled)
        )
        waits, outcome = run[0]
        if waits < number:
            assert outcome is not None
            return
        assert outcome is None or isinstance(outcome, (JobOutcome, Identification))
    raise AssertionError("it never ran to its end")


async def _waited(run: CancelledAt) -> Any:
    return await run


async def _work(target: Target, calls: Calls, runs: Callable[..., Awaitable[Any]]) -> tuple[Any, None]:
    """What `runs` makes of the identification alone."""
    clock = LoopClock()
    claim = await MemoryJobStore().claim(target, owner="me", now=clock.now(), lease_seconds=LEASE_SECONDS)
    assert isinstance(claim, Claimed)
    async with pipeline_of(calls, clock) as pipeline:
        return await runs(pipeline.identify(dataclasses.replace(claim.identification), target)), None


# --- The same through the service: requests, and the shutdown -------------------------------------------


class Slots:
    """The slots of those who start jobs."""

    def __init__(self) -> None:
        self.taken = 0

    async def admit(self) -> "Slot":
        await asyncio.sleep(0)
        return Slot(self)


class Slot:
    """One of them, which is given back once."""

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots
        slots.taken += 1

    def job_started(self) -> None:
        assert self._slots is not None

    def job_ended(self) -> None:
        if self._slots is not None:
            self._slots.taken -= 1
            self._slots = None


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A server's own part: no HTTP."""

    service: IdentificationService
    runner: InProcessRunner
    store: CountedStore
    slots: Slots
    clock: LoopClock

    async def request(self, target: Target, *, listens: bool) -> Identification | None:
        """As a client that waits for its answer, or one that listens to what happens."""
        assert not isinstance(target, FileTarget)
        handle = await self.service.ask(target, caller="a", admit=self.slots.admit)
        if not listens:
            return await self.service.wait(handle, 60)
        async with aclosing(self.service.states(handle, 60)) as states:
            return [state async for state in states][-1]

    def check_nothing_is_left(self) -> None:
        assert (self.service.job_count, self.service.waiter_count) == (0, 0)
        assert (self.runner.running, self.runner.queued) == (0, 0)
        assert self.slots.taken == 0
        now = self.clock.now()
        assert all(lease.expires_at <= now for lease in self.store.leases.values()), "each lease was given back"


async def served(runs: Callable[[Server], Awaitable[T]], calls: Calls | None = None) -> T:
    """What `runs` makes of a server, which is closed then."""
    clock, calls = LoopClock(), calls or Calls()
    store = CountedStore(calls)
    async with pipeline_of(calls, clock) as pipeline:
        runner = InProcessRunner(pipeline=pipeline, store=store, clock=clock, max_running=1, max_queued=1)
        service = IdentificationService(
            store=store,
            runner=runner,
            unavailable=pipeline.unavailable_reason,
            clock=clock,
            owner="me",
            metrics=Metrics(),
        )
        server = Server(service, runner, store, Slots(), clock)
        async with service:
            found = await runs(server)
        server.check_nothing_is_left()
        return found


@pytest.mark.parametrize("listens", [False, True], ids=["waits", "listens"])
@pytest.mark.parametrize("others", ["none", "one before", "one after"])
def test_p6_wherever_a_request_is_cancelled_others_are_answered(others: str, listens: bool) -> None:
    target = TARGETS["clip"]

    async def cancelled(server: Server, number: int) -> int:
        run = CancelledAt(server.request(target, listens=listens), number)
        kept = [asyncio.create_task(server.request(target, listens=False))] if others == "one before" else []
        leaving = asyncio.create_task(_waited(run))
        if others == "one after":
            kept.append(asyncio.create_task(server.request(target, listens=True)))
        await asyncio.wait({leaving})
        for answer in await asyncio.gather(*kept):
            assert answer is not None
            assert answer.status is Status.SUCCESSFUL
        while server.service.job_count:  # noqa: ASYNC110 - a job that is left alone ends by itself
            await asyncio.sleep(1)
        assert all(row.status is Status.SUCCESSFUL for row in server.store.rows.values())
        server.check_nothing_is_left()
        assert leaving.cancelled() or leaving.result() is not None
        return run.waits

    for number in range(1, MAX_CALLS):
        if run_virtually(served(partial(cancelled, number=number))) < number:
            return
    raise AssertionError("it never ran to its end")


@pytest.mark.parametrize("target", [TARGETS["clip"], TARGETS["live"]], ids=["clip", "live"])
@pytest.mark.parametrize("drain_seconds", [0.0, 60.0])
def test_p6_whenever_the_server_stops_each_request_gets_an_answer_or_a_reason(
    drain_seconds: float, target: Target
) -> None:
    async def stopped(server: Server, number: int) -> bool:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.after_turns(number, stop.set)
        asking = asyncio.create_task(server.request(target, listens=False))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        over = asking.done()
        stopping.cancel()
        await server.service.close(drain_seconds)
        [answer] = await asyncio.gather(asking, return_exceptions=True)
        if isinstance(answer, TwitchAudioError):
            assert answer.code is ProblemCode.BUSY
            assert answer.retry_after_seconds is not None
        else:
            assert isinstance(answer, Identification)
            assert answer.status is Status.SUCCESSFUL
        server.check_nothing_is_left()
        return over

    for number in range(1, 10 * MAX_CALLS):
        if run_virtually(served(partial(stopped, number=number))):
            return
    raise AssertionError("it never ran to its end")


def test_p6_a_shutdown_that_is_cancelled_can_be_done_again() -> None:
    """As by a second signal; wherever the first one was."""
    target = TARGETS["live"]

    async def interrupted(server: Server, number: int) -> int:
        asking = asyncio.create_task(server.request(target, listens=False))
        await asyncio.sleep(0.5)
        assert server.runner.running == 1, "a call hangs"
        run = CancelledAt(server.service.close(1.0), number)
        closing = asyncio.create_task(_waited(run))
        await asyncio.wait({closing})
        await server.service.close()
        with pytest.raises(TwitchAudioError, match="restarting"):
            await asking
        server.check_nothing_is_left()
        return run.waits

    for number in range(1, MAX_CALLS):
        if run_virtually(served(partial(interrupted, number=number), Calls(1, How.HANGS))) < number:
            return
    raise AssertionError("it never ran to its end")
