"""Website sessions without a database: at which moment each thing happens, and what Twitch is asked for."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.setting_formats import Secret
from server.access.identity.limits import (
    MAINTENANCE_BATCH,
    MAINTENANCE_RETRY,
    MAINTENANCE_SECONDS,
    REFRESH_CLAIM,
    REFRESH_MARGIN,
    SESSION_CACHE_SECONDS,
    SESSION_GRACE,
    SESSION_IDLE,
    SESSION_LIFETIME,
    SESSION_RECHECK,
    SESSION_SEEN_STEP,
    SESSION_VALIDATED,
)
from server.access.identity.oauth import RefusedError, Tokens
from server.access.identity.session_store import StoredSession, session_hash
from server.access.identity.sessions import Sessions
from server.access.identity.twitch_user import TwitchUser
from tests.builders import NOON
from tests.fakes import FakeClock

pytestmark = pytest.mark.timeout(18)  # nothing here waits for anything outside
BACK = URL("http://127.0.0.1/login/callback")
VIC = TwitchUser(id="7", login="vic", scopes=frozenset({"s"}))
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def tokens(number: int, seconds: int = 10 * 86_400, scopes: frozenset[str] = VIC.scopes) -> Tokens:
    return Tokens(access=Secret(f"a{number}"), refresh=Secret(f"r{number}"), seconds=seconds, scopes=scopes)


@dataclass
class Store:
    """What `SessionStore` does, in memory; `calls`: what was written, and when."""

    rows: dict[str, StoredSession] = field(default_factory=dict[str, StoredSession])
    due: dict[str, datetime] = field(default_factory=dict[str, datetime])
    calls: list[str] = field(default_factory=list[str])
    failing: set[str] = field(default_factory=set[str])

    def _note(self, what: str) -> None:
        if what in self.failing:
            raise TwitchAudioError(ProblemCode.BUSY, "away")
        self.calls.append(what)

    def _change(self, sha256: str, **values: Any) -> None:
        if sha256 in self.rows:
            self.rows[sha256] = replace(self.rows[sha256], **values)

    async def create(self, sha256: str, user: TwitchUser, given: Tokens, *, now: datetime, due: datetime) -> None:
        self.rows[sha256] = StoredSession(
            sha256=sha256,
            user=user,
            access=given.access,
            refresh=given.refresh,
            token_expires_at=now + timedelta(seconds=given.seconds),
            created_at=now,
            seen_at=now,
            validated_at=now,
            refreshing_until=now - DAY,
            ended_at=None,
        )
        self.due[sha256] = due

    async def get(self, sha256: str) -> StoredSession | None:
        return self.rows.get(sha256)

    async def seen(self, sha256: str, now: datetime) -> None:
        self._note("seen")
        self._change(sha256, seen_at=now)

    async def validated(self, sha256: str, user: TwitchUser, *, now: datetime, due: datetime) -> None:
        self._note("validated")
        self._change(sha256, user=user, validated_at=now)
        self.due[sha256] = due

    async def end(self, sha256: str, now: datetime) -> None:
        self._note("end")
        self._change(sha256, ended_at=now)
        self.due[sha256] = now

    async def end_all(self, user_id: str, now: datetime) -> int:
        mine = [each for each in self.rows.values() if each.user.id == user_id and each.ended_at is None]
        for each in mine:
            self._change(each.sha256, ended_at=now)
        return len(mine)

    async def forget(self, sha256: str) -> None:
        self._note("forget")
        self.rows.pop(sha256, None)
        self.due.pop(sha256, None)

    async def begin_refresh(self, session: StoredSession, *, now: datetime, until: datetime) -> bool:
        if now < session.refreshing_until <= until + timedelta(minutes=1):
            return False
        self._change(session.sha256, refreshing_until=until)
        return True

    async def renew(self, sha256: str, given: Tokens, *, now: datetime, due: datetime) -> None:
        self._note("renew")
        self._change(
            sha256,
            access=given.access,
            refresh=given.refresh,
            token_expires_at=now + timedelta(seconds=given.seconds),
            validated_at=now,
            refreshing_until=now - DAY,
            user=replace(self.rows[sha256].user, scopes=given.scopes),
        )
        self.due[sha256] = due

    async def give_back(self, sha256: str) -> None:
        self._note("give back")
        self._change(sha256, refreshing_until=self.rows[sha256].created_at - DAY)

    async def take_due(self, limit: int, *, now: datetime, until: datetime) -> Sequence[StoredSession]:
        self._note("take due")
        found = [sha256 for sha256, due in self.due.items() if due <= now][:limit]
        for sha256 in found:
            self.due[sha256] = until
        return [self.rows[sha256] for sha256 in found]

    async def put_off(self, sha256: str, due: datetime) -> None:
        self._note("put off")
        self.due[sha256] = due


@dataclass
class Twitch:
    """id.twitch.tv: what it answers next, and what it was asked."""

    user_is: TwitchUser | TwitchAudioError = VIC
    next: Tokens | TwitchAudioError = field(default_factory=lambda: tokens(2))
    revoke_fails: TwitchAudioError | None = None
    refused: str | None = None
    asked: list[str] = field(default_factory=list[str])

    def authorize_url(self, **about: Any) -> URL:
        return URL("https://id.twitch.tv/").with_query({name: str(value) for name, value in about.items()})

    async def exchange(self, code: str, redirect: URL, verifier: str) -> Tokens:
        assert (code, redirect, verifier) == ("code", BACK, "verifier")
        return tokens(1)

    async def refresh(self, token: Secret) -> Tokens:
        self.asked.append(f"refresh {token.reveal()}")
        await asyncio.sleep(0)
        if isinstance(self.next, TwitchAudioError):
            raise self.next
        return self.next

    async def revoke(self, token: Secret) -> None:
        self.asked.append(f"revoke {token.reveal()}")
        if self.revoke_fails is not None:
            raise self.revoke_fails

    async def user(self, token: Secret) -> TwitchUser:
        self.asked.append(f"user {token.reveal()}")
        if isinstance(self.user_is, TwitchAudioError):
            raise self.user_is
        return self.user_is

    def forget(self, token: Secret) -> None:
        self.asked.append(f"forget {token.reveal()}")


@dataclass
class Stage:
    """One signed-in user at one server."""

    clock: FakeClock
    store: Store
    twitch: Twitch
    sessions: Sessions
    id: str = ""

    @property
    def row(self) -> StoredSession:
        return self.store.rows[session_hash(self.id)]

    async def pass_time(self, time: timedelta) -> None:
        await self.clock.advance(time.total_seconds())

    async def login(self) -> str | None:
        found = await self.sessions.find(self.id)
        return None if found is None else found.user.login

    def put(self, **values: Any) -> None:
        self.store.rows[session_hash(self.id)] = replace(self.row, **values)


@pytest.fixture
async def stage() -> AsyncGenerator[Stage]:
    clock, store, twitch = FakeClock(), Store(), Twitch()
    fake: Any = twitch
    sessions = Sessions(cast("Any", store), oauth=fake, tokens=fake, clock=clock)
    stage = Stage(clock, store, twitch, sessions)
    stage.id, user = await sessions.begin("code", BACK, "verifier")
    assert user == VIC
    assert store.due[session_hash(stage.id)] == NOON + SESSION_RECHECK
    twitch.asked.clear()
    yield stage
    await sessions.close()


def down() -> UpstreamError:
    return UpstreamError("validate", "Twitch is down.")


async def test_where_a_browser_is_sent_and_when_the_application_was_refused(stage: Stage) -> None:
    said = stage.sessions.authorize_url(redirect=BACK, state="st", scopes=["s"], verifier="v")
    assert said.query["state"] == "st"
    assert (said.query["redirect"], said.query["verifier"], said.query["scopes"]) == (str(BACK), "v", "['s']")
    await stage.sessions.check_application()
    stage.twitch.refused = "invalid client"
    with pytest.raises(TwitchAudioError, match="invalid client") as refused:
        await stage.sessions.check_application()
    assert refused.value.code is ProblemCode.UPSTREAM_UNAVAILABLE


async def test_what_is_known_of_a_session_costs_nothing(stage: Stage) -> None:
    assert stage.sessions.known(stage.id) is None
    assert await stage.login() == "vic"
    assert stage.sessions.known(stage.id) == VIC
    assert stage.sessions.known("made up") is None
    found = await stage.sessions.find(stage.id)
    assert found is not None
    assert found.token.reveal() == "a1"
    assert stage.twitch.asked == []


async def test_use_is_recorded_once_an_hour(stage: Stage) -> None:
    await stage.pass_time(SESSION_SEEN_STEP - timedelta(seconds=2 * SESSION_CACHE_SECONDS))
    stage.put(validated_at=stage.clock.now())
    assert await stage.login() == "vic"
    assert stage.store.calls == []
    await stage.pass_time(timedelta(seconds=2 * SESSION_CACHE_SECONDS))
    assert await stage.login() == "vic"
    assert stage.store.calls == ["seen"]
    assert stage.row.seen_at == stage.clock.now()


@pytest.mark.parametrize(
    ("field_name", "age"), [("created_at", SESSION_LIFETIME), ("seen_at", SESSION_IDLE)], ids=["age", "idleness"]
)
async def test_a_session_ends_at_its_very_moment(stage: Stage, field_name: str, age: timedelta) -> None:
    life = {"created_at": NOON, "seen_at": NOON, field_name: NOON - age + timedelta(seconds=20)}
    stage.put(**life)
    await stage.pass_time(timedelta(seconds=19))
    assert await stage.login() == "vic"
    stage.put(**life)
    await stage.pass_time(timedelta(seconds=1))
    assert await stage.sessions.renewed(stage.id, Secret("a1")) is None


async def test_a_session_without_tokens_that_can_be_read_is_none(stage: Stage) -> None:
    stage.put(access=None)
    assert await stage.login() is None
    assert await stage.sessions.renewed(stage.id, Secret("a1")) is None


async def test_a_token_is_validated_when_it_is_due_and_not_before(stage: Stage) -> None:
    await stage.pass_time(SESSION_VALIDATED - timedelta(seconds=3))
    assert await stage.login() == "vic"
    assert stage.twitch.asked == []
    await stage.pass_time(timedelta(seconds=3))
    stage.twitch.user_is = replace(VIC, login="vic_the_second")
    assert await stage.login() == "vic_the_second"
    assert stage.twitch.asked == ["user a1"]
    assert stage.row.validated_at == stage.clock.now()
    assert stage.store.due[session_hash(stage.id)] == stage.clock.now() + SESSION_RECHECK


async def test_a_token_is_refreshed_when_it_is_about_to_expire_and_not_before(stage: Stage) -> None:
    stage.put(token_expires_at=NOON + REFRESH_MARGIN + timedelta(seconds=5))
    assert await stage.login() == "vic"
    assert stage.twitch.asked == []
    await stage.pass_time(timedelta(seconds=5))
    stage.twitch.next = tokens(2, scopes=frozenset())
    found = await stage.sessions.find(stage.id)
    assert found is not None
    assert (found.token.reveal(), found.user.scopes) == ("a2", VIC.scopes)
    assert stage.twitch.asked == ["refresh r1"]
    assert stage.store.due[session_hash(stage.id)] == stage.clock.now() + SESSION_RECHECK


async def test_a_token_that_twitch_does_not_know_any_more_is_refreshed(stage: Stage) -> None:
    await stage.pass_time(SESSION_VALIDATED)
    stage.twitch.user_is = TwitchAudioError(ProblemCode.TOKEN_INVALID, "revoked")
    assert await stage.login() == "vic"
    assert stage.twitch.asked == ["user a1", "refresh r1"]


async def test_other_refusals_of_a_token_are_passed_on(stage: Stage) -> None:
    await stage.pass_time(SESSION_VALIDATED)
    stage.twitch.user_is = TwitchAudioError(ProblemCode.TOKEN_WRONG_CLIENT, "of another")
    with pytest.raises(TwitchAudioError, match="of another"):
        await stage.login()


async def test_while_twitch_is_down_a_session_lives_on_until_the_grace_is_over(stage: Stage) -> None:
    stage.twitch.user_is = down()
    await stage.pass_time(SESSION_GRACE - timedelta(seconds=1))
    assert await stage.login() == "vic"
    await stage.pass_time(timedelta(seconds=1 + SESSION_CACHE_SECONDS))
    with pytest.raises(UpstreamError):
        await stage.login()
    stage.store.failing.add("validated")
    stage.twitch.user_is = VIC
    stage.put(validated_at=stage.clock.now() - SESSION_VALIDATED)
    await stage.pass_time(timedelta(seconds=SESSION_CACHE_SECONDS))
    with pytest.raises(TwitchAudioError) as busy:
        await stage.login()
    assert busy.value.code is ProblemCode.BUSY, "the grace is for Twitch alone"


async def test_a_token_of_somebody_else_ends_the_session(stage: Stage) -> None:
    await stage.pass_time(SESSION_VALIDATED)
    stage.twitch.user_is = replace(VIC, id="8")
    assert await stage.login() is None
    assert stage.row.ended_at == stage.clock.now()
    assert "validated" not in stage.store.calls


async def test_a_refused_access_token_is_renewed_once_and_the_new_one_is_used(stage: Stage) -> None:
    assert await stage.login() == "vic"
    renewed = await stage.sessions.renewed(stage.id, Secret("a1"))
    assert renewed is not None
    assert (renewed.token.reveal(), renewed.user.id) == ("a2", "7")
    found = await stage.sessions.find(stage.id)
    assert found is not None
    assert found.token.reveal() == "a2", "what was cached before is forgotten"
    # Another one was refused: what is there by now is another token already.
    again = await stage.sessions.renewed(stage.id, Secret("a1"))
    assert again is not None
    assert again.token.reveal() == "a2"
    assert stage.twitch.asked == ["refresh r1"]
    assert await stage.sessions.renewed("made up", Secret("a1")) is None


async def test_a_refresh_that_twitch_refuses_ends_the_session(stage: Stage) -> None:
    stage.twitch.next = RefusedError(ProblemCode.TOKEN_INVALID, "Invalid refresh token")
    assert await stage.sessions.renewed(stage.id, Secret("a1")) is None
    assert stage.store.rows == {}


async def test_without_a_refresh_token_the_session_ends_unasked(stage: Stage) -> None:
    stage.put(refresh=None)
    assert await stage.sessions.renewed(stage.id, Secret("a1")) is None
    assert (stage.store.rows, stage.twitch.asked) == ({}, [])


@pytest.mark.parametrize("failing", [set[str](), {"give back"}], ids=["given back", "not given back"])
async def test_when_twitch_is_down_the_right_to_refresh_is_given_back(stage: Stage, failing: set[str]) -> None:
    stage.twitch.next = down()
    stage.store.failing = failing
    with pytest.raises(UpstreamError, match="down"):
        await stage.sessions.renewed(stage.id, Secret("a1"))
    assert stage.store.calls == ["give back"] * (not failing)
    assert len(stage.store.rows) == 1


async def test_while_another_server_refreshes_its_tokens_are_waited_for(stage: Stage) -> None:
    stage.put(refreshing_until=NOON + REFRESH_CLAIM)
    asking = asyncio.create_task(stage.sessions.renewed(stage.id, Secret("a1")))
    await stage.clock.advance(0.2)
    await stage.clock.advance(0.2)
    assert not asking.done()
    stage.put(access=Secret("of the other server"))
    await stage.clock.advance(0.2)
    renewed = await asking
    assert renewed is not None
    assert renewed.token.reveal() == "of the other server"
    assert stage.twitch.asked == []


async def _claimed_again_and_again(stage: Stage, asking: "asyncio.Task[Any]") -> None:
    """Another server has the right to refresh for as long as that may be waited for."""
    for _ in range(int(REFRESH_CLAIM.total_seconds() / 0.2) + 1):
        assert not asking.done()
        stage.put(refreshing_until=stage.clock.now() + REFRESH_CLAIM)
        await stage.clock.advance(0.2)


@pytest.mark.parametrize("hours", [0, -1, 1])
async def test_a_refresh_elsewhere_is_waited_for_for_some_seconds_whatever_the_clock_does(
    stage: Stage, hours: int
) -> None:
    stage.put(refreshing_until=NOON + REFRESH_CLAIM)
    asking = asyncio.create_task(stage.sessions.renewed(stage.id, Secret("a1")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stage.put(refreshing_until=NOON + hours * HOUR + REFRESH_CLAIM)
    stage.clock.jump(hours * 3_600)
    await _claimed_again_and_again(stage, asking)
    with pytest.raises(UpstreamError, match="is being renewed"):
        await asking


@pytest.mark.parametrize(("ahead", "asked"), [(timedelta(0), 0), (timedelta(seconds=50), 0), (HOUR, 1)])
async def test_p9_what_a_clock_confirmed_that_was_ahead_is_confirmed_again(
    stage: Stage, ahead: timedelta, asked: int
) -> None:
    stage.put(validated_at=NOON + ahead)
    stage.twitch.asked.clear()
    assert await stage.login() == "vic"
    assert len(stage.twitch.asked) == asked


async def test_a_session_that_ends_meanwhile_is_not_waited_for(stage: Stage) -> None:
    stage.put(refreshing_until=NOON + REFRESH_CLAIM)
    asking = asyncio.create_task(stage.sessions.renewed(stage.id, Secret("a1")))
    await stage.clock.advance(0.2)
    stage.put(ended_at=NOON)
    await stage.clock.advance(0.2)
    assert await asking is None


async def test_the_end_of_a_session_is_stored_first_and_takes_its_token_back(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    assert await stage.login() == "vic"
    with caplog.at_level(logging.INFO):
        await stage.sessions.end(stage.id)
    assert stage.store.calls == ["end", "forget"]
    assert stage.twitch.asked == ["revoke a1", "forget a1"]
    assert stage.sessions.known(stage.id) is None
    assert await stage.login() is None
    calls = len(stage.store.calls)
    await stage.sessions.end(stage.id)
    await stage.sessions.end("made up")
    assert len(stage.store.calls) == calls


async def test_an_end_that_cannot_be_stored_is_said_and_nothing_is_revoked(stage: Stage) -> None:
    stage.store.failing.add("end")
    with pytest.raises(TwitchAudioError):
        await stage.sessions.end(stage.id)
    assert stage.twitch.asked == []
    assert await stage.login() == "vic"
    stage.store.failing.clear()
    stage.put(ended_at=NOON)
    await stage.sessions.end(stage.id)
    assert (stage.store.calls, stage.twitch.asked) == ([], []), "it has ended already"


async def test_a_token_that_cannot_be_taken_back_is_tried_again_later(stage: Stage) -> None:
    stage.twitch.revoke_fails = down()
    await stage.sessions.end(stage.id)
    assert stage.store.due[session_hash(stage.id)] == NOON + MAINTENANCE_RETRY
    assert stage.store.calls == ["end", "put off"]
    assert "forget a1" not in stage.twitch.asked
    stage.store.failing = {"put off", "forget"}
    await stage.pass_time(MAINTENANCE_RETRY)
    await stage.sessions.look_after()
    stage.twitch.revoke_fails = None
    stage.store.due[session_hash(stage.id)] = stage.clock.now()
    await stage.sessions.look_after()
    assert len(stage.store.rows) == 1, "the database was away"


async def test_a_token_that_has_expired_is_not_revoked(stage: Stage) -> None:
    stage.put(token_expires_at=NOON)
    await stage.sessions.end(stage.id)
    assert stage.twitch.asked == []
    assert stage.store.rows == {}


async def test_all_sessions_of_a_user_end(stage: Stage) -> None:
    other, _ = await stage.sessions.begin("code", BACK, "verifier")
    assert await stage.login() == "vic"
    assert await stage.sessions.end_all("7") == 2
    assert stage.sessions.known(stage.id) is None
    assert [await stage.sessions.find(each) for each in (stage.id, other)] == [None, None]
    assert await stage.sessions.end_all("7") == 0


# --- What nobody uses ---------------------------------------------------------------------------------


async def test_what_is_due_is_looked_after_now_and_then_also_after_a_failure(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage.sessions:
        await asyncio.sleep(0)
        assert stage.store.calls == []
        stage.store.failing.add("take due")
        with caplog.at_level(logging.WARNING):
            await stage.clock.advance(MAINTENANCE_SECONDS)
        assert "sessions_not_looked_after" in caplog.text
        stage.store.failing.clear()
        stage.store.due[session_hash(stage.id)] = NOON
        await stage.clock.advance(MAINTENANCE_SECONDS)
        assert stage.twitch.asked == ["user a1"]


async def test_nothing_goes_on_after_the_server_has_stopped(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls to Twitch that are not answered: to validate, to refresh, to revoke."""
    validated, refreshed, revoked = (
        stage.id,
        *[(await stage.sessions.begin("code", BACK, "verifier"))[0] for _ in range(2)],
    )
    never = asyncio.Event()

    async def hang(*_arguments: Any) -> Any:
        await never.wait()

    for name in ("user", "refresh", "revoke"):
        monkeypatch.setattr(stage.twitch, name, hang)
    await stage.pass_time(SESSION_VALIDATED)
    before = asyncio.all_tasks()
    async with stage.sessions as entered:
        assert entered is stage.sessions
        asking = [
            asyncio.create_task(stage.sessions.find(validated)),
            asyncio.create_task(stage.sessions.renewed(refreshed, Secret("a1"))),
            asyncio.create_task(stage.sessions.end(revoked)),
        ]
        await stage.clock.advance(1)
        assert not any(each.done() for each in asking)
    async with asyncio.timeout(5):
        await asyncio.gather(*asking, return_exceptions=True)
    assert asyncio.all_tasks() == before


