"""What waits while the process stands still, as in a virtual machine that is suspended, or under SIGSTOP."""

import asyncio

import pytest

from fingerprint.domain.audio import Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget
from fingerprint.pipeline import Pipeline
from fingerprint.ports import OnStage, Recognition
from fingerprint.standstill import STOOD_STILL_SECONDS, Standstill
from server.identifications.progress import JobProgress
from server.identifications.runners.queued import MAX_QUEUE_SECONDS
from tests.builders import answered, identification
from tests.fakes import FakeClock, FakePipeline, FakeRecognizers
from tests.unit.server.test_service import World
from tests.virtual_time import run_virtually
from tests.waiting import settled, skip_time

CHANNEL = ChannelTarget("somechannel")


class Suspended(FakeRecognizers):
    """The process stands still while it is asked, and then a time limit of its own is over."""

    def __init__(self, seconds: float, code: ProblemCode) -> None:
        super().__init__()
        self.seconds, self.code = seconds, code

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        if self.seconds:
            skip_time(self.seconds)
        raise TwitchAudioError(self.code, "It does not answer.")


@pytest.mark.parametrize(
    ("seconds", "code", "told"),
    [
        (3_600.0, ProblemCode.RECOGNIZER_UNAVAILABLE, ProblemCode.TIMEOUT),
        (10.0, ProblemCode.RECOGNIZER_UNAVAILABLE, ProblemCode.TIMEOUT),
        (10.0, ProblemCode.UPSTREAM_UNAVAILABLE, ProblemCode.TIMEOUT),
        (10.0, ProblemCode.INTERNAL, ProblemCode.TIMEOUT),
        (10.0, ProblemCode.BUSY, ProblemCode.TIMEOUT),
        (10.0, ProblemCode.NOT_LIVE, ProblemCode.NOT_LIVE),
        (0.0, ProblemCode.RECOGNIZER_UNAVAILABLE, ProblemCode.RECOGNIZER_UNAVAILABLE),
        (0.0, ProblemCode.INTERNAL, ProblemCode.INTERNAL),
    ],
)
async def test_p9_after_the_process_stood_still_nobody_else_is_to_blame(
    seconds: float, code: ProblemCode, told: ProblemCode
) -> None:
    parts = FakePipeline(FakeClock())
    suspended = Suspended(seconds, code)
    pipeline = Pipeline(resolver=parts.resolver, capture=parts.capture, recognizers=suspended, clock=FakeClock())
    answer = await pipeline.identify(identification(), CHANNEL)
    assert answer.problem is not None
    assert answer.problem.code is told
    assert ("stood still" in answer.problem.detail) is (told is not code)


async def test_p9_a_job_whose_own_time_ended_meanwhile_says_why() -> None:
    class Waits(FakeRecognizers):
        async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
            skip_time(3_600.0)
            await asyncio.Event().wait()
            raise AssertionError

    parts = FakePipeline(FakeClock())
    pipeline = Pipeline(resolver=parts.resolver, capture=parts.capture, recognizers=Waits(), clock=FakeClock())
    answer = await pipeline.identify(identification(), CHANNEL)
    assert answer.problem is not None
    assert (answer.problem.code, "stood still" in answer.problem.detail) == (ProblemCode.TIMEOUT, True)


def test_p9_only_seconds_in_which_nothing_ran_are_counted() -> None:
    async def measure() -> list[float]:
        found: list[float] = []
        with Standstill() as still:
            await asyncio.sleep(60)
            found.append(still.seconds)
            skip_time(STOOD_STILL_SECONDS / 2)
            await asyncio.sleep(2)
            found.append(still.seconds)
            skip_time(100)
            found.append(still.seconds)
            await asyncio.sleep(2)
            skip_time(50)
            await asyncio.sleep(2)
        skip_time(100)
        return [*found, still.seconds]

    busy, late, during, after = run_virtually(measure())
    assert (busy, late) == (0.0, 0.0)
    assert 99 <= during <= 100
    assert 148 <= after <= 150


def test_p9_waiting_requests_get_the_answer_of_a_job_whose_time_ended_with_theirs() -> None:
    end = answered(id=identification().id)

    async def wait() -> list[object]:
        progress = JobProgress()
        progress.publish(identification())
        waiting = [asyncio.create_task(progress.wait_for_end(seconds)) for seconds in (10, 30, 60)]
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        # The job's limit is over, too, and its end takes some turns of the loop and a write.
        loop.call_later(20, lambda: loop.call_later(0.2, progress.publish, end))
        skip_time(35)
        return [await each for each in waiting]

    assert run_virtually(wait()) == [end, end, end]


def test_p9_waiting_requests_are_answered_although_the_job_goes_on_after_it_stood_still() -> None:
    async def wait() -> tuple[object, float]:
        loop = asyncio.get_running_loop()
        progress = JobProgress()
        progress.publish(identification())
        waiting = asyncio.create_task(progress.wait_for_end(30))
        await asyncio.sleep(1)
        skip_time(100)
        before = loop.time()
        return await waiting, loop.time() - before

    answer, waited = run_virtually(wait())
    assert answer is None
    assert waited <= 1.5


async def test_p9_time_in_which_nobody_had_a_turn_does_not_count_as_waiting_for_one() -> None:
    world = World()
    async with world.server() as (service, parts):
        parts.capture.gate.clear()
        running = [await service.ask(ChannelTarget(f"channel{number}")) for number in range(2)]
        late = await service.ask(ChannelTarget("late"))
        await settled()
        # The first two end only after the one that waits has been woken.
        await world.clock.advance(MAX_QUEUE_SECONDS + 5)
        skip_time(MAX_QUEUE_SECONDS + 5)
        await settled()
        parts.capture.gate.set()
        answers = [await service.wait(asked, 10) for asked in (*running, late)]
    assert [answer.problem and answer.problem.code for answer in answers] == [ProblemCode.TIMEOUT] * 2 + [None]
    assert parts.capture.captures == 3
