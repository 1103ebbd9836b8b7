"""`twitchaudio identify FILE --explain PNG`: the picture."""

import re
import wave
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from fingerprint.domain.audio import Pcm
from server.cli import main
from server.cli.canvas import BLACK, BLUE, ORANGE, Canvas, plain, shortened, text_width
from server.cli.explain import HEIGHT, SPECTROGRAM, WIDTH
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import fill


def decoded(png: bytes) -> NDArray[np.uint8]:
    """The pixels as FFmpeg reads them."""
    with av.open(BytesIO(png), "r", format="png_pipe") as media:
        pixels: NDArray[np.uint8] = next(media.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8)
        return pixels


def write_wav(path: Path, pcm: Pcm) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(pcm.samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(pcm.rate)
        file.writeframes((np.clip(pcm.samples.T, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def count(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> int:
    return int((pixels == np.array(color, np.uint8)).all(axis=2).sum())


def test_a_canvas_is_the_png_that_others_read() -> None:
    canvas = Canvas(90, 40)
    canvas.rectangle(5, 6, 20, 10, ORANGE)
    canvas.line((0, 39), (89, 39), BLUE)
    canvas.line((-50, -50), (500, 500), BLUE, 0.5)
    canvas.text(40, 10, "Ünïque ☃")
    canvas.dot(300, 300, 3, BLUE)
    pixels = decoded(canvas.png())
    assert np.array_equal(pixels, canvas.pixels)
    assert tuple(pixels[7, 20]) == ORANGE
    assert tuple(pixels[39, 5]) == BLUE
    assert tuple(pixels[0, 60]) == BLACK


def test_text_is_plain_and_fits() -> None:
    assert plain("Motörhead - Überkill") == "MOTORHEAD - UBERKILL"
    assert shortened("a long title of a song", 120, 2) == "A LONG..."
    assert shortened("short", 120, 2) == "SHORT"
    assert text_width("four", 3) == 4 * 6 * 3


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    fill(tmp_path / "catalog", range(4))
    return tmp_path / "catalog"


def matching(said: str) -> float:
    """The share of landmarks that match, as it was said."""
    found = re.search(r": (\d+) of (\d+) landmarks match", said)
    assert found is not None
    return int(found[1]) / int(found[2])


def test_the_picture_shows_what_matches(catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_wav(tmp_path / "clip.wav", mixed(tune(2).cut(5, 6), noise(1, 6), 0.3))
    picture = tmp_path / "out.png"
    assert main(["identify", str(file), "--catalog", str(catalog), "--explain", str(picture)]) == 0
    said = capsys.readouterr()
    assert "Song 2" in said.out
    assert "landmarks match. It is Artist 2 - Song 2" in said.err
    pixels = decoded(picture.read_bytes())
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    left, top, width, height = SPECTROGRAM
    assert count(pixels[top : top + height, left : left + width], ORANGE) > 100
    # Another file against the same catalog has nothing that matches by more than chance.
    other = write_wav(tmp_path / "other.wav", tune(99).cut(5, 6))
    assert main(["identify", str(other), "--catalog", str(catalog), "--explain", str(picture)]) == 0
    unmatched = capsys.readouterr().err
    assert "No match (below 85%)" in unmatched
    assert matching(said.err) > 3 * matching(unmatched)


def test_a_long_file_is_shown_where_its_song_is(
    catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [noise(1, 12).samples, tune(1).samples]
    mix = Pcm(np.ascontiguousarray(np.concatenate(parts, axis=1)))
    file = write_wav(tmp_path / "long.wav", mix)
    picture = tmp_path / "out.png"
    assert main(["identify", str(file), "--catalog", str(catalog), "--explain", str(picture)]) == 0
    assert "It is Artist 1 - Song 1" in capsys.readouterr().err
    assert picture.stat().st_size > 10_000


def test_only_one_file_is_explained(catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(tmp_path / "out.png")
    file = str(write_wav(tmp_path / "clip.wav", tune(1).cut(0, 3)))
    options = ["--catalog", str(catalog), "--explain", picture]
    assert main(["identify", "somechannel", *options]) == 2
    assert main(["identify", file, file, *options]) == 2
    assert capsys.readouterr().err.count("--explain takes one audio or video file") == 2
    assert not Path(picture).exists()


def test_a_picture_that_cannot_be_written_is_said(
    catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(write_wav(tmp_path / "clip.wav", tune(1).cut(0, 6)))
    picture = tmp_path / "missing" / "out.png"
    assert main(["identify", file, "--catalog", str(catalog), "--explain", str(picture)]) == 1
    assert capsys.readouterr().err.endswith(
        f"The picture {picture} cannot be written: No such file or directory.\n"
    )
