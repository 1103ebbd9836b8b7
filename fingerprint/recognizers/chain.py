"""The configured recognizers as one: asked in order until one finds a song, or all at once."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fingerprint.catalog.heard_landmarks import landmarks_of_sound
from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import Stage
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Match, OnStage, Recognition, Recognizer
from fingerprint.providers.agreement import merge_agreeing
from fingerprint.providers.errors import ProviderError
from fingerprint.providers.guard import ProviderGuard, Suspension
from fingerprint.providers.parts import Part, merge_matches, split_recording
from fingerprint.standstill import STOOD_STILL_SECONDS
from fingerprint.tasks import Closing, running_tasks

RECOGNIZER_SECONDS: Final = 5.0
"""The time limit of one recognizer for a few seconds of sound, from when it begins to work on it."""

LONG_SHARE: Final = 0.1
"""A recognizer's additional time for a longer recording, as a share of the recording's length."""

PREPARE_THREADS: Final = 4
"""How many recordings are fingerprinted at the same time; others wait."""

LANDMARKS_SECONDS: Final = 0.5
"""How long a provider's answer waits for the sound's landmarks, which take some ms from when it was asked."""

AGREEMENT_SECONDS: Final = 1.0
"""When all are asked at once: how long after the first match the others may still agree."""

WAYS_OUT: Final = (
    "Add music with `twitchaudio catalog add PATH`, or set the keys of a provider: "
    "ACRCLOUD_HOST, ACRCLOUD_ACCESS_KEY and ACRCLOUD_ACCESS_SECRET, or AUDD_API_TOKEN."
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A recognizer in a chain, with the guard of its provider; `guard` is None when the recognizer costs nothing.

    `max_parts`: the most parts of a long recording that it is asked about, at the same time; None when it uses
    the whole recording by itself. `min_score`: below it, its match is no match; 0 to 1. `limits_itself`: it
    limits its own work, so the chain waits for as long as the job lasts: what works on this machine takes longer
    when many ask, and a later answer is better than none.
    """

    recognizer: Recognizer[Any]
    guard: ProviderGuard | None = None
    max_parts: int | None = None
    min_score: float = 0.0
    limits_itself: bool = False


Choose = Callable[[Sequence[Member]], Awaitable[Sequence[Member]]]
"""Those of a chain's members that are asked now, in their order. Fast, and raises nothing."""


@dataclass(slots=True)
class _Attempt:
    """The outcome of asking one recognizer. `matches` is None when it gave no answer."""

    name: str
    matches: Sequence[Match] | None = None
    error: TwitchAudioError | None = None
    suspension: Suspension | None = None
    missing: str | None = None
    fingerprint_ms: float = 0.0
    recognize_ms: float = 0.0


@dataclass(slots=True)
class _Tally:
    """All attempts for one recording."""

    asked: list[_Attempt] = field(default_factory=list[_Attempt])

    def answer(self, found: _Attempt | None) -> Recognition:
        """The answer: the match, otherwise the first "no match". Raises when no recognizer could answer."""
        answered = found or next((one for one in self.asked if one.matches is not None), None)
        if answered is None:
            raise _no_answer(self.asked)
        return Recognition(
            matches=answered.matches or (),
            recognizer=answered.name,
            fingerprint_ms=sum(one.fingerprint_ms for one in self.asked),
            recognize_ms=sum(one.recognize_ms for one in self.asked),
        )


