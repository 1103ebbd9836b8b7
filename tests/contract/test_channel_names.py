"""What is stored about channels' names, and what follows a rename, on each database."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Table, insert, select

from fingerprint.database import Database, open_database
from fingerprint.ports import Broadcaster
from server import migrations
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.broadcasters import BroadcasterFollower, BroadcasterStore
from server.access.rules.list_store import ListFollower, ListStore
from server.access.rules.store import RulesStore
from server.access.tables import blacklisted_values, whitelisted_users
from server.channel_names import ChannelNames
from server.channels.song_tokens import SongTokenFollower, SongTokenStore
from server.channels.tables import song_tokens, watches
from server.channels.watch_store import WatchFollower, WatchStore
from tests.builders import NOON
from tests.fakes import FakeClock

FOLLOWERS = (ListFollower(), BroadcasterFollower(), WatchFollower(), SongTokenFollower())
OLD, NEW = "oldname", "newname"


@pytest.fixture
async def names(database: Database, clock: FakeClock) -> ChannelNames:
    return ChannelNames(database, None, clock=clock, followers=FOLLOWERS)


async def rows(database: Database, table: Table, *columns: str) -> set[tuple[Any, ...]]:
    wanted = [table.c[name] for name in columns]
    return {tuple(row) for row in await database.rows(select(*wanted))}


async def watch(database: Database, channel: str, **more: Any) -> None:
    terms: dict[str, Any] = {"every_seconds": 60, "budget": 9, "made_by": "operator", "most": 9} | more
    await WatchStore(database).start(channel, now=NOON, **terms)


async def test_what_is_set_up_for_a_login_follows_its_account(
    database: Database, names: ChannelNames, clock: FakeClock
) -> None:
    lists, rules = ListStore(database), RulesStore(database)
    for kind in (BlacklistKind.CHANNEL, BlacklistKind.USER, BlacklistKind.CLIP_BROADCASTER):
        await lists.block(kind, OLD, reason="", now=NOON)
    await lists.block(BlacklistKind.CHANNEL_PATTERN, OLD, reason="", now=NOON)
    await lists.block(BlacklistKind.CLIP, OLD, reason="", now=NOON)
    await lists.allow(OLD, note="", now=NOON)
    await BroadcasterStore(database).add("42", OLD, note="", now=NOON)
    await SongTokenStore(database).create(OLD, now=NOON)
    await watch(database, OLD)
    before = await rules.read()
    assert OLD in before.whitelist

    await names.learn(Broadcaster(id="42", login=OLD))
    bound = await rules.read(before)
    assert bound.version != before.version
    assert bound.whitelist == {"id:42"}
    await clock.advance(60)
    await names.learn(Broadcaster(id="42", login=NEW))
    assert await rows(database, blacklisted_values, "kind", "value", "user_id") == {
        ("channel", NEW, "42"),
        ("user", NEW, "42"),
        ("clip-broadcaster", NEW, "42"),
        ("channel-pattern", OLD, None),
        ("clip", OLD, None),
    }
    assert await rows(database, whitelisted_users, "value", "user_id") == {(NEW, "42")}
    assert [each.login for each in await BroadcasterStore(database).all()] == [NEW]
    assert await rows(database, song_tokens, "channel", "channel_id") == {(NEW, "42")}
    assert await rows(database, watches, "channel", "channel_id", "state") == {(NEW, "42", "running")}

    await clock.advance(60)
    await names.learn(Broadcaster(id="77", login=OLD))
    assert await rows(database, watches, "channel", "channel_id") == {(NEW, "42")}
    assert await rows(database, song_tokens, "channel", "channel_id") == {(NEW, "42")}


async def test_two_entries_that_turn_out_to_be_of_one_account_become_one(
    database: Database, names: ChannelNames, clock: FakeClock
) -> None:
    lists = ListStore(database)
    for login in (OLD, NEW):
        await lists.block(BlacklistKind.CHANNEL, login, reason="", now=NOON)
        await watch(database, login)
        await SongTokenStore(database).create(login, now=NOON)
    await names.learn(Broadcaster(id="42", login=OLD))
    await clock.advance(60)
    await names.learn(Broadcaster(id="42", login=NEW))
    assert await rows(database, blacklisted_values, "value", "user_id") == {(NEW, "42")}
    assert await rows(database, watches, "channel", "channel_id") == {(NEW, "42")}
    assert [token.channel for token in await SongTokenStore(database).all()] == [NEW, NEW]


async def test_an_entry_of_another_account_is_not_overwritten(
    database: Database, names: ChannelNames, clock: FakeClock
) -> None:
    lists = ListStore(database)
    await lists.block(BlacklistKind.CHANNEL, OLD, reason="", now=NOON)
    await names.learn(Broadcaster(id="42", login=OLD))
    await lists.block(BlacklistKind.CHANNEL, NEW, reason="", now=NOON)
    await names.learn(Broadcaster(id="77", login=NEW))
    await clock.advance(60)
    await names.learn(Broadcaster(id="42", login=NEW))
    assert await rows(database, blacklisted_values, "value", "user_id") == {(OLD, "42"), (NEW, "77")}


async def test_a_login_leads_to_the_channel_that_has_it_and_to_all_its_logins(
    names: ChannelNames, clock: FakeClock
) -> None:
    assert await names.current(OLD) is None
    for number, login in (("42", OLD), ("42", NEW), ("77", OLD), ("42", "third")):
        await names.learn(Broadcaster(id=number, login=login))
        await clock.advance(60)
    assert await names.current_login(NEW) == "third"
    assert await names.current_login(OLD) == OLD
    mine, heirs = await names.spans("third"), await names.spans(OLD)
    assert [(span.login, span.channel_id) for span in mine] == [("third", "42"), (NEW, "42"), (OLD, "42")]
    assert [(span.login, span.channel_id) for span in heirs] == [(OLD, "77")]
    assert mine[-1].until == heirs[0].since == NOON + timedelta(seconds=120)
    assert await names.had(OLD, "42")
    assert not await names.had("third", "77")
    assert await names.owns("42", "an older login", "third")
    assert not await names.owns("77", OLD, "third")


async def test_rows_from_before_ids_are_kept(sql_address: str) -> None:
    async with open_database(sql_address) as database:
        await migrations.upgrade(database, to="0016")
        row = {"kind": "channel", "value": OLD, "note": "spam", "created_us": 1}
        await database.transact(lambda connection: connection.execute(insert(blacklisted_values), row))
        await migrations.upgrade(database)
        assert await rows(database, blacklisted_values, "value", "note", "user_id") == {(OLD, "spam", None)}
