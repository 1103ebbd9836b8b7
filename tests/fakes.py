"""Small stand-ins that satisfy the ports, for tests of what stands above them."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import Stage
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import Target
from fingerprint.pipeline import Pipeline
from fingerprint.ports import Answer, Clock, FileSource, Match, MediaSource, OnStage
from tests.builders import NOON, recording, song


class FakeClock:
    """A clock that stands still until `advance`; those who sleep wake when their time has come."""

    def __init__(self, start: datetime = NOON) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

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


class FakeResolver:
    """Resolves everything, counts, and can be told to fail."""

    def __init__(self) -> None:
        self.asked: list[Target] = []
        self.error: TwitchAudioError | BaseException | None = None

    async def resolve(self, target: Target) -> MediaSource:
        self.asked.append(target)
        if self.error is not None:
            raise self.error
        return FileSource(path=Path(target.name))


class FakeCapture:
    """Gives silence once `gate` is open; counts captures, at once and in all."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.captures = 0
        self.running = 0
        self.most_at_once = 0
        self.error: TwitchAudioError | BaseException | None = None

    async def capture(self, source: MediaSource, seconds: float) -> Recording:
        self.captures += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            return recording(seconds)
        finally:
            self.running -= 1


class FakeRecognizers:
    """Finds the same song each time; `matches` can be replaced."""

    def __init__(self) -> None:
        self.matches: list[Match] = [Match(song=song(), score=0.93)]
        self.missing: str | None = None
        self.before: Callable[[], None] | None = None

    async def unavailable(self) -> str | None:
        return self.missing

    async def identify(self, recording: Recording, on_stage: OnStage) -> Answer:
        on_stage(Stage.FINGERPRINTING)
        on_stage(Stage.RECOGNIZING)
        if self.before is not None:
            self.before()
        name = "catalog" if self.matches else None
        return Answer(matches=self.matches, recognizer=name, fingerprint_ms=1.0, recognize_ms=2.0)


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
