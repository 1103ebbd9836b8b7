"""Real music under real speech: soundtracks out of Debian packages, identified through the simulated live stream.

The channels play the music with espeak-ng talking over it, as loud; the catalog holds the music alone.
"""

import asyncio
import dataclasses
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import ingest
from fingerprint.clock import SystemClock
from fingerprint.domain.identification import Identification, Kind, Status, new_identification_id
from fingerprint.domain.targets import ChannelTarget
from fingerprint.media.decode import decode_blocks
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from fingerprint.upstream_settings import TwitchSettings
from fingerprint.wiring import open_pipeline
from simulator.content import ChannelPlan, Content
from simulator.library import SongFile, own_songs, write_flac
from simulator.media import read_sound
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from simulator.synth import RATE, Sound
from tests.fetched import wait_until_fetched

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 40.0
SPEECH: Final = (
    "Hello everybody and welcome back to the stream. Tonight we are going to finish this boss, I promise. "
    "Thanks for the follow, and thanks for the subscription, that means a lot to me. "
    "Wait, did you see that? He came out of nowhere. Chat, what is the name of this song? I have no idea at all. "
)


@pytest.fixture(scope="module")
def music() -> list[Path]:
    wait_until_fetched()
    files = sorted((ROOT / ".cache" / "music").rglob("*.ogg"))
    if len(files) < 10:
        pytest.skip("real music is missing: scripts/test fetches it from Debian packages where there is apt-get")
    return files


@pytest.fixture(scope="module")
def speech_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("espeak-ng is missing (Debian: apt-get install espeak-ng)")
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    subprocess.run([program, "-s", "170", "-w", str(path), SPEECH * 3], check=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def speech(speech_file: Path) -> Sound:
    return read_sound(speech_file, seconds=SECONDS)


def loudness(sound: Sound) -> float:
    """Root mean square of what is not silence."""
    loud = np.abs(sound) > 0.01
    return float(np.sqrt(np.mean(np.square(sound[loud])))) if loud.any() else 0.0


def spoken_over(song: SongFile, start: float, speech: Sound, folder: Path) -> SongFile:
    """Part of a song with the speech as loud as the music, as a file of its own."""
    sound = read_sound(song.path, start, SECONDS)
    voice = speech[:, : sound.shape[1]] * (loudness(sound) / loudness(speech))
    mixed = sound.copy()
    mixed[:, : voice.shape[1]] += voice
    path = folder / f"{song.path.parent.name}-{song.path.stem}.flac"
    write_flac(path, mixed * (0.9 / np.abs(mixed).max()), song.tags)
    return dataclasses.replace(song, path=path, seconds=mixed.shape[1] / RATE)


@asynccontextmanager
async def on_air(songs: list[SongFile], cache: Path) -> AsyncGenerator[Simulator]:
    plans = tuple(
        ChannelPlan(
            login=f"channel{number}",
            display_name=f"Channel{number}",
            user_id=1000 + number,
            title="with talk",
            game="Games",
            playlist=Playlist(items=(Item(song=song),)),
        )
        for number, song in enumerate(songs)
    )
    async with Simulator(cache=cache, content=Content(channels=plans, songs=tuple(songs))) as simulator:
        yield simulator


async def test_real_music_is_named_under_real_speech(music: list[Path], speech: Sound, tmp_path: Path) -> None:
    report = await asyncio.to_thread(ingest, tmp_path / "data" / "catalog", music)
    assert report.added + report.already == len(music)
    assert not report.skipped
    known = {song.path: song for song in own_songs(ROOT / ".cache" / "music") if song.path in music}
    played = [song for song in known.values() if song.seconds > SECONDS + 25][:4]
    assert len(played) == 4
    talked = [spoken_over(song, 20.0, speech, tmp_path) for song in played]
    async with on_air(talked, tmp_path / "media") as simulator:
        settings = dataclasses.replace(
            read_settings(PipelineSettings, {"TWITCHAUDIO_DATA_DIR": str(tmp_path / "data")}),
            twitch=read_settings(TwitchSettings, simulator.environment()),
        )
        async with open_pipeline(settings) as pipeline:
            for number, song in enumerate(played):
                target = ChannelTarget(f"channel{number}")
                asked = Identification(
                    id=new_identification_id(),
                    kind=Kind.STREAM,
                    target=target.login,
                    created_at=SystemClock().now(),
                )
                answer = await pipeline.identify(asked, target)
                assert answer.status is Status.SUCCESSFUL, (song.path.name, answer.problem)
                assert answer.song is not None
                assert answer.song.catalog is not None
                assert answer.song.catalog.path is not None
                assert Path(answer.song.catalog.path).name == song.path.name
                assert Path(answer.song.catalog.path).parent.name == song.path.parent.name


def test_speech_alone_is_no_song(music: list[Path], speech_file: Path, tmp_path: Path) -> None:
    ingest(tmp_path / "catalog", music)
    pcm = next(iter(decode_blocks(speech_file)))
    snapshot = Catalog(tmp_path / "catalog").snapshot()
    for start in (0.0, 8.0, 16.0, 24.0):
        assert identify(snapshot, prepare(pcm.cut(start, 6.0))) == []
