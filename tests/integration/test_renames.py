"""Channels that are renamed, and logins that Twitch gives to other people: what is set up keeps to the channel."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import Table, select
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, Target
from fingerprint.pipeline import Pipeline
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Broadcaster, LiveSource, MediaSource, VideoSource
from fingerprint.setting_formats import Secret
from fingerprint.settings import read_settings
from fingerprint.twitch.fetcher import twitch_allow_list, twitch_fetcher
from fingerprint.twitch.resolve import TwitchResolver
from fingerprint.wiring import open_channel_directory
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListFollower, ListStore
from server.access.tables import blacklisted_values, whitelisted_users
from server.channel_name_table import channel_names
from server.channel_names import ChannelNames
from server.channels.hot_channels import HotLimits
from server.channels.song_tokens import SongTokenStore
from server.channels.tables import song_tokens, watches
from server.channels.watch_store import WatchStore
from server.channels.watcher import WatcherLimits
from server.webhooks.messages import Webhook
from server.webhooks.tables import webhook_deliveries, webhooks
from tests.api_client import ASK, ask, assert_problem, bot_headers, open_api
from tests.fakes import FakeClock, FakePipeline, FakeRecognizers, song
from tests.integration.simulator_client import LIVE, a_viewer

QUICK = WatcherLimits(poll_seconds=0.1, try_seconds=5, lease_seconds=8)
OLD, NEW, OTHER = "oldname", "newname", "othername"


class Accounts:
    """Twitch's accounts: it says who has which login, and resolves the channels of those who have one."""

    def __init__(self) -> None:
        self.ids = {OLD: "42"}
        self.asked: list[str] = []

    def rename(self, login: str, to: str) -> None:
        self.ids[to] = self.ids.pop(login)

    async def by_login(self, login: str) -> Broadcaster | None:
        self.asked.append(login)
        return Broadcaster(id=self.ids[login], login=login) if login in self.ids else None

    async def by_id(self, channel_id: str) -> Broadcaster | None:
        self.asked.append(channel_id)
        return next(
            (Broadcaster(id=each, login=login) for login, each in self.ids.items() if each == channel_id), None
        )

    async def resolve(self, target: Target) -> MediaSource:
        assert isinstance(target, ChannelTarget)
        number = self.ids.get(target.login)
        if number is None:
            raise TwitchAudioError(ProblemCode.CHANNEL_NOT_FOUND, "This channel does not exist on Twitch.")
        return LiveSource(channel=target.login, playlist=URL("http://x/"), channel_id=number)

    async def recording(self, source: LiveSource) -> VideoSource | None:
        return None


@pytest.fixture
def twitch() -> Accounts:
    return Accounts()


@pytest.fixture
def parts(twitch: Accounts) -> FakePipeline:
    parts = FakePipeline(SystemClock())
    parts.resolver.resolve = twitch.resolve  # pyright: ignore[reportAttributeAccessIssue]
    return parts


@pytest.fixture
async def api(
    parts: FakePipeline, twitch: Accounts, address: str, tmp_path: Path
) -> AsyncGenerator[ClientSession]:
    async with open_api(
        parts, tmp_path, database_url=address, watcher_limits=QUICK, watches=3, directory=twitch
    ) as client:
        yield client


def now() -> datetime:
    return datetime.now(UTC)


async def until(database: Database, table: Table, condition: Callable[[list[Any]], bool]) -> list[Any]:
    """Wait until a table's rows are as they should be, 20 s at most."""
    async with asyncio.timeout(20):
        while True:
            rows = list(await database.rows(select(table)))
            if condition(rows):
                return rows
            await asyncio.sleep(0.05)


async def heard(api: ClientSession, login: str) -> dict[str, Any]:
    """An answer from a channel."""
    return await (await ask(api, {"channel": login}, wait=30)).json()