class RecognizerChain(Closing):
    """Asks recognizers in order, or `together`. Satisfies `fingerprint.ports.Recognizers`.

    One that fails or takes too long is logged by name, and the next one is asked. "No match" is an answer: the
    next one may still know the song, and when none does, the answer is that of the first. One whose circuit is
    open or that is over its budget is skipped. It owns a thread pool: `close` it, or use it as an async context
    manager. `choose`: says for each recording which of them are asked; by default all, in their order.
    """

    def __init__(
        self,
        recognizers: Sequence[Recognizer[Any] | Member],
        *,
        recognizer_seconds: float = RECOGNIZER_SECONDS,
        together: bool = False,
        choose: Choose | None = None,
    ) -> None:
        self._choose = choose
        self._members = [each if isinstance(each, Member) else Member(each) for each in recognizers]
        self._seconds = recognizer_seconds
        self._together = together
        self._threads = ThreadPoolExecutor(PREPARE_THREADS, thread_name_prefix="prepare")

    async def close(self) -> None:
        """End the threads, without waiting for the work under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def unavailable_reason(self) -> str | None:
        """None when at least one recognizer can answer; otherwise what is missing and how to add it."""
        asked: list[_Attempt] = []
        for member in await self._chosen():
            kept = await self._not_asked(member)
            if kept is None:
                return None
            asked.append(kept)
        return _no_answer(asked).detail

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        """Ask until one finds a song. Reports `fingerprinting` and `recognizing`.

        Raises TwitchAudioError `recognizer-unavailable` when none could answer.
        """
        members = await self._chosen()
        if self._together and len(members) > 1:
            return await self._identify_together(members, recording, on_stage)
        tally = _Tally()
        for member in members:
            asked = await self._ask(member, recording, on_stage)
            tally.asked.append(asked)
            if asked.matches:
                return tally.answer(asked)
        return tally.answer(None)

    async def _chosen(self) -> Sequence[Member]:
        return self._members if self._choose is None else await self._choose(self._members)

    async def _identify_together(
        self, members: Sequence[Member], recording: Recording, on_stage: OnStage
    ) -> Recognition:
        """Ask all at once: the first match wins, and others may confirm it for a moment."""
        places = {member.recognizer.name: number for number, member in enumerate(members)}

        def place(asked: _Attempt) -> int:
            return places[asked.name]

        tally = _Tally()
        found: _Attempt | None = None
        async with running_tasks([self._ask(member, recording, on_stage) for member in members]) as tasks:
            left = set(tasks)
            until: float | None = None
            while left:
                patience = None if until is None else max(0.0, until - time.monotonic())
                done, _ = await asyncio.wait(left, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                left -= done
                # In the order of the settings when several end at once.
                for asked in sorted((task.result() for task in done), key=place):
                    tally.asked.append(asked)
                    if found is None and asked.matches:
                        found = asked
                        until = time.monotonic() + AGREEMENT_SECONDS
                    elif found is not None and asked.matches:
                        found.matches = merge_agreeing(found.matches or (), asked.matches)
        answer = tally.answer(found)
        # They ran at the same time.
        return replace(
            answer,
            fingerprint_ms=max(one.fingerprint_ms for one in tally.asked),
            recognize_ms=max(one.recognize_ms for one in tally.asked),
        )

    async def _ask(self, member: Member, recording: Recording, on_stage: OnStage) -> _Attempt:
        """Ask one recognizer; every outcome but cancellation is in the returned attempt."""
        kept = await self._not_asked(member)
        if kept is not None:
            return kept
        seconds = self._seconds + LONG_SHARE * recording.pcm.duration_seconds
        if member.max_parts is None:
            asked = await self._ask_once(member, recording, seconds, on_stage)
        else:
            parts = split_recording(recording, member.max_parts)
            told = _once_each(on_stage)
            questions = [self._ask_once(member, part.recording, seconds, told) for part in parts]
            asked = _joined(parts, await asyncio.gather(*questions))
        guard = member.guard
        if isinstance(asked.error, StoodStillError):
            pass  # it had no chance
        elif guard is not None and asked.error is not None:
            guard.record_failure(asked.error)
        elif guard is not None:
            guard.record_success()
        return asked

    async def _ask_once(self, member: Member, recording: Recording, seconds: float, on_stage: OnStage) -> _Attempt:
        """Ask one question. Raises nothing but cancellation."""
        recognizer, guard = member.recognizer, member.guard
        asked = _Attempt(recognizer.name)
        on_stage(Stage.FINGERPRINTING)
        loop = asyncio.get_running_loop()
        began = loop.time()
        started = prepared = time.perf_counter()
        preparing: asyncio.Future[Any] | None = None
        try:
            preparing, begun = self._begin_to_prepare(recognizer, recording)
            # Not within the time limit, which is for the recognizer, not for those that are served before.
            await begun.wait()
            began = loop.time()
            async with asyncio.timeout(None if member.limits_itself else seconds):
                query = await preparing
                prepared = time.perf_counter()
                if guard is not None:
                    await guard.count_question()
                on_stage(Stage.RECOGNIZING)
                # While a provider is asked, so that it takes no time of the answer.
                drawing = None if guard is None else loop.run_in_executor(self._threads, _landmarks, recording)
                matches = await recognizer.recognize(query)
                asked.matches = [match for match in matches if match.score >= member.min_score]
                if drawing is not None and asked.matches:
                    asked.matches = await _with_landmarks(asked.matches, drawing)
        except TimeoutError:
            # One that ends this late, and after twice its time, says that the process stood still.
            late = loop.time() - began - seconds
            stood_still = late > max(seconds, STOOD_STILL_SECONDS)
            asked.error = _stood_still() if stood_still else _too_slow(recognizer.name, seconds)
        except TwitchAudioError as error:
            asked.error = error
            _log.warning("recognizer_failed", extra=_facts(recognizer.name, error))
        except Exception:  # noqa: BLE001 - a fault in one recognizer must not keep the others from answering
            asked.error = _broken(recognizer.name)
            _log.exception("recognizer_crashed", extra={"recognizer": recognizer.name})
        finally:
            if preparing is not None:
                preparing.cancel()
        asked.fingerprint_ms = (prepared - started) * 1000
        asked.recognize_ms = (time.perf_counter() - prepared) * 1000
        return asked

    def _begin_to_prepare(
        self, recognizer: Recognizer[Any], recording: Recording
    ) -> tuple[asyncio.Future[Any], asyncio.Event]:
        """The fingerprint that a thread computes, and an event that is set when it begins, or never will."""
        loop = asyncio.get_running_loop()
        begun = asyncio.Event()

        def prepare() -> Any:
            loop.call_soon_threadsafe(begun.set)
            return recognizer.prepare(recording)

        preparing = loop.run_in_executor(self._threads, prepare)
        preparing.add_done_callback(lambda _: begun.set())
        return preparing, begun

    async def _not_asked(self, member: Member) -> _Attempt | None:
        """Why a recognizer must not be asked, as an attempt; None when it can be.

        One whose state is unknown is asked, and may fail.
        """
        name = member.recognizer.name
        suspension = None if member.guard is None else member.guard.suspension()
        if suspension is not None:
            return _Attempt(name, suspension=suspension)
        try:
            async with asyncio.timeout(self._seconds):
                missing = await member.recognizer.unavailable_reason()
        except Exception:  # noqa: BLE001 - as above
            _log.exception("recognizer_state_unknown", extra={"recognizer": name})
            return None
        return None if missing is None else _Attempt(name, missing=missing)


def _landmarks(recording: Recording) -> str:
    """The landmarks that a provider's song is drawn of; empty when that fails, which costs no answer."""
    try:
        return landmarks_of_sound(recording.pcm)
    except Exception:  # noqa: BLE001 - it is a decoration
        _log.exception("landmarks_failed")
        return ""


