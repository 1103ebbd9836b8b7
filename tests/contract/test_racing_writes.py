"""Writes that insert a row or change the one that is there, while another server does so in the middle.

On MySQL each statement sees what others have committed, so what one statement did not find the next one may.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import event, select
from sqlalchemy.util import await_only

from fingerprint import database, database_backends
from fingerprint.clock import SystemClock
from fingerprint.database import Database, metadata, open_database
from fingerprint.domain.budgets import Budget, Counted, Period
from fingerprint.domain.identification import ExternalIds, Identification, IdentificationId
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import AskedTarget, ChannelTarget
from fingerprint.job_ports import Claimed, Held
from fingerprint.jobs.sql import SqlJobStore
from fingerprint.links.store import FoundLinks, LinkStore
from fingerprint.ports import Broadcaster
from fingerprint.providers.usage import SqlUsage
from fingerprint.setting_formats import Secret
from server import migrations
from server.access.identity import session_store
from server.access.identity.oauth import Tokens
from server.access.identity.session_keys import SessionKeys
from server.access.identity.session_store import SessionStore, session_hash
from server.access.identity.twitch_user import TwitchUser
from server.access.limit_status import Limit
from server.access.quotas.admission import Admissions, QuotaRequest
from server.access.quotas.rate_limits import count_start
from server.access.quotas.store import SqlQuotas
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.clip_owners import CachedClipOwners
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.audit import figures
from server.audit.entries import AuditEntry, AuditKind, Who
from server.audit.store import AuditStore, new_row
from server.channels import reports, song_tokens
from server.channels.reports import Reason, ReportStore
from server.channels.song_tokens import OPERATOR, SongTokenStore
from server.channels.watch_store import WatchStore
from tests.builders import NOON, identification

RIVAL_SECONDS = 0.25
"""How long the rival gets in the middle of ours. It may have to wait for our locks, and then goes on after us."""


class Servers(NamedTuple):
    """Two servers on one database."""

    ours: Database
    rivals: Database


@pytest.fixture
async def servers(sql_address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Servers]:
    # Who waits for a lock gets it, however late a busy machine lets the other finish.
    monkeypatch.setattr(database_backends, "_MYSQL_LOCK_SECONDS", 20)
    monkeypatch.setattr(database, "QUERY_SECONDS", 30.0)
    async with open_database(sql_address) as ours, open_database(sql_address) as rivals:
        await migrations.upgrade(ours)
        yield Servers(ours, rivals)


@contextmanager
def interrupted(database: Database, after: int, rival: Callable[[], "asyncio.Task[Any]"]) -> Any:
    """Have `rival` started after so many statements on a database, and give it a moment before the next one."""
    loop, done = asyncio.get_running_loop(), 0

    async def moment() -> None:
        await asyncio.wait({rival()}, timeout=RIVAL_SECONDS)

    def statement(*_: object) -> None:
        nonlocal done
        done += 1
        if done == after and database.remote:
            await_only(moment())
        elif done == after:
            asyncio.run_coroutine_threadsafe(moment(), loop).result()

    event.listen(database.engine, "after_cursor_execute", statement)
    try:
        yield
    finally:
        event.remove(database.engine, "after_cursor_execute", statement)


Write = Callable[[Database, str], Coroutine[Any, Any, Any]]


async def race(servers: Servers, after: int, write: Write) -> list[Any]:
    """What a write gives us and the rival, which comes after so many of our statements. Raises what they do."""
    tasks: list[asyncio.Task[Any]] = []

    def rival() -> "asyncio.Task[Any]":
        tasks.append(asyncio.create_task(write(servers.rivals, "rival")))
        return tasks[0]

    with interrupted(servers.ours, after, rival):
        ours = await write(servers.ours, "ours")
    return [ours, await (tasks[0] if tasks else rival())]


async def rows(database: Database, name: str) -> Sequence[Any]:
    return await database.rows(select(metadata.tables[name]))


def said(error: TwitchAudioError) -> str:
    return f"{error.code}: {error.detail}"


pytestmark = pytest.mark.parametrize("after", [1, 2, 3])


async def test_both_starts_count_against_a_rate_limit(servers: Servers, after: int) -> None:
    async def write(database: Database, _who: str) -> int:
        status = await count_start(database, [Limit("a", 3, 60), Limit("b", 5, 86_400)], NOON)
        assert status is not None
        return status.left

    assert sorted(await race(servers, after, write)) == [1, 2]
    assert [row.used for row in await rows(servers.ours, "rate_counters")] == [2, 2]


async def test_both_first_questions_of_a_day_count_and_none_is_over_budget(servers: Servers, after: int) -> None:
    budgets = (Budget(Period.DAY, 3), Budget(Period.MONTH, 5))

    async def write(database: Database, _who: str) -> object:
        return await SqlUsage(database).spend("acrcloud", budgets, NOON)

    assert await race(servers, after, write) == [Counted(), Counted()]
    assert [row.used for row in await rows(servers.ours, "provider_usage")] == [2, 2]


async def test_links_that_two_servers_found_are_stored_once(servers: Servers, after: int) -> None:
    async def write(database: Database, who: str) -> None:
        await LinkStore(database).put("isrc:1", FoundLinks(ids=ExternalIds(youtube=who)), NOON)

    await race(servers, after, write)
    assert len(await rows(servers.ours, "song_links")) == 1


async def test_a_watch_that_two_servers_start_is_started_once(servers: Servers, after: int) -> None:
    async def write(database: Database, who: str) -> bool:
        terms: dict[str, Any] = {"every_seconds": 60, "budget": 10, "most": 5}
        _, started = await WatchStore(database).start("somechannel", made_by=who, now=NOON, **terms)
        return started

    assert sorted(await race(servers, after, write)) == [False, True]
    assert [row.fence for row in await rows(servers.ours, "watches")] == [1]


async def test_the_later_of_two_reports_of_one_person_is_kept(servers: Servers, after: int) -> None:
    answer = identification()

    async def write(database: Database, who: str) -> bool:
        store = ReportStore(database)
        return await store.add(answer, reason=Reason.OTHER, note=who, who=("user:1", "user:1"), now=NOON)

    assert sorted(await race(servers, after, write)) == [False, True]
    assert len(await rows(servers.ours, "reports")) == 1


async def test_entries_of_two_servers_count_in_the_figures_of_a_day(servers: Servers, after: int) -> None:
    entry = AuditEntry(moment=NOON, kind=AuditKind.REFUSAL, who=Who(), what="stream", code="busy")

    async def write(database: Database, _who: str) -> None:
        await AuditStore(database).write([new_row(entry)])

    await race(servers, after, write)
    assert await figures.read(servers.ours, NOON.date()) == {(NOON.date(), "refusal busy"): 2}


async def test_two_jobs_get_two_slots(servers: Servers, after: int) -> None:
    async def running(_target: AskedTarget) -> Identification | None:
        return None

    async def write(database: Database, who: str) -> bool:
        admissions = Admissions(SqlQuotas(database), clock=SystemClock(), running=running)
        try:
            request = QuotaRequest(quota_key="key:a", max_jobs=2)
            return await admissions.admit(request, ChannelTarget(who), lambda: None) is not None
        finally:
            await admissions.close()

    assert await race(servers, after, write) == [True, True]
    assert sorted(row.number for row in await rows(servers.ours, "job_slots")) == [0, 1]


async def test_of_two_who_list_a_user_one_is_told(servers: Servers, after: int) -> None:
    async def write(database: Database, who: str) -> str:
        try:
            return await ListStore(database).allow("somebody", note=who, now=NOON)
        except TwitchAudioError as error:
            return said(error)

    assert sorted(await race(servers, after, write)) == ["invalid-input: somebody is listed already.", "somebody"]


async def test_of_two_who_list_a_broadcaster_one_is_told(servers: Servers, after: int) -> None:
    async def write(database: Database, who: str) -> str:
        try:
            await BroadcasterStore(database).add("1", "one", note=who, now=NOON)
        except TwitchAudioError as error:
            return said(error)
        return "listed"

    assert sorted(await race(servers, after, write)) == ["invalid-input: one is listed already.", "listed"]


async def test_a_clips_owner_is_stored_once(servers: Servers, after: int) -> None:
    class Owners:
        async def broadcaster(self, slug: str) -> Broadcaster | None:
            return Broadcaster(id="1", login=slug)

        async def video_owner(self, video_id: str) -> Broadcaster | None:
            return Broadcaster(id="1", login=video_id)

    async def write(database: Database, _who: str) -> Broadcaster | None:
        return await CachedClipOwners(database, Owners(), clock=SystemClock()).broadcaster("slug")

    assert await race(servers, after, write) == [Broadcaster(id="1", login="slug")] * 2
    assert len(await rows(servers.ours, "clip_owners")) == 1


async def test_both_changes_of_a_website_setting_count(servers: Servers, after: int) -> None:
    async def write(database: Database, who: str) -> tuple[str, str]:
        return await RulesStore(database).set_website("motd", who)

    said_of = await race(servers, after, write)
    # Whoever came second saw what the first had written.
    assert sorted(said_of) in ([("", "ours"), ("ours", "rival")], [("", "rival"), ("rival", "ours")])


async def test_a_target_that_two_servers_claim_is_claimed_once(servers: Servers, after: int) -> None:
    now: datetime = NOON + timedelta(seconds=1)

    async def write(database: Database, who: str) -> object:
        return await SqlJobStore(database).claim(ChannelTarget("one"), owner=who, now=now, lease_seconds=9)

    assert sorted([type(each).__name__ for each in await race(servers, after, write)]) == [
        Claimed.__name__, Held.__name__,
    ]  # fmt: skip
    assert [row.fence for row in await rows(servers.ours, "leases")] == [1]


async def outcome(write: Coroutine[Any, Any, object]) -> str:
    """What a write gave, or the code of its problem."""
    try:
        given = await write
    except TwitchAudioError as error:
        return error.code
    return str(given) if isinstance(given, bool) else "done"


async def test_a_bound_holds_while_two_servers_add_at_the_same_moment(
    servers: Servers, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, bound in (
        (song_tokens, "MOST_PER_CHANNEL"), (reports, "MOST_PER_ANSWER"), (reports, "DISPUTES_PER_DAY"),
        (session_store, "SESSIONS_PER_USER"),
    ):  # fmt: skip
        monkeypatch.setattr(module, bound, 1)
    tokens = Tokens(access=Secret("a"), refresh=None, seconds=60, scopes=frozenset())
    user = TwitchUser(id="7", login="vic", scopes=frozenset())
    cookies = SessionKeys([Secret("a key of at least thirty-two characters")])

    async def watch(database: Database, who: str) -> str:
        terms: dict[str, Any] = {"every_seconds": 60, "budget": 10, "most": 1}
        return await outcome(WatchStore(database).start(who, made_by=OPERATOR, now=NOON, **terms))

    async def token(database: Database, who: str) -> str:
        return await outcome(SongTokenStore(database).create("channel", note=who, now=NOON))

    async def report(database: Database, who: str) -> str:
        terms: dict[str, Any] = {"reason": Reason.OTHER, "note": "", "who": (who, who), "now": NOON}
        return await outcome(ReportStore(database).add(identification(), **terms))

    async def dispute(database: Database, who: str) -> str:
        answer = identification(id=IdentificationId(who), target="other")
        terms: dict[str, Any] = {"reason": Reason.OTHER, "note": "", "who": (who, who), "now": NOON}
        return await outcome(ReportStore(database).add(answer, **terms))

    async def session(database: Database, who: str) -> str:
        store = SessionStore(database, cookies)
        return await outcome(store.create(session_hash(who), user, tokens, now=NOON, due=NOON))

    writes = (watch, token, report, dispute)
    assert {write.__name__: sorted(await race(servers, after, write)) for write in writes} == {
        "watch": ["busy", "done"], "token": ["done", "invalid-input"], "report": ["False", "True"],
        "dispute": ["False", "True"],
    }  # fmt: skip
    for channel in ("ours", "rival"):
        await WatchStore(servers.ours).stop(channel, now=NOON)
    assert sorted(await race(servers, after, watch)) == ["busy", "done"], "one that has ended is started again"
    # Of a user's sessions the oldest end.
    assert await race(servers, after, session) == ["done", "done"]
    assert [row.ended_us is None for row in await rows(servers.ours, "web_sessions")].count(True) == 1
    assert [row.state for row in await rows(servers.ours, "watches")].count("running") == 1
    assert [len(await rows(servers.ours, name)) for name in ("song_tokens", "reports")] == [1, 3]
