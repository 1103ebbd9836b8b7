"""Start a job or join the one that runs: the single flight of everyone who asks for the same target.

The service owns the jobs' tasks. A request only waits on a shielded future, so a client that leaves cancels
nothing, nor does the last one: its answer is stored.
"""

import asyncio
import dataclasses
import itertools
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NoReturn, assert_never

from fingerprint.domain.identification import (
    Identification,
    IdentificationId,
    Kind,
    Stage,
    abandoned,
    reusable,
)
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, TwitchTarget, VideoTarget
from fingerprint.jobs.clean import clean
from fingerprint.pipeline import LEASE_SECONDS
from fingerprint.ports import Claimed, Clock, Finished, Held, JobStore, Lease
from server.identifications.events import Progress
from server.identifications.kept import KeptAnswers
from server.identifications.runners import Runner
from server.identifications.set_list import Play, plays
from server.identifications.tickets import Admit, Ticket
from server.observability import Metrics

DEFINITE: Final = frozenset(
    {
        ProblemCode.NOT_LIVE,
        ProblemCode.CHANNEL_NOT_FOUND,
        ProblemCode.CLIP_NOT_FOUND,
        ProblemCode.VIDEO_NOT_FOUND,
        ProblemCode.RESTRICTED_STREAM,
    }
)
"""Failures that are answers: given again for a moment, so that a herd shares one look-up."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Bounds and times of the service, in one place."""

    waiters: int = 20_000
    jobs: int = 2_000
    poll_seconds: float = 0.5
    keep_definite_seconds: float = 3.0
    keep_song_seconds: float = 10.0
    kept: int = 1_000
    set_list_page: int = 200
    set_list_answers: int = 2_000


@dataclass(slots=True, eq=False)
class _Flight:
    """One job of this process, or one of another process that is followed here."""

    target: TwitchTarget
    progress: Progress = field(default_factory=Progress)
    task: asyncio.Task[None] | None = None
    ticket: Ticket | None = None

    def end_ticket(self) -> None:
        """Give the place back to whoever the job was started for."""
        if self.ticket is not None:
            self.ticket.ended()


@dataclass(slots=True, eq=False)
class _Admission:
    """Those who would start a job for one target at the same moment."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request got: the state, whether it joined another's job, and the job when it goes on."""

    identification: Identification
    shared: bool = False
    progress: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListPage:
    """Plays, newest first, and where older ones begin; None at the end."""

    plays: Sequence[Play]
    next_before: datetime | None


