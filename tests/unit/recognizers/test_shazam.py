import copy

import pytest

from fingerprint.domain.identification import ExternalIds
from fingerprint.providers.errors import ProviderError
from fingerprint.recognizers.shazam import parse_matches
from tests.providers.answers import SHAZAM_ANSWER


def test_everything_that_it_tells_is_read() -> None:
    (match,) = parse_matches(SHAZAM_ANSWER, start_seconds=3.0)
    song = match.song
    assert (song.title, song.artists) == ("Paper Lanterns", ("Mira Holt & The Low Tide",))
    assert (song.album, song.label, song.release_date) == ("Harbour Songs", "Example Records", "2021")
    assert (song.isrc, song.offset_seconds, song.position_seconds) == ("ZZN992100042", 77.46, 3.0)
    assert song.ids == ExternalIds(apple_music="1440933849")


def test_no_match_is_an_answer() -> None:
    assert parse_matches({"matches": [], "tagid": "X"}, start_seconds=0.0) == ()


def test_a_track_alone_is_enough() -> None:
    body = copy.deepcopy(SHAZAM_ANSWER)
    body["track"] = {"title": "Only a title"}
    (match,) = parse_matches(body, start_seconds=0.0)
    assert match.song.title == "Only a title"
    assert match.song.ids == ExternalIds()


def test_an_answer_of_another_form_is_a_fault() -> None:
    with pytest.raises(ProviderError):
        parse_matches({"error": "gone"}, start_seconds=0.0)
