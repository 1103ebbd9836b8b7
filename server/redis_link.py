"""The connection to Redis or Valkey, which may be away: callers go on without it then.

Every call has a limit of time. After a failed one, further calls fail at once for `RETRY_SECONDS`, so that a
server that does not answer slows no request down.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fingerprint.ports import Clock
from fingerprint.setting_formats import Secret
from fingerprint.settings import SettingsError
from server.observability import Metrics

if TYPE_CHECKING:
    from redis.asyncio import Redis

CALL_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 1.0
MAX_CONNECTIONS: Final = 20
VARIABLE: Final = "TWITCHAUDIO_REDIS_URL"

T = TypeVar("T")

_log = logging.getLogger(__name__)


class RedisAwayError(Exception):
    """Redis did not answer in time, or refused."""


class RedisLink:
    """A pool of connections. Logs once when Redis is away, and once when it is back."""

    def __init__(self, client: "Redis", *, clock: Clock, metrics: Metrics) -> None:
        self.client = client
        self._clock = clock
        self._away_until = -math.inf
        self.away = False
        """Whether the newest call failed."""
        self._failures = metrics.counter("twitchaudio_redis_failures_total", "Calls to Redis that failed.")
        metrics.gauge("twitchaudio_redis_up", "1 while Redis answers, else 0.", lambda: float(not self.away))

    async def call(self, work: "Callable[[Redis], Awaitable[T]]") -> T:
        """Do some work with the client. Raises RedisAwayError."""
        if self._clock.monotonic() < self._away_until:
            raise RedisAwayError
        from redis.exceptions import RedisError  # noqa: PLC0415 - an optional extra

        try:
            async with asyncio.timeout(CALL_SECONDS):
                found = await work(self.client)
        except (RedisError, OSError, TimeoutError) as error:
            self.note_failure(error)
            raise RedisAwayError from error
        self.note_success()
        return found

    def note_failure(self, error: Exception) -> None:
        """Leave Redis alone for a while."""
        self._failures.add()
        self._away_until = self._clock.monotonic() + RETRY_SECONDS
        if not self.away:
            # The kind alone: texts of errors may hold parts of the address.
            _log.warning("redis_away", extra={"error": type(error).__name__})
        self.away = True

    def note_success(self) -> None:
        """Redis has answered."""
        if self.away:
            _log.info("redis_back")
        self.away = False


@asynccontextmanager
async def open_redis(url: Secret, *, clock: Clock, metrics: Metrics) -> AsyncGenerator[RedisLink]:
    """A link that is closed at the block's end; connects when it is first used.

    Raises SettingsError when the address cannot be read, or the package `redis` is not installed.
    """
    try:
        # Not in the event loop: it takes a moment.
        await asyncio.to_thread(import_module, "redis.asyncio")
        from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415 - an optional extra
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - likewise
        from redis.backoff import NoBackoff  # noqa: PLC0415 - likewise
    except ImportError as error:
        takes = "the package redis, which is not installed: pip install 'twitchaudio[redis]'"
        raise SettingsError(VARIABLE, "", takes, secret=True) from error
    options: dict[str, Any] = {
        "max_connections": MAX_CONNECTIONS,
        "timeout": CALL_SECONDS,
        "socket_timeout": CALL_SECONDS,
        "decode_responses": True,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "twitchaudio",
        # Its version is read from a file at each connection.
        "driver_info": None,
    }
    try:
        pools: Any = BlockingConnectionPool  # its types are partial
        pool = pools.from_url(url.reveal(), **options)
    except ValueError as error:
        takes = "redis://[USER:PASSWORD@]HOST:PORT/NUMBER, rediss://... or unix:///PATH"
        raise SettingsError(VARIABLE, "", takes, secret=True) from error
    client = Redis.from_pool(pool)
    try:
        yield RedisLink(client, clock=clock, metrics=metrics)
    finally:
        await client.aclose()
