"""Where jobs run: in this process, or elsewhere behind the same protocol."""

from contextlib import AbstractContextManager
from typing import Protocol

from fingerprint.domain.identification import Identification
from fingerprint.domain.targets import Target
from fingerprint.ports import JobOutcome, Lease, OnStage
from server.identifications.runners.fair_queue import Reservation


class Runner(Protocol):
    """Does jobs whose lease this server has claimed."""

    @property
    def running(self) -> int:
        """Jobs that are being worked on now."""
        ...

    @property
    def queued(self) -> int:
        """Jobs that wait for their turn."""
        ...

    def reserve(self, caller: str | None) -> AbstractContextManager[Reservation]:
        """Room for one job of a caller while the block runs; `caller` is None for a job that is taken over.

        Enter it before the job's lease is claimed. Raises TwitchAudioError `busy` at once when there is no room.
        """
        ...

    async def run(
        self,
        reservation: Reservation,
        lease: Lease,
        identification: Identification,
        target: Target,
        on_stage: OnStage,
    ) -> JobOutcome | None:
        """Do the job: the finished identification, or None when the lease was lost to another owner."""
        ...
