"""Which segments are content: by every sign that Twitch sends, and by some that it might."""

from datetime import timedelta

import pytest

from fingerprint.hls.ads import (
    Verdict,
    ad_is_running,
    ad_seconds_left,
    content_runs,
    next_content,
    unknown_signs,
    verdicts,
)
from fingerprint.hls.live import newest_content
from fingerprint.hls.playlist import MediaPlaylist
from tests.unit.hls.live_playlists import START, Builder, stamp

LETTERS = {Verdict.CONTENT: "c", Verdict.DOUBTFUL: "d", Verdict.AD: "a"}


def judged(builder: Builder) -> str:
    """A letter for each segment: content, doubtful or ad."""
    return "".join(LETTERS[verdict] for verdict in verdicts(builder.playlist()))


def newest(playlist: MediaPlaylist, wanted: float = 6.0) -> list[int]:
    return [segment.sequence for segment in newest_content(playlist, wanted_seconds=wanted, enough_seconds=3.0)]


def test_ads_are_told_by_the_title_alone() -> None:
    for title in ("Amazon|abc", "x|y", "amazon", " DCM|1234 "):
        assert newest(Builder().segments(4, title).segments(2).playlist()) == [104, 105]
        assert ad_is_running(Builder().segments(4, title).playlist())


def test_ads_are_told_by_the_date_range_alone() -> None:
    assert judged(Builder().ad_range(8.0).segments(7)) == "aaaaccc"


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


def open_range(builder: Builder, more: str = "", *, kind: str = "twitch-stitched-ad", name: str = "r1") -> Builder:
    return builder.line(f'#EXT-X-DATERANGE:ID="{name}",CLASS="{kind}",START-DATE="{stamp(builder.now)}"{more}')


def back(builder: Builder) -> Builder:
    return builder.line("#EXT-X-DISCONTINUITY").line("#EXT-X-TWITCH-LIVE-SEQUENCE:105")


@pytest.mark.parametrize(
    ("builder", "letters"),
    [
        (Builder().segments(3).ad_range(4, kind="twitch-stitched-promo").segments(4), "cccaacc"),
        (Builder().segments(3).ad_range(4, kind="stitched-ad").segments(4), "cccaacc"),
        (Builder().segments(3).ad_range(4, kind="Twitch-Stitched").segments(4), "cccaacc"),
        (open_range(Builder().segments(2), ",DURATION=4", kind="twitch-ad-overlay").segments(3), "ccaac"),
        (open_range(Builder().segments(2)).segments(3, "x"), "ccaaa"),
        (open_range(Builder().segments(2)).segments(3), "ccaaa"),
        (open_range(Builder().segments(2), ",PLANNED-DURATION=4").segments(3), "ccaac"),
        (open_range(Builder().segments(2), ',X-TV-TWITCH-AD-POD-FILLED-DURATION="4"').segments(3), "ccaac"),
        (open_range(open_range(Builder(), ",END-ON-NEXT=YES").segments(2), name="r2").segments(1), "aaa"),
        (back(open_range(Builder()).segments(3, "Amazon|1")).segments(3), "aaaccc"),
        (back(Builder().ad_range(30).segments(2, "Amazon|1")).segments(3), "aaccc"),
        (Builder().ad_range(30).segments(2, "Amazon|1").segments(2), "aaaa"),
        (
            back(Builder().ad_range(4).segments(2, "Amazon|1")).ad_range(30).segments(2),
            "aaaa",
        ),
        (
            open_range(Builder().segments(2).line("#EXT-X-DISCONTINUITY"))
            .segments(2)
            .line("#EXT-X-DISCONTINUITY")
            .segments(2),
            "ccaadd",
        ),
        (Builder().ad_range(60, start=START - timedelta(seconds=40)).segments(4), "aaaa"),
        (
            Builder()
            .ad_range(60, start=START - timedelta(seconds=40))
            .segments(4)
            .line("#EXT-X-TWITCH-PREFETCH:a.ts"),
            "dddd",
        ),
        (open_range(Builder(now=START - timedelta(hours=1))).segments(0), ""),
    ],
    ids=[
        "other stitched class",
        "without twitch",
        "upper case",
        "other ad class",
        "no duration, unknown titles",
        "no duration",
        "planned duration",
        "the pod's duration",
        "until the next one",
        "no duration, ended",
        "ends early",
        "ends without a sign",
        "the next ad begins",
        "no duration, and a second discontinuity",
        "nothing but live without prefetch",
        "nothing but live with prefetch",
        "empty",
    ],
)
def test_date_ranges_of_every_shape(builder: Builder, letters: str) -> None:
    assert judged(builder) == letters


def test_the_range_of_an_ad_without_an_end_is_over_at_some_time() -> None:
    builder = open_range(Builder(now=START - timedelta(hours=1)))
    builder.now = START
    assert judged(builder.segments(3)) == "ccc"


