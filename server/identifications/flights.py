"""The jobs at work for those who wait here, one a target: started, run, followed and taken over.

A flight is a job of this process, or one of another owner that is followed here. Its task belongs to `Flights`; a
request only waits on the flight's shielded futures.
"""

import asyncio
import dataclasses
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import assert_never

from fingerprint.domain.identification import Identification, IdentificationId, Stage, abandoned
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import Target, TwitchTarget
from fingerprint.jobs.clean import clean
from fingerprint.ports import LEASE_SECONDS, Claimed, Clock, Finished, Held, JobStore, Lease
from server.identifications.admission import JobAdmission
from server.identifications.events import Progress
from server.identifications.limits import ServiceLimits
from server.identifications.runners import Runner
from server.identifications.runners.fair_queue import Reservation
from server.observability import Metrics

_log = logging.getLogger(__name__)

Polish = Callable[[Identification], Awaitable[Identification]]
"""What may be added to a finished answer before it is told, quickly; it never fails."""


async def as_it_is(finished: Identification) -> Identification:
    """A `Polish` that adds nothing."""
    return finished


@dataclass(slots=True, eq=False)
class Flight:
    """One job. `caller` is who started it, for the runner to be fair between callers; None when it is followed."""

    target: TwitchTarget
    caller: str | None
    progress: Progress = field(default_factory=Progress)
    task: asyncio.Task[None] | None = None
    admission: JobAdmission | None = None
    elsewhere: bool = False
    """Another server had begun the job when this one asked for it."""

    def end_admission(self) -> None:
        """Give the place back to whoever the job was started for."""
        if self.admission is not None:
            self.admission.job_ended()


