"""The results of checks that are made step by step, as text and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What came of a step. Only `failed` is trouble: `differs` still works, but not as it was recorded."""

    OK = "ok"
    DIFFERS = "differs"
    FAILED = "failed"
    SKIPPED = "skipped"


Verdict = tuple[Outcome, tuple[str, ...]]
"""What came of a step, and what is worth saying about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """A step's outcome, its time in seconds, and what there is to say about it, without secrets."""

    step: str
    outcome: Outcome
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """The steps in their order."""

    at: datetime
    targets: tuple[str, ...]
    steps: tuple[StepResult, ...]

    @property
    def failed(self) -> tuple[StepResult, ...]:
        """The steps that failed."""
        return tuple(step for step in self.steps if step.outcome is Outcome.FAILED)

    def lines(self) -> Iterator[str]:
        """The report as lines of text."""
        yield f"Twitch, asked about {', '.join(self.targets)} on {self.at:%Y-%m-%d %H:%M} UTC"
        yield from step_lines(self.steps)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "targets": list(self.targets),
            "ok": not self.failed,
            "steps": steps_json(self.steps),
        }


def step_lines(steps: Sequence[StepResult]) -> Iterator[str]:
    """Steps as lines of text, with a count of their outcomes at the end."""
    for step in steps:
        yield f"{step.outcome:<8} {step.step:<36} {step.seconds:6.2f} s"
        yield from (f"         {note}" for note in step.notes)
    counts = {outcome: sum(step.outcome is outcome for step in steps) for outcome in Outcome}
    yield ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)


def steps_json(steps: Sequence[StepResult]) -> list[dict[str, Any]]:
    """Steps as JSON."""
    return [
        {
            "step": step.step,
            "outcome": str(step.outcome),
            "seconds": round(step.seconds, 3),
            "notes": list(step.notes),
        }
        for step in steps
    ]
