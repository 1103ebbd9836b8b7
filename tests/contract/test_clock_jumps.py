"""A clock that was an hour ahead when a server took a lease, and is right again: nothing waits for that hour."""

from datetime import timedelta

import pytest

from fingerprint.database import Database, to_us
from fingerprint.setting_formats import Secret
from server.access.identity.oauth import Tokens
from server.access.identity.session_keys import SessionKeys
from server.access.identity.session_store import SessionStore
from server.access.identity.twitch_user import TwitchUser
from server.channels.hot_store import HotStore
from server.channels.tables import hot_channels, watches
from server.channels.watch_store import WatchStore
from server.webhooks.messages import EventType, Message
from server.webhooks.store import WebhookStore
from server.webhooks.tables import webhook_deliveries
from tests.builders import NOON

AHEAD = to_us(NOON + timedelta(hours=1))
HELD = to_us(NOON + timedelta(seconds=30))


@pytest.mark.parametrize(("lease_us", "free"), [(AHEAD, True), (HELD, False), (to_us(NOON), True)])
async def test_p9_a_lease_of_a_clock_that_was_ahead_blocks_no_watch_message_or_channel(
    database: Database, lease_us: int, free: bool
) -> None:
    watching = WatchStore(database)
    await watching.start("somechannel", every_seconds=300, budget=9, made_by="key:a", most=9, now=NOON)
    await database.change(watches.update().values(lease_us=lease_us))
    assert (await watching.due(NOON, limit=5) == ["somechannel"]) is free
    taken = await watching.take("somechannel", owner="b", now=NOON, lease_seconds=60)
    assert (taken is not None) is free

    hooks = WebhookStore(database)
    hook, _ = await hooks.put("key:a", "https://bot.example/", events=[EventType.PLAY], channels=[], now=NOON)
    await hooks.add([(hook, Message(id="m1", body=b"{}"))], now=NOON)
    await database.change(webhook_deliveries.update().values(lease_us=lease_us))
    assert len(await hooks.take(now=NOON, limit=5, at_once=4, under_way={})) == free

    until = to_us(NOON + timedelta(minutes=5))
    row = {"channel": "somechannel", "until_us": until, "owner": "a", "lease_us": lease_us}
    await database.change(hot_channels.insert().values(**row))
    found = await HotStore(database).take(owner="b", limit=5, now=NOON, lease_seconds=30)
    assert (list(found) == ["somechannel"]) is free


async def test_p9_a_session_whose_refresh_was_claimed_by_a_clock_that_was_ahead_is_refreshed(
    database: Database,
) -> None:
    store = SessionStore(database, SessionKeys((Secret("a key of at least thirty-two characters"),)))
    user = TwitchUser(id="7", login="vic", scopes=frozenset())
    tokens = Tokens(access=Secret("a"), refresh=Secret("b"), seconds=60, scopes=frozenset())
    await store.create("s" * 64, user, tokens, now=NOON, due=NOON)
    claim = timedelta(seconds=10)
    for now, expected in ((NOON + timedelta(hours=1), True), (NOON, True), (NOON, False)):
        session = await store.get("s" * 64)
        assert session is not None
        assert await store.begin_refresh(session, now=now, until=now + claim) is expected
