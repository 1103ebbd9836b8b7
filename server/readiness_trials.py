"""How each part of the server is tried for its readiness (see `readiness`)."""

import array
import asyncio
import io
import math
import os
import tempfile
import wave
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection

from fingerprint.background import Background
from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.database import Database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.job_ports import JobStore
from fingerprint.media.decoder import DecoderPool
from fingerprint.ports import Clock
from fingerprint.upserts import insert_all, lock
from fingerprint.worker_pool import WorkerPool
from server import migrations
from server.audit.entries import AuditEntry, AuditKind
from server.audit.store import new_row
from server.audit.tables import log_entries
from server.readiness import Trial
from server.redis_link import RedisAwayError, RedisLink

if TYPE_CHECKING:
    from redis.asyncio import Redis

WORKER_FRESH_SECONDS: Final = 10.0
"""How long it counts that a worker process has done its work."""

WORKER_SECONDS: Final = 12.0
"""The limit of a worker's trial: a worker that hangs is replaced after 5 s, and another one tries."""

ROOM_BYTES: Final = 1 << 20
"""A SQLite database needs at least this much room on its disk, for its log of the next changes."""

CLOCK_SECONDS: Final = 10.0
"""A difference of clocks that takes leases from servers at work."""

CLOCK_FRESH_SECONDS: Final = 60.0

_SERVER_TIME: Final = text("SELECT UTC_TIMESTAMP(6)")

_ROW_CHARACTERS: Final = 30_000
_SOUND_RATE: Final = 16_000


def database_trial(database: Database, *, clock: Clock, seconds: float) -> Trial:
    """The schema is the one that this version needs, and rows can be written."""

    def work(connection: Connection) -> None:
        # Room for a row is asked for and given back; a small change is stored.
        entry = AuditEntry(clock.now(), AuditKind.CHANGE, "readiness", after="x")
        with connection.begin_nested() as undone:
            insert_all(connection, log_entries, [{**new_row(entry), "after_value": "x" * _ROW_CHARACTERS}])
            undone.rollback()
        lock(connection, "readiness")

    file = None if database.remote or database.engine.url.database is None else database.engine.url.database

    async def attempt() -> None:
        await migrations.check(database)
        try:
            await database.transact(work)
        except TwitchAudioError as error:
            detail = "The database cannot be written: is its disk full, or is it read-only? The log says more."
            raise TwitchAudioError(ProblemCode.BUSY, detail) from error
        if file is not None:
            await asyncio.to_thread(_check_room, Path(file).parent)

    return Trial(name="database", attempt=attempt, silent="The database does not answer.", seconds=seconds)


