"""Start a job or join the one that runs: the single flight of everyone who asks for the same target.

The flights own the jobs' tasks. A request only waits on a shielded future, so a client that leaves cancels
nothing, nor does the last one: its answer is stored.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NoReturn, assert_never

from fingerprint.domain.identification import (
    Identification,
    IdentificationId,
    Kind,
    reusable,
)
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, TwitchTarget, VideoTarget
from fingerprint.ports import Clock, JobStore
from server.identifications.admission import Admit
from server.identifications.events import Progress
from server.identifications.flights import Flight, Flights, Polish, as_it_is
from server.identifications.kept import KeptAnswers
from server.identifications.limits import ServiceLimits
from server.identifications.runners import Runner
from server.identifications.set_list import Play, plays
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
        polish: Polish = as_it_is,
    ) -> None:
        self._store = store
        self._runner = runner
        self._unavailable = unavailable
        self._clock = clock
        self._limits = limits or ServiceLimits()
        self._flights = Flights(
            store=store,
            runner=runner,
            unavailable=unavailable,
            clock=clock,
            owner=owner,
            metrics=metrics,
            limits=self._limits,
            ended=self._keep,
            polish=polish,
        )
        self._admissions: dict[str, _Admission] = {}
        self._refusals = KeptAnswers(clock, most=self._limits.kept)
        self._songs = KeptAnswers(clock, most=self._limits.kept)
        self._waiters = 0
        self._told: list[Callable[[Identification], None]] = []
        self._asked = metrics.counter(
            "twitchaudio_asked_total", "Requests for a target, by what they got.", "kind", "got"
        )
        metrics.gauge("twitchaudio_waiters", "Requests that wait for an answer.", lambda: self._waiters)

    @property
    def jobs(self) -> int:
        """Jobs of this process and of others that are followed here."""
        return len(self._flights)

    def tell(self, told: Callable[[Identification], None]) -> None:
        """Call `told` with every answer that a job of this process ends with. It must not block or raise."""
        self._told.append(told)

    def running(self) -> list[Identification]:
        """The state of each job that this server works on or follows, the oldest first."""
        return self._flights.states()

    # --- What requests call ---------------------------------------------------------------------------

    async def ask(self, target: TwitchTarget, *, caller: str = "", admit: Admit | None = None) -> Asked:
        """The stored answer, the running job, or a new one.

        `caller` is who asks: jobs that wait for their turn get it in rotation of their callers. `admit` is awaited
        before a new job and raises TwitchAudioError to refuse it; joining is free.

        Raises TwitchAudioError: `recognizer-unavailable`, `busy`, and what `admit` raises.
        """
        flight = self._flights.of(target)
        if flight is None:
            known = await self._known(target)
            if known is not None:
                self._asked.add(target.kind, "stored")
                return known
            # Another request may have been faster while this one looked.
            flight = self._flights.of(target)
        shared = flight is not None
        if flight is None:
            begun = await self._begun(target, caller, admit)
            if isinstance(begun, Asked):
                self._asked.add(target.kind, "stored")
                return begun
            flight, shared = begun
        first = await asyncio.shield(flight.progress.started)
        shared = shared or flight.elsewhere
        self._asked.add(target.kind, "joined" if shared else "started")
        if isinstance(first, TwitchAudioError):
            _raise_again(first)
        return _asked(flight, first, shared=shared)

    async def find(self, identification_id: IdentificationId) -> Asked | None:
        """An identification by its id. One that another process works on is followed, and taken over if need be.

        Raises TwitchAudioError `busy`.
        """
        flight = self._flights.by_id(identification_id)
        if flight is None:
            stored = await self._store.get(identification_id)
            if stored is None:
                return None
            stored = self._flights.view(stored)
            target = target_of(stored)
            if stored.status.finished or target is None:
                return Asked(identification=stored)
            flight = self._flights.of(target) or self._flights.take_off(target, following=stored)
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

    async def recent(self, login: str, *, limit: int) -> Sequence[Identification]:
        """A channel's newest answers with a song, newest first; of each, who asked does not matter."""
        return await self._store.history(login, limit=limit)

    async def mark_disputed(self, identification: Identification) -> None:
        """Give an answer to nobody from now on: the target is identified anew. Raises TwitchAudioError `busy`."""
        await self._store.mark_disputed(identification.id, now=self._clock.now())
        self.forget(identification)

    def forget(self, identification: Identification) -> None:
        """The stored answer has changed: what is kept of it here is out of date."""
        target = target_of(identification)
        if target is not None:
            self._songs.drop(target.key)

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
        self._begin_waiting()
        try:
            end = await asked.progress.end_within(seconds)
        finally:
            self._waiters -= 1
        if end is None:
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
        self._begin_waiting()
        try:
            async with aclosing(asked.progress.states(idle_seconds)) as states:
                async for state in states:
                    yield state
        finally:
            self._waiters -= 1

    async def unavailable(self) -> str | None:
        """None when something can recognize music; else what is missing and the ways out."""
        return await self._unavailable()

    # --- The end --------------------------------------------------------------------------------------

    async def close(self, drain_seconds: float = 0.0) -> None:
        """Start nothing new, let running jobs end for a while, then hand them over. Everyone is answered."""
        await self._flights.close(drain_seconds)

    # --- Inside ---------------------------------------------------------------------------------------

    def _begin_waiting(self) -> None:
        """Count one more; whoever calls this counts it off again. Raises TwitchAudioError `busy`."""
        if self._waiters >= self._limits.waiters:
            raise TwitchAudioError(
                ProblemCode.BUSY, "Too many are waiting. Try again in a moment.", retry_after_seconds=5.0
            )
        self._waiters += 1

    async def _known(self, target: TwitchTarget) -> Asked | None:
        """An answer that is there already."""
        refused = self._refused(target)
        if refused is not None:
            return refused
        if target.kind not in (Kind.CLIP, Kind.VIDEO):
            return None
        stored = await self.answer(target)
        if stored is None or not reusable(stored, self._clock.now()):
            return None
        return Asked(identification=stored)

    def _refused(self, target: TwitchTarget) -> Asked | None:
        """A failure that is an answer, of a moment ago."""
        refusal = self._refusals.get(target.key)
        return None if refusal is None else Asked(identification=refusal, shared=True)

    async def _begun(self, target: TwitchTarget, caller: str, admit: Admit | None) -> Asked | tuple[Flight, bool]:
        """What came of a job that was started and over meanwhile; else as `_admitted`."""
        refused = self._refused(target)
        if refused is not None:
            return refused
        if admit is None:
            return self._flights.take_off(target, caller=caller), False
        return await self._admitted(target, caller, admit)

    async def _admitted(self, target: TwitchTarget, caller: str, admit: Admit) -> Asked | tuple[Flight, bool]:
        """The job that was started meanwhile, or a new one once it is admitted; True for the first.

        One at a time for each target: of a herd the first is admitted and the others join, or get what it got when
        that is over already.
        """
        place = self._admissions.setdefault(target.key, _Admission())
        place.waiting += 1
        try:
            async with place.lock:
                flight = self._flights.of(target)
                if flight is not None:
                    return flight, True
                refused = self._refused(target)
                if refused is not None:
                    return refused
                admission = None
                # With a place held: beyond what can be done, the answer is `busy` at once, and costs nothing.
                with self._runner.reserve(caller):
                    if await self._store.running(target, now=self._clock.now()) is None:
                        admission = await admit()
                try:
                    return self._flights.take_off(target, caller=caller, admission=admission), False
                except TwitchAudioError:
                    if admission is not None:
                        admission.job_ended()
                    raise
        finally:
            place.waiting -= 1
            if not place.waiting:
                del self._admissions[target.key]

    def _keep(self, target: Target, finished: Identification) -> None:
        if finished.problem is not None and finished.problem.code in DEFINITE:
            self._refusals.put(target.key, finished, self._limits.keep_definite_seconds)
        for told in self._told:
            told(finished)


def _page(found: Sequence[Play], limit: int, *, more: bool = False) -> SetListPage:
    shown = found[:limit]
    more = more or len(found) > limit
    return SetListPage(plays=shown, next_before=shown[-1].asked_at if more and shown else None)


def _asked(flight: Flight, state: Identification, *, shared: bool) -> Asked:
    current = flight.progress.current or state
    progress = None if current.status.finished else flight.progress
    return Asked(identification=current, shared=shared, progress=progress)


def _raise_again(error: TwitchAudioError) -> NoReturn:
    """A fresh exception for each who waited: one shared by thousands would collect all their tracebacks."""
    raise TwitchAudioError(error.code, error.detail, retry_after_seconds=error.retry_after_seconds) from error


def target_of(identification: Identification) -> TwitchTarget | None:
    """The target that an identification was made for; None for a file."""
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
