"""Every recognizer keeps the port's promises."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Match, Recognizer
from fingerprint.recognizers.catalog import CatalogRecognizer
from fingerprint.settings import read_settings
from fingerprint.wiring import open_members
from tests.providers.acrcloud_service import FRAME_MS, AcrCloudService, compare, fingerprint_of, points
from tests.providers.audd_service import AuddService
from tests.unit.catalog.music import noise, tune
from tests.unit.catalog.shelf import fill

Adapter = Callable[[Path], Recognizer[Any]]


def catalog(folder: Path) -> CatalogRecognizer:
    """Knows `tune(0)` to `tune(5)` by the titles "Song 0" to "Song 5"."""
    fill(folder, range(6))
    return CatalogRecognizer(folder)


@asynccontextmanager
async def knowing_catalog(folder: Path) -> AsyncGenerator[Recognizer[Any]]:
    yield catalog(folder)


@asynccontextmanager
async def knowing_catalog_in_workers(folder: Path) -> AsyncGenerator[Recognizer[Any]]:
    fill(folder, range(6))
    async with RecognitionPool(folder, workers=1) as pool:
        yield CatalogRecognizer(folder, pool=pool)


@asynccontextmanager
async def knowing_acrcloud(_folder: Path) -> AsyncGenerator[Recognizer[Any]]:
    """Asks a simulated service that was taught the same tunes."""
    pytest.importorskip("acrcloud", reason="the simulated service compares what pyacrcloud's extractor makes")
    async with AcrCloudService.running() as service:
        for number in range(6):
            track = {"title": f"Song {number}", "artists": [{"name": f"Artist {number}"}]}
            service.teach(fingerprint_of(tune(number)), track)
        settings = read_settings(PipelineSettings, service.environment() | {"TWITCHAUDIO_RECOGNIZERS": "acrcloud"})
        async with open_members(settings) as members:
            yield members[0].recognizer


@asynccontextmanager
async def knowing_audd(_folder: Path) -> AsyncGenerator[Recognizer[Any]]:
    """Asks a simulated service that compares sounds with the same tunes as ACRCloud's does."""
    pytest.importorskip("acrcloud", reason="the simulated service compares what pyacrcloud's extractor makes")
    known = {number: points(fingerprint_of(tune(number))) for number in range(6)}

    def found(pcm: Pcm) -> dict[str, Any] | None:
        asked = points(fingerprint_of(pcm))
        for number, song in known.items():
            share, shift = compare(asked, song)
            if share > 0.3:
                moment = f"00:{round(shift * FRAME_MS / 1000):02}"
                return {"title": f"Song {number}", "artist": f"Artist {number}", "timecode": moment, "score": 99}
        return None

    async with AuddService.running() as service:
        service.compare = found
        settings = read_settings(PipelineSettings, service.environment() | {"TWITCHAUDIO_RECOGNIZERS": "audd"})
        async with open_members(settings) as members:
            yield members[0].recognizer


KNOWING: dict[str, Callable[[Path], AbstractAsyncContextManager[Recognizer[Any]]]] = {
    "catalog": knowing_catalog,
    "catalog in workers": knowing_catalog_in_workers,
    "acrcloud": knowing_acrcloud,
    "audd": knowing_audd,
}
UNCONFIGURED: dict[str, Adapter] = {"catalog": CatalogRecognizer}


@pytest.fixture(params=KNOWING)
async def recognizer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Recognizer[Any]]:
    async with KNOWING[request.param](tmp_path / "data") as opened:
        yield opened


async def ask(recognizer: Recognizer[Any], pcm: Pcm) -> list[Match]:
    return list(await recognizer.recognize(await asyncio.to_thread(recognizer.prepare, Recording(pcm=pcm))))


async def test_it_names_a_song_and_where_in_it_we_are(recognizer: Recognizer[Any]) -> None:
    assert await recognizer.unavailable_reason() is None
    (match,) = await ask(recognizer, tune(3).cut(7, 6))
    assert match.song.title == "Song 3"
    assert match.song.artists == ("Artist 3",)
    assert match.song.offset_seconds == pytest.approx(7, abs=0.1 if recognizer.name == "catalog" else 0.5)
    assert match.song.position_seconds == 0
    assert 0.9 < match.score <= 1


async def test_the_best_match_is_first_and_each_song_is_there_once(tmp_path: Path) -> None:
    recognizer = catalog(tmp_path)
    parts = [tune(1).samples, tune(4).samples]
    matches = await ask(recognizer, Pcm(np.ascontiguousarray(np.concatenate(parts, axis=1))))
    assert sorted(match.song.title for match in matches) == ["Song 1", "Song 4"]
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    positions = {match.song.title: match.song.position_seconds for match in matches}
    assert positions["Song 1"] == 0
    assert positions["Song 4"] == pytest.approx(20, abs=5)


@pytest.mark.parametrize(
    "pcm", [noise(1, 6.0), tune(50).cut(0, 6), Pcm(np.zeros((1, 96_000), np.float32)), noise(1, 0.05)]
)
async def test_what_it_does_not_know_is_no_match(recognizer: Recognizer[Any], pcm: Pcm) -> None:
    try:
        assert await ask(recognizer, pcm) == []
    except TwitchAudioError as error:
        # Providers are not asked about silence.
        assert error.code is ProblemCode.NO_AUDIO  # noqa: PT017 - either is right
        assert recognizer.name != "catalog"


@pytest.mark.parametrize("name", UNCONFIGURED)
async def test_it_says_in_a_sentence_what_is_missing(name: str, tmp_path: Path) -> None:
    text = await UNCONFIGURED[name](tmp_path / "nothing").unavailable_reason()
    assert text is not None
    assert text.endswith(".")


async def test_a_catalog_match_says_where_the_track_is(tmp_path: Path) -> None:
    (match,) = await ask(catalog(tmp_path), tune(2).cut(3, 6))
    assert match.song.catalog is not None
    assert match.song.catalog.track_id == "000000000002"
    assert match.song.catalog.path == "/music/2.flac"
    assert match.song.duration_seconds == pytest.approx(20)


async def test_a_catalog_that_is_filled_later_is_seen(tmp_path: Path) -> None:
    recognizer = CatalogRecognizer(tmp_path)
    assert await recognizer.unavailable_reason() is not None
    fill(tmp_path, [1])
    assert await recognizer.unavailable_reason() is None
    assert [match.song.title for match in await ask(recognizer, tune(1).cut(2, 6))] == ["Song 1"]


async def test_a_damaged_catalog_is_said_to_be_damaged(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    (tmp_path / "manifest.json").write_text("{")
    text = await CatalogRecognizer(tmp_path).unavailable_reason()
    assert text is not None
    assert "damaged" in text
