from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.catalog.cue_sheet import CueSong, read_cue
from fingerprint.catalog.cuts import cut_blocks
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import Sync, ingest
from fingerprint.catalog.ogg_chain import ogg_links
from fingerprint.catalog.sidecar import Sidecars
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from tests.unit.catalog.test_ingest import STAND_IN

SHEET = """\
REM GENRE Pop
REM DATE 2021
PERFORMER "The Low Tide"
TITLE "Harbour"
FILE "harbour.flac" WAVE
  TRACK 01 AUDIO
    TITLE "One"
    INDEX 01 00:00:00
  TRACK 02 AUDIO
    TITLE "Two"
    PERFORMER "Mira Holt"
    ISRC ZZN992100042
    INDEX 00 03:20:00
    INDEX 01 03:25:37
"""


def songs(text: str) -> tuple[dict[str, list[tuple[int, float, float | None]]], list[str]]:
    troubles: list[str] = []
    found = read_cue(text, troubles.append)
    return {
        file: [(song.number, song.start_seconds, song.end_seconds) for song in of_file]
        for file, of_file in found.items()
    }, troubles


def test_a_sheet_tells_songs_and_what_is_said_of_them() -> None:
    found = read_cue(SHEET, pytest.fail)
    album = {"album": "Harbour", "album_performer": "The Low Tide", "date": "2021"}
    start = 205 + 37 / 75
    assert found == {
        "harbour.flac": [
            CueSong(number=1, start_seconds=0, end_seconds=start, texts={**album, "title": "One"}),
            CueSong(
                number=2,
                start_seconds=start,
                end_seconds=None,
                texts={**album, "title": "Two", "performer": "Mira Holt", "isrc": "ZZN992100042"},
            ),
        ]
    }


def test_several_files_have_their_own_songs_and_a_gap_may_be_in_the_file_before() -> None:
    text = """\
FILE a.wav WAVE
TRACK 01 AUDIO
INDEX 01 00:00:00
TRACK 02 AUDIO
INDEX 00 02:00:00
FILE "b c.wav" WAVE
INDEX 01 00:00:00
TRACK 03 AUDIO
INDEX 01 01:00:00
TRACK 04 MODE1/2352
INDEX 01 02:00:00
"""
    assert songs(text) == ({"a.wav": [(1, 0, None)], "b c.wav": [(2, 0, 60), (3, 60, None)]}, [])


@pytest.mark.parametrize(
    ("lines", "found", "trouble"),
    [
        ("INDEX 00 00:05:00", [(1, 0, 5), (2, 5, 9), (3, 9, None)], []),
        ("", [(1, 0, 9), (3, 9, None)], ["line 4: track 2 has no INDEX 01, so it is part of the one before it"]),
        (
            "INDEX 01 nonsense",
            [(1, 0, 9), (3, 9, None)],
            [
                "line 5: 'nonsense' is not a time such as 03:25:00",
                "line 4: track 2 has no INDEX 01, so it is part of the one before it",
            ],
        ),
        (
            "INDEX 01 00:00:10",
            [(1, 0, 9), (3, 9, None)],
            ["line 4: track 2 does not begin after the one before it"],
        ),
        ("INDEX 01 0:04", [(1, 0, 4), (2, 4, 9), (3, 9, None)], []),
        ("INDEX 01 00:04:99", [(1, 0, 4 + 74 / 75), (2, 4 + 74 / 75, 9), (3, 9, None)], []),
    ],
)
def test_times_that_are_missing_or_odd(
    lines: str, found: list[tuple[int, float, float | None]], trouble: list[str]
) -> None:
    text = f"FILE x WAVE\nTRACK 01 AUDIO\nINDEX 01 00:00:00\nTRACK 02 AUDIO\n{lines}\n"
    assert songs(text + "TRACK 03 AUDIO\nINDEX 01 00:09:00\n") == ({"x": found}, trouble)


@given(st.lists(st.sampled_from([*SHEET.splitlines(), "TRACK 99", "INDEX 01", "INDEX 01 99999:99:99", "\0"])))
def test_any_order_of_lines_is_read(lines: list[str]) -> None:
    for of_file in read_cue("\n".join(lines), lambda _reason: None).values():
        starts = [song.start_seconds for song in of_file]
        assert starts == sorted(starts)
        assert all(song.end_seconds == after for song, after in zip(of_file, starts[1:], strict=False))


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    read_cue(text, lambda _reason: None)


@pytest.mark.parametrize("block", [1, 7, 40, 1000])
def test_a_recording_is_cut_whatever_its_blocks(block: int) -> None:
    samples = np.zeros((1, 200), np.float32)
    samples[0] = np.arange(200) / 200
    blocks = [Pcm(samples[:, at : at + block]) for at in range(0, 200, block)]
    cuts = [(10 / SAMPLE_RATE, 50 / SAMPLE_RATE), (50 / SAMPLE_RATE, 60 / SAMPLE_RATE), (100 / SAMPLE_RATE, 0.0)]
    found = [[piece.samples for piece in song] for song in cut_blocks(blocks, cuts)]
    expected = [samples[:, 10:50], samples[:, 50:60], samples[:, 100:]]
    assert all(
        np.array_equal(np.concatenate(pieces, axis=1), part) for pieces, part in zip(found, expected, strict=True)
    )
    # A song that is not taken is passed over.
    assert [0 for _ in cut_blocks(blocks, cuts)] == [0, 0, 0]


