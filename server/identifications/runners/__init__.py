"""Where jobs run: in this process, or elsewhere behind the same protocol."""

from contextlib import AbstractContextManager
from typing import Protocol

from fingerprint.domain.identification import Identification
from fingerprint.domain.targets import Target
from fingerprint.ports import Lease, OnStage


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

    def place(self) -> AbstractContextManager[None]:
        """A place for one job, held from before its claim to its end.

        Raises TwitchAudioError `busy` at once when there is none.
        """
        ...

    async def run(
        self, lease: Lease, identification: Identification, target: Target, on_stage: OnStage
    ) -> Identification | None:
        """The finished identification, stored; None when the lease was lost to another owner."""
        ...
