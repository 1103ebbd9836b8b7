"""Set lists as HLS playlists of previews: a real server, real sounds, and FFmpeg as the player."""

import asyncio
import io
import math
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from aiohttp import ClientSession
from av.audio.frame import AudioFrame

from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from fingerprint.domain.tracklist import Tracklist, TracklistEntry
from fingerprint.links.media_store import MediaStore
from fingerprint.ports import Match
from fingerprint.settings import read_settings
from server.app import make_app
from server.channels.video_set_list_store import SetListLimits, VideoSetListStore
from server.settings import ServerSettings
from tests.api_client import ask, listening
from tests.builders import song
from tests.fakes import FakePipeline
from tests.providers import link_services
from tests.providers.link_services import APPLE_ID, TRACK, LinkWorld

pytestmark = pytest.mark.integration

VIDEO = "2210987011"
DEEZER, APPLE = f"/api/v1/previews/deezer-{TRACK['id']}", f"/api/v1/previews/apple-{APPLE_ID}"
SECONDS = 2.0
RATE = 44_100


def tone(hertz: float, codec: str, container: str, rate: int, layout: str) -> bytes:
    made = io.BytesIO()
    with cast("Any", av.open(made, "w", format=container)) as target:
        stream = target.add_stream(codec, rate=rate, layout=layout)
        size = stream.frame_size or 1024
        for start in range(0, round(SECONDS * rate), size):
            times = np.arange(start, start + size) / rate
            wave = (0.4 * np.sin(2 * math.pi * hertz * times)).astype(np.float32)
            channels = 2 if layout == "stereo" else 1
            frame = AudioFrame.from_ndarray(np.tile(wave, (channels, 1)), format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return made.getvalue()


@dataclass(frozen=True, slots=True)
class Stage:
    """A server with previews at simulated services, and its database."""

    client: ClientSession
    origin: str
    database: Database
    parts: FakePipeline

    async def hear(self, title: str, preview: str | None) -> None:
        self.parts.recognizers.matches = [Match(song=song(title, preview=preview), score=0.9)]
        answer = await (await ask(self.client, {"channel": "somechannel"}, wait=30)).json()
        assert answer["status"] == "successful"

    async def store_video(self, *songs: tuple[float, str, str | None]) -> None:
        store, now = VideoSetListStore(self.database), datetime.now(UTC)
        await store.start(VIDEO, made_by="operator", channel_id=None, limits=SetListLimits(), now=now)
        entries = tuple(
            TracklistEntry(
                start=start,
                end=start + 60,
                song=song(title, preview=preview),
                score=0.9,
                recognizer="catalog",
                pieces=2,
            )
            for start, title, preview in songs
        )
        job = await store.take(owner="a", now=now, lease_seconds=60)
        assert job is not None
        tracklist = Tracklist(position=7200.0, duration=7200.0, entries=entries, channel="somechannel")
        await store.finish(job, tracklist, now=now)


async def run(*command: str) -> tuple[int, bytes, bytes]:
    if shutil.which(command[0]) is None:
        pytest.skip("the FFmpeg programs are missing (Debian: apt-get install ffmpeg)")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        out, errors = await process.communicate()
    return cast("int", process.returncode), out, errors


async def probed(address: str) -> str:
    """The streams that ffprobe finds at an address, which it has to accept."""
    status, out, errors = await run(
        "ffprobe", "-v", "error", "-show_entries", "stream=codec_type,codec_name", "-of", "csv=p=0", address
    )
    assert (status, errors) == (0, b"")
    return " ".join(sorted(set(out.decode().split())))


async def heard(address: str) -> list[float]:
    """The frequencies that FFmpeg plays at an address, one for each second, in Hz."""
    status, out, errors = await run(
        "ffmpeg", "-v", "error", "-i", address, "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"
    )
    assert (status, errors) == (0, b"")
    sound = np.frombuffer(out, np.float32)
    seconds = [sound[at : at + RATE] for at in range(0, len(sound) - RATE // 2, RATE)]
    return [float(np.abs(np.fft.rfft(each, RATE)).argmax()) for each in seconds]


@asynccontextmanager
async def staged(folder: Path) -> AsyncGenerator[Stage]:
    parts = FakePipeline(SystemClock())
    async with LinkWorld.running() as world:
        settings = read_settings(
            ServerSettings,
            world.environment("deezer,apple")
            | {"TWITCHAUDIO_DATA_DIR": str(folder), "TWITCHAUDIO_FRESH_SECONDS": "0"},
        )
        app = make_app(settings, pipeline=parts.pipeline)
        async with (
            listening(app, "127.0.0.1", 0) as url,
            ClientSession(base_url=url) as client,
            open_database(f"sqlite:///{folder / 'twitchaudio.sqlite3'}") as database,
        ):
            await MediaStore(database).put({DEEZER.rpartition("/")[2]: "", APPLE.rpartition("/")[2]: ""})
            yield Stage(client, str(url).rstrip("/"), database, parts)


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Stage]:
    monkeypatch.setattr(link_services, "PREVIEW", tone(440, "libmp3lame", "mp3", 48_000, "mono"))
    monkeypatch.setattr(link_services, "APPLE_PREVIEW", tone(1_000, "aac", "mp4", RATE, "stereo"))
    async with staged(tmp_path) as stage:
        yield stage


async def test_ffmpeg_plays_the_previews_of_a_channels_day_and_of_a_vod(stage: Stage) -> None:
    await stage.hear("Harbor, at\nNight", DEEZER)
    await stage.hear("Night Drive", None)
    await stage.hear("Lanterns", APPLE)
    await stage.store_video((65.0, "Harbor", DEEZER), (3725.0, "Night Drive", None), (5000.0, "Lanterns", APPLE))
    for address in ("/channels/somechannel/songs.m3u8", f"/api/v1/videos/{VIDEO}/set-list.m3u8"):
        assert await probed(stage.origin + address) == "aac,audio", address
        tones = await heard(stage.origin + address)
        assert (tones[0], tones[-1], len(tones)) == (440.0, 1_000.0, 2 * SECONDS), address
    text = await (await stage.client.get(f"/api/v1/videos/{VIDEO}/set-list.m3u8")).text()
    assert text.splitlines()[6:] == [
        f"# https://www.twitch.tv/videos/{VIDEO}?t=0h1m5s",
        "#EXTINF:30.000,The Builders - Harbor",
        f"{stage.origin}{DEEZER}.aac",
        f"# https://www.twitch.tv/videos/{VIDEO}?t=1h2m5s",
        "# The Builders - Night Drive: no preview",
        f"# https://www.twitch.tv/videos/{VIDEO}?t=1h23m20s",
        "#EXT-X-DISCONTINUITY",
        "#EXTINF:30.000,The Builders - Lanterns",
        f"{stage.origin}{APPLE}.aac",
        "#EXT-X-ENDLIST",
    ]


async def test_ffprobe_accepts_a_list_without_previews(stage: Stage, tmp_path: Path) -> None:
    await stage.hear("Harbor", None)
    await stage.store_video((65.0, "Harbor", None))
    for address in ("/channels/somechannel/songs.m3u8", f"/api/v1/videos/{VIDEO}/set-list.m3u8"):
        assert await probed(stage.origin + address) == "", address
        file = tmp_path / "list.m3u8"
        file.write_bytes(await (await stage.client.get(address)).read())
        assert await probed(str(file)) == "", address
