"""The songs that somebody found while signed in: kept for them alone, and deleted when they say so."""

import html
import json
import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import Database
from fingerprint.domain.channel_traces import ChannelTraces, UsedName
from fingerprint.domain.identification import Kind
from fingerprint.ports import Match
from server.channels.retention import delete_old_finds
from server.songs.finds import FIND_DAYS, MAX_FINDS, FindStore, forget_finds
from tests.api_client import ASK, STREAM, assert_problem
from tests.browser_client import Browser, known_to_twitch
from tests.builders import NOON, answered, song
from tests.databases import migrated_database
from tests.fakes import FakePipeline
from tests.integration.simulator_client import Viewer

FINDS = "/api/v1/me/finds"


@pytest.fixture
def options(viewer: Viewer) -> dict[str, Any]:
    return known_to_twitch(viewer)


@pytest.fixture
async def database(sql_address: str) -> AsyncGenerator[Database]:
    async with migrated_database(sql_address) as opened:
        yield opened


async def titles(store: FindStore, user: str = "1") -> list[str]:
    return [find.title for find in await store.of(user)]


async def test_what_is_found_while_signed_in_is_kept_shown_exported_and_deleted(
    browser: Browser, parts: FakePipeline
) -> None:
    parts.recognizers.matches = [Match(song=song("<i>Night</i> Drive"), score=0.9)]
    await browser.sign_in()
    token = await browser.csrf()
    asked = await browser.post(ASK, json=STREAM, token=token, headers={"Prefer": "wait=30"})
    found = (await asked.json())["id"]
    at = browser.address.with_path(f"{FINDS}/{found}")
    assert (await browser.client.put(at)).status == 403, "without the page's token"
    kept = await browser.client.put(at, headers={"X-CSRF-Token": token})
    assert kept.status == 204, await kept.text()
    [find] = (await browser.api(FINDS))["finds"]
    assert (find["id"], find["title"], find["source"]) == (found, "<i>Night</i> Drive", STREAM["channel"])
    page = await (await browser.get("/finds")).text()
    assert f'href="/?id={found}"' in page
    assert '<b dir="auto">&lt;i&gt;Night&lt;/i&gt; Drive</b>' in page
    script = re.search(r'<script type="application/json" id="kept">(.*?)</script>', page)
    assert script is not None
    assert [each["title"] for each in json.loads(html.unescape(script[1]))] == ["<i>Night</i> Drive"]
    missing = await browser.client.put(at.with_path(f"{FINDS}/none"), headers={"X-CSRF-Token": token})
    assert missing.status == 404
    gone = await browser.post("/finds", data={"csrf_token": token}, headers={"Accept": "text/html"})
    assert "The finds of your account were deleted." in await gone.text()
    assert (await browser.api(FINDS))["finds"] == []
    await browser.client.put(at, headers={"X-CSRF-Token": token})
    assert (await browser.client.delete(at.with_path(FINDS), headers={"X-CSRF-Token": token})).status == 204
    assert (await browser.api(FINDS))["finds"] == []


async def test_of_who_is_not_signed_in_nothing_is_kept(api: ClientSession) -> None:
    await assert_problem(await api.get(FINDS), "login-required", 401)
    await assert_problem(await api.put(f"{FINDS}/x"), "login-required", 401)
    await assert_problem(await api.delete(FINDS), "login-required", 401)
    page = await (await api.get("/finds")).text()
    assert '<script type="application/json" id="kept">[]</script>' in page
    assert "Delete my finds" not in page


async def test_finds_are_of_one_account_newest_first_and_bounded(database: Database) -> None:
    store = FindStore(database)
    for number in range(3):
        answer = answered(id=str(number), song=song(f"Song {number}"))
        await store.keep("1", answer, now=NOON + timedelta(hours=number))
    await store.keep("2", answered(id="0", song=song("Theirs")), now=NOON)
    assert await titles(store) == ["Song 2", "Song 1", "Song 0"]
    again = answered(id="again", song=song("Song 2"))
    await store.keep("1", again, now=NOON + timedelta(hours=2, minutes=5))
    await store.keep("1", again, now=NOON + timedelta(hours=2, minutes=6))
    assert await titles(store) == ["Song 2", "Song 1", "Song 0"], "the same song a moment later is the same find"
    await store.keep("1", answered(id="later", song=song("Song 2")), now=NOON + timedelta(hours=4))
    assert len(await titles(store)) == 4
    assert await store.delete_all("1") == 4
    assert await titles(store, "2") == ["Theirs"]


async def test_only_the_newest_of_an_account_stay(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_FINDS == 500
    monkeypatch.setattr("server.songs.finds.MAX_FINDS", 3)
    store = FindStore(database)
    for number in range(5):
        answer = answered(id=str(number), song=song(f"Song {number}"))
        await store.keep("1", answer, now=NOON + timedelta(hours=number))
    rows = await database.read(
        lambda connection: connection.exec_driver_sql("SELECT COUNT(*) FROM finds").scalar()
    )
    assert rows == 3
    assert await titles(store) == ["Song 4", "Song 3", "Song 2"]


@pytest.mark.parametrize(("keep_days", "left"), [(None, ["New"]), (30, [])])
async def test_old_finds_are_deleted(database: Database, keep_days: int | None, left: list[str]) -> None:
    store, clock = FindStore(database), SystemClock()
    await store.keep("1", answered(id="a", song=song("New")), now=clock.now() - timedelta(days=FIND_DAYS - 1))
    await store.keep("1", answered(id="b", song=song("Old")), now=clock.now() - timedelta(days=FIND_DAYS + 1))
    await delete_old_finds(database, clock, keep_days=keep_days)
    assert await titles(store) == left


async def test_a_forgotten_channel_takes_what_was_found_there_and_what_its_owner_found(database: Database) -> None:
    store = FindStore(database)
    found: dict[str, dict[str, Any]] = {
        "there": {"target": "tess", "channel_id": "7"},
        "there, before": {"target": "tess", "channel_id": None},
        "in a clip": {"target": "TheSlug", "kind": Kind.CLIP, "channel": None},
        "of the name's next owner": {"target": "tess", "channel_id": "8"},
        "elsewhere": {"target": "somechannel"},
    }
    for number, (title, more) in enumerate(found.items()):
        await store.keep(
            "1", answered(id=str(number), song=song(title), **more), now=NOON + timedelta(hours=number)
        )
    await store.keep("7", answered(id="x", song=song("by the owner")), now=NOON)
    traces = ChannelTraces(
        channel_id="7",
        names=(UsedName(login="tess", since=NOON),),
        slugs=frozenset({"TheSlug"}),
        videos=frozenset(),
    )
    assert await database.transact(lambda connection: forget_finds(connection, traces, ["tess"])) == 4
    assert await titles(store) == ["elsewhere", "of the name's next owner"]
    assert await titles(store, "7") == []
