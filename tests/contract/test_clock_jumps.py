"""A clock that was an hour ahead when something was noted, and is right again: nothing waits for that hour."""

from datetime import timedelta

import pytest

from fingerprint.database import Database, to_us
from fingerprint.domain.identification import Status
from fingerprint.domain.problems import Problem, ProblemCode
from fingerprint.ports import Broadcaster
from fingerprint.setting_formats import Secret
from server.access.identity.oauth import Tokens
from server.access.identity.session_keys import SessionKeys
from server.access.identity.session_store import SessionStore
from server.access.identity.twitch_user import TwitchUser
from server.channel_names import ChannelNames
from server.channels.hot_store import LISTENED, HotStore
from server.channels.tables import hot_channels, unknowns, watches
from server.channels.unknown_store import SoundPrint, UnknownStore
from server.channels.watch import TROUBLE_SECONDS, after
from server.channels.watch_store import WatchStore
from server.webhooks.messages import EventType, Message
from server.webhooks.store import WAITS, WebhookStore
from server.webhooks.tables import webhook_deliveries
from tests.builders import NOON, answered
from tests.fakes import FakeClock

HOUR = timedelta(hours=1)
AHEAD = to_us(NOON + HOUR)
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

    until = to_us(NOON + LISTENED)
    row = {"channel": "somechannel", "until_us": until, "owner": "a", "lease_us": lease_us}
    await database.change(hot_channels.insert().values(**row))
    found = await HotStore(database).take(owner="b", limit=5, now=NOON, lease_seconds=30)
    assert (list(found) == ["somechannel"]) is free

    unknown, nothing = UnknownStore(database), answered(status=Status.NO_MATCH, song=None, songs=())
    piece = SoundPrint(start=0.0, fingerprint=b"peaks")
    await unknown.add(nothing, [piece], captured_at=NOON, seconds=6.0, searched={}, now=NOON)
    await database.change(unknowns.update().values(lease_us=lease_us))
    assert (await unknown.take(nothing.id, {"mine": 1}, now=NOON) is not None) is free


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


async def test_p9_a_watch_that_was_tried_by_a_clock_that_was_ahead_is_tried_at_once(database: Database) -> None:
    store = WatchStore(database)
    await store.start("somechannel", every_seconds=300, budget=9, made_by="key:a", most=9, now=NOON - HOUR)
    busy = Problem(code=ProblemCode.BUSY, detail="", retry_after_seconds=1_000.0)
    for now, waits in ((NOON + HOUR, True), (NOON, False), (NOON + HOUR, False)):
        # What was put off for long, but tried by a clock that is right, goes on waiting.
        assert await store.due(now, limit=5) == ["somechannel"]
        watch = await store.take("somechannel", owner="a", now=now, lease_seconds=60)
        assert watch is not None
        assert await store.put_back(watch, after(watch, busy if waits else answered()), now=now)
        assert await store.due(now, limit=5) == []
        assert await store.due(now + timedelta(seconds=299), limit=5) == []
    assert TROUBLE_SECONDS < 299


async def test_p9_a_try_that_a_clock_began_that_was_ahead_counts_from_now(database: Database) -> None:
    store = WatchStore(database)
    await store.start("somechannel", every_seconds=300, budget=9, made_by="key:a", most=9, now=NOON)
    watch = await store.take("somechannel", owner="a", now=NOON + HOUR, lease_seconds=60)
    assert watch is not None
    assert await store.put_back(watch, after(watch, answered()), now=NOON)
    stored = await store.get("somechannel")
    assert stored is not None
    assert stored.next_at == NOON + timedelta(seconds=300)


async def test_p9_a_watch_that_a_clock_started_that_was_ahead_is_tried_at_once(database: Database) -> None:
    store = WatchStore(database)
    await store.start("somechannel", every_seconds=300, budget=9, made_by="key:a", most=9, now=NOON + HOUR)
    assert await store.due(NOON, limit=5) == ["somechannel"]


async def test_p9_a_message_that_a_clock_put_off_that_was_ahead_is_sent_at_once(database: Database) -> None:
    hooks = WebhookStore(database)
    hook, _ = await hooks.put("key:a", "https://bot.example/", events=[EventType.PLAY], channels=[], now=NOON)
    await hooks.add([(hook, Message(id="m1", body=b"{}"))], now=NOON + HOUR)
    for attempt, now in enumerate((NOON, NOON + HOUR, NOON, NOON + timedelta(seconds=WAITS[2]))):
        (delivery,) = await hooks.take(now=now, limit=5, at_once=4, under_way={})
        assert delivery.attempts == attempt + 1
        await hooks.failed(delivery, "It does not answer.", now=now)
        assert await hooks.take(now=now, limit=5, at_once=4, under_way={}) == []
        wait = timedelta(seconds=WAITS[attempt] - 1)
        assert await hooks.take(now=now + wait, limit=5, at_once=4, under_way={}) == []


async def test_p9_a_channel_is_not_listened_to_for_the_hour_that_a_clock_was_ahead(database: Database) -> None:
    store, asked = HotStore(database), {"somechannel": ["a", "b"]}
    assert await store.count(asked, needed=2, most=5, now=NOON + HOUR) == ["somechannel"]
    assert await store.take(owner="a", limit=5, now=NOON, lease_seconds=30) == []
    assert await store.count({"somechannel": ["c"]}, needed=2, most=5, now=NOON) == [], "they asked in an hour"
    assert await store.count({"somechannel": ["b"]}, needed=2, most=5, now=NOON) == ["somechannel"]
    assert await store.take(owner="a", limit=5, now=NOON, lease_seconds=30) == ["somechannel"]
    assert await store.renew("somechannel", owner="a", now=NOON + LISTENED / 2, lease_seconds=30)


class Directory:
    """Who has which login, as Twitch says; counts how often it is asked."""

    def __init__(self, **accounts: str) -> None:
        self.accounts = accounts
        self.asked = 0

    async def by_login(self, login: str) -> Broadcaster | None:
        self.asked += 1
        found = self.accounts.get(login)
        return None if found is None else Broadcaster(id=found, login=login)

    async def by_id(self, channel_id: str) -> Broadcaster | None:
        found = [login for login, number in self.accounts.items() if number == channel_id]
        return Broadcaster(id=channel_id, login=found[0]) if found else None


async def test_p9_a_login_that_was_seen_by_a_clock_that_was_ahead_is_asked_for_again(database: Database) -> None:
    clock, twitch = FakeClock(), Directory(oldname="42")
    clock.jump(3_600)
    ahead = ChannelNames(database, twitch, clock=clock)
    assert await ahead.find("oldname") == Broadcaster(id="42", login="oldname")
    clock.jump(-3_600)
    twitch.accounts = {"newname": "42", "oldname": "77"}
    names = ChannelNames(database, twitch, clock=clock)
    assert await names.find("oldname") == Broadcaster(id="77", login="oldname")
    assert twitch.asked == 2
    # What it says now is the newest that is known, also of the account that had the login.
    assert await ChannelNames(database, None, clock=clock).current("oldname") == Broadcaster(
        id="77", login="oldname"
    )
    spans = await names.spans_of("42")
    assert [(span.login, span.since <= NOON) for span in spans] == [("newname", True), ("oldname", True)]
    assert await names.find("oldname") == Broadcaster(id="77", login="oldname")
    assert twitch.asked == 2, "it was asked a moment ago"
