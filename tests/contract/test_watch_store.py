"""What the store of watches promises, on each database: one server at a time, and nothing is lost."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fingerprint.database import Database
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Broadcaster
from server.channels.watch import Next, Watch, WatchState
from server.channels.watch_store import WatchFollower, WatchStore
from tests.builders import NOON


@pytest.fixture
def store(database: Database) -> WatchStore:
    return WatchStore(database)


def at(seconds: float) -> Any:
    return NOON + timedelta(seconds=seconds)


async def start(store: WatchStore, channel: str = "somechannel", *, after: float = 0, **more: Any) -> Watch:
    terms: dict[str, Any] = {"every_seconds": 60, "budget": 10, "made_by": "operator", "most": 5} | more
    watch, _ = await store.start(channel, now=at(after), **terms)
    return watch


async def take(store: WatchStore, owner: str = "a", *, after: float = 0) -> Watch | None:
    return await store.take("somechannel", owner=owner, now=at(after), lease_seconds=60)


async def test_of_many_servers_one_takes_a_watch_that_is_due(store: WatchStore) -> None:
    assert await store.due(NOON, limit=5) == []
    await start(store)
    assert await store.due(NOON, limit=5) == ["somechannel"]
    taken = await asyncio.gather(*(take(store, f"server{n}") for n in range(6)))
    (mine,) = [watch for watch in taken if watch is not None]
    assert (mine.used, mine.last_at) == (1, NOON)
    assert await store.due(NOON, limit=5) == []
    assert await store.put_back(mine, Next(wait_seconds=60, quiet=2, offline=1), now=at(5))
    assert await take(store, after=59) is None
    again = await take(store, after=60)
    assert again is not None
    assert (again.used, again.quiet, again.offline) == (2, 2, 1)


async def test_a_dead_servers_watch_is_taken_over_and_its_late_word_changes_nothing(store: WatchStore) -> None:
    await start(store)
    late = await take(store, "a")
    assert late is not None
    assert await take(store, "b", after=59) is None
    other = await take(store, "b", after=60)
    assert other is not None
    assert not await store.put_back(late, Next(reason="stream-ended"), now=at(61))
    assert not await store.release(late, now=at(61))
    assert await store.put_back(other, Next(wait_seconds=30), now=at(61))
    watch = await store.get("somechannel")
    assert watch is not None
    assert (watch.state, watch.next_at) == (WatchState.RUNNING, at(90))


async def test_a_server_that_stops_gives_its_try_back(store: WatchStore) -> None:
    await start(store)
    mine = await take(store)
    assert mine is not None
    assert await store.release(mine, now=at(1))
    other = await take(store, "b", after=1)
    assert other is not None
    assert other.used == 1


async def test_a_try_that_cost_nothing_is_not_counted(store: WatchStore) -> None:
    await start(store)
    mine = await take(store)
    assert mine is not None
    await store.put_back(mine, Next(wait_seconds=1, counted=False), now=NOON)
    watch = await store.get("somechannel")
    assert watch is not None
    assert watch.used == 0


async def test_stopping_wins_over_a_try_that_is_under_way(store: WatchStore) -> None:
    await start(store)
    mine = await take(store)
    assert mine is not None
    assert await store.stop("somechannel", now=at(1))
    assert not await store.stop("somechannel", now=at(1))
    assert not await store.put_back(mine, Next(wait_seconds=1), now=at(2))
    watch = await store.get("somechannel")
    assert watch is not None
    assert (watch.state, watch.reason) == (WatchState.ENDED, "stopped")
    assert await store.due(at(1000), limit=5) == []
    # Started anew, it begins from nothing, and the late try still changes nothing.
    fresh = await start(store, after=3)
    assert (fresh.used, fresh.state, fresh.reason) == (0, WatchState.RUNNING, None)
    assert not await store.put_back(mine, Next(reason="stream-ended"), now=at(4))


async def test_a_running_watch_gets_new_terms_and_keeps_what_it_used(store: WatchStore) -> None:
    await start(store)
    mine = await take(store)
    assert mine is not None
    changed = await start(store, every_seconds=15, budget=3, after=1)
    assert (changed.every_seconds, changed.budget, changed.used) == (15, 3, 1)
    assert await store.put_back(replace(mine, every_seconds=15), Next(wait_seconds=15), now=at(2))


async def test_the_number_of_watches_is_bounded(store: WatchStore) -> None:
    for number in range(5):
        await start(store, f"channel{number}")
    with pytest.raises(TwitchAudioError):
        await start(store, "one_more")
    await start(store, "channel1")
    await store.stop("channel1", now=NOON)
    await start(store, "one_more")
    assert [watch.state for watch in await store.newest()] == [WatchState.RUNNING] * 5 + [WatchState.ENDED]
    assert await store.get("unknown") is None


async def test_several_who_start_a_watch_at_once_start_one(store: WatchStore) -> None:
    started = await asyncio.gather(
        *(
            store.start("somechannel", every_seconds=60, budget=5, made_by="operator", most=5, now=NOON)
            for _ in range(5)
        )
    )
    assert sum(first for _, first in started) == 1
    assert len(await store.newest()) == 1


async def test_a_watch_that_was_stopped_goes_on_within_a_minute(store: WatchStore) -> None:
    await start(store)
    taken = await store.take("somechannel", owner="a", now=at(1), lease_seconds=60)
    assert taken is not None
    assert await store.stop("somechannel", now=at(2))
    with pytest.raises(TwitchAudioError, match="minute"):
        await store.undo_stop("somechannel", most=5, now=at(63))
    await start(store, "other")
    with pytest.raises(TwitchAudioError, match="which is the most"):
        await store.undo_stop("somechannel", most=1, now=at(3))
    await store.undo_stop("somechannel", most=5, now=at(3))
    watch = await store.get("somechannel")
    assert watch is not None
    assert (watch.state, watch.reason, watch.used) == (WatchState.RUNNING, None, 1)
    # The server that worked on it before is too late.
    assert not await store.put_back(taken, Next(wait_seconds=60.0), now=at(4))
    assert await store.due(at(4), limit=5) == ["other", "somechannel"]


async def test_the_watch_of_an_owner_is_counted_by_the_day(store: WatchStore) -> None:
    terms: dict[str, Any] = {"made_by": "owner:42", "channel_id": "42"}
    assert (await start(store, **terms)).channel_id == "42"
    for after, used in ((0, 1), (60, 2), (86_400, 1)):
        watch = await take(store, after=after)
        assert watch is not None
        assert watch.used == used
        assert await store.put_back(watch, Next(wait_seconds=60), now=at(after))
    # Stopped and started again on the same day, it has what was left; on another, all.
    assert not await store.stop("somechannel", now=at(86_400), channel_id="43")
    assert await store.stop("somechannel", now=at(86_400), channel_id="42")
    assert (await start(store, after=86_460, **terms)).used == 1
    assert await store.stop("somechannel", now=at(86_460), channel_id="42")
    assert (await start(store, after=3 * 86_400, **terms)).used == 0


async def test_an_owner_leaves_the_watch_of_somebody_else_as_it_is(store: WatchStore) -> None:
    await start(store)
    terms: dict[str, Any] = {"every_seconds": 90, "budget": 3, "most": 5, "channel_id": "42", "now": NOON}
    watch, started = await store.start("somechannel", made_by="owner:42", **terms)
    assert (watch.made_by, watch.every_seconds, started) == ("operator", 60, False)
    # The owner of the login before, whose watch has not followed it yet.
    await start(store, "renamed", made_by="user:7", channel_id="41")
    with pytest.raises(TwitchAudioError, match="about to follow"):
        await store.start("renamed", made_by="owner:42", **terms)


async def test_owners_watch_at_most_half_of_all_channels(store: WatchStore) -> None:
    for number in range(3):
        await start(store, f"c{number}", made_by=f"owner:{number}", channel_id=str(number))
    with pytest.raises(TwitchAudioError, match="as many channels as it can"):
        await start(store, "c3", made_by="owner:3", channel_id="3")
    await start(store, "c4")
    await start(store, "c5")
    with pytest.raises(TwitchAudioError, match="which is the most"):
        await start(store, "c6")
    assert await store.get("c3") is None


async def test_an_owners_watch_follows_a_rename_with_its_budget(store: WatchStore, database: Database) -> None:
    await start(store, made_by="owner:42", channel_id="42")
    renamed = Broadcaster(id="42", login="renamed")
    await database.transact(lambda connection: WatchFollower().follow(connection, renamed))
    watch = await store.get("renamed")
    assert watch is not None
    assert (watch.owner_id, watch.channel_id, watch.budget, watch.state) == ("42", "42", 10, WatchState.RUNNING)
    assert await store.get("somechannel") is None
    assert await store.due(NOON, limit=5) == ["renamed"]
