from datetime import timedelta

import pytest

from fingerprint.hls.ads import content_runs
from fingerprint.hls.live import newest_content
from fingerprint.hls.playlist import MediaPlaylist, parse_media
from tests.unit.hls.live_playlists import Builder


def newest(playlist: MediaPlaylist, wanted: float = 6.0) -> list[int]:
    return [segment.sequence for segment in newest_content(playlist, wanted_seconds=wanted, enough_seconds=3.0)]


def test_the_newest_seconds_are_taken() -> None:
    playlist = Builder().segments(15).playlist()
    assert newest(playlist) == [112, 113, 114]
    assert newest(playlist, 7.0) == [111, 112, 113, 114]
    assert newest(playlist, 60.0) == list(range(100, 115))


def test_segments_a_little_short_count_as_whole() -> None:
    builder = Builder()
    for _ in range(15):
        builder.segment(seconds=1.999)
    assert newest(builder.playlist()) == [112, 113, 114]


def test_less_than_enough_is_nothing() -> None:
    assert newest(Builder().segments(1).playlist()) == []
    assert newest(Builder().segments(2).playlist()) == [100, 101]
    assert newest(parse_media("#EXTM3U\n")) == []


def test_content_before_an_ad_serves_until_there_is_enough_behind_it() -> None:
    begun = Builder().segments(10).ad_range(10).segments(5, "Amazon|1")
    assert newest(begun.playlist()) == [107, 108, 109]
    assert newest(begun.segments(1).playlist()) == [107, 108, 109]
    assert newest(begun.segments(1).playlist()) == [115, 116]


def test_neither_a_stray_discontinuity_nor_another_init_section_ends_a_run() -> None:
    assert newest(Builder().segments(2).line("#EXT-X-DISCONTINUITY").segments(1).playlist()) == [100, 101, 102]
    split = Builder().line('#EXT-X-MAP:URI="a"').segments(4).line('#EXT-X-MAP:URI="b"').segments(2)
    assert newest(split.playlist()) == [103, 104, 105]


def test_what_dates_or_tags_say_is_missing_splits_a_run() -> None:
    builder = Builder().segments(4)
    builder.now += timedelta(seconds=30)
    builder.segments(3).line("#EXT-X-GAP").segment().segments(2)
    runs = [[segment.sequence for segment in run] for run in content_runs(builder.playlist())]
    assert runs == [[100, 101, 102, 103], [104, 105, 106], [108, 109]]


@pytest.mark.parametrize("seconds", [-1.5, 0.4, 1.9])
def test_dates_that_are_a_little_off_split_nothing(seconds: float) -> None:
    builder = Builder().segments(4)
    builder.now += timedelta(seconds=seconds)
    assert len(content_runs(builder.segments(3).playlist())) == 1
