"""Which of Twitch's answers about a token let its user in, and for how long they are believed."""

import contextlib
import json
from typing import Any, cast

import pytest
from aiohttp import ClientConnectionError, ClientSession
from yarl import URL

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.setting_formats import Secret
from server.access.identity.limits import INVALID_SECONDS, TOKEN_LENGTH, VALID_SECONDS, VALIDATION_FAILED_SECONDS
from server.access.identity.tokens import TokenValidator, token_hash
from server.access.identity.twitch_client import BODY_LIMIT
from server.access.identity.twitch_user import TwitchUser
from tests.fakes import FakeClock

OURS = "our-client"
TOKEN = Secret("0123456789abcdefghijabcdefghij")
VALID: dict[str, Any] = {
    "client_id": OURS,
    "user_id": "42",
    "login": "Vic",
    "scopes": ["user:read:subscriptions"],
    "expires_in": 5_000_000,
}


class Told:
    """A session whose every request gets one answer; `requests` has what was asked."""

    def __init__(self, body: object = VALID, status: int = 200) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self.body = body
        self.error: Exception | None = None
        self.requests: list[tuple[str, URL, dict[str, Any]]] = []
        self.content = self

    def request(self, method: str, url: URL, **options: Any) -> "Told":
        self.requests.append((method, url, options))
        return self

    async def __aenter__(self) -> "Told":
        if self.error is not None:
            raise self.error
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def iter_chunked(self, _size: int) -> Any:
        yield self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def validator(told: Told, clock: FakeClock | None = None) -> TokenValidator:
    session = cast("ClientSession", told)
    return TokenValidator(session, id_url=URL("https://id.example"), client_id=OURS, clock=clock or FakeClock())


async def outcome(body: object = VALID, status: int = 200, token: Secret = TOKEN) -> TwitchUser | str:
    """The user, or the code of the problem."""
    async with validator(Told(body, status)) as tokens:
        try:
            return await tokens.user(token)
        except TwitchAudioError as error:
            return str(error.problem.code)


async def test_a_token_of_ours_is_its_users() -> None:
    told = Told()
    async with validator(told) as tokens:
        assert tokens.known(TOKEN) is None
        user = await tokens.user(TOKEN)
        assert user == TwitchUser(id="42", login="vic", scopes=frozenset({"user:read:subscriptions"}))
        assert tokens.known(TOKEN) == user
    [(method, url, options)] = told.requests
    assert (method, str(url)) == ("GET", "https://id.example/oauth2/validate")
    assert options["headers"] == {"Authorization": f"OAuth {TOKEN.reveal()}"}
    assert options["allow_redirects"] is False
    assert TOKEN.reveal() not in token_hash(TOKEN)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"client_id": "another"}, "token-wrong-client"),
        ({"client_id": None}, "upstream-unavailable"),
        ({"client_id": 1}, "upstream-unavailable"),
        ({"expires_in": None}, "upstream-unavailable"),
        ({"expires_in": "60"}, "upstream-unavailable"),
        ({"expires_in": True}, "upstream-unavailable"),
        ({"expires_in": -1}, "token-invalid"),
        # An application's own token has no user.
        ({"user_id": None}, "token-invalid"),
        ({"user_id": ""}, "token-invalid"),
        ({"user_id": 42}, "token-invalid"),
        ({"login": None}, "token-invalid"),
        ({"login": ""}, "token-invalid"),
        ({"login": 42}, "token-invalid"),
        # Whose token it is comes first: nothing is learned about another application's.
        ({"client_id": "another", "user_id": None}, "token-wrong-client"),
    ],
)
async def test_a_token_that_is_nobodys_or_anothers_lets_nobody_in(
    changed: dict[str, object], expected: str
) -> None:
    assert await outcome({**VALID, **changed}) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, VALID, "token-invalid"),
        (400, VALID, "upstream-unavailable"),
        (403, VALID, "upstream-unavailable"),
        (204, VALID, "upstream-unavailable"),
        (302, VALID, "upstream-unavailable"),
        (500, VALID, "upstream-unavailable"),
        (200, b"", "upstream-unavailable"),
        (200, b"<html>", "upstream-unavailable"),
        (200, b"\xff", "upstream-unavailable"),
        (200, b"[" * 60_000, "upstream-unavailable"),
        (200, [VALID], "upstream-unavailable"),
        (200, None, "upstream-unavailable"),
    ],
)
async def test_what_is_no_answer_of_twitch_lets_nobody_in(status: int, body: object, expected: str) -> None:
    assert await outcome(body, status) == expected


