"""Which seconds an answer is about, and when they were: asked over HTTP, of a simulated Twitch that knows."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from fingerprint.catalog.ingest import ingest
from fingerprint.settings import read_settings
from server.app import listening, make_app
from server.settings import ServerSettings
from simulator.content import ChannelPlan, ClipPlan, Content, VideoPlan
from simulator.library import own_songs
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from tests.api_client import ask
from tests.integration.test_clip_songs import write_song

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SONG_SECONDS = 20.0
LOGIN, SLUG, VIDEO = "momentary", "MomentaryClipOfOneSong-abc_DEF-123", "2210987555"
LATE_SLUG = "LateClipOfOneSong-abc_DEF-12345"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moments")
    (folder / "music").mkdir()
    write_song(folder / "music", 1)
    ingest(folder / "data" / "catalog", [folder / "music"], workers=1)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twitch(folder: Path) -> AsyncGenerator[Simulator]:
    songs = own_songs(folder / "music")
    playlist = Playlist(items=(Item(song=songs[0]),))
    channel = ChannelPlan(login=LOGIN, display_name="M", user_id=71_000_555, title="", game="", playlist=playlist)
    clip = ClipPlan(
        slug=SLUG, login=LOGIN, title="", playlist=Playlist(items=(Item(song=songs[0], seconds=12.0),))
    )
    late = dataclasses.replace(clip, slug=LATE_SLUG)
    thrice = Playlist(items=playlist.items * 3)
    video = VideoPlan(video_id=VIDEO, login=LOGIN, title="", playlist=thrice)
    content = Content(channels=(channel,), clips=(clip, late), videos=(video,), songs=songs)
    async with Simulator(cache=folder / "media", content=content) as simulator:
        yield simulator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(twitch: Simulator, folder: Path) -> AsyncGenerator[ClientSession]:
    environment = twitch.environment() | {"TWITCHAUDIO_DATA_DIR": str(folder / "data")}
    app = make_app(read_settings(ServerSettings, environment))
    async with listening(app, "127.0.0.1", 0) as address, ClientSession(base_url=address) as client:
        yield client


async def answer(api: ClientSession, body: dict[str, object]) -> dict[str, Any]:
    """The finished identification; a machine that has no time left is asked again."""
    async with asyncio.timeout(100):
        while (response := await ask(api, body, wait=30)).status != 200:
            assert response.status in (202, 503), await response.text()
            await asyncio.sleep(1)
        return await response.json()


@pytest.mark.parametrize("prefetch", [False, True])
async def test_a_live_answer_tells_when_the_song_was_where(
    api: ClientSession, twitch: Simulator, prefetch: bool
) -> None:
    twitch.configure_channel(LOGIN, prefetch=prefetch)
    found = await answer(api, {"channel": LOGIN})
    assert found["status"] == "successful", found["problem"]
    assert found["captured_from"] is None
    assert 5.9 <= found["captured_seconds"] <= 8.2
    heard_at = datetime.fromisoformat(found["captured_at"])
    playing = twitch.now_playing(LOGIN, heard_at)
    assert playing is not None
    assert found["song"]["title"] == playing.song.tags.title
    assert found["song"]["offset"] == pytest.approx(playing.offset_seconds, abs=0.15)
    asked_at = datetime.fromisoformat(found["created_at"])
    assert (asked_at - heard_at).total_seconds() < 8.5, "the newest seconds"
    finished_at = datetime.fromisoformat(found["finished_at"])
    heard_until = heard_at + timedelta(seconds=found["captured_seconds"])
    assert heard_until <= finished_at + timedelta(seconds=0.5), "nothing that was not broadcast yet"


async def test_an_answer_about_a_video_tells_where_in_it_the_sound_begins(api: ClientSession) -> None:
    found = await answer(api, {"url": f"https://www.twitch.tv/videos/{VIDEO}?t=0h0m35s"})
    assert found["status"] == "successful", found["problem"]
    assert found["at"] == 35.0
    assert found["captured_from"] == pytest.approx(30.0, abs=0.1), "where its segment begins"
    assert found["captured_at"] is None
    assert found["song"]["offset"] == pytest.approx(found["captured_from"] % SONG_SECONDS, abs=0.3)


async def test_an_answer_about_a_clip_is_about_all_of_it(api: ClientSession) -> None:
    found = await answer(api, {"clip": SLUG})
    assert found["status"] == "successful", found["problem"]
    assert found["captured_from"] == 0.0
    assert found["captured_seconds"] == pytest.approx(12.0, abs=0.1)


async def test_a_clip_whose_sound_begins_late_tells_where(api: ClientSession, twitch: Simulator) -> None:
    twitch.clip(LATE_SLUG).configure(sound_from=4.0)
    found = await answer(api, {"clip": LATE_SLUG})
    assert found["status"] == "successful", found["problem"]
    assert found["captured_from"] == pytest.approx(4.0, abs=0.1)
    assert found["captured_seconds"] == pytest.approx(8.0, abs=0.1)
    assert found["song"]["position"] == pytest.approx(4.0, abs=0.1)
    assert found["song"]["offset"] == pytest.approx(4.0, abs=0.3)


async def test_without_sound_at_the_moment_the_nearest_is_told(api: ClientSession, twitch: Simulator) -> None:
    twitch.video(VIDEO).configure(broken="5", broken_as="empty")
    found = await answer(api, {"video": VIDEO, "at": 58})
    assert found["status"] == "successful", found["problem"]
    assert found["captured_from"] == pytest.approx(30.0, abs=0.1)
    assert found["captured_seconds"] == pytest.approx(20.0, abs=0.1)
    assert found["song"]["offset"] == pytest.approx(10.0, abs=0.3)


async def test_an_advertisement_is_reported_with_the_seconds_left(api: ClientSession, twitch: Simulator) -> None:
    twitch.configure_channel(LOGIN, window_segments=4)
    twitch.channel(LOGIN).start_ad(60.0, started_ago=20.0)
    found = await answer(api, {"channel": LOGIN})
    problem = found["problem"]
    assert (found["status"], problem["code"]) == ("failed", "ad-break")
    assert 30 <= problem["retry_after_seconds"] <= 50
    assert "more seconds" in problem["detail"]
    assert found["song"] is None
    assert found["captured_seconds"] is None
