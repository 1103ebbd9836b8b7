"""The hourly check of Twitch: when it runs, and that nothing it meets ends it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from fingerprint.canary import Canary
from fingerprint.domain.targets import ChannelTarget, Target
from fingerprint.step_report import CanaryReport, Outcome, StepResult
from server.canary import EVERY_SECONDS, TwitchCanary
from server.observability import Metrics
from tests.builders import NOON
from tests.fakes import FakeClock

pytestmark = pytest.mark.unit

TARGETS = (ChannelTarget("ladder"),)


class Checks:
    """Stands for the canary: each check gives the next of its reports, or raises it."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.count = 0

    async def check(self, _targets: Sequence[Target]) -> CanaryReport:
        self.count += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        step = StepResult(step="playlist", outcome=outcome, notes=("unknown title",))
        return CanaryReport(at=NOON, targets=("stream ladder",), steps=(step,))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Canary]:
        yield cast("Any", self)


def failed(canary: TwitchCanary) -> list[str] | None:
    """The steps that failed in the newest report, if there is one."""
    return None if canary.newest is None else [step.step for step in canary.newest.failed]


async def hour(clock: FakeClock, seconds: float = EVERY_SECONDS * 1.2) -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    await clock.advance(seconds)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_asks_soon_after_the_start_and_then_each_hour_whatever_happens() -> None:
    clock, metrics = FakeClock(), Metrics()
    checks = Checks(Outcome.OK, ValueError("broken"), Outcome.FAILED)
    async with TwitchCanary(TARGETS, open_canary=checks.open, clock=clock, metrics=metrics) as canary:
        assert failed(canary) is None
        await hour(clock, 60)
        assert checks.count == 1
        await hour(clock, 60)
        assert checks.count == 1
        await hour(clock)
        assert checks.count == 2
        # What is broken is not asked sooner.
        await hour(clock, 60)
        assert checks.count == 2
        await hour(clock)
        assert checks.count == 3
        assert failed(canary) == ["playlist"]
    text = metrics.render()
    assert 'twitchaudio_canary_steps_total{step="playlist",outcome="failed"} 1' in text
    assert "twitchaudio_canary_failed_steps 1" in text
    assert f"twitchaudio_canary_timestamp_seconds {NOON.timestamp():.0f}" in text


async def test_without_targets_nothing_runs_and_no_metric_is_there() -> None:
    clock, metrics, checks = FakeClock(), Metrics(), Checks()
    async with TwitchCanary((), open_canary=checks.open, clock=clock, metrics=metrics) as canary:
        await hour(clock)
        assert not canary.is_on
    assert checks.count == 0
    assert "canary" not in metrics.render()
