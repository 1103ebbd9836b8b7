"""The states of one job as its listeners see them."""

import asyncio
from datetime import timedelta

from fingerprint.domain.identification import Identification, Stage, Status
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.identifications.progress import JobProgress
from tests.builders import NOON, answered, identification


async def collect(progress: JobProgress) -> list[Identification | None]:
    return [state async for state in progress.states(60)]


async def test_every_listener_gets_every_state_from_the_current_one_on() -> None:
    progress = JobProgress()
    early = asyncio.create_task(collect(progress))
    await asyncio.sleep(0)
    states = [identification()]
    for stage in (Stage.RESOLVING, Stage.CAPTURING):
        states.append(states[-1].at_stage(stage))
    for state in states:
        progress.publish(state)
        progress.publish(state)
    late = asyncio.create_task(collect(progress))
    await asyncio.sleep(0)
    end = answered(id=states[0].id, created_at=NOON)
    progress.publish(end)
    assert await early == [*states, end]
    assert await late == [states[-1], end]
    assert await collect(progress) == [end]
    missed = [state async for state in progress.states(60, after=Stage.QUEUED)]
    assert missed == [*states[1:], end]
    assert [state async for state in progress.states(60, after=Stage.DONE)] == []


async def test_nothing_goes_back_and_nothing_follows_the_end() -> None:
    progress = JobProgress()
    running = identification().at_stage(Stage.CAPTURING)
    progress.publish(running)
    progress.publish(identification().at_stage(Stage.RESOLVING))
    assert progress.current == running
    end = answered(id=running.id, created_at=NOON)
    progress.publish(end)
    progress.publish(running)
    later = NOON + timedelta(seconds=9)
    progress.publish(running.failed(TwitchAudioError(ProblemCode.BUSY, "x").problem, later))
    assert progress.current == end
    assert progress.ended.result() == end


async def test_silence_is_told_too() -> None:
    progress = JobProgress()
    progress.publish(identification())
    states = progress.states(0.001)
    first = await anext(states)
    assert first is not None
    assert first.status is Status.QUEUED
    assert await anext(states) is None
    await states.aclose()


async def test_a_job_that_failed_here_ends_every_listener() -> None:
    progress = JobProgress()
    progress.publish(identification())
    listening = asyncio.create_task(collect(progress))
    await asyncio.sleep(0)
    progress.fail(TwitchAudioError(ProblemCode.BUSY, "Stopping."))
    assert await listening == [identification()]


async def test_whoever_waits_is_told_of_the_end_and_one_who_left_changes_nothing() -> None:
    progress = JobProgress()
    progress.publish(identification())
    waiting = [asyncio.create_task(progress.wait_for_end(60)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    end = answered(id=identification().id, created_at=NOON)
    progress.publish(end)
    assert await asyncio.gather(*waiting[1:]) == [end, end]
    assert waiting[0].cancelled()
    assert await progress.wait_for_end(0) == end


async def test_whoever_waits_no_longer_than_they_want_learns_nothing_and_the_others_go_on() -> None:
    progress = JobProgress()
    patient = asyncio.create_task(progress.wait_for_end(60))
    assert await progress.wait_for_end(0.001) is None
    progress.fail(TwitchAudioError(ProblemCode.BUSY, "Stopping."))
    end = await patient
    assert isinstance(end, TwitchAudioError)
    assert end.code is ProblemCode.BUSY


async def test_each_waits_as_long_as_it_said_whoever_came_first() -> None:
    progress = JobProgress()
    progress.publish(identification())
    left: list[float] = []

    async def wait(seconds: float) -> None:
        assert await progress.wait_for_end(seconds) is None
        left.append(seconds)

    await asyncio.gather(*map(wait, (0.05, 0.01, 0.03, 0.0)))
    assert left == [0.0, 0.01, 0.03, 0.05]
    patient = asyncio.create_task(progress.wait_for_end(60))
    await asyncio.sleep(0)
    end = answered(id=identification().id, created_at=NOON)
    progress.publish(end)
    assert await patient == end


async def test_those_who_left_are_not_kept_until_their_time_is_over() -> None:
    progress = JobProgress()
    progress.publish(identification())
    patient = asyncio.create_task(progress.wait_for_end(60))
    for _ in range(50):
        leaving = [asyncio.create_task(progress.wait_for_end(60)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
    assert progress.waiter_count < 200
    end = answered(id=identification().id, created_at=NOON)
    progress.publish(end)
    assert await patient == end
