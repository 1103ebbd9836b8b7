"""The time line of a broadcast: one and the same in any order, and no answer for what was not surely heard."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.broadcasts import (
    CLIP_EXACT_SECONDS,
    LIVE_EXACT_SECONDS,
    VIDEO_EXACT_SECONDS,
    Broadcast,
    BroadcastPlace,
    before_edge,
    clip_place,
    live_place,
    video_place,
)
from fingerprint.domain.identification import (
    BroadcastMoment,
    Heard,
    Identification,
    IdentificationId,
    Kind,
    Song,
    Status,
)
from fingerprint.domain.time_line import Span, TimeLine, span_of
from tests.builders import NOON, answered, song

BROADCAST = Broadcast(id="40001", started_at=NOON)


def place(start: float, end: float, exact: float = 0.0) -> BroadcastPlace:
    return BroadcastPlace(broadcast=BROADCAST.id, start=start, end=end, exact=exact)


def span(
    title: str | None, start: float, end: float, *, offset: float | None = None, exact: float = 0.0, name: str = ""
) -> Span:
    return Span(
        place=place(start, end, exact),
        song=None if title is None else song(title, offset_seconds=offset),
        score=0.9,
        recognizer="catalog",
        heard=Heard.NOW,
        heard_at=NOON,
        identification=IdentificationId(name or f"{title}-{start}"),
    )


def title_of(found: Span | None) -> str | None:
    return None if found is None or found.song is None else found.song.title


def offset_of(found: Span | None) -> float | None:
    return None if found is None or found.song is None else found.song.offset_seconds


# --- What is covered ----------------------------------------------------------------------------------


def test_sound_inside_one_span_is_answered_with_its_own_offset() -> None:
    found = TimeLine([span("A", 100, 106, offset=30)]).answer(place(102, 104))
    assert (title_of(found), offset_of(found)) == ("A", 32)


@pytest.mark.parametrize(("start", "end"), [(99, 103), (103, 107), (90, 95), (110, 112), (99, 107)])
def test_sound_that_is_not_wholly_inside_is_not_answered(start: float, end: float) -> None:
    assert TimeLine([span("A", 100, 106, offset=30)]).answer(place(start, end)) is None


def test_how_inexact_the_places_are_counts_on_both_sides() -> None:
    line = TimeLine([span("A", 100, 106, offset=30, exact=1)])
    assert title_of(line.answer(place(102, 103, 1))) == "A"
    assert line.answer(place(102, 104.5, 1)) is None
    assert line.answer(place(101.5, 103, 1)) is None


def test_two_spans_of_one_play_cover_what_is_between_them() -> None:
    found = TimeLine([span("A", 100, 106, offset=30), span("A", 160, 166, offset=90)]).answer(place(130, 132))
    assert (title_of(found), offset_of(found)) == ("A", 60)


def test_a_song_that_began_again_in_between_covers_nothing_between() -> None:
    assert (
        TimeLine([span("A", 100, 106, offset=30), span("A", 160, 166, offset=5)]).answer(place(130, 132)) is None
    )


def test_spans_without_an_offset_enclose_nothing_but_answer_for_themselves() -> None:
    line = TimeLine([span("A", 100, 106), span("A", 160, 166)])
    assert line.answer(place(130, 132)) is None
    found = line.answer(place(162, 164))
    assert (title_of(found), offset_of(found)) == ("A", None)


def test_a_song_that_is_played_faster_is_followed_at_its_speed() -> None:
    def at_speed(start: float, offset: float, speed: float | None) -> Span:
        made = span("A", start, start + 6, offset=offset)
        assert made.song is not None
        return replace(made, song=replace(made.song, speed=speed))

    found = TimeLine([at_speed(100, 30, 1.25), at_speed(160, 105, 1.25)]).answer(place(130, 132))
    assert (title_of(found), offset_of(found)) == ("A", 67.5)
    assert TimeLine([at_speed(100, 30, None), at_speed(160, 105, None)]).answer(place(130, 132)) is None


# --- What an answer adds ------------------------------------------------------------------------------


def mapped(*songs: Song, kind: Kind = Kind.STREAM, heard: Heard = Heard.NOW, **more: Any) -> Identification:
    values: dict[str, Any] = {
        "kind": kind,
        "heard": heard,
        "moment": BroadcastMoment(broadcast="41", seconds=100.0),
        "captured_seconds": 12.0,
        "song": songs[0] if songs else None,
        "songs": songs,
    }
    return answered(**(values | more))


def bounds(answer: Identification) -> tuple[float, float] | None:
    found = span_of(answer)
    return None if found is None else (found.place.start, found.place.end)


def test_an_answer_with_a_moment_and_sound_of_its_own_adds_a_span() -> None:
    found = span_of(mapped(song("A", offset_seconds=30)))
    assert found is not None
    assert (found.place, title_of(found)) == (
        BroadcastPlace(broadcast="41", start=100, end=112, exact=LIVE_EXACT_SECONDS),
        "A",
    )
    nothing = span_of(mapped(status=Status.NO_MATCH))
    assert nothing is not None
    assert nothing.song is None
    lacking: list[dict[str, Any]] = [
        {"moment": None},
        {"heard": None},
        {"captured_seconds": None},
        {"moment": BroadcastMoment()},
    ]
    for missing in lacking:
        assert span_of(mapped(song("A", offset_seconds=30), **missing)) is None
    assert span_of(replace(mapped(song("A", offset_seconds=30)), place_uncertain=True)) is None


def test_a_span_ends_with_its_song_and_where_the_next_one_begins() -> None:
    assert bounds(mapped(song("A", offset_seconds=30, duration_seconds=34.0))) == (100, 104)
    first, second = song("A", offset_seconds=30), song("B", offset_seconds=0.0, position_seconds=7.0)
    assert bounds(mapped(first, second)) == (100, 107)
    assert bounds(mapped(second, first)) == (107, 112)


def test_a_song_that_began_somewhere_in_the_sound_adds_nothing() -> None:
    assert span_of(mapped(song("A", offset_seconds=0.0))) is None
    assert bounds(mapped(song("A", offset_seconds=0.6))) == (100, 112)


def test_a_clips_positions_count_from_its_start() -> None:
    late = song("A", offset_seconds=30, position_seconds=9.0)
    clip = mapped(late, kind=Kind.CLIP, heard=Heard.CLIP, captured_from_seconds=4.0, captured_seconds=56.0)
    assert bounds(clip) == (105, 117)


def test_another_song_in_between_is_believed() -> None:
    line = TimeLine(
        [span("A", 100, 106, offset=30), span("A", 160, 166, offset=90), span("B", 120, 126, offset=1)]
    )
    assert line.answer(place(130, 132)) is None
    assert title_of(line.answer(place(122, 124))) == "B"


def test_where_two_songs_were_heard_at_once_neither_is_sure() -> None:
    line = TimeLine([span("A", 100, 106, offset=30), span("B", 103, 109, offset=0)])
    assert line.answer(place(104, 105)) is None
    assert title_of(line.answer(place(101, 102))) == "A"


def test_no_song_found_answers_nothing_and_refutes_nothing() -> None:
    line = TimeLine([span(None, 100, 166)])
    assert line.answer(place(130, 132)) is None
    line = TimeLine([span("A", 100, 106, offset=0), span(None, 128, 134), span("A", 160, 166, offset=60)])
    assert title_of(line.answer(place(130, 132))) == "A"


def test_one_song_that_is_played_for_hours_is_not_believed() -> None:
    line = TimeLine([span("A", 0, 6, offset=0), span("A", 7_000, 7_006, offset=7_000)])
    assert line.answer(place(3_000, 3_001)) is None


def test_an_empty_time_line_answers_nothing() -> None:
    assert TimeLine(()).answer(place(0, 1)) is None


# --- Mappings -----------------------------------------------------------------------------------------


def test_live_video_and_clip_of_one_moment_are_mapped_to_the_same_second() -> None:
    live = live_place(BROADCAST, NOON + timedelta(seconds=3_600), 6)
    assert (live.start, live.end, live.exact) == (3_600, 3_606, LIVE_EXACT_SECONDS)
    video = video_place(BROADCAST, 3_600, 6)
    assert (video.start, video.end, video.exact) == (3_600, 3_606, VIDEO_EXACT_SECONDS)
    clip = clip_place(BROADCAST, 3_590, 10, 6)
    assert (clip.start, clip.end, clip.exact) == (3_600, 3_606, CLIP_EXACT_SECONDS)
    assert BROADCAST.moment_at(BROADCAST.seconds_at(NOON)) == NOON


@pytest.mark.parametrize("later", [27.0, -27.0])
def test_seconds_that_are_counted_from_another_start_answer_nothing(later: float) -> None:
    """A stream that drops and goes on keeps its number; its seconds may leave the pause out from then on."""
    moment = BroadcastMoment(broadcast=BROADCAST.id, seconds=100.0)
    played = song("A", offset_seconds=50.0)
    heard = answered(
        captured_at=BROADCAST.moment_at(100.0), captured_seconds=6.0, moment=moment, song=played, heard=Heard.NOW
    )
    known = span_of(heard)
    assert known is not None
    resumed = Broadcast(id=BROADCAST.id, started_at=NOON + timedelta(seconds=later))
    for begun, expected in ((BROADCAST, "A"), (resumed, None)):
        assert title_of(TimeLine([known]).answer(live_place(begun, begun.moment_at(102.0)))) == expected
        assert title_of(TimeLine([known]).answer(video_place(begun, 103.0))) == expected
    # Of a VOD, the start is told in whole seconds.
    whole = Broadcast(id=BROADCAST.id, started_at=NOON - timedelta(seconds=0.999))
    assert title_of(TimeLine([known]).answer(video_place(whole, 103.0))) == "A"


def test_a_place_has_its_ends_in_order() -> None:
    for start, end, exact in ((2, 1, 0), (1, 2, -1), (float("nan"), 2, 0)):
        with pytest.raises(ValueError, match="no piece"):
            place(start, end, exact)


SKEW = st.floats(-300, 300)


@given(st.floats(1, 3_000), st.floats(0, 45), st.floats(0, 8), SKEW, SKEW)
def test_so_long_ago_counts_from_the_live_edge_whatever_clocks_say(
    ago: float, waited: float, lag: float, ours: float, theirs: float
) -> None:
    # The question comes at NOON of a true clock; the playlist lists what is `lag` seconds old, in steps of 2 s.
    def dated(true: datetime) -> datetime:
        return true + timedelta(seconds=theirs)

    asked, fetched = (NOON + timedelta(seconds=seconds + ours) for seconds in (0.0, waited))
    edge = NOON + timedelta(seconds=(waited - lag) // 2 * 2)
    found = before_edge(dated(edge), ago, waited_seconds=(fetched - asked).total_seconds())
    heard = dated(NOON - timedelta(seconds=lag + ago))
    assert -2.01 <= (found - heard).total_seconds() <= 0.01


@pytest.mark.parametrize("waited", [-300.0, 61.0, 300.0])
def test_a_wait_that_no_question_has_is_another_clock(waited: float) -> None:
    assert before_edge(NOON, 30, waited_seconds=waited) == NOON - timedelta(seconds=30)


# --- Properties ---------------------------------------------------------------------------------------

MAX_ERROR = 1.0
"""How far off the clock of a capture may be in the broadcasts below."""


@st.composite
def listened(draw: st.DrawFn) -> tuple[list[float], list[Span]]:
    """Where each song of a broadcast begins (each is another song), and captures of it with inexact clocks."""
    lengths = draw(st.lists(st.floats(8, 240), min_size=1, max_size=8))
    begins = [0.0]
    for length in lengths:
        begins.append(begins[-1] + length)
    captures = draw(
        st.lists(
            st.tuples(st.floats(0, begins[-1]), st.floats(3, 12), st.floats(-MAX_ERROR, MAX_ERROR)), max_size=20
        )
    )
    found: list[Span] = []
    for number, (at, seconds, error) in enumerate(captures):
        heard = song_at(begins, at)
        if heard is None or song_at(begins, at + seconds) != heard:
            # It has two songs: recognizers find none, or one of them.
            found.append(span(None, at + error, at + seconds + error, exact=MAX_ERROR, name=str(number)))
            continue
        offset = at - begins[heard]
        found.append(
            span(f"{heard}", at + error, at + seconds + error, offset=offset, exact=MAX_ERROR, name=str(number))
        )
    return begins, found


def song_at(begins: list[float], at: float) -> int | None:
    return next((n for n, (start, end) in enumerate(pairwise(begins)) if start <= at < end), None)


@given(listened(), st.floats(0, 2_000), st.floats(0, 12), st.randoms(use_true_random=False))
def test_any_order_of_captures_gives_one_time_line(
    broadcast: tuple[list[float], list[Span]], at: float, seconds: float, random: Random
) -> None:
    _, spans = broadcast
    asked = place(at, at + seconds, 0.5)
    mixed = [*spans, *spans]
    random.shuffle(mixed)
    assert TimeLine(mixed).answer(asked) == TimeLine(spans).answer(asked)


@given(listened(), st.floats(0, 2_000), st.floats(0, 12), st.floats(-MAX_ERROR, MAX_ERROR))
def test_every_answer_is_the_song_that_was_played(
    broadcast: tuple[list[float], list[Span]], at: float, seconds: float, error: float
) -> None:
    begins, spans = broadcast
    found = TimeLine(spans).answer(place(at + error, at + seconds + error, MAX_ERROR))
    if found is None:
        return
    true = song_at(begins, at)
    assert title_of(found) == str(true)
    assert song_at(begins, at + seconds - 1e-6) == true or seconds == 0
    offset = offset_of(found)
    assert true is not None
    assert offset is not None
    assert offset == pytest.approx(at - begins[true], abs=3 * MAX_ERROR + 1)


@given(listened(), st.floats(0, 2_000), st.floats(0, 12))
def test_nothing_is_answered_outside_of_what_was_heard(
    broadcast: tuple[list[float], list[Span]], at: float, seconds: float
) -> None:
    _, spans = broadcast
    found = TimeLine(spans).answer(place(at, at + seconds))
    songs = [each for each in spans if each.song is not None]
    if found is not None:
        assert min(each.place.start for each in songs) <= at
        assert max(each.place.end for each in songs) >= at + seconds


@given(listened(), st.integers(0, 19), st.floats(0, 2_000))
def test_forgetting_a_capture_takes_away_answers_and_changes_none(
    broadcast: tuple[list[float], list[Span]], number: int, at: float
) -> None:
    _, spans = broadcast
    fewer = [each for index, each in enumerate(spans) if index != number]
    asked = place(at, at + 1)
    before, after = TimeLine(spans).answer(asked), TimeLine(fewer).answer(asked)
    if before is not None and after is not None:
        assert title_of(before) == title_of(after)


def test_equal_spans_count_once() -> None:
    one = span("A", 0, 6, offset=0)
    assert TimeLine([one, replace(one)]).answer(place(1, 2)) == TimeLine([one]).answer(place(1, 2))
