import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from fingerprint import wiring
from fingerprint.domain.audio import Recording
from fingerprint.ports import Match
from fingerprint.providers.calls import ProviderCalls
from fingerprint.recognizers import REGISTRY, RegistryEntry
from fingerprint.settings import PipelineSettings
from fingerprint.wiring import open_pipeline


class Listener:
    """A recognizer that notes what it prepares."""

    def __init__(self, name: str, prepared: asyncio.Event) -> None:
        self.name = name
        self._prepared = prepared
        self._loop = asyncio.get_running_loop()

    async def unavailable(self) -> str | None:
        return None

    def prepare(self, recording: Recording) -> None:
        assert recording.pcm.duration_seconds == 6.0
        self._loop.call_soon_threadsafe(self._prepared.set)

    async def recognize(self, query: None) -> Sequence[Match]:
        return []


@pytest.mark.parametrize("name", ["catalog", "paid"])
async def test_only_recognizers_that_cost_nothing_are_warmed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = asyncio.Event()

    def make(_settings: PipelineSettings, _calls: ProviderCalls) -> Listener:
        return Listener(name, prepared)

    entry = RegistryEntry(
        factory=make,
        is_configured=lambda _: True,
        origins=lambda _: (),
        free=name == "catalog",
    )
    monkeypatch.setattr(wiring, "REGISTRY", REGISTRY | {name: entry})
    async with open_pipeline(PipelineSettings(data_dir=tmp_path, recognizers=(name,))):
        if name == "catalog":
            async with asyncio.timeout(10):
                await prepared.wait()
        else:
            await asyncio.sleep(0.05)
            assert not prepared.is_set()


async def test_a_pipeline_that_is_closed_at_once_leaves_no_task_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with open_pipeline(PipelineSettings(data_dir=tmp_path)):
        pass
    assert asyncio.all_tasks() == before
