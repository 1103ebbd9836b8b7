import dataclasses
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from fingerprint.domain.artwork import Artwork
from fingerprint.domain.identification import (
    CatalogRef,
    ExternalIds,
    Identification,
    IdentificationId,
    Kind,
    Stage,
)
from fingerprint.domain.landmark_points import drawing_path, points_to_text
from fingerprint.domain.problems import Problem, ProblemCode
from fingerprint.domain.targets import parse_target
from fingerprint.domain.text import clock_text
from fingerprint.wire import from_json, time_to_json
from server.web.answer import (
    IDLE,
    STAGES,
    WAITING,
    AnswerView,
    answer_view,
    ask_again_text,
    cover_of,
    duration_text,
    moment_text,
    problem_view,
    small_cover_of,
)
from server.web.dial import EXAMPLE, dial_peaks
from server.web.drawn_covers import drawn_cover
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


TABLE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "answers.json").read_text(encoding="utf-8"))
"""Of the scripts, too: identifications with the texts that differ from those of a page without an answer."""


def _texts(view: AnswerView) -> dict[str, Any]:
    return {
        **{name: getattr(view, name) for name in TABLE["idle"]},
        "heard_at": time_to_json(view.heard_at) or "",
        "also": [dataclasses.asdict(other) for other in view.also],
        "retry_after_seconds": view.retry_after_seconds or 0,
    }


def test_nothing_is_shown_before_anything_was_asked() -> None:
    assert _texts(IDLE) == TABLE["idle"]


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_an_answer_has_the_texts_that_scripts_give_it(case: dict[str, Any]) -> None:
    now = datetime.fromisoformat(case.get("now", TABLE["now"]))
    assert _texts(answer_view(from_json(case["identification"]), now)) == TABLE["idle"] | case["texts"]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-03-11T00:00:00Z", "at 00:00 UTC"),
        ("2026-03-10T23:59:59Z", "on 10 March at 23:59 UTC"),
        ("2025-11-20T12:02:00Z", "on 20 November 2025 at 12:02 UTC"),
    ],
)
def test_another_day_is_named(moment: str, text: str) -> None:
    now = datetime(2026, 3, 11, 12, tzinfo=UTC)
    assert moment_text(datetime.fromisoformat(moment), now) == text


def test_the_words_of_the_cases_are_those_of_the_pages() -> None:
    words = {**{str(code): each for code, each in WORDS.items()}, "no-match": NO_MATCH}
    words["no-match-recorded"] = NO_MATCH_RECORDED
    for code, text in TABLE["words"].items():
        assert text == {"heading": words[code].heading, "next_step": words[code].next_step}


def test_a_running_job_shows_its_step_and_the_needle_only_goes_forward() -> None:
    asked = identification()
    needles: list[float] = []
    for stage in (Stage.QUEUED, *(words.stage for words in STAGES)):
        view = answer_view(asked.at_stage(stage) if stage is not Stage.QUEUED else asked, NOON)
        assert view.state == "working"
        needles.append(view.needle)
        assert view.doing == (
            WAITING if stage is Stage.QUEUED else next(s.doing for s in STAGES if s.stage is stage)
        )
    assert needles == sorted(set(needles))


def test_only_links_that_exist_are_shown() -> None:
    ids = ExternalIds(youtube="dQw4w9WgXcQ", spotify_track="../../evil")
    links = answer_view(answered(song=song(ids=ids)), NOON).links
    assert links == {"youtube": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}


def test_the_cover_is_the_smallest_that_is_large_enough_and_our_own() -> None:
    def cover(*urls: tuple[str, int]) -> str:
        artwork = tuple(Artwork(url=url, width=width, height=width) for url, width in urls)
        return cover_of(song(artwork=artwork))

    assert cover(("/1000", 1000), ("/64", 64), ("/300", 300)) == "/300"
    assert cover(("/64", 64)) == "/64"
    drawn = drawing_path(song())
    assert cover(("https://example.com/a.jpg", 300), ("//example.com/a.jpg", 300)) == drawn
    track = CatalogRef(track_id="abc", path="a.mp3")
    assert cover_of(song(catalog=track)) == small_cover_of(song(catalog=track)) == "/covers/abc.svg"
    assert small_cover_of(song(artwork=(Artwork(url="/120", width=120, height=120),))) == "/120"


def test_a_drawn_cover_is_its_seeds_own_and_the_same_each_time() -> None:
    assert drawn_cover("a") == drawn_cover("a") != drawn_cover("b")
    ET.fromstring(drawn_cover("a"))


def test_a_cover_and_the_dial_are_drawn_of_the_landmarks_that_were_heard() -> None:
    points = ((0.0, 1.0), (0.4, 0.2))
    picture = ET.fromstring(drawn_cover("a", points))
    assert len(picture.findall(".//{http://www.w3.org/2000/svg}circle")) == len(points)
    heard = answer_view(answered(song=song(landmarks=points_to_text(points))), NOON)
    assert dial_peaks(heard) == ((0.0, 12.0, 1.0), (40.0, 53.6, 2.2))
    assert dial_peaks(IDLE) == EXAMPLE
    assert dial_peaks(answer_view(answered(song=song()), NOON)) == (), "nothing is made up"


@pytest.mark.parametrize("code", list(ProblemCode))
def test_every_problem_has_words_and_a_next_step(code: ProblemCode) -> None:
    view = problem_view(Problem(code=code, detail="Why."))
    assert view.state == "failed"
    assert view.heading
    assert view.next_step.endswith(".")
    assert (view.detail, view.retry_after_seconds) == ("Why.", None)


@pytest.mark.parametrize("code", list(ProblemCode))
def test_when_to_try_again_is_said_once(code: ProblemCode) -> None:
    """docs/style.md: one retry sentence with one time. The page counts the seconds down."""
    counted = problem_view(Problem(code=code, detail="Why.", retry_after_seconds=3.0))
    assert counted.retry_after_seconds == 3.0
    assert not re.search(r"in a (few|minute)|a moment, then|the ad break", counted.next_step)
    said = problem_view(Problem(code=code, detail="We are busy. Try again in a moment."))
    assert said.next_step == ""


def test_what_waiting_does_not_change_is_for_the_operator() -> None:
    told = [
        problem_view(
            Problem(code=ProblemCode.UPSTREAM_UNAVAILABLE, detail="Why.", retry_after_seconds=wait)
        ).next_step
        for wait in (5.0, None)
    ]
    assert "operator" not in told[0]
    assert "operator" in told[1]


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
