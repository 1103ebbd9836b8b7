"""What is listened to when the newest seconds tell nothing."""

import pytest

from fingerprint.hls.live import newest_content
from fingerprint.hls.playlist import MediaPlaylist
from fingerprint.hls.takes import earlier_takes, later_take
from tests.unit.hls.test_live import Builder


def earlier(playlist: MediaPlaylist) -> list[list[int]]:
    taken = newest_content(playlist, wanted_seconds=6.0, enough_seconds=3.0)
    pieces = earlier_takes(playlist, taken, take_seconds=12.0, enough_seconds=3.0)
    return [[segment.sequence for segment in piece] for piece in pieces]


def later(playlist: MediaPlaylist, heard_until: int) -> list[int]:
    last = next(segment for segment in playlist.segments if segment.sequence == heard_until)
    piece = later_take(playlist, last, new_seconds=6.0, take_seconds=12.0)
    return [segment.sequence for segment in piece]


def test_half_a_minute_is_listened_to_from_the_newest_to_the_oldest() -> None:
    assert earlier(Builder().segments(15).playlist()) == [
        [109, 110, 111, 112, 113, 114],
        [103, 104, 105, 106, 107, 108],
        [100, 101, 102, 103, 104, 105],
    ]


@pytest.mark.parametrize("count", [2, 3])
def test_what_was_all_there_is_is_not_asked_about_again(count: int) -> None:
    assert earlier(Builder().segments(count).playlist()) == []


def test_a_little_more_than_the_first_take_is_one_longer_take() -> None:
    assert earlier(Builder().segments(4).playlist()) == [[100, 101, 102, 103]]


def test_an_endless_playlist_costs_three_takes() -> None:
    assert len(earlier(Builder().segments(400).playlist())) == 3


def test_a_take_never_reaches_over_an_advertisement() -> None:
    playlist = Builder().segments(5).segments(4, "Amazon|1").segments(6).playlist()
    assert earlier(playlist) == [[109, 110, 111, 112, 113, 114], [100, 101, 102, 103, 104]]


def test_what_comes_after_an_advertisement_is_not_earlier() -> None:
    playlist = Builder().segments(8).segments(4, "Amazon|1").segments(1).playlist()
    assert earlier(playlist) == [[102, 103, 104, 105, 106, 107], [100, 101, 102, 103, 104, 105]]


def test_new_sound_is_enough_when_as_much_as_a_first_take_is_new() -> None:
    playlist = Builder().segments(15).playlist()
    assert later(playlist, 112) == []
    assert later(playlist, 111) == [109, 110, 111, 112, 113, 114]


def test_new_sound_is_never_an_advertisement() -> None:
    assert later(Builder().segments(5).segments(5, "Amazon|1").playlist(), 104) == []


def test_new_sound_without_dates_is_told_by_its_numbers() -> None:
    playlist = Builder(dated=False).segments(10).playlist()
    assert later(playlist, 106) == [104, 105, 106, 107, 108, 109]
    assert later(playlist, 107) == []


def test_takes_of_longer_segments_are_no_longer_than_one_question() -> None:
    builder = Builder()
    for _ in range(7):
        builder.segment(seconds=4.167)
    playlist = builder.playlist()
    taken = playlist.segments[-2:]
    takes = earlier_takes(playlist, taken, take_seconds=12.0, enough_seconds=3.0)
    assert [[segment.sequence for segment in take] for take in takes] == [[103, 104], [101, 102], [100, 101]]
