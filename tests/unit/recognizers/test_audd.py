import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.catalog.song_tags import Tags
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
    "blocks as lists": (
        success(isrc=None, apple_music=[{"isrc": "zz-n99-21-00042"}], spotify=None, deezer=[]),
        {"isrc": "ZZN992100042"},
    ),
    "blocks as JSON text": (
        success(spotify='{"id": "S", "artists": [{"name": "Mira Holt"}]}', deezer=None, apple_music=None),
        {"artists": ("Mira Holt",), "ids": ExternalIds(spotify_track="S")},
    ),
    "a title in a block alone": (success(title="", artist=None), {"title": "Paper Lanterns"}),
    "a date by days": (success(release_date="14.05.2021"), {"release_date": "2021-05-14"}),
    "unicode": (success(title="夜に駆ける"), {"title": "夜に駆ける"}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_a_song_is_read(shape: str) -> None:
    body, expected = SHAPES[shape]
    (match,) = read(body)
    assert {name: getattr(match.song, name) for name in expected} == expected


LONG = {"spotify": None, "deezer": None, "apple_music": None}


@pytest.mark.parametrize(
    ("values", "offset", "duration"),
    [
        ({"timecode": "01:23"}, 83.0, 214.0),
        ({"timecode": "1:23.5"}, 83.5, 214.0),
        ({"timecode": 83}, 83.0, 214.0),
        ({"timecode": "00:00"}, 0.0, 214.0),
        ({"timecode": "1:02:03"} | LONG, 3723.0, None),
        ({"timecode": "75:30"} | LONG, 4530.0, None),
        ({"timecode": "1:02:03", "song_length": "1:10:00"} | LONG, 3723.0, 4200.0),
        ({"timecode": "01:23", "song_length": "02:40"} | LONG, 83.0, 160.0),
        ({"timecode": "02:41", "song_length": "02:40"} | LONG, 160.0, 160.0),
        ({"timecode": "05:00", "song_length": "02:40"} | LONG, None, 160.0),
        ({"timecode": "01:23", "song_length": "long"} | LONG, 83.0, None),
        ({"timecode": "01:75"}, None, 214.0),
        ({"timecode": "1:75:00"} | LONG, None, None),
        ({"timecode": "-01:23"}, None, 214.0),
        ({"timecode": -83}, None, 214.0),
        ({"timecode": "1:00:01"}, None, 214.0),
        ({"timecode": "soon"}, None, 214.0),
        ({"timecode": ["01:23"]}, None, 214.0),
        ({"timecode": "\u0661:\u0662\u0663"}, None, 214.0),
        ({"timecode": None}, None, 214.0),
    ],
)
def test_where_in_the_song_the_sample_begins(values: Json, offset: float | None, duration: float | None) -> None:
    (match,) = read(success(**values))
    assert (match.song.offset_seconds, match.song.duration_seconds) == (offset, duration)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (None, UNSCORED),
        ("85%", 0.85),
        ("100 %", 1.0),
        (100, 1.0),
        ("85", 0.85),
        (25, 0.25),
        (0.6, 0.6),
        (1, 0.01),
        (-1, 0.0),
        ("high", UNSCORED),
    ],
)
def test_all_scores_are_on_one_scale(score: object, expected: float) -> None:
    (match,) = read(success(score=score))
    assert match.score == expected


@pytest.mark.parametrize(
    ("result", "title", "artists"),
    [
        ({"audio_id": 146, "timecode": "00:22"}, "AudD upload 146", ()),
        ({"audio_id": "146", "timecode": "00:22", "title": ""}, "AudD upload 146", ()),
        ({"audio_id": 146, "timecode": "00:22", "artist": "Us"}, "AudD upload 146", ("Us",)),
        ({"audio_id": 7, "timecode": "00:22"}, "Jingle of the house", ("Us",)),
        ([{"audio_id": 7, "timecode": "00:22"}], "Jingle of the house", ("Us",)),
    ],
)
def test_an_upload_is_named(result: object, title: str, artists: tuple[str, ...]) -> None:
    body = json.dumps({"status": "success", "result": result}).encode()
    uploads = {"7": Tags(title="Jingle of the house", artists=("Us",))}
    (match,) = parse_matches(Fetched(200, body), start_seconds=0.0, uploads=uploads)
    assert (match.song.title, match.song.artists) == (title, artists)
    assert (match.song.offset_seconds, match.score) == (22.0, UNSCORED)


@pytest.mark.parametrize(
    ("values", "album", "date"),
    [
        ({}, "Harbour Songs", "2021-05-14"),
        ({"album": "Now 108", "release_date": "2021-06-01"}, "Harbour Songs", None),
        ({"album": "Now 108", "release_date": "2021-06-01"} | LONG, "Now 108", "2021-06-01"),
        ({"album": "Lights", "release_date": "2022"}, "Lights", "2022"),
    ],
)
def test_an_album_is_shown_before_a_compilation(values: Json, album: str, date: str | None) -> None:
    (match,) = read(success(**values))
    assert (match.song.album, match.song.release_date) == (album, date)


def test_names_are_read_by_the_one_rule() -> None:
    (match,) = read(success(title="Paper Lanterns (feat. Jonas Vee)", artist="Mira Holt/The Low Tide", **LONG))
    assert (match.song.title, match.song.artists) == ("Paper Lanterns", ("Mira Holt", "The Low Tide", "Jonas Vee"))


def test_an_answer_that_names_nothing_is_not_paid_for_twice() -> None:
    with pytest.raises(ProviderError) as raised:
        read({"status": "success", "result": {"timecode": "00:22"}})
    assert not raised.value.retryable


@pytest.mark.parametrize(
    "body",
    [
        {"status": "success", "result": []},
        {"status": "success", "result": None},
        {"status": "success"},
        error(907),
    ],
)
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


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"error_code": 901}}, FailureKind.CONFIGURATION),
        ({"status": "success", "result": None, "error": {"error_code": 902}}, FailureKind.QUOTA),
        ({"status": "success", "error": [{"error_code": "900"}]}, FailureKind.CONFIGURATION),
        ({"status": "error", "error": "token"}, FailureKind.TRANSIENT),
        ({"status": "error", "error": {"error_code": {}}}, FailureKind.TRANSIENT),
        ({"status": "error"}, FailureKind.TRANSIENT),
        ({"status": ["success"], "result": AUDD_RESULT}, FailureKind.TRANSIENT),
        ({"status": 1, "result": AUDD_RESULT}, FailureKind.TRANSIENT),
        ({"result": AUDD_RESULT}, FailureKind.TRANSIENT),
        ({"status": "success", "result": {}}, FailureKind.TRANSIENT),
        ({"status": "success", "result": "found"}, FailureKind.TRANSIENT),
        ({"status": "success", "result": [5]}, FailureKind.TRANSIENT),
        ({"status": "success", "result": {"title": {}, "audio_id": {}}}, FailureKind.TRANSIENT),
    ],
)
def test_what_is_no_answer_is_a_fault_of_audd(body: Json, kind: FailureKind) -> None:
    with pytest.raises(ProviderError) as raised:
        read(body)
    assert (raised.value.kind, raised.value.step) == (kind, "AudD")
    assert "None" not in raised.value.detail


@given(st.dictionaries(st.sampled_from([*AUDD_RESULT, "audio_id", "song_length", "score"]), anything))
def test_a_result_of_any_types_is_read_or_refused(values: Json) -> None:
    try:
        found = read(success(**values))
    except ProviderError:
        return
    for match in found:
        assert match.song.title
        assert 0 <= match.score <= 1