async def test_all_that_is_due_is_looked_after_at_once_and_by_one_server(stage: Stage) -> None:
    for _ in range(2 * MAINTENANCE_BATCH):
        await stage.sessions.begin("code", BACK, "verifier")
    stage.twitch.asked.clear()
    await stage.pass_time(SESSION_RECHECK - timedelta(seconds=1))
    await stage.sessions.look_after()
    assert stage.twitch.asked == []
    await stage.pass_time(timedelta(seconds=1))
    await stage.sessions.look_after()
    assert len(stage.twitch.asked) == 2 * MAINTENANCE_BATCH + 1
    assert stage.store.calls.count("take due") == 1 + 3


async def test_an_expired_token_is_left_alone_until_the_session_ends(stage: Stage) -> None:
    stage.put(token_expires_at=NOON, created_at=NOON - SESSION_LIFETIME + DAY)
    stage.store.due[session_hash(stage.id)] = NOON
    await stage.sessions.look_after()
    assert stage.twitch.asked == []
    assert stage.store.due[session_hash(stage.id)] == NOON + DAY
    stage.put(created_at=NOON)
    stage.store.due[session_hash(stage.id)] = NOON
    await stage.sessions.look_after()
    assert stage.store.due[session_hash(stage.id)] == NOON + SESSION_IDLE


