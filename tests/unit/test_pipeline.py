import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

import pytest
from yarl import URL

from fingerprint import leased_job
from fingerprint.clock import SystemClock
from fingerprint.domain.audio import Recording
from fingerprint.domain.broadcasts import Broadcast
from fingerprint.domain.identification import Identification, IdentificationId, Kind, Stage, Status
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, ago_target, moment_target
from fingerprint.job_ports import LEASE_SECONDS, JobOutcome, JobStore, Lease
from fingerprint.pipeline import Pipeline
from fingerprint.ports import Listing, LiveSource, Match, MediaSource, OnStage, Recognition
from tests.builders import NOON, identification, recording, song
from tests.fakes import FakeClock, FakePipeline, FakeRecognizers, MemoryJobStore
from tests.virtual_time import run_virtually

CHANNEL = ChannelTarget("somechannel")
BROADCAST = Broadcast(id="41", started_at=NOON)
LEASE = Lease(
    identification_id=IdentificationId("id-1"),
    target_key=CHANNEL.key,
    owner="me",
    fence=1,
    expires_at=NOON + timedelta(seconds=LEASE_SECONDS),
)


class SlowRecognizers(FakeRecognizers):
    """Never answer."""

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class RecordingStore(MemoryJobStore):
    """Records what a pipeline writes, and can refuse it."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: list[Stage] = []
        self.finished: list[Identification] = []
        self.renewals = 0
        self.lost = False
        self.failures = 0

    def _fail_if_told(self) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise TwitchAudioError(ProblemCode.BUSY, "The store is away.")

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        self._fail_if_told()
        self.renewals += 1
        return None if self.lost else lease

    async def progress(self, lease: Lease, stage: Stage) -> bool:
        self.stages.append(stage)
        return True

    async def finish(self, lease: Lease, identification: Identification) -> bool:
        self._fail_if_told()
        self.finished.append(identification)
        return not self.lost

    async def update_answer(self, identification: Identification) -> None:
        raise AssertionError("a pipeline updates no answer")

    async def mark_disputed(self, identification_id: IdentificationId, *, now: datetime) -> None:
        raise AssertionError("a pipeline disputes nothing")


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def capturing(clock: FakeClock, store: JobStore) -> tuple[FakePipeline, "asyncio.Task[JobOutcome | None]"]:
    """A pipeline whose capture is held at its gate, and the job that waits for it."""
    fake = FakePipeline(clock)
    fake.capture.gate.clear()
    job = asyncio.create_task(fake.pipeline.run(LEASE, identification(), CHANNEL, store=store))
    await settle()
    return fake, job


async def test_a_found_song_is_the_answer_with_every_step_timed() -> None:
    fake = FakePipeline(SystemClock())
    stages: list[Stage] = []
    answer = await fake.pipeline.identify(identification(), CHANNEL, stages.append)
    assert answer.status is Status.SUCCESSFUL
    assert answer.stage is Stage.DONE
    assert answer.song is not None
    assert answer.song.title == "Night Drive"
    assert (answer.score, answer.recognizer, answer.captured_seconds) == (0.93, "catalog", 6.0)
    assert stages == [Stage.RESOLVING, Stage.CAPTURING, Stage.FINGERPRINTING, Stage.RECOGNIZING]
    timings = answer.timings
    assert timings.total_ms is not None
    assert timings.resolve_ms is not None
    assert timings.capture_ms is not None
    assert timings.total_ms >= timings.resolve_ms + timings.capture_ms


async def test_nothing_found_is_an_answer_and_no_problem() -> None:
    fake = FakePipeline(SystemClock())
    fake.recognizers.matches = []
    answer = await fake.pipeline.identify(identification(), CHANNEL)
    assert (answer.status, answer.song, answer.problem) == (Status.NO_MATCH, None, None)


class Listening:
    """A pipeline that hears one take after another; the free recognizers know what `known` tells them of."""

    def __init__(self, *further: Recording, known: int | None = None) -> None:
        self.parts = FakePipeline(SystemClock())
        self.parts.recognizers.matches = []
        self.parts.capture.further = list(further)
        self.free = FakeRecognizers()
        self.free.matches = []
        self.asked = 0
        self.free.before = self.count
        self.known = known
        self.pipeline = Pipeline(
            resolver=self.parts.resolver,
            capture=self.parts.capture,
            recognizers=self.parts.recognizers,
            further=self.free,
            clock=SystemClock(),
        )

    def count(self) -> None:
        self.asked += 1
        self.free.matches = [Match(song=song(), score=0.9)] if self.asked == self.known else []

    async def answer(self) -> Identification:
        return await self.pipeline.identify(identification(), CHANNEL)


async def test_a_song_found_in_a_further_take_is_the_answer_with_the_seconds_of_that_take() -> None:
    takes = [recording(12.0, NOON), recording(11.0, NOON - timedelta(seconds=12)), recording(10.0, NOON)]
    listening = Listening(*takes, known=2)
    answer = await listening.answer()
    assert answer.status is Status.SUCCESSFUL
    assert (answer.captured_at, answer.captured_seconds) == (NOON - timedelta(seconds=12), 11.0)
    assert listening.asked == 2, "nothing is listened to once a song is found"
    assert answer.timings.recognize_ms == 6.0, "the first take's and two more"
    assert listening.parts.capture.running == 0


async def test_nothing_in_any_take_says_how_much_was_listened_to() -> None:
    takes = [recording(12.0, NOON), recording(12.0, NOON - timedelta(seconds=6))]
    listening = Listening(*takes)
    answer = await listening.answer()
    assert answer.status is Status.NO_MATCH
    assert (answer.captured_at, answer.captured_seconds) == (NOON - timedelta(seconds=6), 18.0)


async def test_without_free_recognizers_nobody_is_asked_twice() -> None:
    fake = FakePipeline(SystemClock())
    fake.recognizers.matches = []
    fake.capture.further = [recording(12.0, NOON)]
    asked: list[None] = []
    fake.recognizers.before = lambda: asked.append(None)
    answer = await fake.pipeline.identify(identification(), CHANNEL)
    assert answer.status is Status.NO_MATCH
    assert len(asked) == 1


async def test_what_fails_in_a_further_take_leaves_the_answer_of_the_first() -> None:
    listening = Listening(recording(12.0, NOON))

    def fail() -> None:
        raise TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, "Gone.")

    listening.free.before = fail
    answer = await listening.answer()
    assert (answer.status, answer.captured_seconds) == (Status.NO_MATCH, 6.0)


def test_further_takes_end_in_time_for_an_answer() -> None:
    fake = Listening(recording(12.0, NOON)).parts
    listening_on = Pipeline(
        resolver=fake.resolver,
        capture=fake.capture,
        recognizers=fake.recognizers,
        further=SlowRecognizers(),
        clock=SystemClock(),
    )
    answer = run_virtually(listening_on.identify(identification(), CHANNEL))
    assert (answer.status, answer.problem) == (Status.NO_MATCH, None)
    assert fake.capture.running == 0


async def test_the_songs_of_a_clip_come_in_the_order_in_which_they_are_heard() -> None:
    fake = FakePipeline(SystemClock())
    fake.recognizers.matches = [
        Match(song=song("Second", position_seconds=20.0), score=0.99),
        Match(song=song("First", position_seconds=0.0), score=0.8),
    ]
    answer = await fake.pipeline.identify(identification(kind=Kind.CLIP), ClipTarget("Slug"))
    assert [found.title for found in answer.songs] == ["First", "Second"]
    assert answer.song is not None
    assert answer.song.title == "Second"  # the one that the recognizer is surest of


class LiveListening:
    """A pipeline on a live channel of `BROADCAST`. `heard_of`: what was captured from."""

    def __init__(self, begun: datetime = NOON) -> None:
        self.clock = FakeClock()
        self.parts = FakePipeline(self.clock)
        self.heard_of: list[MediaSource] = []
        self._begun = begun
        self.parts.resolver.resolve = self.resolve
        self.parts.capture.takes = self.takes

    async def resolve(self, target: Target) -> MediaSource:
        return LiveSource(channel=target.name, playlist=URL("https://a.example/"), broadcast=BROADCAST)

    async def takes(
        self, source: MediaSource, seconds: float, listing: Listing | None = None
    ) -> AsyncGenerator[Recording]:
        self.heard_of.append(source)
        yield recording(seconds, self._begun)


@pytest.mark.parametrize("edge_is_known", [True, False])
@pytest.mark.parametrize("skew", [-300.0, 0.0, 300.0])
async def test_what_was_heard_so_long_ago_counts_from_the_live_edge(skew: float, *, edge_is_known: bool) -> None:
    listening = LiveListening()
    now = NOON + timedelta(seconds=5)
    listening.parts.capture.edge = now + timedelta(seconds=skew) if edge_is_known else None
    target = ago_target("somechannel", ago_seconds=90, now=now)
    question = identification(created_at=now, asked_at=target.at)
    answer = await listening.parts.pipeline.identify(question, target)
    [source] = listening.heard_of
    assert isinstance(source, LiveSource)
    assert source.at == now + timedelta(seconds=(skew if edge_is_known else 0.0) - 90)
    assert answer.moment is not None
    assert answer.moment.behind_live == 90


@pytest.mark.parametrize(
    ("edge", "at", "heard", "behind"),
    [
        (40.0, 37.0, 37.0, 3.0),  # our own clock is slow
        (40.0, 55.0, 40.0, 0.0),  # that of the client is fast
        (-2.0, 6.0, -2.0, 2.0),
        (-2.0, -9.0, -9.0, 9.0),
        (-300.0, -320.0, -320.0, 20.0),  # a channel that is broadcast with five minutes of delay
        (-300.0, 2.0, -300.0, 0.0),  # likewise, and asked about "now"
        (900.0, 890.0, 890.0, 10.0),  # our own clock is a quarter of an hour slow
        (900.0, 930.0, 900.0, 0.0),
        (None, 6.0, 0.0, 0.0),
        (None, -9.0, -9.0, 9.0),
    ],
)
async def test_a_moment_is_at_most_the_live_edge_whatever_our_own_clock_says(
    edge: float | None, at: float, heard: float, behind: float
) -> None:
    listening = LiveListening()
    now = listening.clock.now()
    listening.parts.capture.edge = None if edge is None else now + timedelta(seconds=edge)
    target = moment_target("somechannel", at=now + timedelta(seconds=at), now=now)
    question = identification(created_at=now, asked_at=target.at)
    answer = await listening.parts.pipeline.identify(question, target)
    [source] = listening.heard_of
    assert isinstance(source, LiveSource)
    assert source.at == now + timedelta(seconds=heard)
    assert answer.moment is not None
    assert answer.moment.behind_live == behind


@pytest.mark.parametrize(("edge", "at"), [(-2.0, 65.0), (900.0, 970.0), (-300.0, 65.0), (None, 65.0)])
async def test_a_moment_that_was_not_broadcast_yet_is_refused(edge: float | None, at: float) -> None:
    listening = LiveListening()
    now = listening.clock.now()
    listening.parts.capture.edge = None if edge is None else now + timedelta(seconds=edge)
    target = moment_target("somechannel", at=now + timedelta(seconds=at), now=now)
    answer = await listening.parts.pipeline.identify(identification(created_at=now, asked_at=target.at), target)
    assert answer.problem is not None
    assert (answer.problem.code, listening.heard_of) == (ProblemCode.INVALID_INPUT, [])


@pytest.mark.parametrize(("begun", "broadcast"), [(-30.0, None), (-0.2, "41"), (30.0, "41")])
async def test_the_end_of_the_broadcast_before_is_not_put_on_the_time_line_of_this_one(
    begun: float, broadcast: str | None
) -> None:
    listening = LiveListening(NOON + timedelta(seconds=begun))
    answer = await listening.parts.pipeline.identify(identification(), CHANNEL)
    assert answer.moment is not None
    assert (answer.moment.broadcast, answer.moment.seconds) == (broadcast, None if broadcast is None else begun)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TwitchAudioError(ProblemCode.NOT_LIVE, "Off air."), ProblemCode.NOT_LIVE),
        (UpstreamError("gql", "Twitch said no."), ProblemCode.UPSTREAM_UNAVAILABLE),
        (RuntimeError("a bug with a secret in it"), ProblemCode.INTERNAL),
    ],
)
async def test_a_problem_is_part_of_the_answer(error: Exception, code: ProblemCode) -> None:
    fake = FakePipeline(SystemClock())
    fake.resolver.error = error
    answer = await fake.pipeline.identify(identification(), CHANNEL)
    assert answer.status is Status.FAILED
    assert answer.problem is not None
    assert answer.problem.code is code
    assert "secret" not in answer.problem.detail
    assert fake.capture.captures == 0


async def test_a_job_that_takes_too_long_ends_as_timeout() -> None:
    fake = FakePipeline(SystemClock())
    fake.capture.gate.clear()
    hasty = fake.with_limit(0.01)
    answer = await hasty.identify(identification(), CHANNEL)
    assert answer.problem is not None
    assert answer.problem.code is ProblemCode.TIMEOUT
    assert fake.capture.running == 0


async def test_the_lease_is_renewed_while_the_job_runs() -> None:
    clock, store = FakeClock(), RecordingStore()
    fake, job = await capturing(clock, store)
    for _ in range(3):
        await clock.advance(LEASE_SECONDS / 3)
    fake.capture.gate.set()
    outcome = await job
    assert store.renewals == 3
    assert outcome is not None
    assert outcome.stored
    assert store.finished == [outcome.identification]


async def test_a_job_whose_lease_is_lost_stops_and_stores_nothing() -> None:
    clock, store = FakeClock(), RecordingStore()
    store.lost = True
    fake, job = await capturing(clock, store)
    await clock.advance(LEASE_SECONDS / 3)
    assert await job is None
    assert store.finished == []
    assert fake.capture.running == 0


async def test_a_store_that_cannot_renew_until_the_lease_ends_stops_the_job() -> None:
    clock, store = FakeClock(), RecordingStore()
    store.failures = 100
    _, job = await capturing(clock, store)
    await clock.advance(LEASE_SECONDS / 3)
    assert not job.done()
    for _ in range(3):
        await clock.advance(LEASE_SECONDS / 3)
    assert await job is None


async def test_an_answer_that_a_successor_has_overtaken_is_not_given() -> None:
    store = RecordingStore()
    store.lost = True
    answer = await FakePipeline(SystemClock()).pipeline.run(LEASE, identification(), CHANNEL, store=store)
    assert answer is None


async def test_waiters_get_the_answer_even_if_it_cannot_be_stored() -> None:
    clock, store = FakeClock(), RecordingStore()
    store.failures = 1_000
    lease = dataclasses.replace(LEASE, expires_at=clock.now() + timedelta(seconds=LEASE_SECONDS))
    job = asyncio.create_task(FakePipeline(clock).pipeline.run(lease, identification(), CHANNEL, store=store))
    # As long as the lease lasts, they may still get one that is stored.
    for _ in range(45):
        await settle()
        await clock.advance(0.1)
    assert not job.done()
    for _ in range(20):
        await settle()
        await clock.advance(0.1)
    outcome = await job
    assert outcome is not None
    assert outcome.identification.status is Status.SUCCESSFUL
    assert not outcome.stored
    assert store.finished == []


async def test_storing_is_tried_again_when_the_store_comes_back() -> None:
    clock, store = FakeClock(), RecordingStore()
    store.failures = 1
    job = asyncio.create_task(FakePipeline(clock).pipeline.run(LEASE, identification(), CHANNEL, store=store))
    await settle()
    await clock.advance(1.0)
    outcome = await job
    assert outcome is not None
    assert outcome.stored
    assert store.finished == [outcome.identification]


async def test_each_stage_reaches_listeners_and_the_newest_reaches_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leased_job, "STAGE_SECONDS", 0.0)
    store, heard = RecordingStore(), list[Stage]()
    fake = FakePipeline(FakeClock())
    fake.capture.gate.clear()
    job = asyncio.create_task(
        fake.pipeline.run(LEASE, identification(), CHANNEL, store=store, on_stage=heard.append)
    )
    await settle()
    assert heard == [Stage.RESOLVING, Stage.CAPTURING]
    assert store.stages[-1] is Stage.CAPTURING
    fake.capture.gate.set()
    await job
    assert heard[-1] is Stage.RECOGNIZING


async def test_stages_that_are_over_at_once_are_not_written() -> None:
    store, heard = RecordingStore(), list[Stage]()
    fake = FakePipeline(FakeClock())
    outcome = await fake.pipeline.run(LEASE, identification(), CHANNEL, store=store, on_stage=heard.append)
    assert outcome is not None
    assert heard == [Stage.RESOLVING, Stage.CAPTURING, Stage.FINGERPRINTING, Stage.RECOGNIZING]
    assert store.stages == []


async def test_a_cancelled_job_leaves_no_task_behind() -> None:
    store = RecordingStore()
    fake = FakePipeline(FakeClock())
    fake.capture.gate.clear()
    before = asyncio.all_tasks()
    job = asyncio.create_task(fake.pipeline.run(LEASE, identification(), CHANNEL, store=store))
    await settle()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert asyncio.all_tasks() == before
    assert fake.capture.running == 0


@pytest.mark.parametrize("code", [ProblemCode.RECOGNIZER_UNAVAILABLE, ProblemCode.UPSTREAM_UNAVAILABLE])
async def test_p9_limits_that_end_with_the_job_are_the_jobs_own_timeout(code: ProblemCode) -> None:
    clock = FakeClock()
    parts = FakePipeline(clock)

    class Late(FakeRecognizers):
        async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
            # All time limits end in the same moment, as after a suspended VM or a jump of the clock.
            await clock.advance(3_600.0)
            raise TwitchAudioError(code, "It does not answer.")

    pipeline = Pipeline(resolver=parts.resolver, capture=parts.capture, recognizers=Late(), clock=clock)
    answer = await pipeline.identify(identification(), CHANNEL)
    assert answer.problem is not None
    assert answer.problem.code is ProblemCode.TIMEOUT


class BrokenStore(RecordingStore):
    """Raises what is no problem of ours to report, a given number of times."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.crashes = failures

    def _fail_if_told(self) -> None:
        if self.crashes > 0:
            self.crashes -= 1
            raise RuntimeError("a driver's own")


async def test_an_unexpected_error_in_a_renewal_is_logged_once_and_costs_no_job(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, store = FakeClock(), BrokenStore(2)
    fake, job = await capturing(clock, store)
    for _ in range(3):
        await clock.advance(LEASE_SECONDS / 3)
    assert not job.done()
    assert [record.message for record in caplog.records].count("lease_not_renewed") == 1
    fake.capture.gate.set()
    outcome = await job
    assert outcome is not None
    assert outcome.stored


async def test_an_unexpected_error_of_the_store_costs_no_answer() -> None:
    clock, store = FakeClock(), BrokenStore(1)
    job = asyncio.create_task(FakePipeline(clock).pipeline.run(LEASE, identification(), CHANNEL, store=store))
    await settle()
    await clock.advance(1.0)
    outcome = await job
    assert outcome is not None
    assert outcome.stored