@pytest.mark.parametrize(
    ("builder", "letters"),
    [
        (Builder().segments(2).line("#EXT-X-CUE-OUT:4").segments(3), "ccaac"),
        (Builder().segments(2).line("#EXT-X-CUE-OUT:DURATION=4.0").segments(3), "ccaac"),
        (Builder().segments(2).line("#EXT-X-CUE-OUT").segments(3).line("#EXT-X-CUE-IN").segments(1), "ccaaac"),
        (Builder().segments(2).line("#EXT-X-CUE-OUT:60").segments(1).line("#EXT-X-CUE-IN").segments(1), "ccac"),
        (Builder().line("#EXT-X-CUE-OUT-CONT:26/30").segments(3), "aac"),
        (Builder().line("#EXT-X-CUE-SPAN:TIMEFROMSIGNAL=PT2S").segments(2), "ac"),
        (Builder().line("#EXT-X-CUE-OUT-CONT:ElapsedTime=28,Duration=30").segments(2), "ac"),
        (Builder().line('#EXT-X-SCTE35:CUE="/DA",CUE-OUT=YES').segments(2), "aa"),
        (
            Builder().line("#EXT-X-SCTE35:CUE-OUT=YES").segments(1).line("#EXT-X-SCTE35:CUE-IN=YES").segments(1),
            "ac",
        ),
        (Builder().segments(2).line("#EXT-X-CUE-IN").segments(3), "ddccc"),
        (open_range(Builder(), ",SCTE35-OUT=0xFC,DURATION=4", kind="").segments(3), "aac"),
        (
            open_range(
                open_range(Builder(), ",SCTE35-OUT=0xFC", kind="").segments(2), ",SCTE35-IN=0xFC", kind=""
            ).segments(1),
            "aac",
        ),
        (open_range(Builder(), ",SCTE35-CMD=0xFC,DURATION=4", kind="").segments(3), "ddc"),
    ],
)
def test_cues_of_other_services_count_too(builder: Builder, letters: str) -> None:
    assert judged(builder) == letters


@pytest.mark.parametrize("title", ["", "offline", "live2", "Ad", "advert", "Live music | all day", "x" * 5_000])
def test_an_unknown_title_is_content_only_where_nothing_better_is_listed(title: str) -> None:
    assert newest(Builder().segments(3).segments(9, title).playlist()) == [100, 101, 102]
    assert newest(Builder().segments(1).segments(9, title).playlist()) == [107, 108, 109]
    assert newest(Builder().segments(9, title).playlist()) == [106, 107, 108]
    assert newest(Builder().segments(3, title).segments(4, "Amazon|1").playlist()) == [100, 101, 102]


def test_what_only_looks_like_an_ad_is_doubtful() -> None:
    for line in ('CLASS="some-ad"', 'CLASS="promotion"', 'CLASS="x",X-TV-TWITCH-AD-URL="y"'):
        builder = Builder().line(f'#EXT-X-DATERANGE:ID="1",{line},START-DATE="{stamp(START)}",DURATION=4')
        assert judged(builder.segments(4)) == "ddcc"
    for line in ('CLASS="twitch-maf-ad"', 'CLASS="loadshedding"', 'CLASS="broadcast"'):
        builder = Builder().line(f'#EXT-X-DATERANGE:ID="1",{line},START-DATE="{stamp(START)}",DURATION=4')
        assert judged(builder.segments(4)) == "cccc"


@pytest.mark.parametrize(
    "builder",
    [
        Builder().segments(3).line("#EXT-X-CUE-OUT:30").line(PREFETCH.format("a")),
        Builder().segments(3).line("#EXT-X-SCTE35:CUE-OUT=YES").line(PREFETCH.format("a")),
        open_range(Builder().segments(3)).line(PREFETCH.format("a")),
        open_range(Builder().segments(3), ",DURATION=5", kind="some-ad").line(PREFETCH.format("a")),
        Builder().segments(3).segments(1, "what").line(PREFETCH.format("a")),
        open_range(
            Builder().segments(3),
            ',END-ON-NEXT=YES,X-TV-TWITCH-STREAM-SOURCE="Amazon"',
            kind="twitch-stream-source",
        ).line(PREFETCH.format("a")),
        Builder().segments(3).line("#EXT-X-TWITCH-PREFETCH:https://ads.example/1.ts"),
    ],
    ids=["cue", "scte35", "no duration", "looks like an ad", "unknown title", "source", "host"],
)
def test_what_may_turn_out_to_be_an_ad_is_not_fetched_ahead(builder: Builder) -> None:
    assert next_content(builder.playlist()) is None


def test_unknown_titles_alone_do_not_forbid_the_next_segment() -> None:
    assert next_content(Builder().segments(3, "").line(PREFETCH.format("a")).playlist()) == "a.ts"


def test_what_was_never_seen_before_is_named_once() -> None:
    assert not list(unknown_signs(Builder().ad_range(4).segments(2, "Amazon|1").segments(3).playlist()))
    builder = Builder().segments(2, "").segments(2, "gone").line("#EXT-X-CUE-OUT:3").line("#EXT-X-CUE-OUT:4")
    builder.ad_range(4, kind="twitch-stitched-x")
    open_range(builder, kind="new")
    assert list(unknown_signs(builder.playlist())) == [
        ("date-range-class", "new"),
        ("date-range-class", "twitch-stitched-x"),
        ("title", "(empty)"),
        ("title", "gone"),
        ("tag", "EXT-X-CUE-OUT"),
    ]
    builder = Builder().segments(2).line("#EXT-X-PART:DURATION=0.5").line("#EXT-X-TWITCH-NEW:1").line("# EXT-X-NO")
    assert list(unknown_signs(builder.playlist())) == [("tag", "EXT-X-PART"), ("tag", "EXT-X-TWITCH-NEW")]
    assert not list(unknown_signs(Builder(dated=False).segments(3, "").playlist())), "a VOD has no titles"
