"""Watching over HTTP: real servers that share a database, and a pipeline of fake parts."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.store import RulesStore
from server.channels.watch import Watch, WatchState
from server.channels.watch_store import WatchStore
from server.channels.watcher import WatcherLimits
from tests.api_client import assert_problem, open_api, until
from tests.fakes import FakePipeline
from tests.integration.test_api_document import Checker
from tests.integration.test_channels import next_play

WATCH = "/api/v1/channels/somechannel/watch"
PATH = "/api/v1/channels/{login}/watch"
QUICK = WatcherLimits(poll_seconds=0.1, try_seconds=5, lease_seconds=8)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def options() -> dict[str, Any]:
    return {"watcher_limits": QUICK, "watches": 3}


async def key(database: Database, *scopes: str, **limits: Any) -> tuple[str, dict[str, str]]:
    made, secret = await ApiKeyStore(database).create("a bot", now=now(), scopes=scopes, **limits)
    return made.id, {"X-API-Key": secret.reveal()}


async def quick(database: Database, **more: Any) -> None:
    """A watch that is quicker than HTTP allows."""
    terms: dict[str, Any] = {"every_seconds": 0, "budget": 100, "made_by": "operator", "most": 3} | more
    await WatchStore(database).start("somechannel", now=now(), **terms)


async def until_watch(database: Database, condition: Callable[[Watch], bool]) -> Watch:
    """Wait until the channel's watch is as it should be, 20 s at most."""
    async with asyncio.timeout(20):
        while True:
            watch = await WatchStore(database).get("somechannel")
            if watch is not None and condition(watch):
                return watch
            await asyncio.sleep(0.05)


def ended(watch: Watch) -> bool:
    return watch.state is WatchState.ENDED


async def test_a_key_with_that_scope_has_a_channel_watched(api: ClientSession, database: Database) -> None:
    checker = Checker(await (await api.get("/api/v1/openapi.json")).json())
    key_id, headers = await key(database, "watch")
    events = await api.get("/api/v1/channels/somechannel/events")
    await checker.check(await api.get(WATCH), PATH)
    body = await checker.check(await api.put(WATCH, json={"every": 15, "budget": 5}, headers=headers), PATH)
    assert (body["state"], body["every"], body["budget"]) == ("running", 15, 5)
    assert (await next_play(events))["song"]["title"] == "Night Drive"
    events.close()
    watch = await until_watch(database, lambda watch: watch.used == 1)
    assert watch.made_by == f"key:{key_id}"
    seen = await checker.check(await api.get(WATCH), PATH)
    assert (seen["used"], seen["reason"]) == (1, None)
    assert key_id not in str(seen)
    again = await checker.check(await api.put(WATCH, json={}, headers=headers), PATH)
    assert (again["every"], again["used"]) == (60, 1)
    listed = await checker.check(await api.get("/api/v1/watches", headers=headers), "/api/v1/watches")
    assert [each["channel"] for each in listed["watches"]] == ["somechannel"]
    assert (await api.delete(WATCH, headers=headers)).status == 204
    await checker.check(await api.delete(WATCH, headers=headers), PATH)
    assert (await checker.check(await api.get(WATCH), PATH))["reason"] == "stopped"


async def test_nobody_else_may(api: ClientSession, database: Database) -> None:
    checker = Checker(await (await api.get("/api/v1/openapi.json")).json())
    _, other = await key(database, "streams", "clips")
    _, mine = await key(database, "watch")
    for method, where in (("PUT", WATCH), ("DELETE", WATCH), ("GET", "/api/v1/watches")):
        body: dict[str, Any] | None = {} if method == "PUT" else None
        await assert_problem(await api.request(method, where, json=body), "login-required", 401)
        await assert_problem(await api.request(method, where, json=body, headers=other), "forbidden", 403)
    for wrong in ({"every": 5}, {"budget": 0}, {"every": "x"}, {"x": 1}):
        await checker.check(await api.put(WATCH, json=wrong, headers=mine), PATH)
    # The scope is for watching alone.
    asked = await api.post("/api/v1/identifications", json={"channel": "somechannel"}, headers=mine)
    await assert_problem(asked, "forbidden", 403)
    for number in range(3):
        assert (await api.put(f"/api/v1/channels/c{number}/watch", json={}, headers=mine)).status == 201
    await assert_problem(await api.put(WATCH, json={}, headers=mine), "busy", 503)


