import io
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.catalog.song_tags import title_from_name
from fingerprint.catalog.tag_reader import read_tags
from fingerprint.catalog.tags import date_of


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
    ("text", "date"),
    [
        ("1999", "1999"),
        (" 2021-05-14T00:00:00Z", "2021-05-14"),
        ("2021-05", "2021-05"),
        ("20210514", "2021-05-14"),
        ("2021/05/14", "2021"),
        ("2021-02-30", "2021-02"),
        ("1999-13-45", "1999"),
        ("1999-00-00", "1999"),
        ("19991345", "1999"),
        ("2021-5", "2021"),
        ("0000", None),
        ("0000-00-00", None),
        ("0001", None),
        ("20xx", None),
        ("99999", None),
        ("-1999", None),
        ("١٩٩٩", None),
        ("", None),
    ],
)
def test_a_date_is_one_of_the_calendar_or_as_much_as_is_known(text: str, date: str | None) -> None:
    assert date_of(text) == date


HEADS = [
    b"",
    b"ID3\x03\0\0\0\0\0\x20",
    b"fLaC\0\0\0\x22",
    b"OggS\0\x02",
    b"RIFF\0\0\0\0WAVELIST",
    b"\0\0\0\x18ftypM4A ",
]


@given(st.sampled_from(HEADS), st.binary(max_size=300), st.booleans())
def test_any_bytes_have_tags_that_can_be_stored(head: bytes, content: bytes, has_ape: bool) -> None:
    tail = content + b"APETAGEX" + content[:24].ljust(24, b"\1") if has_ape else b""
    tags = read_tags(
        io.BytesIO(head + content + tail),
        PurePath("song.mp3"),
        {"TITLE": content.decode("utf-8", "surrogateescape")},
    )
    texts = [tags.title or "", tags.album or "", tags.label or "", *tags.artists]
    for text in texts:
        text.encode()
        assert not set(text) & set(map(chr, range(32)))


@pytest.mark.parametrize(
    "content", [b"", b"ID3", b"\xff\xfb\x90\x00" * 10, b"fLaC\x00\x00\x00\x22", b"OggS" + bytes(30)]
)
@pytest.mark.parametrize("ending", ["mp3", "flac", "ogg", "m4a", "wav"])
def test_a_broken_file_has_no_tags(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert read_tags(file, path).title is None
