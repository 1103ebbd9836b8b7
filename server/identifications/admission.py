"""The right to start one job, as access control grants it, and how the job reports back to it."""

from collections.abc import Awaitable, Callable
from typing import Protocol


class JobAdmission(Protocol):
    """The slot that one job takes of those that its requester may use at once. Neither method blocks."""

    def job_started(self) -> None:
        """Record that the job runs. Not called for a job that another server has or the queue has no room for."""
        ...

    def job_ended(self) -> None:
        """Release the slot, and undo the count of a job that never ran.

        Called at least once, before any waiting request learns of the end.
        """
        ...


Admit = Callable[[], Awaitable[JobAdmission | None]]
"""Awaited before a new job. Raises TwitchAudioError to refuse it."""
