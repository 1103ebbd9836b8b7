"""The life of a job: the work for one target, which all requests for that target share.

                 start_or_join                             follow
                       |                                     |
                       v     admitted; no other server's     |
        refused  +-----------+   +----------+                |
       <---------|    NEW    |-->| CLAIMING |                |
      (all who   +-----------+   +----------+                |
       asked)          |           |      | claimed          |
                       | other     |      v                  |
                       | server's  |   +---------+  finished
                       |      held |   | RUNNING |----------------+
                       |           |   +---------+                |
                       |           |     |    ^                   |
                       |      lease lost |    | take over,        |
                       |           |     |    | lease ran out     |
                       |           v     v    |                   v
                       |         +--------------+  answer in  +-------+
                       +-------->|  FOLLOWING   |------------>| ENDED |
                                 +--------------+  the store  +-------+

NEW: the first requester is being admitted, others wait in line; when it is refused, the next one tries.
CLAIMING: the store decides, for all servers, who works on the target.
RUNNING: this server holds the lease, and its runner works.
FOLLOWING: another server holds the lease; one reader polls the store for all requests that wait here.
ENDED: there is an answer, or the reason why this server has none. A failure such as `not-live` can be joined for
some seconds more, so that many requests share one look-up. From CLAIMING on, any error leads here.

The registry owns the jobs' tasks. A request awaits only shielded futures: a client that leaves cancels nothing.
"""

import asyncio
import contextlib
import dataclasses
import logging
import random
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from cachetools import TTLCache

from fingerprint.asked_ahead import AskedAhead
from fingerprint.domain.identification import Identification, IdentificationId, Stage, abandoned
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import AskedTarget, Target
from fingerprint.job_ports import LEASE_SECONDS, Claimed, Finished, Held, JobOutcome, JobStore, Lease
from fingerprint.jobs.clean import clean
from fingerprint.ports import Clock
from fingerprint.tasks import cancel_and_wait
from server.identifications.admission import Admit, JobAdmission
from server.identifications.limits import ServiceLimits
from server.identifications.news import JobNews
from server.identifications.progress import JobProgress
from server.identifications.runners.fair_queue import Reservation
from server.identifications.runners.queued import QueuedRunner
from server.identifications.unstored import UnstoredAnswers
from server.observability import Metrics

DEFINITE: Final = frozenset(
    {
        ProblemCode.NOT_LIVE,
        ProblemCode.MOMENT_GONE,
        ProblemCode.CHANNEL_NOT_FOUND,
        ProblemCode.CLIP_NOT_FOUND,
        ProblemCode.VIDEO_NOT_FOUND,
        ProblemCode.RESTRICTED_STREAM,
    }
)
"""Failures that are reused as answers for `keep_definite_seconds`: asking again at once would not help."""

_log = logging.getLogger(__name__)

AnswerEnricher = Callable[[Identification], Awaitable[Identification]]
"""Completes a finished answer, e.g. with links, before it is published. Must be quick, and must not raise."""


async def no_enrichment(finished: Identification) -> Identification:
    """An `AnswerEnricher` that adds nothing."""
    return finished


class JobState(Enum):
    """Where a job is in the diagram above."""

    NEW = auto()
    CLAIMING = auto()
    RUNNING = auto()
    FOLLOWING = auto()
    ENDED = auto()


