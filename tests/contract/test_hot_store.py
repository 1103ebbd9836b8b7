"""What the store of hot channels promises, on each database."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from fingerprint.database import Database
from server.channels.hot_store import HotStore
from server.channels.tables import channel_askers
from tests.builders import NOON


@pytest.fixture
def store(database: Database) -> HotStore:
    return HotStore(database)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def count(store: HotStore, *askers: str, after: float = 0, channel: str = "somechannel") -> list[str]:
    return list(await store.count({channel: askers}, needed=3, most=2, now=at(after)))


async def take(store: HotStore, owner: str, *, after: float = 0, limit: int = 5) -> list[str]:
    return list(await store.take(owner=owner, limit=limit, now=at(after), lease_seconds=30))


async def test_different_askers_of_a_minute_on_any_server_count(store: HotStore) -> None:
    assert await count(store, "a", "a", "b") == []
    assert await count(store, "a", "b", after=30) == [], "each counts once"
    assert await count(store, "c", after=61, channel="other") == []
    assert await count(store, "c", after=89) == ["somechannel"], "a and b asked within a minute"
    assert await take(store, "one", after=89) == ["somechannel"]


async def test_an_asker_of_more_than_a_minute_ago_does_not_count_and_is_not_kept(
    store: HotStore, database: Database
) -> None:
    assert await count(store, "a", "b") == []
    assert await count(store, "c", after=60) == []
    rows = await database.rows(select(channel_askers))
    assert len(rows) == 1
    assert rows[0].asker != "c", "only a hash is stored"


async def test_of_many_servers_one_listens_and_another_goes_on_when_it_is_gone(store: HotStore) -> None:
    await count(store, "a", "b", "c")
    taken = await asyncio.gather(*(take(store, f"server{n}") for n in range(5)))
    assert sorted(taken) == [[], [], [], [], ["somechannel"]]
    (owner,) = [f"server{n}" for n, channels in enumerate(taken) if channels]
    assert await store.renew("somechannel", owner=owner, now=at(20), lease_seconds=30)
    assert await take(store, "late", after=49) == []
    assert await take(store, "late", after=51) == ["somechannel"], "its lease ran out"
    assert not await store.renew("somechannel", owner=owner, now=at(52), lease_seconds=30)
    await store.release("somechannel", owner="late")
    assert await take(store, "third", after=53) == ["somechannel"]


async def test_a_channel_is_hot_for_two_minutes_after_enough_asked(store: HotStore) -> None:
    await count(store, "a", "b", "c")
    await take(store, "one")
    assert await count(store, "d", "e", "f", after=100) == ["somechannel"]
    assert await store.renew("somechannel", owner="one", now=at(219), lease_seconds=30)
    assert not await store.renew("somechannel", owner="one", now=at(221), lease_seconds=30)
    assert await take(store, "two", after=300) == []


async def test_there_is_a_bound_and_what_ended_makes_room(store: HotStore) -> None:
    for channel in ("first", "second"):
        assert await count(store, "a", "b", "c", channel=channel) == [channel]
    assert await count(store, "a", "b", "c", channel="third") == []
    assert set(await take(store, "one", limit=5)) == {"first", "second"}
    await store.end("first", owner="another")
    assert await count(store, "a", channel="third") == []
    await store.end("first", owner="one")
    assert await count(store, "a", channel="third") == ["third"]
    assert await count(store, "d", channel="first") == [], "it has to become hot again"
