"""One job from start to end: resolve, capture, fingerprint, recognize, store. Depends on ports only.

Both runners use it: the server in its own process, and the Lambda handler.
"""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from fingerprint.asked_ahead import AskedAhead
from fingerprint.broadcast_moments import answer_from_time_line, channel_of, moment_of, rounded
from fingerprint.domain.audio import Recording
from fingerprint.domain.broadcasts import at_edge, before_edge
from fingerprint.domain.identification import (
    Heard,
    Identification,
    Kind,
    Stage,
    Status,
    Timings,
)
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, Target, yet_to_come
from fingerprint.heard_before import HeardInAnswers
from fingerprint.job_ports import HeardBefore, JobOutcome, JobStore, Lease
from fingerprint.leased_job import LeasedJob
from fingerprint.ports import (
    Capture,
    ClipSource,
    Clock,
    FileSource,
    LearnedCatalog,
    Listing,
    LiveSource,
    Match,
    MediaResolver,
    MediaSource,
    OnMatch,
    OnNoMatch,
    OnStage,
    PrintRecognizer,
    Recognizers,
    VideoSource,
    ignore_stage,
)
from fingerprint.retry import RetryBudget, retry_budget, time_limit
from fingerprint.standstill import Standstill
from fingerprint.takes import TakesSoFar
from fingerprint.whole import WholeRecordings

CAPTURE_SECONDS: Final = 6.0
JOB_SECONDS: Final = 30.0
"""The time limit of a whole job."""

FURTHER_SHARE: Final = 2 / 3
"""The part of a job's time after which no further take is captured; "no match" is a useful answer, too."""

_WITHOUT_ANSWER: Final = (ProblemCode.RECOGNIZER_UNAVAILABLE, ProblemCode.UPSTREAM_UNAVAILABLE)
_NO_CHANCE: Final = (*_WITHOUT_ANSWER, ProblemCode.TIMEOUT, ProblemCode.BUSY, ProblemCode.INTERNAL)
"""What it looks like when time limits end because the process itself stood still."""

MAX_RETRIES: Final = 10
"""The most retries of upstream calls that one job may make in all."""

MOMENT_SLACK_SECONDS: Final = 3.0
"""How far beside the moment asked for the sound of a broadcast's recording may be."""

_CLOCKS_AGREE: Final = timedelta(seconds=15)
"""How far the live edge is from our own clock's time at most, unless one of the clocks is wrong or the channel is
broadcast with a delay."""

_NOT_IN_PLAYLIST: Final = (ProblemCode.MOMENT_GONE, ProblemCode.AD_BREAK)
_NOT_IN_RECORDING: Final = (
    ProblemCode.INVALID_INPUT,
    ProblemCode.NO_AUDIO,
    ProblemCode.RESTRICTED_STREAM,
    ProblemCode.VIDEO_NOT_FOUND,
)
_GONE: Final[dict[ProblemCode | None, str]] = {
    None: "This moment cannot be heard any more: the live stream has moved on, and no recording has it.",
    ProblemCode.RESTRICTED_STREAM: "This moment cannot be heard any more: the live stream has moved on, and its "
    "recording may be for subscribers only.",
    ProblemCode.NO_AUDIO: "This moment cannot be heard any more: the live stream has moved on, and its recording "
    "has no sound there: Twitch may have muted it.",
}
_HEARD: Final[dict[type[MediaSource], Heard | None]] = {
    LiveSource: Heard.NOW,
    VideoSource: Heard.VIDEO,
    ClipSource: Heard.CLIP,
    FileSource: None,
}

_log = logging.getLogger(__name__)


