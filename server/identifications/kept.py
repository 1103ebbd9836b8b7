"""Answers kept in memory for a moment, so that a herd on one target costs the store and Twitch one question."""

from fingerprint.domain.identification import Identification
from fingerprint.ports import Clock


class KeptAnswers:
    """A bounded number of answers, each for some seconds. Times are monotonic."""

    def __init__(self, clock: Clock, *, most: int) -> None:
        self._clock = clock
        self._most = most
        self._answers: dict[str, tuple[float, Identification]] = {}

    def get(self, key: str) -> Identification | None:
        """The answer kept for a target's key, while its time lasts."""
        kept = self._answers.get(key)
        return kept[1] if kept is not None and self._clock.monotonic() < kept[0] else None

    def drop(self, key: str) -> None:
        """Forget what is kept for a target's key."""
        self._answers.pop(key, None)

    def put(self, key: str, answer: Identification, seconds: float) -> None:
        """Keep an answer, unless there are too many already whose time still lasts."""
        now = self._clock.monotonic()
        if len(self._answers) >= self._most:
            self._answers = {other: kept for other, kept in self._answers.items() if now < kept[0]}
        if len(self._answers) < self._most:
            self._answers[key] = (now + seconds, answer)
