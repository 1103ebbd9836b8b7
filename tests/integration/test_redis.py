"""Redis between servers: news of jobs, shared limits, and everything as before while it is away."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.setting_formats import Secret
from fingerprint.settings import SettingsError, read_settings
from server import redis_link
from server.identifications import jobs
from server.setting_formats import Rate
from server.settings import ServerSettings
from server.setup_checks import check_setup
from tests.api_client import STREAM, ask, metric, open_api, until_metric
from tests.fakes import FakePipeline
from tests.redis_server import RedisServer, running_redis

SECRET = "canary-s3cret"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One of the test's own, to be stopped."""
    with running_redis(tmp_path) as server:
        yield server


@asynccontextmanager
async def two_servers(
    folder: Path, url: Secret | None, **more: Any
) -> AsyncGenerator[tuple[FakePipeline, ClientSession, ClientSession]]:
    """Two servers on one database; the first one's captures wait for `gate`."""
    parts = FakePipeline(SystemClock())
    parts.capture.gate.clear()
    address = f"sqlite:///{folder / 'shared.sqlite3'}"
    known: dict[str, Any] = {"database_url": address, "redis_url": url, **more}
    async with (
        open_api(parts, folder / "a", **known) as a,
        open_api(FakePipeline(SystemClock()), folder / "b", **known) as b,
    ):
        yield parts, a, b


async def follow(a: ClientSession, b: ClientSession) -> tuple[str, asyncio.Task[dict[str, Any]]]:
    """A job on `a`, and a client that waits for it on `b`."""
    started = (await (await ask(a)).json())["id"]

    async def wait() -> dict[str, Any]:
        return await (await ask(b, STREAM, wait=30)).json()

    waiting = asyncio.create_task(wait())
    await until_metric(b, "twitchaudio_waiters", 1)
    return started, waiting


async def test_a_waiter_elsewhere_learns_the_end_by_news_alone(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "CALL_SECONDS", 60.0)
    monkeypatch.setattr(jobs, "LEASE_SECONDS", 50.0)  # so that nothing is looked at for its own sake
    async with two_servers(tmp_path, redis.url) as (parts, a, b):
        await until_metric(b, "twitchaudio_job_news_arriving", 1)
        await until_metric(a, "twitchaudio_job_news_arriving", 1)
        started, waiting = await follow(a, b)
        parts.capture.gate.set()
        answer = await waiting
        assert (answer["id"], answer["status"], answer["shared"]) == (started, "successful", True)
        assert parts.capture.captures == 1


async def test_everything_goes_on_while_redis_is_away(
    tmp_path: Path, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with two_servers(tmp_path, redis.url, starts_per_address=(Rate(1_000, 86_400),)) as (parts, a, b):
        await until_metric(b, "twitchaudio_job_news_arriving", 1)
        redis.stop()
        await until_metric(b, "twitchaudio_redis_up", 0)
        started, waiting = await follow(a, b)
        parts.capture.gate.set()
        answer = await waiting
        assert (answer["id"], answer["status"]) == (started, "successful")
        ready = await (await b.get("/readyz")).json()
        assert ready["status"] == "ready"
        assert "Redis does not answer" in str(ready)
        assert caplog.text.count("redis_away") <= 2  # once for each server
        redis.start()
        await until_metric(b, "twitchaudio_job_news_arriving", 1)
        await until_metric(b, "twitchaudio_redis_up", 1)


async def test_limits_are_those_of_all_servers(tmp_path: Path, redis: RedisServer) -> None:
    limits = {"starts_per_address": (Rate(1, 86_400),), "jobs_per_address": 0}
    async with two_servers(tmp_path, redis.url, **limits) as (parts, a, b):
        parts.capture.gate.set()
        assert (await ask(a, wait=30)).status == 200
        refused = await ask(b, {"channel": "otherchannel"})
        assert refused.status == 429


async def test_the_address_is_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        caplog.set_level(logging.DEBUG)
        url = f"redis://user:{SECRET}@127.0.0.1:{port}/0"
        async with two_servers(tmp_path, Secret(url)) as (parts, a, _):
            parts.capture.gate.set()
            assert (await ask(a, wait=30)).status == 200
            assert await metric(a, "twitchaudio_redis_up") == 0
        settings = read_settings(
            ServerSettings, {"TWITCHAUDIO_REDIS_URL": url, "TWITCHAUDIO_DATA_DIR": str(tmp_path)}
        )
        found = {step.step: step for step in await check_setup(settings, {})}
        assert "Redis does not answer" in " ".join(found["redis"].notes)
    assert "redis_away" in caplog.text
    assert SECRET not in caplog.text + repr(settings) + str(found)


@pytest.mark.parametrize(
    "text", ["localhost", "http://host", f"redis://user:{SECRET}@", "redis://", "redis://h/x", "unix:redis.sock"]
)
def test_what_is_no_address_of_redis_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(SettingsError, match="TWITCHAUDIO_REDIS_URL") as caught:
        read_settings(ServerSettings, {"TWITCHAUDIO_REDIS_URL": text})
    assert SECRET not in str(caught.value)
    assert "unix:///PATH" in str(caught.value)
