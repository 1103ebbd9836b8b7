import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Broadcaster
from fingerprint.twitch.answers import (
    GqlFailure,
    GqlFailureKind,
    PlaybackToken,
    needed,
    parse_answer,
    parse_clip,
    parse_clip_broadcaster,
    parse_token,
    parse_token_of,
    parse_video_owner,
    quoted,
    signed_url,
)

TOKEN = {
    "value": json.dumps({"authorization": {"forbidden": False, "reason": ""}, "channel": "x"}),
    "signature": "ab" * 20,
}


@pytest.mark.parametrize("beside", [[], [None], [{"data": None}], [{"data": {"x": None}}, {}], [{"errors": []}]])
@pytest.mark.parametrize("first", [True, False])
def test_an_array_of_answers_is_read_whatever_its_length(beside: list[Any], first: bool) -> None:
    ours = [{"data": {"streamPlaybackAccessToken": TOKEN}}]
    body = [*ours, *beside] if first else [*beside, *ours]
    token = needed(parse_answer(200, json.dumps(body)), stream_token)
    assert token is not None
    assert token.signature == TOKEN["signature"]


def test_an_array_without_an_answer_cannot_be_read() -> None:
    for body in ("[]", "[null]", "[[]]"):
        with pytest.raises(GqlFailure) as caught:
            parse_answer(200, body)
        assert caught.value.kind is GqlFailureKind.UNREADABLE


@pytest.mark.parametrize(
    ("told", "offset"),
    [
        (0, 0.0),
        (0.0, 0.0),
        ("0", 0.0),
        (5, 5.0),
        (None, None),
        (-1, None),
        (False, None),
        (True, None),
        ("", None),
    ],
)
def test_a_clip_may_be_of_the_very_start_of_its_video(told: object, offset: float | None) -> None:
    clip = {
        "playbackAccessToken": TOKEN,
        "videoQualities": [{"quality": "360", "sourceURL": "https://clips.example/a.mp4"}],
        "video": {"id": "123456789"},
        "videoOffsetSeconds": told,
    }
    found = parse_clip({"clip": clip})
    assert found is not None
    assert (found.offset_seconds, found.video_id) == (offset, None if offset is None else "123456789")


def stream_token(data: dict[str, Any]) -> PlaybackToken | None:
    return parse_token_of(data, name="streamPlaybackAccessToken", subject="broadcast")


FAILURES: dict[str, tuple[int, Any, GqlFailureKind]] = {
    "persisted": (
        200,
        {"errors": [{"message": "PersistedQueryNotFound"}], "extensions": {}},
        GqlFailureKind.HASH_UNKNOWN,
    ),
    "integrity": (
        200,
        {
            "errors": [{"message": "failed integrity check", "path": ["streamPlaybackAccessToken"]}],
            "data": {"streamPlaybackAccessToken": None},
            "extensions": {"challenge": {"type": "integrity"}},
        },
        GqlFailureKind.INTEGRITY,
    ),
    "service error": (
        200,
        {"errors": [{"message": "service error", "path": ["x"]}], "data": None},
        GqlFailureKind.TRANSIENT,
    ),
    "service timeout": (200, {"errors": [{"message": "service timeout"}]}, GqlFailureKind.TRANSIENT),
    "variable": (
        200,
        {"errors": [{"message": 'Variable "x" has invalid value null.'}]},
        GqlFailureKind.QUERY_REFUSED,
    ),
    "client id": (
        400,
        {"error": "Bad Request", "status": 400, "message": 'The "Client-ID" header is invalid.'},
        GqlFailureKind.CLIENT_REFUSED,
    ),
    "authorization": (
        401,
        {"error": "Unauthorized", "status": 401, "message": "The token is invalid."},
        GqlFailureKind.CLIENT_REFUSED,
    ),
    "teapot": (418, {"error": "I'm a teapot"}, GqlFailureKind.UNREADABLE),
    "busy": (429, "slow down", GqlFailureKind.TRANSIENT),
    "proxy": (403, "<!DOCTYPE html><title>Blocked</title>", GqlFailureKind.BLOCKED),
    "down": (503, "<html>", GqlFailureKind.TRANSIENT),
    "html": (200, "<html>", GqlFailureKind.UNREADABLE),
    "cut": (200, '{"data": {"streamPlayback', GqlFailureKind.UNREADABLE),
    "empty": (200, "", GqlFailureKind.UNREADABLE),
    "deep": (200, "[" * 100_000, GqlFailureKind.UNREADABLE),
    "number": (200, 17, GqlFailureKind.UNREADABLE),
    "list": (200, [1, 2], GqlFailureKind.UNREADABLE),
    "no data": (200, {"extensions": {}}, GqlFailureKind.UNREADABLE),
    "null data": (200, {"data": None}, GqlFailureKind.UNREADABLE),
    "data of another type": (200, {"data": [1]}, GqlFailureKind.UNREADABLE),
    "errors of another type": (200, {"errors": [7, None], "data": {}}, GqlFailureKind.QUERY_REFUSED),
}