async def titles(api: ClientSession, login: str) -> tuple[str, list[str]]:
    """The channel that a set list says it is of, and its songs."""
    body = await (await api.get(f"/api/v1/channels/{login}/songs")).json()
    return body["channel"], [play["song"]["title"] for play in body["plays"]]


def play(parts: FakePipeline, title: str) -> None:
    parts.recognizers.matches = [type(parts.recognizers.matches[0])(song=song(title, "x"), score=0.9)]


async def known(database: Database, *pairs: tuple[str, str]) -> None:
    def all_known(rows: list[Any]) -> bool:
        return set(pairs) <= {(row.login, row.channel_id) for row in rows}

    await until(database, channel_names, all_known)


async def test_a_set_list_follows_its_channel_and_an_heir_of_the_login_gets_none_of_it(
    api: ClientSession, database: Database, parts: FakePipeline, twitch: Accounts
) -> None:
    play(parts, "Before")
    assert (await heard(api, OLD))["channel_id"] == "42"
    await known(database, (OLD, "42"))
    twitch.rename(OLD, NEW)
    play(parts, "After")
    await heard(api, NEW)
    await known(database, (NEW, "42"))
    assert await titles(api, NEW) == (NEW, ["After", "Before"])
    assert await titles(api, OLD) == (NEW, ["After", "Before"])
    page = await api.get(f"/channels/{OLD}?day=2026-01-01", headers={"Accept": "text/html"}, allow_redirects=False)
    assert (page.status, page.headers["Location"]) == (302, f"/channels/{NEW}?day=2026-01-01")
    assert NEW in await (await api.get(f"/overlay/{OLD}", headers={"Accept": "text/html"})).text()

    twitch.ids[OLD] = "77"
    play(parts, "Another")
    assert (await heard(api, OLD))["channel_id"] == "77"
    await known(database, (OLD, "77"))
    assert await titles(api, OLD) == (OLD, ["Another"])
    assert await titles(api, NEW) == (NEW, ["After", "Before"])


async def test_a_watch_follows_its_channel(api: ClientSession, database: Database, twitch: Accounts) -> None:
    await WatchStore(database).start(OLD, every_seconds=0, budget=500, made_by="operator", most=3, now=now())
    await until(database, watches, lambda rows: rows[0].used > 0 and rows[0].channel_id == "42")
    twitch.rename(OLD, NEW)
    # At once somebody else has the old login: the watch is not theirs.
    twitch.ids[OLD] = "77"
    (row,) = await until(database, watches, lambda rows: rows[0].channel == NEW)
    assert (row.state, row.channel_id) == ("running", "42")
    await until(database, watches, lambda rows: rows[0].used > row.used)
    assert (await (await api.get(f"/api/v1/channels/{NEW}/watch")).json())["state"] == "running"
    assert (await heard(api, NEW))["channel_id"] == "42"

    del twitch.ids[NEW]
    (row,) = await until(database, watches, lambda rows: rows[0].state == "ended")
    assert row.reason == "channel-not-found"


@pytest.mark.parametrize("heir", [None, "77"])
async def test_a_channel_that_many_ask_about_stays_hot_under_its_new_login(
    parts: FakePipeline, twitch: Accounts, tmp_path: Path, heir: str | None
) -> None:
    parts.pipeline = Pipeline(
        resolver=parts.resolver,
        capture=parts.capture,
        recognizers=parts.recognizers,
        further=FakeRecognizers(),
        clock=SystemClock(),
    )
    listened: list[tuple[str, str]] = []
    resolve = twitch.resolve

    async def noted(target: Target) -> MediaSource:
        source = await resolve(target)
        assert isinstance(source, LiveSource)
        listened.append((source.channel, source.channel_id or ""))
        return source

    parts.resolver.resolve = noted  # pyright: ignore[reportAttributeAccessIssue]
    proxy: dict[str, Any] = {"trusted_proxies": (ip_network("127.0.0.1"),), "fresh_seconds": 300}
    limits = HotLimits(poll_seconds=0.1, every_seconds=0.1)
    async with open_api(parts, tmp_path, hot_limits=limits, directory=twitch, **proxy) as api:
        for number in range(3):
            headers = {"X-Forwarded-For": f"192.0.2.{number}", "Prefer": "wait=20"}
            assert (await api.post(ASK, json={"channel": OLD}, headers=headers)).status == 200
        async with asyncio.timeout(20):
            while len(listened) < 3:  # noqa: ASYNC110 - it is the server's
                await asyncio.sleep(0.02)
            twitch.rename(OLD, NEW)
            if heir is not None:
                twitch.ids[OLD] = heir
            while listened[-3:] != [(NEW, "42")] * 3:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert sum(each == (OLD, "77") for each in listened) <= 1, "the heir is not listened to"


