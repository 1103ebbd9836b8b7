"""Measures what an operator is woken up for and no single request shows: room, backups, budgets, lag."""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import text

from fingerprint.background import Background
from fingerprint.database import Database
from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.job_ports import JobOutcome
from fingerprint.ports import Clock
from fingerprint.providers.guard import ProviderStatus
from fingerprint.worker_pool import WorkerPool
from server.observability import Histogram, Metrics

BACKUP_RECORD: Final = "last-backup.json"
"""The file of the data folder in which `twitchaudio backup` writes when the newest backup was made."""

EVERY_SECONDS: Final = 60.0
LAG_SECONDS: Final = 0.5
"""How often the event loop's lag is measured."""

_LAG_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_AGE_BOUNDS: Final = (2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 60.0)
_MYSQL_SIZE: Final = text(
    "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = DATABASE()"
)


@dataclass(frozen=True, slots=True)
class Room:
    """The disk of the data folder, in bytes, and when the newest backup was made, in Unix time; 0 without one."""

    free: int = 0
    size: int = 0
    backup_at: float = 0.0


def record_backup(data_dir: Path, made_at: datetime) -> None:
    """Write down when a backup was made, for the metrics. Raises OSError."""
    part = data_dir / f".{BACKUP_RECORD}.part"
    part.write_text(json.dumps({"made_at": made_at.isoformat(timespec="seconds")}), encoding="utf-8")
    part.replace(data_dir / BACKUP_RECORD)


def room_of(data_dir: Path) -> Room:
    """What the disk of the data folder and the record of backups say. Blocks."""
    free = size = 0
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(next(each for each in (data_dir, *data_dir.absolute().parents) if each.exists()))
        free, size = usage.free, usage.total
    return Room(free, size, _backup_at(data_dir))


def _backup_at(data_dir: Path) -> float:
    try:
        said = json.loads((data_dir / BACKUP_RECORD).read_bytes())
        return datetime.fromisoformat(said["made_at"]).timestamp()
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def sound_age(answer: Identification) -> float | None:
    """How many seconds old the newest sound of a live channel's answer was when it was given; None for others."""
    if answer.kind is not Kind.STREAM or answer.asked_at is not None:
        return None
    if answer.captured_at is None or answer.captured_seconds is None or answer.finished_at is None:
        return None
    age = (answer.finished_at - answer.captured_at).total_seconds() - answer.captured_seconds
    return max(0.0, age)


class Vitals:
    """The measurements of one server, taken in the background while `measured` runs."""

    def __init__(
        self,
        database: Database,
        providers: Callable[[], Awaitable[Sequence[ProviderStatus]]],
        *,
        data_dir: Path,
        clock: Clock,
        metrics: Metrics,
        background: Background,
    ) -> None:
        self._database = database
        self._providers = providers
        self._data_dir = data_dir
        self._clock = clock
        self._background = background
        self._pools: dict[str, WorkerPool] = {}
        self._room = Room()
        self._database_bytes = 0
        self._asked: dict[tuple[str, ...], float] = {}
        self._budgets: dict[tuple[str, ...], float] = {}
        self._lag = metrics.histogram(
            "twitchaudio_event_loop_lag_seconds", "How late the event loop runs what is due.", _LAG_BOUNDS
        )
        self._ages = metrics.histogram(
            "twitchaudio_newest_sound_age_seconds",
            "How old the newest sound of a live channel's answer is when it is given.",
            _AGE_BOUNDS,
        )
        self._register(metrics)

    def count_failures_of(self, work: str, pool: WorkerPool) -> None:
        """Count the failures of the processes of a pool, under the work that they do."""
        self._pools[work] = pool

    def job_ended(self, outcome: JobOutcome) -> None:
        """Take the outcome of each job of this process."""
        age = sound_age(outcome.identification)
        if age is not None:
            self._ages.observe(age)

    @asynccontextmanager
    async def measured(self) -> AsyncGenerator[None]:
        """Measure in the background while the block runs."""
        async with self._background.running(
            {
                "measure vitals": self._measure_all,
                "measure lag": lambda: measure_lag(self._clock, self._lag),
            }
        ):
            yield

    async def measure(self) -> None:
        """Measure now what takes a disk or the database; what cannot be read keeps its value."""
        self._room = await asyncio.to_thread(room_of, self._data_dir)
        with contextlib.suppress(TwitchAudioError, OSError):
            self._database_bytes = await self._database_size()
        for status in await self._providers():
            for usage in status.spending or ():
                labels = (status.name, str(usage.period))
                self._asked[labels] = usage.used
                if usage.most is None:
                    self._budgets.pop(labels, None)
                else:
                    self._budgets[labels] = usage.most

    async def _measure_all(self) -> None:
        while True:
            await self.measure()
            await self._clock.sleep(EVERY_SECONDS)

    async def _database_size(self) -> int:
        file = self._database.engine.url.database
        if self._database.remote:
            size = await self._database.read(lambda connection: connection.execute(_MYSQL_SIZE).scalar())
            return int(size or 0)
        return 0 if file is None else await asyncio.to_thread(_bytes_of, file)

    def _register(self, metrics: Metrics) -> None:
        started_at = self._clock.now().timestamp()
        metrics.counted(
            "twitchaudio_worker_failures_total",
            "Processes for decoding and recognizing that crashed, hung or did not start, and were replaced.",
            lambda: {(work,): pool.failed for work, pool in self._pools.items()},
            "work",
        )
        metrics.gauges(
            "twitchaudio_provider_questions",
            "Questions to a provider in this day and month (UTC), by all servers.",
            lambda: self._asked,
            "provider",
            "period",
        )
        metrics.gauges(
            "twitchaudio_provider_budget",
            "Questions that a provider's budget allows in a day and a month.",
            lambda: self._budgets,
            "provider",
            "period",
        )
        gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("disk_free_bytes", "Room left on the data folder's disk.", lambda: self._room.free),
            ("disk_size_bytes", "Size of the data folder's disk.", lambda: self._room.size),
            ("database_bytes", "Size of the SQL database.", lambda: self._database_bytes),
            (
                "backup_timestamp_seconds",
                "When `twitchaudio backup` made the newest backup with this data folder, in Unix time; 0: never.",
                lambda: self._room.backup_at,
            ),
        )
        for name, description, read in gauges:
            metrics.gauge(f"twitchaudio_{name}", description, read)
        metrics.gauge("process_start_time_seconds", "When this process started, in Unix time.", lambda: started_at)


async def measure_lag(clock: Clock, histogram: Histogram) -> None:
    """Observe every `LAG_SECONDS` how late the event loop runs what is due, until it is cancelled."""
    while True:
        due = clock.monotonic() + LAG_SECONDS
        await clock.sleep(LAG_SECONDS)
        histogram.observe(max(0.0, clock.monotonic() - due))


def _bytes_of(file: str) -> int:
    """The size of a SQLite database with the log beside it."""
    total = 0
    for path in (file, f"{file}-wal"):
        with contextlib.suppress(FileNotFoundError):
            total += os.stat(path).st_size  # noqa: PTH116 - a text, of which there is no Path
    return total
