"""Whom a request is from: what is known is looked at first, and guesses are counted by address."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select

from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.setting_formats import Secret
from server.access.identity.api_keys import ApiKeyStore, new_key
from server.access.identity.authenticator import Authenticator
from server.access.identity.credentials import RequestCredentials
from server.access.identity.failed_attempts import MAX_FAILURES, WINDOW_SECONDS
from server.access.identity.principal import ANONYMOUS
from server.access.identity.sessions import SignedIn
from server.access.identity.twitch_user import TwitchUser
from server.access.tables import api_keys
from tests.builders import NOON
from tests.databases import migrated_database
from tests.fakes import FakeClock

pytestmark = pytest.mark.timeout(60)  # nothing here waits for anything outside
VIC = TwitchUser(id="7", login="vic", scopes=frozenset())
HERE, NEXT_DOOR, ELSEWHERE = ip_address("2001:db8::1"), ip_address("2001:db8:0:9::1"), ip_address("192.0.2.1")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    async with migrated_database(f"sqlite:///{tmp_path / 'keys.sqlite3'}") as opened:
        yield opened


class Tokens:
    """Knows one valid token; counts whom it asked Twitch about."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cached: set[str] = set()
        self.away = False

    def known(self, token: Secret) -> TwitchUser | None:
        return VIC if token.reveal() in self.cached else None

    async def user(self, token: Secret) -> TwitchUser:
        if token.reveal() in self.cached:
            return VIC
        self.asked.append(token.reveal())
        await asyncio.sleep(0)
        if self.away:
            raise UpstreamError("validate", "It is away.")
        if token.reveal() != "right":
            raise TwitchAudioError(ProblemCode.TOKEN_INVALID, "No.")
        self.cached.add(token.reveal())
        return VIC


class Sessions:
    """Knows one session."""

    async def find(self, session: str) -> SignedIn | None:
        return SignedIn(VIC, Secret("of the session")) if session == "cookie" else None

    def known(self, session: str) -> TwitchUser | None:
        return VIC if session == "cookie" else None


def made(
    database: Database, clock: FakeClock, tokens: Tokens | None = None, *, sessions: bool = False
) -> Authenticator:
    return Authenticator(
        database,
        clock=clock,
        tokens=cast("Any", tokens),
        sessions=cast("Any", Sessions() if sessions else None),
    )


def by_key(text: str, address: Any = HERE) -> RequestCredentials:
    return RequestCredentials(key=Secret(text), address=address)


def by_token(text: str, address: Any = HERE) -> RequestCredentials:
    return RequestCredentials(token=Secret(text), address=address)


async def refusal(authenticator: Authenticator, credentials: RequestCredentials) -> ProblemCode | None:
    try:
        await authenticator.authenticate(credentials)
    except TwitchAudioError as error:
        return error.code
    return None


async def test_a_request_without_credentials_is_anonymous_and_sessions_are_their_users(database: Database) -> None:
    authenticator = made(database, FakeClock(), sessions=True)
    assert await authenticator.authenticate(RequestCredentials()) is ANONYMOUS
    signed_in = await authenticator.authenticate(RequestCredentials(session="cookie"))
    assert (signed_in.user, signed_in.session) == (VIC, "cookie")
    assert signed_in.token is not None
    assert signed_in.token.reveal() == "of the session"
    assert await authenticator.authenticate(RequestCredentials(session="old")) is ANONYMOUS
    assert authenticator.cached_principal(RequestCredentials(session="cookie")).user == VIC
    without = made(database, FakeClock())
    assert await without.authenticate(RequestCredentials(session="cookie")) is ANONYMOUS
    assert without.cached_principal(RequestCredentials(session="cookie")) is ANONYMOUS
    assert await refusal(without, by_token("right")) is ProblemCode.TOKEN_INVALID


