import pytest

from fingerprint.domain.artwork import drawing_of
from fingerprint.domain.identification import CatalogRef
from fingerprint.domain.landmark_points import (
    MAX_LETTERS,
    MAX_POINTS,
    drawing_path,
    points_of_text,
    points_to_text,
)
from fingerprint.domain.songs import song_id
from tests.builders import song

pytestmark = pytest.mark.unit

POINTS = ((0.0, 0.2), (0.4, 1.0), (1.0, 0.6))


def test_points_come_back_from_their_text() -> None:
    assert points_of_text(points_to_text(POINTS)) == POINTS


def test_what_is_kept_of_a_sound_is_bounded() -> None:
    text = points_to_text((n / 1_000, n / 1_000) for n in range(1_000))
    assert len(points_of_text(text)) == MAX_POINTS
    assert len(text) <= MAX_LETTERS == 171
    assert points_of_text(points_to_text([(-1.0, 7.0)])) == ((0.0, 1.0),)


@pytest.mark.parametrize("text", [None, "", "a", "!!", "a\n", "../x", "é", "A" * 172, "A" * 10_000])
def test_other_text_has_no_points(text: str | None) -> None:
    assert points_of_text(text) == ()


def test_a_song_is_drawn_of_its_track_else_of_what_was_heard() -> None:
    heard = points_to_text(POINTS)
    track = CatalogRef(track_id="abc")
    assert drawing_path(song(catalog=track, landmarks=heard)) == "/covers/abc.svg"
    assert drawing_path(song(landmarks=heard)) == f"/covers/heard.{heard}.svg"
    assert drawing_path(song(landmarks="../../x")) == drawing_path(song()) == f"/covers/{song_id(song())}.svg"


def test_a_drawing_is_of_its_points_and_the_same_each_time() -> None:
    drawing = drawing_of("a", POINTS)
    assert drawing == drawing_of("a", POINTS[::-1])
    assert [round((x - 0.05) / 0.9, 3) for x, _, _ in drawing.dots] == [0.0, 0.4, 1.0]
    heights = [y for _, y, _ in drawing.dots]
    assert heights[1] == min(heights), "what is high in the sound is at the top"
    assert drawing_of("a") == drawing_of("a") != drawing_of("b")
    assert all(one < other for one, other in drawing.pairs)
