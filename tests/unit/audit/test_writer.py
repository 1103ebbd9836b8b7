"""The queue of log entries: nobody waits for it, it is bounded, and what is lost is counted and said."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from fingerprint.background import MIN_PAUSE_SECONDS
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.audit.addresses import cut_address
from server.audit.entries import AuditEntry, AuditKind
from server.audit.store import AuditStore
from server.audit.writer import ENTRY_BYTES, AuditLimits, AuditWriter
from server.observability import Metrics
from tests.builders import NOON
from tests.fakes import FakeClock
from tests.waiting import settled, until


class FakeLogStore:
    """Keeps what is written; can be away, hang, or lose its reply."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.batches: list[int] = []
        self.tries = 0
        self.down = False
        self.loses_replies = False
        self.open = asyncio.Event()
        self.open.set()
        self.forgot: list[datetime] = []
        self.cut: list[datetime] = []

    async def write(self, rows: Sequence[dict[str, Any]], *, again: bool = False) -> None:
        self.tries += 1
        await self.open.wait()
        if self.down:
            raise TwitchAudioError(ProblemCode.BUSY, "down")
        if not (again and rows[0]["id"] in self.rows):
            assert not any(row["id"] in self.rows for row in rows)
            self.rows.update({row["id"]: row for row in rows})
            self.batches.append(len(rows))
        if self.loses_replies:
            self.loses_replies = False
            raise TwitchAudioError(ProblemCode.BUSY, "the reply is lost")

    async def count(self) -> int:
        return len(self.rows)

    async def delete_oldest(self, most: int) -> int:
        oldest = list(self.rows)[: min(most, 100)]
        for number in oldest:
            del self.rows[number]
        return len(oldest)

    async def delete_old_entries(self, before: datetime) -> int:
        self.forgot.append(before)
        return 0

    async def truncate_old_addresses(self, before: datetime) -> int:
        self.cut.append(before)
        return 0


LIMITS = AuditLimits(queue=100, batch=10, gather_seconds=0.01, retry_seconds=1.0)


@asynccontextmanager
async def writing(
    store: FakeLogStore, limits: AuditLimits = LIMITS
) -> AsyncGenerator[tuple[AuditWriter, FakeClock, Metrics]]:
    clock, metrics = FakeClock(), Metrics()
    async with AuditWriter(cast("AuditStore", store), clock=clock, metrics=metrics, limits=limits) as writer:
        yield writer, clock, metrics


def entry(number: int = 0) -> AuditEntry:
    return AuditEntry(moment=NOON, kind=AuditKind.API, what="GET /", subject=str(number))


async def until_written(writer: AuditWriter) -> None:
    await until(lambda: not writer.waiting)


async def test_entries_are_written_in_batches_and_in_order() -> None:
    store = FakeLogStore()
    async with writing(store) as (writer, _clock, metrics):
        for number in range(25):
            writer.add(entry(number))
        await until_written(writer)
        assert store.batches == [10, 10, 5]
        assert [row["subject"] for row in store.rows.values()] == [str(number) for number in range(25)]
        assert "twitchaudio_audit_entries_total 25" in metrics.render()


async def test_those_who_are_answered_come_first_until_half_of_the_queue_is_full() -> None:
    store = FakeLogStore()
    async with writing(store, AuditLimits(queue=100, batch=10, gather_seconds=60.0)) as (writer, _clock, _metrics):
        for number in range(49):
            writer.add(entry(number))
            await asyncio.sleep(0)
        assert (writer.waiting, store.batches) == (49, [])
        writer.add(entry(49))
        await until_written(writer)
        assert store.batches == [10] * 5


async def test_what_comes_while_a_batch_is_written_is_gathered_too() -> None:
    store = FakeLogStore()
    async with writing(store) as (writer, _clock, _metrics):
        store.open.clear()
        writer.add(entry(0))
        await until(lambda: store.tries)
        for number in range(1, 6):
            writer.add(entry(number))
        store.open.set()
        await until(lambda: store.batches)
        writer.add(entry(6))
        await until_written(writer)
        assert store.batches == [1, 6]