async def test_wrong_keys_are_refused_for_a_minute_there_and_right_ones_are_not(database: Database) -> None:
    clock = FakeClock()
    _, right = await ApiKeyStore(database).create("a bot", now=NOON)
    _, new = await ApiKeyStore(database).create("another", now=NOON)
    authenticator = made(database, clock)
    assert await refusal(authenticator, by_key(right.reveal())) is None
    for number in range(MAX_FAILURES):
        wrong = new_key().reveal() if number % 2 else f"ta_{number}"
        assert await refusal(authenticator, by_key(wrong)) is ProblemCode.KEY_INVALID
    assert await refusal(authenticator, by_key(new_key().reveal())) is ProblemCode.RATE_LIMITED
    assert await refusal(authenticator, by_key("ta_", NEXT_DOOR)) is ProblemCode.RATE_LIMITED, "the same /56"
    assert await refusal(authenticator, by_key("ta_", ELSEWHERE)) is ProblemCode.KEY_INVALID
    assert await refusal(authenticator, by_key("ta_", None)) is ProblemCode.KEY_INVALID
    for known in (right, new):
        assert await refusal(authenticator, by_key(known.reveal())) is None
    # One that is made only now is valid there as soon as the rules were read again.
    _, newest = await ApiKeyStore(database).create("the newest", now=NOON)
    assert await refusal(authenticator, by_key(newest.reveal())) is ProblemCode.RATE_LIMITED
    authenticator.forget_keys()
    assert await refusal(authenticator, by_key(newest.reveal())) is None
    await clock.advance(WINDOW_SECONDS)
    assert await refusal(authenticator, by_key("ta_")) is ProblemCode.KEY_INVALID


async def test_keys_that_end_are_refused_at_once_and_revoked_ones_once_the_rules_changed(
    database: Database,
) -> None:
    clock, store = FakeClock(), ApiKeyStore(database)
    ending, brief = await store.create("brief", now=clock.now(), expires_at=clock.now() + timedelta(seconds=5))
    lasting, long = await store.create("long", now=clock.now())
    authenticator = made(database, clock)
    for secret in (brief, long):
        assert await refusal(authenticator, by_key(secret.reveal())) is None
        found = authenticator.cached_principal(by_key(secret.reveal())).key
        assert found is not None
        assert found.id in (ending.id, lasting.id)
    await clock.advance(5)
    assert await refusal(authenticator, by_key(brief.reveal())) is ProblemCode.KEY_INVALID
    await store.revoke(lasting.id, clock.now())
    assert await refusal(authenticator, by_key(long.reveal())) is None
    authenticator.forget_keys()
    assert await refusal(authenticator, by_key(long.reveal())) is ProblemCode.KEY_INVALID
    for _ in range(MAX_FAILURES):
        await refusal(authenticator, by_key("ta_", ELSEWHERE))
    # Also where only valid ones are looked at any more.
    assert await refusal(authenticator, by_key(long.reveal(), ELSEWHERE)) is ProblemCode.RATE_LIMITED


async def test_wrong_tokens_are_counted_by_themselves_and_a_twitch_that_is_away_counts_nothing(
    database: Database,
) -> None:
    tokens = Tokens()
    authenticator = made(database, FakeClock(), tokens)
    tokens.away = True
    for _ in range(MAX_FAILURES):
        assert await refusal(authenticator, by_token("wrong")) is ProblemCode.UPSTREAM_UNAVAILABLE
        assert await refusal(authenticator, by_key("ta_")) is not None
    tokens.away = False
    assert await refusal(authenticator, by_token("right")) is None
    for number in range(MAX_FAILURES):
        assert await refusal(authenticator, by_token(f"wrong{number}")) is ProblemCode.TOKEN_INVALID
    asked = len(tokens.asked)
    assert await refusal(authenticator, by_token("other")) is ProblemCode.RATE_LIMITED
    assert await refusal(authenticator, by_token("other", NEXT_DOOR)) is ProblemCode.RATE_LIMITED
    assert len(tokens.asked) == asked, "Twitch is not asked about those"
    assert await refusal(authenticator, by_token("right")) is None
    assert authenticator.cached_principal(by_token("right")).user == VIC
    assert await refusal(authenticator, by_token("other", ELSEWHERE)) is ProblemCode.TOKEN_INVALID
    principal = await authenticator.authenticate(by_token("right"))
    assert (principal.user, principal.session) == (VIC, None)
    assert principal.token is not None


