"""Work that goes on in the background for as long as a process runs, and one rule for all of it.

An unexpected error ends none of it silently: it is logged once, the work is begun again after a wait that doubles
each time, and meanwhile `Background.failing` names it.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.tasks import cancel_and_wait

FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 60.0
MIN_PAUSE_SECONDS: Final = 0.05
PAUSE_RATIO: Final = 4.0
WELL_SECONDS: Final = 30.0
"""Work that has gone on for this long since it was begun again counts as well."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Failure:
    """What has ended some work unexpectedly, and when it was begun again; None while that is waited for."""

    error: str
    begun_again_at: float | None = None


class Background:
    """The background work of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, _Failure] = {}

    @property
    def failing(self) -> Mapping[str, str]:
        """By name of the work: the error that ended it, until it has gone well again for `WELL_SECONDS`."""
        now = self._clock.monotonic()
        return {
            name: failure.error
            for name, failure in self._failures.items()
            if failure.begun_again_at is None or now - failure.begun_again_at < WELL_SECONDS
        }

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """A task that does `work` until it returns or the task is cancelled, which is up to its owner.

        `work` is called again when it raises, so it must leave nothing half done then.
        """
        return asyncio.create_task(self._keep_going(name, work), name=name)

    @asynccontextmanager
    async def running(self, work: Mapping[str, Callable[[], Awaitable[None]]]) -> AsyncGenerator[None]:
        """Do all of this work, by its name, while the block runs; as `start` does."""
        tasks = [self.start(name, each) for name, each in work.items()]
        try:
            yield
        finally:
            await cancel_and_wait(*tasks)

    async def _keep_going(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        wait = FIRST_WAIT_SECONDS
        try:
            while True:
                begun_at = self._clock.monotonic()
                try:
                    return await work()
                except Exception as error:  # noqa: BLE001 - whatever it was, the work has to go on
                    if self._clock.monotonic() - begun_at >= WELL_SECONDS:
                        wait = FIRST_WAIT_SECONDS
                    self._note(name, error)
                await self._clock.sleep(wait * random.uniform(0.8, 1.0))  # noqa: S311 - jitter
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
                self._failures[name].begun_again_at = self._clock.monotonic()
        finally:
            self._failures.pop(name, None)

    def _note(self, name: str, error: Exception) -> None:
        kind = type(error).__name__
        if self.failing.get(name) != kind:
            _log.error("background_work_failed", exc_info=error, extra={"work": name})
        self._failures[name] = _Failure(kind)


@contextmanager
def passing(log: logging.Logger, event: str) -> Generator[None]:
    """Log a problem in the block as `event`: what is done there is tried again later."""
    try:
        yield
    except TwitchAudioError as error:
        log.info(event, extra={"code": str(error.code)})


def log_unexpected(task: asyncio.Task[Any]) -> None:
    """A done callback of tasks that nothing awaits: an error in one is logged."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("task_failed", exc_info=error, extra={"work": task.get_name()})


@asynccontextmanager
async def unhurried(clock: Clock, *, pause_ratio: float = PAUSE_RATIO) -> AsyncGenerator[None]:
    """Do a step of long work in the block, then pause for four times as long as it took, or `pause_ratio` times.

    Requests then have the database for most of the time, also when it is slow.
    """
    began_at = clock.monotonic()
    yield
    await clock.sleep(max(MIN_PAUSE_SECONDS, pause_ratio * (clock.monotonic() - began_at)))
