"""The whole way in a browser: real server, real capture and recognition, on the simulated Twitch."""

import dataclasses
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from fingerprint.catalog.ingest import ingest
from fingerprint.media.decode import decode_blocks
from fingerprint.settings import PipelineSettings, TwitchSettings, read_settings
from server.app import listening, make_app
from server.settings import ServerSettings
from server.web.words import WORDS
from simulator.content import ChannelPlan, ClipPlan, Content
from simulator.library import composed_songs
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from simulator.songs import SCORES
from tests.browser.conftest import Watched, watch

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
    songs = composed_songs(folder, SCORES[:2])
    live, cut = (Playlist(items=(Item(song=song, start_seconds=10, seconds=40),)) for song in songs)
    plans = [
        ChannelPlan(login=login, display_name=login, user_id=number, title="Music", game="Music", playlist=live)
        for number, login in enumerate(("neonharbour", "advertiser", "sleeper"), 1)
    ]
    plans[-1] = dataclasses.replace(plans[-1], live=False)
    clip = ClipPlan(slug=SLUG, login="neonharbour", title="that drop", playlist=cut)
    content = Content(channels=tuple(plans), clips=(clip,), songs=songs)
    ingest(folder / "data" / "catalog", [song.path for song in songs], decode_blocks)
    async with Simulator(cache=folder / "media", content=content) as twitch:
        pipeline = dataclasses.replace(
            read_settings(PipelineSettings, {"TWITCHAUDIO_DATA_DIR": str(folder / "data")}),
            twitch=read_settings(TwitchSettings, twitch.environment()),
        )
        async with listening(make_app(ServerSettings(pipeline=pipeline)), "127.0.0.1", 0) as address:
            yield Town(twitch, str(address).rstrip("/"))


@pytest_asyncio.fixture(loop_scope="session")
async def opened(chromium: Browser, town: Town) -> AsyncIterator[Watched]:
    context = await chromium.new_context(base_url=town.address, viewport={"width": 390, "height": 844})
    context.set_default_timeout(15_000)
    watched = await watch(context, town.address)
    await watched.page.goto("/")
    yield watched
    await context.close()
    assert watched.complaints == []


async def ask(page: Page, text: str) -> None:
    await page.get_by_label("Channel, clip or Twitch address").fill(text)
    await page.get_by_role("button", name="Identify").click()


async def test_a_live_channel_is_named_and_stands_in_its_set_list(opened: Watched) -> None:
    page, tags = opened.page, SCORES[0].tags
    await ask(page, "https://www.twitch.tv/NeonHarbour")
    await expect(page.get_by_role("heading", name=tags.title)).to_be_visible(timeout=15_000)
    await expect(page.locator(".artists")).to_have_text(", ".join(tags.artists))
    await expect(page.locator(".ends")).to_contain_text("into the song")
    await expect(page.locator(".small")).to_contain_text(re.compile(r"Find \d+ ms · Listen .* · In all"))
    await page.get_by_role("link", name="Set list").click()
    await expect(page.locator(".plays li")).to_have_count(1)
    await expect(page.locator(".plays")).to_contain_text(tags.title)


async def test_a_clip_is_named_and_at_once_the_second_time(opened: Watched, town: Town) -> None:
    page, title = opened.page, SCORES[1].tags.title
    await ask(page, SLUG)
    await expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=15_000)
    first = page.url
    await page.goto("/")
    await ask(page, f"https://www.twitch.tv/neonharbour/clip/{SLUG}?filter=clips")
    await expect(page.get_by_role("heading", name=title)).to_be_visible()
    assert page.url == first


async def test_a_channel_that_is_off_an_unknown_one_and_ads_are_told_apart(opened: Watched, town: Town) -> None:
    page = opened.page
    town.twitch.channel("advertiser").start_ad(60.0, started_ago=40.0)
    for text, code in (
        ("sleeper", "not-live"),
        ("nobody_at_all", "channel-not-found"),
        ("advertiser", "ad-break"),
    ):
        await ask(page, text)
        heading = next(words.heading for each, words in WORDS.items() if each == code)
        await expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=15_000)
    await expect(page.locator("#wait")).to_contain_text("s.")
