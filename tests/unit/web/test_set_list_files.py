"""The files of a whole set list: what each format takes, also for titles that are made to break it."""

import csv
import io
from itertools import pairwise

import pytest

from fingerprint.catalog.cue_sheet import read_cue
from fingerprint.domain.tracklist import Tracklist, TracklistEntry
from server.api.set_list_files import (
    FILES,
    NamedTracklist,
    as_chapters,
    as_csv,
    as_cue,
    as_m3u,
    as_m3u8,
    video_link,
)
from tests.builders import song

EVIL = '=cmd()"\r\nINDEX 01 99:99:99\n<b>'


def named(*songs: tuple[float, float, str], duration: float = 3600.0, kind: str = "video") -> NamedTracklist:
    entries = tuple(
        TracklistEntry(
            start=start, end=end, song=song(title, "Someone"), score=0.99, recognizer="catalog", pieces=2
        )
        for start, end, title in songs
    )
    return NamedTracklist(kind=kind, target="123", tracklist=Tracklist(duration=duration, entries=entries))


def seconds(text: str) -> int:
    total = 0
    for part in text.split(":"):
        total = 60 * total + int(part)
    return total


def test_a_vods_moment_is_an_address() -> None:
    assert video_link("123", 3725.9) == "https://www.twitch.tv/videos/123?t=1h2m5s"


def test_csv_has_no_formulas_and_a_row_for_each_song() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(named((65, 200, EVIL))).removeprefix("\ufeff"))))
    assert [(row["start"], row["title"]) for row in rows] == [("1:05", "'=cmd()\" INDEX 01 99:99:99 <b>")]


def test_a_playlist_has_two_lines_for_each_song() -> None:
    lines = as_m3u(named((65, 200, EVIL))).splitlines()
    assert lines[0] == "#EXTM3U"
    assert lines[2].startswith("#EXTINF:135,Someone - =cmd()")
    assert lines[3:] == ["https://www.twitch.tv/videos/123?t=0h1m5s"]


def test_a_name_is_one_line_of_an_hls_playlist() -> None:
    lines = as_m3u8(named((65, 200, "#EXT-X-ENDLIST\n#EXTINF:9,x\nhttps://evil.example/x"))).splitlines()
    assert lines[0] == "#EXTM3U"
    assert lines[-3:] == [
        "# https://www.twitch.tv/videos/123?t=0h1m5s",
        "# Someone - #EXT-X-ENDLIST #EXTINF:9,x https://evil.example/x: no preview",
        "#EXT-X-ENDLIST",
    ]


def test_our_own_reader_takes_the_cue_sheet() -> None:
    text = as_cue(named((0, 60, "One"), (65.49, 200, EVIL)))
    assert text.count("INDEX 01 ") == 3  # the last one is in a title
    assert "    INDEX 01 01:05:37\n" in text
    trouble: list[str] = []
    (songs,) = read_cue(text, trouble.append).values()
    assert ([song.texts["title"] for song in songs], trouble) == (["One", "=cmd()' INDEX 01 99:99:99 <b>"], [])


@pytest.mark.parametrize(
    "songs",
    [
        [],
        [(0, 100, "One")],
        [(4, 100, "One"), (103, 200, "Two"), (109, 300, "Three")],
        [(700, 900, "One"), (901, 1200, EVIL), (2000, 3595, "Three"), (3596, 3600, "Four")],
    ],
)
def test_chapters_are_as_youtube_wants_them(songs: list[tuple[float, float, str]]) -> None:
    text = as_chapters(named(*songs))
    starts = [seconds(line.split(" ")[0]) for line in text.splitlines()]
    assert text.startswith("0:00 ")
    assert all(later - earlier >= 10 for earlier, later in pairwise(starts))
    assert "<" not in text
    assert len(starts) >= (3 if len(songs) > 1 else 1)


def test_every_file_can_be_made_of_an_empty_list() -> None:
    for _, write in FILES.values():
        assert isinstance(write(named(kind="file")), str)