class Pipeline:
    """Identifies targets. `identify` is the work alone; `run` does it under a lease and stores the answer.

    `recognizers` are asked about the first take. When they find nothing, `further` are asked about the further
    takes of a live stream; they should cost nothing for each question. Without them only the first take is used.
    `whole` makes the tracklists of whole recordings. `prints` names songs by the fingerprints of earlier sounds.
    `learned` finds what was learned from providers.
    """

    def __init__(
        self,
        *,
        resolver: MediaResolver,
        capture: Capture,
        recognizers: Recognizers,
        further: Recognizers | None = None,
        clock: Clock,
        job_seconds: float = JOB_SECONDS,
        whole: WholeRecordings | None = None,
        prints: PrintRecognizer | None = None,
        learned: LearnedCatalog | None = None,
        no_match_listeners: list[OnNoMatch] | None = None,
        match_listeners: list[OnMatch] | None = None,
    ) -> None:
        self._resolver = resolver
        self._capture = capture
        self._recognizers = recognizers
        self._further = further
        self._clock = clock
        self._job_seconds = job_seconds
        self.whole = whole
        self.prints = prints
        self.learned = learned
        self._no_match_listeners = [] if no_match_listeners is None else no_match_listeners
        self._match_listeners = [] if match_listeners is None else match_listeners

    def add_no_match_listener(self, listener: OnNoMatch) -> None:
        """Call `listener` for each sound from Twitch for which no song was found; see `OnNoMatch`."""
        self._no_match_listeners.append(listener)

    def add_match_listener(self, listener: OnMatch) -> None:
        """Call `listener` for each sound from Twitch in which a song was found; see `OnMatch`."""
        self._match_listeners.append(listener)

    def within(self, job_seconds: float) -> "Pipeline":
        """A copy with another time limit for a whole job."""
        return Pipeline(
            resolver=self._resolver,
            capture=self._capture,
            recognizers=self._recognizers,
            further=self._further,
            clock=self._clock,
            job_seconds=job_seconds,
            whole=self.whole,
            prints=self.prints,
            learned=self.learned,
            no_match_listeners=self._no_match_listeners,
            match_listeners=self._match_listeners,
        )

    def free(self, job_seconds: float) -> "Pipeline | None":
        """A copy that asks only the recognizers that cost nothing, and about one take; None without any."""
        if self._further is None:
            return None
        return Pipeline(
            resolver=self._resolver,
            capture=self._capture,
            recognizers=self._further,
            clock=self._clock,
            job_seconds=job_seconds,
        )

    async def unavailable_reason(self) -> str | None:
        """None when a recognizer can answer; otherwise what is missing and how to add it."""
        return await self._recognizers.unavailable_reason()

    @asynccontextmanager
    async def asked_ahead(self, target: Target) -> AsyncGenerator[AskedAhead | None]:
        """Ask Twitch about what a live channel plays now, for an `identify` inside the block."""
        if not isinstance(target, ChannelTarget) or target.at is not None:
            yield None
            return
        ahead = AskedAhead(
            target,
            resolver=self._resolver,
            capture=self._capture,
            clock=self._clock,
            budget=RetryBudget(MAX_RETRIES),
            seconds=self._job_seconds,
        )
        try:
            yield ahead
        finally:
            await ahead.close()

    async def identify(
        self,
        identification: Identification,
        target: Target,
        on_stage: OnStage = ignore_stage,
        *,
        heard_before: HeardBefore | None = None,
        ahead: AskedAhead | None = None,
    ) -> Identification:
        """The finished identification. Raises nothing but cancellation: problems are part of the answer.

        `heard_before` has the time lines of broadcasts, which may have the answer already. `ahead`: what Twitch
        was asked already, see `asked_ahead`.
        """
        started = self._clock.monotonic()
        still = Standstill()
        budget = RetryBudget(MAX_RETRIES) if ahead is None else ahead.budget
        try:
            with still, retry_budget(budget), time_limit(self._job_seconds):
                async with asyncio.timeout(self._job_seconds):
                    finished = await self._identify(identification, target, on_stage, heard_before, ahead)
        except TwitchAudioError as error:
            # Limits that end together with the job's own are its own.
            over = error.code in _WITHOUT_ANSWER and self._clock.monotonic() - started >= self._job_seconds
            problem = self._timeout() if over else error.problem
            finished = identification.failed(_problem_after(still, problem), self._clock.now())
        except TimeoutError:
            finished = identification.failed(_problem_after(still, self._timeout()), self._clock.now())
        except Exception:  # noqa: BLE001 - the waiters must get an answer whatever broke; it is logged whole
            _log.exception("job_crashed", extra={"job_id": identification.id})
            detail = f"This is a fault of ours. It is logged under {identification.id}."
            problem = Problem(code=ProblemCode.INTERNAL, detail=detail)
            finished = identification.failed(problem, self._clock.now())
        total_ms = (self._clock.monotonic() - started) * 1000
        return dataclasses.replace(finished, timings=dataclasses.replace(finished.timings, total_ms=total_ms))

    def _timeout(self) -> Problem:
        detail = f"This took longer than {self._job_seconds:.0f} s and was given up. Try again in a moment."
        return Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=5.0)

    async def _identify(
        self,
        identification: Identification,
        target: Target,
        on_stage: OnStage,
        heard_before: HeardBefore | None,
        ahead: AskedAhead | None,
    ) -> Identification:
        clock = self._clock
        on_stage(Stage.RESOLVING)
        before_resolve = clock.monotonic()
        further_until = before_resolve + FURTHER_SHARE * self._job_seconds
        source = await (self._resolver.resolve(target) if ahead is None else ahead.source())
        listing = None if ahead is None else ahead.listing
        if isinstance(source, LiveSource) and isinstance(target, ChannelTarget):
            source = await self._at_moment(source, target, identification)
        if isinstance(source, ClipSource) and source.broadcast is not None and source.offset_seconds is not None:
            # Behind a pause, its place in the VOD is none in the broadcast.
            continuous = await self._capture.is_continuous(source)
            source = source if continuous else dataclasses.replace(source, broadcast=None)
        if heard_before is not None:
            known = await answer_from_time_line(identification, target, source, heard_before)
            if known is not None and isinstance(source, VideoSource):
                known = known if await self._capture.is_continuous(source) else None
            if known is not None:
                timings = Timings(resolve_ms=(clock.monotonic() - before_resolve) * 1000)
                return dataclasses.replace(known, finished_at=clock.now(), timings=timings)
        on_stage(Stage.CAPTURING)
        before_capture = clock.monotonic()
        async with AsyncExitStack() as stack:
            source, takes, recording = await self._first_take(source, stack, listing)
            capture_ms = (clock.monotonic() - before_capture) * 1000
            heard = TakesSoFar(recording, await self._recognizers.identify(recording, on_stage))
            if not heard.answer.matches and self._further is not None:
                heard = await self._ask_about_further_takes(heard, takes, self._further, further_until)
        answer = heard.answer
        matches = answer.matches
        if target.kind in (Kind.CLIP, Kind.FILE) and heard.recording.from_seconds:
            matches = [_moved(match, heard.recording.from_seconds) for match in matches]
        recorded_live = isinstance(target, ChannelTarget) and isinstance(source, VideoSource)
        best = matches[0] if matches else None
        songs = tuple(match.song for match in matches)
        finished = dataclasses.replace(
            identification,
            channel_id=heard.recording.channel_id
            or (source.channel_id if isinstance(source, LiveSource) else None),
            channel=channel_of(source) if not recorded_live else None,
            status=Status.NO_MATCH if best is None else Status.SUCCESSFUL,
            stage=Stage.DONE,
            finished_at=clock.now(),
            song=None if best is None else best.song,
            songs=tuple(sorted(songs, key=lambda song: song.position_seconds))
            if target.kind in (Kind.CLIP, Kind.FILE)
            else songs,
            score=None if best is None else best.score,
            recognizer=answer.recognizer,
            captured_seconds=round(heard.seconds, 3),
            captured_at=heard.started_at,
            captured_from_seconds=rounded(None if recorded_live else heard.recording.from_seconds),
            place_uncertain=heard.recording.place_uncertain,
            moment=moment_of(identification, source, heard),
            heard=_HEARD[type(source)] if not isinstance(source, LiveSource) or source.at is None else Heard.LIVE,
            timings=Timings(
                resolve_ms=(before_capture - before_resolve) * 1000,
                capture_ms=capture_ms + heard.further_capture_ms,
                fingerprint_ms=answer.fingerprint_ms,
                recognize_ms=answer.recognize_ms,
            ),
        )
        if best is None and target.kind is not Kind.FILE:
            for listener in self._no_match_listeners:
                listener(finished, recording)
        if best is not None and target.kind is not Kind.FILE:
            for listener in self._match_listeners:
                listener(finished, heard.recording)
        return finished

    async def _at_moment(
        self, source: LiveSource, target: ChannelTarget, identification: Identification
    ) -> LiveSource:
        """The source at the moment that is asked for, which is at most the live edge: `ago` counts from there.

        Our own clock may be wrong, and a channel broadcast with minutes of delay: neither changes what the viewer
        heard then. Raises TwitchAudioError `invalid-input` for a moment that is yet to come.
        """
        if target.at is None:
            return dataclasses.replace(source, at=None)
        edge = await self._capture.live_edge(source)
        now = self._clock.now()
        waited = (now - identification.created_at).total_seconds()
        if edge is not None and target.ago is not None:
            at = before_edge(edge, target.ago, waited_seconds=waited)
            return dataclasses.replace(source, at=at, behind=target.ago)
        at, behind = at_edge(edge, target.at, now=now), None
        if at is None:
            raise yet_to_come()
        if edge is not None and abs(now - edge) > _CLOCKS_AGREE:
            asked_edge = before_edge(edge, 0.0, waited_seconds=waited)
            behind = max(0.0, (asked_edge - at).total_seconds())
        return dataclasses.replace(source, at=at, behind=behind)

    async def _first_take(
        self, source: MediaSource, stack: AsyncExitStack, listing: Listing | None
    ) -> tuple[MediaSource, AsyncGenerator[Recording], Recording]:
        """The first take, and the source that has it: the recording of a broadcast, if the live stream lacks it.

        Raises what `Capture.takes` raises; TwitchAudioError `moment-gone` when the recording lacks it, too.
        """
        takes = await stack.enter_async_context(aclosing(self._capture.takes(source, CAPTURE_SECONDS, listing)))
        try:
            return source, takes, await anext(takes)
        except TwitchAudioError as error:
            if not isinstance(source, LiveSource) or source.at is None or error.code not in _NOT_IN_PLAYLIST:
                raise
        video = await self._recording_at(source, source.at)
        takes = await stack.enter_async_context(aclosing(self._capture.takes(video, CAPTURE_SECONDS)))
        try:
            recording = await anext(takes)
        except TwitchAudioError as error:
            if error.code in _NOT_IN_RECORDING:
                raise _moment_gone(error) from error
            raise
        start = recording.from_seconds or 0.0
        end = start + recording.pcm.duration_seconds
        there = start - MOMENT_SLACK_SECONDS <= video.at_seconds <= end + MOMENT_SLACK_SECONDS
        if not there or recording.after_break:
            raise _moment_gone()
        return video, takes, recording

    async def _recording_at(self, source: LiveSource, at: datetime) -> VideoSource:
        """The recording of a live broadcast at a moment. Raises `moment-gone`, and errors of the resolver."""
        try:
            video = await self._resolver.recording(source)
        except TwitchAudioError as error:
            if error.code in _NOT_IN_RECORDING:
                raise _moment_gone(error) from error
            raise
        if video is None or video.broadcast is None:
            raise _moment_gone()
        seconds = video.broadcast.seconds_at(at)
        if seconds < -MOMENT_SLACK_SECONDS:
            raise _moment_gone()
        return dataclasses.replace(video, at_seconds=max(0.0, seconds))

    async def _ask_about_further_takes(
        self, first: TakesSoFar, takes: AsyncGenerator[Recording], recognizers: Recognizers, until: float
    ) -> TakesSoFar:
        """The match found in further takes, or, when there is none in time, the "no match" of all takes.

        An error here leaves the answer so far as it is.
        """
        heard = first
        try:
            async with asyncio.timeout(max(0.0, until - self._clock.monotonic())):
                while not heard.answer.matches:
                    before = self._clock.monotonic()
                    recording = await anext(takes, None)
                    if recording is None:
                        break
                    capture_ms = (self._clock.monotonic() - before) * 1000
                    heard = heard.with_take(
                        recording, await recognizers.identify(recording, ignore_stage), capture_ms
                    )
        except TimeoutError:
            pass
        except TwitchAudioError as error:
            _log.info("further_take_failed", extra={"code": str(error.code), "detail": error.detail})
        return heard

    async def run(
        self,
        lease: Lease,
        identification: Identification,
        target: Target,
        *,
        store: JobStore,
        heard_before: HeardBefore | None = None,
        ahead: AskedAhead | None = None,
        on_stage: OnStage = ignore_stage,
        on_heard: Callable[[], None] | None = None,
    ) -> JobOutcome | None:
        """Identify under a lease that is renewed meanwhile, record each stage, and store the answer.

        `heard_before`: the time lines of broadcasts; without it, those that the store's answers make. `ahead`: as
        for `identify`.
        `on_heard` is called when only storing is left, which takes up to `STORE_SECONDS` of `leased_job.py` while
        the store is away.

        Returns None when the lease was lost: another owner has the job then, and its answer counts.
        """
        before = HeardInAnswers(store) if heard_before is None else heard_before

        def work(on_stage: OnStage) -> Coroutine[Any, Any, Identification]:
            return self.identify(identification, target, on_stage, heard_before=before, ahead=ahead)

        return await LeasedJob(store, self._clock).run(lease, work, on_stage=on_stage, on_heard=on_heard)


def _problem_after(still: Standstill, problem: Problem) -> Problem:
    """The problem of a job, unless it only looks like that because the process stood still."""
    if not still.seconds or problem.code not in _NO_CHANCE:
        return problem
    _log.warning("stood_still", extra={"seconds": round(still.seconds, 1), "code": str(problem.code)})
    detail = "The server stood still while it worked on this. Ask again."
    return Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=1.0)


def _moment_gone(error: TwitchAudioError | None = None) -> TwitchAudioError:
    """The error for a moment that nothing has; `error`: why it is not in the recording."""
    code = None if error is None else error.code
    return TwitchAudioError(ProblemCode.MOMENT_GONE, _GONE.get(code, _GONE[None]))


def _moved(match: Match, seconds: float) -> Match:
    """A match in sound that begins late in its clip or file, with positions from the start of that."""
    song = dataclasses.replace(match.song, position_seconds=match.song.position_seconds + seconds)
    return dataclasses.replace(match, song=song)