async def _with_landmarks(matches: Sequence[Match], drawing: asyncio.Future[str]) -> Sequence[Match]:
    """The matches with the landmarks of the sound, where their songs have none; as they are if that takes long."""
    await asyncio.wait([drawing], timeout=LANDMARKS_SECONDS)
    landmarks = drawing.result() if drawing.done() else ""
    return [
        replace(match, song=replace(match.song, landmarks=match.song.landmarks or landmarks or None))
        for match in matches
    ]


# --- Parts of a long recording ------------------------------------------------------------------------


def _once_each(on_stage: OnStage) -> OnStage:
    """Reports each stage when the first of several questions reaches it."""
    reached: set[Stage] = set()

    def tell(stage: Stage) -> None:
        if stage not in reached:
            reached.add(stage)
            on_stage(stage)

    return tell


def _joined(parts: Sequence[Part], answers: Sequence[_Attempt]) -> _Attempt:
    """Combines the attempts for the parts of one recording into one.

    Songs count even when other parts got no answer. "No match" is an answer only when every part was answered,
    or was silent while others were not.
    """
    if len(answers) == 1:
        return answers[0]
    matches = merge_matches([(part, one.matches or ()) for part, one in zip(parts, answers, strict=True)])
    errors = [one.error for one in answers if one.error is not None]
    failed = [error for error in errors if error.code is not ProblemCode.NO_AUDIO]
    error = next(iter(failed), errors[0] if len(errors) == len(answers) else None)
    return _Attempt(
        answers[0].name,
        matches=matches if matches or error is None else None,
        error=None if matches else error,
        fingerprint_ms=max(one.fingerprint_ms for one in answers),
        recognize_ms=max(one.recognize_ms for one in answers),
    )


