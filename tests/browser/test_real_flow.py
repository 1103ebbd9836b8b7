"""The whole way in a browser: real server, real capture and recognition, on the simulated Twitch."""

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from fingerprint.catalog.ingest import ingest
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from fingerprint.upstream_settings import TwitchSettings
from server.app import listening, make_app
from server.settings import ServerSettings
from server.web.words import WORDS
from simulator.content import ChannelPlan, ClipPlan, Content
from simulator.library import composed_songs
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from simulator.songs import SCORES
from tests.browser.bidi.browser import Browser
from tests.browser.bidi.tab import Tab
from tests.browser.bidi.user_context import Look, UserContext, user_context
from tests.kept_work import SIMULATED

pytestmark = pytest.mark.asyncio(loop_scope="session")

SLUG = "SleepyGiftedBlueKettlePogChamp-KbkBXYt3lOk3jy8-"


@dataclass(frozen=True, slots=True)
class Town:
    """The simulated Twitch and the server that listens to it."""

    twitch: Simulator
    address: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    folder: Path = tmp_path_factory.mktemp("town")
    songs = composed_songs(SIMULATED, SCORES[:2])
    live, cut = (Playlist(items=(Item(song=song, start_seconds=10, seconds=40),)) for song in songs)
    plans = [
        ChannelPlan(login=login, display_name=login, user_id=number, title="Music", game="Music", playlist=live)
        for number, login in enumerate(("neonharbour", "advertiser", "sleeper"), 1)
    ]
    plans[-1] = dataclasses.replace(plans[-1], live=False)
    clip = ClipPlan(slug=SLUG, login="neonharbour", title="that drop", playlist=cut)
    content = Content(channels=tuple(plans), clips=(clip,), songs=songs)
    await asyncio.to_thread(ingest, folder / "data" / "catalog", [song.path for song in songs])
    async with Simulator(cache=SIMULATED, content=content) as twitch:
        pipeline = dataclasses.replace(
            read_settings(PipelineSettings, {"TWITCHAUDIO_DATA_DIR": str(folder / "data")}),
            twitch=read_settings(TwitchSettings, twitch.environment()),
        )
        async with listening(make_app(ServerSettings(pipeline=pipeline)), "127.0.0.1", 0) as address:
            yield Town(twitch, str(address).rstrip("/"))


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium: Browser, town: Town) -> AsyncIterator[UserContext]:
    async with user_context(chromium, town.address, Look(390, 844)) as context:
        yield context
    assert context.complaints == []


async def ask(tab: Tab, text: str) -> None:
    await tab.fill("#target", text)
    await tab.click("#ask button :: Identify")


async def test_a_live_channel_is_named_and_stands_in_its_set_list(visitor: UserContext) -> None:
    tab, tags = await visitor.open(), SCORES[0].tags
    await ask(tab, "https://www.twitch.tv/NeonHarbour")
    await tab.wait_for_visible(f"h2 :: {tags.title}")
    assert await tab.text(".artists") == ", ".join(tags.artists)
    assert "into the song" in (await tab.text(".ends") or "")
    assert re.search(r"Find \d+ ms · Listen .* · Total", await tab.text(".small") or "")
    await tab.click("a :: Set list")
    await tab.wait_for_visible(f".plays li :: {tags.title}")
    assert await tab.count(".plays li") == 1


async def test_a_clip_is_named_and_at_once_the_second_time(visitor: UserContext) -> None:
    tab, title = await visitor.open(), SCORES[1].tags.title
    await ask(tab, SLUG)
    await tab.wait_for_visible(f"h2 :: {title}")
    first = await tab.address()
    await visitor.go(tab, "/")
    await ask(tab, f"https://www.twitch.tv/neonharbour/clip/{SLUG}?filter=clips")
    await tab.wait_for_visible(f"h2 :: {title}")
    assert await tab.address() == first


async def test_a_channel_that_is_off_an_unknown_one_and_ads_are_told_apart(
    visitor: UserContext, town: Town
) -> None:
    tab = await visitor.open()
    town.twitch.channel("advertiser").start_ad(60.0, started_ago=40.0)
    for text, code in (
        ("sleeper", "not-live"),
        ("nobody_at_all", "channel-not-found"),
        ("advertiser", "ad-break"),
    ):
        await ask(tab, text)
        heading = next(words.heading for each, words in WORDS.items() if each == code)
        await tab.wait_for_visible(f"h2 :: {heading}")
    await tab.wait_for_text("#wait", "s.")