async def test_who_asks_for_an_old_login_learns_the_new_one(
    api: ClientSession, database: Database, twitch: Accounts
) -> None:
    await heard(api, OLD)
    await known(database, (OLD, "42"))
    twitch.rename(OLD, NEW)
    problem = (await heard(api, OLD))["problem"]
    assert problem["code"] == "channel-not-found"
    assert repr(NEW) in problem["detail"]
    assert (await heard(api, OTHER))["problem"]["detail"] == "This channel does not exist on Twitch."


async def test_a_token_for_song_txt_follows_its_channel(
    api: ClientSession, database: Database, parts: FakePipeline, twitch: Accounts
) -> None:
    _, secret = await SongTokenStore(database).create(OLD, now=now())
    _, later = await SongTokenStore(database).create(OTHER, now=now())
    await until(database, song_tokens, lambda rows: {row.channel_id for row in rows} == {"42", None})
    twitch.rename(OLD, NEW)
    twitch.ids[OLD] = "77"

    async def line(login: str, token: str) -> str:
        return await (await api.get(f"/api/v1/channels/{login}/song.txt", params={"token": token})).text()

    play(parts, "Mine")
    assert "Mine" in await line(OLD, secret.reveal())
    rows = await until(database, song_tokens, lambda rows: NEW in {row.channel for row in rows})
    assert {(row.channel, row.channel_id) for row in rows} == {(NEW, "42"), (OTHER, None)}
    assert "Mine" in await line(NEW, secret.reveal())
    assert "not valid for this channel" in await line(OTHER, secret.reveal())
    assert "not valid for this channel" in await line(OLD, later.reveal())
    answers = await (await api.get(f"/api/v1/channels/{NEW}/songs")).json()
    assert answers["channel"] == NEW


async def test_a_webhook_follows_its_channels_and_is_told_nothing_of_an_heir(
    api: ClientSession, database: Database, parts: FakePipeline, twitch: Accounts
) -> None:
    bot = await bot_headers(database, "webhooks")
    wish = {"url": "https://bot.example/hook", "events": ["play.started"], "channels": [OTHER, OLD]}
    hook = await (await api.put("/api/v1/webhooks", json=wish, headers=bot)).json()
    await until(database, webhooks, lambda rows: rows[0].channel_ids == ",42")
    twitch.rename(OLD, NEW)
    twitch.ids[OLD] = "77"
    play(parts, "Not theirs")
    await heard(api, OLD)
    play(parts, "Mine")
    await heard(api, NEW)
    (row,) = await until(database, webhooks, lambda rows: NEW in rows[0].channels)
    assert (row.channels, row.channel_ids) == (f"{OTHER},{NEW}", ",42")
    (message,) = await until(database, webhook_deliveries, bool)
    told = json.loads(message.body)["data"]
    assert (told["channel"], told["song"]["title"]) == (NEW, "Mine")
    shown = await (await api.get(f"/api/v1/webhooks/{hook['id']}", headers=bot)).json()
    assert shown["channels"] == [OTHER, NEW]
    # Who changes it keeps the ids that are known, and an old login is another channel's now.
    await api.put("/api/v1/webhooks", json={**wish, "channels": [NEW, OLD]}, headers=bot)
    await until(database, webhooks, lambda rows: rows[0].channel_ids == "42,77")


