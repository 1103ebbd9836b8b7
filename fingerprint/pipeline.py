"""One job from start to end: resolve, capture, fingerprint, recognize, store. Knows ports only.

Both runners use it: the server in its own process, and the Lambda handler.
"""

import asyncio
import dataclasses
import logging
from typing import Final

from fingerprint.domain.identification import Identification, Kind, Stage, Status, Timings
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import Target
from fingerprint.ports import Capture, Clock, JobStore, Lease, MediaResolver, OnStage, Recognizers

LEASE_SECONDS: Final = 5.0
"""How long a job may be silent before another server takes it over; it is renewed three times as often."""

CAPTURE_SECONDS: Final = 6.0
JOB_SECONDS: Final = 30.0
"""The limit of a whole job."""

STORE_ATTEMPTS: Final = 3

_log = logging.getLogger(__name__)


def _ignore(_stage: Stage) -> None:
    """The default listener."""


class Pipeline:
    """Identifies targets. `identify` is the work alone; `run` does it under a lease and stores the answer."""

    def __init__(
        self,
        *,
        resolver: MediaResolver,
        capture: Capture,
        recognizers: Recognizers,
        clock: Clock,
        job_seconds: float = JOB_SECONDS,
    ) -> None:
        self._resolver = resolver
        self._capture = capture
        self._recognizers = recognizers
        self._clock = clock
        self._job_seconds = job_seconds

    async def unavailable(self) -> str | None:
        """None when something can recognize music; else what is missing and the ways out."""
        return await self._recognizers.unavailable()

    async def identify(
        self, identification: Identification, target: Target, on_stage: OnStage = _ignore
    ) -> Identification:
        """The finished identification. Never raises, but for cancellation: problems are part of the answer."""
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._job_seconds):
                finished = await self._identify(identification, target, on_stage)
        except TwitchAudioError as error:
            finished = identification.failed(error.problem, self._clock.now())
        except TimeoutError:
            detail = f"This took longer than {self._job_seconds:.0f} s and was given up. Try again in a moment."
            problem = Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=5.0)
            finished = identification.failed(problem, self._clock.now())
        except Exception:  # noqa: BLE001 - the waiters must get an answer whatever broke; it is logged whole
            _log.exception("job_crashed", extra={"job_id": identification.id})
            detail = f"This is a fault of ours. It is logged under {identification.id}."
            problem = Problem(code=ProblemCode.INTERNAL, detail=detail)
            finished = identification.failed(problem, self._clock.now())
        total_ms = (self._clock.monotonic() - started) * 1000
        return dataclasses.replace(finished, timings=dataclasses.replace(finished.timings, total_ms=total_ms))

    async def _identify(self, identification: Identification, target: Target, on_stage: OnStage) -> Identification:
        clock = self._clock
        on_stage(Stage.RESOLVING)
        before_resolve = clock.monotonic()
        source = await self._resolver.resolve(target)
        on_stage(Stage.CAPTURING)
        before_capture = clock.monotonic()
        recording = await self._capture.capture(source, CAPTURE_SECONDS)
        after_capture = clock.monotonic()
        answer = await self._recognizers.identify(recording, on_stage)
        best = answer.matches[0] if answer.matches else None
        songs = tuple(match.song for match in answer.matches)
        return dataclasses.replace(
            identification,
            status=Status.NO_MATCH if best is None else Status.SUCCESSFUL,
            stage=Stage.DONE,
            finished_at=clock.now(),
            song=None if best is None else best.song,
            songs=tuple(sorted(songs, key=lambda song: song.position_seconds))
            if target.kind in (Kind.CLIP, Kind.FILE)
            else songs,
            score=None if best is None else best.score,
            recognizer=answer.recognizer,
            captured_seconds=round(recording.pcm.duration_seconds, 3),
            captured_at=recording.started_at,
            timings=Timings(
                resolve_ms=(before_capture - before_resolve) * 1000,
                capture_ms=(after_capture - before_capture) * 1000,
                fingerprint_ms=answer.fingerprint_ms,
                recognize_ms=answer.recognize_ms,
            ),
        )

    async def run(
        self,
        lease: Lease,
        identification: Identification,
        target: Target,
        *,
        store: JobStore,
        on_stage: OnStage = _ignore,
    ) -> Identification | None:
        """Identify under a lease that is renewed meanwhile, record each stage, and store the answer.

        Returns None when the lease was lost: another owner has the job then, and its answer counts.
        """
        stages = _StageRecorder(store, lease, on_stage)
        work = asyncio.create_task(self.identify(identification, target, stages.reached))
        keeper = asyncio.create_task(self._keep(lease, store))
        recorder = asyncio.create_task(stages.write())
        try:
            done, _ = await asyncio.wait({work, keeper}, return_when=asyncio.FIRST_COMPLETED)
            if work not in done:
                return None
            finished = work.result()
            stages.close()
            await recorder
            stored = await self._store(lease, finished, store)
            return finished if stored else None
        finally:
            for task in (work, keeper, recorder):
                task.cancel()
            await asyncio.gather(work, keeper, recorder, return_exceptions=True)

    async def _keep(self, lease: Lease, store: JobStore) -> None:
        """Renew the lease until it is lost."""
        while True:
            await self._clock.sleep(LEASE_SECONDS / 3)
            try:
                renewed = await store.renew(lease, now=self._clock.now(), lease_seconds=LEASE_SECONDS)
            except TwitchAudioError:
                # The store may come back before the lease runs out; after that the job is another's.
                renewed = lease if self._clock.now() < lease.expires_at else None
            if renewed is None:
                _log.warning("lease_lost", extra={"job_id": lease.identification_id})
                return
            lease = renewed

    async def _store(self, lease: Lease, finished: Identification, store: JobStore) -> bool:
        """Store the answer, trying again while the store is away. The listeners get it in any case."""
        for attempt in range(1, STORE_ATTEMPTS + 1):
            try:
                return await store.finish(lease, finished)
            except TwitchAudioError:
                if attempt == STORE_ATTEMPTS:
                    _log.exception("answer_not_stored", extra={"job_id": lease.identification_id})
                    return True
                await self._clock.sleep(0.2 * attempt)
        raise AssertionError("unreachable")


class _StageRecorder:
    """Tells listeners of each stage at once and the store of the newest one, off the job's path."""

    def __init__(self, store: JobStore, lease: Lease, on_stage: OnStage) -> None:
        self._store = store
        self._lease = lease
        self._on_stage = on_stage
        self._newest: Stage | None = None
        self._wake = asyncio.Event()
        self._closed = False

    def reached(self, stage: Stage) -> None:
        self._on_stage(stage)
        self._newest = stage
        self._wake.set()

    def close(self) -> None:
        """No more stages: the answer is there, which says more than any stage still unwritten."""
        self._newest = None
        self._closed = True
        self._wake.set()

    async def write(self) -> None:
        while not self._closed:
            await self._wake.wait()
            self._wake.clear()
            stage, self._newest = self._newest, None
            if stage is None:
                continue
            try:
                await self._store.progress(self._lease, stage)
            except TwitchAudioError:
                _log.warning("progress_not_stored", extra={"job_id": self._lease.identification_id})
