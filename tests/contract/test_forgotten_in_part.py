"""A channel whose forgetting failed in the middle: the next call forgets the rest."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from fingerprint.database import Database, heard_spans, identifications, open_database, to_us
from fingerprint.domain.channel_traces import ChannelTraces, UsedName
from fingerprint.domain.identification import Kind, Status
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, VideoTarget
from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.jobs.dynamodb.store import DynamoDbJobStore
from fingerprint.jobs.dynamodb.tables import TableNames
from fingerprint.jobs.sql import SqlJobStore
from fingerprint.ports import Broadcaster
from fingerprint.upserts import upsert
from server import migrations
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from server.access.tables import clip_owners
from server.audit.changes import ChangeLog
from server.audit.tables import log_entries
from server.channel_names import ChannelNames
from server.channels.forget import ChannelForgetter
from server.channels.hot_store import HotStore
from server.channels.reports import Reason, ReportStore
from server.channels.song_tokens import SongTokenStore
from server.channels.tables import channel_askers, hot_channels, reports, song_tokens, unknowns, watches
from server.channels.unknown_store import UnknownStore
from server.channels.watch_store import WatchStore
from server.songs.finds import FindStore
from server.songs.tables import finds
from tests.builders import NOON
from tests.contract.stored_answers import store_heard
from tests.dynamodb_proxy import Break, standing_before
from tests.emulators import Emulator, create_lasting_tables
from tests.failing_sql import Failing
from tests.fakes import FakeClock

MOST_CALLS = 40
MOST_STATEMENTS = 100


async def test_a_channel_that_was_forgotten_in_part_is_forgotten_by_the_next_call(moto: Emulator) -> None:
    """Its broadcast's clip does not name it: only the channel's own answers lead there."""
    names = TableNames(*moto.new_names())
    traces = ChannelTraces(names=(UsedName(login="somechannel", since=NOON - timedelta(days=1)),))
    async with standing_before(moto.endpoint) as proxy, open_client(proxy.endpoint) as client:
        await create_lasting_tables(client, names)
        store = DynamoDbJobStore(client, names, clock=FakeClock(), call_seconds=60.0)
        for number in range(1, MOST_CALLS):
            for target in (ChannelTarget("somechannel"), ClipTarget("OnItsTimeLine-1")):
                await store_heard(store, target)
            calls = 0

            def fail(_operation: str, _parameters: object, number: int = number) -> Break | None:
                nonlocal calls
                calls += 1
                return Break.DENY if calls == number else None

            proxy.rule = fail
            refused = False
            try:
                await store.forget(traces, now=NOON + timedelta(hours=1))
            except TwitchAudioError:
                refused = True
            proxy.mend()
            if refused:
                await store.forget(traces, now=NOON + timedelta(hours=1))
            for table in (names.streams, names.clips):
                left = [item["Id"] for item in (await client.scan(TableName=table))["Items"]]
                assert left == [], f"call {number} had failed"
            if not refused:
                return
    raise AssertionError("it never passes")


async def everything_about(database: Database, names: ChannelNames, *, reporter: str) -> None:
    """Something about the channel in each table that has something about one."""
    store = SqlJobStore(database)
    await names.learn(Broadcaster(id="71", login="somechannel"))
    for target in (ChannelTarget("somechannel"), ClipTarget("OnItsTimeLine-1"), VideoTarget("2210", 5.0)):
        await store_heard(store, target)
    answer = await store.answer(ChannelTarget("somechannel"))
    assert answer is not None
    for kind, slug in ((Kind.STREAM, "somechannel"), (Kind.CLIP, "OnItsTimeLine-1")):
        about = dataclasses.replace(answer, kind=kind, target=slug)
        await ReportStore(database).add(about, reason=Reason.OTHER, note="", who=(reporter, reporter), now=NOON)
    nothing = dataclasses.replace(answer, status=Status.NO_MATCH, song=None, songs=())
    await UnknownStore(database).add(nothing, [], captured_at=NOON, seconds=6.0, searched={}, now=NOON)
    await SongTokenStore(database).create("somechannel", now=NOON)
    await WatchStore(database).start(
        "somechannel", every_seconds=600, budget=5, made_by="operator", most=5, now=NOON
    )
    await FindStore(database).keep("sue", answer, now=NOON)
    await HotStore(database).count({"somechannel": ["a", "b"]}, needed=2, most=5, now=NOON)
    owners = {"slug": "OnItsTimeLine-1", "broadcaster_id": "71", "login": "somechannel", "seen_us": to_us(NOON)}
    await database.transact(lambda connection: upsert(connection, clip_owners, owners))


ABOUT = (
    identifications, heard_spans, reports, unknowns, song_tokens, watches, finds, hot_channels, channel_askers,
    clip_owners,
)  # fmt: skip


@pytest.mark.parametrize("each", [9, pytest.param(1, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("effect", [False, True], ids=["fails", "takes effect without an answer"])
async def test_wherever_forgetting_a_channel_fails_the_next_call_forgets_it_whole_and_it_is_in_the_log(
    tmp_path: Path, effect: bool, each: int
) -> None:
    async with open_database(f"sqlite:///{tmp_path / 'x.sqlite3'}") as database:
        await migrations.upgrade(database)
        clock, failing = FakeClock(NOON + timedelta(hours=1)), Failing(database, takes_effect=effect)
        names = ChannelNames(database, None, clock=clock)
        async with ChannelForgetter(database, SqlJobStore(database), names, clock=clock) as forgetter:
            for number in range(1, MOST_STATEMENTS, each):
                await everything_about(database, names, reporter=f"user:{number}")
                assert all([await database.rows(select(table)) for table in ABOUT])
                await database.change(delete(log_entries))
                failing.at(number)
                refused: TwitchAudioError | None = None
                try:
                    await forgetter.forget("somechannel", changes=ChangeLog())
                except TwitchAudioError as error:
                    refused = error
                failed = failing.nowhere()
                if refused is not None:
                    assert refused.code is ProblemCode.BUSY
                    await forgetter.forget("somechannel", changes=ChangeLog())
                for table in ABOUT:
                    assert await database.rows(select(table)) == [], f"{table.name}, statement {number} failed"
                assert await database.rows(select(log_entries)), f"statement {number} failed: no one knows of it"
                if not failed:
                    return
    raise AssertionError("it never passes")


async def test_a_sweep_that_finds_nothing_is_not_in_the_log(tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path / 'x.sqlite3'}") as database:
        await migrations.upgrade(database)
        names = ChannelNames(database, None, clock=FakeClock())
        await ListStore(database).block(BlacklistKind.FORGOTTEN_CHANNEL, "somechannel", reason="", now=NOON)
        await database.change(delete(log_entries))
        async with ChannelForgetter(database, SqlJobStore(database), names, clock=FakeClock()) as forgetter:
            await forgetter.sweep()
        assert await database.rows(select(log_entries)) == []
