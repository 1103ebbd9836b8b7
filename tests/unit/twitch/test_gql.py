"""How gql is asked: the operator's own session, and what is counted."""

import json
from collections import Counter
from collections.abc import Mapping

import pytest
from yarl import URL

from fingerprint.domain.problems import UpstreamError
from fingerprint.media.fetch import Fetched, Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.settings import GqlAttempt, Secret, TwitchSettings, read_settings
from fingerprint.twitch.gql import Gql
from fingerprint.twitch.queries import stream_token_query

TOKEN = "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3"
REFUSAL = {"error": "Unauthorized", "status": 401, "message": 'The "Authorization" token is invalid.'}
QUERY = stream_token_query("somechannel")
ATTEMPTS = (GqlAttempt("first", "text"), GqlAttempt("second", "persisted"))


class ScriptedFetcher(Fetcher):
    """Answers in order, the last one for ever; remembers the headers."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        super().__init__(AllowList.of_origins([]))
        self._answers = [Fetched(status, json.dumps(body).encode()) for status, body in answers]
        self.sent: list[Mapping[str, str]] = []

    async def post(
        self,
        url: URL,
        body: bytes,
        *,
        step: str,
        max_bytes: int,
        total_seconds: float,
        headers: Mapping[str, str],
    ) -> Fetched:
        self.sent.append(headers)
        return self._answers[min(len(self.sent), len(self._answers)) - 1]


def asking(fetcher: Fetcher, token: str | None, counted: Counter[tuple[str, str]] | None = None) -> Gql:
    def count(step: str, outcome: str) -> None:
        if counted is not None:
            counted[step, outcome] += 1

    secret = None if token is None else Secret(token)
    return Gql(fetcher, URL("https://gql.example/gql"), ATTEMPTS, session_token=secret, on_outcome=count)


def authorizations(fetcher: ScriptedFetcher) -> list[str | None]:
    return [headers.get("Authorization") for headers in fetcher.sent]


async def test_the_operators_session_token_is_sent_as_the_web_player_sends_it() -> None:
    fetcher = ScriptedFetcher((200, {"data": {}}))
    await asking(fetcher, TOKEN).ask(QUERY)
    assert authorizations(fetcher) == [f"OAuth {TOKEN}"]


async def test_without_one_nobody_is_named() -> None:
    fetcher = ScriptedFetcher((200, {"data": {}}))
    await asking(fetcher, None).ask(QUERY)
    assert authorizations(fetcher) == [None]


async def test_a_session_that_has_ended_takes_nothing_down(caplog: pytest.LogCaptureFixture) -> None:
    fetcher = ScriptedFetcher((401, REFUSAL), (200, {"data": {"x": 1}}))
    counted: Counter[tuple[str, str]] = Counter()
    gql = asking(fetcher, TOKEN, counted)
    assert await gql.ask(QUERY) == {"x": 1}
    await gql.ask(QUERY)
    assert authorizations(fetcher) == [f"OAuth {TOKEN}", None, None], "it is not tried again and again"
    assert fetcher.sent[0]["Client-ID"] == fetcher.sent[1]["Client-ID"], "the client id was not to blame"
    assert counted == {("gql-answer", "token-refused"): 1, ("gql-answer", "ok"): 2}
    assert [record.getMessage() for record in caplog.records].count("session_token_refused") == 1
    assert TOKEN not in caplog.text


async def test_a_refusal_of_no_token_at_all_is_an_upstream_fault() -> None:
    fetcher = ScriptedFetcher((401, REFUSAL))
    with pytest.raises(UpstreamError, match="Authorization"):
        await asking(fetcher, None).ask(QUERY)
    assert len(fetcher.sent) == len(ATTEMPTS), "the next way may still work"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"errors": [{"message": "PersistedQueryNotFound"}]}, "hash-unknown"),
        ({"errors": [{"message": "failed integrity check"}], "data": None}, "integrity"),
        ({"errors": [{"message": "service timeout"}], "data": None}, "transient"),
        ({"nothing": 1}, "unreadable"),
    ],
)
async def test_each_kind_of_failure_is_counted_for_the_operator(
    body: object, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(least: float, _most: float) -> float:
        return least

    monkeypatch.setattr("fingerprint.retry.random.uniform", at_once)
    counted: Counter[tuple[str, str]] = Counter()
    with pytest.raises(UpstreamError):
        await asking(ScriptedFetcher((200, body)), None, counted).ask(QUERY)
    assert set(counted) == {("gql-answer", kind)}


def test_the_token_is_a_setting_that_never_shows_itself() -> None:
    settings = read_settings(TwitchSettings, {"TWITCHAUDIO_TWITCH_SESSION_TOKEN": TOKEN})
    assert settings.session_token is not None
    assert settings.session_token.reveal() == TOKEN
    assert TOKEN not in repr(settings)