@pytest.mark.parametrize(("status", "body", "kind"), FAILURES.values(), ids=FAILURES.keys())
def test_failed_answers_are_told_apart(status: int, body: Any, kind: GqlFailureKind) -> None:
    with pytest.raises(GqlFailure) as caught:
        needed(parse_answer(status, body if isinstance(body, str) else json.dumps(body)), stream_token)
    assert caught.value.kind is kind
    assert len(caught.value.words) <= 200
    assert caught.value.words.isprintable()


def test_an_answer_alone_in_an_array_counts() -> None:
    assert parse_answer(200, '[{"data": {"a": 1}}]').data == {"a": 1}


ERRORS = [{"message": "service error", "path": ["streamPlaybackAccessToken", "authorization"]}]


@pytest.mark.parametrize(
    "extra",
    [
        {"errors": ERRORS},
        {"errors": [{"message": "brand new"}]},
        {"extensions": {"challenge": {"type": "integrity"}}},
    ],
)
def test_data_that_suffices_is_used_whatever_errors_there_are(extra: dict[str, Any]) -> None:
    answer = parse_answer(200, json.dumps({"data": {"streamPlaybackAccessToken": TOKEN}, **extra}))
    token = needed(answer, stream_token)
    assert token is not None
    assert token.value == TOKEN["value"]
    assert answer.failure is not None, "an operator sees it"


@pytest.mark.parametrize(
    "data", [{"streamPlaybackAccessToken": None}, {"streamPlaybackAccessToken": {"value": "x"}}, {"other": 1}]
)
def test_with_errors_nothing_that_is_missing_is_a_fact(data: dict[str, Any]) -> None:
    with pytest.raises(GqlFailure, match="service error"):
        needed(parse_answer(200, json.dumps({"data": data, "errors": ERRORS})), stream_token)


def test_a_clip_whose_files_failed_to_be_looked_up_is_not_called_unfinished() -> None:
    found = {"data": clip(assets=None, videoQualities=None), "errors": ERRORS}
    with pytest.raises(GqlFailure, match="service error"):
        needed(parse_answer(200, json.dumps(found)), parse_clip)


def test_a_token_that_opens_nothing_says_so_whatever_errors_there_are() -> None:
    token = {**TOKEN, "value": json.dumps({"authorization": {"forbidden": True, "reason": "GEOBLOCKED"}})}
    answer = parse_answer(200, json.dumps({"data": {"streamPlaybackAccessToken": token}, "errors": ERRORS}))
    with pytest.raises(TwitchAudioError, match="region"):
        needed(answer, stream_token)


def test_strangers_words_are_escaped_and_cut() -> None:
    assert quoted("a\nb\x1b[31m\u202e\ud800") == r"a\nb\x1b[31m\u202e\ud800"
    assert len(quoted("\n" * 1_000)) == 200


def test_tokens_are_kept_byte_for_byte_and_out_of_sight() -> None:
    token = parse_token(TOKEN, "broadcast")
    assert token.value == TOKEN["value"]
    assert TOKEN["signature"] not in repr(token)
    assert "authorization" not in repr(token)


