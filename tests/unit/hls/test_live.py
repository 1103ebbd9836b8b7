from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from fingerprint.hls.live import (
    ad_is_running,
    ad_seconds_left,
    content_runs,
    is_ad,
    newest_content,
    next_content,
    stitched_ads,
)
from fingerprint.hls.playlist import MediaPlaylist, parse_media

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Builder:
    """Writes a live playlist, two seconds a segment."""

    lines: list[str] = field(default_factory=lambda: ["#EXTM3U", "#EXT-X-MEDIA-SEQUENCE:100"])
    now: datetime = START
    dated: bool = True

    def segment(self, title: str = "live", seconds: float = 2.0) -> "Builder":
        if self.dated:
            self.lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{stamp(self.now)}")
        self.lines += [f"#EXTINF:{seconds:.3f},{title}", f"{len(self.lines)}.ts"]
        self.now += timedelta(seconds=seconds)
        return self

    def segments(self, count: int, title: str = "live") -> "Builder":
        for _ in range(count):
            self.segment(title)
        return self

    def ad_range(
        self, seconds: float, *, start: datetime | None = None, more: str = "", kind: str = "twitch-stitched-ad"
    ) -> "Builder":
        self.lines.append(
            f'#EXT-X-DATERANGE:ID="stitched-ad-{len(self.lines)}",CLASS="{kind}",'
            f'START-DATE="{stamp(start or self.now)}",DURATION={seconds}{more}'
        )
        return self

    def line(self, text: str) -> "Builder":
        self.lines.append(text)
        return self

    def playlist(self) -> MediaPlaylist:
        return parse_media("\n".join(self.lines))


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


def test_ads_are_told_by_the_title_alone() -> None:
    for title in ("Amazon|abc", "x|y", "amazon"):
        assert newest(Builder().segments(4, title).segments(2).playlist()) == [104, 105]
        assert ad_is_running(Builder().segments(4, title).playlist())


def test_ads_are_told_by_the_date_range_alone() -> None:
    playlist = Builder().ad_range(8.0).segments(7).playlist()
    ads = stitched_ads(playlist)
    assert [is_ad(segment, ads) for segment in playlist.segments] == [True] * 4 + [False] * 3


def test_a_range_by_its_id_counts_whatever_its_class() -> None:
    assert ad_is_running(Builder().ad_range(20, kind="something-new").segments(3).playlist())


def test_a_segment_partly_in_an_ad_is_an_ad_and_one_that_touches_it_is_not() -> None:
    playlist = Builder().ad_range(3.1).segments(5).playlist()
    assert [segment.sequence for run in content_runs(playlist) for segment in run] == [102, 103, 104]
    playlist = Builder().ad_range(4.1).segments(5).playlist()
    assert [segment.sequence for run in content_runs(playlist) for segment in run] == [102, 103, 104]


def test_other_date_ranges_are_no_ads() -> None:
    text = (
        '#EXT-X-DATERANGE:ID="source-1",CLASS="twitch-stream-source",START-DATE="2026-11-22T10:00:00Z",DURATION=9'
    )
    maf = '#EXT-X-DATERANGE:ID="maf-1",CLASS="twitch-maf-ad",START-DATE="2026-11-22T10:00:00Z",DURATION=30'
    assert newest(Builder().line(text).line(maf).segments(3).playlist()) == [100, 101, 102]


def test_a_stray_discontinuity_does_not_end_a_run_but_another_init_section_does() -> None:
    assert newest(Builder().segments(2).line("#EXT-X-DISCONTINUITY").segments(1).playlist()) == [100, 101, 102]
    split = Builder().line('#EXT-X-MAP:URI="a"').segments(4).line('#EXT-X-MAP:URI="b"').segments(2)
    assert newest(split.playlist()) == [104, 105]


@pytest.mark.parametrize(
    ("builder", "left"),
    [
        (Builder().ad_range(30).segments(5, "Amazon|1"), 20.0),
        (Builder().ad_range(15, more=',X-TV-TWITCH-AD-POD-FILLED-DURATION="60.0"').segments(5, "Amazon|1"), 50.0),
        (Builder().ad_range(4).segments(5, "Amazon|1"), 0.0),
        (Builder().segments(5, "Amazon|1"), None),
        (Builder(dated=False).ad_range(30).segments(5, "Amazon|1"), None),
    ],
)
def test_how_long_the_ads_go_on(builder: Builder, left: float | None) -> None:
    assert ad_seconds_left(builder.playlist()) == left


PREFETCH = "#EXT-X-TWITCH-PREFETCH:{}.ts"


def test_the_segment_that_is_being_made_goes_on_with_the_content() -> None:
    builder = Builder().segments(3).line(PREFETCH.format("a")).line(PREFETCH.format("b"))
    assert next_content(builder.playlist()) == "a.ts"


@pytest.mark.parametrize(
    "builder",
    [
        Builder(),
        Builder().segments(3),
        Builder().line(PREFETCH.format("a")),
        Builder().segments(3).line(PREFETCH.format("a")).line("#EXT-X-ENDLIST"),
        Builder().segments(3, "Amazon|1").line(PREFETCH.format("a")),
        Builder().ad_range(8.0).segments(3).line(PREFETCH.format("a")),
        Builder().segments(3).line("#EXT-X-DISCONTINUITY").line(PREFETCH.format("a")),
        Builder().segments(3).ad_range(30.0).line(PREFETCH.format("a")),
        Builder().segments(3).ad_range(30.0, start=START + timedelta(seconds=7)).line(PREFETCH.format("a")),
        Builder(dated=False).segments(3).ad_range(30.0, start=START).line(PREFETCH.format("a")),
        Builder().segments(3).line("#EXT-X-TWITCH-PREFETCH:"),
    ],
    ids=[
        "empty",
        "none",
        "alone",
        "ended",
        "ad-by-title",
        "ad-by-range",
        "discontinuity",
        "ad-begins",
        "ad-begins-within",
        "no-dates",
        "no-address",
    ],
)
def test_what_may_be_no_content_is_not_fetched_ahead(builder: Builder) -> None:
    assert next_content(builder.playlist()) is None


def test_ads_at_other_times_do_not_matter_to_the_next_segment() -> None:
    builder = Builder().ad_range(4.0, start=START - timedelta(seconds=10)).segments(3)
    builder.ad_range(30.0, start=START + timedelta(seconds=8)).line(PREFETCH.format("a"))
    assert next_content(builder.playlist()) == "a.ts"
