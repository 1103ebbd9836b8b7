"""Fakes that satisfy the ports, for unit tests of the layers above."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fingerprint.clock import SystemClock
from fingerprint.domain.audio import Recording
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import (
    Identification,
    IdentificationId,
    Kind,
    Stage,
    Status,
    abandoned,
    new_identification_id,
    reusable,
)
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, Target, VideoTarget
from fingerprint.domain.time_line import span_of
from fingerprint.job_ports import MAX_LEASE_AHEAD_SECONDS, Claim, Claimed, Finished, Held, Lease
from fingerprint.jobs.clean import clean
from fingerprint.pipeline import Pipeline
from fingerprint.ports import (
    ClipSource,
    Clock,
    FileSource,
    Listing,
    LiveSource,
    Match,
    MediaSource,
    OnStage,
    Recognition,
    VideoSource,
)
from tests.builders import NOON, recording, song


class FakeClock:
    """A clock that moves only with `advance`, which wakes the sleepers whose time has come."""

    def __init__(self, start: datetime = NOON) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; no time passes."""
        self._start += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self._elapsed + seconds, woken))
        await woken.wait()

    async def advance(self, seconds: float) -> None:
        """Move time and let everyone who was waiting for it act."""
        self._elapsed += seconds
        for due, woken in self._sleepers:
            if due <= self._elapsed:
                woken.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._elapsed]
        for _ in range(20):
            await asyncio.sleep(0)


class AheadClock(SystemClock):
    """The machine's clock, which a test puts ahead: what is kept for a while is out of date then.

    The time of day stays as it is.
    """

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class FakeResolver:
    """Resolves everything, counts, and can be told to fail."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[Target] = []
        self.error: TwitchAudioError | BaseException | None = None

    async def resolve(self, target: Target) -> MediaSource:
        self.asked.append(target)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return FileSource(path=Path(target.name))

    async def recording(self, source: LiveSource) -> VideoSource | None:
        return None


class FakeCapture:
    """Gives silence once `gate` is open; counts captures, at once and in all."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()
        self.captures = 0
        self.running = 0
        self.most_at_once = 0
        self.further: list[Recording] = []
        self.edge: datetime | None = None
        self.error: TwitchAudioError | BaseException | None = None

    async def live_edge(self, source: LiveSource) -> datetime | None:
        return self.edge

    async def is_continuous(self, source: VideoSource | ClipSource) -> bool:
        return True

    def list_ahead(self, source: LiveSource) -> Listing | None:
        return None

    async def takes(
        self, source: MediaSource, seconds: float, listing: Listing | None = None
    ) -> AsyncGenerator[Recording]:
        self.captures += 1
        self.running += 1
        self.started.set()
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            yield recording(seconds)
            for take in self.further:
                yield take
        finally:
            self.running -= 1


class FakeRecognizers:
    """Finds the same song each time; `matches` can be replaced."""

    def __init__(self) -> None:
        self.matches: list[Match] = [Match(song=song(), score=0.93)]
        self.missing: str | None = None
        self.before: Callable[[], None] | None = None

    async def unavailable_reason(self) -> str | None:
        return self.missing

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        on_stage(Stage.FINGERPRINTING)
        on_stage(Stage.RECOGNIZING)
        if self.before is not None:
            self.before()
        name = "catalog" if self.matches else None
        return Recognition(matches=self.matches, recognizer=name, fingerprint_ms=1.0, recognize_ms=2.0)


