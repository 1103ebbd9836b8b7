from typing import Any

import pytest

from fingerprint.domain.identification import CatalogRef, Kind
from fingerprint.domain.songs import plain_isrc, song_id
from server.songs.hearings import hearings_of
from tests.builders import answered, song

TRACK = CatalogRef(track_id="0123456789ab")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"catalog": TRACK, "isrc": "QZES71982312"}, "0123456789ab"),
        ({"isrc": "qz-es7-19-82312"}, "QZES71982312"),
        ({"catalog": CatalogRef(track_id="../../secret"), "isrc": "QZES71982312"}, "QZES71982312"),
    ],
)
def test_a_song_is_its_recording_else_its_isrc(known: dict[str, Any], expected: str) -> None:
    assert song_id(song(**known)) == expected


def test_without_either_a_song_is_its_names() -> None:
    one = song_id(song("Night Drive", "The Builders"))
    assert one.startswith("t-")
    assert one == song_id(song("NIGHT DRIVE (feat. Ann)", "The  Builders", album="Another", isrc="nonsense"))
    others = [
        song("Night Drive (Someone Remix)", "The Builders"),
        song("Night Drive", "Others"),
        song("День", "Группа"),
        song("日", "月"),
    ]
    assert len({one, *map(song_id, others)}) == 1 + len(others)


def test_an_isrc_is_plain() -> None:
    assert plain_isrc("us-rc1-76-07839") == "USRC17607839"
    assert [plain_isrc(text) for text in (None, "", "USRC1760783", "0SRC17607839")] == [None] * 4


def test_uploaded_files_are_heard_nowhere() -> None:
    assert hearings_of(answered(kind=Kind.FILE, target="x.wav")) == ()
    assert len(hearings_of(answered(songs=(song("One"), song("Two"), song("One"))))) == 2
