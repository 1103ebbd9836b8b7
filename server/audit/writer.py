"""Writes log entries off the request path: a bounded queue, one task, batches.

Whoever adds an entry neither waits nor fails. While the database is away, entries wait for it; beyond the bound
they are lost, counted and said.
"""

import asyncio
import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock
from server.audit.entries import AuditEntry
from server.audit.store import AuditStore, new_row
from server.observability import Metrics

CLOSE_SECONDS: Final = 2.0
"""How long a server that stops waits for its last entries to be written."""

_PAUSE_SECONDS: Final = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLimits:
    """Bounds and times, in one place. Ages in days; 0 keeps for good."""

    queue: int = 25_000
    """More than can wait for an answer: when a song drops, all of those are answered in one second."""
    batch: int = 1_000
    """Entries written in one transaction."""
    gather_seconds: float = 0.5
    """How long entries are gathered before they are written; less when half of the queue is full.

    Thousands who wait for one answer get it in this time, and their entries are written after it.
    """
    retry_seconds: float = 1.0
    retention_seconds: float = 3_600.0
    keep_days: int = 90
    whole_address_days: int = 7


class AuditWriter:
    """The queue and the tasks that empty it and forget what is old."""

    def __init__(
        self, store: AuditStore, *, clock: Clock, metrics: Metrics, limits: AuditLimits | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits or AuditLimits()
        self._queue: deque[AuditEntry] = deque()
        self._batch: list[dict[str, Any]] = []
        self._wake = asyncio.Event()
        self._full = asyncio.Event()
        self._lost_unlogged = 0
        self._lost = metrics.counter("twitchaudio_audit_entries_lost_total", "Log entries that were not written.")
        self._written = metrics.counter("twitchaudio_audit_entries_total", "Log entries written.")
        metrics.gauge("twitchaudio_audit_entries_waiting", "Log entries not written yet.", lambda: self.waiting)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        """Begin to write what is added."""
        self._tasks = (
            asyncio.create_task(self._write(), name="write audit log"),
            asyncio.create_task(self._apply_retention(), name="audit retention"),
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close."""
        await self.close()

    @property
    def waiting(self) -> int:
        """Entries that are not written yet."""
        return len(self._queue) + len(self._batch)

    def add(self, entry: AuditEntry) -> None:
        """Have an entry written soon."""
        if self.waiting >= self._limits.queue:
            self._count_lost(1)
            return
        self._queue.append(entry)
        self._wake.set()
        if len(self._queue) >= self._limits.queue // 2:
            self._full.set()

    async def close(self) -> None:
        """Write what can be written within a moment; the rest is counted and said."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError, TwitchAudioError):
            async with asyncio.timeout(CLOSE_SECONDS):
                # A batch that was cut off may have been written.
                again = True
                while self.waiting:
                    await self._write_batch(again=again)
                    again = False
        if self.waiting:
            self._count_lost(self.waiting)
            self._queue.clear()
            self._batch = []
        self._log_losses()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.gather_seconds):
                    await self._full.wait()
            self._full.clear()
            await self._write_those(self.waiting)
            if self.waiting:
                # What came meanwhile is gathered too: a transaction costs as much as dozens of entries.
                self._wake.set()

    async def _write_those(self, count: int) -> None:
        """Write so many entries, however long it takes."""
        again = False
        while count > 0:
            try:
                count -= await self._write_batch(again=again)
                again = False
            except TwitchAudioError:
                again = True
                await self._clock.sleep(self._limits.retry_seconds)
            self._log_losses()

    async def _write_batch(self, *, again: bool) -> int:
        """Write the batch that is not written yet, or the next one; gives how many entries that is."""
        if not self._batch:
            again = False
            taken = list(itertools.islice(self._queue, self._limits.batch))
            # Entries leave the queue and enter the batch in one step: none is ever in neither.
            self._batch = [new_row(entry) for entry in taken]
            for _ in taken:
                self._queue.popleft()
        await self._store.write(self._batch, again=again)
        written, self._batch = len(self._batch), []
        self._written.add(amount=written)
        return written

    async def _apply_retention(self) -> None:
        limits = self._limits
        while True:
            with contextlib.suppress(TwitchAudioError):
                await self._in_chunks(self._store.delete_old_entries, limits.keep_days)
                await self._in_chunks(self._store.truncate_old_addresses, limits.whole_address_days)
            await self._clock.sleep(limits.retention_seconds)

    async def _in_chunks(self, some: Callable[..., Awaitable[int]], days: int) -> None:
        """Apply `some` to entries older than `days`, in chunks, so that other writers never wait for long."""
        before = self._clock.now() - timedelta(days=days)
        while days and await some(before):
            await self._clock.sleep(_PAUSE_SECONDS)

    def _count_lost(self, count: int) -> None:
        self._lost.add(amount=count)
        self._lost_unlogged += count

    def _log_losses(self) -> None:
        if self._lost_unlogged:
            _log.error("audit_entries_lost", extra={"count": self._lost_unlogged})
            self._lost_unlogged = 0
