"""Webhooks: plays and finished identifications, signed and sent to the addresses of an API key's holder."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import select, update

from fingerprint.database import Database
from fingerprint.ports import Match
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from server.access.service import RULES_SECONDS
from server.api.openapi import openapi_document
from server.owner_choices.choices import CorrectedTime
from server.owner_choices.service import CHOICES_SECONDS
from server.owner_choices.store import ChoiceStore, PlayChange
from server.webhooks import sender
from server.webhooks.messages import CHOSEN, Message, headers_of
from server.webhooks.service import AT_ONCE_OF_OWNER, NO_OPERATOR
from server.webhooks.store import GIVEN_UP_AFTER, MOST_OF_OWNER, WAITS, WebhookStore
from server.webhooks.tables import webhook_deliveries
from tests.api_client import ask, assert_problem, bot_headers, until
from tests.builders import NOON, song
from tests.databases import migrated_database
from tests.fakes import FakePipeline
from tests.integration.test_api_document import Checker
from tests.webhook_receiver import Receiver

HOOKS = "/api/v1/webhooks"
CHANNEL = {"channel": "somechannel"}


@pytest.fixture
def options() -> dict[str, Any]:
    return {"webhook_hosts": ("127.0.0.1",)}


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
    async with migrated_database(sql_address) as database:
        store = WebhookStore(database)
        take = partial(store.take, limit=9, at_once=9, under_way={})
        hook, _ = await store.put("key:1", "https://bot.example/", events=CHOSEN, channels=(), now=NOON)
        message = Message(id="msg_1", body=b"{}")
        for _ in range(2):
            await store.add([(hook, message)], now=NOON)
        now = NOON
        for attempt, wait in enumerate(WAITS, start=1):
            (taken,) = await take(now=now)
            assert (taken.message, taken.attempts) == (message, attempt)
            assert await take(now=now) == [], "one server sends it"
            await store.failed(taken, "It answered 500.", now=now)
            now += timedelta(seconds=wait)
        (taken,) = await take(now=now)
        await store.failed(taken, "It answered 500.", now=now)
        assert await take(now=now + timedelta(days=9)) == [], "given up"
        failing = await store.get("key:1", hook.id)
        assert (failing.failing_since, failing.last_error, failing.disabled) == (NOON, "It answered 500.", None)
        # A server that ended while it was sending leaves the message to the next.
        await store.add([(hook, Message(id="msg_2", body=b"{}"))], now=now)
        await take(now=now)
        now += timedelta(minutes=1)
        (taken,) = await take(now=now)
        await store.failed(taken, "It answered 500.", now=NOON + GIVEN_UP_AFTER)
        assert "for 3 days" in ((await store.get("key:1", hook.id)).disabled or "")
        assert await store.active() == []
        await store.put("key:1", "https://bot.example/", events=CHOSEN, channels=(), now=now)
        assert [each.id for each in await store.active()] == [hook.id], "PUT enables it again"
        await store.delete_old(now=now + timedelta(days=1))
        assert headers_of(message, hook.secret, NOON)["webhook-timestamp"] == str(int(NOON.timestamp()))
        await store.delete("key:1", hook.id)


async def test_one_owners_silent_addresses_do_not_hold_back_anothers(
    api: ClientSession, database: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SEND_SECONDS", 3_600.0)
    silent, other = await bot_headers(database, "streams", "webhooks"), await bot_headers(database, "webhooks")
    for number in range(MOST_OF_OWNER):
        wish = {"url": f"{receiver.silent_url}?{number}", "events": ["identification.finished"]}
        assert (await api.put(HOOKS, json=wish, headers=silent)).status == 201
    hook = await (await api.put(HOOKS, json={"url": receiver.url, "channels": ["b"]}, headers=other)).json()
    for channel in ("a1", "a2"):
        await api.post(
            "/api/v1/identifications", json={"channel": channel}, headers={**silent, "Prefer": "wait=30"}
        )
    await until(lambda: receiver.held >= AT_ONCE_OF_OWNER)
    await ask(api, {"channel": "b"}, wait=30)
    assert (await receiver.next(hook["secret"]))["data"]["channel"] == "b"
    assert receiver.held == AT_ONCE_OF_OWNER, "the others wait for these"
    receiver.go.set()
    await until(lambda: receiver.held == 2 * MOST_OF_OWNER)


async def test_what_waited_to_be_sent_is_not_told_of_a_channel_that_was_blocked_meanwhile(
    api: ClientSession, database: Database, receiver: Receiver
) -> None:
    bot = await bot_headers(database, "streams", "webhooks")
    bot["Prefer"] = "wait=30"
    hook = await (await api.put(HOOKS, json={"url": receiver.url}, headers=bot)).json()
    receiver.status = 503
    await api.post("/api/v1/identifications", json=CHANNEL, headers=bot)
    assert (await receiver.next(hook["secret"]))["data"]["target"] == CHANNEL["channel"]
    waits = select(webhook_deliveries.c.id).where(
        webhook_deliveries.c.due_us.is_not(None), webhook_deliveries.c.lease_us == 0
    )
    async with asyncio.timeout(30):
        while not (waiting := await database.rows(waits)):  # noqa: ASYNC110 - it is the server's
            await asyncio.sleep(0.05)
    receiver.status = 204
    await ListStore(database).block(BlacklistKind.CHANNEL, CHANNEL["channel"], reason="", now=NOON)
    await asyncio.sleep(RULES_SECONDS)
    first = webhook_deliveries.c.id == waiting[0].id
    await database.change(update(webhook_deliveries).where(first).values(due_us=0))
    await api.post("/api/v1/identifications", json={"channel": "another"}, headers=bot)
    assert (await receiver.next(hook["secret"]))["data"]["target"] == "another"
    async with asyncio.timeout(30):
        while await database.rows(waits.where(first)):  # noqa: ASYNC110 - it is the server's
            await asyncio.sleep(0.05)
    assert receiver.got.empty()


async def test_an_operators_webhooks_end_with_their_right(
    api: ClientSession, database: Database, receiver: Receiver
) -> None:
    store = WebhookStore(database)
    hook, _ = await store.put("user:123", receiver.url, events=CHOSEN, channels=("somechannel",), now=NOON)
    await api.put(HOOKS, json={"url": receiver.url}, headers=await bot_headers(database, "webhooks"))  # reads them
    await ask(api, CHANNEL, wait=30)
    async with asyncio.timeout(30):
        while (ended := await store.get("user:123", hook.id)).disabled is None:  # noqa: ASYNC110 - it is the server's
            await asyncio.sleep(0.05)
    assert ended.disabled == NO_OPERATOR


async def test_what_waited_to_be_sent_is_as_the_channels_owner_has_it_by_then(
    api: ClientSession, database: Database, receiver: Receiver, parts: FakePipeline
) -> None:
    bot = await bot_headers(database, "webhooks")
    wish = {"url": receiver.url, "channels": ["somechannel"], "events": ["play.started"]}
    hook = await (await api.put(HOOKS, json=wish, headers=bot)).json()
    waits = (webhook_deliveries.c.due_us.is_not(None), webhook_deliveries.c.lease_us == 0)
    waiting = select(webhook_deliveries.c.id).where(*waits)

    async def hear(title: str) -> None:
        parts.recognizers.matches = [Match(song=song(title), score=0.9)]
        await ask(api, CHANNEL, wait=30)

    async def told() -> str:
        return str((await receiver.next(hook["secret"]))["data"]["song"]["title"])

    async def refused_and_decided(title: str, shown: str | None) -> None:
        receiver.status = 503
        await hear(title)
        assert await told() == title
        async with asyncio.timeout(30):
            while not await database.rows(waiting):  # noqa: ASYNC110 - it is the server's
                await asyncio.sleep(0.05)
        receiver.status, now = 204, datetime.now(UTC)
        time = CorrectedTime(since=now - timedelta(hours=1), until=now + timedelta(hours=1))
        play = PlayChange(song=song(title), time=time, title=shown)
        await ChoiceStore(database).correct("somechannel", None, [play], made_by="operator", now=now)
        await asyncio.sleep(CHOICES_SECONDS)
        await database.change(update(webhook_deliveries).values(due_us=0).where(*waits))

    await refused_and_decided("Night Drive", "Dusk")
    await hear("Dawn")
    assert {await told(), await told()} == {"Dawn", "Dusk"}
    await refused_and_decided("Sand", None)
    await hear("Reef")
    assert await told() == "Reef"
    async with asyncio.timeout(30):
        while await database.rows(waiting):  # noqa: ASYNC110 - it is the server's
            await asyncio.sleep(0.05)
    assert receiver.got.empty()
