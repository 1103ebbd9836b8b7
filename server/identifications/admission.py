"""The right to start one job, as access control gives it; it is told what becomes of the job."""

from collections.abc import Awaitable, Callable
from typing import Protocol


class JobAdmission(Protocol):
    """One job's slot among those that its requester may have at once. Both methods return at once."""

    def job_started(self) -> None:
        """The job runs. One that ends without this was for nothing: another was faster, or all is full."""
        ...

    def job_ended(self) -> None:
        """The job is over. Called at least once, and before anyone who waits learns of the job's end."""
        ...


Admit = Callable[[], Awaitable[JobAdmission | None]]
"""Awaited before a new job. Raises TwitchAudioError to refuse it."""
