"""Writes audit log entries in batches, in the background of requests.

Adding an entry does no I/O and does not raise. While the database is unavailable, entries wait in a bounded queue;
when it is full, further entries are dropped, counted in a metric and logged.
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

from fingerprint.background import Background, unhurried
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.tasks import Closing, cancel_and_wait
from server.audit.entries import AuditEntry, AuditKind
from server.audit.store import AuditStore, new_row
from server.observability import Metrics

CLOSE_SECONDS: Final = 2.0
"""How long a stopping server tries to write its last entries."""

ENTRY_BYTES: Final = 760
"""What an entry takes in the database, with its share of seven indexes: 560 to 790 bytes were measured."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLimits:
    """Limits of the writer and the retention of entries. Ages are in days; 0 keeps entries permanently."""

    queue: int = 25_000
    """More than the clients that can wait for one answer, since all of them are answered within a second."""
    batch: int = 1_000
    """Maximum number of entries in one transaction."""
    gather_seconds: float = 0.5
    """How long entries are collected before they are written; less when half of the queue is full.

    Thousands of clients may wait for one answer: they are served first, and their entries written afterwards.
    """
    retry_seconds: float = 1.0
    retention_seconds: float = 3_600.0
    keep_days: int = 90
    max_mb: int = 1_024
    """How large the log may grow, in MiB with its indexes; the oldest entries are dropped beyond it."""
    whole_address_days: int = 7


class AuditWriter(Closing):
    """Queues audit log entries, and runs the tasks that write them and apply retention."""

    def __init__(
        self,
        store: AuditStore,
        *,
        clock: Clock,
        metrics: Metrics,
        limits: AuditLimits | None = None,
        background: Background | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits or AuditLimits()
        self._background = background or Background(clock)
        self._queue: deque[AuditEntry] = deque()
        self._batch: list[dict[str, Any]] = []
        self._wake = asyncio.Event()
        self._full = asyncio.Event()
        self._lost_unlogged = 0
        self._lost = metrics.counter("twitchaudio_audit_entries_lost_total", "Log entries that were not written.")
        self._written = metrics.counter("twitchaudio_audit_entries_total", "Log entries written.")
        metrics.gauge("twitchaudio_audit_entries_waiting", "Log entries not written yet.", lambda: self.waiting)
        self._dropped = metrics.counter(
            "twitchaudio_audit_entries_dropped_total",
            "Old log entries deleted for TWITCHAUDIO_LOG_MAX_MB.",
        )
        self._since_counted = 0
        self._grown = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        self._tasks = (
            self._background.start("write the audit log", self._write),
            self._background.start("delete old audit entries", self._apply_retention),
            self._background.start("keep the audit log small", self._keep_small),
        )
        return self

    @property
    def waiting(self) -> int:
        """How many entries are not written yet."""
        return len(self._queue) + len(self._batch)

    def add(self, entry: AuditEntry) -> None:
        """Queue an entry; it is dropped if the queue is full."""
        if self.waiting >= self._limits.queue:
            self._count_lost(1)
            return
        self._queue.append(entry)
        self._wake.set()
        if len(self._queue) >= self._limits.queue // 2:
            self._full.set()

    async def close(self) -> None:
        """Write the remaining entries within `CLOSE_SECONDS`; the others are counted as lost and logged."""
        await cancel_and_wait(*self._tasks)
        with contextlib.suppress(TimeoutError, TwitchAudioError):
            async with asyncio.timeout(CLOSE_SECONDS):
                # The cancelled batch may have been written.
                again = True
                while self.waiting:
                    try:
                        await self._write_batch(again=again)
                    except TwitchAudioError:
                        raise
                    except Exception:  # noqa: BLE001 - the batch is counted as lost, and the next ones may go well
                        _log.exception("audit_entries_not_written")
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
            await self._write_entries(self.waiting)
            if self.waiting:
                # Collect the entries added meanwhile, too: a transaction costs as much as dozens of entries.
                self._wake.set()

    async def _write_entries(self, count: int) -> None:
        """Write `count` entries, retrying for as long as the database is unavailable."""
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
        """Write the unwritten batch or the next one; returns how many entries. Raises TwitchAudioError `busy`."""
        if not self._batch:
            again = False
            taken = list(itertools.islice(self._queue, self._limits.batch))
            # No await between here and popleft, so that every entry is in the queue or in the batch.
            self._batch = [new_row(entry) for entry in taken]
            for _ in taken:
                self._queue.popleft()
        try:
            await self._store.write(self._batch, again=again)
        except Exception as error:
            if not isinstance(error, TwitchAudioError):
                # A batch that cannot be written must not hold back the next ones.
                self._count_lost(len(self._batch))
                self._batch = []
            raise
        written, self._batch = len(self._batch), []
        self._written.add(amount=written)
        self._since_counted += written
        if self._since_counted >= max(100, self._max_entries // 20):
            self._grown.set()
        return written

    async def _apply_retention(self) -> None:
        limits = self._limits
        while True:
            with contextlib.suppress(TwitchAudioError):
                await self._in_chunks(self._store.delete_old_entries, limits.keep_days)
                await self._in_chunks(self._store.truncate_old_addresses, limits.whole_address_days)
            await self._clock.sleep(limits.retention_seconds)

    async def _in_chunks(self, some: Callable[..., Awaitable[int]], days: int) -> None:
        """Apply `some` to entries older than `days` in small transactions, so that other writers wait little."""
        before = self._clock.now() - timedelta(days=days)
        more = days
        while more:
            async with unhurried(self._clock):
                more = await some(before)

    @property
    def _max_entries(self) -> int:
        return self._limits.max_mb * (1 << 20) // ENTRY_BYTES

    async def _keep_small(self) -> None:
        """Drop the oldest entries whenever the log has grown beyond its size, and say so in it."""
        while True:
            self._since_counted = 0
            self._grown.clear()
            try:
                await self._drop_oldest()
            except TwitchAudioError:
                await self._clock.sleep(self._limits.retry_seconds)
                continue
            await self._grown.wait()

    async def _drop_oldest(self) -> None:
        excess = await self._store.count() - self._max_entries
        if excess <= 0:
            return
        # A little more, so that this is not done for each entry.
        left = excess + self._max_entries // 20
        dropped = 0
        while left > 0:
            # A flood must not be faster than this.
            async with unhurried(self._clock, pause_ratio=1.0):
                deleted = await self._store.delete_oldest(left)
            if not deleted:
                break
            left -= deleted
            dropped += deleted
        self._dropped.add(amount=dropped)
        _log.warning("audit_entries_dropped", extra={"count": dropped, "max_mb": self._limits.max_mb})
        what = f"{dropped} oldest entries dropped"
        subject = f"TWITCHAUDIO_LOG_MAX_MB is {self._limits.max_mb}"
        self.add(AuditEntry(self._clock.now(), AuditKind.CHANGE, what, subject=subject))

    def _count_lost(self, count: int) -> None:
        self._lost.add(amount=count)
        self._lost_unlogged += count

    def _log_losses(self) -> None:
        if self._lost_unlogged:
            _log.error("audit_entries_lost", extra={"count": self._lost_unlogged})
            self._lost_unlogged = 0
