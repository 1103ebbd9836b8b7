"""Asks Twitch about everything once an hour, so that an operator learns of a change before viewers do."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Self

from fingerprint.background import Background
from fingerprint.canary import Canary
from fingerprint.domain.targets import Target
from fingerprint.ports import Clock
from fingerprint.step_report import CanaryReport, Outcome
from fingerprint.tasks import cancel_and_wait
from server.observability import Metrics

EVERY_SECONDS: Final = 3_600.0
FIRST_SECONDS: Final = 20.0
"""The first time comes so long after the start, when the server has other things to do."""

_log = logging.getLogger(__name__)


class TwitchCanary:
    """Runs the canary while it is open, unless there are no targets. An async context manager."""

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        open_canary: Callable[[], AbstractAsyncContextManager[Canary]],
        clock: Clock,
        metrics: Metrics,
        first_seconds: float = FIRST_SECONDS,
        background: Background | None = None,
    ) -> None:
        self._targets = targets
        self._open_canary = open_canary
        self._clock = clock
        self._background = background or Background(clock)
        self._wait_seconds = first_seconds
        self._loop: asyncio.Task[None] | None = None
        self.newest: CanaryReport | None = None
        """The newest report; None before the first one, and without targets."""
        if targets:
            self._steps = metrics.counter(
                "twitchaudio_canary_steps_total", "Steps of the hourly check of Twitch.", "step", "outcome"
            )
            metrics.gauge(
                "twitchaudio_canary_failed_steps",
                "Steps that failed in the newest check of Twitch.",
                lambda: 0 if self.newest is None else len(self.newest.failed),
            )
            metrics.gauge(
                "twitchaudio_canary_timestamp_seconds",
                "When Twitch was checked last, in Unix time.",
                lambda: 0 if self.newest is None else round(self.newest.at.timestamp()),
            )

    @property
    def is_on(self) -> bool:
        """Whether the settings name something to ask about."""
        return bool(self._targets)

    async def __aenter__(self) -> Self:
        if self._targets:
            self._loop = self._background.start("check Twitch", self._run)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await cancel_and_wait(self._loop)

    async def check(self) -> CanaryReport:
        """Ask Twitch now, and count and log the outcome of each step."""
        async with self._open_canary() as canary:
            report = self.newest = await canary.check(self._targets)
        for step in report.steps:
            self._steps.add(step.step, str(step.outcome))
            if step.outcome in (Outcome.FAILED, Outcome.DIFFERS):
                write = _log.error if step.outcome is Outcome.FAILED else _log.warning
                write("twitch_canary", extra={"step": step.step, "outcome": step.outcome, "notes": step.notes})
        return report

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(self._wait_seconds)
            # Spread over several servers and workers, which would otherwise all ask at the same time.
            self._wait_seconds = EVERY_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
            await self.check()
