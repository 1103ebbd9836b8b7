"""What was heard of a broadcast before, as the stored answers tell it."""

from collections.abc import Sequence

from fingerprint.domain.identification import Identification
from fingerprint.domain.targets import Target
from fingerprint.domain.time_line import Span, span_of
from fingerprint.ports import JobStore


class HeardInAnswers:
    """The time lines that a store's answers make. Satisfies `fingerprint.ports.HeardBefore`."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    async def spans(self, broadcast: str, start: float, end: float) -> Sequence[Span]:
        """What was heard for the answers between two seconds of a broadcast. Raises TwitchAudioError `busy`."""
        answers = await self._store.heard(broadcast, start, end)
        return [span for span in map(span_of, answers) if span is not None]

    async def answer(self, target: Target) -> Identification | None:
        """The newest finished answer for a target. Raises TwitchAudioError `busy`."""
        return await self._store.answer(target)