async def test_an_answer_may_be_as_long_as_the_limit_and_no_longer() -> None:
    whole = json.dumps(VALID).encode()
    assert isinstance(await outcome(whole.ljust(BODY_LIMIT)), TwitchUser)
    assert await outcome(whole.ljust(BODY_LIMIT + 1)) == "upstream-unavailable"


@pytest.mark.parametrize("scopes", [None, "user:read:subscriptions", 7, {}, [7, None]])
async def test_scopes_that_are_none_give_no_right(scopes: object) -> None:
    user = await outcome({**VALID, "scopes": scopes})
    assert isinstance(user, TwitchUser)
    assert user.scopes == frozenset()


@pytest.mark.parametrize("text", ["", "a b", "a-b", "ä" * 30, "a" * (TOKEN_LENGTH + 1), "a\r\nb", "\udcff"])
async def test_what_has_not_the_form_of_a_token_is_not_asked_about(text: str) -> None:
    told = Told()
    async with validator(told) as tokens:
        with pytest.raises(TwitchAudioError) as raised:
            await tokens.user(Secret(text))
        assert raised.value.problem.code == "token-invalid"
        assert tokens.known(Secret(text)) is None
    assert told.requests == []


async def test_the_longest_token_is_asked_about() -> None:
    assert isinstance(await outcome(token=Secret("a" * TOKEN_LENGTH)), TwitchUser)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (Told(), VALID_SECONDS),
        (Told({**VALID, "expires_in": 0}), VALID_SECONDS),  # Such a token does not expire.
        (Told({**VALID, "expires_in": 5}), 5.0),
        (Told(status=401), INVALID_SECONDS),
        (Told({**VALID, "client_id": "another"}), INVALID_SECONDS),
        (Told(status=500), VALIDATION_FAILED_SECONDS),
    ],
)
async def test_an_answer_is_believed_for_its_time(told: Told, seconds: float) -> None:
    told.requests.clear()
    clock = FakeClock()
    async with validator(told, clock) as tokens:

        async def asked() -> int:
            with contextlib.suppress(TwitchAudioError):
                await tokens.user(TOKEN)
            return len(told.requests)

        assert [await asked(), await asked()] == [1, 1]
        await clock.advance(seconds - 0.5)
        assert await asked() == 1
        await clock.advance(0.5)
        assert await asked() == 2


async def test_a_token_that_is_forgotten_is_asked_about_again() -> None:
    told = Told()
    async with validator(told) as tokens:
        await tokens.user(TOKEN)
        tokens.forget(TOKEN)
        told.status = 401
        with pytest.raises(TwitchAudioError):
            await tokens.user(TOKEN)
        assert tokens.known(TOKEN) is None


async def test_while_twitch_is_away_a_token_is_nobodys() -> None:
    told = Told()
    told.error = ClientConnectionError()
    async with validator(told) as tokens:
        with pytest.raises(TwitchAudioError) as raised:
            await tokens.user(TOKEN)
    assert raised.value.problem.code == "upstream-unavailable"


async def test_who_has_left_asks_twitch_nothing_more() -> None:
    told = Told()
    async with validator(told) as tokens:
        pass
    with pytest.raises(TwitchAudioError) as raised:
        await tokens.user(TOKEN)
    assert raised.value.problem.code == "busy"
    assert told.requests == []