async def test_a_session_that_has_ended_is_taken_back_when_it_is_due(stage: Stage) -> None:
    stage.put(ended_at=NOON)
    stage.store.due[session_hash(stage.id)] = NOON
    await stage.sessions.look_after()
    assert stage.twitch.asked == ["revoke a1", "forget a1"]
    assert stage.store.rows == {}


async def test_what_is_due_while_twitch_or_the_database_is_away(stage: Stage) -> None:
    sha256 = session_hash(stage.id)
    stage.store.due[sha256] = NOON
    stage.twitch.user_is = down()
    await stage.sessions.look_after()
    assert stage.store.due[sha256] == NOON + MAINTENANCE_RETRY
    assert stage.row.ended_at is None
    stage.store.due[sha256] = NOON
    stage.twitch.user_is = VIC
    stage.store.failing.add("validated")
    with pytest.raises(TwitchAudioError, match="away"):
        await stage.sessions.look_after()
    stage.store.failing.clear()
    stage.store.due[sha256] = NOON
    stage.twitch.user_is = TwitchAudioError(ProblemCode.TOKEN_WRONG_CLIENT, "of another")
    await stage.sessions.look_after()
    assert stage.row.ended_at == NOON


async def test_new_tokens_are_stored_by_the_third_try(stage: Stage) -> None:
    tries = 0
    renew = stage.store.renew

    async def fail_twice(*arguments: Any, **more: Any) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise TwitchAudioError(ProblemCode.BUSY, "away")
        await renew(*arguments, **more)

    cast("Any", stage.store).renew = fail_twice
    asking = asyncio.create_task(stage.sessions.renewed(stage.id, Secret("a1")))
    waited = 0.0
    while not asking.done():
        await stage.clock.advance(0.1)
        waited += 0.1
        assert waited < 10
    renewed = await asking
    assert renewed is not None
    assert (renewed.token.reveal(), tries) == ("a2", 3)
    tries = -10
    asking = asyncio.create_task(stage.sessions.renewed(stage.id, Secret("a2")))
    while not asking.done():
        await stage.clock.advance(0.1)
    with pytest.raises(TwitchAudioError, match="away"):
        await asking
    assert tries == -7, "three tries"