# --- When there is no answer --------------------------------------------------------------------------


def _facts(name: str, error: TwitchAudioError) -> dict[str, object]:
    facts: dict[str, object] = {"recognizer": name, "code": str(error.code), "detail": error.detail}
    if isinstance(error, ProviderError):
        facts |= {"fault": str(error.kind), "provider_code": error.provider_code}
    return facts


def _too_slow(name: str, seconds: float) -> TwitchAudioError:
    _log.warning("recognizer_timed_out", extra={"recognizer": name, "seconds": seconds})
    return TwitchAudioError(
        ProblemCode.TIMEOUT,
        f"The recognizer {name} did not answer within {seconds:.0f} s.",
        retry_after_seconds=10.0,
    )


def _broken(name: str) -> TwitchAudioError:
    return TwitchAudioError(ProblemCode.INTERNAL, f"The recognizer {name} failed; the log says why.")


class StoodStillError(TwitchAudioError):
    """The process did not run for longer than the time limit, so no recognizer had a chance."""

    def __init__(self) -> None:
        detail = "The server stood still while it worked on this. Ask again."
        super().__init__(ProblemCode.TIMEOUT, detail, retry_after_seconds=1.0)


def _stood_still() -> TwitchAudioError:
    _log.warning("stood_still")
    return StoodStillError()


def _no_answer(asked: Sequence[_Attempt]) -> TwitchAudioError:
    """The error when no recognizer answered: `no-audio` if that is the only reason; otherwise who failed and
    why.
    """
    problems = [one.error for one in asked if one.error is not None]
    suspensions = [one.suspension for one in asked if one.suspension is not None]
    if problems and all(problem.code is ProblemCode.NO_AUDIO for problem in problems):
        return problems[0]
    stood_still = next((problem for problem in problems if isinstance(problem, StoodStillError)), None)
    if stood_still is not None:
        return stood_still
    if not problems and not suspensions:
        missing = [one.missing for one in asked if one.missing is not None]
        text = " ".join(["Nothing can recognize music yet.", *missing, WAYS_OUT])
        return TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, text)
    waits = [problem.retry_after_seconds for problem in problems if problem.retry_after_seconds is not None]
    waits += [suspension.seconds for suspension in suspensions]
    return TwitchAudioError(
        ProblemCode.RECOGNIZER_UNAVAILABLE,
        " ".join([problem.detail for problem in problems] + [suspension.detail for suspension in suspensions]),
        retry_after_seconds=min(waits, default=None),
    )
