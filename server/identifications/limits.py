"""Bounds and times of the identification service."""

from dataclasses import dataclass
from typing import Final

WAITERS_SHARE: Final = 5
"""Of one address may wait this many times those that there is still room for: thousands, and never all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Bounds of the identification service; times are in seconds."""

    waiters: int = 20_000
    jobs: int = 2_000
    poll_seconds: float = 0.45
    """The longest pause between two polls of another server's job; the mean is five sixths of it."""
    function_start_seconds: float = 15.0
    """How long a Lambda function may take to adopt its job. One that starts later finds the job ended."""
    keep_definite_seconds: float = 3.0
    keep_song_seconds: float = 10.0
    keep_progress_seconds: float = 60.0
    """How long after a job's end the stages that it went through can be sent to listeners who come back."""
    kept: int = 1_000
    set_list_page: int = 200
    set_list_answers: int = 2_000
