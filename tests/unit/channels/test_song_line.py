import pytest

from server.channels.song_line import song_line
from tests.builders import answered, song


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
