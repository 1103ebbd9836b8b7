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
        """Jobs at work."""
        ...

    @property
    def queued(self) -> int:
        """Jobs that wait for their turn."""
        ...

    def reserve(self, caller: str | None) -> AbstractContextManager[Reservation]:
        """A place for one job of a caller, held from before its claim to its end; None: one that is taken over.

        Raises TwitchAudioError `busy` at once when there is none.
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
        """The finished identification; None when the lease was lost to another owner."""
        ...
