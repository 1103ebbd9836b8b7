"""The real server around a pipeline whose every step is in the test's hand."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import Stage
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import Target
from fingerprint.pipeline import Pipeline
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import (
    ClipSource,
    FileSource,
    Listing,
    LiveSource,
    Match,
    MediaSource,
    OnStage,
    Recognition,
    VideoSource,
)
from server.app import listening, make_app
from server.settings import ServerSettings
from tests.builders import recording, song
from tests.fakes import AheadClock


class OnStageNow:
    """Resolver, capture and recognizers in one. A job stops at the stage `hold` until `go` is set."""

    def __init__(self) -> None:
        self.asked: list[Target] = []
        self.matches: list[Match] = [Match(song=song(), score=0.93)]
        self.problem: TwitchAudioError | None = None
        self.missing: str | None = None
        self.hold: Stage | None = None
        self.go = asyncio.Event()
        self.address = ""
        self.clock = AheadClock()

    async def _reach(self, stage: Stage) -> None:
        if stage is self.hold:
            await self.go.wait()

    async def resolve(self, target: Target) -> MediaSource:
        self.asked.append(target)
        await self._reach(Stage.RESOLVING)
        if self.problem is not None:
            raise self.problem
        return FileSource(path=Path(target.name))

    async def recording(self, source: LiveSource) -> VideoSource | None:
        return None

    async def live_edge(self, source: LiveSource) -> datetime | None:
        return None

    async def is_continuous(self, source: VideoSource | ClipSource) -> bool:
        return True

    def list_ahead(self, source: LiveSource) -> Listing | None:
        return None

    async def takes(
        self, source: MediaSource, seconds: float, listing: Listing | None = None
    ) -> AsyncGenerator[Recording]:
        await self._reach(Stage.CAPTURING)
        yield recording(seconds)

    async def unavailable_reason(self) -> str | None:
        return self.missing

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        on_stage(Stage.FINGERPRINTING)
        await self._reach(Stage.FINGERPRINTING)
        on_stage(Stage.RECOGNIZING)
        await self._reach(Stage.RECOGNIZING)
        name = "catalog" if self.matches else None
        return Recognition(matches=self.matches, recognizer=name, fingerprint_ms=18.3, recognize_ms=9.1)


@asynccontextmanager
async def staged(data_dir: Path, **more: Any) -> AsyncGenerator[OnStageNow]:
    """Serve on a free port while the block runs; `more` are the server's settings."""
    stage = OnStageNow()
    pipeline = Pipeline(resolver=stage, capture=stage, recognizers=stage, clock=stage.clock)
    chosen: dict[str, Any] = {"jobs_per_address": 0, "fresh_seconds": 0} | more
    settings = ServerSettings(pipeline=PipelineSettings(data_dir=data_dir), **chosen)
    async with listening(make_app(settings, pipeline=pipeline, clock=stage.clock), "127.0.0.1", 0) as address:
        stage.address = str(address).rstrip("/")
        try:
            yield stage
        finally:
            stage.go.set()
