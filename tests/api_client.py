"""A server on loopback and what tests ask of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientResponse, ClientSession, CookieJar, TCPConnector

from fingerprint.database import Database
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import ChannelDirectory, Clock
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.store import RulesStore
from server.access.service import RULES_SECONDS
from server.app import listening, make_app
from server.channels.hot_channels import HotLimits
from server.channels.watcher import WatcherLimits
from server.identifications.limits import ServiceLimits
from server.server_limits import ServerLimits
from server.settings import ServerSettings
from tests.fakes import AheadClock, FakePipeline

ASK: Final = "/api/v1/identifications"
STREAM: Final = {"channel": "somechannel"}
CLIP: Final = {"clip": "AwkwardSlug-x_1"}


@asynccontextmanager
async def open_api(
    parts: FakePipeline,
    data_dir: Path,
    *,
    limits: ServerLimits | None = None,
    service_limits: ServiceLimits | None = None,
    watcher_limits: WatcherLimits | None = None,
    hot_limits: HotLimits | None = None,
    database_url: str | None = None,
    directory: ChannelDirectory | None = None,
    clock: Clock | None = None,
    pipeline: Mapping[str, Any] | None = None,
    **more: Any,
) -> AsyncGenerator[ClientSession]:
    """A real server with a real store and a pipeline of fake parts; gives a client for its address.

    All of a test's clients have one address: they may have any number of jobs, unless the test says otherwise.
    Each question about a live channel that is not being answered is a job, likewise.
    """
    more = {
        "jobs_per_address": 0,
        "starts_per_address": (),
        "starts_per_person": (),
        "fresh_seconds": 0,
        **more,
    }
    settings = ServerSettings(
        pipeline=PipelineSettings(data_dir=data_dir, database_url=database_url, **(pipeline or {})),
        limits=limits or ServerLimits(),
        **more,
    )
    app = make_app(
        settings,
        pipeline=parts.pipeline,
        directory=directory,
        clock=clock,
        service_limits=service_limits,
        watcher_limits=watcher_limits,
        hot_limits=hot_limits,
    )
    async with (
        listening(app, "127.0.0.1", 0) as address,
        ClientSession(
            base_url=address, connector=TCPConnector(limit=0), cookie_jar=CookieJar(unsafe=True)
        ) as client,
    ):
        yield client


class ServerRules:
    """The operator's rules; the server's clock is put ahead, so that it knows of each change at once."""

    def __init__(self, database: Database, clock: AheadClock) -> None:
        self._store = RulesStore(database)
        self._clock = clock

    async def set(self, **changes: str) -> None:
        for name, text in changes.items():
            await self._store.set_website(name, text)
        self.are_known()

    def are_known(self) -> None:
        """After what else was changed."""
        self._clock.ahead += RULES_SECONDS


async def bot_headers(database: Database, *scopes: str) -> dict[str, str]:
    """The headers with a new API key that has these scopes."""
    _, secret = await ApiKeyStore(database).create("a bot", now=datetime.now(UTC), scopes=scopes)
    return {"X-API-Key": secret.reveal()}


async def ask(api: ClientSession, body: object = STREAM, *, wait: int | None = None) -> ClientResponse:
    headers = {} if wait is None else {"Prefer": f"wait={wait}"}
    return await api.post(ASK, json=body, headers=headers)


async def assert_problem(response: ClientResponse, code: str, status: int) -> dict[str, Any]:
    assert response.status == status, await response.text()
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json(content_type=None)
    assert body["code"] == code
    assert body["status"] == status
    assert body["detail"]
    assert response.headers["X-Request-Id"]
    return body


async def next_event(response: ClientResponse) -> tuple[str, dict[str, Any]]:
    """The next event of a stream, as its name and data. Raises EOFError at the stream's end."""
    name, _, data = await next_event_with_id(response)
    return name, data


async def next_event_with_id(response: ClientResponse) -> tuple[str, str, dict[str, Any]]:
    """The next event of a stream, as its name, id and data. Raises EOFError at the stream's end."""
    name = event_id = ""
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("id: "):
            event_id = line.removeprefix("id: ")
        elif line.startswith("data: "):
            return name, event_id, json.loads(line.removeprefix("data: "))
    raise EOFError


async def read_events(response: ClientResponse) -> list[tuple[str, dict[str, Any]]]:
    """All events up to the end of the stream, as names and data."""
    assert response.status == 200
    events: list[tuple[str, dict[str, Any]]] = []
    with contextlib.suppress(EOFError):
        while True:
            events.append(await next_event(response))
    return events


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens elsewhere, 30 s at most."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def metric(api: ClientSession, series: str) -> float:
    """The value of a series, 0 when it is not there."""
    text = await (await api.get("/metrics")).text()
    for line in text.splitlines():
        if line.startswith(f"{series} "):
            return float(line.rpartition(" ")[2])
    return 0.0


async def until_metric(api: ClientSession, series: str, value: float) -> None:
    """Wait until a series has a value, 30 s at most."""
    async with asyncio.timeout(30):
        while await metric(api, series) != value:  # noqa: ASYNC110 - it is another server's
            await asyncio.sleep(0.02)
