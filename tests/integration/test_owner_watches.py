"""A channel's owner has it watched while it is live: on its page without JavaScript, and over the API."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import update

from fingerprint.database import Database, open_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.recognizer_choice import RecognizerChoice
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.channels.tables import watches
from server.channels.watch import Watch
from server.channels.watch_store import WatchStore
from server.channels.watcher import WatcherLimits
from server.identifications.limits import ServiceLimits
from tests.api_client import assert_problem, open_api, until
from tests.browser_client import Browser, browsing, known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import Viewer
from tests.integration.test_hot_channels import Parts

VIC = "viewer_vic"
PAGE, API = f"/channels/{VIC}", f"/api/v1/channels/{VIC}/watch"
RULES = 0.15
"""Longer than rules are cached here."""

BOX = "Watch my channel while I am live"
QUICK = WatcherLimits(poll_seconds=0.1, try_seconds=5, lease_seconds=8)


@dataclass(frozen=True, slots=True)
class Stage:
    """A server, its owner's browser and token, and its database."""

    api: ClientSession
    browser: Browser
    database: Database
    headers: dict[str, str]
    vic: str
    """Vic's number at Twitch."""

    async def page(self) -> str:
        return await (await self.browser.get(PAGE)).text()

    async def change(self, action: str) -> int:
        data = {"csrf_token": await self.browser.csrf(), "action": action}
        return (await self.browser.post(f"{PAGE}/watch", data=data, allow_redirects=False)).status

    async def put(self, **body: int) -> Any:
        return await self.api.put(API, json=body, headers=self.headers)

    async def watch(self) -> Watch:
        found = await WatchStore(self.database).get(VIC)
        assert found is not None
        return found

    async def tried(self, used: int) -> Watch:
        """The watch once so many captures were made, and the last of them has ended."""
        return await self.until(lambda watch: watch.used == used and watch.next_at > datetime.now(UTC))

    async def until(self, condition: Callable[[Watch], bool]) -> Watch:
        """The watch once it is as it should be, a minute at most."""
        async with asyncio.timeout(60):
            while True:
                watch = await self.watch()
                if condition(watch):
                    return watch
                await asyncio.sleep(0.05)

    async def rule(self, name: str, value: str) -> None:
        """Change a setting, and wait until it holds."""
        await RulesStore(self.database).set_website(name, value)
        await asyncio.sleep(RULES)


@asynccontextmanager
async def staged(parts: FakePipeline, viewer: Viewer, folder: Path, **more: Any) -> AsyncGenerator[Stage]:
    limits = ServiceLimits(keep_definite_seconds=0.01)
    settings: dict[str, Any] = {**known_to_twitch(viewer), "watches": 3, "service_limits": limits, **more}
    async with open_api(parts, folder, watcher_limits=QUICK, **settings) as api:
        viewer.twitch.accounts.sign_in(VIC)
        async with (
            browsing(api, viewer) as browser,
            open_database(f"sqlite:///{folder / 'twitchaudio.sqlite3'}") as database,
        ):
            token = viewer.twitch.accounts.token_for(VIC)
            person = viewer.twitch.accounts.people[VIC]
            yield Stage(api, browser, database, {"Authorization": f"Bearer {token}"}, person.user_id)


@pytest.fixture(autouse=True)
def quick_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.access.service.RULES_SECONDS", RULES / 3)


@pytest.fixture
async def stage(parts: FakePipeline, viewer: Viewer, tmp_path: Path) -> AsyncGenerator[Stage]:
    async with staged(parts, viewer, tmp_path) as stage:
        yield stage


async def test_the_owner_starts_and_stops_it_on_the_page(stage: Stage, parts: FakePipeline) -> None:
    assert BOX not in await stage.page()
    await stage.browser.sign_in()
    assert "with up to 500 identifications a day" in await stage.page()
    assert BOX not in await (await stage.browser.get("/channels/somechannel")).text()
    assert (await stage.browser.post(f"{PAGE}/watch", data={"action": "start"})).status == 403
    assert await stage.change("start") == 303
    watch = await stage.tried(1)
    assert parts.capture.captures == 1
    assert (watch.channel_id, watch.owner_id, watch.every_seconds, watch.budget) == (stage.vic, stage.vic, 60, 500)
    text = await stage.page()
    assert "Identifications today: 1 of 500." in text
    assert "Night Drive" in text
    # Somebody else sees that it is watched, and may not stop it.
    data = {"csrf_token": await stage.browser.csrf(), "action": "start"}
    assert (await stage.browser.post("/channels/somechannel/watch", data=data)).status == 403
    # Stopping and starting again gives no new budget.
    assert await stage.change("stop") == 303
    assert (await stage.watch()).reason == "stopped"
    assert await stage.change("start") == 303
    await stage.tried(2)
    found = await stage.browser.post(
        f"{PAGE}/forget", data={"csrf_token": await stage.browser.csrf(), "name": VIC}
    )
    assert found.status == 200
    assert await WatchStore(stage.database).get(VIC) is None