async def test_it_goes_on_until_the_stream_ends_and_the_set_list_follows(
    api: ClientSession, database: Database, parts: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.channels.watch.OFFLINE_AGAIN_SECONDS", 0.2)
    await quick(database)
    await until_watch(database, lambda watch: watch.used >= 3)
    parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "The channel is not live.")
    watch = await until_watch(database, ended)
    assert watch.reason == "stream-ended"
    captures = parts.capture.captures
    plays = (await (await api.get("/api/v1/channels/somechannel/songs")).json())["plays"]
    assert [len(play["identifications"]) for play in plays] == [captures]
    await asyncio.sleep(0.5)
    assert parts.capture.captures == captures


async def test_it_ends_with_its_budget(database: Database, parts: FakePipeline) -> None:
    await quick(database, budget=3)
    watch = await until_watch(database, ended)
    assert (watch.reason, watch.used, parts.capture.captures) == ("budget-used", 3, 3)


async def test_it_ends_when_its_key_is_revoked_and_waits_for_the_keys_limits(
    database: Database, parts: FakePipeline
) -> None:
    key_id, _ = await key(database, "watch", per_day=2)
    await quick(database, made_by=f"key:{key_id}")
    watch = await until_watch(database, lambda watch: watch.used == 2 and watch.next_at > now())
    await asyncio.sleep(0.5)
    assert parts.capture.captures == 2
    assert (watch.next_at - now()).total_seconds() > 10
    other, _ = await key(database, "watch")
    await quick(database, made_by=f"key:{other}")
    await ApiKeyStore(database).revoke(other, now())
    assert (await until_watch(database, ended)).reason == "key-invalid"


async def test_what_the_operator_switches_off_is_off(database: Database, parts: FakePipeline) -> None:
    await RulesStore(database).set_website("maintenance", "on")
    await asyncio.sleep(1.2)
    await quick(database)
    await until_watch(database, lambda watch: watch.next_at > now())
    assert parts.capture.captures == 0


async def test_of_several_servers_one_watches_and_another_goes_on_after_it(
    parts: FakePipeline, address: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as servers:
        for _ in range(3):
            await servers.enter_async_context(
                open_api(parts, tmp_path, database_url=address, watcher_limits=QUICK)
            )
        last = FakePipeline(SystemClock())
        async with (
            open_api(last, tmp_path, database_url=address, watcher_limits=QUICK),
            open_database(address) as database,
        ):
            await quick(database, every_seconds=1, budget=4)
            await until_watch(database, lambda watch: watch.used >= 2)
            await servers.aclose()
            watch = await until_watch(database, ended)
            assert watch.reason == "budget-used"
    # Each try was made once, by whichever server; none was lost when three of them stopped.
    assert parts.capture.captures + last.capture.captures == 4
    assert last.capture.captures >= 1


async def test_a_server_that_stops_in_mid_try_gives_it_back(
    parts: FakePipeline, address: str, tmp_path: Path
) -> None:
    parts.capture.gate.clear()
    async with open_api(parts, tmp_path, database_url=address, watcher_limits=QUICK):
        async with open_database(address) as database:
            await quick(database, budget=1)
        await until(lambda: parts.capture.running == 1)
    other = FakePipeline(SystemClock())
    async with (
        open_api(other, tmp_path, database_url=address, watcher_limits=QUICK),
        open_database(address) as database,
    ):
        watch = await until_watch(database, ended)
    assert (watch.reason, watch.used, other.capture.captures) == ("budget-used", 1, 1)
