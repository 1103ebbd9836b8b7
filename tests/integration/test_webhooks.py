"""Webhooks: plays and finished identifications, signed and sent to the addresses of an API key's holder."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession

from fingerprint.database import Database, open_database
from fingerprint.ports import Match
from server import migrations
from server.api.openapi import openapi_document
from server.webhooks.messages import CHOSEN, Message, headers_of
from server.webhooks.store import GIVEN_UP_AFTER, MOST_OF_OWNER, WAITS, WebhookStore
from tests.api_client import ask, assert_problem, bot_headers, open_api
from tests.builders import NOON, song
from tests.fakes import FakePipeline
from tests.integration.test_api_document import Checker
from tests.webhook_receiver import Receiver

HOOKS = "/api/v1/webhooks"
CHANNEL = {"channel": "somechannel"}


@pytest.fixture
async def api(parts: FakePipeline, tmp_path: Path, address: str) -> AsyncGenerator[ClientSession]:
    async with open_api(parts, tmp_path, database_url=address, webhook_hosts=("127.0.0.1",)) as client:
        yield client


async def test_plays_and_answers_are_told_signed(
    api: ClientSession, database: Database, receiver: Receiver, parts: FakePipeline
) -> None:
    bot = await bot_headers(database, "streams", "webhooks")
    made = await api.put(HOOKS, json={"url": receiver.url, "channels": ["twitch.tv/SomeChannel"]}, headers=bot)
    hook = await made.json()
    assert (made.status, made.headers["Location"]) == (201, f"{HOOKS}/{hook['id']}")
    assert (hook["channels"], hook["state"]) == (["somechannel"], "active")
    secret = hook["secret"]
    answer = await (await api.post("/api/v1/identifications", json=CHANNEL, headers=bot)).json()
    messages = [await receiver.next(secret) for _ in range(2)]
    by_type = {message["type"]: message["data"] for message in messages}
    assert set(by_type) == {"play.started", "identification.finished"}
    assert by_type["identification.finished"]["id"] == answer["id"]
    assert by_type["play.started"]["song"]["title"] == "Night Drive"
    assert by_type["play.started"]["channel"] == "somechannel"
    # Another's question about the same song is neither; another song is a play.
    await ask(api, CHANNEL, wait=30)
    parts.recognizers.matches = [Match(song=song("Dawn"), score=0.9)]
    await ask(api, CHANNEL, wait=30)
    message = await receiver.next(secret)
    assert (message["type"], message["data"]["song"]["title"]) == ("play.started", "Dawn")
    trial = await api.post(f"{HOOKS}/{hook['id']}/test", headers=bot)
    tested = await Checker(openapi_document()).check(trial, f"{HOOKS}/{{id}}/test")
    assert tested == {"delivered": True, "status": 204, "detail": None}
    assert (await receiver.next(secret))["type"] == "webhook.test"
    receiver.status = 307
    tested = await (await api.post(f"{HOOKS}/{hook['id']}/test", headers=bot)).json()
    assert (tested["delivered"], tested["status"]) == (False, 307)
    assert "redirects are not followed" in tested["detail"]
    await receiver.next(secret)


async def test_webhooks_are_their_owners_and_bounded(api: ClientSession, database: Database) -> None:
    bot, other = await bot_headers(database, "webhooks"), await bot_headers(database, "webhooks")
    wish = {"url": "https://bot.example/hook", "events": ["identification.finished"]}
    hook = await (await api.put(HOOKS, json=wish, headers=bot)).json()
    again = await api.put(HOOKS, json={**wish, "channels": ["a"]}, headers=bot)
    assert (again.status, (await again.json())["id"]) == (200, hook["id"])
    assert (await again.json())["secret"] is None
    place = f"{HOOKS}/{hook['id']}"
    moved = await api.put(place, json={"url": "https://bot.example/new"}, headers=bot)
    assert (await moved.json())["url"] == "https://bot.example/new"
    assert [each["id"] for each in (await (await api.get(HOOKS, headers=bot)).json())["webhooks"]] == [hook["id"]]
    checker = Checker(openapi_document())
    shown = await checker.check(await api.get(place, headers=bot), f"{HOOKS}/{{id}}")
    assert shown["secret"] is None
    await checker.check(again, HOOKS)
    await checker.check(await api.get(HOOKS, headers=bot), HOOKS)
    assert (await (await api.get(HOOKS, headers=other)).json())["webhooks"] == []
    for method, path in (("GET", place), ("PUT", place), ("DELETE", place), ("POST", f"{place}/test")):
        body = wish if method == "PUT" else None
        await assert_problem(await api.request(method, path, json=body, headers=other), "not-found", 404)
    await assert_problem(await api.get(HOOKS), "login-required", 401)
    await assert_problem(await api.get(HOOKS, headers=await bot_headers(database, "streams")), "forbidden", 403)
    for wrong in (
        *(
            "http://bot.example/",
            "ftp://bot.example/",
            "https://10.0.0.1/",
            "https://[::1]/",
            "https://localhost/",
        ),
        *(
            "https://169.254.169.254/latest",
            "https://user:pass@bot.example/",
            "https://bot.example:22/",
            "hook",
            "",
        ),
        *("https://2130706433/", "https://0x7f.1/", "https://intranet/", "https://[::ffff:10.0.0.1]/"),
    ):
        await assert_problem(await api.put(HOOKS, json={"url": wrong}, headers=bot), "invalid-input", 400)
    for body in ({**wish, "events": ["x"]}, {"url": wish["url"], "events": "x"}, {"url": 1}, {}):
        await assert_problem(await api.put(HOOKS, json=body, headers=bot), "invalid-input", 400)
    for number in range(MOST_OF_OWNER - 1):
        assert (await api.put(HOOKS, json={"url": f"https://bot.example/{number}"}, headers=bot)).status == 201
    await assert_problem(
        await api.put(HOOKS, json={"url": "https://bot.example/x"}, headers=bot), "invalid-input", 400
    )
    assert (await api.delete(place, headers=bot)).status == 204
    await assert_problem(await api.get(place, headers=bot), "not-found", 404)


async def test_messages_are_kept_tried_again_and_given_up(sql_address: str) -> None:
    async with open_database(sql_address) as database:
        await migrations.upgrade(database)
        store = WebhookStore(database)
        hook, _ = await store.put("key:1", "https://bot.example/", events=CHOSEN, channels=(), now=NOON)
        message = Message(id="msg_1", body=b"{}")
        for _ in range(2):
            await store.add([(hook, message)], now=NOON)
        now = NOON
        for attempt, wait in enumerate(WAITS, start=1):
            (taken,) = await store.take(now=now, limit=9)
            assert (taken.message, taken.attempts) == (message, attempt)
            assert await store.take(now=now, limit=9) == [], "one server sends it"
            await store.failed(taken, "It answered 500.", now=now)
            now += timedelta(seconds=wait)
        (taken,) = await store.take(now=now, limit=9)
        await store.failed(taken, "It answered 500.", now=now)
        assert await store.take(now=now + timedelta(days=9), limit=9) == [], "given up"
        failing = await store.get("key:1", hook.id)
        assert (failing.failing_since, failing.last_error, failing.disabled) == (NOON, "It answered 500.", None)
        # A server that ended while it was sending leaves the message to the next.
        await store.add([(hook, Message(id="msg_2", body=b"{}"))], now=now)
        await store.take(now=now, limit=9)
        now += timedelta(minutes=1)
        (taken,) = await store.take(now=now, limit=9)
        await store.failed(taken, "It answered 500.", now=NOON + GIVEN_UP_AFTER)
        assert "for 3 days" in ((await store.get("key:1", hook.id)).disabled or "")
        assert await store.active() == []
        await store.put("key:1", "https://bot.example/", events=CHOSEN, channels=(), now=now)
        assert [each.id for each in await store.active()] == [hook.id], "PUT enables it again"
        await store.delete_old(now=now + timedelta(days=1))
        assert headers_of(message, hook.secret, NOON)["webhook-timestamp"] == str(int(NOON.timestamp()))
        await store.delete("key:1", hook.id)
