"""Runs jobs in the server's own process."""

from collections.abc import Callable

from fingerprint.asked_ahead import AskedAhead
from fingerprint.domain.identification import Identification
from fingerprint.domain.targets import Target
from fingerprint.job_ports import HeardBefore, JobOutcome, JobStore, Lease
from fingerprint.pipeline import Pipeline
from fingerprint.ports import Clock, OnStage
from server.identifications.runners.queued import MAX_QUEUE_SECONDS, QueuedRunner


class InProcessRunner(QueuedRunner):
    """Works on jobs with a pipeline in this process."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        store: JobStore,
        heard_before: HeardBefore | None = None,
        clock: Clock,
        max_running: int,
        max_queued: int,
        max_queue_seconds: float = MAX_QUEUE_SECONDS,
    ) -> None:
        async def work(
            lease: Lease,
            identification: Identification,
            target: Target,
            on_stage: OnStage,
            on_heard: Callable[[], None],
            *,
            ahead: AskedAhead | None,
        ) -> JobOutcome | None:
            return await pipeline.run(
                lease,
                identification,
                target,
                store=store,
                heard_before=heard_before,
                ahead=ahead,
                on_stage=on_stage,
                on_heard=on_heard,
            )

        super().__init__(
            work,
            ask_ahead=pipeline.asked_ahead,
            store=store,
            clock=clock,
            max_running=max_running,
            max_queued=max_queued,
            max_queue_seconds=max_queue_seconds,
        )
