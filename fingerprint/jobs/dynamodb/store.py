"""The JobStore port on two DynamoDB tables; see `tables` for what they hold.

A target's seat decides. A claim is one conditional write of it: its fencing token must be the one that was read,
and its lease must be over. The job's item carries the same token, raised before the work begins, and every later
write has the token in its condition. DynamoDB's transactions are not used: each step leaves a state from which
the next server that claims the target can continue.

- A seat whose job has no item: its owner died in between, or is about to write it. The next owner writes it.
- A job that has ended although its seat is not done: its owner died in between, and the next server that claims
  it closes the seat.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from fingerprint.database import Database
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import Identification, IdentificationId, Stage, abandoned, reusable
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, Target, asked_now
from fingerprint.job_ports import Claim, Claimed, Finished, Held, Lease
from fingerprint.jobs.clean import clean
from fingerprint.jobs.dynamodb.client import CALL_SECONDS, open_client
from fingerprint.jobs.dynamodb.expiry import Expiry
from fingerprint.jobs.dynamodb.forget import forget_channel
from fingerprint.jobs.dynamodb.items import Seat
from fingerprint.jobs.dynamodb.job_items import JobItems
from fingerprint.jobs.dynamodb.places import JobTables, new_job_id
from fingerprint.jobs.dynamodb.seats import ANSWERS, Seats, lease_of
from fingerprint.jobs.dynamodb.tables import TableNames, create_tables
from fingerprint.jobs.dynamodb.time_line import TimeLines
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Clock

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

_CLAIM_ATTEMPTS: Final = 5

_log = logging.getLogger(__name__)


class DynamoDbJobStore:
    """The JobStore port on two DynamoDB tables. `keep`: when items expire, except clips' answers; None: never."""

    def __init__(
        self,
        client: "DynamoDBClient",
        names: TableNames,
        *,
        clock: Clock,
        keep: timedelta | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        expiry = Expiry(keep)
        self._tables = JobTables(client, names, call_seconds=call_seconds)
        self._seats = Seats(self._tables, clock=clock, expiry=expiry)
        self._job_items = JobItems(self._tables, clock=clock, expiry=expiry)
        self._time_lines = TimeLines(self._tables.streams, clock=clock, expiry=expiry)

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
        """Only a claim writes; a held or finished target is found by reading alone."""
        for _attempt in range(_CLAIM_ATTEMPTS):
            seat = await self._seats.find(target)
            answer = None if skip_stored or seat is None else await self._reused(target, seat)
            if answer is not None and reusable(answer, now):
                return Finished(answer)
            left = None if seat is None or seat.done else await self._job_items.of_seat(seat)
            if seat is not None and left is not None:
                if left.status.finished:
                    await self._seats.close(lease_of(seat, target), left)
                    if reusable(left, now) and not skip_stored:
                        return Finished(left)
                    continue
                if seat.held(now):
                    return Held(left)
            given_up = left if left is not None and abandoned(left, now) else None
            fresh = asked_now(target, now, identification_id or new_job_id(target.kind))
            work = left if left is not None and given_up is None else fresh
            lease = await self._seats.claim(seat, target, work, owner=owner, now=now, lease_seconds=lease_seconds)
            if lease is None:
                continue
            if given_up is not None:
                await self._job_items.end_abandoned(target, given_up, lease, now)
            begun = await self._job_items.begin(target, work, lease.fence)
            if begun is not None:
                return Claimed(lease, begun)
            # Its previous owner was faster and ended it.
            await self.release(lease)
        detail = "Too many ask for this at once. Try again in a moment."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=1.0)

    async def _reused(self, target: Target, seat: Seat) -> Identification | None:
        """The answer that a claim may give again: in the seat, or, of an earlier moment, by its id there."""
        is_moment = isinstance(target, ChannelTarget) and target.at is not None
        if seat.answer is not None or seat.answer_id is None or not seat.done or not is_moment:
            return seat.answer
        return await self._job_items.find(*self._tables.of_kind(target.kind), seat.answer_id)

    async def adopt(self, lease: Lease, *, owner: str, now: datetime, lease_seconds: float) -> Claimed | None:
        seat = await self._seats.adopt(lease, owner=owner, now=now, lease_seconds=lease_seconds)
        if seat is None or seat.left.id != lease.identification_id:
            return None
        expires_at = now + timedelta(seconds=lease_seconds)
        adopted = replace(lease, owner=owner, fence=lease.fence + 1, expires_at=expires_at)
        begun = await self._job_items.begin_left(seat.left, adopted.fence)
        return None if begun is None else Claimed(adopted, begun)

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        return await self._seats.renew(lease, now=now, lease_seconds=lease_seconds)

    async def progress(self, lease: Lease, stage: Stage) -> bool:
        return await self._job_items.progress(lease, stage)

    async def finish(self, lease: Lease, identification: Identification) -> bool:
        answer = clean(identification)
        if answer.finished_at is None:
            raise ValueError(f"{answer.id} is not finished")
        if not await self._job_items.end(lease, answer):
            return False
        try:
            await self._seats.close(lease, answer)
        except TwitchAudioError:
            # The answer is stored. The lease runs out by itself, and the next claim closes the seat.
            _log.warning("seat_not_closed", extra={"job_id": lease.identification_id})
        await self._time_lines.add_answer(answer)
        return True

    async def release(self, lease: Lease) -> None:
        await self._seats.release(lease)

    async def update_answer(self, identification: Identification) -> None:
        answer = clean(identification)
        if await self._job_items.update_answer(answer):
            await self._time_lines.add_answer(answer)

    async def mark_disputed(self, identification_id: IdentificationId, *, now: datetime) -> None:
        await self._time_lines.remove_answer(await self._job_items.mark_disputed(identification_id, now=now))

    async def get(self, identification_id: IdentificationId) -> Identification | None:
        """Costs one read for an id that this store gave out, two for others."""
        for table, kind in self._tables.of_job(identification_id):
            found = await self._job_items.find(table, kind, identification_id)
            if found is not None:
                return found
        return None

    async def running(self, target: Target, *, now: datetime) -> Identification | None:
        seat = await self._seats.find(target)
        if seat is None or seat.done or not seat.held(now):
            return None
        left = await self._job_items.of_seat(seat)
        return None if left.status.finished else left

    async def answer(self, target: Target) -> Identification | None:
        """Costs one read for a clip or video that has been answered."""
        seat = await self._seats.find(target)
        if seat is None or seat.answer is not None:
            return None if seat is None else seat.answer
        if not seat.done:
            left = await self._job_items.of_seat(seat)
            if left.status in ANSWERS:
                return left
        place = self._tables.of_kind(target.kind)
        return None if seat.answer_id is None else await self._job_items.find(*place, seat.answer_id)

    async def history(self, login: str, *, limit: int, before: datetime | None = None) -> Sequence[Identification]:
        """Reads an index, which lags slightly behind writes."""
        return await self._job_items.newest(login, limit=limit, before=before)

    async def forget(self, traces: ChannelTraces, *, now: datetime) -> Sequence[IdentificationId]:
        """Reads both tables whole: which clips and VODs are a channel's has no index."""
        return await forget_channel(self._tables, self._time_lines, traces, now=now)

    async def heard(self, broadcast: str, start: float, end: float) -> Sequence[Identification]:
        """Costs one read for each `STRETCH_SECONDS`."""
        return await self._time_lines.heard(broadcast, start, end)

    async def check(self) -> None:
        await self._tables.check()


def _names(settings: PipelineSettings) -> TableNames:
    return TableNames(settings.dynamodb.stream_table, settings.dynamodb.clip_table)


@asynccontextmanager
async def open_store(
    settings: PipelineSettings, clock: Clock, _database: Database | None
) -> AsyncGenerator[DynamoDbJobStore]:
    """Opens the store on the configured tables. Raises SettingsError when no region is set."""
    days = settings.keep_days
    keep = None if days is None else timedelta(days=days)
    async with open_client(settings.dynamodb.endpoint) as client:
        yield DynamoDbJobStore(client, _names(settings), clock=clock, keep=keep)


async def prepare(settings: PipelineSettings) -> list[str]:
    """Create the missing tables, and return their names. Raises SettingsError, TwitchAudioError `busy`."""
    async with open_client(settings.dynamodb.endpoint) as client:
        return await create_tables(client, _names(settings))