async def test_a_token_that_twitch_ends_counts_although_it_was_known(database: Database) -> None:
    tokens = Tokens()
    authenticator = made(database, FakeClock(), tokens)
    tokens.cached.add("gone")

    async def ended(token: Secret) -> TwitchUser:
        raise TwitchAudioError(ProblemCode.TOKEN_WRONG_CLIENT, token.reveal())

    tokens.user = ended  # type: ignore[method-assign]
    for _ in range(MAX_FAILURES):
        assert await refusal(authenticator, by_token("gone")) is ProblemCode.TOKEN_WRONG_CLIENT
    assert await refusal(authenticator, by_token("unknown")) is ProblemCode.RATE_LIMITED


async def test_uses_of_keys_are_stored_a_little_later_and_at_the_end(database: Database) -> None:
    clock, store = FakeClock(), ApiKeyStore(database)
    key, secret = await store.create("a bot", now=NOON)
    authenticator = made(database, clock)

    async def used() -> Any:
        return (await database.rows(select(api_keys.c.used_us).where(api_keys.c.id == key.id)))[0].used_us

    await authenticator.authenticate(by_key(secret.reveal()))
    assert await used() is None
    await asyncio.sleep(0)
    await clock.advance(5)
    async with asyncio.timeout(30):
        while await used() is None:  # noqa: ASYNC110 - it is the recorder's
            await asyncio.sleep(0.01)
    first = await used()
    await clock.advance(60)
    await authenticator.authenticate(by_key(secret.reveal()))
    await authenticator.close()
    assert await used() == first + 65_000_000


async def test_without_a_sign_in_of_its_own_a_server_knows_no_token_and_no_session(database: Database) -> None:
    server = made(database, FakeClock())
    for credentials in (RequestCredentials(token=Secret("right")), RequestCredentials(session="cookie")):
        assert server.cached_principal(credentials) == ANONYMOUS
    await server.close()


async def test_uses_of_keys_are_stored_once_in_a_while_and_at_the_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, stored = FakeClock(), list[int]()
    _, secret = await ApiKeyStore(database).create("a bot", now=NOON)

    async def record(_store: ApiKeyStore, uses: dict[str, Any]) -> None:
        stored.append(len(uses))

    monkeypatch.setattr(ApiKeyStore, "record_uses", record)
    server = made(database, clock)
    for _ in range(3):
        await server.authenticate(RequestCredentials(key=secret))
        await clock.advance(0.0)
    assert stored == []
    await clock.advance(3_600)
    assert stored == [1]
    await server.authenticate(RequestCredentials(key=secret))
    await clock.advance(0.0)
    await server.close()
    assert stored == [1, 1]
    assert asyncio.all_tasks() == {asyncio.current_task()}

    async def fail(_store: ApiKeyStore, _uses: dict[str, Any]) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(ApiKeyStore, "record_uses", fail)
    await server.authenticate(RequestCredentials(key=secret))
    with pytest.raises(RuntimeError):
        await server.close()


async def test_a_look_up_that_goes_on_ends_with_the_server(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def hang(_store: ApiKeyStore, _text: str) -> Any:
        await never.wait()

    monkeypatch.setattr(ApiKeyStore, "find", hang)
    server = made(database, FakeClock())
    asking = asyncio.create_task(server.authenticate(RequestCredentials(key=new_key())))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await server.close()
    with pytest.raises(TwitchAudioError, match="stopping"):
        await asking
