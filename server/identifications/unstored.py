"""Answers that were given before they could be stored: they are kept, and stored once the store is back."""

import asyncio
import logging
import random
from typing import Final

from fingerprint.domain.identification import Identification, IdentificationId
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.job_ports import JobStore, Lease
from fingerprint.ports import Clock
from fingerprint.tasks import cancel_and_wait
from server.observability import Metrics

MAX_KEPT: Final = 1_000
KEEP_SECONDS: Final = 600.0
RETRY_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


class UnstoredAnswers:
    """Keeps such answers in memory while it retries to store them; what is not stored in time is counted as lost.

    Nothing of another owner is overwritten: the store refuses the write once the target is claimed again.
    """

    def __init__(self, store: JobStore, *, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._answers: dict[IdentificationId, Identification] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost = metrics.counter(
            "twitchaudio_answers_lost_total", "Answers that were given but could not be stored.", "kind"
        )
        self._late = metrics.counter(
            "twitchaudio_answers_stored_late_total", "Answers that were stored after they had been given.", "kind"
        )
        metrics.gauge(
            "twitchaudio_answers_unstored", "Answers that wait to be stored.", lambda: len(self._answers)
        )

    def find(self, identification_id: IdentificationId) -> Identification | None:
        """An answer that waits to be stored."""
        return self._answers.get(identification_id)

    def keep(self, lease: Lease, answer: Identification) -> None:
        """Keep an answer, and store it as soon as the store can be reached."""
        if len(self._answers) >= MAX_KEPT:
            self._count_lost(answer)
            return
        self._answers[answer.id] = answer
        task = asyncio.create_task(self._store_late(lease, answer), name="store an answer late")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop retrying: what is not stored by now is lost."""
        await cancel_and_wait(*self._tasks)

    async def _store_late(self, lease: Lease, answer: Identification) -> None:
        is_failing = stored = False
        until = self._clock.monotonic() + KEEP_SECONDS
        try:
            while self._clock.monotonic() < until:
                await self._clock.sleep(RETRY_SECONDS * random.uniform(0.7, 1.0))  # noqa: S311 - jitter
                try:
                    stored = await self._store.finish(lease, answer)
                    break
                except Exception as error:  # noqa: BLE001 - whatever it was, the next try may go better
                    if not isinstance(error, TwitchAudioError) and not is_failing:
                        _log.exception("answer_not_stored", extra={"job_id": answer.id})
                        is_failing = True
        finally:
            del self._answers[answer.id]
            if stored:
                self._late.add(answer.kind)
                _log.info("answer_stored_late", extra={"job_id": answer.id})
            else:
                self._count_lost(answer)

    def _count_lost(self, answer: Identification) -> None:
        self._lost.add(answer.kind)
        _log.error("answer_lost", extra={"job_id": answer.id, "kind": str(answer.kind)})
