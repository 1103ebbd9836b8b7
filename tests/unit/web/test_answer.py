from datetime import timedelta
from typing import Any

import pytest

from fingerprint.domain.identification import (
    ExternalIds,
    Identification,
    IdentificationId,
    Kind,
    Stage,
    Status,
    Timings,
)
from fingerprint.domain.problems import Problem, ProblemCode
from fingerprint.domain.targets import parse_target
from server.web.answer import (
    NEEDLE_AT_REST,
    STEPS,
    WAITING,
    answer_view,
    ask_again_text,
    clock_text,
    duration_text,
    problem_view,
)
from server.web.words import NETWORK, NO_MATCH, NO_MATCH_RECORDED, WORDS
from tests.builders import NOON, answered, identification, song


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (9.99, "0:09"),
        (63.2, "1:03"),
        (3599.9, "59:59"),
        (3600, "1:00:00"),
        (36_061, "10:01:01"),
        (-1, "0:00"),
    ],
)
def test_moments_are_told_as_clocks_do(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


@pytest.mark.parametrize(
    ("ms", "text"), [(0.4, "0 ms"), (86.2, "86 ms"), (999.4, "999 ms"), (999.6, "1.00 s"), (6123.0, "6.12 s")]
)
def test_durations_change_to_seconds_when_they_are_long(ms: float, text: str) -> None:
    assert duration_text(ms) == text


def test_a_running_job_shows_its_step_and_the_needle_only_goes_forward() -> None:
    asked = identification()
    needles: list[float] = []
    for stage in (Stage.QUEUED, *(step.stage for step in STEPS)):
        view = answer_view(asked.at_stage(stage) if stage is not Stage.QUEUED else asked)
        assert view.state == "working"
        needles.append(view.needle)
        assert view.doing == (
            WAITING if stage is Stage.QUEUED else next(s.doing for s in STEPS if s.stage is stage)
        )
    assert needles == sorted(set(needles))


def test_a_found_song_stands_at_its_moment_on_the_scale() -> None:
    found = song("Harbour Lights", "Marlow Quay", duration_seconds=200.0, offset_seconds=50.0)
    view = answer_view(answered(song=found))
    assert (view.state, view.needle, view.moment, view.scale_end) == ("found", 25.0, "0:50", "3:20")
    assert view.set_list == "/channels/somechannel"


@pytest.mark.parametrize(("offset", "duration"), [(None, 200.0), (50.0, None), (50.0, 0.0), (None, None)])
def test_without_moment_or_length_there_is_no_scale(offset: float | None, duration: float | None) -> None:
    view = answer_view(answered(song=song(offset_seconds=offset, duration_seconds=duration)))
    assert (view.needle, view.scale_end) == (NEEDLE_AT_REST, "")


@pytest.mark.parametrize(("offset", "needle"), [(-3.0, 0.0), (500.0, 100.0)])
def test_the_needle_never_leaves_the_dial(offset: float, needle: float) -> None:
    assert answer_view(answered(song=song(offset_seconds=offset, duration_seconds=100.0))).needle == needle


def test_the_time_heard_is_that_of_the_broadcast_where_it_is_known() -> None:
    broadcast = NOON - timedelta(seconds=20)
    assert answer_view(answered(captured_at=broadcast)).heard_at == broadcast
    assert answer_view(answered()).heard_at == NOON + timedelta(seconds=1)


def test_only_links_that_exist_are_shown() -> None:
    ids = ExternalIds(youtube="dQw4w9WgXcQ", spotify_track="../../evil")
    links = answer_view(answered(song=song(ids=ids))).links
    assert links == {"youtube": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}


def test_other_songs_are_listed_for_a_clip_but_not_for_a_live_stream() -> None:
    first, second = song("One"), song("Two", position_seconds=21.4)
    clip = answered(song=first, songs=(first, second), kind=Kind.CLIP, target="FancySlug")
    assert [(also.position, also.title) for also in answer_view(clip).also] == [("0:21", "Two")]
    assert answer_view(answered(song=first, songs=(first, second))).also == ()


def test_a_clips_answer_is_for_good_and_has_no_time_of_day() -> None:
    view = answer_view(answered(kind=Kind.CLIP, target="FancySlug"))
    assert (view.heard_at, view.ask_again, view.set_list) == (None, "", "")


def test_a_channel_that_failed_is_not_called_live() -> None:
    problem = Problem(code=ProblemCode.NOT_LIVE, detail="Off.")
    failed = identification().failed(problem, NOON)
    assert answer_view(failed).source == "Channel somechannel"
    assert answer_view(answered()).source == "somechannel, live"


def test_no_match_in_a_clip_does_not_promise_that_it_will_sound_better_later() -> None:
    view = answer_view(identification(status=Status.NO_MATCH, kind=Kind.CLIP, target="FancySlug"))
    assert (view.heading, view.next_step) == (NO_MATCH_RECORDED.heading, NO_MATCH_RECORDED.next_step)


def test_no_match_offers_another_try() -> None:
    view = answer_view(
        identification(status=Status.NO_MATCH, captured_seconds=6.0, timings=Timings(capture_ms=2.0))
    )
    assert (view.state, view.heading, view.ask_again) == ("none", NO_MATCH.heading, "somechannel")
    assert "6.0 s" in view.detail
    assert view.took == "Listen 2 ms"


@pytest.mark.parametrize("code", list(ProblemCode))
def test_every_problem_has_words_and_a_next_step(code: ProblemCode) -> None:
    view = problem_view(Problem(code=code, detail="Why.", retry_after_seconds=3.0))
    assert view.state == "failed"
    assert view.heading
    assert view.next_step.endswith(".")
    assert (view.detail, view.retry_after_seconds) == ("Why.", 3.0)


def test_no_two_problems_have_the_same_heading() -> None:
    headings = [words.heading for words in (*WORDS.values(), NO_MATCH, NO_MATCH_RECORDED, NETWORK)]
    assert len(set(headings)) == len(headings)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"kind": Kind.CLIP, "target": "FancySlug-x_1"},
        {"kind": Kind.CLIP, "target": "shortslug"},
        {"kind": Kind.VIDEO, "target": "1234567890", "at_seconds": 3723.0},
        {"kind": Kind.VIDEO, "target": "1234567", "at_seconds": None},
    ],
)
def test_asking_again_asks_for_the_same(values: dict[str, Any]) -> None:
    asked: Identification = identification(id=IdentificationId("x"), **values)
    target = parse_target(ask_again_text(asked))
    assert (target.kind, target.name) == (asked.kind, asked.target)
    assert getattr(target, "at_seconds", None) == (asked.at_seconds or 0.0 if asked.kind is Kind.VIDEO else None)