@pytest.mark.parametrize(
    ("content", "extra", "words"),
    [
        ({"authorization": {"forbidden": True, "reason": "UNAUTHORIZED_ENTITLEMENTS"}}, {}, "subscribers"),
        ({"geoblock_reason": "GEO"}, {}, "region"),
        ({"geoblock_reason": "anonymizer_blocked"}, {}, "proxy"),
        ({"private": {"allowed_to_view": False}}, {}, "not public"),
        ({}, {"authorization": {"isForbidden": True, "forbiddenReasonCode": "GEOBLOCKED"}}, "region"),
        ({}, {"authorization": {"isForbidden": True, "forbiddenReasonCode": "NEW<b>\n"}}, "NEW<b>\\n"),
        ({"authorization": {"forbidden": True}}, {}, "without a reason"),
    ],
)
def test_tokens_that_open_nothing_are_seen_at_once(
    content: dict[str, Any], extra: dict[str, Any], words: str
) -> None:
    with pytest.raises(TwitchAudioError) as caught:
        parse_token({**TOKEN, "value": json.dumps(content), **extra}, "broadcast")
    assert caught.value.code is ProblemCode.RESTRICTED_STREAM
    assert words in caught.value.detail


@pytest.mark.parametrize(
    "value", ["no json", "[]", "7", '{"authorization": 7, "private": [], "geoblock_reason": 0}']
)
def test_what_stands_in_a_token_is_read_leniently(value: str) -> None:
    assert parse_token({**TOKEN, "value": value}, "broadcast").value == value


@pytest.mark.parametrize(
    "found", [{}, [], 7, "x", {"value": "x"}, {"value": "", "signature": "x"}, {"value": 1, "signature": 2}]
)
def test_tokens_of_another_shape_are_refused(found: object) -> None:
    with pytest.raises(GqlFailure, match="another shape"):
        parse_token(found, "broadcast")


# --- Clips --------------------------------------------------------------------------------------------


def quality(name: str, url: str, codec: str | None = "AVC") -> dict[str, Any]:
    return {"quality": name, "frameRate": 30.0, "sourceURL": url, "videoCodec": codec}


def clip(**changes: Any) -> dict[str, Any]:
    return {
        "clip": {
            "durationSeconds": 30,
            "playbackAccessToken": TOKEN,
            "videoQualities": [],
            "assets": [],
            **changes,
        }
    }


LANDSCAPE = {
    "aspectRatio": 1.78,
    "videoQualities": [quality("720", "https://a/720.mp4"), quality("360", "https://a/360.mp4")],
}
PORTRAIT = {"aspectRatio": 0.56, "videoQualities": [quality("200", "https://a/portrait.mp4")]}


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (clip(assets=[LANDSCAPE, PORTRAIT]), "/360.mp4"),
        (clip(assets=[PORTRAIT, LANDSCAPE]), "/360.mp4"),
        (clip(assets=[PORTRAIT]), "/portrait.mp4"),
        (clip(videoQualities=LANDSCAPE["videoQualities"]), "/360.mp4"),
        (clip(videoQualities=LANDSCAPE["videoQualities"], assets=[PORTRAIT]), "/360.mp4"),
        (
            clip(
                assets=[
                    {
                        "videoQualities": [
                            quality("1440", "https://a/h.mp4", "HEVC"),
                            quality("1080", "https://a/b.mp4"),
                        ]
                    }
                ]
            ),
            "/b.mp4",
        ),
        (
            clip(
                assets=[
                    {
                        "videoQualities": [
                            quality("160", "https://a/h.mp4", "HEVC"),
                            quality("1080", "https://a/b.mp4"),
                        ]
                    }
                ]
            ),
            "/b.mp4",
        ),
        (clip(assets=[{"videoQualities": [quality("160", ""), quality("", "https://a/x.mp4", None)]}]), "/x.mp4"),
        (clip(assets=[None, 7, {"videoQualities": [None, 7]}, LANDSCAPE]), "/360.mp4"),
    ],
)
def test_the_smallest_file_of_a_clip_is_chosen(found: dict[str, Any], path: str) -> None:
    media = parse_clip(found)
    assert media is not None
    assert media.url.path == path
    assert media.duration_seconds == 30
    assert "sig" not in repr(media)