def _check_room(folder: Path, whose: str = "the database's folder") -> None:
    """Write a file and delete it. Raises TwitchAudioError with the reason why that is impossible."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            left = ROOM_BYTES
            while left > 0:
                left -= os.write(file.fileno(), bytes(min(left, 1 << 16)))
    except OSError as error:
        detail = f"Nothing can be written in {whose}: {error.strerror or type(error).__name__}."
        raise TwitchAudioError(ProblemCode.BUSY, detail) from error


def temporary_files_trial(*, seconds: float) -> Trial:
    """There is room for temporary files. Only uploads need it: nothing else is refused without."""

    async def attempt() -> None:
        folder = Path(tempfile.gettempdir())
        await asyncio.to_thread(_check_room, folder, f"{folder}, where uploads are kept while they are heard")

    return Trial(
        name="temporary_files",
        attempt=attempt,
        silent="The disk for temporary files does not answer.",
        seconds=seconds,
        required=False,
        fresh_seconds=WORKER_FRESH_SECONDS,
    )


def job_trial(store: JobStore, *, seconds: float) -> Trial:
    """The job store answers, and takes writes."""
    return Trial(name="jobs", attempt=store.check, silent="The job store does not answer.", seconds=seconds)


def redis_trial(link: RedisLink, *, seconds: float) -> Trial:
    """Redis answers. Everything goes on without it."""

    async def attempt() -> None:
        async def ping(client: "Redis") -> None:
            await client.get("twitchaudio:ping")

        try:
            await link.call(ping)
        except RedisAwayError as error:
            detail = "Redis does not answer: limits and slots are counted in the database, and jobs are polled."
            raise TwitchAudioError(ProblemCode.BUSY, detail) from error

    return Trial(name="redis", attempt=attempt, silent="Redis does not answer.", seconds=seconds, required=False)


def clock_trial(database: Database, *, seconds: float) -> Trial:
    """This machine's clock agrees with the database server's: leases and limits are compared with both."""

    async def attempt() -> None:
        before = datetime.now(UTC)
        rows = await database.read(lambda connection: connection.execute(_SERVER_TIME).all())
        there: datetime = rows[0][0].replace(tzinfo=UTC)
        apart = max(0.0, (before - there).total_seconds(), (there - datetime.now(UTC)).total_seconds())
        if apart > CLOCK_SECONDS:
            detail = (
                f"This machine's clock is {apart:.0f} s apart from the database server's: let both keep time by "
                "NTP, otherwise servers take each other's jobs."
            )
            raise TwitchAudioError(ProblemCode.INTERNAL, detail)

    return Trial(
        name="clock",
        attempt=attempt,
        silent="The database server does not tell its time.",
        seconds=seconds,
        required=False,
        fresh_seconds=CLOCK_FRESH_SECONDS,
    )


def noted_trial(name: str, attempt: Callable[[], Awaitable[None]], *, required: bool = False) -> Trial:
    """What was noted of calls that are made anyway; see `server.recent_calls`."""
    return Trial(name=name, attempt=attempt, silent="It does not answer.", seconds=10.0, required=required)


def background_trial(background: Background, *, seconds: float) -> Trial:
    """No work in the background has failed lately. Requests are served all the same, and it is tried again."""

    async def attempt() -> None:
        if failing := background.failing:
            names = ", ".join(f"{name} ({error})" for name, error in sorted(failing.items()))
            detail = f"Work in the background fails and is tried again: {names}. The log says more."
            raise TwitchAudioError(ProblemCode.INTERNAL, detail)

    return Trial(name="background", attempt=attempt, silent="It does not answer.", seconds=seconds, required=False)


def worker_trials(
    decoder: DecoderPool, catalog: RecognitionPool | None, *, catalog_required: bool
) -> Sequence[Trial]:
    """A worker process decodes a built-in second of sound, and another one searches the catalog for it."""

    async def decode() -> None:
        await decoder.decode(second_of_sound(), container="wav", max_seconds=1.0)

    trials = [
        Trial(
            name="decoder",
            attempt=lambda: _unless_busy(decoder, decode()),
            silent="The processes that decode sound do not answer.",
            seconds=WORKER_SECONDS,
            fresh_seconds=WORKER_FRESH_SECONDS,
        )
    ]
    if catalog is None:
        return trials

    async def search() -> None:
        if await catalog.has_catalog():
            await catalog.check_files()
            heard = await decoder.decode(second_of_sound(), container="wav", max_seconds=1.0)
            await catalog.findings(await asyncio.to_thread(catalog.prepare, heard.pcm))

    trials.append(
        Trial(
            name="catalog",
            attempt=lambda: _unless_busy(catalog, search()),
            silent="The processes that search the catalog do not answer.",
            seconds=WORKER_SECONDS,
            required=catalog_required,
            fresh_seconds=WORKER_FRESH_SECONDS,
        )
    )
    return trials


async def _unless_busy(pool: WorkerPool, trial: Awaitable[None]) -> None:
    """Await a trial of a pool. When the pool has no time for it, the work it does for others proves the same."""
    before = pool.answered
    try:
        async with asyncio.timeout(WORKER_SECONDS - 1.0):
            await trial
    except TimeoutError:
        if pool.answered == before:
            raise
    except TwitchAudioError as error:
        if error.code is not ProblemCode.BUSY or pool.answered == before:
            raise


@lru_cache(maxsize=1)
def second_of_sound() -> bytes:
    """A second of sound as a WAV file: tones that rise, so that a search for it reads the catalog."""
    samples = array.array("h")
    for number in range(_SOUND_RATE):
        at = number / _SOUND_RATE
        tones = sum(math.sin(2 * math.pi * base * at * (1 + at)) for base in (220, 440, 880, 1_760))
        samples.append(round(4_000 * tones))
    with io.BytesIO() as content:
        with wave.open(content, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(_SOUND_RATE)
            writer.writeframes(samples.tobytes())
        return content.getvalue()
