"""Hosts that asked for a pause, with 429 or with 503 and `Retry-After`: no call is made before it is over."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from fingerprint.ports import Clock
from fingerprint.retry import job_budget, seconds_left

FIRST_PAUSE_SECONDS: Final = 1.0
"""The pause after a 429 that names none; it doubles with each further one."""

MAX_PAUSE_SECONDS: Final = 3_600.0
"""The longest pause; a host that asks for more is asked again after this one."""

MAX_WAIT_OUTSIDE_JOBS: Final = 2.5
_REQUEST_SECONDS: Final = 2.0
"""What is kept of a job's time for the request after the wait, and for what comes after it."""

_MAX_HOSTS: Final = 500


class HostPausedError(Exception):
    """The host wants no request for `seconds`, which is longer than the caller can wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no request for {seconds:.1f} s")
        self.seconds = seconds


@dataclass(slots=True)
class _Pause:
    until: float
    refusals: int = 1
    probe: asyncio.Event | None = None
    """Set when the one request after the pause has an outcome; None while there is no such request."""


class HostPauses:
    """The pauses of the hosts that one fetcher calls.

    A caller waits for the end of a pause where its job has the time, and fails at once where it has not. After a
    pause one request goes first; the others wait for its outcome.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock: Final = clock
        self._pauses: LRUCache[str, _Pause] = LRUCache(_MAX_HOSTS)

    def paused_seconds(self, host: str) -> float:
        """Seconds until the host may be called again; 0 when it may be called now."""
        pause = self._pauses.get(host)
        return 0.0 if pause is None else max(0.0, pause.until - self.clock.monotonic())

    def may_wait(self, host: str) -> bool:
        """Whether the caller may wait for the end of the host's pause: it leaves time for a request, and the host
        has not refused this job again after an earlier pause.
        """
        job, left = job_budget(), seconds_left()
        if job is not None and host in job.refused_again:
            return False
        return self.paused_seconds(host) <= (MAX_WAIT_OUTSIDE_JOBS if left is None else left - _REQUEST_SECONDS)

    @asynccontextmanager
    async def turn(self, host: str, *, waits: bool = True) -> AsyncGenerator[None]:
        """Run the block, which makes one request, when the host may be called. Raises HostPausedError."""
        while (pause := self._pauses.get(host)) is not None:
            refusals, seconds = pause.refusals, self.paused_seconds(host)
            if not seconds and pause.probe is None:
                break
            if not waits or not self.may_wait(host):
                raise HostPausedError(max(seconds, FIRST_PAUSE_SECONDS))
            if seconds:
                await self.clock.sleep(seconds)
            elif pause.probe is not None:
                await pause.probe.wait()
            if pause.refusals != refusals:
                raise HostPausedError(max(self.paused_seconds(host), FIRST_PAUSE_SECONDS))
        if pause is None:
            yield
            return
        probe = pause.probe = asyncio.Event()
        try:
            yield
        finally:
            pause.probe = None
            probe.set()

    def record_refusal(self, host: str, *, sent_at: float, retry_after: float) -> None:
        """Record that the host refused a request sent at `sent_at`, for `retry_after` seconds; 0: it does not say.

        Refusals of requests that were already under way when the pause began count as one.
        """
        now = self.clock.monotonic()
        pause = self._pauses.get(host)
        if pause is None:
            pause = _Pause(now)
        elif sent_at >= pause.until:
            pause.refusals += 1
            if (job := job_budget()) is not None:
                job.refused_again.add(host)
        seconds = retry_after or FIRST_PAUSE_SECONDS * 2 ** min(pause.refusals - 1, 12)
        pause.until = max(pause.until, now + min(seconds, MAX_PAUSE_SECONDS))
        self._pauses[host] = pause

    def record_answer(self, host: str) -> None:
        """Record that the host answered, which ends its pause."""
        self._pauses.pop(host, None)