def test_the_other_files_of_a_clip_are_kept_in_the_order_to_try() -> None:
    found = clip(
        assets=[PORTRAIT, LANDSCAPE],
        videoQualities=[quality("480", "https://a/480.mp4"), quality("160", "https://["), None],
    )
    media = parse_clip(found)
    assert media is not None
    assert [url.path for url in (media.url, *media.alternatives)] == ["/360.mp4", "/720.mp4", "/480.mp4"]
    unreadable = clip(videoQualities=[quality("160", "https://["), quality("360", "https://a/360.mp4")])
    media = parse_clip(unreadable)
    assert media is not None
    assert (media.url.path, media.alternatives) == ("/360.mp4", ())


def test_clips_that_are_not_there_and_not_there_yet() -> None:
    assert parse_clip({"clip": None}) is None
    with pytest.raises(TwitchAudioError, match="still making") as caught:
        parse_clip(clip(assets=[{"videoQualities": [quality("360", "")]}]))
    assert caught.value.retry_after_seconds
    for found in ({}, clip(assets=[LANDSCAPE], playbackAccessToken=None)):
        with pytest.raises(GqlFailure):
            parse_clip(found)


@pytest.mark.parametrize(
    ("clip", "found"),
    [
        (None, None),
        ({"broadcaster": None}, None),
        ({"broadcaster": {"id": "77", "login": "SomeChannel"}}, Broadcaster(id="77", login="somechannel")),
        ({"broadcaster": {"id": 77, "login": "somechannel"}}, Broadcaster(id="77", login="somechannel")),
    ],
)
def test_whose_clip_it_is(clip: object, found: Broadcaster | None) -> None:
    assert parse_clip_broadcaster({"clip": clip}) == found


def test_whose_video_it_is() -> None:
    owner = {"id": "77", "login": "SomeChannel"}
    assert parse_video_owner({"video": {"owner": owner}}) == Broadcaster(id="77", login="somechannel")
    assert parse_video_owner({"video": {"owner": {"id": 77, "login": "x"}}}) == Broadcaster(id="77", login="x")
    for video in (None, {"owner": None}):
        assert parse_video_owner({"video": video}) is None
    with pytest.raises(GqlFailure):
        parse_video_owner({"video": {}})


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"clip": {}},
        {"clip": "x"},
        {"clip": {"broadcaster": "somechannel"}},
        {"clip": {"broadcaster": {"login": "somechannel"}}},
        {"clip": {"broadcaster": {"id": "77", "login": ""}}},
    ],
)
def test_an_answer_that_does_not_say_whose_clip_it_is_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(GqlFailure):
        parse_clip_broadcaster(data)


@pytest.mark.parametrize(
    "source",
    [
        "https://a.example/AT-cm%7C12.mp4",
        "https://a.example/x.mp4?Policy=a%2Fb~&Key=c",
        "https://a.example/%C3%A9.mp4?",
    ],
)
def test_a_token_joins_the_query_that_is_there_and_changes_no_encoding(source: str) -> None:
    value = '{"a":"b&c=d+e%7C é"}'
    url = signed_url(source, PlaybackToken(value=value, signature="s"))
    assert str(url).startswith(source.rstrip("?"))
    assert (url.query["sig"], url.query["token"]) == ("s", value)
    assert str(url).count("?") == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                [
                    "clip",
                    "assets",
                    "videoQualities",
                    "sourceURL",
                    "value",
                    "signature",
                    "playbackAccessToken",
                    "data",
                    "errors",
                    "message",
                ]
            )
            | st.text(),
            inner,
        )
    ),
)


@given(st.integers(100, 599), st.text() | JSON.map(json.dumps))
def test_any_answer_is_data_or_a_failure(status: int, text: str) -> None:
    try:
        answer = parse_answer(status, text)
        needed(answer, parse_clip)
        needed(answer, stream_token)
    except GqlFailure as failure:
        assert failure.words.isprintable()  # noqa: PT017 - either outcome is right
    except TwitchAudioError as error:
        assert error.code in (ProblemCode.RESTRICTED_STREAM, ProblemCode.CLIP_NOT_FOUND)  # noqa: PT017 - likewise
