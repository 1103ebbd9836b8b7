import copy
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.catalog.song_tags import Tags
from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.fetch import Fetched
from fingerprint.ports import Match
from fingerprint.providers.errors import FailureKind, ProviderError
from fingerprint.recognizers.acrcloud import build_request, parse_matches, signature
from tests.providers.acrcloud_service import ACCESS_KEY, ACCESS_SECRET, status
from tests.providers.answers import ACR_TRACK

Json = dict[str, Any]


def read(body: object, *, http: int = 200, start: float = 0.0) -> list[Match]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(parse_matches(Fetched(http, raw), sample_seconds=6.0, start_seconds=start))


def success(*tracks: Json, **more: object) -> Json:
    return status(0) | {"result_type": 0, "metadata": {"music": list(tracks), **more}}


def changed(**values: Any) -> Json:
    return copy.deepcopy(ACR_TRACK) | values


def without(*names: str) -> Json:
    return {name: value for name, value in ACR_TRACK.items() if name not in names}


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [("fingerprint", "c/l3ihROApK47fy0ohmkavGz7oM="), ("audio", "vwPz8D5GuPZRAnSYk/feyW+5pY4=")],
)
def test_the_signature_is_the_known_one(data_type: str, expected: str) -> None:
    assert signature(ACCESS_KEY, ACCESS_SECRET, data_type, "1700000000") == expected


def test_the_secret_is_not_in_the_question() -> None:
    headers, body = build_request(b"abc", "audio", access_key="key", access_secret=ACCESS_SECRET, timestamp=1)
    assert ACCESS_SECRET.encode() not in body
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="sample_bytes"\r\n\r\n3\r\n' in body


def test_everything_that_it_tells_is_read() -> None:
    (match,) = read(success(ACR_TRACK))
    song = match.song
    assert match.score == 0.96
    assert (song.title, song.artists) == ("Paper Lanterns", ("Mira Holt", "The Low Tide"))
    assert (song.album, song.label, song.release_date) == ("Harbour Songs", "Example Records", "2021-05-14")
    assert (song.isrc, song.duration_seconds) == ("ZZN992100042", 214.0)
    assert (song.offset_seconds, song.position_seconds) == (77.48, 0.0)
    assert song.ids == ExternalIds(
        spotify_track="AAAAAAAAAAAAAAAAAAAAA1",
        spotify_album="AAAAAAAAAAAAAAAAAAAAA2",
        spotify_artists=("AAAAAAAAAAAAAAAAAAAAA3", "AAAAAAAAAAAAAAAAAAAAA4"),
        youtube="abcdefghijk",
        deezer_track="900000001",
        deezer_album="900000002",
        deezer_artists=("900000003",),
    )


def test_a_sample_from_the_middle_says_where_the_song_is_heard() -> None:
    (match,) = read(success(ACR_TRACK), start=20.0)
    assert match.song.position_seconds == 20.0
    assert match.song.offset_seconds == 77.48


