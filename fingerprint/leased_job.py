"""A job under its lease, which is renewed meanwhile; its stages and its answer are stored."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from fingerprint.domain.identification import Identification, Stage
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.job_ports import LEASE_SECONDS, JobOutcome, JobStore, Lease
from fingerprint.ports import Clock, OnStage
from fingerprint.tasks import cancel_and_wait

STORE_SECONDS: Final = 3 * LEASE_SECONDS
"""How long it is tried to store an answer while the lease is renewed; without that, until the lease ends."""

_STORE_WAIT_SECONDS: Final = (0.1, 1.0)
"""The wait after the first failed try, which doubles with each further one, and the longest."""

STAGE_SECONDS: Final = 0.05
"""A stage that is over sooner is not stored: other servers look less often."""

_log = logging.getLogger(__name__)

Work = Callable[[OnStage], Coroutine[Any, Any, Identification]]
"""Makes a finished identification, and tells each stage that it reaches."""


class LeasedJob:
    """Does the work of a job under its lease."""

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run(
        self, lease: Lease, work: Work, *, on_stage: OnStage, on_heard: Callable[[], None] | None
    ) -> JobOutcome | None:
        """The stored answer; None when the lease was lost. `on_heard` is called when only storing is left."""
        left = max(0.0, (lease.expires_at - self._clock.now()).total_seconds())
        stages, held = (
            _StageRecorder(self._store, lease, on_stage),
            _HeldLease(lease, self._clock.monotonic() + left),
        )
        working = asyncio.create_task(work(stages.reached))
        keeper = asyncio.create_task(self._keep_lease(held))
        recorder = asyncio.create_task(stages.write())
        try:
            done, _ = await asyncio.wait({working, keeper}, return_when=asyncio.FIRST_COMPLETED)
            if working not in done:
                return None
            finished = working.result()
            stages.close()
            if on_heard is not None:
                on_heard()
            await recorder
            return await self._store_answer(held, finished)
        finally:
            await cancel_and_wait(working, keeper, recorder)

    async def _keep_lease(self, held: "_HeldLease") -> None:
        """Renew the lease until it is lost."""
        is_failing = False
        while True:
            await self._clock.sleep(LEASE_SECONDS / 3)
            lease = held.lease
            try:
                renewed = await self._store.renew(lease, now=self._clock.now(), lease_seconds=LEASE_SECONDS)
                is_failing = False
            except Exception as error:  # noqa: BLE001 - whatever keeps it from being renewed may be over in time
                if not isinstance(error, TwitchAudioError) and not is_failing:
                    _log.exception("lease_not_renewed", extra={"job_id": lease.identification_id})
                    is_failing = True
                # The store may come back before the lease expires; after that another owner has the job.
                if self._clock.monotonic() < held.until:
                    continue
                renewed = None
            if renewed is None:
                _log.warning("lease_lost", extra={"job_id": lease.identification_id})
                return
            held.lease, held.until = renewed, self._clock.monotonic() + LEASE_SECONDS

    async def _store_answer(self, held: "_HeldLease", finished: Identification) -> JobOutcome | None:
        """Store the answer, retrying until the lease ends; None when it was lost to another owner."""
        wait, longest = _STORE_WAIT_SECONDS
        until = self._clock.monotonic() + STORE_SECONDS
        while True:
            lease = held.lease
            try:
                return JobOutcome(finished) if await self._store.finish(lease, finished) else None
            except Exception:  # noqa: BLE001 - a fault of ours in the store may not cost the answer, either
                if self._clock.monotonic() >= min(held.until, until):  # it may have been renewed meanwhile
                    _log.exception("answer_not_stored", extra={"job_id": lease.identification_id})
                    return JobOutcome(finished, stored=False)
            await self._clock.sleep(wait * random.uniform(0.7, 1.0))  # noqa: S311 - jitter
            wait = min(longest, 2 * wait)


@dataclass(slots=True)
class _HeldLease:
    """The lease of a job as it was renewed last. `until`: its end, by the monotonic clock."""

    lease: Lease
    until: float


class _StageRecorder:
    """Reports each stage to listeners at once, and the newest to the store, without delaying the job.

    A stage is stored a little later, when the job waits for the network and not for a processor.
    """

    def __init__(self, store: JobStore, lease: Lease, on_stage: OnStage) -> None:
        self._store = store
        self._lease = lease
        self._on_stage = on_stage
        self._newest: Stage | None = None
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()

    def reached(self, stage: Stage) -> None:
        self._on_stage(stage)
        self._newest = stage
        self._wake.set()

    def close(self) -> None:
        """Write no more stages: the answer is known, and replaces any stage that is not written yet."""
        self._newest = None
        self._closed.set()
        self._wake.set()

    async def write(self) -> None:
        while not self._closed.is_set():
            await self._wake.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STAGE_SECONDS):
                    await self._closed.wait()
            self._wake.clear()
            stage, self._newest = self._newest, None
            if stage is None:
                continue
            try:
                await self._store.progress(self._lease, stage)
            except TwitchAudioError:
                _log.warning("progress_not_stored", extra={"job_id": self._lease.identification_id})
            except Exception:  # noqa: BLE001 - no fault of ours in a note about progress may cost the answer
                _log.exception("progress_crashed", extra={"job_id": self._lease.identification_id})