class IdentificationService:
    """Everything that the API offers on identifications."""

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
    ) -> None:
        self._store = store
        self._runner = runner
        self._unavailable = unavailable
        self._clock = clock
        self._owner = owner
        self._limits = limits or ServiceLimits()
        self._flights: dict[str, _Flight] = {}
        self._by_id: dict[IdentificationId, _Flight] = {}
        self._admissions: dict[str, _Admission] = {}
        self._refusals = KeptAnswers(clock, most=self._limits.kept)
        self._songs = KeptAnswers(clock, most=self._limits.kept)
        self._waiters = 0
        self._closing = False
        self._finished = metrics.counter(
            "twitchaudio_identifications_total", "Jobs that ended in this process.", "kind", "status", "code"
        )
        self._asked = metrics.counter(
            "twitchaudio_asked_total", "Requests for a target, by what they got.", "kind", "got"
        )
        metrics.gauge("twitchaudio_jobs_running", "Jobs at work.", lambda: runner.running)
        metrics.gauge("twitchaudio_jobs_queued", "Jobs that wait for their turn.", lambda: runner.queued)
        metrics.gauge("twitchaudio_waiters", "Requests that wait for an answer.", lambda: self._waiters)

    @property
    def jobs(self) -> int:
        """Jobs of this process and of others that are followed here."""
        return len(self._flights)

    # --- What requests call ---------------------------------------------------------------------------

    async def ask(self, target: TwitchTarget, *, admit: Admit | None = None) -> Asked:
        """The stored answer, the running job, or a new one.

        `admit` is awaited before a new job and raises TwitchAudioError to refuse it; joining is free.

        Raises TwitchAudioError: `recognizer-unavailable`, `busy`, and what `admit` raises.
        """
        flight = self._flights.get(target.key)
        if flight is None:
            known = await self._known(target)
            if known is not None:
                self._asked.add(target.kind, "stored")
                return known
            # Another request may have been faster while this one looked.
            flight = self._flights.get(target.key)
        shared = flight is not None
        if flight is None and admit is not None:
            flight, shared = await self._admitted(target, admit)
        elif flight is None:
            flight = self._take_off(target)
        self._asked.add(target.kind, "joined" if shared else "started")
        first = await asyncio.shield(flight.progress.started)
        if isinstance(first, TwitchAudioError):
            _raise_again(first)
        return _asked(flight, first, shared=shared)

    async def find(self, identification_id: IdentificationId) -> Asked | None:
        """An identification by its id. One that another process works on is followed, and taken over if need be.

        Raises TwitchAudioError `busy`.
        """
        flight = self._by_id.get(identification_id)
        if flight is None:
            stored = await self._store.get(identification_id)
            if stored is None:
                return None
            stored = self._view(stored)
            target = _target(stored)
            if stored.status.finished or target is None:
                return Asked(identification=stored)
            flight = self._flights.get(target.key) or self._take_off(target, following=stored)
            await asyncio.shield(flight.progress.started)
            current = flight.progress.current
            if current is None or current.id != identification_id:
                return Asked(identification=stored)
        current = flight.progress.current
        assert current is not None, "a flight found by id has a state"
        return _asked(flight, current, shared=False)

    async def answer(self, target: TwitchTarget) -> Identification | None:
        """The stored answer for a target; never starts anything."""
        known = self._songs.get(target.key)
        if known is not None:
            return known
        stored = await self._store.answer(target)
        # A song found in a clip or video stays; anything else may soon be out of date.
        if stored is not None and stored.song is not None and target.kind is not Kind.STREAM:
            self._songs.put(target.key, stored, self._limits.keep_song_seconds)
        return stored

    async def set_list(self, login: str, *, limit: int, before: datetime | None = None) -> SetListPage:
        """A channel's newest plays among the answers created before `before`, newest first.

        Reads until `limit` plays are whole, or as many answers as the limits allow.
        """
        rows: list[Identification] = []
        cursor = before
        while len(rows) < self._limits.set_list_answers:
            page = await self._store.history(login, limit=self._limits.set_list_page, before=cursor)
            rows += page
            found = list(itertools.islice(plays(rows), limit + 1))
            if len(page) < self._limits.set_list_page:
                return _page(found, limit)
            if len(found) > limit:
                return _page(found, limit)
            cursor = page[-1].created_at
        return _page(list(plays(rows)), limit, more=True)

    async def wait(self, asked: Asked, seconds: float) -> Identification:
        """The finished identification, or its state after `seconds`.

        Raises TwitchAudioError `busy` when too many wait or the server stops first.
        """
        if asked.progress is None:
            return asked.identification
        with self._waiting():
            try:
                async with asyncio.timeout(seconds):
                    end = await asyncio.shield(asked.progress.ended)
            except TimeoutError:
                return asked.progress.current or asked.identification
        if isinstance(end, TwitchAudioError):
            _raise_again(end)
        return end

    async def watch(self, asked: Asked, idle_seconds: float) -> AsyncGenerator[Identification | None]:
        """The current state and all later ones, None after each `idle_seconds` without news.

        The last is finished, unless the server stops first. Raises TwitchAudioError `busy` when too many wait.
        """
        if asked.progress is None:
            yield asked.identification
            return
        with self._waiting():
            async with aclosing(asked.progress.states(idle_seconds)) as states:
                async for state in states:
                    yield state

    async def unavailable(self) -> str | None:
        """None when something can recognize music; else what is missing and the ways out."""
        return await self._unavailable()

    # --- The end --------------------------------------------------------------------------------------

    async def close(self, drain_seconds: float = 0.0) -> None:
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

    # --- Inside ---------------------------------------------------------------------------------------

    @contextmanager
    def _waiting(self) -> Generator[None]:
        if self._waiters >= self._limits.waiters:
            raise TwitchAudioError(
                ProblemCode.BUSY, "Too many are waiting. Try again in a moment.", retry_after_seconds=5.0
            )
        self._waiters += 1
        try:
            yield
        finally:
            self._waiters -= 1

    def _view(self, identification: Identification) -> Identification:
        """A stored identification as a client shall see it: one that was left behind has failed."""
        if not abandoned(identification, self._clock.now()):
            return identification
        detail = "The server that worked on this stopped before it had an answer. Ask again."
        problem = Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=0.0)
        return identification.failed(problem, self._clock.now())

    async def _known(self, target: TwitchTarget) -> Asked | None:
        """An answer that is there already."""
        refusal = self._refusals.get(target.key)
        if refusal is not None:
            return Asked(identification=refusal, shared=True)
        if target.kind not in (Kind.CLIP, Kind.VIDEO):
            return None
        stored = await self.answer(target)
        if stored is None or not reusable(stored, self._clock.now()):
            return None
        return Asked(identification=stored)

    async def _admitted(self, target: TwitchTarget, admit: Admit) -> tuple[_Flight, bool]:
        """The job that was started meanwhile, or a new one once it is admitted; True for the first.

        One at a time for each target: of a herd the first is admitted and the others join.
        """
        place = self._admissions.setdefault(target.key, _Admission())
        place.waiting += 1
        try:
            async with place.lock:
                flight = self._flights.get(target.key)
                if flight is not None:
                    return flight, True
                ticket = None
                if await self._store.running(target, now=self._clock.now()) is None:
                    ticket = await admit()
                try:
                    return self._take_off(target, ticket=ticket), False
                except TwitchAudioError:
                    if ticket is not None:
                        ticket.ended()
                    raise
        finally:
            place.waiting -= 1
            if not place.waiting:
                del self._admissions[target.key]

    def _take_off(
        self, target: TwitchTarget, following: Identification | None = None, ticket: Ticket | None = None
    ) -> _Flight:
        """Start a job's task. Its entry stands before anything can fail and goes when the task ends."""
        if self._closing:
            raise _stopping()
        if len(self._flights) >= self._limits.jobs:
            raise TwitchAudioError(
                ProblemCode.BUSY, "Too much is going on. Try again in a moment.", retry_after_seconds=5.0
            )
        flight = _Flight(target, ticket=ticket)
        self._flights[target.key] = flight
        if following is not None:
            self._publish(flight, following)
        task = asyncio.create_task(self._fly(flight), name=f"identify {target.key[:80]}")
        flight.task = task

        def landed(_task: asyncio.Task[None]) -> None:
            flight.end_ticket()
            if self._flights.get(target.key) is flight:
                del self._flights[target.key]
            current = flight.progress.current
            if current is not None and self._by_id.get(current.id) is flight:
                del self._by_id[current.id]
            flight.progress.fail(_stopping())

        task.add_done_callback(landed)
        return flight

    def _publish(self, flight: _Flight, state: Identification) -> None:
        if flight.progress.current is None:
            self._by_id[state.id] = flight
        flight.progress.publish(state)

    async def _fly(self, flight: _Flight) -> None:
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

    async def _start(self, flight: _Flight) -> None:
        missing = await self._unavailable()
        if missing is not None:
            raise TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, missing)
        with self._runner.place():
            claim = await self._claim(flight.target)
            match claim:
                case Claimed(lease, identification):
                    if flight.ticket is not None:
                        flight.ticket.started()
                    await self._run(flight, lease, identification)
                case Held(identification) | Finished(identification):
                    flight.end_ticket()
                    self._publish(flight, identification)
                case _:
                    assert_never(claim)

    async def _claim(self, target: Target) -> Claimed | Held | Finished:
        now = self._clock.now()
        return await self._store.claim(target, owner=self._owner, now=now, lease_seconds=LEASE_SECONDS)

    async def _run(self, flight: _Flight, lease: Lease, identification: Identification) -> None:
        """Do a claimed job. Afterwards the job has ended, or its lease was lost and it is to be followed."""
        self._publish(flight, identification)

        def on_stage(stage: Stage) -> None:
            current = flight.progress.current or identification
            flight.progress.publish(current.at_stage(stage))

        try:
            finished = await self._runner.run(lease, identification, flight.target, on_stage)
        except asyncio.CancelledError:
            await self._hand_over(lease)
            raise
        if finished is None:
            _log.warning("job_lost", extra={"job_id": identification.id})
            return
        finished = clean(finished)
        problem = finished.problem
        self._finished.add(finished.kind, finished.status, problem.code if problem else "")
        self._keep(flight.target, finished)
        flight.end_ticket()
        flight.progress.publish(finished)
        _log.info("job_ended", extra=_summary(finished))

    async def _hand_over(self, lease: Lease) -> None:
        """Let another server have the job at once instead of after the lease."""
        try:
            async with asyncio.timeout(1.0):
                await self._store.release(lease)
        except (TwitchAudioError, TimeoutError):
            _log.warning("lease_not_released", extra={"job_id": lease.identification_id})

    def _keep(self, target: Target, finished: Identification) -> None:
        if finished.problem is not None and finished.problem.code in DEFINITE:
            self._refusals.put(target.key, finished, self._limits.keep_definite_seconds)

    async def _follow(self, flight: _Flight) -> None:
        """Watch another owner's job, one reader for all who wait here, and take it over when its lease ends.

        A poll reads one row; every third of a lease's time another read asks whether the lease still lives.
        """
        state = flight.progress.current
        assert state is not None, "only a started job is followed"
        claim_at = self._clock.monotonic() + LEASE_SECONDS / 3
        while not flight.progress.ended.done():
            await self._clock.sleep(self._limits.poll_seconds * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
            try:
                stored = await self._store.get(state.id)
                if stored is not None:
                    state = stored
                self._publish(flight, self._view(state))
                if not flight.progress.ended.done() and self._clock.monotonic() >= claim_at:
                    claim_at = self._clock.monotonic() + LEASE_SECONDS / 3
                    await self._take_over(flight, state)
            except TwitchAudioError as error:
                if error.code is not ProblemCode.BUSY or abandoned(state, self._clock.now()):
                    raise

    async def _take_over(self, flight: _Flight, state: Identification) -> None:
        with self._runner.place():
            claim = await self._claim(flight.target)
            if not isinstance(claim, Claimed):
                return
            if claim.identification.id != state.id:
                # It ended between the two reads, and this would be a new job that nobody asked for.
                await self._store.release(claim.lease)
                return
            _log.warning("job_taken_over", extra={"job_id": state.id, "fence": claim.lease.fence})
            await self._run(flight, claim.lease, claim.identification)


def _page(found: Sequence[Play], limit: int, *, more: bool = False) -> SetListPage:
    shown = found[:limit]
    more = more or len(found) > limit
    return SetListPage(plays=shown, next_before=shown[-1].asked_at if more and shown else None)


def _asked(flight: _Flight, state: Identification, *, shared: bool) -> Asked:
    current = flight.progress.current or state
    progress = None if current.status.finished else flight.progress
    return Asked(identification=current, shared=shared, progress=progress)


def _stopping() -> TwitchAudioError:
    detail = "The server is restarting. Ask again in a few seconds."
    return TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=2.0)


def _raise_again(error: TwitchAudioError) -> NoReturn:
    """A fresh exception for each who waited: one shared by thousands would collect all their tracebacks."""
    raise TwitchAudioError(error.code, error.detail, retry_after_seconds=error.retry_after_seconds) from error


def _target(identification: Identification) -> TwitchTarget | None:
    """The target that an identification was made for."""
    match identification.kind:
        case Kind.STREAM:
            return ChannelTarget(identification.target)
        case Kind.CLIP:
            return ClipTarget(identification.target)
        case Kind.VIDEO:
            return VideoTarget(identification.target, identification.at_seconds or 0.0)
        case Kind.FILE:
            return None
        case _:
            assert_never(identification.kind)


def _summary(finished: Identification) -> dict[str, object]:
    return {
        "job_id": finished.id,
        "kind": str(finished.kind),
        "status": str(finished.status),
        "recognizer": finished.recognizer,
        **({"code": str(finished.problem.code)} if finished.problem else {}),
        **{name: value for name, value in dataclasses.asdict(finished.timings).items() if value is not None},
    }