class Flights:
    """Every job that somebody waits for here.

    `ended` is told of each finished identification that this process had the work of.
    """

    def __init__(
        self,
        *,
        store: JobStore,
        runner: Runner,
        unavailable: Callable[[], Awaitable[str | None]],
        clock: Clock,
        owner: str,
        metrics: Metrics,
        limits: ServiceLimits,
        ended: Callable[[Target, Identification], None],
        polish: Polish,
    ) -> None:
        self._store = store
        self._runner = runner
        self._unavailable = unavailable
        self._clock = clock
        self._owner = owner
        self._limits = limits
        self._ended = ended
        self._polish = polish
        self._flights: dict[str, Flight] = {}
        self._by_id: dict[IdentificationId, Flight] = {}
        self._closing = False
        self._finished = metrics.counter(
            "twitchaudio_identifications_total", "Jobs that ended in this process.", "kind", "status", "code"
        )
        self._polls = metrics.counter(
            "twitchaudio_job_polls_total", "Looks at jobs of other owners: one reader a job, however many wait."
        )
        metrics.gauge("twitchaudio_jobs_running", "Jobs at work.", lambda: runner.running)
        metrics.gauge("twitchaudio_jobs_queued", "Jobs that wait for their turn.", lambda: runner.queued)

    def __len__(self) -> int:
        return len(self._flights)

    def states(self) -> list[Identification]:
        """The current state of every flight that has one, the oldest first."""
        found = (flight.progress.current for flight in self._flights.values())
        return sorted((state for state in found if state is not None), key=lambda state: state.created_at)

    def of(self, target: TwitchTarget) -> Flight | None:
        """The flight for a target."""
        return self._flights.get(target.key)

    def by_id(self, identification_id: IdentificationId) -> Flight | None:
        """The flight of an identification."""
        return self._by_id.get(identification_id)

    def take_off(
        self,
        target: TwitchTarget,
        *,
        caller: str | None = None,
        admission: JobAdmission | None = None,
        following: Identification | None = None,
    ) -> Flight:
        """Start a job's task. Its entry stands before anything can fail and goes when the task ends.

        `admission` is ended when the job is, also when nothing comes of it here; not when this raises.
        `following`: the job is another owner's, as far as is known, and in this state.

        Raises TwitchAudioError `busy`.
        """
        if self._closing:
            raise stopping()
        if len(self._flights) >= self._limits.jobs:
            raise TwitchAudioError(
                ProblemCode.BUSY, "Too much is going on. Try again in a moment.", retry_after_seconds=5.0
            )
        flight = Flight(target, caller, admission=admission)
        self._flights[target.key] = flight
        if following is not None:
            self._publish(flight, following)
        task = asyncio.create_task(self._fly(flight), name=f"identify {target.key[:80]}")
        flight.task = task

        def landed(_task: asyncio.Task[None]) -> None:
            flight.end_admission()
            if self._flights.get(target.key) is flight:
                del self._flights[target.key]
            current = flight.progress.current
            if current is not None and self._by_id.get(current.id) is flight:
                del self._by_id[current.id]
            flight.progress.fail(stopping())

        task.add_done_callback(landed)
        return flight

    async def close(self, drain_seconds: float) -> None:
        """Start nothing new, let running jobs end for a while, then hand them over. Everyone is answered."""
        self._closing = True
        tasks = {flight.task for flight in self._flights.values() if flight.task is not None}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=drain_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        _log.info("jobs_drained", extra={"ended": len(tasks) - len(late), "handed_over": len(late)})

    def view(self, identification: Identification) -> Identification:
        """A stored identification as a client shall see it: one that was left behind has failed."""
        if not abandoned(identification, self._clock.now()):
            return identification
        detail = "The server that worked on this stopped before it had an answer. Ask again."
        problem = Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=0.0)
        return identification.failed(problem, self._clock.now())

    def _publish(self, flight: Flight, state: Identification) -> None:
        if flight.progress.current is None:
            self._by_id[state.id] = flight
        flight.progress.publish(state)

    async def _fly(self, flight: Flight) -> None:
        """A job from start to end; whatever happens becomes a state or an error for those who wait."""
        try:
            if flight.progress.current is None:
                await self._start(flight)
            while not flight.progress.ended.done():
                await self._follow(flight)
        except TwitchAudioError as error:
            flight.progress.fail(error)
        except Exception:  # noqa: BLE001 - the last resort: those who wait must learn of it
            _log.exception("job_crashed")
            detail = "This is a fault of ours, and it is logged."
            flight.progress.fail(TwitchAudioError(ProblemCode.INTERNAL, detail))

    async def _start(self, flight: Flight) -> None:
        missing = await self._unavailable()
        if missing is not None:
            raise TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, missing)
        with self._runner.reserve(flight.caller) as reservation:
            # Whoever got a admission had looked for a job just before.
            claim = await self._claim(flight.target, looked=flight.admission is not None)
            match claim:
                case Claimed(lease, identification):
                    if flight.admission is not None:
                        flight.admission.job_started()
                    await self._run(flight, reservation, lease, identification)
                case Held(identification) | Finished(identification):
                    flight.end_admission()
                    flight.elsewhere = isinstance(claim, Held)
                    self._publish(flight, identification)
                case _:
                    assert_never(claim)

    async def _claim(self, target: Target, *, looked: bool = False) -> Claimed | Held | Finished:
        now = self._clock.now()
        return await self._store.claim(
            target, owner=self._owner, now=now, lease_seconds=LEASE_SECONDS, looked=looked
        )

    async def _run(
        self, flight: Flight, reservation: Reservation, lease: Lease, identification: Identification
    ) -> None:
        """Do a claimed job. Afterwards the job has ended, or its lease was lost and it is to be followed."""
        self._publish(flight, identification)

        def on_stage(stage: Stage) -> None:
            current = flight.progress.current or identification
            flight.progress.publish(current.at_stage(stage))

        try:
            finished = await self._runner.run(reservation, lease, identification, flight.target, on_stage)
        except asyncio.CancelledError:
            await self._hand_over(lease)
            raise
        if finished is None:
            _log.warning("job_lost", extra={"job_id": identification.id})
            return
        finished = clean(finished)
        try:
            finished = await self._polish(finished)
        finally:
            self._tell(flight, finished)

    def _tell(self, flight: Flight, finished: Identification) -> None:
        """The answer, to everyone who waits and to the operator."""
        problem = finished.problem
        self._finished.add(finished.kind, finished.status, problem.code if problem else "")
        self._ended(flight.target, finished)
        flight.end_admission()
        flight.progress.publish(finished)
        _log.info("job_ended", extra=_summary(finished))

    async def _hand_over(self, lease: Lease) -> None:
        """Let another server have the job at once instead of after the lease."""
        try:
            async with asyncio.timeout(1.0):
                await self._store.release(lease)
        except (TwitchAudioError, TimeoutError):
            _log.warning("lease_not_released", extra={"job_id": lease.identification_id})

    async def _follow(self, flight: Flight) -> None:
        """Watch another owner's job, one reader for all who wait here, and take it over when its lease ends.

        A poll reads one row; every third of a lease's time another read asks whether the lease still lives.
        """
        state = flight.progress.current
        assert state is not None, "only a started job is followed"
        claim_at = self._clock.monotonic() + LEASE_SECONDS / 3
        while not flight.progress.ended.done():
            await self._clock.sleep(self._limits.poll_seconds * random.uniform(2 / 3, 1.0))  # noqa: S311 - jitter
            self._polls.add()
            try:
                stored = await self._store.get(state.id)
                if stored is not None:
                    state = stored
                self._publish(flight, self.view(state))
                if not flight.progress.ended.done() and self._clock.monotonic() >= claim_at:
                    claim_at = self._clock.monotonic() + LEASE_SECONDS / 3
                    await self._take_over(flight, state)
            except TwitchAudioError as error:
                if error.code is not ProblemCode.BUSY or abandoned(state, self._clock.now()):
                    raise

    async def _take_over(self, flight: Flight, state: Identification) -> None:
        with self._runner.reserve(None) as reservation:
            claim = await self._claim(flight.target)
            if not isinstance(claim, Claimed):
                return
            if claim.identification.id != state.id:
                # It ended between the two reads, and this would be a new job that nobody asked for.
                await self._store.release(claim.lease)
                return
            _log.warning("job_taken_over", extra={"job_id": state.id, "fence": claim.lease.fence})
            await self._run(flight, reservation, claim.lease, claim.identification)


def stopping() -> TwitchAudioError:
    """What those are told who wait for a server that stops."""
    detail = "The server is restarting. Ask again in a few seconds."
    return TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=2.0)


def _summary(finished: Identification) -> dict[str, object]:
    return {
        "job_id": finished.id,
        "kind": str(finished.kind),
        "status": str(finished.status),
        "recognizer": finished.recognizer,
        **({"code": str(finished.problem.code)} if finished.problem else {}),
        **{name: value for name, value in dataclasses.asdict(finished.timings).items() if value is not None},
    }
