"""When an answer about a video is about other sound than that of the moment, and how long it is then reused."""

from datetime import timedelta

import pytest

from fingerprint.domain.identification import Kind, Status, heard_elsewhere, is_fresh, reusable
from tests.builders import NOON, answered, identification, song


@pytest.mark.parametrize(
    ("at", "start", "seconds", "elsewhere"),
    [
        (35.0, 30.0, 20.0, False),
        (30.0, 31.9, 20.0, False),
        (51.9, 30.0, 20.0, False),
        (35.0, 40.0, 20.0, True),
        (53.0, 30.0, 20.0, True),
        (None, 40.0, 20.0, False),
        (35.0, None, 20.0, False),
        (35.0, 0.0, None, True),
    ],
)
def test_sound_beside_the_moment_is_reused_only_briefly(
    at: float | None, start: float | None, seconds: float | None, elsewhere: bool
) -> None:
    answer = identification(
        kind=Kind.VIDEO,
        target="2210987001",
        at_seconds=at,
        status=Status.SUCCESSFUL,
        song=song(),
        finished_at=NOON,
        captured_from_seconds=start,
        captured_seconds=seconds,
    )
    assert heard_elsewhere(answer) == elsewhere
    assert reusable(answer, NOON + timedelta(minutes=9))
    assert reusable(answer, NOON + timedelta(days=9)) == (not elsewhere)


def test_the_sound_of_a_clip_is_never_elsewhere() -> None:
    answer = identification(kind=Kind.CLIP, at_seconds=3.0, captured_from_seconds=8.0, captured_seconds=2.0)
    assert not heard_elsewhere(answer)


@pytest.mark.parametrize(
    ("seconds", "fresh"),
    [(0.0, True), (60.0, True), (61.0, False), (-1.5, True), (-2.5, False), (-3_600.0, False)],
)
def test_p9_how_old_an_answer_is_that_comes_later_is_not_known(seconds: float, fresh: bool) -> None:
    answer = answered(finished_at=NOON)
    assert is_fresh(answer, NOON + timedelta(seconds=seconds), 60.0) is fresh
