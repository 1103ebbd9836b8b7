import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.identification import ExternalIds
from fingerprint.providers.errors import ProviderError
from fingerprint.recognizers.shazam import parse_matches
from tests.providers.answers import SHAZAM_ANSWER
from tests.unit.recognizers.test_acrcloud import anything


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


UNREADABLE: list[dict[str, Any]] = [
    {},
    {"error": "gone"},
    SHAZAM_ANSWER | {"track": []},
    SHAZAM_ANSWER | {"track": {"title": {}}},
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_an_answer_of_another_form_is_a_fault(body: dict[str, object]) -> None:
    with pytest.raises(ProviderError) as raised:
        parse_matches(body, start_seconds=0.0)
    assert raised.value.step == "Shazam"


track = st.dictionaries(st.sampled_from([*SHAZAM_ANSWER["track"], "releasedate"]), anything)
match = st.dictionaries(st.sampled_from(["id", "offset", "timeskew", "frequencyskew"]), anything)


@given(track, match)
def test_an_answer_of_any_types_is_read_or_refused(
    of_track: dict[str, object], of_match: dict[str, object]
) -> None:
    body = SHAZAM_ANSWER | {"track": SHAZAM_ANSWER["track"] | of_track, "matches": [of_match]}
    try:
        found = parse_matches(body, start_seconds=0.0)
    except ProviderError:
        return
    assert all(each.song.title for each in found)


@pytest.mark.parametrize(
    ("match", "offset", "position"),
    [
        ({"offset": 77.46, "timeskew": 0.0003, "frequencyskew": -0.01}, 77.46, 3.0),
        ({"offset": "77.46", "timeskew": "x", "frequencyskew": None}, 77.46, 3.0),
        ({"offset": 0}, 0.0, 3.0),
        ({"offset": -2.5}, 0.0, 5.5),
        ({"offset": -900}, None, 3.0),
        ({"offset": None}, None, 3.0),
        ({"offset": [1]}, None, 3.0),
        ({"id": "5001"}, None, 3.0),
    ],
)
def test_where_in_the_song_the_sample_begins(match: object, offset: float | None, position: float) -> None:
    (found,) = parse_matches(SHAZAM_ANSWER | {"matches": [match]}, start_seconds=3.0)
    assert (found.song.offset_seconds, found.song.position_seconds) == (offset, position)


def test_names_are_read_by_the_one_rule() -> None:
    track = SHAZAM_ANSWER["track"] | {"title": "Paper Lanterns (feat. Jonas Vee)", "subtitle": "Mira Holt/Dax"}
    (found,) = parse_matches(SHAZAM_ANSWER | {"track": track}, start_seconds=0.0)
    assert (found.song.title, found.song.artists) == ("Paper Lanterns", ("Mira Holt", "Dax", "Jonas Vee"))
