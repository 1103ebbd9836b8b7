"""A clip with several songs, through the whole pipeline: each is named, with its position."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fingerprint.catalog.ingest import ingest
from fingerprint.domain.identification import Identification, Kind, Status, new_identification_id
from fingerprint.domain.targets import ClipTarget
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from fingerprint.upstream_settings import TwitchSettings
from fingerprint.wiring import open_pipeline
from simulator.content import ClipPlan, Content
from simulator.library import SongFile, own_songs, write_flac
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from simulator.songs import SongTags
from simulator.synth import RATE
from tests.builders import NOON
from tests.providers.acrcloud_service import AcrCloudService, fingerprint_of
from tests.providers.answers import ACR_TRACK
from tests.unit.catalog.music import tune

EACH_SECONDS = 15.0
SLUG = "TwoSongsInOneClip-abc_DEF-123"


def write_song(folder: Path, number: int) -> None:
    pcm = tune(number)
    samples = np.asarray(pcm.mono, dtype=np.float64)
    times = np.arange(round(pcm.duration_seconds * RATE)) / RATE
    sound = np.interp(times, np.arange(samples.size) / pcm.rate, samples).astype(np.float32)
    tags = SongTags(title=f"Song {number}", artists=("Maker",), album="", label="", isrc="", date="2026")
    write_flac(folder / f"{number}.flac", np.stack([sound, sound]), tags)


async def identified(folder: Path, songs: Sequence[SongFile], environment: Mapping[str, str]) -> Identification:
    """What is found in a clip of 15 s of each of the songs."""
    heard = tuple(Item(song=song, start_seconds=2.0, seconds=EACH_SECONDS) for song in songs)
    clip = ClipPlan(slug=SLUG, login="somechannel", title="two songs", playlist=Playlist(items=heard))
    async with Simulator(cache=folder / "media", content=Content(clips=(clip,), songs=tuple(songs))) as twitch:
        environment = {**twitch.environment(), **environment, "TWITCHAUDIO_DATA_DIR": str(folder / "data")}
        settings = dataclasses.replace(
            read_settings(PipelineSettings, environment), twitch=read_settings(TwitchSettings, environment)
        )
        asked = Identification(id=new_identification_id(), kind=Kind.CLIP, target=SLUG, created_at=NOON)
        async with open_pipeline(settings) as pipeline:
            answer = await pipeline.identify(asked, ClipTarget(SLUG))
            for _ in range(3):  # a machine that has no time left is asked again
                if answer.problem is None or answer.problem.retry_after_seconds is None:
                    break
                answer = await pipeline.identify(asked, ClipTarget(SLUG))
    return answer


async def test_every_song_of_a_clip_is_named_with_its_position(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for number in (1, 2):
        write_song(music, number)
    await asyncio.to_thread(ingest, tmp_path / "data" / "catalog", [music], workers=1)
    answer = await identified(tmp_path, own_songs(music), {})
    assert answer.status is Status.SUCCESSFUL, answer.problem
    assert [song.title for song in answer.songs] == ["Song 1", "Song 2"]
    assert answer.songs[0].position_seconds == pytest.approx(0.0, abs=1.0)
    assert answer.songs[1].position_seconds == pytest.approx(EACH_SECONDS, abs=6.0)
    assert answer.captured_seconds == pytest.approx(2 * EACH_SECONDS, abs=0.2)


@pytest.mark.parametrize(("most", "questions"), [("5", 3), ("1", 1)])
async def test_a_provider_is_asked_about_all_of_a_clip_or_as_much_as_the_operator_pays_for(
    tmp_path: Path, most: str, questions: int
) -> None:
    pytest.importorskip("acrcloud", reason="the simulated service compares what pyacrcloud's extractor makes")
    music = tmp_path / "music"
    music.mkdir()
    for number in (1, 2):
        write_song(music, number)
    async with AcrCloudService.running() as acrcloud:
        other: dict[str, Any] = {**ACR_TRACK, "title": "Song 2", "external_ids": {}}
        for number, track in ((1, ACR_TRACK), (2, other)):
            acrcloud.teach(fingerprint_of(tune(number)), track)
        environment = acrcloud.environment() | {"TWITCHAUDIO_CLIP_PARTS": most}
        answer = await identified(tmp_path, own_songs(music), environment)
    assert answer.status is Status.SUCCESSFUL, answer.problem
    assert acrcloud.script.questions == questions
    if questions > 1:
        assert [song.title for song in answer.songs] == [ACR_TRACK["title"], "Song 2"]
        assert answer.songs[0].position_seconds == 0.0
        assert answer.songs[1].position_seconds == pytest.approx(18.0, abs=9.0)
    else:
        assert len(answer.songs) == 1
