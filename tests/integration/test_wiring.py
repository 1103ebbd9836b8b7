import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from fingerprint import wiring
from fingerprint.clock import SystemClock
from fingerprint.database import open_database
from fingerprint.domain.audio import Recording
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Match
from fingerprint.recognizers import REGISTRY, RegistryEntry, Resources
from fingerprint.settings import read_settings
from fingerprint.wiring import open_guards, open_pipeline
from server import migrations


class Listener:
    """A recognizer that notes what it prepares."""

    def __init__(self, name: str, prepared: asyncio.Event) -> None:
        self.name = name
        self._prepared = prepared
        self._loop = asyncio.get_running_loop()

    async def unavailable_reason(self) -> str | None:
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

    def make(_settings: PipelineSettings, _resources: Resources) -> Listener:
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
            async with asyncio.timeout(30):
                await prepared.wait()
        else:
            await asyncio.sleep(0.05)
            assert not prepared.is_set()


async def test_a_pipeline_that_is_closed_at_once_leaves_no_task_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with open_pipeline(PipelineSettings(data_dir=tmp_path)):
        pass
    assert asyncio.all_tasks() == before


async def test_where_nobody_else_counts_questions_are_counted_in_the_named_database(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    async with open_database(address) as database:
        await migrations.upgrade(database)
    environ = {
        "AUDD_API_TOKEN": "token",
        "TWITCHAUDIO_BUDGETS": "audd=2/day",
        "TWITCHAUDIO_DATA_DIR": str(tmp_path),
    }
    settings = read_settings(PipelineSettings, environ | {"TWITCHAUDIO_DATABASE_URL": address})
    for used in (1, 2):
        async with open_guards(settings, SystemClock()) as guards:
            await guards.of("audd").count_question()
            (standing,) = await guards.statuses()
            assert [each.used for each in standing.spending or ()] == [used, used]
    async with open_guards(settings, SystemClock()) as guards:
        with pytest.raises(TwitchAudioError, match="used up"):
            await guards.of("audd").count_question()
    async with open_guards(read_settings(PipelineSettings, environ), SystemClock()) as guards:
        refusal = guards.of("audd").suspension()
        assert refusal is not None
        assert "without the SQL database" in refusal.detail
