"""`twitchaudio identify FILE --whole`: the set list of a file, in every format, and what Ctrl-C leaves."""

import io
import json
import sys
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.tracklist import HeardPiece, Tracklist
from fingerprint.whole import WholeRecordings
from server.cli import identify_whole, main
from tests.builders import song
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import fill


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of two songs, and `mix.wav`: 14 s of the one, 4 s of silence, 16 s of the other."""
    folder = tmp_path_factory.mktemp("whole")
    fill(folder / "catalog", [0, 1])
    sounds = [tune(0).mono[: 14 * 16_000], np.zeros(4 * 16_000, np.float32), tune(1).mono[: 16 * 16_000]]
    with wave.open(str(folder / "mix.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes((np.concatenate(sounds) * 32_000).astype("<i2").tobytes())
    return folder


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))


def whole(folder: Path, *more: str) -> list[str]:
    return ["identify", *more, "--whole", "--catalog", str(folder / "catalog")]


def test_json_tells_where_each_song_begins(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(whole(folder, str(folder / "mix.wav"), "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["progress"], found["kind"], found["target"]) == (
        "successful",
        1,
        "file",
        "mix.wav",
    )
    assert [(each["song"]["title"], round(each["start"])) for each in found["songs"]] == [
        ("Song 0", 0),
        ("Song 1", 18),
    ]
    assert found["duration"] == pytest.approx(34, abs=0.2)


def test_chapters_of_standard_input(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (folder / "mix.wav").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert main(whole(folder, "-", "--format", "chapters")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[-1]) == ("0:00 Artist 0 - Song 0", "0:18 Artist 1 - Song 1")


async def linked(_whole: object, _target: object) -> AsyncGenerator[Tracklist]:
    found = song("Found", ids=ExternalIds(spotify_track="4cOdK2wGLETKBW3PvgPWqT"))
    yield Tracklist().after(17.0, [HeardPiece(start=5.0, end=17.0, song=found, score=0.99, recognizer="catalog")])


def test_links_for_a_services_own_playlist(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WholeRecordings, "listen", linked)
    assert main(whole(folder, str(folder / "mix.wav"), "--format", "spotify")) == 0
    assert capsys.readouterr().out == "https://open.spotify.com/track/4cOdK2wGLETKBW3PvgPWqT\n"
    assert main(whole(folder, str(folder / "mix.wav"), "--format", "youtube")) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "None of the songs has a known link to YouTube.\n")


def test_what_is_no_recording_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(whole(folder, "somechannel")) == 2
    assert main(["identify", str(folder / "mix.wav"), "--format", "csv"]) == 2
    (tmp_path / "text.mp3").write_text("no sound")
    assert main(whole(folder, str(tmp_path / "text.mp3"))) == 1
    assert "no audio" in capsys.readouterr().err.lower()


def test_ctrl_c_prints_what_was_found(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = HeardPiece(start=5.0, end=17.0, song=song("Found"), score=0.99, recognizer="catalog")

    class Interrupted:
        async def unavailable_reason(self) -> str | None:
            return None

        async def listen(self, _target: object) -> AsyncGenerator[Tracklist]:
            yield Tracklist().after(17.0, [heard])
            raise KeyboardInterrupt

    @asynccontextmanager
    async def open_pipeline(*_: object, **_more: object) -> AsyncGenerator[object]:
        yield SimpleNamespace(whole=Interrupted())

    monkeypatch.setattr(identify_whole, "open_pipeline", open_pipeline)
    assert main(whole(folder, str(folder / "mix.wav"))) == 130
    said = capsys.readouterr()
    assert "0:05  The Builders - Found" in said.out
    assert "stopped at 0:17" in said.err
