import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.fetch import Fetched
from fingerprint.ports import Match
from fingerprint.providers.errors import FailureKind, ProviderError
from fingerprint.recognizers.audd import UNSCORED, parse_matches
from tests.providers.answers import AUDD_RESULT
from tests.providers.audd_service import error
from tests.unit.recognizers.test_acrcloud import anything

Json = dict[str, Any]


def read(body: object, *, http: int = 200) -> list[Match]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(parse_matches(Fetched(http, raw), start_seconds=0.0))


def success(**values: Any) -> Json:
    return {"status": "success", "result": copy.deepcopy(AUDD_RESULT) | values}


def without(*names: str) -> Json:
    return {"status": "success", "result": {key: value for key, value in AUDD_RESULT.items() if key not in names}}


def test_everything_that_it_tells_is_read() -> None:
    (match,) = read(success())
    song = match.song
    assert match.score == UNSCORED
    assert (song.title, song.artists) == ("Paper Lanterns", ("Mira Holt", "The Low Tide"))
    assert (song.album, song.label, song.release_date) == ("Harbour Songs", "Example Records", "2021-05-14")
    assert (song.isrc, song.duration_seconds, song.offset_seconds) == ("ZZN992100042", 214.0, 77.0)
    assert song.ids == ExternalIds(
        spotify_track="AAAAAAAAAAAAAAAAAAAAA1",
        spotify_album="AAAAAAAAAAAAAAAAAAAAA2",
        spotify_artists=("AAAAAAAAAAAAAAAAAAAAA3", "AAAAAAAAAAAAAAAAAAAAA4"),
        deezer_track="900000001",
        deezer_album="900000002",
        deezer_artists=("900000003",),
        apple_music="1440933849",
    )


SHAPES: dict[str, tuple[Json, dict[str, object]]] = {
    "no blocks": (
        without("spotify", "deezer", "apple_music"),
        {"artists": ("Mira Holt & The Low Tide",), "ids": ExternalIds(), "duration_seconds": None},
    ),
    "empty blocks": (
        success(spotify=None, deezer=[], apple_music=""),
        {"artists": ("Mira Holt & The Low Tide",), "ids": ExternalIds()},
    ),
    "no isrc but in a block": (without("isrc"), {"isrc": "ZZN992100042"}),
    "no album": (without("album", "label", "release_date"), {"album": None, "label": None, "release_date": None}),
    "empty strings": (success(album="", label=" ", isrc="", timecode=""), {"album": None, "offset_seconds": None}),
    "an hour": (success(timecode="1:00:01"), {"offset_seconds": 3601.0}),
    "an odd timecode": (success(timecode="soon"), {"offset_seconds": None}),
    "the operator's own file": (
        {"status": "success", "result": {"title": "Jingle", "audio_id": 7, "timecode": "00:03"}},
        {"title": "Jingle", "artists": ()},
    ),
    "a link to YouTube": (
        success(
            song_link="https://www.youtube.com/watch?v=abcdefghijk", spotify=None, deezer=None, apple_music=None
        ),
        {"ids": ExternalIds(youtube="abcdefghijk")},
    ),
    "a deprecated parameter": (success() | error(51), {"title": "Paper Lanterns"}),
    "unicode": (success(title="夜に駆ける"), {"title": "夜に駆ける"}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_a_song_is_read(shape: str) -> None:
    body, expected = SHAPES[shape]
    (match,) = read(body)
    assert {name: getattr(match.song, name) for name in expected} == expected


@pytest.mark.parametrize("body", [{"status": "success", "result": None}, {"status": "success"}, error(907)])
def test_no_result_is_an_answer(body: Json) -> None:
    assert read(body) == []


CODES: dict[int, FailureKind] = {
    900: FailureKind.CONFIGURATION,
    901: FailureKind.CONFIGURATION,
    903: FailureKind.CONFIGURATION,
    902: FailureKind.QUOTA,
    904: FailureKind.CONFIGURATION,
    905: FailureKind.CONFIGURATION,
    31337: FailureKind.CONFIGURATION,
    19: FailureKind.CONFIGURATION,
    1901: FailureKind.CONFIGURATION,
    20: FailureKind.REQUEST,
    50: FailureKind.REQUEST,
    51: FailureKind.REQUEST,
    600: FailureKind.REQUEST,
    601: FailureKind.REQUEST,
    602: FailureKind.REQUEST,
    610: FailureKind.REQUEST,
    700: FailureKind.REQUEST,
    701: FailureKind.REQUEST,
    702: FailureKind.REQUEST,
    906: FailureKind.REQUEST,
    611: FailureKind.RATE,
    100: FailureKind.TRANSIENT,
    1000: FailureKind.TRANSIENT,
    4242: FailureKind.TRANSIENT,
}


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_told_apart(code: int) -> None:
    with pytest.raises(ProviderError) as raised:
        read(error(code, "some message"))
    assert raised.value.kind is CODES[code]
    assert raised.value.provider_code == code
    assert raised.value.retryable == (CODES[code] in (FailureKind.RATE, FailureKind.TRANSIENT))
    assert "some message" not in raised.value.detail


@pytest.mark.parametrize("code", [300, 400, 500])
def test_a_sample_that_it_cannot_hear_is_no_audio(code: int) -> None:
    with pytest.raises(TwitchAudioError) as raised:
        read(error(code))
    assert raised.value.code is ProblemCode.NO_AUDIO


@pytest.mark.parametrize(
    ("http", "kind"),
    [
        (401, FailureKind.CONFIGURATION),
        (413, FailureKind.REQUEST),
        (429, FailureKind.RATE),
        (500, FailureKind.TRANSIENT),
    ],
)
def test_an_answer_that_is_not_the_apis_own_is_judged_by_its_status(http: int, kind: FailureKind) -> None:
    with pytest.raises(ProviderError) as raised:
        read(b"<html>no</html>", http=http)
    assert raised.value.kind is kind


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"[" * 100_000, b'{"status": "odd"}', b'{"status": "success", "result": 5}']
)
def test_nonsense_is_a_transient_fault(body: bytes) -> None:
    with pytest.raises(ProviderError) as raised:
        read(body)
    assert raised.value.kind is FailureKind.TRANSIENT


@given(st.dictionaries(st.sampled_from(list(AUDD_RESULT)), anything))
def test_a_result_of_any_types_is_read_or_refused(values: Json) -> None:
    try:
        found = read(success(**values))
    except ProviderError:
        return
    for match in found:
        assert match.song.title
        assert 0 <= match.score <= 1
