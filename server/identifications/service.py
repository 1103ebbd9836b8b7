"""The identification service that the API and the website call; the jobs behind it are in `jobs.py`."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from fingerprint.domain.identification import (
    Identification,
    IdentificationId,
    Kind,
    Stage,
    answer_age,
    is_fresh,
    reusable,
)
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import AskedTarget, ChannelTarget, ClipTarget, TwitchTarget, VideoTarget
from fingerprint.job_ports import JobOutcome, JobStore
from fingerprint.ports import Clock
from fingerprint.single_flight import SingleFlightCache
from fingerprint.tasks import Closing
from server.channel_names import ChannelNames
from server.identifications.admission import Admit
from server.identifications.history import ChannelHistory, SetListPage
from server.identifications.jobs import AnswerEnricher, Job, JobRegistry, JobState, no_enrichment
from server.identifications.limits import WAITERS_SHARE, ServiceLimits
from server.identifications.news import JobNews, NoNews
from server.identifications.progress import JobProgress
from server.identifications.runners.queued import QueuedRunner
from server.observability import Metrics
from server.owner_choices.choices import ChannelChoices
from server.owner_choices.service import OwnerChoices


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentificationHandle:
    """The result of a request: the state, whether it joined a job, and that job's progress until it ends.

    `age_seconds` of an answer that was there before the request: see `answer_age`.
    """

    identification: Identification
    shared: bool = False
    progress: JobProgress | None = None
    age_seconds: float | None = None


class IdentificationService(Closing):
    """Starts, joins, finds and awaits identifications. An async context manager that owns their jobs."""

    def __init__(
        self,
        *,
        store: JobStore,
        runner: QueuedRunner,
        unavailable: Callable[[], Awaitable[str | None]],
        clock: Clock,
        owner: str,
        metrics: Metrics,
        limits: ServiceLimits | None = None,
        enrich: AnswerEnricher = no_enrichment,
        names: ChannelNames | None = None,
        fresh_seconds: float = 0.0,
        news: JobNews | None = None,
        choices: OwnerChoices | None = None,
    ) -> None:
        """`choices`: what owners have decided about their channels, which every answer that is given follows."""
        self._choices = choices
        self._store = store
        self._runner = runner
        self._live_fresh_seconds = fresh_seconds
        self._unavailable = unavailable
        self._clock = clock
        self._limits = limits or ServiceLimits()
        self.history = ChannelHistory(store, names=names, choices=choices, limits=self._limits)
        self._outcome_listeners: list[Callable[[JobOutcome], None]] = []
        self._jobs = JobRegistry(
            store=store,
            runner=runner,
            unavailable=unavailable,
            clock=clock,
            owner=owner,
            metrics=metrics,
            limits=self._limits,
            ended=self._job_ended,
            enrich=enrich,
            expect=self._expect,
            news=news or NoNews(),
        )
        self._answers: SingleFlightCache[str, Identification | None] = SingleFlightCache(
            clock=clock, fresh_seconds=self._fresh_seconds, max_entries=self._limits.kept
        )
        self._waiters = 0
        self._waiters_of: Counter[str] = Counter()
        self._asked = metrics.counter(
            "twitchaudio_asked_total", "Requests for a target, by what they got.", "kind", "got"
        )
        metrics.gauge("twitchaudio_waiters", "Requests that wait for an answer.", lambda: self._waiters)

    @property
    def waiter_count(self) -> int:
        """Requests that wait for an answer, and event streams of jobs."""
        return self._waiters

    @property
    def job_count(self) -> int:
        """Jobs that this process runs, and jobs of others that it follows."""
        return len(self._jobs)

    @property
    def is_busy(self) -> bool:
        """Whether jobs wait for their turn, so that nothing else should be begun."""
        return self._runner.queued > 0

    def add_outcome_listener(self, listener: Callable[[JobOutcome], None]) -> None:
        """Call `listener` with the outcome of each job of this process. It must not block or raise."""
        self._outcome_listeners.append(listener)

    def running_identifications(self) -> list[Identification]:
        """The state of each job that this server works on or follows, the oldest first."""
        return self._jobs.states()

    # --- What requests call ---------------------------------------------------------------------------

    async def ask(
        self, target: AskedTarget, *, caller: str = "", admit: Admit | None = None, max_age: float | None = None
    ) -> IdentificationHandle:
        """The stored answer, the running job, or a new one.

        `caller` names who asks, for the round robin between callers of queued jobs. `admit` is awaited before
        a new job is started, and raises TwitchAudioError to refuse it; joining a job needs no admission.
        `max_age`: how many seconds old a stored answer may be, 0 to take none; None: a live channel's as old as
        `fresh_seconds`, and what a clip or video plays never changes.

        Raises TwitchAudioError: `recognizer-unavailable`, `busy`, and what `admit` raises.
        """
        skip_stored = max_age is not None and max_age <= 0
        running = self._jobs.joinable(target, skip_stored=skip_stored)
        if not skip_stored and (running is None or running.skip_stored):
            stored = await self._reusable_answer(target, max_age)
            if stored is not None:
                self._asked.add(target.kind, "stored")
                stored = await self.shown(stored)
                return IdentificationHandle(
                    identification=stored,
                    shared=stored.kind is Kind.STREAM and stored.asked_at is None,
                    age_seconds=answer_age(stored, self._clock.now()),
                )
        # An answer that is too old for this request is not to be given by the store, either.
        skip_stored = skip_stored or (max_age is not None and target.kind is not Kind.STREAM)
        job, joined = await self._jobs.start_or_join(target, caller=caller, admit=admit, skip_stored=skip_stored)
        over = job.state is JobState.ENDED
        first = await asyncio.shield(job.progress.started)
        shared = joined or job.elsewhere
        self._asked.add(target.kind, "stored" if over else "joined" if shared else "started")
        if isinstance(first, TwitchAudioError):
            raise first.fresh_copy() from first
        handle = await self._shown_handle(_handle(job, first, shared=shared))
        return (
            replace(handle, age_seconds=answer_age(handle.identification, self._clock.now())) if over else handle
        )

    async def shown(self, answer: Identification) -> Identification:
        """An answer as its channel's owner lets it be shown: every one that leaves the server. Never raises."""
        return answer if self._choices is None else await self._choices.shown(answer)

    async def _shown_handle(self, handle: IdentificationHandle) -> IdentificationHandle:
        shown = await self.shown(handle.identification)
        return handle if shown is handle.identification else replace(handle, identification=shown)

    async def choices_of(self, login: str) -> ChannelChoices:
        """What is decided about a channel. Raises TwitchAudioError `busy`."""
        return await self.history.choices_of(login)

    async def find(self, identification_id: IdentificationId) -> IdentificationHandle | None:
        """An identification by its id; None when there is none.

        A job of another process is followed, and taken over when its lease runs out.

        Raises TwitchAudioError `busy`.
        """
        found = await self._find(identification_id)
        return None if found is None else await self._shown_handle(found)

    async def _find(self, identification_id: IdentificationId) -> IdentificationHandle | None:
        job = self._jobs.by_id(identification_id)
        if job is None:
            unstored = self._jobs.unstored.find(identification_id)
            if unstored is not None:
                return IdentificationHandle(identification=unstored)
            stored = await self._store.get(identification_id)
            if stored is None:
                return None
            stored = self._jobs.failed_if_abandoned(stored)
            target = target_of(stored)
            if stored.status.finished or target is None:
                return IdentificationHandle(identification=stored)
            job = self._jobs.follow(target, stored)
            await asyncio.shield(job.progress.started)
            current = job.progress.current
            if current is None or current.id != identification_id:
                return IdentificationHandle(identification=stored)
        current = job.progress.current
        assert current is not None, "a job found by its id has a state"
        return _handle(job, current, shared=False)

    async def answer(self, target: AskedTarget) -> Identification | None:
        """The stored answer for a target; never starts anything. Raises TwitchAudioError `busy`."""
        found = await self._stored_answer(target)
        return None if found is None else await self.shown(found)

    async def _stored_answer(self, target: AskedTarget) -> Identification | None:
        return await self._answers.get(target.key, lambda: self._store.answer(target))

    async def add_answer(self, target: AskedTarget, heard: Identification) -> bool:
        """Store what was heard without a question, as the target's newest answer; False while a job runs.

        Raises TwitchAudioError `busy`.
        """
        return await self._jobs.add_answer(target, heard)

    async def completed(self, answer: Identification) -> Identification:
        """An answer that was found without a job, with what is added to those of jobs, such as links."""
        return await self._jobs.completed(answer)

    async def recent_answers(self, login: str, *, limit: int) -> Sequence[Identification]:
        """A channel's newest answers with a song, newest first, under whatever login it had."""
        return await self.history.recent_answers(login, limit=limit)

    async def newest_answers(self, login: str, *, limit: int) -> Sequence[Identification]:
        """The same with the hidden ones, which are without a song."""
        return await self.history.newest_answers(login, limit=limit)

    async def set_list(self, login: str, *, limit: int, before: datetime | None = None) -> SetListPage:
        """A channel's newest plays: see `ChannelHistory.set_list`."""
        return await self.history.set_list(login, limit=limit, before=before)

    async def mark_disputed(self, identification: Identification) -> None:
        """Mark an answer wrong: the next request identifies its target again. Raises TwitchAudioError `busy`."""
        await self._store.mark_disputed(identification.id, now=self._clock.now())
        self.forget_answer(identification)

    def forget_all(self) -> None:
        """Drop every answer from the cache, after some were deleted from the store."""
        self._answers.invalidate_all()

    def forget_answer(self, identification: Identification) -> None:
        """Drop an answer that has changed in the store from the cache."""
        target = target_of(identification)
        if target is not None:
            self._answers.invalidate(target.key)

    async def wait(
        self, handle: IdentificationHandle, seconds: float, *, source: str | None = None
    ) -> Identification:
        """The finished identification, or its state after `seconds`. `source`: the address, or None for our own.

        Raises TwitchAudioError `busy` when too many wait or the server stops first, `rate-limited` when too many
        of the source's do.
        """
        if handle.progress is None:
            return handle.identification
        with self._waiting(source):
            end = await handle.progress.wait_for_end(seconds)
        if end is None:
            return handle.progress.current or handle.identification
        if isinstance(end, TwitchAudioError):
            raise end.fresh_copy() from end
        return await self.shown(end)

    async def states(
        self,
        handle: IdentificationHandle,
        idle_seconds: float,
        *,
        after: Stage | None = None,
        source: str | None = None,
    ) -> AsyncGenerator[Identification | None]:
        """The current state and all later ones, or all `after` a stage; None after `idle_seconds` without one.

        The last is finished, unless the server stops first. Raises TwitchAudioError as `wait` does.
        """
        if handle.progress is None:
            if after is not None:
                for state in self._jobs.past_states(handle.identification.id, after):
                    if not state.status.finished:
                        yield state
            yield handle.identification
            return
        with self._waiting(source):
            async with aclosing(handle.progress.states(idle_seconds, after=after)) as states:
                async for state in states:
                    yield state if state is None else await self.shown(state)

    async def unavailable_reason(self) -> str | None:
        """None when a recognizer is available; else what is missing and how to mend it."""
        return await self._unavailable()

    # --- The end --------------------------------------------------------------------------------------

    async def close(self, drain_seconds: float = 0.0) -> None:
        """Start no further job, wait `drain_seconds` for running ones, and hand the rest to other servers."""
        await self._jobs.close(drain_seconds)
        await self._jobs.unstored.close()
        await self._answers.close()

    # --- Inside ---------------------------------------------------------------------------------------

    @contextmanager
    def _waiting(self, source: str | None) -> Generator[None]:
        """Count a request that waits. Raises TwitchAudioError `busy` or `rate-limited` when there are too many."""
        left = self._limits.waiters - self._waiters
        if left <= 0:
            raise TwitchAudioError(
                ProblemCode.BUSY, "Too many are waiting. Try again in a moment.", retry_after_seconds=5.0
            )
        if source is not None and self._waiters_of[source] >= WAITERS_SHARE * left:
            detail = "Too many requests from your address are waiting. Try again in a moment."
            raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=5.0)
        self._waiters += 1
        if source is not None:
            self._waiters_of[source] += 1
        try:
            yield
        finally:
            self._waiters -= 1
            if source is not None:
                self._waiters_of[source] -= 1
                if not self._waiters_of[source]:
                    del self._waiters_of[source]

    async def _reusable_answer(self, target: AskedTarget, max_age: float | None) -> Identification | None:
        """The stored answer, if it may be given again to a request that takes one of at most `max_age` seconds."""
        live = isinstance(target, ChannelTarget) and target.at is None
        if live and not self._live_fresh_seconds:
            return None
        stored = await self._stored_answer(target)
        if stored is None or stored.disputed:
            return None
        now = self._clock.now()
        if live and max_age is None:
            max_age = self._live_fresh_seconds
        if max_age is not None and not is_fresh(stored, now, max_age):
            return None
        return stored if live or reusable(stored, now) else None

    def _fresh_seconds(self, stored: Identification | None) -> float:
        """Seconds that a stored answer stays cached: a clip's or video's song does not change."""
        if stored is None:
            return 0.0
        if stored.kind is Kind.STREAM and stored.asked_at is None:
            return max(0.0, self._live_fresh_seconds - answer_age(stored, self._clock.now()))
        return 0.0 if stored.song is None else self._limits.keep_song_seconds

    def _expect(self, target: AskedTarget) -> None:
        if self._choices is not None and isinstance(target, ChannelTarget):
            self._choices.expect(target.name)

    def _job_ended(self, outcome: JobOutcome) -> None:
        # The cache may have the one before.
        self.forget_answer(outcome.identification)
        for listener in self._outcome_listeners:
            listener(outcome)


def _handle(job: Job, state: Identification, *, shared: bool) -> IdentificationHandle:
    current = job.progress.current or state
    progress = None if current.status.finished else job.progress
    return IdentificationHandle(identification=current, shared=shared, progress=progress)


def target_of(identification: Identification) -> TwitchTarget | None:
    """The target that an identification was made for; None for a file, which only the server that got it has."""
    match identification.kind:
        case Kind.STREAM:
            return ChannelTarget(identification.target, at=identification.asked_at, ago=identification.asked_ago)
        case Kind.CLIP:
            return ClipTarget(identification.target)
        case Kind.VIDEO:
            return VideoTarget(identification.target, identification.at_seconds or 0.0)
        case Kind.FILE:
            return None
        case _:
            assert_never(identification.kind)