async def test_over_the_api_the_operators_budget_is_the_most(stage: Stage) -> None:
    await stage.rule("owner_watch_captures", "7")
    body = await (await stage.put(every=15, budget=900)).json()
    assert (body["every"], body["budget"], body["daily"]) == (15, 7, True)
    assert (await (await stage.put(budget=3)).json())["budget"] == 3
    await assert_problem(await stage.api.get("/api/v1/watches", headers=stage.headers), "forbidden", 403)
    other = "/api/v1/channels/somechannel/watch"
    await assert_problem(await stage.api.put(other, json={}, headers=stage.headers), "forbidden", 403)
    assert (await stage.api.delete(API, headers=stage.headers)).status == 204
    # What the operator or a key has watched keeps their terms.
    await WatchStore(stage.database).start(
        VIC, every_seconds=30, budget=9, made_by="operator", most=3, now=datetime.now(UTC)
    )
    body = await (await stage.put()).json()
    assert (body["every"], body["budget"], body["daily"]) == (30, 9, False)
    assert (await stage.api.delete(API, headers=stage.headers)).status == 204


async def test_it_is_bounded_in_number_so_that_operators_find_room(stage: Stage) -> None:
    store = WatchStore(stage.database)
    for number in ("1", "2"):
        await store.start(
            f"c{number}", every_seconds=60, budget=9, made_by=f"owner:{number}", most=3,
            now=datetime.now(UTC), channel_id=number,
        )  # fmt: skip
    await assert_problem(await stage.put(), "busy", 503)
    await store.start("more", every_seconds=60, budget=9, made_by="operator", most=3, now=datetime.now(UTC))


async def test_a_days_captures_are_not_had_again_by_forgetting_the_channel(
    stage: Stage, parts: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.channels.owner_watches.LOOKS_A_DAY", 0)
    assert (await stage.put(budget=1)).status == 201
    watch = await stage.tried(1)
    assert watch.next_at.strftime("%H:%M") == "00:00"
    assert (await stage.api.delete(f"/api/v1/channels/{VIC}", headers=stage.headers)).status == 204
    assert (await stage.put(budget=1)).status == 201
    watch = await stage.tried(0)
    assert watch.next_at.strftime("%H:%M") == "00:00"
    assert parts.capture.captures == 1


async def test_a_smaller_budget_of_the_operator_counts_for_watches_that_run(
    stage: Stage, parts: FakePipeline
) -> None:
    assert (await stage.put(budget=5)).status == 201
    await stage.tried(1)
    await stage.rule("owner_watch_captures", "1")
    await _due(stage)
    watch = await stage.until(lambda watch: watch.fence == 3 and watch.next_at > datetime.now(UTC))
    assert (watch.used, parts.capture.captures) == (1, 1)
    assert watch.next_at.strftime("%H:%M") == "00:00"


async def test_in_subscribers_mode_only_listed_owners_may_and_off_ends_it(stage: Stage) -> None:
    await stage.browser.sign_in()
    await stage.rule("access_mode", "subscribers")
    assert BOX not in await stage.page()
    assert await stage.change("start") == 403
    await assert_problem(await stage.put(), "forbidden", 403)
    await BroadcasterStore(stage.database).add(stage.vic, VIC, note="", now=datetime.now(UTC))
    await asyncio.sleep(RULES)
    assert BOX in await stage.page()
    assert await stage.change("start") == 303
    await stage.tried(1)
    await stage.rule("owner_watches", "off")
    await _due(stage)
    assert (await stage.until(lambda watch: watch.reason is not None)).reason == "forbidden"
    assert BOX not in await stage.page()


async def test_maintenance_and_the_blacklist_hold_it_up(stage: Stage, parts: FakePipeline) -> None:
    await stage.rule("maintenance", "on")
    await assert_problem(await stage.put(), "maintenance", 503)
    await stage.rule("maintenance", "off")
    assert (await stage.put()).status == 201
    await stage.tried(1)
    # Blocked as a person, by number: the channel is another entry.
    await ListStore(stage.database).block(BlacklistKind.USER, f"id:{stage.vic}", reason="", now=datetime.now(UTC))
    await asyncio.sleep(RULES)
    await _due(stage)
    watch = await stage.until(lambda watch: watch.fence == 3 and watch.next_at > datetime.now(UTC))
    assert (parts.capture.captures, watch.used) == (1, 1)


async def test_it_waits_for_the_next_stream(stage: Stage, parts: FakePipeline) -> None:
    parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "The channel is not live.")
    assert (await stage.put()).status == 201
    await stage.until(lambda watch: watch.offline == 1)
    for looks in (2, 3):
        await _due(stage)
        watch = await stage.until(lambda watch, looks=looks: watch.offline == looks)
    assert (watch.used, str(watch.state)) == (0, "running")
    head = (await stage.page()).partition("</h1>")[0]
    assert "will be watched when it goes live" in head
    assert 'class="live"' not in head
    parts.resolver.error = None
    await _due(stage)
    # A capture counts when it begins, and that the channel is live is known at its end.
    await stage.until(lambda watch: (watch.used, watch.offline) == (1, 0))


@pytest.mark.parametrize("paid", [False, True])
async def test_only_free_recognizers_are_asked_unless_the_operator_says_otherwise(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paid: bool
) -> None:
    monkeypatch.setattr(RecognizerChoice, "paid", ("acrcloud",))
    parts = Parts()
    async with staged(parts, viewer, tmp_path) as stage:
        if paid:
            await stage.rule("owner_watch_paid", "on")
        assert (await stage.put()).status == 201
        await stage.tried(1)
        await until(lambda: parts.capture.captures == 1)
        assert parts.paid == int(paid)
        songs = await (await stage.api.get(f"/api/v1/channels/{VIC}/songs")).json()
        assert [play["song"]["title"] for play in songs["plays"]] == ["Night Drive"]


async def _due(stage: Stage) -> None:
    """Have the next try made at once."""
    await stage.database.change(update(watches).where(watches.c.channel == VIC).values(next_us=0))