@dataclass(slots=True, eq=False)
class Job:
    """One job as this server sees it."""

    target: AskedTarget
    state: JobState = JobState.NEW
    progress: JobProgress = field(default_factory=JobProgress)
    task: asyncio.Task[None] | None = None
    skip_stored: bool = False
    """Whether it was asked for although an answer may be stored."""
    caller: str | None = None
    """Who started it, so that the queue is fair between callers; None when another server started it."""
    admission: JobAdmission | None = None
    elsewhere: bool = False
    """Whether another server started it before the first request here."""
    line: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the requester that is being admitted."""
    in_line: int = 0

    def end_admission(self) -> None:
        """Give the slot back to the requester that the job was started for."""
        if self.admission is not None:
            self.admission.job_ended()


class JobRegistry:
    """Every job that is worked on, followed or waited for in this process, one for each target.

    `ended` is called with the outcome of each job that this process worked on, and `expect` with its target when
    it begins to listen, for what can be read ahead.
    """

    def __init__(
        self,
        *,
        store: JobStore,
        runner: QueuedRunner,
        unavailable: Callable[[], Awaitable[str | None]],
        clock: Clock,
        owner: str,
        metrics: Metrics,
        limits: ServiceLimits,
        ended: Callable[[JobOutcome], None],
        enrich: AnswerEnricher,
        expect: Callable[[AskedTarget], None],
        news: JobNews,
    ) -> None:
        self._store = store
        self._runner = runner
        self._unavailable = unavailable
        self._clock = clock
        self._owner = owner
        self._limits = limits
        self._ended = ended
        self._enrich = enrich
        self._expect = expect
        self._news = news
        self._jobs: dict[str, Job] = {}
        self._by_id: dict[IdentificationId, Job] = {}
        self._definite_failures: TTLCache[str, Job] = TTLCache(
            limits.kept, limits.keep_definite_seconds, clock.monotonic
        )
        self._past_progress: TTLCache[IdentificationId, JobProgress] = TTLCache(
            limits.kept, limits.keep_progress_seconds, clock.monotonic
        )
        self._closing = False
        self._finished = metrics.counter(
            "twitchaudio_identifications_total", "Jobs that ended in this process.", "kind", "status", "code"
        )
        self.unstored = UnstoredAnswers(store, clock=clock, metrics=metrics)
        self._polls = metrics.counter(
            "twitchaudio_job_polls_total", "Looks at jobs of other owners: one reader a job, however many wait."
        )
        metrics.gauge("twitchaudio_jobs_running", "Jobs at work.", lambda: runner.running)
        metrics.gauge("twitchaudio_jobs_queued", "Jobs that wait for their turn.", lambda: runner.queued)

    def __len__(self) -> int:
        return len(self._jobs)

    def states(self) -> list[Identification]:
        """The current state of every job that has one, the oldest first."""
        found = (job.progress.current for job in self._jobs.values())
        return sorted((state for state in found if state is not None), key=lambda state: state.created_at)

    def joinable(self, target: AskedTarget, *, skip_stored: bool = False) -> Job | None:
        """The job that a request would join, `skip_stored` only one that runs; None when it would start one."""
        return self._jobs.get(target.key) or (None if skip_stored else self._definite_failures.get(target.key))

    def past_states(self, identification_id: IdentificationId, after: Stage) -> list[Identification]:
        """The states that a job which has just ended went through after a stage, if this server knows them."""
        progress = self._past_progress.get(identification_id)
        return [] if progress is None else progress.states_after(after)

    def by_id(self, identification_id: IdentificationId) -> Job | None:
        return self._by_id.get(identification_id)

    async def close(self, drain_seconds: float) -> None:
        """Start no further job, wait `drain_seconds` for running ones, then hand the rest over to other servers.

        Every waiting request gets an answer or an error.
        """
        self._closing = True
        tasks = {job.task for job in self._jobs.values() if job.task is not None}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=drain_seconds)
        await cancel_and_wait(*late)
        _log.info("jobs_drained", extra={"ended": len(tasks) - len(late), "handed_over": len(late)})

    # --- Entries: what requests call ------------------------------------------------------------------

    async def start_or_join(
        self, target: AskedTarget, *, caller: str, admit: Admit | None, skip_stored: bool = False
    ) -> tuple[Job, bool]:
        """The target's job, and whether it was joined rather than started. `skip_stored`: not for a stored answer.

        Concurrent requesters are admitted one at a time: the first that is admitted starts the job, and the others
        join it, even if it has ended by then.

        Raises TwitchAudioError `busy`, and what `admit` raises.
        """
        job = self.joinable(target, skip_stored=skip_stored) or self._add(target)
        if job.state is not JobState.NEW:
            return job, True
        job.skip_stored = job.skip_stored or skip_stored
        with self._in_line(job):
            async with job.line:
                if job.state is not JobState.NEW:
                    return job, True
                await self._admit(job, caller, admit)
                return job, job.caller is None

    def follow(self, target: AskedTarget, state: Identification) -> Job:
        """The target's job, which another server holds and stored as `state`. Raises TwitchAudioError `busy`."""
        job = self._jobs.get(target.key) or self._add(target)
        if job.state is JobState.NEW:
            self._start(job, JobState.FOLLOWING, state)
        return job

    def failed_if_abandoned(self, identification: Identification) -> Identification:
        """A stored identification as clients see it: failed, if its owner abandoned it unfinished."""
        if not abandoned(identification, self._clock.now()):
            return identification
        detail = "The server working on this stopped before it had an answer. Try again."
        problem = Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=0.0)
        return identification.failed(problem, self._clock.now())

    async def completed(self, finished: Identification) -> Identification:
        """A finished answer with what is added to all of them."""
        return await self._enrich(finished)

    async def add_answer(self, target: AskedTarget, heard: Identification) -> bool:
        """Store an answer that was found without a job, and tell the listeners; False while a job runs.

        Raises TwitchAudioError `busy`.
        """
        if target.key in self._jobs or self._closing:
            return False
        claim = await self._claim_lease(target, skip_stored=True)
        if not isinstance(claim, Claimed):
            return False
        begun = claim.identification
        finished = clean(dataclasses.replace(heard, id=begun.id, created_at=begun.created_at))
        try:
            finished = await self._enrich(finished)
            stored = await self._store.finish(claim.lease, finished)
        except BaseException:
            await self._release(claim.lease)
            raise
        if stored:
            self._ended(JobOutcome(finished))
        return stored

    # --- NEW ------------------------------------------------------------------------------------------

    def _add(self, target: AskedTarget) -> Job:
        if self._closing:
            raise _stopping()
        if len(self._jobs) >= self._limits.jobs:
            raise TwitchAudioError(
                ProblemCode.BUSY, "Too much is going on. Try again in a moment.", retry_after_seconds=5.0
            )
        job = self._jobs[target.key] = Job(target)
        return job

    @contextlib.contextmanager
    def _in_line(self, job: Job) -> Generator[None]:
        """Count a requester that waits for admission; the last one to leave a job that is still NEW removes it."""
        job.in_line += 1
        try:
            yield
        finally:
            job.in_line -= 1
            if not job.in_line and job.state is JobState.NEW:
                self._remove(job)

    async def _admit(self, job: Job, caller: str, admit: Admit | None) -> None:
        """NEW -> CLAIMING for a requester who is admitted, or FOLLOWING when another server has the job.

        A job stays NEW when the requester is refused.
        """
        admission = None
        if admit is not None:
            # Reserve room first: a full server answers `busy` at once, and nothing counts against the requester.
            with self._runner.reserve(caller):
                running = await self._store.running(job.target, now=self._clock.now())
                admission = await admit() if running is None else None
            if job.state is not JobState.NEW or self._closing:
                # While this waited, a request for its identification began to follow it; or the server stops.
                if admission is not None:
                    admission.job_ended()
                if self._closing:
                    raise _stopping()
                return
            if running is not None:
                job.elsewhere = True
                self._start(job, JobState.FOLLOWING, self.failed_if_abandoned(running))
                return
        job.caller, job.admission = caller, admission
        self._start(job, JobState.CLAIMING)

    def _start(self, job: Job, state: JobState, known: Identification | None = None) -> None:
        if self._closing:
            raise _stopping()
        job.state = state
        if known is not None:
            self._publish(job, known)
        job.task = asyncio.create_task(self._run(job), name=f"identify {job.target.key[:80]}")
        job.task.add_done_callback(lambda _task: self._on_done(job))

    # --- From CLAIMING or FOLLOWING to ENDED ----------------------------------------------------------

    async def _run(self, job: Job) -> None:
        """The job's task. Every outcome becomes a state, or an error for the requests that wait."""
        try:
            if job.state is JobState.CLAIMING:
                await self._claim(job)
            while job.state is JobState.FOLLOWING:
                await self._follow(job)
        except TwitchAudioError as error:
            job.progress.fail(error)
        except Exception:  # noqa: BLE001 - the last resort: waiting requests must learn of it
            _log.exception("job_crashed")
            detail = "This is a fault of ours, and it is logged."
            job.progress.fail(TwitchAudioError(ProblemCode.INTERNAL, detail))

    async def _claim(self, job: Job) -> None:
        """CLAIMING -> RUNNING with the lease, FOLLOWING when another has it, ENDED when there is an answer."""
        missing = await self._unavailable()
        if missing is not None:
            raise TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, missing)
        with self._runner.reserve(job.caller) as reservation:
            async with self._runner.asked_ahead(job.target) as ahead:
                # Admission has just read the store.
                claim = await self._claim_lease(
                    job.target, looked=job.admission is not None, skip_stored=job.skip_stored
                )
                if isinstance(claim, Claimed):
                    if job.admission is not None:
                        job.admission.job_started()
                    await self._work(job, reservation, claim.lease, claim.identification, ahead)
                    return
            job.end_admission()
            job.elsewhere = isinstance(claim, Held)
            job.state = JobState.FOLLOWING
            self._publish(job, claim.identification)

    async def _work(
        self,
        job: Job,
        reservation: Reservation,
        lease: Lease,
        identification: Identification,
        ahead: AskedAhead | None = None,
    ) -> None:
        """RUNNING -> ENDED with an answer, or FOLLOWING when the lease was lost to another owner."""
        job.state = JobState.RUNNING
        self._publish(job, identification)

        def on_stage(stage: Stage) -> None:
            current = job.progress.current or identification
            job.progress.publish(current.at_stage(stage))
            if stage is Stage.CAPTURING:
                # While the network is waited for.
                self._expect(job.target)
            self._news.tell(identification.id)

        try:
            outcome = await self._runner.run(reservation, lease, identification, job.target, on_stage, ahead=ahead)
        except asyncio.CancelledError:
            await self._release(lease)
            raise
        if outcome is None:
            _log.warning("job_lost", extra={"job_id": identification.id})
            job.state = JobState.FOLLOWING
            return
        finished = clean(outcome.identification)
        try:
            finished = await self._enrich(finished)
        finally:
            self._end(job, JobOutcome(finished, stored=outcome.stored))
            if not outcome.stored:
                self.unstored.keep(lease, finished)

    async def _follow(self, job: Job) -> None:
        """FOLLOWING -> ENDED when the owner's answer is there, or RUNNING when its lease has run out.

        A poll reads one row; every third of a lease's time another read asks whether the lease is still alive.
        While news of other servers arrive, there is a poll for each of them, and besides one for each such read.
        """
        state = job.progress.current
        assert state is not None, "only a started job is followed"
        with self._news.listening(state.id) as told:
            if self._news.arriving:
                # What happened before this began to listen is looked for once.
                told.set()
            await self._poll(job, state, told)

    async def _poll(self, job: Job, state: Identification, told: asyncio.Event) -> None:
        claim_at = self._clock.monotonic() + LEASE_SECONDS / 3
        while job.state is JobState.FOLLOWING:
            await self._wait_for_news(told)
            self._polls.add()
            try:
                state = await self._store.get(state.id) or state
                self._publish(job, self.failed_if_abandoned(state))
                if not job.progress.ended.done() and self._clock.monotonic() >= claim_at:
                    claim_at = self._clock.monotonic() + LEASE_SECONDS / 3
                    await self._take_over(job, state)
            except TwitchAudioError as error:
                if error.code is not ProblemCode.BUSY or abandoned(state, self._clock.now()):
                    raise

    async def _wait_for_news(self, told: asyncio.Event) -> None:
        """Wait until it is time to look at another server's job."""
        if not self._news.arriving:
            await self._clock.sleep(self._limits.poll_seconds * random.uniform(2 / 3, 1.0))  # noqa: S311 - jitter
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEASE_SECONDS / 3):
                await told.wait()
        told.clear()

    async def _take_over(self, job: Job, state: Identification) -> None:
        """FOLLOWING -> RUNNING when the owner's lease has run out."""
        with self._runner.reserve(None) as reservation:
            claim = await self._claim_lease(job.target)
            if not isinstance(claim, Claimed):
                return
            if claim.identification.id != state.id:
                # It ended between the two reads: this claim would start a job that no request asked for.
                await self._store.release(claim.lease)
                return
            _log.warning("job_taken_over", extra={"job_id": state.id, "fence": claim.lease.fence})
            await self._work(job, reservation, claim.lease, claim.identification)

    # --- ENDED ----------------------------------------------------------------------------------------

    def _end(self, job: Job, outcome: JobOutcome) -> None:
        """Count the outcome of a job of this process, and publish it to all requests that wait."""
        finished, problem = outcome.identification, outcome.identification.problem
        self._finished.add(finished.kind, finished.status, problem.code if problem else "")
        if problem is not None and problem.code in DEFINITE:
            self._definite_failures[job.target.key] = job
        self._ended(outcome)
        job.end_admission()
        self._publish(job, finished)
        self._news.tell(finished.id)
        _log.info("job_ended", extra=_summary(outcome))

    def _on_done(self, job: Job) -> None:
        """However the job's task ended, free its requester's slot and leave no request waiting."""
        job.state = JobState.ENDED
        job.end_admission()
        self._remove(job)
        job.progress.fail(_stopping())

    # --- Steps that several states share --------------------------------------------------------------

    def _publish(self, job: Job, state: Identification) -> None:
        if job.progress.current is None:
            self._by_id[state.id] = job
        job.progress.publish(state)
        if job.progress.ended.done():
            job.state = JobState.ENDED

    def _remove(self, job: Job) -> None:
        if self._jobs.get(job.target.key) is job:
            del self._jobs[job.target.key]
        current = job.progress.current
        if current is not None and self._by_id.get(current.id) is job:
            del self._by_id[current.id]
            self._past_progress[current.id] = job.progress

    async def _claim_lease(
        self, target: Target, *, looked: bool = False, skip_stored: bool = False
    ) -> Claimed | Held | Finished:
        now = self._clock.now()
        return await self._store.claim(
            target, owner=self._owner, now=now, lease_seconds=LEASE_SECONDS, looked=looked, skip_stored=skip_stored
        )

    async def _release(self, lease: Lease) -> None:
        """End the lease, so that another server can have the job before it expires."""
        try:
            async with asyncio.timeout(1.0):
                await self._store.release(lease)
        except (TwitchAudioError, TimeoutError):
            _log.warning("lease_not_released", extra={"job_id": lease.identification_id})


def _stopping() -> TwitchAudioError:
    detail = "The server is restarting. Try again in a few seconds."
    return TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=2.0)


def _summary(outcome: JobOutcome) -> dict[str, object]:
    finished = outcome.identification
    return {
        "job_id": finished.id,
        "kind": str(finished.kind),
        "status": str(finished.status),
        "recognizer": finished.recognizer,
        "stored": outcome.stored,
        **({"code": str(finished.problem.code)} if finished.problem else {}),
        **{name: value for name, value in dataclasses.asdict(finished.timings).items() if value is not None},
    }
