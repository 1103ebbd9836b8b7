"""What the service tells of a job that somebody was let in for."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target
from server.identifications.admission import JobAdmission
from server.identifications.runners.inprocess import InProcessRunner
from server.identifications.service import IdentificationHandle, IdentificationService, ServiceLimits
from server.observability import Metrics
from tests.builders import identification
from tests.fakes import FakeClock, FakePipeline, MemoryJobStore

CHANNEL = ChannelTarget("somechannel")


class Noting:
    """A admission that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.asked = 0

    def job_started(self) -> None:
        self.told.append("started")

    def job_ended(self) -> None:
        if "ended" not in self.told:
            self.told.append("ended")

    async def admit(self) -> JobAdmission:
        self.asked += 1
        await asyncio.sleep(0)
        return self


@asynccontextmanager
async def serving(
    store: MemoryJobStore, *, places: int = 2, jobs: int = 100
) -> AsyncGenerator[tuple[IdentificationService, FakePipeline]]:
    clock = FakeClock()
    parts = FakePipeline(clock)
    service = IdentificationService(
        store=store,
        runner=InProcessRunner(
            pipeline=parts.pipeline, store=store, clock=clock, max_running=places, max_queued=0
        ),
        unavailable=parts.pipeline.unavailable_reason,
        clock=clock,
        owner="a",
        metrics=Metrics(),
        limits=ServiceLimits(jobs=jobs),
    )
    try:
        yield service, parts
    finally:
        await service.close()


async def test_an_admission_ends_before_whoever_waits_has_the_answer() -> None:
    async with serving(MemoryJobStore()) as (service, parts):
        parts.capture.gate.clear()
        admission = Noting()
        asked = await service.ask(CHANNEL, admit=admission.admit)
        assert admission.told == ["started"]
        waiting = asyncio.create_task(service.wait(asked, 10))
        told_at_the_end: list[str] = []
        waiting.add_done_callback(lambda _task: told_at_the_end.extend(admission.told))
        parts.capture.gate.set()
        await waiting
        await asyncio.sleep(0)
        assert told_at_the_end == ["started", "ended"]


async def test_those_who_join_need_no_admission() -> None:
    async with serving(MemoryJobStore()) as (service, parts):
        parts.capture.gate.clear()
        first, second = Noting(), Noting()
        await service.ask(CHANNEL, admit=first.admit)
        assert (await service.ask(CHANNEL, admit=second.admit)).shared
        assert second.told == []
        parts.capture.gate.set()


class SlowToLook(MemoryJobStore):
    """Each look at what is stored takes until `looks` says so."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[asyncio.Event] = []

    async def answer(self, target: Target) -> Identification | None:
        look = asyncio.Event()
        self.looks.append(look)
        stored = await super().answer(target)
        await look.wait()
        return stored


async def test_a_failure_that_was_found_while_somebody_looked_is_their_answer_too() -> None:
    store = SlowToLook()
    async with serving(store) as (service, parts):
        parts.resolver.error = TwitchAudioError(ProblemCode.CLIP_NOT_FOUND, "There is no such clip.")
        admissions = [Noting() for _ in range(2)]
        asking: list[asyncio.Task[IdentificationHandle]] = []
        for admission in admissions:
            asking.append(asyncio.create_task(service.ask(ClipTarget("Gone"), admit=admission.admit)))
            while len(store.looks) < len(asking):  # noqa: ASYNC110 - a turn or two of the loop
                await asyncio.sleep(0)
            # The next one looks for itself.
            service.forget_answer(identification(kind=Kind.CLIP, target="Gone"))
        for number, task in enumerate(asking):
            store.looks[number].set()
            ended = await service.wait(await task, 10)
            assert ended.problem is not None
            assert ended.problem.code is ProblemCode.CLIP_NOT_FOUND
        assert [admission.asked for admission in admissions] == [1, 0]
        assert len(parts.resolver.asked) == 1


async def test_when_all_is_full_nobody_is_let_in_for_nothing() -> None:
    async with serving(MemoryJobStore(), places=1) as (service, parts):
        parts.capture.gate.clear()
        await service.ask(ChannelTarget("other"), admit=Noting().admit)
        admission = Noting()
        with pytest.raises(TwitchAudioError) as caught:
            await service.ask(CHANNEL, admit=admission.admit)
        assert caught.value.code is ProblemCode.BUSY
        assert (admission.told, admission.asked) == ([], 0)
        parts.capture.gate.set()


async def test_of_many_at_once_no_more_are_let_in_than_there_are_places() -> None:
    async with serving(MemoryJobStore(), places=3) as (service, parts):
        parts.capture.gate.clear()
        admissions = [Noting() for _ in range(50)]
        asked = [
            service.ask(ChannelTarget(f"c{number}"), admit=admission.admit)
            for number, admission in enumerate(admissions)
        ]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(not isinstance(result, BaseException) for result in results) == 3
        assert sum(admission.asked for admission in admissions) == 3
        parts.capture.gate.set()


async def test_a_service_that_is_full_lets_nobody_in_for_nothing() -> None:
    async with serving(MemoryJobStore(), jobs=0) as (service, _parts):
        admission = Noting()
        with pytest.raises(TwitchAudioError):
            await service.ask(CHANNEL, admit=admission.admit)
        assert (admission.told, admission.asked) == ([], 0)


async def test_a_job_that_another_server_was_faster_with_ends_the_admission_unused() -> None:
    store = MemoryJobStore()
    admission = Noting()
    async with serving(store) as (one, parts), serving(store) as (two, _parts):
        parts.capture.gate.clear()

        async def admit() -> JobAdmission:
            await one.ask(CHANNEL)
            return admission

        await two.ask(CHANNEL, admit=admit)
        assert admission.told == ["ended"]
        parts.capture.gate.set()


async def test_a_server_that_stops_ends_the_admission() -> None:
    admission = Noting()
    async with serving(MemoryJobStore()) as (service, parts):
        parts.capture.gate.clear()
        await service.ask(CHANNEL, admit=admission.admit)
    assert admission.told == ["started", "ended"]
