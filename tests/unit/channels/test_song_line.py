from dataclasses import replace
from datetime import timedelta

import pytest

from fingerprint.domain.identification import Status
from server.channels.song_line import song_line
from tests.builders import NOON, answered, song


@pytest.mark.parametrize(
    ("score", "line"),
    [
        (0.7, "Now playing, probably: Night Drive by The Builders"),
        (0.85, "Now playing, probably: Night Drive by The Builders"),
        (0.86, "Now playing: Night Drive by The Builders"),
        (None, "Now playing: Night Drive by The Builders"),
    ],
)
def test_a_song_that_is_not_sure_is_probable(score: float | None, line: str) -> None:
    assert song_line(answered(score=score, song=song("Night Drive", "The Builders"))) == line


def test_the_song_of_an_earlier_moment_says_when_it_was_played() -> None:
    earlier = answered(asked_at=NOON - timedelta(seconds=90))
    assert song_line(earlier) == "Played 1:30 ago: Night Drive by The Builders"
    nothing = replace(earlier, status=Status.NO_MATCH, song=None, songs=())
    assert song_line(nothing) == "No match for what somechannel played then. Try another moment."
