"""Answers become plays."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.identification import CatalogRef, Identification, Song, Status
from server.identifications.set_list import plays, plays_of_now
from tests.builders import NOON, answered, song

ONE = CatalogRef(track_id="1", path="a.flac")
OTHER = CatalogRef(track_id="2", path="b.flac")


def shown(newest_first: list[Identification]) -> list[tuple[str, int]]:
    return [(play.song.title, len(play.answers)) for play in plays(newest_first)]


def test_consecutive_answers_of_one_song_are_one_play() -> None:
    history = [answered("B", minutes=4), answered("A", minutes=2), answered("A", minutes=1)]
    first, second = plays(history)
    assert (first.song.title, second.song.title) == ("B", "A")
    assert second.first_heard == NOON + timedelta(minutes=1)
    assert second.last_heard == NOON + timedelta(minutes=2)
    assert second.asked_at == NOON + timedelta(minutes=1)
    assert second.answers == ("id-A-2", "id-A-1")


@pytest.mark.parametrize(
    ("scores", "probable"), [((0.7, 0.85), True), ((0.7, 0.93), False), ((0.93, 0.7), False), ((None,), False)]
)
def test_a_play_is_probable_when_none_of_its_answers_was_sure(
    scores: tuple[float | None, ...], *, probable: bool
) -> None:
    history = [answered("A", minutes=-minute, score=score) for minute, score in enumerate(scores)]
    (play,) = plays(history)
    assert play.probable is probable


def test_a_song_that_comes_back_is_another_play() -> None:
    history = [answered("A", minutes=6), answered("B", minutes=3), answered("A", minutes=0)]
    assert shown(history) == [("A", 1), ("B", 1), ("A", 1)]


@pytest.mark.parametrize(
    ("gap_minutes", "song_minutes", "count"), [(14, 3, 1), (16, 3, 2), (16, 10, 1), (21, 10, 2)]
)
def test_a_song_heard_much_later_is_another_play(gap_minutes: int, song_minutes: int, count: int) -> None:
    long = song("A", duration_seconds=song_minutes * 60.0)
    history = [answered("A", minutes=gap_minutes, song=long), answered("A", minutes=0, song=long)]
    assert len(list(plays(history))) == count


def test_answers_without_a_song_are_passed_over() -> None:
    nothing = answered("A", minutes=1, song=None, status=Status.NO_MATCH)
    assert shown([answered("A", minutes=2), nothing, answered("A", minutes=0)]) == [("A", 2)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (song("A", isrc="qzes71982312"), song("A (Live)", isrc="QZES71982312"), True),
        (song("A", isrc="QZES71982312"), song("A", isrc="QZES71982313"), False),
        (song("A", catalog=ONE), song("A", catalog=OTHER), False),
        (song("A", catalog=ONE), song("B", catalog=ONE), True),
        (song("Straße", "X", "Y"), song("STRASSE", "y", "x"), True),
        (song("A", "X"), song("A", "Z"), False),
    ],
)  # fmt: skip
def test_what_counts_as_the_same_song(one: Song, other: Song, same: bool) -> None:
    history = [answered("1", minutes=1, song=one), answered("0", minutes=0, song=other)]
    assert len(list(plays(history))) == (1 if same else 2)


def test_the_broadcasts_time_counts_where_it_is_known() -> None:
    heard = NOON - timedelta(seconds=20)
    (play,) = plays([answered("A", captured_at=heard)])
    assert play.first_heard == play.last_heard == heard
    assert play.asked_at == NOON


@given(st.lists(st.sampled_from("ABC"), max_size=30))
def test_no_answer_is_lost_and_neighbors_differ(titles: list[str]) -> None:
    history = [answered(title, minutes=-number) for number, title in enumerate(titles)]
    found = list(plays(history))
    assert [answer for play in found for answer in play.answers] == [row.id for row in history]
    assert all(one.song.title != other.song.title for one, other in pairwise(found))


def test_p9_what_a_clock_heard_that_was_ahead_does_not_play_now_for_all_that_time() -> None:
    ahead, now = answered("A", minutes=60), answered("B", minutes=0)
    assert [play.song.title for play in plays_of_now(list(plays([ahead, now])), NOON)] == ["B"]
    assert [play.song.title for play in plays_of_now(list(plays([now])), NOON)] == ["B"]
    assert plays_of_now(list(plays([answered("C", minutes=-60)])), NOON) == []
