"""Forgetting a channel, over HTTP, on the website and on the command line."""

import asyncio
import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import func, select

from fingerprint.catalog.learning import CaptureOrigin, SongCapture
from fingerprint.clock import SystemClock
from fingerprint.database import Database, heard_spans, identifications
from fingerprint.domain.identification import Identification, IdentificationId, Kind, Status
from fingerprint.domain.targets import ClipTarget, Target, VideoTarget
from fingerprint.job_ports import Claimed
from fingerprint.jobs.sql import SqlJobStore
from fingerprint.ports import Broadcaster
from server.audit.changes import ChangeLog
from server.channel_names import ChannelNames
from server.channels.forget import ChannelForgetter
from server.channels.song_tokens import SongTokenStore
from server.channels.tables import song_tokens, unknowns, watches
from server.channels.unknown_store import UnknownStore
from server.channels.watch_store import WatchStore
from server.channels.watcher import WatcherLimits
from server.cli import main
from server.learning.store import LearnedStore, NewCapture
from server.learning.tables import learned_captures, learned_songs
from tests.api_client import CLIP, ask, assert_problem, open_api
from tests.builders import answered, song
from tests.fakes import FakePipeline


async def stored(database: Database, target: Target, **changes: Any) -> Identification:
    """An answer that some server has stored."""
    store, now = SqlJobStore(database), datetime.now(UTC)
    work = await store.claim(target, owner="a", now=now, lease_seconds=5)
    assert isinstance(work, Claimed)
    begun = work.identification
    answer = dataclasses.replace(
        answered(), id=begun.id, kind=begun.kind, target=begun.target, created_at=begun.created_at,
        at_seconds=begun.at_seconds, **changes,
    )  # fmt: skip
    assert await store.finish(work.lease, answer)
    return answer


@pytest.fixture
def options() -> dict[str, Any]:
    """The server's watcher does not ask meanwhile."""
    return {"watcher_limits": WatcherLimits(at_once=0)}


NOTHING_LEFT = (song_tokens, watches, heard_spans, unknowns, learned_captures, learned_songs)


async def learned(database: Database, answer: IdentificationId) -> None:
    """Something was learned from an answer about a VOD of `somechannel`."""
    capture = SongCapture(fingerprint=b"peaks", offset_seconds=1.0, origin=CaptureOrigin(channel="somechannel"))
    new = NewCapture(
        identification_id=answer,
        number=0,
        kind=Kind.VIDEO,
        target="2210",
        song=song(),
        capture=capture,
        seconds=6.0,
    )
    await LearnedStore(database, max_bytes=1 << 20).add(new, now=datetime.now(UTC))


async def count(database: Database, table: Any) -> int:
    row = await database.first(select(func.count()).select_from(table))
    assert row is not None
    return int(row[0])


@pytest.fixture
def configured(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATABASE_URL", address)
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))


@pytest.mark.usefixtures("configured")
async def test_on_the_command_line_everything_about_a_channel_is_deleted_and_kept_away(
    api: ClientSession, database: Database, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await ask(api, wait=20)).status == 200
    await stored(database, ClipTarget(CLIP["clip"]), channel="somechannel")
    await stored(database, VideoTarget("2210", 30.0), channel="somechannel")
    kept = await stored(database, ClipTarget("AnothersClip-1"), channel="another")
    await SongTokenStore(database).create("somechannel", now=datetime.now(UTC))
    unknown = await stored(database, VideoTarget("2210", 60.0), channel="somechannel", status=Status.NO_MATCH)
    await UnknownStore(database).add(
        unknown, [], captured_at=None, seconds=6.0, searched={}, now=datetime.now(UTC)
    )
    await learned(database, unknown.id)
    await WatchStore(database).start(
        "somechannel", every_seconds=600, budget=5, made_by="operator", most=5, now=datetime.now(UTC)
    )
    command = ["admin", "channels", "forget", "https://www.twitch.tv/SomeChannel"]
    assert await asyncio.to_thread(main, command) == 0
    assert "somechannel is forgotten. Answers deleted: 4." in capsys.readouterr().out
    rows = await database.rows(select(identifications.c.id))
    assert [row.id for row in rows] == [kept.id]
    assert [await count(database, table) for table in NOTHING_LEFT] == [0] * 6
    songs = await (await api.get("/api/v1/channels/somechannel/songs")).json()
    assert songs["plays"] == []
    assert (await ask(api, wait=20)).status == 200, "it may be asked about again"
    command = ["admin", "blacklist", "add", "forgotten-channel", "somechannel"]
    assert await asyncio.to_thread(main, command) == 0
    assert "Answers deleted: 1." in capsys.readouterr().out
    async with open_api(FakePipeline(SystemClock()), tmp_path / "b", database_url=address) as other:
        await assert_problem(await ask(other, wait=20), "blacklisted", 403)


async def test_it_goes_by_the_channels_number_whatever_its_login_was(database: Database) -> None:
    clock = SystemClock()
    names = ChannelNames(database, None, clock=clock)
    now = clock.now()
    await names.learn(Broadcaster(id="71", login="oldname"))
    await names.learn(Broadcaster(id="71", login="newname"))
    await names.learn(Broadcaster(id="72", login="oldname"))
    mine = await stored(database, VideoTarget("1", 1.0), channel="oldname", channel_id="71")
    others = await stored(database, VideoTarget("2", 1.0), channel="oldname", channel_id="72")
    assert mine.created_at >= now
    async with ChannelForgetter(database, SqlJobStore(database), names, clock=clock) as forgetter:
        assert await forgetter.forget("id:71", changes=ChangeLog()) == 1
        await stored(database, VideoTarget("1", 1.0), channel="newname")
        assert await forgetter.forget("newname", changes=ChangeLog(), keep_away=True) == 1
        await stored(database, VideoTarget("1", 1.0), channel="newname")
        await forgetter.sweep()
    rows = await database.rows(select(identifications.c.id))
    assert [row.id for row in rows] == [others.id]
