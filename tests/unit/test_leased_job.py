"""A job under its lease: how long it goes on, what is stored of it, and that nothing of it is left."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from fingerprint import leased_job
from fingerprint.domain.identification import Identification, Stage
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.job_ports import LEASE_SECONDS, JobOutcome, JobStore, Lease
from fingerprint.leased_job import LeasedJob
from fingerprint.ports import OnStage
from tests.builders import NOON, identification
from tests.fakes import FakeClock

ANSWER = identification()
THIRD = LEASE_SECONDS / 3


class NotingClock(FakeClock):
    """Keeps what was slept."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await super().sleep(seconds)


class Store:
    """Notes what is stored; each method fails as it is told, for as long as it is."""

    def __init__(self) -> None:
        self.renewals: list[Lease] = []
        self.stages: list[Stage] = []
        self.finished: list[Lease] = []
        self.error: Exception | None = None
        self.progress_errors: list[Exception] = []
        self.finish_error: Exception | None = None
        self.lost = False
        self.overtaken = False
        self.finishing = asyncio.Event()
        self.finishing.set()
        self.writing = asyncio.Event()
        self.writing.set()

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        if self.error is not None:
            raise self.error
        self.renewals.append(lease)
        assert lease_seconds == LEASE_SECONDS
        return None if self.lost else dataclasses.replace(lease, expires_at=now + timedelta(seconds=lease_seconds))

    async def progress(self, _lease: Lease, stage: Stage) -> bool:
        await self.writing.wait()
        if self.progress_errors:
            raise self.progress_errors.pop(0)
        self.stages.append(stage)
        return True

    async def finish(self, lease: Lease, found: Identification) -> bool:
        assert found is ANSWER
        await self.finishing.wait()
        if self.finish_error is not None:
            raise self.finish_error
        self.finished.append(lease)
        return not self.overtaken


