"""The identification service that the API and the website call; the jobs behind it are in `jobs.py`."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self, assert_never

from fingerprint.domain.identification import Identification, IdentificationId, Kind, Stage, answer_age, reusable
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import AskedTarget, ChannelTarget, ClipTarget, TwitchTarget, VideoTarget
from fingerprint.ports import Clock, JobOutcome, JobStore
from fingerprint.single_flight import SingleFlightCache
from server.channel_name_table import NameSpan
from server.channel_names import ChannelNames
from server.identifications.admission import Admit
from server.identifications.jobs import AnswerEnricher, Job, JobRegistry, JobState, no_enrichment
from server.identifications.limits import WAITERS_SHARE, ServiceLimits
from server.identifications.news import JobNews, NoNews
from server.identifications.progress import JobProgress
from server.identifications.runners import Runner
from server.identifications.set_list import Play, plays
from server.observability import Metrics

CLOCKS_AGREE: Final = timedelta(seconds=2)
"""How far the clocks of servers that share a database may be apart. How old an answer is that seems to come later
than that is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentificationHandle:
    """The result of a request: the state, whether it joined a job, and that job's progress until it ends.

    `age_seconds` of an answer that was there before the request: see `answer_age`.
    """

    identification: Identification
    shared: bool = False
    progress: JobProgress | None = None
    age_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListPage:
    """Plays, newest first, and `before` of the next page, None on the last page."""

    plays: Sequence[Play]
    next_before: datetime | None


class IdentificationService:
    """Starts, joins, finds and awaits identifications. An async context manager that owns their jobs."""

    def __init__(
        self,
        *,
        store: JobStore,
        runner: Runner,
        unavailable: Callable[[], Awaitable[str | None]],
        clock: Clock,
        owner: str,
        metrics: Metrics,
        limits: ServiceLimits | None = None,
        enrich: AnswerEnricher = no_enrichment,
        names: ChannelNames | None = None,
        fresh_seconds: float = 0.0,
        news: JobNews | None = None,
    ) -> None:
        self._store = store
        self._runner = runner
        self._live_fresh_seconds = fresh_seconds
        self._names = names
        self._unavailable = unavailable
        self._clock = clock
        self._limits = limits or ServiceLimits()
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

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
        handle = _handle(job, first, shared=shared)
        return (
            replace(handle, age_seconds=answer_age(handle.identification, self._clock.now())) if over else handle
        )

    async def find(self, identification_id: IdentificationId) -> IdentificationHandle | None:
        """An identification by its id; None when there is none.

        A job of another process is followed, and taken over when its lease runs out.

        Raises TwitchAudioError `busy`.
        """
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
        return await self._history(login, limit=limit)

    async def _history(self, login: str, *, limit: int, before: datetime | None = None) -> list[Identification]:
        spans = () if self._names is None else await self._names.spans(login)
        if not spans:
            return list(await self._store.history(login, limit=limit, before=before))
        found: list[Identification] = []
        for span in spans:
            found += await self._of_span(span, limit=limit, before=before)
        return sorted(found, key=lambda answer: answer.created_at, reverse=True)[:limit]

    async def _of_span(self, span: NameSpan, *, limit: int, before: datetime | None) -> list[Identification]:
        """The newest answers of a channel under one login, without those of another channel that had it."""
        cursor = span.until if before is None else before if span.until is None else min(before, span.until)
        found: list[Identification] = []
        while len(found) < limit:
            page = await self._store.history(span.login, limit=limit, before=cursor)
            found += [answer for answer in page if span.covers(answer)]
            if len(page) < limit or page[-1].created_at < span.since:
                break
            cursor = page[-1].created_at
        return found[:limit]

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

    async def set_list(self, login: str, *, limit: int, before: datetime | None = None) -> SetListPage:
        """A channel's newest plays among the answers created before `before`, newest first.

        Reads answers until `limit` plays are complete, at most `set_list_answers` of the limits.
        """
        rows: list[Identification] = []
        cursor = before
        while len(rows) < self._limits.set_list_answers:
            page = await self._history(login, limit=self._limits.set_list_page, before=cursor)
            rows += page
            found = list(itertools.islice(plays(rows), limit + 1))
            if len(page) < self._limits.set_list_page or len(found) > limit:
                return _page(found, limit)
            cursor = page[-1].created_at
        return _page(list(plays(rows)), limit, more=True)

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
        return end

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
                    yield state

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
        stored = await self.answer(target)
        if stored is None or stored.disputed:
            return None
        now = self._clock.now()
        if live and stored.finished_at is not None and stored.finished_at - now > CLOCKS_AGREE:
            return None
        if live and max_age is None:
            max_age = self._live_fresh_seconds
        if max_age is not None and answer_age(stored, now) > max_age:
            return None
        return stored if live or reusable(stored, now) else None

    def _fresh_seconds(self, stored: Identification | None) -> float:
        """Seconds that a stored answer stays cached: a clip's or video's song does not change."""
        if stored is None:
            return 0.0
        if stored.kind is Kind.STREAM and stored.asked_at is None:
            return max(0.0, self._live_fresh_seconds - answer_age(stored, self._clock.now()))
        return 0.0 if stored.song is None else self._limits.keep_song_seconds

    def _job_ended(self, outcome: JobOutcome) -> None:
        # The cache may have the one before.
        self.forget_answer(outcome.identification)
        for listener in self._outcome_listeners:
            listener(outcome)


def _page(found: Sequence[Play], limit: int, *, more: bool = False) -> SetListPage:
    shown = found[:limit]
    more = more or len(found) > limit
    return SetListPage(plays=shown, next_before=shown[-1].asked_at if more and shown else None)


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