def page(flags: int, body: bytes) -> bytes:
    return b"OggS\0" + bytes((flags,)) + bytes(20) + bytes((1, len(body))) + body


def test_the_links_of_a_chain_are_found(tmp_path: Path) -> None:
    link = page(2, b"head") + page(2, b"other head") + page(0, b"tags") + page(4, b"sound")
    path = tmp_path / "x.ogg"
    for content, expected in (
        (link, []),
        (link * 3, [(0, len(link)), (len(link), 2 * len(link)), (2 * len(link), 3 * len(link))]),
        (link + b"junk" + link, []),
        (link[:-1] + link, []),
        (b"", []),
        (b"OggS", []),
    ):
        path.write_bytes(content)
        with path.open("rb") as file:
            assert ogg_links(file) == expected


def names(catalog: Path) -> list[str]:
    return sorted(track.title for track in Catalog(catalog).snapshot().tracks())


def test_a_song_that_is_too_short_is_not_read_again_each_time(tmp_path: Path) -> None:
    music, catalog = tmp_path / "music", tmp_path / "catalog"
    music.mkdir()
    (music / "album.flac").write_text("music 1")
    times = ("0:00", "0:02", "0:30")
    tracks = "".join(f"TRACK {number:02} AUDIO\nINDEX 01 {time}\n" for number, time in enumerate(times, 1))
    (music / "album.cue").write_text(f"FILE album.flac WAVE\n{tracks}")
    first = ingest(catalog, [music], program=STAND_IN, workers=1)
    assert (first.added, len(first.failed)) == (2, 0)
    assert [item.reason for item in first.skipped] == ["song 3 holds 0.0 s of sound, too little to recognize"]
    again = ingest(catalog, [music], program=STAND_IN, workers=1)
    assert (again.added, again.already, again.skipped) == (0, 2, [])
    assert names(catalog) == ["Track 1", "Track 2"]


def test_songs_follow_their_sheet(tmp_path: Path) -> None:
    music, catalog = tmp_path / "music", tmp_path / "catalog"
    music.mkdir()
    (music / "album.flac").write_text("music 1")
    sheet = (
        "FILE album.flac WAVE\nTRACK 01 AUDIO\nTITLE A\nINDEX 01 0:00\nTRACK 02 AUDIO\nTITLE B\nINDEX 01 0:02\n"
    )
    (music / "album.cue").write_text(sheet)

    def sync() -> tuple[int, int, int]:
        report = ingest(catalog, [music], program=STAND_IN, workers=1, sync=Sync())
        assert not report.failed
        return report.added, report.already, report.updated

    assert sync() == (2, 0, 0)
    assert names(catalog) == ["A", "B"]
    assert sync() == (0, 2, 0)
    (music / "album.cue").write_text(sheet.replace("TITLE B", "TITLE C"))
    assert sync() == (0, 2, 1)
    assert names(catalog) == ["A", "C"]
    (music / "moved").mkdir()
    for name in ("album.flac", "album.cue"):
        (music / name).rename(music / "moved" / name)
    assert sync() == (0, 2, 0)
    assert names(catalog) == ["A", "C"]
    (music / "moved" / "album.cue").unlink()
    assert sync() == (1, 0, 0)
    assert names(catalog) == ["album"]
    (music / "moved" / "album.cue").write_text(sheet)
    assert sync() == (2, 0, 0)
    assert names(catalog) == ["A", "B"]
    (music / "copy.flac").write_text("music 1")
    (music / "copy.cue").write_text(sheet.replace("album", "copy"))
    assert sync() == (0, 4, 0)
    assert names(catalog) == ["A", "B"]


def test_of_two_sheets_for_a_file_the_other_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "album.flac").write_text("music 1")
    sheet = "FILE album.flac WAVE\nTRACK 01 AUDIO\nTITLE A\nINDEX 01 0:00\nTRACK 02 AUDIO\nINDEX 01 0:02\n"
    (tmp_path / "album.cue").write_text(sheet)
    (tmp_path / "album.flac.cue").write_text(sheet)
    sidecars = Sidecars()
    assert len(sidecars.songs(tmp_path / "album.flac")) == 2
    assert sidecars.troubles == [], "they say the same"
    (tmp_path / "other.cue").write_text(sheet.replace("TITLE A", "TITLE Z"))
    sidecars = Sidecars()
    found = sidecars.of(tmp_path / "album.flac", 1)
    assert found is not None
    assert found.title == "A"
    reason = "the file 'album.flac' is described by 'album.cue', too, which counts"
    assert [(trouble.path.name, trouble.reason) for trouble in sidecars.troubles] == [("other.cue", reason)]
