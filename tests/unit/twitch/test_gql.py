"""How gql is asked: the ways in their order, the operator's own session, and what is counted."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.media.fetch import Fetched, HostWantsPauseError
from fingerprint.ports import Broadcaster
from fingerprint.setting_formats import DEFAULT_GQL_ATTEMPTS, GqlAttempt, Secret
from fingerprint.settings import read_settings
from fingerprint.twitch.answers import ClipMedia, PlaybackToken, parse_clip, parse_clip_broadcaster, parse_token_of
from fingerprint.twitch.gql import Gql
from fingerprint.twitch.queries import (
    Query,
    clip_broadcaster_query,
    clip_query,
    stream_token_query,
    video_token_query,
)
from fingerprint.upstream_settings import TwitchSettings
from tests.unit.twitch.scripted import HTML, ScriptedFetcher, Sent

TOKEN = "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3"
REFUSAL = {"error": "Unauthorized", "status": 401, "message": 'The "Authorization" token is invalid.'}
QUERY = stream_token_query("somechannel")
ATTEMPTS = (GqlAttempt("first", "text"), GqlAttempt("second", "persisted"))
PLAYBACK = {"value": "{}", "signature": "ab" * 20}
GIVEN = {"data": {"streamPlaybackAccessToken": PLAYBACK}}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def least(least: float, _most: float) -> float:
        return least

    monkeypatch.setattr("fingerprint.retry.random.uniform", least)


def answered(status: int, body: object) -> Fetched:
    text = body if isinstance(body, str) else json.dumps(body)
    return Fetched(status, text.encode())


def in_order(*answers: Fetched) -> ScriptedFetcher:
    """Gives these answers, the last one for ever."""
    left = list(answers)
    return ScriptedFetcher(lambda _sent: left.pop(0) if len(left) > 1 else left[0])


def asking(
    fetcher: ScriptedFetcher,
    token: str | None = None,
    counted: Counter[tuple[str, str]] | None = None,
    attempts: tuple[GqlAttempt, ...] = ATTEMPTS,
) -> Gql:
    def count(step: str, outcome: str) -> None:
        if counted is not None:
            counted[step, outcome] += 1

    secret = None if token is None else Secret(token)
    return Gql(fetcher, URL("https://gql.example/gql"), attempts, session_token=secret, on_outcome=count)


def stream_token(data: dict[str, Any]) -> PlaybackToken | None:
    return parse_token_of(data, name="streamPlaybackAccessToken", subject="broadcast")


async def ask(fetcher: ScriptedFetcher, token: str | None = None, **more: Any) -> PlaybackToken | None:
    return await asking(fetcher, token, **more).ask(QUERY, stream_token)


def authorizations(fetcher: ScriptedFetcher) -> list[str | None]:
    return [sent.headers.get("Authorization") for sent in fetcher.sent]


# --- The operator's own session ------------------------------------------------------------------------


async def test_the_operators_session_token_is_sent_as_the_web_player_sends_it() -> None:
    fetcher = in_order(answered(200, GIVEN))
    await ask(fetcher, TOKEN)
    assert authorizations(fetcher) == [f"OAuth {TOKEN}"]


async def test_without_one_nobody_is_named() -> None:
    fetcher = in_order(answered(200, GIVEN))
    await ask(fetcher)
    assert authorizations(fetcher) == [None]


async def test_a_session_that_has_ended_takes_nothing_down(caplog: pytest.LogCaptureFixture) -> None:
    fetcher = in_order(answered(401, REFUSAL), answered(200, GIVEN))
    counted: Counter[tuple[str, str]] = Counter()
    gql = asking(fetcher, TOKEN, counted)
    assert await gql.ask(QUERY, stream_token) is not None
    await gql.ask(QUERY, stream_token)
    assert authorizations(fetcher) == [f"OAuth {TOKEN}", None, None], "it is not tried again and again"
    assert fetcher.sent[0].headers["Client-ID"] == fetcher.sent[1].headers["Client-ID"], "it was not to blame"
    assert counted == {("gql-answer", "token-refused"): 1, ("gql-answer", "ok"): 2}
    assert [record.getMessage() for record in caplog.records].count("session_token_refused") == 1
    assert TOKEN not in caplog.text


async def test_a_refusal_of_no_token_at_all_is_an_upstream_fault() -> None:
    fetcher = in_order(answered(401, REFUSAL))
    with pytest.raises(UpstreamError, match="Authorization"):
        await ask(fetcher)
    assert len(fetcher.sent) == len(ATTEMPTS), "the next way may still work"


def test_the_token_is_a_setting_that_never_shows_itself() -> None:
    settings = read_settings(TwitchSettings, {"TWITCHAUDIO_TWITCH_SESSION_TOKEN": TOKEN})
    assert settings.session_token is not None
    assert settings.session_token.reveal() == TOKEN
    assert TOKEN not in repr(settings)


# --- Ways ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"errors": [{"message": "PersistedQueryNotFound"}]}, "hash-unknown"),
        ({"errors": [{"message": "failed integrity check"}], "data": None}, "integrity"),
        ({"errors": [{"message": "service timeout"}], "data": None}, "transient"),
        ({"nothing": 1}, "unreadable"),
    ],
)
async def test_each_kind_of_failure_is_counted_for_the_operator(body: object, kind: str) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    with pytest.raises(UpstreamError):
        await ask(in_order(answered(200, body)), counted=counted)
    assert set(counted) == {("gql-answer", kind)}


async def test_data_that_suffices_is_used_and_what_was_wrong_is_counted() -> None:
    counted: Counter[tuple[str, str]] = Counter()
    fetcher = in_order(answered(200, {**GIVEN, "errors": [{"message": "service error"}]}))
    assert await ask(fetcher, counted=counted) is not None
    assert len(fetcher.sent) == 1
    assert counted == {("gql-answer", "partial"): 1}


async def test_nothing_by_that_name_is_final() -> None:
    fetcher = in_order(answered(200, {"data": {"streamPlaybackAccessToken": None}}))
    assert await ask(fetcher) is None
    assert len(fetcher.sent) == 1


def forms(fetcher: ScriptedFetcher) -> list[str]:
    found: list[str] = []
    for sent in fetcher.sent:
        body = json.loads(sent.body)
        found.append("persisted" if "query" not in body else "text" if "operationName" in body else "minimal")
    return found


def refuses_fields(*names: str) -> Callable[[Sent], Fetched]:
    """A gql that has dropped these fields from its schema, and answers all else."""

    def answer(sent: Sent) -> Fetched:
        body = json.loads(sent.body)
        gone = next((name for name in names if f"{name} {{" in body.get("query", "")), None)
        if gone is not None:
            return answered(200, {"errors": [{"message": f'Cannot query field "{gone}" on type "X".'}]})
        quality = {"quality": "360", "sourceURL": "https://x/y.mp4"}
        clip: dict[str, Any] = {"playbackAccessToken": PLAYBACK, "broadcaster": {"id": "7", "login": "x"}}
        if "assets" in body.get("query", "assets"):
            clip["assets"] = [{"videoQualities": [quality]}]
        else:
            clip["videoQualities"] = [quality]
        return answered(200, {"data": {**GIVEN["data"], "videoPlaybackAccessToken": PLAYBACK, "clip": clip}})

    return answer


@pytest.mark.parametrize(
    ("query", "parse", "gone", "asked"),
    [
        (QUERY, stream_token, "authorization", ["text", "minimal"]),
        (clip_query("a-b"), parse_clip, "assets", ["text", "minimal"]),
    ],
)
async def test_a_field_that_twitch_removes_costs_one_way(
    query: Query, parse: Callable[[dict[str, Any]], PlaybackToken | ClipMedia | None], gone: str, asked: list[str]
) -> None:
    fetcher = ScriptedFetcher(refuses_fields(gone))
    assert await asking(fetcher, attempts=DEFAULT_GQL_ATTEMPTS).ask(query, parse) is not None
    assert forms(fetcher) == asked


async def test_a_clips_broadcaster_is_asked_for_in_the_same_ways() -> None:
    fetcher = ScriptedFetcher(refuses_fields())
    found = await asking(fetcher).ask(clip_broadcaster_query("a-b"), parse_clip_broadcaster)
    assert found == Broadcaster(id="7", login="x")


async def test_a_service_behind_one_field_that_fails_does_not_fail_the_minimal_query() -> None:
    failed = {"errors": [{"message": "service error", "path": ["x"]}], "data": {"streamPlaybackAccessToken": None}}
    fetcher = in_order(answered(200, failed), answered(200, GIVEN))
    assert await ask(fetcher, attempts=DEFAULT_GQL_ATTEMPTS) is not None
    assert forms(fetcher) == ["text", "minimal"]


@pytest.mark.parametrize(
    "answer", [answered(200, {"errors": [{"message": "service error"}], "data": None}), answered(503, "down")]
)
@pytest.mark.parametrize(
    ("attempts", "asked"),
    [(DEFAULT_GQL_ATTEMPTS, ["text", "minimal"]), (DEFAULT_GQL_ATTEMPTS[:1], ["text", "text"])],
)
async def test_a_service_that_fails_is_asked_twice(
    answer: Fetched, attempts: tuple[GqlAttempt, ...], asked: list[str]
) -> None:
    fetcher = in_order(answer)
    with pytest.raises(UpstreamError) as caught:
        await ask(fetcher, attempts=attempts)
    assert forms(fetcher) == asked
    assert caught.value.retry_after_seconds == 5.0


async def test_a_host_that_wants_a_pause_is_asked_no_more() -> None:
    fetcher = ScriptedFetcher(lambda _sent: HostWantsPauseError("gql", "Twitch", 30.0))
    with pytest.raises(UpstreamError) as caught:
        await ask(fetcher, attempts=DEFAULT_GQL_ATTEMPTS)
    assert len(fetcher.sent) == 1
    assert caught.value.retry_after_seconds == 30.0


@pytest.mark.parametrize(
    ("answer", "words", "later"),
    [
        (answered(403, HTML), "proxy or a firewall", None),
        (answered(400, {"message": 'The "Client-ID" header is invalid.'}), "Client-ID", 60.0),
        (answered(200, {"errors": [{"message": "failed integrity check"}], "data": None}), "integrity", 60.0),
        (answered(200, {"errors": [{"message": 'Cannot query field "value".'}]}), "Cannot query", 60.0),
        (answered(200, HTML), "HTTP 200", 5.0),
    ],
)
async def test_refusals_in_all_ways_say_when_to_ask_again(
    answer: Fetched, words: str, later: float | None
) -> None:
    fetcher = in_order(answer)
    with pytest.raises(UpstreamError, match=words) as caught:
        await ask(fetcher, attempts=DEFAULT_GQL_ATTEMPTS)
    assert caught.value.code is ProblemCode.UPSTREAM_UNAVAILABLE
    assert caught.value.retry_after_seconds == later
    assert len(fetcher.sent) == len(DEFAULT_GQL_ATTEMPTS)


async def test_a_refusal_in_the_token_is_final_whatever_else_went_wrong() -> None:
    token = {**PLAYBACK, "value": json.dumps({"geoblock_reason": "GEO"})}
    fetcher = in_order(
        answered(200, {"data": {"streamPlaybackAccessToken": token}, "errors": [{"message": "service error"}]})
    )
    with pytest.raises(TwitchAudioError, match="region"):
        await ask(fetcher)
    assert len(fetcher.sent) == 1


@pytest.mark.parametrize("query", [stream_token_query('x") { evil }'), video_token_query('"evil')])
def test_what_users_write_goes_into_variables_only(query: Query) -> None:
    for form in ("text", "minimal"):
        for body in query.bodies(form):
            sent = json.loads(body)
            assert "evil" not in sent["query"]
            assert any("evil" in str(value) for value in sent["variables"].values())
    (persisted,) = query.bodies("persisted")
    assert set(json.loads(persisted)) == {"operationName", "extensions", "variables"}
