"""A server with nothing but a provider's keys names the song of a live channel, with ids and links."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession

from fingerprint.domain.landmark_points import points_of_text
from fingerprint.settings import read_settings
from server.app import listening, make_app
from server.settings import ServerSettings
from simulator.content import ChannelPlan, Content
from simulator.library import own_songs, write_flac
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from simulator.songs import SongTags
from simulator.synth import RATE
from tests.api_client import ASK, assert_problem, metric
from tests.providers.acrcloud_service import AcrCloudService, fingerprint_of
from tests.providers.answers import ACR_TRACK
from tests.unit.catalog.music import tune

SECONDS = 60.0


@asynccontextmanager
async def on_air(folder: Path) -> AsyncGenerator[Simulator]:
    """A channel `somechannel` that plays a tune over and over."""
    pcm = tune(3, SECONDS)
    times = np.arange(round(SECONDS * RATE)) / RATE
    sound = np.interp(times, np.arange(pcm.mono.size) / pcm.rate, pcm.mono).astype(np.float32)
    music = folder / "music"
    music.mkdir()
    tags = SongTags(title="Tune", artists=("Maker",), album="", label="", isrc="", date="2026")
    write_flac(music / "tune.flac", np.stack([sound, sound]), tags)
    songs = own_songs(music)
    plan = ChannelPlan(
        login="somechannel",
        display_name="SomeChannel",
        user_id=1000,
        title="music",
        game="Music",
        playlist=Playlist(items=(Item(song=songs[0]),)),
    )
    async with Simulator(cache=folder / "media", content=Content(channels=(plan,), songs=songs)) as twitch:
        yield twitch


async def asked(client: ClientSession) -> dict[str, Any]:
    response = await client.post(ASK, json={"channel": "somechannel"}, headers={"Prefer": "wait=30"})
    assert response.status == 200, await response.text()
    return await response.json()


async def providers(client: ClientSession) -> dict[str, Any]:
    response = await client.get("/readyz")
    assert response.status == 200
    return (await response.json())["providers"]


async def test_a_live_song_is_named_with_ids_and_links_until_the_budget_is_used_up(tmp_path: Path) -> None:
    pytest.importorskip("acrcloud", reason="the simulated service compares what pyacrcloud's extractor makes")
    async with on_air(tmp_path) as twitch, AcrCloudService.running() as acrcloud:
        acrcloud.teach(fingerprint_of(tune(3, SECONDS)), ACR_TRACK)
        environ = twitch.environment() | acrcloud.environment()
        environ |= {
            "TWITCHAUDIO_DATA_DIR": str(tmp_path),
            "TWITCHAUDIO_BUDGETS": "acrcloud=2/day,acrcloud=9/month",
            "TWITCHAUDIO_FRESH_SECONDS": "0",
        }
        app = make_app(read_settings(ServerSettings, environ))
        async with listening(app, "127.0.0.1", 0) as url, ClientSession(base_url=url) as client:
            answer = await asked(client)
            assert (answer["status"], answer["recognizer"]) == ("successful", "acrcloud"), answer
            song = answer["song"]
            assert (song["title"], song["artists"]) == ("Paper Lanterns", ["Mira Holt", "The Low Tide"])
            assert (song["isrc"], song["release_date"]) == ("ZZN992100042", "2021-05-14")
            assert points_of_text(song["landmarks"]), "of the sound that was sent"
            assert song["drawing"] == f"/covers/heard.{song['landmarks']}.svg"
            assert (await client.get(song["drawing"])).content_type == "image/svg+xml"
            assert song["ids"]["deezer_album"] == "900000002"
            moment = int(song["offset"])
            assert song["links"] == {
                "spotify": "https://open.spotify.com/track/AAAAAAAAAAAAAAAAAAAAA1",
                "youtube": "https://www.youtube.com/watch?v=abcdefghijk" + (f"&t={moment}" if moment else ""),
                "deezer": "https://www.deezer.com/track/900000001",
                "apple_music": None,
            }
            state = (await providers(client))["acrcloud"]
            assert state["state"] == "ready"
            assert {period: (each["used"], each["left"]) for period, each in state["budgets"].items()} == {
                "day": (1, 1),
                "month": (1, 8),
            }
            assert await metric(client, 'twitchaudio_upstream_total{step="ACRCloud",outcome="2xx"}') == 1
            assert (await asked(client))["status"] == "successful"
            over = await asked(client)
            assert over["problem"]["code"] == "recognizer-unavailable"
            assert "The budget of acrcloud (2 a day) is used up until" in over["problem"]["detail"]
            # From now on nothing is captured in vain.
            refused = await client.post(ASK, json={"channel": "somechannel"}, headers={"Prefer": "wait=30"})
            await assert_problem(refused, "recognizer-unavailable", 503)
            assert (await providers(client))["acrcloud"]["state"] == "over-budget"
    assert acrcloud.script.questions == 2
    assert {kind for kind, _ in acrcloud.asked} == {"fingerprint"}
