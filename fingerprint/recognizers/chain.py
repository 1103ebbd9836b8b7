"""The configured recognizers as one: asked in order until one finds a song."""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self

from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import Stage
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Answer, Match, OnStage, Recognizer

RECOGNIZER_SECONDS: Final = 5.0
"""How long one recognizer may take for a few seconds of sound."""

LONG_SHARE: Final = 0.1
"""For a longer recording it may take this share of the recording's length more."""

PREPARE_THREADS: Final = 4
"""How many recordings are fingerprinted at once; the others wait their turn."""

WAYS_OUT: Final = (
    "Add music with `twitchaudio catalog add PATH`, or set the keys of a provider: "
    "ACRCLOUD_HOST, ACRCLOUD_ACCESS_KEY and ACRCLOUD_ACCESS_SECRET, or AUDD_API_TOKEN."
)

_log = logging.getLogger(__name__)


class RecognizerChain:
    """Asks recognizers in order. Satisfies `fingerprint.ports.Recognizers`.

    One that fails or takes too long is logged by name, and the next one is asked. "No match" is an answer: the
    next one may still know the song, and when none does, the answer is that of the first. It owns a thread pool:
    `close` it, or use it as an async context manager.
    """

    def __init__(
        self, recognizers: Sequence[Recognizer[Any]], *, recognizer_seconds: float = RECOGNIZER_SECONDS
    ) -> None:
        self._recognizers = tuple(recognizers)
        self._seconds = recognizer_seconds
        self._threads = ThreadPoolExecutor(PREPARE_THREADS, thread_name_prefix="prepare")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the threads, without waiting for what nobody waits for any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def unavailable(self) -> str | None:
        """None when at least one recognizer can answer; else what is missing and the ways out."""
        reasons: list[str] = []
        for recognizer in self._recognizers:
            reason = await self._reason(recognizer)
            if reason is None:
                return None
            reasons.append(reason)
        return " ".join(["Nothing can recognize music yet.", *reasons, WAYS_OUT])

    async def identify(self, recording: Recording, on_stage: OnStage) -> Answer:
        """Ask in order until one finds a song. Reports `fingerprinting` and `recognizing`.

        Raises TwitchAudioError `recognizer-unavailable` when none could answer.
        """
        seconds = self._seconds + LONG_SHARE * recording.pcm.duration_seconds
        fingerprint_ms = recognize_ms = 0.0
        answered: str | None = None
        problems: list[TwitchAudioError] = []
        reasons: list[str] = []
        for recognizer in self._recognizers:
            reason = await self._reason(recognizer)
            if reason is not None:
                reasons.append(reason)
                continue
            on_stage(Stage.FINGERPRINTING)
            started = prepared = time.perf_counter()
            matches: Sequence[Match] | None = None
            try:
                async with asyncio.timeout(seconds):
                    query = await asyncio.get_running_loop().run_in_executor(
                        self._threads, recognizer.prepare, recording
                    )
                    prepared = time.perf_counter()
                    on_stage(Stage.RECOGNIZING)
                    matches = await recognizer.recognize(query)
            except TimeoutError:
                problems.append(_too_slow(recognizer.name, seconds))
            except TwitchAudioError as error:
                problems.append(error)
                _log.warning(
                    "recognizer_failed",
                    extra={"recognizer": recognizer.name, "code": str(error.code), "detail": error.detail},
                )
            except Exception:  # noqa: BLE001 - a fault in one recognizer must not keep the others from answering
                problems.append(_broken(recognizer.name))
                _log.exception("recognizer_crashed", extra={"recognizer": recognizer.name})
            fingerprint_ms += (prepared - started) * 1000
            recognize_ms += (time.perf_counter() - prepared) * 1000
            if matches is None:
                continue
            answered = answered or recognizer.name
            if matches:
                return Answer(
                    matches=matches,
                    recognizer=recognizer.name,
                    fingerprint_ms=fingerprint_ms,
                    recognize_ms=recognize_ms,
                )
        if answered is not None:
            return Answer(
                matches=(), recognizer=answered, fingerprint_ms=fingerprint_ms, recognize_ms=recognize_ms
            )
        raise _nobody(problems, reasons)

    async def _reason(self, recognizer: Recognizer[Any]) -> str | None:
        """Why a recognizer cannot answer. One whose state is unknown is asked: then it fails, or it does not."""
        try:
            async with asyncio.timeout(self._seconds):
                return await recognizer.unavailable()
        except Exception:  # noqa: BLE001 - as above
            _log.exception("recognizer_state_unknown", extra={"recognizer": recognizer.name})
            return None


def _too_slow(name: str, seconds: float) -> TwitchAudioError:
    _log.warning("recognizer_timed_out", extra={"recognizer": name, "seconds": seconds})
    return TwitchAudioError(
        ProblemCode.TIMEOUT,
        f"The recognizer {name} did not answer within {seconds:.0f} s.",
        retry_after_seconds=10.0,
    )


def _broken(name: str) -> TwitchAudioError:
    return TwitchAudioError(ProblemCode.INTERNAL, f"The recognizer {name} failed; the log says why.")


def _nobody(problems: Sequence[TwitchAudioError], reasons: Sequence[str]) -> TwitchAudioError:
    """The error when none could answer: no sound, when that is the only reason; else which failed and why."""
    if not problems:
        text = " ".join(["Nothing can recognize music yet.", *reasons, WAYS_OUT])
        return TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, text)
    if all(problem.code is ProblemCode.NO_AUDIO for problem in problems):
        return problems[0]
    waits = [problem.retry_after_seconds for problem in problems if problem.retry_after_seconds is not None]
    return TwitchAudioError(
        ProblemCode.RECOGNIZER_UNAVAILABLE,
        " ".join(problem.detail for problem in problems),
        retry_after_seconds=min(waits, default=None),
    )
