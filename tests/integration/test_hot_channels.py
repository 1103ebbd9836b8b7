"""Channels that many ask about, over HTTP: they are listened to by the free recognizers, and by one server."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import open_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.pipeline import Pipeline
from fingerprint.setting_formats import Secret
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from server.channels.hot_channels import HotLimits, every_seconds
from tests.api_client import ASK, open_api, until
from tests.fakes import FakePipeline, FakeRecognizers

QUICK = HotLimits(poll_seconds=0.1, every_seconds=0.1)
TOKEN = "a-token-for-metrics"
PROXY: dict[str, Any] = {
    "trusted_proxies": (ip_network("127.0.0.1"),),
    "metrics_token": Secret(TOKEN),
    "fresh_seconds": 300,
}


class Parts(FakePipeline):
    """A pipeline with a recognizer that costs something, and one that does not."""

    def __init__(self) -> None:
        clock = SystemClock()
        super().__init__(clock)
        self.free = FakeRecognizers()
        self.pipeline = Pipeline(
            resolver=self.resolver,
            capture=self.capture,
            recognizers=self.recognizers,
            further=self.free,
            clock=clock,
        )
        self.paid = 0
        self.recognizers.before = self._count

    def _count(self) -> None:
        self.paid += 1


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
async def api(parts: Parts, tmp_path: Path) -> AsyncGenerator[ClientSession]:
    async with open_api(parts, tmp_path, hot_limits=QUICK, **PROXY) as client:
        yield client


async def press(api: ClientSession, address: str, **headers: str) -> dict[str, Any]:
    headers = {"X-Forwarded-For": address, "Prefer": "wait=20", **headers}
    async with api.post(ASK, json={"channel": "somechannel"}, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.json() | {"age": response.headers.get("Age")}


async def metric(api: ClientSession, series: str) -> float:
    response = await api.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status == 200
    lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} "))


async def hot(api: ClientSession) -> float:
    return await metric(api, "twitchaudio_hot_channels")


async def until_cold(api: ClientSession) -> None:
    async with asyncio.timeout(30):
        while await hot(api):  # noqa: ASYNC110 - it is the server's
            await asyncio.sleep(0.02)


def captured(parts: FakePipeline, count: int) -> Callable[[], bool]:
    return lambda: parts.capture.captures >= count


async def test_the_third_asker_makes_a_channel_hot_and_no_provider_is_asked(
    api: ClientSession, parts: Parts
) -> None:
    for address in ("192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2"):
        await press(api, address)
    assert (parts.capture.captures, parts.paid) == (1, 1), "the first answer is fresh, and two ask"
    await press(api, "192.0.2.3")
    await until(captured(parts, 4))
    assert parts.paid == 1, "a provider costs something"
    assert await hot(api) == 1
    assert await metric(api, 'twitchaudio_hot_listens_total{outcome="successful"}') >= 2
    found = await press(api, "192.0.2.4")
    assert (found["shared"], found["status"], found["age"]) == (True, "successful", "0")
    assert parts.paid == 1
    songs = await (await api.get("/api/v1/channels/somechannel/songs")).json()
    assert len(songs["plays"]) == 1


async def test_no_song_of_the_free_recognizers_is_no_answer_for_those_who_ask(
    api: ClientSession, parts: Parts
) -> None:
    parts.free.matches = []
    for number in range(3):
        await press(api, f"192.0.2.{number}")
    await until(captured(parts, 4))
    found = await press(api, "192.0.2.9")
    assert (found["status"], parts.paid) == ("successful", 1)


@pytest.mark.parametrize("how", ["not-live", "blacklisted"])
async def test_it_ends_with_the_stream_and_when_it_may_not_go_on(
    api: ClientSession, parts: Parts, tmp_path: Path, how: str
) -> None:
    for number in range(3):
        await press(api, f"192.0.2.{number}")
    await until(captured(parts, 3))
    if how == "not-live":
        parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "The channel is not live.")
    else:
        async with open_database(f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}") as database:
            entry = (BlacklistKind.CHANNEL, "somechannel")
            await ListStore(database).block(*entry, reason="", now=datetime.now(UTC))
    await until_cold(api)


async def test_one_of_several_servers_listens_and_all_have_its_answers(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}"
    servers = [Parts(), Parts()]
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(
                open_api(each, tmp_path / str(n), database_url=address, hot_limits=QUICK, **PROXY)
            )
            for n, each in enumerate(servers)
        ]
        await press(first, "192.0.2.1")
        await press(second, "192.0.2.2")
        await press(first, "192.0.2.3")

        await until(lambda: sum(each.capture.captures for each in servers) >= 5)
        assert sum([await hot(each) for each in (first, second)]) == 1
        assert (await press(second, "192.0.2.5", **{"Cache-Control": "max-age=60"}))["shared"]
        assert sum(each.paid for each in servers) == 1


async def test_it_can_be_switched_off(parts: Parts, tmp_path: Path) -> None:
    async with open_api(parts, tmp_path, hot_limits=QUICK, hot_askers=0, **PROXY) as api:
        for number in range(5):
            await press(api, f"192.0.2.{number}")
        assert await hot(api) == 0
    assert parts.capture.captures == 1


def test_it_listens_before_an_answer_is_too_old_to_be_given_again() -> None:
    assert [every_seconds(fresh) for fresh in (0, 1, 5, 300)] == [5.0, 2.0, 3.5, 5.0]