class FakePipeline:
    """A real Pipeline with its fake parts at hand."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.resolver = FakeResolver()
        self.capture = FakeCapture()
        self.recognizers = FakeRecognizers()
        self.pipeline = Pipeline(
            resolver=self.resolver, capture=self.capture, recognizers=self.recognizers, clock=clock
        )

    def with_limit(self, job_seconds: float) -> Pipeline:
        """Another pipeline of the same parts, whose jobs must end sooner."""
        return Pipeline(
            resolver=self.resolver,
            capture=self.capture,
            recognizers=self.recognizers,
            clock=self._clock,
            job_seconds=job_seconds,
        )


def _live(lease: Lease, now: datetime) -> bool:
    return now < lease.expires_at <= now + timedelta(seconds=MAX_LEASE_AHEAD_SECONDS)


class MemoryJobStore:
    """A JobStore in memory that passes the contract suite; several services may share one."""

    def __init__(self) -> None:
        self.rows: dict[str, Identification] = {}
        self.fences: dict[str, int] = {}
        self.leases: dict[str, Lease] = {}
        self.reads = 0
        self.down = False

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise TwitchAudioError(ProblemCode.BUSY, "The store is down.", retry_after_seconds=5.0)

    async def claim(
        self,
        target: Target,
        *,
        owner: str,
        now: datetime,
        lease_seconds: float,
        identification_id: IdentificationId | None = None,
        looked: bool = False,
        skip_stored: bool = False,
    ) -> Claim:
        await self._answer()
        self.reads += 1
        answer = self._newest(target)
        if answer is not None and reusable(answer, now) and not skip_stored:
            return Finished(answer)
        lease = self.leases.get(target.key)
        if lease is not None and _live(lease, now):
            return Held(self.rows[lease.identification_id])
        left = None if lease is None else self.rows[lease.identification_id]
        if left is not None and abandoned(left, now):
            problem = Problem(code=ProblemCode.TIMEOUT, detail="Left behind.")
            self.rows[left.id] = left.failed(problem, now)
        if left is None or self.rows[left.id].status.finished:
            left = Identification(
                id=identification_id or new_identification_id(),
                kind=target.kind,
                target=target.name,
                created_at=now,
                at_seconds=target.at_seconds if isinstance(target, VideoTarget) else None,
                asked_at=target.at if isinstance(target, ChannelTarget) else None,
                asked_ago=target.ago if isinstance(target, ChannelTarget) else None,
            )
            self.rows[left.id] = left
        fence = self.fences.get(target.key, 0) + 1
        self.fences[target.key] = fence
        self.leases[target.key] = Lease(
            identification_id=left.id,
            target_key=target.key,
            owner=owner,
            fence=fence,
            expires_at=now + timedelta(seconds=lease_seconds),
        )
        return Claimed(self.leases[target.key], left)

    async def adopt(self, lease: Lease, *, owner: str, now: datetime, lease_seconds: float) -> Claimed | None:
        await self._answer()
        row = self.rows[lease.identification_id]
        if not self._mine(lease) or self.leases[lease.target_key].owner != lease.owner or row.status.finished:
            return None
        expires_at = now + timedelta(seconds=lease_seconds)
        adopted = dataclasses.replace(lease, owner=owner, fence=lease.fence + 1, expires_at=expires_at)
        self.fences[lease.target_key] = adopted.fence
        self.leases[lease.target_key] = adopted
        return Claimed(adopted, row)

    async def check(self) -> None:
        await self._answer()

    async def running(self, target: Target, *, now: datetime) -> Identification | None:
        await self._answer()
        lease = self.leases.get(target.key)
        return None if lease is None or not _live(lease, now) else self.rows[lease.identification_id]

    def _mine(self, lease: Lease) -> bool:
        held = self.leases.get(lease.target_key)
        return (
            held is not None and held.fence == lease.fence and held.expires_at > datetime.min.replace(tzinfo=UTC)
        )

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        await self._answer()
        if not self._mine(lease):
            return None
        renewed = dataclasses.replace(lease, expires_at=now + timedelta(seconds=lease_seconds))
        self.leases[lease.target_key] = renewed
        return renewed

    async def progress(self, lease: Lease, stage: Stage) -> bool:
        await self._answer()
        if not self._mine(lease):
            return False
        row = self.rows[lease.identification_id]
        self.rows[row.id] = row.at_stage(stage)
        return True

    async def finish(self, lease: Lease, identification: Identification) -> bool:
        await self._answer()
        answer = clean(identification)
        row = self.rows[lease.identification_id]
        if row.status.finished:
            return self.fences[lease.target_key] == lease.fence and row == answer
        if not self._mine(lease):
            return False
        self.rows[row.id] = answer
        await self.release(lease)
        return True

    async def release(self, lease: Lease) -> None:
        if self._mine(lease):
            over = datetime.min.replace(tzinfo=UTC)
            self.leases[lease.target_key] = dataclasses.replace(lease, expires_at=over)

    async def update_answer(self, identification: Identification) -> None:
        await self._answer()
        row = self.rows.get(identification.id)
        if row is not None and row.status.finished:
            self.rows[row.id] = dataclasses.replace(clean(identification), disputed=row.disputed)

    async def mark_disputed(self, identification_id: IdentificationId, *, now: datetime) -> None:
        await self._answer()
        row = self.rows.get(identification_id)
        if row is not None and row.status.finished:
            self.rows[row.id] = dataclasses.replace(row, disputed=True)

    async def get(self, identification_id: IdentificationId) -> Identification | None:
        await self._answer()
        self.reads += 1
        return self.rows.get(identification_id)

    def _newest(self, target: Target) -> Identification | None:
        answers = [
            row
            for row in self.rows.values()
            if (row.kind, row.target) == (target.kind, target.name)
            and row.at_seconds == getattr(target, "at_seconds", None)
            and row.asked_at == getattr(target, "at", None)
            and row.asked_ago == getattr(target, "ago", None)
            and row.status in (Status.SUCCESSFUL, Status.NO_MATCH)
        ]
        return max(answers, key=lambda row: row.created_at, default=None)

    async def heard(self, broadcast: str, start: float, end: float) -> Sequence[Identification]:
        await self._answer()
        spans = ((row, span_of(row)) for row in self.rows.values() if not row.disputed)
        return [
            row
            for row, span in spans
            if span is not None
            and span.place.broadcast == broadcast
            and span.place.start <= end
            and span.place.end >= start
        ]

    async def answer(self, target: Target) -> Identification | None:
        await self._answer()
        return self._newest(target)

    async def forget(self, traces: ChannelTraces, *, now: datetime) -> Sequence[IdentificationId]:
        await self._answer()
        mine = [row for row in self.rows.values() if row.status.finished and traces.include(row)]
        heard_in = {row.moment.broadcast for row in mine if row.kind is Kind.STREAM and row.moment is not None}
        mine += [
            row
            for row in self.rows.values()
            if row not in mine and row.moment is not None and row.moment.broadcast in heard_in - {None}
        ]
        for row in mine:
            del self.rows[row.id]
            for key, lease in list(self.leases.items()):
                if lease.identification_id == row.id:
                    del self.leases[key]
        return [row.id for row in mine]

    async def history(self, login: str, *, limit: int, before: datetime | None = None) -> Sequence[Identification]:
        await self._answer()
        found = [
            row
            for row in self.rows.values()
            if row.kind is Kind.STREAM
            and row.target == login
            and row.asked_at is None
            and row.status is Status.SUCCESSFUL
            and (before is None or row.created_at < before)
        ]
        return sorted(found, key=lambda row: row.created_at, reverse=True)[:limit]
