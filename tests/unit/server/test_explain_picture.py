"""`twitchaudio identify FILE --explain SVG`: the picture."""

import re
import wave
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

import numpy as np
import pytest

from fingerprint.domain.audio import Pcm
from server.cli import main
from server.cli.svg import BLUE, ORANGE, Svg, shortened, text_width
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import fill


def elements(svg: str, name: str) -> list[Element]:
    return [element for element in ET.fromstring(svg).iter() if element.tag.endswith("}" + name)]


def paths(svg: str, color: str) -> str:
    """The paths of one color as one."""
    drawn = [path for path in elements(svg, "path") if color in (path.get("stroke"), path.get("fill"))]
    return "".join(path.get("d", "") for path in drawn)


def write_wav(path: Path, pcm: Pcm) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(pcm.samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(pcm.rate)
        file.writeframes((np.clip(pcm.samples.T, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def test_a_picture_is_svg_that_holds_what_was_drawn() -> None:
    svg = Svg(90, 40)
    svg.rectangle(5, 6, 20.04, 10, ORANGE)
    svg.lines([((0, 39), (89, 39)), ((1, 2), (3, 4.25))], BLUE, opacity=0.5)
    svg.text(40, 10, "Ünïque ☃ <&> \x00", anchor="end")
    svg.dots([(30, 30)], 3, BLUE)
    assert [element.get("width") for element in elements(svg.document(), "rect")] == ["90", "20"]
    assert paths(svg.document(), BLUE) == "M0 39L89 39M1 2L3 4.2M27 27h6v6h-6z"
    (text,) = elements(svg.document(), "text")
    assert (text.text, text.get("text-anchor")) == ("Ünïque ☃ <&> ?", "end")


def test_text_is_shortened_to_fit() -> None:
    assert shortened("a long title of a song", 60, 10) == "a long ti…"
    assert shortened("short", 60, 10) == "short"
    assert text_width("four", 20) == pytest.approx(44)


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
    picture = tmp_path / "out.svg"
    assert main(["identify", str(file), "--catalog", str(catalog), "--explain", str(picture)]) == 0
    said = capsys.readouterr()
    assert "Song 2" in said.out
    assert "landmarks match. It is Artist 2 - Song 2" in said.err
    drawn = picture.read_text(encoding="utf-8")
    assert paths(drawn, ORANGE).count("L") > 100
    assert any(text.text == "Artist 2 - Song 2" for text in elements(drawn, "text"))
    # Another file against the same catalog has nothing that matches by more than chance.
    other = write_wav(tmp_path / "other.wav", tune(99).cut(5, 6))
    assert main(["identify", str(other), "--catalog", str(catalog), "--explain", str(picture)]) == 0
    unmatched = capsys.readouterr().err
    assert "No match (below 93%)" in unmatched
    assert matching(said.err) > 3 * matching(unmatched)


def test_a_long_file_is_shown_where_its_song_is(
    catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [noise(1, 12).samples, tune(1).samples]
    mix = Pcm(np.ascontiguousarray(np.concatenate(parts, axis=1)))
    file = write_wav(tmp_path / "long.wav", mix)
    picture = tmp_path / "out.svg"
    assert main(["identify", str(file), "--catalog", str(catalog), "--explain", str(picture)]) == 0
    assert "It is Artist 1 - Song 1" in capsys.readouterr().err
    assert picture.stat().st_size > 10_000


def test_only_one_file_is_explained(catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(tmp_path / "out.svg")
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
    picture = tmp_path / "missing" / "out.svg"
    assert main(["identify", file, "--catalog", str(catalog), "--explain", str(picture)]) == 1
    assert capsys.readouterr().err.endswith(
        f"The picture {picture} cannot be written: No such file or directory.\n"
    )