def test_what_a_webhook_is_told_of_is_the_channels_own() -> None:
    hook = replace(
        Webhook(
            id="1",
            owner="key:1",
            url="https://bot.example/",
            events=(),
            channels=(OLD, OTHER),
            secret=Secret("whsec_x"),
            created_at=now(),
        ),
        channel_ids=("42", None),
    )
    told = [(OLD, "42"), (NEW, "42"), (OLD, None), (OTHER, "77"), (OTHER, None)]
    assert all(hook.is_of(*channel) for channel in told)
    assert not any(hook.is_of(*channel) for channel in [(OLD, "77"), (NEW, None), (NEW, "77")])


@pytest.mark.parametrize("target", [{"channel": NEW}])
async def test_a_rename_is_no_way_out_of_the_blacklist_and_no_way_in_for_an_heir(
    api: ClientSession, database: Database, twitch: Accounts, target: dict[str, str]
) -> None:
    lists = ListStore(database)
    await lists.block(BlacklistKind.CHANNEL, OLD, reason="", now=now())
    await lists.allow(OLD, note="", now=now())
    await until(database, blacklisted_values, lambda rows: rows[0].user_id == "42")
    await until(database, whitelisted_users, lambda rows: rows[0].user_id == "42")
    await assert_problem(await ask(api, {"channel": OLD}), "blacklisted", 403)
    twitch.rename(OLD, NEW)
    await assert_problem(await ask(api, target), "blacklisted", 403)
    (entry,) = await lists.blacklist()
    assert (entry.kind, entry.value) == ("channel", NEW)
    assert [each.value for each in await lists.whitelist()] == [NEW]
    twitch.ids[OLD] = "77"
    async with asyncio.timeout(20):
        while (await ask(api, {"channel": OLD}, wait=30)).status == 403:  # noqa: ASYNC110 - a server's cache
            await asyncio.sleep(0.2)
    assert (await heard(api, OLD))["channel_id"] == "77"


async def test_twitch_itself_names_channels(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The real adapters against the simulator: the token of a live answer, and the query for a login or an id."""
    async with a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer:
        twitch = viewer.twitch
        settings = read_settings(PipelineSettings, {**twitch.environment(), "TWITCHAUDIO_DATA_DIR": str(tmp_path)})
        number = str(twitch.channel(LIVE).plan.user_id)
        async with twitch_fetcher(twitch_allow_list(settings.twitch)) as fetcher:
            source = await TwitchResolver(fetcher, settings.twitch).resolve(ChannelTarget(LIVE))
            assert isinstance(source, LiveSource)
            assert source.channel_id == number
        async with open_channel_directory(settings) as directory:
            twitch.world.rename(LIVE, NEW)
            assert await directory.by_login(LIVE) is None
            assert await directory.by_login(NEW) == Broadcaster(id=number, login=NEW)
            assert await directory.by_id(number) == Broadcaster(id=number, login=NEW)
            twitch.world.recycle(LIVE, NEW)
            heir = await directory.by_login(LIVE)
            assert heir is not None
            assert heir.id != number
            assert await directory.by_id("1") is None


async def test_lists_show_the_present_login_although_it_is_not_asked_for(
    database: Database, twitch: Accounts
) -> None:
    clock = FakeClock()
    lists = ListStore(database)
    async with ChannelNames(database, twitch, clock=clock, followers=[ListFollower()], poll_seconds=0.05):
        await lists.block(BlacklistKind.CHANNEL, OLD, reason="", now=now())
        await until(database, blacklisted_values, lambda rows: rows[0].user_id == "42")
        while "42" not in twitch.asked:  # noqa: ASYNC110 - a fake has no event
            await asyncio.sleep(0.01)
        twitch.rename(OLD, NEW)
        await clock.advance(3_700)
        await until(database, blacklisted_values, lambda rows: rows[0].value == NEW)
