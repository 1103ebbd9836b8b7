"""What the notebook of unknowns promises, on each database: one server at a time, bounded, and where it was."""

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from fingerprint.database import Database
from fingerprint.domain.channel_traces import ChannelTraces, UsedName
from fingerprint.domain.identification import Identification, IdentificationId, Kind, Status
from server.channels import unknown_store
from server.channels.tables import unknowns
from server.channels.unknown_store import SoundPrint, Unknown, UnknownStore, of_channel
from tests.builders import NOON, answered

PIECE = SoundPrint(start=0.0, fingerprint=b"\x00\xffpeaks")


@pytest.fixture
def store(database: Database) -> UnknownStore:
    return UnknownStore(database)


def unanswered(name: str, kind: Kind = Kind.STREAM, target: str = "somechannel", **more: Any) -> Identification:
    nothing: dict[str, Any] = {"status": Status.NO_MATCH, "song": None, "songs": (), "score": None}
    return dataclasses.replace(answered(), id=IdentificationId(name), kind=kind, target=target, **(nothing | more))


async def add(store: UnknownStore, answer: Identification, *, after: float = 0.0, **searched: int) -> None:
    now = NOON + timedelta(seconds=after)
    await store.add(answer, [PIECE], captured_at=now, seconds=6.0, searched=searched, now=now)


async def take(store: UnknownStore, name: str, *, after: float = 0.0, **generations: int) -> Unknown | None:
    return await store.take(name, generations, now=NOON + timedelta(seconds=after))


async def test_one_server_searches_for_each_when_a_catalog_has_grown(store: UnknownStore) -> None:
    await add(store, unanswered("a"), mine=3)
    await add(store, unanswered("b"), after=1, mine=3)
    assert await store.due({"mine": 3}) == []
    assert await store.due({"mine": 4}) == ["b", "a"], "the most recent first"
    taken = await asyncio.gather(*(take(store, "a", mine=4) for _ in range(4)))
    (unknown,) = [each for each in taken if each is not None]
    assert (unknown.pieces, unknown.captured_at, unknown.target) == ([PIECE], NOON, "somechannel")
    assert await take(store, "a", after=59, mine=4) is None
    assert await take(store, "a", after=61, mine=4) is not None, "that server was killed"
    await store.searched(unknown, {"mine": 4})
    assert await store.due({"mine": 4}) == ["b"]
    assert await store.due({"another": 1}) == ["b", "a"], "of another server, whose catalog is another one"
    found = await take(store, "a", another=1)
    assert found is not None
    await store.searched(found, {"another": 1})
    assert await store.due({"mine": 4, "another": 1}) == ["b"]
    await store.named(found, "The Builders - Night Drive", now=NOON + timedelta(seconds=70))
    assert await store.due({"mine": 9}) == ["b"]
    assert await store.count_named(since=NOON) == 1
    assert await store.count_named(since=NOON + timedelta(seconds=71)) == 0


async def test_the_most_wanted_come_first_and_old_ones_go(
    store: UnknownStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate("abc"):
        await add(store, unanswered(name), after=number)
    await store.count_asked({"b": 4, "c": 1, "none": 9})
    assert [(each.id, each.times) for each in await store.most_asked()] == [("b", 5), ("c", 2), ("a", 1)]
    await store.delete_old(before=NOON + timedelta(seconds=1))
    assert [each.id for each in await store.most_asked()] == ["b", "c"]
    await store.delete(["b"])
    monkeypatch.setattr(unknown_store, "MAX_ROWS", 2)
    await add(store, unanswered("d"), after=5)
    await add(store, unanswered("e"), after=6)
    assert [each.id for each in await store.most_asked()] == ["e", "d"]
    monkeypatch.setattr(unknown_store, "MAX_BYTES", 60)
    await add(store, unanswered("f"), after=7)
    row = await database.first(select(func.count()).select_from(unknowns))
    assert row is not None
    assert row[0] == 2


async def test_those_of_a_channel_can_be_told(store: UnknownStore, database: Database) -> None:
    await add(store, unanswered("live"))
    await add(store, unanswered("renamed", target="oldname", channel_id="71"))
    await add(store, unanswered("clip", Kind.CLIP, "ItsClip"))
    await add(store, unanswered("named", Kind.CLIP, "NamedClip", channel="somechannel"))
    await add(store, unanswered("video", Kind.VIDEO, "2210"))
    await add(store, unanswered("other", target="another"))
    await add(store, unanswered("heir", target="somechannel", channel_id="99"))
    traces = ChannelTraces(
        channel_id="71",
        names=(UsedName(login="somechannel", since=NOON),),
        slugs=frozenset({"ItsClip"}),
        videos=frozenset({"2210"}),
    )
    rows = await database.rows(select(unknowns.c.id).where(of_channel(traces, ["somechannel"])))
    assert {row.id for row in rows} == {"live", "renamed", "clip", "named", "video"}
