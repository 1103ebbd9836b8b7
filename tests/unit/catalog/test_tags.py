from pathlib import Path

import pytest

from fingerprint.catalog.tag_reader import read_tags
from fingerprint.catalog.tracks import title_from_name


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Paper Lanterns.flac", "Paper Lanterns"),
        ("01 - Paper_Lanterns.mp3", "Paper Lanterns"),
        ("01. Paper Lanterns.mp3", "Paper Lanterns"),
        ("7 Paper Lanterns.mp3", "Paper Lanterns"),
        ("99.mp3", "99"),
        ("1999 - A Song.mp3", "1999 - A Song"),
        ("2.ogg", "2"),
    ],
)
def test_a_file_without_a_title_is_called_by_its_name(name: str, title: str) -> None:
    assert title_from_name(Path("/music") / name) == title


@pytest.mark.parametrize(
    "content", [b"", b"ID3", b"\xff\xfb\x90\x00" * 10, b"fLaC\x00\x00\x00\x22", b"OggS" + bytes(30)]
)
@pytest.mark.parametrize("ending", ["mp3", "flac", "ogg", "m4a", "wav"])
def test_a_broken_file_has_no_tags(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert read_tags(file, path).title is None
