"""Whether the server can do its work: each part of it is tried for real, and the result counts for some seconds.

Reading alone proves too little: with a full disk, a database that takes no writes or a decoder that cannot start,
every job fails although each part answers.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.tasks import Closing, cancel_and_wait

FRESH_SECONDS: Final = 1.0
"""How long a result counts, so that asking often costs nothing."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one part of the server is tried. `attempt` raises TwitchAudioError, with advice for the operator."""

    name: str
    attempt: Callable[[], Awaitable[None]]
    silent: str
    """What to say when it does not answer."""
    seconds: float
    required: bool = True
    fresh_seconds: float = FRESH_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """What came of the newest trial of a part, and the last error, which may be over."""

    ready: bool
    required: bool
    detail: str | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None


class _Part:
    """One part, its newest state, and the trial under way, which all callers share."""

    def __init__(self, trial: Trial, clock: Clock) -> None:
        self._trial = trial
        self._clock = clock
        self._state: PartState | None = None
        self._fresh_until = -math.inf
        self.task: asyncio.Task[PartState] | None = None

    async def state(self, wait_seconds: float) -> PartState:
        """The fresh state, or the previous one when the trial takes longer than `wait_seconds` seconds."""
        if self.task is None:
            if self._state is not None and self._clock.monotonic() < self._fresh_until:
                return self._state
            self.task = asyncio.create_task(self._try(), name=f"try {self._trial.name}")
        await asyncio.wait({self.task}, timeout=None if self._state is None else wait_seconds)
        assert self._state is not None, "the first trial was awaited"
        return self._state

    async def _try(self) -> PartState:
        problem: str | None = None
        try:
            async with asyncio.timeout(self._trial.seconds):
                await self._trial.attempt()
        except TwitchAudioError as error:
            problem = error.detail
        except TimeoutError:
            problem = self._trial.silent
        except Exception as error:  # noqa: BLE001 - a trial that breaks down is an answer, too
            _log.exception("trial_failed", extra={"part": self._trial.name})
            problem = f"This could not be tried: {type(error).__name__}. The log says more."
        finally:
            self.task = None
        before = self._state
        failed_at = None if problem is None else self._clock.now()
        self._state = PartState(
            ready=problem is None,
            required=self._trial.required,
            detail=problem,
            last_error=problem or (before and before.last_error),
            last_error_at=failed_at or (before and before.last_error_at),
        )
        seconds = FRESH_SECONDS if problem else self._trial.fresh_seconds
        self._fresh_until = self._clock.monotonic() + seconds
        return self._state


class Readiness(Closing):
    """The states of all parts. An async context manager that owns the trials under way."""

    def __init__(self, trials: Iterable[Trial], *, clock: Clock, wait_seconds: float) -> None:
        self._parts = {trial.name: _Part(trial, clock) for trial in trials}
        self._wait_seconds = wait_seconds

    async def close(self) -> None:
        await cancel_and_wait(*(part.task for part in self._parts.values()))

    async def states(self) -> Mapping[str, PartState]:
        """The state of each part by name, at most some seconds old."""
        found = await asyncio.gather(*(part.state(self._wait_seconds) for part in self._parts.values()))
        return dict(zip(self._parts, found, strict=True))


# --- What is tried --------------------------------------------------------------------------------------