NO_METADATA = ExternalIds()
OFFSETS = (
    "play_offset_ms",
    "db_begin_time_offset_ms",
    "db_end_time_offset_ms",
    "sample_begin_time_offset_ms",
    "sample_end_time_offset_ms",
)
SHAPES: dict[str, tuple[Json, dict[str, object]]] = {
    "no album": (success(without("album")), {"album": None}),
    "an empty album": (success(changed(album={})), {"album": None}),
    "an album that is a text": (success(changed(album="Harbour Songs")), {"album": "Harbour Songs"}),
    "no artists": (success(without("artists")), {"artists": ()}),
    "an artist twice and one without a name": (
        success(changed(artists=[{"name": "A"}, {"name": "A"}, {"id": "1"}, {"name": " "}, {"name": "B"}])),
        {"artists": ("A", "B")},
    ),
    "no external metadata": (
        success(without("external_metadata", "external_ids")),
        {"ids": NO_METADATA, "isrc": None},
    ),
    "empty external metadata": (success(changed(external_metadata={}, external_ids={})), {"ids": NO_METADATA}),
    "empty strings": (
        success(
            changed(
                label="", release_date="", external_ids={"isrc": ""}, external_metadata={"youtube": {"vid": ""}}
            )
        ),
        {"label": None, "release_date": None, "isrc": None, "ids": NO_METADATA},
    ),
    "lists for objects": (
        success(
            changed(
                external_ids={"isrc": ["ZZN992100042", "ZZN992100043"]},
                external_metadata={
                    "spotify": [{"track": {"id": "S1"}}, {"track": {"id": "S2"}}],
                    "deezer": [{"track": {"id": 1}}],
                    "youtube": [{"vid": "abcdefghijk"}],
                },
            )
        ),
        {
            "isrc": "ZZN992100042",
            "ids": ExternalIds(spotify_track="S1", deezer_track="1", youtube="abcdefghijk"),
        },
    ),
    "a length as text": (success(changed(duration_ms="214000")), {"duration_seconds": 214.0}),
    "no offsets": (
        success(without("duration_ms", *OFFSETS)),
        {"offset_seconds": None, "duration_seconds": None},
    ),
    "unicode": (success(changed(title="夜に駆ける", artists=[{"name": "Sigur Rós 🎧"}])), {"title": "夜に駆ける"}),
    "the operator's own file": (
        status(0) | {"metadata": {"custom_files": [{"title": "Jingle", "artist": "Us", "score": 100}]}},
        {"title": "Jingle", "artists": ("Us",), "ids": NO_METADATA},
    ),
    "external metadata in a list": (
        success(changed(external_metadata=[{"spotify": {"track": {"id": "S"}}}, {"youtube": {"vid": "v"}}])),
        {"ids": ExternalIds(spotify_track="S", youtube="v")},
    ),
    "external metadata as JSON text": (
        success(changed(external_metadata='{"deezer": {"track": {"id": 7}}}')),
        {"ids": ExternalIds(deezer_track="7")},
    ),
    "a YouTube id alone": (
        success(changed(external_metadata={"youtube": "abcdefghijk"})), {"ids": ExternalIds(youtube="abcdefghijk")}
    ),
    "external ids in a list": (
        success(changed(external_ids=[{"isrc": ""}, {"isrc": ["zz-n99-21-00042"]}])), {"isrc": "ZZN992100042"}
    ),
    "no real ISRC": (success(changed(external_ids={"isrc": "N/A"})), {"isrc": None}),
    "an album with a title": (success(changed(album=[{"title": "Harbour Songs"}])), {"album": "Harbour Songs"}),
    "an escaped title": (success(changed(title="Rock &amp; Roll")), {"title": "Rock & Roll"}),
    "metadata in a list": (
        status(0) | {"metadata": [{"custom_files": None}, {"music": [ACR_TRACK]}]}, {"title": "Paper Lanterns"}
    ),
    "metadata as JSON text": (
        status(0) | {"metadata": json.dumps({"music": [ACR_TRACK]})}, {"title": "Paper Lanterns"}
    ),
    "a track without a title beside one with it": (
        success(without("title"), changed(score=80)),
        {"title": "Paper Lanterns"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_a_song_is_read(shape: str) -> None:
    body, expected = SHAPES[shape]
    (match,) = read(body)
    assert {name: getattr(match.song, name) for name in expected} == expected
    assert 0 < match.score <= 1


WHERE: dict[str, tuple[Json, tuple[float | None, float]]] = {
    "aligned": ({}, (77.48, 0.0)),
    "no play offset": ({"play_offset_ms": None}, (77.48, 0.0)),
    "the ends alone": ({"db_begin_time_offset_ms": None}, (77.48, 0.0)),
    "the beginnings as text": (
        {"db_begin_time_offset_ms": "77600", "sample_begin_time_offset_ms": "120"},
        (77.48, 0.0),
    ),
    "the ends alone, as text": (
        {"sample_begin_time_offset_ms": "", "db_end_time_offset_ms": "83300.0"},
        (77.48, 0.0),
    ),
    "a stretch later in the sample": (
        {"db_begin_time_offset_ms": 113_940, "sample_begin_time_offset_ms": 700, "play_offset_ms": 117_220},
        (113.24, 0.0),
    ),
    "a song that begins within the sample": (
        {"db_begin_time_offset_ms": 0, "sample_begin_time_offset_ms": 2_500, "play_offset_ms": 3_500},
        (0.0, 2.5),
    ),
    "zeros": ({"db_begin_time_offset_ms": 0, "sample_begin_time_offset_ms": 0}, (0.0, 0.0)),
    "a negative beginning": ({"db_begin_time_offset_ms": -1}, (77.48, 0.0)),
    "a beginning behind the sample": ({"sample_begin_time_offset_ms": 60_000}, (77.48, 0.0)),
    "a beginning behind the song": ({"db_begin_time_offset_ms": 400_000}, (77.48, 0.0)),
    "nothing but the play offset": (dict.fromkeys(OFFSETS[1:]), (77.46, 0.0)),
    "the play offset as text": (dict.fromkeys(OFFSETS[1:]) | {"play_offset_ms": "83460"}, (77.46, 0.0)),
    "a play offset within the sample": (dict.fromkeys(OFFSETS[1:]) | {"play_offset_ms": 3_000}, (0.0, 3.0)),
    "a negative play offset": (dict.fromkeys(OFFSETS[1:]) | {"play_offset_ms": -5}, (None, 0.0)),
    "a play offset behind the song": (dict.fromkeys(OFFSETS[1:]) | {"play_offset_ms": 900_000}, (None, 0.0)),
    "a beginning in the song alone": (
        dict.fromkeys(OFFSETS) | {"db_begin_time_offset_ms": 77_600},
        (77.6, 0.0),
    ),
    "nothing that can be": ({name: [True, {}] for name in OFFSETS}, (None, 0.0)),
    "an unknown length": ({"duration_ms": 0, "db_begin_time_offset_ms": 400_120}, (400.0, 0.0)),
    "a moment behind the end": (
        {"duration_ms": 77_000, "db_end_time_offset_ms": None},
        (77.0, 0.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WHERE)
def test_where_in_the_song_the_sample_begins(case: str) -> None:
    values, expected = WHERE[case]
    (match,) = read(success(changed(**values)))
    assert (match.song.offset_seconds, match.song.position_seconds) == expected
    (later,) = read(success(changed(**values)), start=20.0)
    assert later.song.position_seconds == 20.0 + expected[1]


@pytest.mark.parametrize(
    ("kind", "score", "expected"),
    [
        ("music", 96, 0.96),
        ("music", 25, 0.25),
        ("music", "70", 0.7),
        ("music", "85%", 0.85),
        ("music", " 85,5 % ", 0.855),
        ("music", "85/100", 0.85),
        ("music", "0.85", 0.85),
        ("music", "1%", 0.01),
        ("music", "high", 0.7),
        ("custom_files", "100 %", 1.0),
        ("music", 0.83, 0.83),
        ("music", 1, 0.01),
        ("music", 250, 1.0),
        ("music", -3, 0.0),
        ("music", None, 0.7),
        ("custom_files", 1, 1.0),
        ("custom_files", 0.4, 0.4),
        ("custom_files", 100, 1.0),
        ("custom_files", "88.5", 0.885),
    ],
)
def test_all_scores_are_on_one_scale(kind: str, score: object, expected: float) -> None:
    (match,) = read(status(0) | {"metadata": {kind: [changed(score=score)]}})
    assert match.score == expected


def test_the_surest_list_wins() -> None:
    upload = {"title": "Jingle", "audio_id": "7", "score": 99}
    (match,) = read(success(changed(score=25), custom_files=[upload]))
    assert (match.song.title, match.score) == ("Jingle", 0.99)
    (match,) = read(success(changed(score=99), custom_files=[upload]))
    assert match.song.title == "Paper Lanterns"


def test_what_is_hummed_alike_is_no_match() -> None:
    hummed = changed(title="Hummed", score=0.83)
    assert read(status(0) | {"metadata": {"humming": [hummed]}}) == []
    assert read(status(0) | {"metadata": {"music": [], "cover_songs": [hummed], "played_duration": 6}}) == []
    (match,) = read(success(ACR_TRACK, humming=[hummed]))
    assert match.song.title == "Paper Lanterns"


DATES = {
    2021: "2021", "2021": "2021", "2021-05": "2021-05", "20210514": "2021-05-14", "14.05.2021": "2021-05-14",
    "2021/5/4": "2021-05-04", "05/14/2021": "2021-05-14", "05/04/2021": "2021", "May 14, 2021": "2021",
    "2021-05-14T00:00:00Z": "2021-05-14", "2021-00-00": "2021", "0000-00-00": None, "soon": None, None: None,
}  # fmt: skip


@pytest.mark.parametrize("told", DATES)
def test_a_date_is_read_however_it_is_written(told: object) -> None:
    (match,) = read(success(changed(release_date=told)))
    assert match.song.release_date == DATES[cast("str", told)]


RELEASES = [
    changed(album={"name": "Now That's What I Call Music! 108"}, release_date="2021-03-01", score=100),
    changed(album={"name": "Paper Lanterns - Single"}, release_date="2021-02-01", score=100),
    changed(album={"name": "Harbour Songs (Deluxe Edition)"}, release_date="2022-05-14", score=99),
    changed(
        album={"name": "Harbour Songs"},
        release_date="2021-05-14",
        score=98,
        external_metadata={"spotify": {"track": {"id": "S"}, "album": {"id": "SA"}}},
    ),
    changed(album={"name": "Greatest Hits"}, release_date="2030-01-01", score=100),
]


def test_one_recording_on_five_releases_is_shown_on_its_album() -> None:
    for order in (RELEASES, RELEASES[::-1]):
        (match,) = read(success(*order))
        assert (match.song.album, match.song.release_date, match.score) == ("Harbour Songs", "2021-05-14", 1.0)
        ids = match.song.ids
        assert (ids.spotify_track, ids.spotify_album, ids.spotify_artists) == ("S", "SA", ())
        assert ids.youtube == "abcdefghijk", "known from another release"


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Paper Lanterns (Dax Remix)", "Paper Lanterns (Dax Remix)"),
        ("Paper Lanterns - Live at Home", "Paper Lanterns - Live at Home"),
        ("Paper Lanterns - Radio Edit", "Paper Lanterns"),
        ("Paper Lanterns (Remastered)", "Paper Lanterns"),
        ("Paper Lanterns [Original Mix]", "Paper Lanterns"),
    ],
)
def test_another_version_is_another_recording(title: str, shown: str) -> None:
    heard = changed(title=title, external_ids={}, album={"name": "Greatest Hits"}, score=100)
    (match,) = read(success(heard, changed(score=95)))
    assert match.song.title == shown


def test_other_recordings_are_not_releases_of_the_surest() -> None:
    other = changed(title="Cover", external_ids={}, artists=[{"name": "The Builders"}], score=95)
    (match,) = read(success(changed(album={"name": "Greatest Hits"}), other))
    assert match.song.title == "Paper Lanterns"


NAMES: dict[str, tuple[Json, tuple[str, tuple[str, ...]]]] = {
    "one text": ({"artists": [{"name": "Mira Holt/The Low Tide/Jonas Vee"}]},
                 ("Paper Lanterns", ("Mira Holt", "The Low Tide", "Jonas Vee"))),
    "a guest in a name": ({"artists": [{"name": "Mira Holt feat. The Low Tide"}]},
                          ("Paper Lanterns", ("Mira Holt", "The Low Tide"))),
    "a guest in the title": ({"title": "Paper Lanterns (feat. Dax)", "artists": [{"name": "Mira Holt"}]},
                             ("Paper Lanterns", ("Mira Holt", "Dax"))),
    "roles": ({"artists": [{"name": "Mira Holt", "roles": ["MainArtist"]}, {"name": "Dax", "roles": ["Featured"]},
                           {"name": "Jonas Vee", "roles": ["Composer"]}]},
              ("Paper Lanterns", ("Mira Holt", "Dax"))),
    "nothing but writers": ({"artists": [{"name": "Jonas Vee", "role": "Composer"}]},
                            ("Paper Lanterns", ("Jonas Vee",))),
    "one text for the list": ({"artists": None, "artist": "Mira Holt/Dax/Jonas Vee"},
                              ("Paper Lanterns", ("Mira Holt", "Dax", "Jonas Vee"))),
    "JSON text": ({"artists": '[{"name": "Mira Holt"}, {"name": "Dax"}]'},
                  ("Paper Lanterns", ("Mira Holt", "Dax"))),
    "a name in brackets": ({"artists": "[:SITD:]"}, ("Paper Lanterns", ("[:SITD:]",))),
    "roles as objects": ({"artists": [{"name": "Mira Holt", "roles": [{"name": "Main"}]},
                                      {"name": "Dax", "roles": [{"name": "Composer"}]}]},
                         ("Paper Lanterns", ("Mira Holt",))),
    "a list of texts": ({"artists": ["Mira Holt", "Dax"]}, ("Paper Lanterns", ("Mira Holt", "Dax"))),
    "a name with signs": ({"artists": [{"name": "AC/DC"}]}, ("Paper Lanterns", ("AC/DC",))),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_names_are_read_by_the_one_rule(case: str) -> None:
    values, expected = NAMES[case]
    (match,) = read(success(changed(**values)))
    assert (match.song.title, match.song.artists) == expected


UPLOADS = {"7": Tags(title="Jingle of the house", artists=("Us",)), "a" * 32: Tags(artists=("We",))}
UPLOADED: dict[str, tuple[Json, tuple[str, tuple[str, ...]]]] = {
    "named by the answer": ({"title": "Jingle", "artist": "Us & Them", "audio_id": 1}, ("Jingle", ("Us & Them",))),
    "artists as text": ({"title": "Jingle", "artists": "Us; Them"}, ("Jingle", ("Us", "Them"))),
    "artists as a list": ({"title": "Jingle", "artists": ["Us", "Them"]}, ("Jingle", ("Us", "Them"))),
    "artists as objects": ({"title": "Jingle", "artists": [{"name": "Us"}]}, ("Jingle", ("Us",))),
    "the user's own names": ({"Track Title": "Jingle", "Artist_Name": "Us", "audio_id": 1}, ("Jingle", ("Us",))),
    "the user's own object": (
        {"audio_id": 1, "user_defined": {"title": "Jingle", "artists": "Us"}},
        ("Jingle", ("Us",)),
    ),
    "the user's own object as JSON text": (
        {"audio_id": 1, "title": "", "user_defined": '{"title": "Jingle", "artists": ["Us", "Them"]}'},
        ("Jingle", ("Us", "Them")),
    ),
    "the user's own objects": (
        {"audio_id": 1, "user_defined": [{"Title": "Jingle"}, {"artist": "Us/Them/They"}]},
        ("Jingle", ("Us", "Them", "They")),
    ),
    "a text that is no JSON": ({"audio_id": 1, "user_defined": "{Jingle"}, ("ACRCloud upload 1", ())),
    "no title": ({"audio_id": 146, "acrid": "b" * 32, "title": " "}, ("ACRCloud upload 146", ())),
    "nothing but an id": ({"acrid": "b" * 32}, (f"ACRCloud upload {'b' * 32}", ())),
    "nothing": ({}, ("ACRCloud upload", ())),
    "in the table": ({"audio_id": "7", "title": "jingle_final2.wav"}, ("Jingle of the house", ("Us",))),
    "in the table, in part": ({"acrid": "a" * 32, "title": "Jingle"}, ("Jingle", ("We",))),
}


@pytest.mark.parametrize("case", UPLOADED)
def test_an_upload_is_named(case: str) -> None:
    track, expected = UPLOADED[case]
    body = json.dumps(status(0) | {"metadata": {"custom_files": [track | {"score": 100}]}}).encode()
    (match,) = parse_matches(Fetched(200, body), sample_seconds=6.0, start_seconds=0.0, uploads=UPLOADS)
    assert (match.song.title, match.song.artists) == expected


def test_an_answer_that_names_nothing_is_not_paid_for_twice() -> None:
    with pytest.raises(ProviderError) as raised:
        read(success(without("title")))
    assert (raised.value.kind, raised.value.retryable) == (FailureKind.TRANSIENT, False)


NO_RESULTS: list[Json] = [
    status(1001),
    status(1001) | {"metadata": {}},
    {"status": {"code": "1001", "msg": "No result"}},
    {"status": [{"code": 1001.0}]},
    status(0) | {"metadata": {"music": None, "humming": [{"title": "Hummed"}]}},
]


@pytest.mark.parametrize("body", NO_RESULTS)
def test_no_result_is_an_answer(body: Json) -> None:
    assert read(body) == []


CODES: dict[int, tuple[FailureKind, bool]] = {
    2000: (FailureKind.CONFIGURATION, False),
    2001: (FailureKind.CONFIGURATION, False),
    2002: (FailureKind.TRANSIENT, True),
    2003: (FailureKind.TRANSIENT, True),
    2005: (FailureKind.TRANSIENT, True),
    3000: (FailureKind.TRANSIENT, True),
    3001: (FailureKind.CONFIGURATION, False),
    3002: (FailureKind.REQUEST, False),
    3003: (FailureKind.QUOTA, False),
    3006: (FailureKind.REQUEST, False),
    3011: (FailureKind.TRANSIENT, True),
    3014: (FailureKind.CONFIGURATION, False),
    3016: (FailureKind.REQUEST, False),
    3999: (FailureKind.TRANSIENT, True),
    -1: (FailureKind.TRANSIENT, True),
}


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_told_apart(code: int) -> None:
    with pytest.raises(ProviderError) as raised:
        read(status(code, "some message"))
    assert (raised.value.kind, raised.value.retryable) == CODES[code]
    assert raised.value.provider_code == code
    assert "some message" not in raised.value.detail


@pytest.mark.parametrize("code", [2004, 2006, 2010, 2999])
def test_a_sample_that_it_cannot_hear_is_no_audio(code: int) -> None:
    with pytest.raises(TwitchAudioError) as raised:
        read(status(code))
    assert raised.value.code is ProblemCode.NO_AUDIO


def test_3015_has_two_meanings() -> None:
    with pytest.raises(ProviderError) as raised:
        read(status(3015, "QpS limit exceeded"))
    assert (raised.value.kind, raised.value.retryable) == (FailureKind.RATE, True)
    with pytest.raises(TwitchAudioError) as unheard:
        read(status(3015, "Could not generate fingerprint"))
    assert unheard.value.code is ProblemCode.NO_AUDIO


def test_the_operator_is_told_which_value_to_look_at() -> None:
    for code, words in ((3001, "ACRCLOUD_ACCESS_KEY"), (3014, "ACRCLOUD_ACCESS_SECRET and this machine's clock")):
        with pytest.raises(ProviderError, match=words):
            read(status(code))


@pytest.mark.parametrize(
    ("http", "kind"),
    [
        (200, FailureKind.TRANSIENT),
        (302, FailureKind.TRANSIENT),
        (401, FailureKind.CONFIGURATION),
        (403, FailureKind.CONFIGURATION),
        (413, FailureKind.REQUEST),
        (429, FailureKind.RATE),
        (500, FailureKind.TRANSIENT),
        (503, FailureKind.TRANSIENT),
    ],
)
def test_an_answer_that_is_not_the_apis_own_is_judged_by_its_status(http: int, kind: FailureKind) -> None:
    with pytest.raises(ProviderError) as raised:
        read(b"<html>no</html>", http=http)
    assert raised.value.kind is kind


def test_an_error_of_the_api_counts_whatever_the_status() -> None:
    with pytest.raises(ProviderError) as raised:
        read(status(3003), http=500)
    assert raised.value.kind is FailureKind.QUOTA


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'"text"',
        b"[" * 100_000,
        b'{"status": 5}',
        b'{"status": {"code": "x"}}',
        b'{"status": {"code": 0}}',
        b'{"status": {"code": 0}, "metadata": []}',
        b'{"status": {"code": 0}, "metadata": {"music": []}}',
        b'{"status": {"code": 0}, "metadata": {"music": [null, 1, "x", {}]}}',
        b'{"status": {"code": 1e400}}',
        b'{"status": {"code": NaN}}',
        b'{"status": {"code": true}}',
        b'{"status": {"code": 0.5}}',
        b'{"status": {}, "metadata": {"music": [{"title": "A"}]}}',
        b'{"metadata": {"music": [{"title": "A"}]}}',
        b'{"error": "gone"}',
        b'{"status": {"code": 0}, "metadata": "music"}',
        b'{"status": {"code": 0}, "metadata": {"music": {"title": {}}}}',
        b'{"status": {"code": ' + b"9" * 5_000 + b"}}",
        b"\xff\xfe",
    ],
)
def test_nonsense_is_a_transient_fault(body: bytes) -> None:
    with pytest.raises(ProviderError) as raised:
        read(body)
    assert raised.value.kind is FailureKind.TRANSIENT


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from([*ACR_TRACK, "artist"]), anything), st.sampled_from(["music", "custom_files"])
)
def test_a_track_of_any_types_is_read_or_refused(values: Json, kind: str) -> None:
    body = json.dumps(status(0) | {"metadata": {kind: [ACR_TRACK | values]}}).encode()
    try:
        found = read(body)
    except ProviderError:
        return
    for match in found:
        assert match.song.title
        assert 0 <= match.score <= 1
        assert all(isinstance(name, str) and name for name in match.song.artists)


@given(st.binary(max_size=60) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        read(body)
    except (ProviderError, TwitchAudioError):
        return