async def test_entries_wait_for_a_database_that_is_away_and_none_is_lost_or_doubled() -> None:
    store = FakeLogStore()
    store.down = True
    async with writing(store) as (writer, clock, _metrics):
        for number in range(15):
            writer.add(entry(number))
        await until(lambda: store.tries)
        assert (writer.waiting, len(store.rows)) == (15, 0)
        store.down, store.loses_replies = False, True
        for _ in range(5):
            await clock.advance(1.0)
        await until_written(writer)
        assert len(store.rows) == 15


async def test_beyond_the_bound_entries_are_lost_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeLogStore()
    store.open.clear()
    async with writing(store) as (writer, _clock, metrics):
        for number in range(130):
            writer.add(entry(number))
        assert writer.waiting == 100
        assert "twitchaudio_audit_entries_lost_total 30" in metrics.render()
        store.open.set()
        await until_written(writer)
        assert len(store.rows) == 100
    [said] = [record for record in caplog.records if record.message == "audit_entries_lost"]
    assert vars(said)["count"] == 30


async def test_a_server_that_stops_writes_its_last_entries() -> None:
    store = FakeLogStore()
    async with writing(store, AuditLimits(gather_seconds=60.0)) as (writer, _clock, _metrics):
        for number in range(3):
            writer.add(entry(number))
    assert len(store.rows) == 3


async def test_a_server_that_stops_in_the_middle_of_a_batch_writes_it_once() -> None:
    store = FakeLogStore()
    async with writing(store) as (writer, _clock, _metrics):
        store.loses_replies = True
        writer.add(entry())
        await until(lambda: store.rows)
    assert len(store.rows) == 1


async def test_a_server_that_stops_without_its_database_says_what_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    store = FakeLogStore()
    store.down = True
    async with writing(store) as (writer, _clock, metrics):
        writer.add(entry())
        writer.add(entry())
    assert "twitchaudio_audit_entries_lost_total 2" in metrics.render()
    assert [vars(record)["count"] for record in caplog.records if record.message == "audit_entries_lost"] == [2]


async def test_old_entries_and_addresses_are_done_away_with_each_hour() -> None:
    store = FakeLogStore()
    limits = AuditLimits(keep_days=30, whole_address_days=3)
    async with writing(store, limits) as (_writer, clock, _metrics):
        await asyncio.sleep(0)
        await clock.advance(MIN_PAUSE_SECONDS)
        assert store.forgot == [NOON - timedelta(days=30)]
        assert store.cut == [NOON + timedelta(seconds=MIN_PAUSE_SECONDS) - timedelta(days=3)]
        await clock.advance(MIN_PAUSE_SECONDS)
        await clock.advance(3_600)
        assert len(store.forgot) == 2


async def test_zero_days_keep_for_good() -> None:
    store = FakeLogStore()
    async with writing(store, AuditLimits(keep_days=0, whole_address_days=0)):
        await settled()
    assert (store.forgot, store.cut) == ([], [])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("nonsense", "nonsense"),
    ],
)
def test_an_address_is_cut_to_its_network_once(address: str, network: str) -> None:
    assert cut_address(address) == network


async def test_the_log_grows_to_its_size_and_says_what_it_dropped() -> None:
    store = FakeLogStore()
    limits = AuditLimits(queue=10_000, batch=200, gather_seconds=0.01, max_mb=1)
    most = (1 << 20) // ENTRY_BYTES
    async with writing(store, limits) as (writer, clock, metrics):
        for number in range(most + 200):
            writer.add(entry(number))
        await until_written(writer)
        while not any(row["kind"] == "change" for row in store.rows.values()):
            await clock.advance(1.0)
            await settled()
        assert most * 0.9 < len(store.rows) <= most
        [said] = [row for row in store.rows.values() if row["kind"] == "change"]
        assert said["what"].endswith("oldest entries dropped")
        assert said["subject"] == "TWITCHAUDIO_LOG_MAX_MB is 1"
        assert min(int(row["subject"]) for row in store.rows.values() if row["kind"] == "api") >= 200
        assert "twitchaudio_audit_entries_dropped_total 2" in metrics.render()