class World:
    """One job, whose work reports a stage and ends when it is told to."""

    def __init__(self) -> None:
        self.clock, self.store = NotingClock(), Store()
        self.events: list[object] = []
        self.ends = asyncio.Event()
        self.report: OnStage = lambda _stage: None
        self.lease = Lease(
            identification_id=ANSWER.id,
            target_key="k",
            owner="me",
            fence=1,
            expires_at=NOON + timedelta(seconds=LEASE_SECONDS),
        )

    async def _work(self, on_stage: OnStage) -> Identification:
        self.report = on_stage
        try:
            await self.ends.wait()
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        return ANSWER

    def begin(self, *, on_heard: Callable[[], None] | None = None) -> "asyncio.Task[JobOutcome | None]":
        job = LeasedJob(cast("JobStore", self.store), self.clock)
        running: Coroutine[Any, Any, JobOutcome | None] = job.run(
            self.lease, self._work, on_stage=self.events.append, on_heard=on_heard
        )
        return asyncio.create_task(running)

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Stages are stored at once."""
    monkeypatch.setattr(leased_job, "STAGE_SECONDS", 0.0)
    return World()


async def ended(job: "asyncio.Task[JobOutcome | None]") -> JobOutcome | None:
    """What came of it, in turns of the loop that are counted; nothing of it goes on."""
    for _ in range(50):
        if job.done():
            break
        await asyncio.sleep(0)
    assert job.done(), "it goes on"
    assert asyncio.all_tasks() == {asyncio.current_task()}, "something of it goes on"
    return job.result()


async def test_an_answer_is_stored_and_said_to_be_heard_before_that(world: World) -> None:
    world.store.finishing.clear()
    job = world.begin(on_heard=lambda: world.events.append("heard"))
    await world.settle()
    assert world.events == []
    world.ends.set()
    await world.settle()
    assert (world.events, job.done()) == (["heard"], False)
    world.store.finishing.set()
    assert await ended(job) == JobOutcome(ANSWER)
    assert world.store.finished == [world.lease]


async def test_without_anybody_to_tell_it_is_stored_as_well(world: World) -> None:
    world.ends.set()
    assert await ended(world.begin()) == JobOutcome(ANSWER)


async def test_the_lease_is_renewed_each_third_of_its_time_also_while_it_is_stored(world: World) -> None:
    job = world.begin()
    await world.settle()
    await world.clock.advance(THIRD - 0.01)
    assert world.store.renewals == []
    await world.clock.advance(0.01)
    assert len(world.store.renewals) == 1
    world.store.finishing.clear()
    world.ends.set()
    for number in range(2, 8):
        await world.clock.advance(THIRD)
        assert len(world.store.renewals) == number
    world.store.finishing.set()
    assert await ended(job) == JobOutcome(ANSWER)


async def test_the_newest_lease_is_renewed_and_finished(world: World) -> None:
    job = world.begin()
    await world.settle()
    await world.clock.advance(THIRD)
    await world.clock.advance(THIRD)
    world.ends.set()
    await ended(job)
    assert [lease.expires_at for lease in world.store.renewals] == [
        NOON + timedelta(seconds=LEASE_SECONDS),
        NOON + timedelta(seconds=LEASE_SECONDS + THIRD),
    ]
    assert world.store.finished[0].expires_at == NOON + timedelta(seconds=LEASE_SECONDS + 2 * THIRD)


async def test_a_lost_lease_ends_the_work_and_nothing_is_stored(world: World) -> None:
    job = world.begin(on_heard=lambda: world.events.append("heard"))
    await world.settle()
    world.store.lost = True
    await world.clock.advance(THIRD)
    assert await ended(job) is None
    assert (world.events, world.store.finished) == (["cancelled"], [])


async def test_an_answer_that_a_successor_overtook_is_none(world: World) -> None:
    world.store.overtaken = True
    world.ends.set()
    assert await ended(world.begin()) is None


@pytest.mark.parametrize("error", [TwitchAudioError(ProblemCode.BUSY, "Away."), RuntimeError("a driver's own")])
async def test_while_the_store_is_away_the_work_goes_on_until_the_lease_ends(
    world: World, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    job = world.begin()
    await world.settle()
    world.store.error = error
    await world.clock.advance(THIRD)
    await world.clock.advance(THIRD)
    world.store.error = None
    await world.clock.advance(THIRD - 0.001)
    await world.clock.advance(0.001)
    assert not job.done()
    world.store.error = error
    for _ in range(2):
        await world.clock.advance(THIRD)
        assert not job.done()
    # The lease was renewed at the third third; it ends in the moment of the sixth.
    await world.clock.advance(THIRD)
    assert await ended(job) is None
    said = [record.message for record in caplog.records]
    expected = [] if isinstance(error, TwitchAudioError) else ["lease_not_renewed"] * 2
    assert said == [*expected, "lease_lost"]


async def test_storing_is_tried_again_with_waits_that_double_up_to_a_second(world: World) -> None:
    world.store.finish_error = RuntimeError("a driver's own")
    world.ends.set()
    job = world.begin()
    for _ in range(60):
        await world.settle()
        await world.clock.advance(0.05)
    waits = [seconds for seconds in world.clock.slept if seconds != THIRD]
    for seconds, most in zip(waits, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0], strict=False):
        assert 0.7 * most <= seconds <= most
    assert len(waits) >= 4
    world.store.finish_error = None
    await world.clock.advance(1.0)
    assert await ended(job) == JobOutcome(ANSWER)


@pytest.mark.parametrize("hours", [0, -1, 1])
@pytest.mark.parametrize(("renewed", "leases"), [(True, 3), (False, 1)], ids=["renewed", "not renewed"])
async def test_an_answer_that_cannot_be_stored_is_given_when_its_time_is_over(
    world: World, hours: int, renewed: bool, leases: int
) -> None:
    """It is tried for three times as long as a lease lasts; without a renewal, until the lease ends.

    Also when the machine's clock is set meanwhile.
    """
    away = TwitchAudioError(ProblemCode.BUSY, "Away.")
    world.store.finish_error, world.store.error = away, None if renewed else away
    world.ends.set()
    job = world.begin()
    await world.settle()
    world.clock.jump(hours * 3_600)
    elapsed = 0.0
    while not job.done() and elapsed < 5 * LEASE_SECONDS:
        await world.clock.advance(0.25)
        elapsed += 0.25
    assert leases * LEASE_SECONDS <= elapsed <= leases * LEASE_SECONDS + 1.5
    assert await ended(job) == JobOutcome(ANSWER, stored=False)


async def test_a_stage_that_is_over_at_once_is_told_but_not_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leased_job, "STAGE_SECONDS", 30.0)
    job = world.begin()
    await world.settle()
    for stage in (Stage.RESOLVING, Stage.RECOGNIZING):
        world.report(stage)
        await world.settle()
    world.ends.set()
    assert await ended(job) == JobOutcome(ANSWER)
    assert (world.events, world.store.stages) == ([Stage.RESOLVING, Stage.RECOGNIZING], [])


async def test_the_newest_stage_is_written_and_none_after_the_answer(world: World) -> None:
    world.store.writing.clear()
    job = world.begin()
    await world.settle()
    for stage in (Stage.RESOLVING, Stage.CAPTURING, Stage.RECOGNIZING):
        world.report(stage)
        await world.settle() if stage is Stage.RESOLVING else None
    assert world.events == [Stage.RESOLVING, Stage.CAPTURING, Stage.RECOGNIZING]
    world.store.writing.set()
    await world.settle()
    assert world.store.stages == [Stage.RESOLVING, Stage.RECOGNIZING]
    world.store.writing.clear()
    world.report(Stage.CAPTURING)
    await world.settle()
    world.report(Stage.RECOGNIZING)
    world.ends.set()
    await world.settle()
    assert not job.done(), "the stage that is being written comes before the answer"
    world.store.writing.set()
    assert await ended(job) == JobOutcome(ANSWER)
    assert world.store.stages == [Stage.RESOLVING, Stage.RECOGNIZING, Stage.CAPTURING]


async def test_a_stage_that_cannot_be_written_costs_neither_the_next_nor_the_answer(world: World) -> None:
    world.store.progress_errors = [TwitchAudioError(ProblemCode.BUSY, "Away."), RuntimeError("a driver's own")]
    job = world.begin()
    await world.settle()
    for stage in (Stage.RESOLVING, Stage.CAPTURING, Stage.RECOGNIZING):
        world.report(stage)
        await world.settle()
    assert world.store.stages == [Stage.RECOGNIZING]
    world.ends.set()
    assert await ended(job) == JobOutcome(ANSWER)


async def test_a_job_that_is_cancelled_leaves_nothing(world: World) -> None:
    job = world.begin()
    await world.settle()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ended(job)
    assert world.events == ["cancelled"]
