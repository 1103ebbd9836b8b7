"""The takes of one job so far, and what the recognizers answered about them."""

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fingerprint.domain.audio import Recording
from fingerprint.ports import (
    Recognition,
)


@dataclass(frozen=True, slots=True)
class TakesSoFar:
    """The takes that were captured, and what the recognizers answered about them.

    With a match, `recording` is where it was found; without one, `started_at` and `seconds` tell how much was
    listened to in all.
    """

    recording: Recording
    answer: Recognition
    further_capture_ms: float = 0.0
    spans: tuple[tuple[datetime, float], ...] = ()

    def with_take(self, recording: Recording, answer: Recognition, capture_ms: float) -> "TakesSoFar":
        """A copy with one more take. Times add up."""
        added = dataclasses.replace(
            answer,
            recognizer=answer.recognizer if answer.matches else self.answer.recognizer,
            fingerprint_ms=self.answer.fingerprint_ms + answer.fingerprint_ms,
            recognize_ms=self.answer.recognize_ms + answer.recognize_ms,
        )
        return TakesSoFar(recording, added, self.further_capture_ms + capture_ms, self._all_spans())

    @property
    def started_at(self) -> datetime | None:
        """The time of the first sample, where known."""
        if self.answer.matches:
            return self.recording.started_at
        return min((start for start, _ in self._all_spans()), default=None)

    @property
    def seconds(self) -> float:
        """The length of the sound in seconds; sound that several takes share counts once."""
        if self.answer.matches or len(self._all_spans()) < 2:
            return self.recording.pcm.duration_seconds
        total, until = 0.0, datetime.min.replace(tzinfo=UTC)
        for start, seconds in sorted(self._all_spans()):
            end = start + timedelta(seconds=seconds)
            total += max(0.0, (end - max(start, until)).total_seconds())
            until = max(until, end)
        return total

    def _all_spans(self) -> tuple[tuple[datetime, float], ...]:
        start = self.recording.started_at
        own = () if start is None else ((start, self.recording.pcm.duration_seconds),)
        return self.spans + own
