"""Moments without a song get one when a catalog grows: over HTTP, at the desk and on the command line."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import func, select

from fingerprint.catalog.writer import CatalogWriter
from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from fingerprint.domain.audio import Recording
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Match
from server.channels.tables import unknowns
from server.cli.unknown_songs import named_since_it_grew
from tests.api_client import CLIP, ask, bot_headers, next_event, open_api
from tests.builders import song
from tests.fakes import FakeCapture, FakePipeline
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import entry
from tests.webhook_receiver import Receiver


class Prints:
    """A catalog that grows when it is told to."""

    def __init__(self) -> None:
        self.generation = 1
        self.asked = 0

    async def generations(self) -> Mapping[str, int]:
        return {"mine": self.generation}

    async def recognize_print(self, fingerprint: bytes) -> Sequence[Match]:
        self.asked += 1
        return [] if self.generation == 1 else [Match(song=song("Late Arrival"), score=0.9995)]


class MusicCapture(FakeCapture):
    """Gives music that can have a fingerprint."""

    async def takes(self, source: Any, seconds: float, listing: Any = None) -> AsyncGenerator[Recording]:
        yield Recording(pcm=tune(41).cut(2.0, 6.0))


@pytest.fixture
def prints() -> Prints:
    return Prints()


@pytest.fixture
def parts(prints: Prints) -> FakePipeline:
    parts = FakePipeline(SystemClock())
    parts.recognizers.matches = []
    parts.pipeline.prints = prints
    capture = MusicCapture()
    parts.pipeline._capture = capture  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    return parts


async def kept(database: Database) -> int:
    row = await database.first(select(func.count()).select_from(unknowns))
    assert row is not None
    return int(row[0])


async def until_kept(database: Database, number: int) -> None:
    async with asyncio.timeout(60):
        while await kept(database) != number:  # noqa: ASYNC110 - it is the server that writes
            await asyncio.sleep(0.05)


async def test_answers_fill_in_by_themselves_when_the_catalog_grows(
    api: ClientSession, database: Database, prints: Prints
) -> None:
    live = await (await ask(api, wait=20)).json()
    clip = await (await ask(api, CLIP, wait=20)).json()
    assert [each["status"] for each in (live, clip)] == ["no_match", "no_match"]
    await until_kept(database, 2)
    assert (await (await ask(api, CLIP, wait=20)).json())["id"] == clip["id"]
    prints.generation = 2
    async with asyncio.timeout(60):
        for answer in (live, clip):
            while True:
                found = await (await api.get(f"/api/v1/identifications/{answer['id']}")).json()
                if found["status"] == "successful":
                    break
                await asyncio.sleep(0.05)
            assert found["song"]["title"] == "Late Arrival"
    assert (await (await ask(api, CLIP, wait=20)).json())["song"]["title"] == "Late Arrival"
    songs = await (await api.get("/api/v1/channels/somechannel/songs")).json()
    assert [play["song"]["title"] for play in songs["plays"]] == ["Late Arrival"]


async def test_webhooks_and_listeners_are_told_of_what_is_named_later(
    parts: FakePipeline, address: str, prints: Prints, receiver: Receiver, tmp_path: Path
) -> None:
    async with (
        open_api(parts, tmp_path, database_url=address, webhook_hosts=("127.0.0.1",)) as api,
        open_database(address) as database,
    ):
        bot = await bot_headers(database, "streams", "webhooks")
        made = await api.put(
            "/api/v1/webhooks", json={"url": receiver.url, "channels": ["somechannel"]}, headers=bot
        )
        secret = (await made.json())["secret"]
        answers = [(await (await ask(api, wait=20)).json())["id"] for _ in range(2)]
        await until_kept(database, 2)
        async with api.get("/api/v1/channels/somechannel/events") as events:
            prints.generation = 2
            message = await receiver.next(secret)
            async with asyncio.timeout(60):
                name, play = await next_event(events)
        assert (message["type"], message["data"]["channel"]) == ("play.updated", "somechannel")
        assert message["data"]["song"]["title"] == "Late Arrival"
        assert (name, play["song"]["title"]) == ("play", "Late Arrival")
        assert message["data"]["identifications"] == [answers[1]], "the newest is searched for first"
        async with asyncio.timeout(60):
            while True:
                earlier = await (await api.get(f"/api/v1/identifications/{answers[0]}")).json()
                if earlier["song"] is not None:
                    break
                await asyncio.sleep(0.05)
        async with api.post(f"/api/v1/webhooks/{(await made.json())['id']}/test", headers=bot) as tested:
            assert tested.status == 200
        assert (await receiver.next(secret))["type"] == "webhook.test", "the other answer is of the same play"


async def test_listeners_of_every_server_are_told_of_an_older_moment_that_is_named_later(
    parts: FakePipeline, address: str, prints: Prints, tmp_path: Path
) -> None:
    elsewhere = FakePipeline(SystemClock())
    elsewhere.pipeline.prints = Prints()
    async with (
        open_api(parts, tmp_path, database_url=address) as api,
        open_api(elsewhere, tmp_path / "elsewhere", database_url=address) as other,
        open_database(address) as database,
    ):
        older = (await (await ask(api, wait=20)).json())["id"]
        await until_kept(database, 1)
        parts.recognizers.matches = [Match(song=song("In Between"), score=0.99)]
        newer = (await (await ask(api, wait=20)).json())["id"]
        path = "/api/v1/channels/somechannel/events"
        async with api.get(path) as here, other.get(path) as there, asyncio.timeout(60):
            for events in (here, there):
                assert (await next_event(events))[1]["identifications"] == [newer]
            prints.generation = 2
            for events in (here, there):
                name, play = await next_event(events)
                assert (name, play["song"]["title"]) == ("updated", "Late Arrival")
                assert play["identifications"] == [older]
        for client in (api, other):
            songs = await (await client.get("/api/v1/channels/somechannel/songs")).json()
            assert [play["song"]["title"] for play in songs["plays"]] == ["In Between", "Late Arrival"]


async def test_nothing_is_kept_where_that_is_switched_off(parts: FakePipeline, tmp_path: Path) -> None:
    parts.pipeline.prints = None
    async with open_api(parts, tmp_path) as api:
        assert (await (await ask(api, wait=20)).json())["status"] == "no_match"


async def test_adding_music_says_how_many_it_named(
    api: ClientSession, database: Database, address: str, tmp_path: Path
) -> None:
    answer = await (await ask(api, wait=20)).json()
    await until_kept(database, 1)
    catalog = tmp_path / "music-catalog"
    with CatalogWriter(catalog) as writer:
        writer.add([entry(number) for number in (41, 1, 2)])
    settings = PipelineSettings(data_dir=tmp_path, database_url=address)
    assert await asyncio.to_thread(named_since_it_grew, settings, catalog) == 1
    found = await (await api.get(f"/api/v1/identifications/{answer['id']}")).json()
    assert found["song"]["title"] == "Song 41"
    assert abs(found["song"]["offset"] - 2.0) < 0.1
    nowhere = PipelineSettings(data_dir=tmp_path / "none")
    assert named_since_it_grew(nowhere, catalog) is None
