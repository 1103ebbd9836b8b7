"""A bounded cache whose misses are single flights: callers who miss one key at the same time share one call."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from cachetools import LRUCache, TLRUCache

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.ports import Clock
from fingerprint.tasks import Closing, cancel_and_wait

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_ENTRIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    value: V
    fresh_until: float


class SingleFlightCache(Closing, Generic[K, V]):
    """Caches what calls return for a limited time, and shares each call among all callers of the same key.

    A caller that is cancelled leaves the call running for the others; its value is stored even when none of them
    waits any more. Each caller gets an exception object of its own. The cache owns its calls: `close` it, or use
    it as an async context manager.

    - `max_entries`: how many values are stored, the least recently used is evicted first; and how many calls may
      be under way, a further one is refused with `busy`.
    - `fresh_seconds`: how long a value counts, from the start of the call that gave it; a function may tell by the
      value. 0 only shares calls, `math.inf` keeps the value until it is invalidated or evicted.
    - `failure_seconds`: how long a TwitchAudioError is raised again without another call, from the end of the
      call that raised it; a function may tell by the error. Other exceptions are never stored.
    - `stale_seconds`: how long after it has ceased to be fresh a value is still given when a call fails with
      UpstreamError.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        fresh_seconds: float | Callable[[V], float],
        failure_seconds: float | Callable[[TwitchAudioError], float] = 0.0,
        stale_seconds: float = 0.0,
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._stale_seconds = stale_seconds
        self._max_entries = max_entries
        self._values: LRUCache[K, _Entry[V]] = LRUCache(max_entries)

        def failure_ends(_key: K, error: TwitchAudioError, now: float) -> float:
            return now + (failure_seconds(error) if callable(failure_seconds) else failure_seconds)

        self._failures: TLRUCache[K, TwitchAudioError] = TLRUCache(max_entries, failure_ends, clock.monotonic)
        self._flights: dict[K, asyncio.Task[V]] = {}
        # Invalidated calls included, whose results only their present callers get.
        self._tasks: set[asyncio.Task[V]] = set()
        self._closed = False

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """A key's fresh value, or what `load` returns, which is called once for all waiting callers.

        Raises what `load` raises, and TwitchAudioError `busy` when too many calls are under way or the cache is
        closed.
        """
        entry = self._values.get(key)
        if entry is not None and self._clock.monotonic() < entry.fresh_until:
            return entry.value
        failure = self._failures.get(key)
        if failure is None:
            flight = self._flights.get(key)
            if flight is None or flight.done():
                flight = self._start(key, load)
            try:
                return await asyncio.shield(flight)
            except TwitchAudioError as error:
                failure = error
            except asyncio.CancelledError:
                caller = asyncio.current_task()
                if not flight.cancelled() or (caller is not None and caller.cancelling()):
                    raise
                raise _stopping() from None
        if isinstance(failure, UpstreamError):
            entry = self._values.get(key)
            if entry is not None and self._clock.monotonic() < entry.fresh_until + self._stale_seconds:
                return entry.value
        raise failure.fresh_copy() from failure

    def begin(self, key: K, load: Callable[[], Awaitable[V]]) -> None:
        """Begin what `get` would wait for, so that a caller who comes soon waits less. Raises nothing."""
        if self.fresh(key) is None and key not in self._failures and key not in self._flights:
            with contextlib.suppress(TwitchAudioError):
                self._start(key, load)

    def fresh(self, key: K) -> V | None:
        """The value while it is fresh, or None. Never starts a call."""
        entry = self._values.get(key)
        return entry.value if entry is not None and self._clock.monotonic() < entry.fresh_until else None

    def last(self, key: K) -> V | None:
        """The newest value of any age; None when there is none, or a later call failed. Never starts a call.

        A failure that `stale_seconds` bridges leaves the value.
        """
        entry = self._values.get(key)
        return None if entry is None else entry.value

    def invalidate(self, key: K) -> None:
        """Discard a key's value as wrong: the next caller loads it, even while another call is under way.

        Callers that wait for such a call still get its result; its value is not stored.
        """
        self.expire(key)
        self._flights.pop(key, None)

    def expire(self, key: K) -> None:
        """Load a key at the next `get`. A call that is under way counts as that load."""
        self._values.pop(key, None)
        self._failures.pop(key, None)

    def invalidate_all(self) -> None:
        """Does the same as `invalidate` for every key."""
        self._values.clear()
        self._failures.clear()
        self._flights.clear()

    async def close(self) -> None:
        """Cancel the calls under way and wait for them to end; callers that wait for one get `busy`."""
        self._closed = True
        await cancel_and_wait(*self._tasks)

    def _start(self, key: K, load: Callable[[], Awaitable[V]]) -> asyncio.Task[V]:
        if self._closed:
            raise _stopping()
        if len(self._tasks) >= self._max_entries:
            busy = "Too many ask at once. Try again in a moment."
            raise TwitchAudioError(ProblemCode.BUSY, busy, retry_after_seconds=5.0)
        flight = asyncio.create_task(self._load(key, load), name="single flight")
        self._flights[key] = flight
        self._tasks.add(flight)

        def ended(task: asyncio.Task[V]) -> None:
            self._tasks.discard(task)
            if self._flights.get(key) is task:
                del self._flights[key]
            # All callers may have left; then the exception is deliberately dropped.
            if not task.cancelled():
                task.exception()

        flight.add_done_callback(ended)
        return flight

    async def _load(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        started = self._clock.monotonic()
        try:
            value = await load()
        except TwitchAudioError as error:
            if self._flights.get(key) is asyncio.current_task():
                if not (self._stale_seconds and isinstance(error, UpstreamError)):
                    self._values.pop(key, None)
                self._failures[key] = error.fresh_copy()
            raise
        if self._flights.get(key) is asyncio.current_task():
            seconds = self._fresh_seconds
            fresh_until = started + (seconds(value) if callable(seconds) else seconds)
            if fresh_until > started:
                self._values[key] = _Entry(value, fresh_until)
            else:
                self._values.pop(key, None)
        return value


def _stopping() -> TwitchAudioError:
    return TwitchAudioError(
        ProblemCode.BUSY, "The server is stopping. Try again in a moment.", retry_after_seconds=5.0
    )
