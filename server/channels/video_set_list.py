"""The set list of a whole VOD: a job that listens to all of it. Its rules are pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fingerprint.domain.problems import Problem
from fingerprint.domain.tracklist import Tracklist


class SetListStatus(StrEnum):
    """How far a set list is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether the work has ended."""
        return self not in (SetListStatus.QUEUED, SetListStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSetList:
    """A VOD's set list, and what is known so far.

    `made_by`: who started it, `user:NUMBER` or `key:ID`. `channel_id`: whose VOD it is, where that is known.
    `fence` grows each time a server takes the job: a late server changes nothing.
    """

    video: str
    status: SetListStatus
    tracklist: Tracklist
    made_by: str
    channel_id: str | None
    created_at: datetime
    finished_at: datetime | None
    problem: Problem | None
    fence: int

    @property
    def budgeted(self) -> bool:
        """Whether it counts in the hours of a day: those of operators do not, who need not own the VOD."""
        return self.channel_id is not None or self.made_by.startswith("key:")
