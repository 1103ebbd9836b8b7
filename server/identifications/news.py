"""News of jobs: which of them other servers have brought forward, in place of looking for it all the time.

News only say *that* a job has changed. What it came to is in the job store, so lost, late and doubled news do no
harm: without them, and beside them, servers look at intervals.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from fingerprint.background import Background
from fingerprint.domain.identification import IdentificationId
from server.observability import Metrics
from server.redis_link import RETRY_SECONDS, RedisAwayError, RedisLink

if TYPE_CHECKING:
    from redis.asyncio import Redis

CHANNEL: Final = "twitchaudio:jobs"
MAX_WAITING: Final = 10_000
"""News that wait to be sent; further ones are dropped."""

_LISTEN_SECONDS: Final = 5.0
"""After a silence this long, the connection is tried."""


class JobNews(Protocol):
    """Tells other servers of jobs, and hears of theirs."""

    @property
    def arriving(self) -> bool:
        """Whether news of other servers arrive, so that looking at jobs can be rare."""
        ...

    def tell(self, identification_id: IdentificationId) -> None:
        """Say that a job has changed. Neither waits nor fails."""
        ...

    def listening(self, identification_id: IdentificationId) -> AbstractContextManager[asyncio.Event]:
        """An event that is set when a job may have changed, while the block runs."""
        ...


class NoNews:
    """What there is without Redis."""

    @property
    def arriving(self) -> bool:
        return False

    def tell(self, identification_id: IdentificationId) -> None:
        pass

    @contextlib.contextmanager
    def listening(self, identification_id: IdentificationId) -> Generator[asyncio.Event]:
        del identification_id
        yield asyncio.Event()


class RedisNews:
    """News over one channel of Redis, which every server listens to with one connection of its own."""

    def __init__(self, link: RedisLink, metrics: Metrics) -> None:
        self._link = link
        self._listeners: dict[IdentificationId, set[asyncio.Event]] = {}
        # A set that keeps its order.
        self._waiting: dict[IdentificationId, None] = {}
        self._sending = asyncio.Event()
        self.arriving = False
        metrics.gauge(
            "twitchaudio_job_news_arriving",
            "1 while other servers' news of jobs arrive over Redis; else their jobs are polled.",
            lambda: float(self.arriving),
        )

    @asynccontextmanager
    async def running(self, background: Background) -> AsyncGenerator[None]:
        """Send and receive while the block runs."""
        async with background.running(
            {
                "tell of jobs": self._send,
                "hear of jobs": self._receive,
            }
        ):
            yield

    def tell(self, identification_id: IdentificationId) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting[identification_id] = None
            self._sending.set()

    @contextlib.contextmanager
    def listening(self, identification_id: IdentificationId) -> Generator[asyncio.Event]:
        event = asyncio.Event()
        listeners = self._listeners.setdefault(identification_id, set())
        listeners.add(event)
        try:
            yield event
        finally:
            listeners.discard(event)
            if not listeners and self._listeners.get(identification_id) is listeners:
                del self._listeners[identification_id]

    async def _send(self) -> None:
        while True:
            await self._sending.wait()
            self._sending.clear()
            batch, self._waiting = list(self._waiting), {}

            async def publish(client: "Redis", batch: list[IdentificationId] = batch) -> None:
                pipeline: Any = client.pipeline(transaction=False)
                for each in batch:
                    pipeline.publish(CHANNEL, each)
                await pipeline.execute()

            with contextlib.suppress(RedisAwayError):
                await self._link.call(publish)

    async def _receive(self) -> None:
        from redis.exceptions import RedisError  # noqa: PLC0415 - an optional extra

        while True:
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError) as error:
                self._link.note_failure(error)
            finally:
                # Servers look for themselves meanwhile.
                self.arriving = False
                self._wake_all()
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        """Wake listeners until the connection breaks. Raises RedisError, OSError."""
        client: Any = self._link.client  # the package's types of subscriptions are partial
        async with client.pubsub() as channel:
            async with asyncio.timeout(RETRY_SECONDS):
                await channel.subscribe(CHANNEL)
            while True:
                message = await channel.get_message(timeout=_LISTEN_SECONDS)
                match message:
                    case None:
                        async with asyncio.timeout(RETRY_SECONDS):
                            await channel.ping()
                    case {"type": "subscribe"}:
                        self.arriving = True
                        self._link.note_success()
                        # What happened before is looked for once.
                        self._wake_all()
                    case {"type": "message", "data": str(name)}:
                        for event in self._listeners.get(IdentificationId(name), ()):
                            event.set()
                    case _:
                        pass

    def _wake_all(self) -> None:
        for listeners in self._listeners.values():
            for event in listeners:
                event.set()
