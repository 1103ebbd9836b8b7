"""What the website's sessions promise, on each database: their life, and the care of their Twitch tokens."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from yarl import URL

from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.setting_formats import Secret
from server.access.identity.limits import (
    SESSION_CACHE_SECONDS,
    SESSION_GRACE,
    SESSION_IDLE,
    SESSION_LIFETIME,
    SESSION_RECHECK,
    SESSION_VALIDATED,
    SESSIONS_PER_USER,
)
from server.access.identity.oauth import RefusedError, Tokens
from server.access.identity.session_keys import SessionKeys
from server.access.identity.session_store import SessionStore, session_hash
from server.access.identity.sessions import Sessions
from server.access.identity.twitch_user import TwitchUser
from server.access.tables import web_sessions
from tests.fakes import FakeClock

CALLBACK = URL("http://127.0.0.1/login/callback")
KEY = Secret("a key of at least thirty-two characters")
SECONDS = 14_400


@dataclass
class Twitch:
    """id.twitch.tv as sessions see it: codes and refresh tokens, each good once; access tokens until revoked."""

    number: int = 0
    login: str = "vic"
    user_id: str = "7"
    down: bool = False
    refreshes: int = 0
    validations: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    good: set[str] = field(default_factory=set[str])
    refresh_tokens: set[str] = field(default_factory=set[str])
    revoked: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.gate.set()

    def _issue(self) -> Tokens:
        self.number += 1
        access, refresh = f"access{self.number}", f"refresh{self.number}"
        self.good.add(access)
        self.refresh_tokens.add(refresh)
        return Tokens(access=Secret(access), refresh=Secret(refresh), seconds=SECONDS, scopes=frozenset({"s"}))

    async def exchange(self, code: str, redirect: URL, verifier: str) -> Tokens:
        assert redirect == CALLBACK
        return self._issue()

    async def refresh(self, token: Secret) -> Tokens:
        self.refreshes += 1
        await self.gate.wait()
        if self.down:
            raise UpstreamError("token", "Twitch is down.")
        if token.reveal() not in self.refresh_tokens:
            raise RefusedError(ProblemCode.TOKEN_INVALID, "Invalid refresh token")
        self.refresh_tokens.remove(token.reveal())
        return self._issue()

    async def revoke(self, token: Secret) -> None:
        if self.down:
            raise UpstreamError("revoke", "Twitch is down.")
        self.good.discard(token.reveal())
        self.revoked.append(token.reveal())

    async def user(self, token: Secret) -> TwitchUser:
        self.validations += 1
        if self.down:
            raise UpstreamError("validate", "Twitch is down.")
        if token.reveal() not in self.good:
            raise TwitchAudioError(ProblemCode.TOKEN_INVALID, "revoked")
        return TwitchUser(id=self.user_id, login=self.login, scopes=frozenset({"s"}))

    def forget(self, token: Secret) -> None:
        """Nothing is kept here."""


@pytest.fixture
def twitch() -> Twitch:
    return Twitch()


@contextlib.asynccontextmanager
async def a_server(
    database: Database, twitch: Twitch, clock: FakeClock, *keys: Secret
) -> AsyncGenerator[Sessions]:
    fake = cast("Any", twitch)
    store = SessionStore(database, SessionKeys(keys or [KEY]))
    sessions = Sessions(store, oauth=fake, tokens=fake, clock=clock)
    try:
        yield sessions
    finally:
        await sessions.close()


@pytest.fixture
async def sessions(database: Database, twitch: Twitch, clock: FakeClock) -> AsyncGenerator[Sessions]:
    async with a_server(database, twitch, clock) as server:
        yield server


async def sign_in(sessions: Sessions) -> str:
    return (await sessions.begin("code", CALLBACK, "verifier"))[0]


async def login_of(sessions: Sessions, session_id: str) -> str | None:
    found = await sessions.find(session_id)
    return None if found is None else found.user.login


async def rows(database: Database) -> list[Any]:
    return list(await database.rows(web_sessions.select()))


async def test_only_a_hash_and_sealed_tokens_are_stored(database: Database, sessions: Sessions) -> None:
    session_id = await sign_in(sessions)
    assert len(session_id) >= 43
    [row] = await rows(database)
    assert row.sha256 == session_hash(session_id)
    assert not any(word in str(row) for word in (session_id, "access1", "refresh1"))
    found = await sessions.find(session_id)
    assert found is not None
    assert (found.user.login, found.token.reveal()) == ("vic", "access1")
    assert await sessions.find("made up") is None


async def test_the_end_of_a_session_takes_its_token_back_and_holds_on_every_server(
    database: Database, twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    async with a_server(database, twitch, clock) as other:
        session_id = await sign_in(sessions)
        assert await login_of(other, session_id) == "vic"
        await sessions.end(session_id)
        assert twitch.revoked == ["access1"]
        assert await sessions.find(session_id) is None
        await clock.advance(SESSION_CACHE_SECONDS)
        assert await other.find(session_id) is None
        assert await rows(database) == []


async def test_a_token_that_could_not_be_taken_back_is_taken_back_later(
    database: Database, twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    session_id = await sign_in(sessions)
    twitch.down = True
    await sessions.end(session_id)
    assert await sessions.find(session_id) is None
    await sessions.look_after()
    twitch.down = False
    await clock.advance(61)
    await sessions.look_after()
    assert twitch.revoked == ["access1"]
    assert await rows(database) == []


async def test_sessions_end_after_a_time_without_use_and_after_a_time_in_any_case(
    database: Database, clock: FakeClock, sessions: Sessions
) -> None:
    idle, used = await sign_in(sessions), await sign_in(sessions)
    day = timedelta(days=1).total_seconds()
    for _ in range(SESSION_IDLE.days):
        await clock.advance(day)
        assert await login_of(sessions, used) == "vic"
    assert await sessions.find(idle) is None
    for _ in range(SESSION_LIFETIME.days - SESSION_IDLE.days - 1):
        await clock.advance(day)
        assert await login_of(sessions, used) == "vic"
    await clock.advance(day)
    assert await sessions.find(used) is None
    await sessions.look_after()
    assert await rows(database) == []


async def test_a_user_has_so_many_sessions_and_the_oldest_end(
    database: Database, clock: FakeClock, sessions: Sessions, twitch: Twitch
) -> None:
    ids: list[str] = []
    for _ in range(SESSIONS_PER_USER + 2):
        await clock.advance(1)
        ids.append(await sign_in(sessions))
    assert [await login_of(sessions, each) for each in ids[:3]] == [None, None, "vic"]
    await sessions.look_after()
    assert len(await rows(database)) == SESSIONS_PER_USER
    assert sorted(twitch.revoked) == ["access1", "access2"]


async def test_tokens_are_refreshed_before_they_expire_once_for_all_who_ask(
    twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    session_id = await sign_in(sessions)
    await clock.advance(SECONDS - 60)
    twitch.gate.clear()
    asking = [asyncio.create_task(sessions.find(session_id)) for _ in range(50)]
    await asyncio.sleep(0.1)
    # Whoever leaves while it goes on changes nothing for the others.
    asking[0].cancel()
    twitch.gate.set()
    found = await asyncio.gather(*asking[1:])
    assert {each.token.reveal() for each in found if each is not None} == {"access2"}
    assert twitch.refreshes == 1


async def test_of_two_servers_one_refreshes_and_the_other_takes_what_it_got(
    database: Database, twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    async with a_server(database, twitch, clock) as other:
        session_id = await sign_in(sessions)
        await clock.advance(SECONDS)
        twitch.gate.clear()
        asking = [asyncio.create_task(server.find(session_id)) for server in (sessions, other)]
        async with asyncio.timeout(30):
            while not twitch.refreshes:  # noqa: ASYNC110 - the database's own pace
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        twitch.gate.set()
        while not all(task.done() for task in asking):
            await asyncio.sleep(0.05)
            await clock.advance(0.2)
        assert [each.token.reveal() for task in asking if (each := task.result())] == ["access2", "access2"]
        assert twitch.refreshes == 1


async def test_a_server_that_died_while_it_refreshed_is_replaced(
    database: Database, twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    session_id = await sign_in(sessions)
    await clock.advance(SECONDS)
    held = web_sessions.update().values(refreshing_us=web_sessions.c.token_expires_us + 5_000_000)
    await database.change(held)
    asking = asyncio.create_task(sessions.find(session_id))
    while not asking.done():
        await asyncio.sleep(0.02)
        await clock.advance(0.5)
    found = await asking
    assert found is not None
    assert found.token.reveal() == "access2"


async def test_who_disconnects_at_twitch_is_signed_out(
    database: Database, twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    session_id = await sign_in(sessions)
    twitch.good.clear()
    twitch.refresh_tokens.clear()
    assert await login_of(sessions, session_id) == "vic"
    await clock.advance(SESSION_VALIDATED.total_seconds())
    assert await sessions.find(session_id) is None
    assert await rows(database) == []


async def test_sessions_that_nobody_uses_are_validated_hourly(
    database: Database, twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    await sign_in(sessions)
    asked = twitch.validations
    await clock.advance(SESSION_RECHECK.total_seconds() - 1)
    await sessions.look_after()
    assert twitch.validations == asked
    await clock.advance(2)
    async with a_server(database, twitch, clock) as other:
        await asyncio.gather(sessions.look_after(), other.look_after())
    assert twitch.validations == asked + 1
    twitch.good.clear()
    twitch.refresh_tokens.clear()
    await clock.advance(SESSION_RECHECK.total_seconds() + 1)
    await sessions.look_after()
    assert await rows(database) == []


async def test_a_session_whose_token_expired_unused_is_left_alone_until_its_user_comes_back(
    twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    session_id = await sign_in(sessions)
    await clock.advance(SECONDS + 1)
    asked = twitch.validations
    await sessions.look_after()
    assert (twitch.validations, twitch.refreshes) == (asked, 0)
    assert await login_of(sessions, session_id) == "vic"
    assert twitch.refreshes == 1


async def test_a_changed_login_is_followed(twitch: Twitch, clock: FakeClock, sessions: Sessions) -> None:
    session_id = await sign_in(sessions)
    twitch.login = "vic_the_second"
    await clock.advance(SESSION_VALIDATED.total_seconds())
    assert await login_of(sessions, session_id) == "vic_the_second"


async def test_a_session_ends_when_its_token_turns_out_to_be_another_users(
    twitch: Twitch, clock: FakeClock, sessions: Sessions, database: Database
) -> None:
    asked_for, looked_after = await sign_in(sessions), await sign_in(sessions)
    twitch.user_id, twitch.login = "8", "eve"
    await clock.advance(SESSION_VALIDATED.total_seconds())
    assert await login_of(sessions, asked_for) is None
    await clock.advance(SESSION_RECHECK.total_seconds())
    await sessions.look_after()
    assert all(row.ended_us is not None for row in await rows(database))
    twitch.user_id, twitch.login = "7", "vic"
    assert [await login_of(sessions, each) for each in (asked_for, looked_after)] == [None, None]


async def test_a3_while_twitch_is_down_a_session_lives_on_for_an_hour(
    twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    session_id = await sign_in(sessions)
    twitch.down = True
    await clock.advance(SESSION_GRACE.total_seconds() - 1)
    assert await login_of(sessions, session_id) == "vic"
    await clock.advance(SESSION_CACHE_SECONDS)
    with pytest.raises(TwitchAudioError) as caught:
        await sessions.find(session_id)
    assert caught.value.code == "upstream-unavailable"
    twitch.down = False
    await clock.advance(SESSION_CACHE_SECONDS)
    assert await login_of(sessions, session_id) == "vic"


async def test_a2_old_keys_count_until_they_are_dropped(
    database: Database, twitch: Twitch, clock: FakeClock, sessions: Sessions
) -> None:
    session_id = await sign_in(sessions)
    new = Secret("another key of at least thirty-two characters")
    async with a_server(database, twitch, clock, new, KEY) as rotated:
        assert await login_of(rotated, session_id) == "vic"
    async with a_server(database, twitch, clock, new) as stranger:
        assert await stranger.find(session_id) is None
        await stranger.end(session_id)
    await clock.advance(SESSION_CACHE_SECONDS)
    assert await sessions.find(session_id) is None


async def test_tokens_that_came_while_the_database_was_away_are_not_lost(
    twitch: Twitch, clock: FakeClock, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = await sign_in(sessions)
    await clock.advance(SECONDS)
    renew, tries = SessionStore.renew, 0

    async def fail_twice(self: SessionStore, *arguments: Any, **more: Any) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise TwitchAudioError(ProblemCode.BUSY, "away")
        await renew(self, *arguments, **more)

    monkeypatch.setattr(SessionStore, "renew", fail_twice)
    asking = asyncio.create_task(sessions.find(session_id))
    while not asking.done():
        await asyncio.sleep(0.02)
        await clock.advance(0.5)
    found = await asking
    assert found is not None
    assert (found.token.reveal(), tries) == ("access2", 3)
