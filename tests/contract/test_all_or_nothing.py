"""What operators, owners and users change is stored whole, or refused and not stored at all, on each SQL database.

The n-th statement of a change fails, commits included, for each n until the change passes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fingerprint.database import Database, identifications, metadata
from fingerprint.domain.channel_traces import ChannelTraces, UsedName
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget
from fingerprint.jobs.sql import SqlJobStore
from fingerprint.setting_formats import Secret
from server.access.identity.api_keys import ApiKeyStore
from server.access.identity.oauth import Tokens
from server.access.identity.session_keys import SessionKeys
from server.access.identity.session_store import SessionStore
from server.access.identity.twitch_user import TwitchUser
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.codes import CodeStore
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.channels.reports import Reason, ReportStore
from server.channels.song_tokens import SongTokenStore
from server.channels.watch_store import WatchStore
from server.owner_choices.choices import CorrectedTime, Visibility
from server.owner_choices.store import ChoiceStore, PlayChange
from server.songs.finds import FindStore
from server.webhooks.messages import EventType
from server.webhooks.store import WebhookStore
from tests.builders import NOON, answered, song
from tests.contract.stored_answers import store_heard
from tests.failing_sql import Failing

MOST_STATEMENTS = 40
VIC = TwitchUser(id="7", login="vic", scopes=frozenset())
TOKENS = Tokens(access=Secret("a"), refresh=Secret("b"), seconds=60, scopes=frozenset())


@dataclass(frozen=True, slots=True)
class Stage:
    """A database with one of everything in it, whose statements can fail; `ids` by what they are of."""

    database: Database
    failing: Failing
    ids: dict[str, str]

    async def rows(self) -> dict[str, list[Any]]:
        """All rows of all tables."""
        return {
            table.name: sorted(map(str, await self.database.rows(select(table))))
            for table in metadata.sorted_tables
        }


@pytest.fixture
async def stage(database: Database) -> Stage:
    ids: dict[str, str] = {}
    ids["key"] = (await ApiKeyStore(database).create("a bot", now=NOON))[0].id
    old = (await ApiKeyStore(database).create("an old bot", now=NOON))[0].id
    await ApiKeyStore(database).revoke(old, NOON)
    ids["old key"] = old
    ids["code"], secret = await CodeStore(database).create(now=NOON)
    ids["code's text"] = secret.reveal()
    ids["token"] = (await SongTokenStore(database).create("somechannel", now=NOON))[0].id
    await start_watch(database, "watched")
    hook, _ = await put_webhook(database, "https://bot.example/")
    ids["hook"] = hook.id
    await ListStore(database).block(BlacklistKind.CHANNEL, "blocked", reason="", now=NOON)
    ids["correction"] = (await correct(database, 0))[0]
    await keep_find(database, "vic")
    await SessionStore(database, session_keys()).create("s" * 64, VIC, TOKENS, now=NOON, due=NOON)
    return Stage(database, Failing(database), ids)


def session_keys() -> SessionKeys:
    return SessionKeys((Secret("a key of at least thirty-two characters"),))


async def start_watch(database: Database, channel: str) -> Any:
    return await WatchStore(database).start(
        channel, every_seconds=300, budget=10, made_by="user:7", most=10, now=NOON
    )


async def put_webhook(database: Database, url: str, channel: str = "watched") -> Any:
    return await WebhookStore(database).put("user:7", url, events=[EventType.PLAY], channels=[channel], now=NOON)


async def correct(database: Database, minutes: int) -> Any:
    since = NOON + timedelta(minutes=minutes)
    time = CorrectedTime(since=since, until=since + timedelta(minutes=3), going_on=False)
    plays = [PlayChange(song=song(title), time=time, title="Harbor", artists=()) for title in ("One", "Two")]
    return await ChoiceStore(database).correct("somechannel", "7", plays, made_by="user:7", now=NOON)


async def keep_find(database: Database, user: str) -> None:
    await FindStore(database).keep(user, answered(), now=NOON)


Change = Callable[[Database, dict[str, str]], Awaitable[Any]]
LATER = NOON + timedelta(seconds=30)

CHANGES: dict[str, Change] = {
    "setting": lambda db, _: RulesStore(db).set_website("recent_songs", "on"),
    "key made": lambda db, _: ApiKeyStore(db).create("another", now=NOON, per_day=5),
    "key revoked": lambda db, ids: ApiKeyStore(db).revoke(ids["key"], LATER),
    "key's revocation undone": lambda db, ids: ApiKeyStore(db).undo_revoke(ids["old key"], LATER),
    "code made": lambda db, _: CodeStore(db).create(now=NOON),
    "code redeemed": lambda db, ids: CodeStore(db).redeem(ids["code's text"], "7", LATER),
    "code revoked": lambda db, ids: CodeStore(db).revoke(ids["code"], LATER),
    "token made": lambda db, _: SongTokenStore(db).create("somechannel", now=NOON),
    "token revoked": lambda db, ids: SongTokenStore(db).revoke(ids["token"], now=LATER),
    "watch started": lambda db, _: start_watch(db, "another"),
    "watch ended": lambda db, _: WatchStore(db).stop("watched", now=LATER),
    "webhook added": lambda db, _: put_webhook(db, "https://another.example/"),
    "webhook changed": lambda db, _: put_webhook(db, "https://bot.example/", "another"),
    "webhook deleted": lambda db, ids: WebhookStore(db).delete("user:7", ids["hook"]),
    "blocked": lambda db, _: ListStore(db).block(BlacklistKind.CHANNEL, "another", reason="", now=NOON),
    "unblocked": lambda db, _: ListStore(db).unblock(BlacklistKind.CHANNEL, "blocked"),
    "plays corrected": lambda db, _: correct(db, 60),
    "correction undone": lambda db, ids: ChoiceStore(db).undo("somechannel", "7", ids["correction"]),
    "visibility": lambda db, _: ChoiceStore(db).choose(
        "somechannel", "7", Visibility.NOTHING, made_by="user:7", now=NOON
    ),
    "find kept": lambda db, _: keep_find(db, "sue"),
    "finds deleted": lambda db, _: FindStore(db).delete_all("vic"),
    "sessions ended": lambda db, _: SessionStore(db, session_keys()).end_all("7", LATER),
}


async def failing_at(failing: Failing, number: int, work: Awaitable[Any]) -> tuple[TwitchAudioError | None, bool]:
    """How `work` is refused when its n-th statement fails, and whether one had failed."""
    failing.at(number)
    refused: TwitchAudioError | None = None
    try:
        await work
    except TwitchAudioError as error:
        refused = error
    return refused, failing.nowhere()


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_stored_whole_or_refused_and_not_stored(stage: Stage, change: str) -> None:
    before = await stage.rows()
    for number in range(1, MOST_STATEMENTS):
        refused, failed = await failing_at(stage.failing, number, CHANGES[change](stage.database, stage.ids))
        after = await stage.rows()
        if refused is None:
            assert after != before, f"statement {number} failed, and success was said"
            assert not failed, "what was done although a statement failed"
            return
        assert refused.code is ProblemCode.BUSY
        assert after == before, f"statement {number} failed: a part is stored"
    raise AssertionError("it never passes")


async def test_a_channel_that_was_forgotten_in_part_is_forgotten_whole_by_the_next_call(
    database: Database,
) -> None:
    """Its broadcast's clip does not name it: only the answers on its time line lead there."""
    failing, store, now = Failing(database), SqlJobStore(database), NOON + timedelta(hours=1)
    traces = ChannelTraces(names=(UsedName(login="somechannel", since=NOON - timedelta(days=1)),))
    for number in range(1, MOST_STATEMENTS):
        for target in (ChannelTarget("somechannel"), ClipTarget("OnItsTimeLine-1")):
            await store_heard(store, target)
        refused, _ = await failing_at(failing, number, store.forget(traces, now=now))
        if refused is not None:
            await store.forget(traces, now=now)
        assert await database.rows(select(identifications.c.id)) == [], f"statement {number} had failed"
        if refused is None:
            return
    raise AssertionError("it never passes")


async def test_a_report_is_stored_or_refused(stage: Stage) -> None:
    """What counts against its limit may be counted all the same."""
    for number in range(1, MOST_STATEMENTS):
        report = ReportStore(stage.database).add(
            answered(), reason=Reason.OTHER, note="", who=("user:7", "user:7"), now=NOON
        )
        refused, _ = await failing_at(stage.failing, number, report)
        assert len((await stage.rows())["reports"]) == (refused is None)
        if refused is None:
            return
    raise AssertionError("it never passes")
