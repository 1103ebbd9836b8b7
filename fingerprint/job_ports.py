"""The ports of jobs: who works on a target, and where answers are kept. The pipeline's own are in `ports`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from fingerprint.domain.broadcasts import Broadcast
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import Identification, IdentificationId, Stage
from fingerprint.domain.targets import Target
from fingerprint.domain.time_line import Span

MAX_HEARD: Final = 500
"""How many answers of a stretch of a broadcast are considered."""

LEASE_SECONDS: Final = 5.0
"""How long a lease lasts unless renewed, in seconds; its owner renews it three times as often."""

MAX_LEASE_AHEAD_SECONDS: Final = 60.0
"""A lease that ends later than this from now was written by a clock that went wrong, and is over: a server that
stopped before its clock was set back blocks nothing for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on an identification until `expires_at`, unless renewed.

    `fence` grows by one each time a target is claimed; a store refuses writes with an older one, so an owner
    that was paused and overtaken cannot overwrite the answer of its successor.
    """

    identification_id: IdentificationId
    target_key: str
    owner: str
    fence: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """The caller has the lease and must do the work."""

    lease: Lease
    identification: Identification


@dataclass(frozen=True, slots=True)
class Held:
    """Another owner is doing the work; `identification` is the job's present state."""

    identification: Identification


@dataclass(frozen=True, slots=True)
class Finished:
    """A stored answer can be returned again."""

    identification: Identification


Claim = Claimed | Held | Finished


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """A job's result, and whether it is in the store: waiting requests get it in any case."""

    identification: Identification
    stored: bool = True


class HeardBefore(Protocol):
    """What was heard in broadcasts: the time line of each."""

    async def spans(self, broadcast: str, start: float, end: float) -> Sequence[Span]:
        """What was heard between two seconds of a broadcast, or near them, in any order.

        Raises TwitchAudioError `busy`.
        """
        ...

    async def broadcast_at(self, login: str, at: datetime) -> Broadcast | None:
        """The broadcast of a channel that was heard around a time, and had begun then; None where none was heard.

        Raises TwitchAudioError `busy`.
        """
        ...

    async def answer(self, target: Target) -> Identification | None:
        """The newest finished answer (successful or no match) for a target, or None. Never starts a job."""
        ...


class JobStore(Protocol):
    """Identifications and the leases on them. All stores pass one suite: tests/contract/test_job_store.py.

    A store that cannot be reached raises TwitchAudioError `busy`. Times are compared with the `now` given by
    the caller, never with the store's own clock.
    """

    async def claim(
        self,
        target: Target,
        *,
        owner: str,
        now: datetime,
        lease_seconds: float,
        identification_id: IdentificationId | None = None,
        looked: bool = False,
        skip_stored: bool = False,
    ) -> Claim:
        """Decide atomically which server works on a target.

        `Finished` when a stored answer may be given again (`reusable`); `Held` when a lease on the target is
        alive; else `Claimed`: with a new identification, or, when the previous owner's lease ran out, with the
        one that it abandoned, so that requests that wait for it are answered (unless it is `abandoned`). A new
        identification gets `identification_id`, which must not be in use, where one is given. `looked`: the caller
        has just seen neither an answer nor a lease, which a store then need not look for first; the
        result is the same. `skip_stored`: a stored answer is not wanted, so that the result is never `Finished`.
        """
        ...

    async def adopt(self, lease: Lease, *, owner: str, now: datetime, lease_seconds: float) -> Claimed | None:
        """Take over work that its owner hands on, under a new lease with the next fencing token.

        Only the first caller gets it, and from then on the old lease is not valid. None when the lease was lost or
        has ended.
        """
        ...

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        """The lease with a later expiry; None when it was lost, and then the work must stop."""
        ...

    async def progress(self, lease: Lease, stage: Stage) -> bool:
        """Record the stage. False when the lease was lost."""
        ...

    async def finish(self, lease: Lease, identification: Identification) -> bool:
        """Store the finished identification and end the lease. False when the lease was lost.

        Calling it again with the same lease and answer is a success.
        """
        ...

    async def heard(self, broadcast: str, start: float, end: float) -> Sequence[Identification]:
        """The answers whose sound may lie between two seconds of a broadcast, at most `MAX_HEARD`, in any order.

        Every finished answer that `span_of` maps is among them, unless a listener disputed it.
        """
        ...

    async def answer(self, target: Target) -> Identification | None:
        """The newest finished answer (successful or no match) for a target, or None. Never starts a job."""
        ...

    async def release(self, lease: Lease) -> None:
        """End the lease with the work undone, so that another owner can take it over at once."""
        ...

    async def mark_disputed(self, identification_id: IdentificationId, *, now: datetime) -> None:
        """Stop reusing a finished answer for new questions (`reusable`); it can still be read.

        Unknown ids are ignored.
        """
        ...

    async def update_answer(self, identification: Identification) -> None:
        """Replace a finished answer by one that says more about its songs, such as links that were found later.

        One for which no song was found may have one now, and is then on its broadcast's time line with it.
        Does nothing when the identification is not stored or not finished.
        """
        ...

    async def get(self, identification_id: IdentificationId) -> Identification | None:
        """The identification with an id, or None."""
        ...

    async def running(self, target: Target, *, now: datetime) -> Identification | None:
        """The target's unfinished identification with a live lease, or None. Never starts a job."""
        ...

    async def forget(self, traces: ChannelTraces, *, now: datetime) -> Sequence[IdentificationId]:
        """Delete every finished identification of a channel, its clips and its VODs; returns their ids.

        Jobs under way stay. Takes as long as it takes, in small steps.
        """
        ...

    async def history(self, login: str, *, limit: int, before: datetime | None = None) -> Sequence[Identification]:
        """A channel's finished stream identifications with a song, newest first, created before `before`."""
        ...

    async def check(self) -> None:
        """Raise TwitchAudioError `busy`, with what an operator can do, when the store cannot be used."""
        ...
