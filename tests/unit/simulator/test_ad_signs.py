"""The simulator's ads, of every shape and at every moment, as our ad detection judges them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from fingerprint.hls.ads import Verdict, content_runs, next_content, verdicts
from fingerprint.hls.playlist import MediaPlaylist, parse_media
from simulator.ad_signs import AD_SHAPES, AdSigns
from simulator.disorder import MediaSwitches
from simulator.media import TICKS
from simulator.media_playlist import live_playlist
from simulator.timeline import Piece, Pod, pieces

pytestmark = pytest.mark.unit

GRID = 2 * TICKS
POD = Pod(100 * TICKS, 120 * TICKS)
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SHAPES_WITH_UNKNOWN_TITLES = ("untitled", "unknown-title")


def listed_at(second: int, signs: AdSigns) -> tuple[Sequence[Piece], MediaPlaylist]:
    """The pieces of a window of 30 s, and the playlist that lists them."""
    now = second * TICKS
    window = pieces(now - 30 * TICKS, now, grid=GRID, pods=[POD])
    text = live_playlist(
        window,
        [piece for piece in pieces(now, now + 3 * GRID, grid=GRID, pods=[POD]) if piece.end > now][:2],
        address=lambda piece: f"https://media.example/{piece.start}.ts",
        moment=lambda ticks: START + timedelta(seconds=ticks / TICKS),
        grid=GRID,
        now=now,
        pods=[POD],
        session="0" * 16,
        signs=signs,
        media=MediaSwitches(segment_seconds=2.0),
    )
    return window, parse_media(text)


@pytest.mark.parametrize("shape", AD_SHAPES)
def test_no_ad_is_content_and_content_is_found(shape: str) -> None:
    for second in range(101, 156, 3):
        window, playlist = listed_at(second, AdSigns(shape=shape))
        judged = verdicts(playlist)
        for piece, verdict in zip(window, judged, strict=True):
            if piece.pod is None:
                assert verdict is Verdict.CONTENT, (second, piece)
            elif shape in SHAPES_WITH_UNKNOWN_TITLES:
                assert verdict is Verdict.DOUBTFUL, (second, piece)
            else:
                assert verdict is Verdict.AD, (second, piece)
        heard = {segment.uri for run in content_runs(playlist) for segment in run}
        assert not heard & {f"https://media.example/{piece.start}.ts" for piece in window if piece.pod}


@pytest.mark.parametrize("shape", ["recorded", "no-duration", "other-class", "scte35"])
def test_an_ad_that_ends_early_is_over_with_its_last_segment(shape: str) -> None:
    for second in range(120, 150, 4):
        window, playlist = listed_at(second, AdSigns(shape=shape, overstated=40 * TICKS))
        judged = verdicts(playlist)
        if shape != "scte35":  # nothing but the range tells
            assert [verdict is Verdict.CONTENT for verdict in judged] == [piece.pod is None for piece in window]
        assert all(
            verdict is not Verdict.CONTENT for piece, verdict in zip(window, judged, strict=True) if piece.pod
        )
    _, playlist = listed_at(153, AdSigns(shape=shape, overstated=40 * TICKS))
    assert content_runs(playlist), "after the last segment of the ad has gone, its range alone stops nothing"


def test_a_prefetch_that_is_an_ad_is_not_taken_where_a_range_announces_it() -> None:
    ad = f"https://media.example/{POD.start}.ts"
    for second, unannounced, expected in ((99, False, False), (101, False, False), (101, True, True)):
        _, playlist = listed_at(second, AdSigns(unannounced=unannounced))
        assert (next_content(playlist) == ad) == expected, "without a range nothing in the playlist tells"


@pytest.mark.parametrize("title", ["", "something"])
def test_a_stream_whose_content_has_other_titles_is_heard(title: str) -> None:
    window, playlist = listed_at(100, AdSigns(content_title=title))
    assert sum(map(len, content_runs(playlist))) == len(window)
