"""What was heard of a broadcast before, as the stored answers tell it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.broadcasts import Broadcast
from fingerprint.domain.identification import Identification
from fingerprint.domain.targets import Target
from fingerprint.domain.time_line import Span, broadcast_of, span_of
from fingerprint.job_ports import JobStore

NEAR: Final = timedelta(minutes=2)
"""How long after a time what was heard then may have been asked for."""

NEAR_ANSWERS: Final = 10
"""How many answers are looked at."""


class HeardInAnswers:
    """The time lines that a store's answers make. Satisfies `fingerprint.job_ports.HeardBefore`."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    async def spans(self, broadcast: str, start: float, end: float) -> Sequence[Span]:
        """What was heard for the answers between two seconds of a broadcast. Raises TwitchAudioError `busy`."""
        answers = await self._store.heard(broadcast, start, end)
        return [span for span in map(span_of, answers) if span is not None]

    async def broadcast_at(self, login: str, at: datetime) -> Broadcast | None:
        """The broadcast of a channel that the answers around a time are of. Raises TwitchAudioError `busy`."""
        answers = await self._store.history(login, limit=NEAR_ANSWERS, before=at + NEAR)
        return next(
            (found for found in map(broadcast_of, answers) if found is not None and found.started_at <= at), None
        )

    async def answer(self, target: Target) -> Identification | None:
        """The newest finished answer for a target. Raises TwitchAudioError `busy`."""
        return await self._store.answer(target)
