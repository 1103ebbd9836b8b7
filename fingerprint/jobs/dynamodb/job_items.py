"""The items of jobs: begun, brought forward and ended only with a fencing token that is not overtaken."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fingerprint.domain.identification import Identification, IdentificationId, Kind, Stage, Status
from fingerprint.domain.problems import Problem, ProblemCode
from fingerprint.domain.targets import Target
from fingerprint.job_ports import Lease
from fingerprint.jobs.dynamodb.client import JobTable
from fingerprint.jobs.dynamodb.expiry import Expiry
from fingerprint.jobs.dynamodb.expressions import BEFORE, EARLIER, WORKING, setting, values_of
from fingerprint.jobs.dynamodb.items import (
    Seat,
    answer_text,
    expired,
    finished_attributes,
    identification_of,
    moment,
    number,
    question,
    seat_key,
    song_attributes,
    stage_number,
    target_name,
    text,
)
from fingerprint.jobs.dynamodb.places import JobTables
from fingerprint.jobs.dynamodb.tables import BY_CHANNEL
from fingerprint.ports import Clock


class JobItems:
    """The jobs in both tables."""

    def __init__(self, tables: JobTables, *, clock: Clock, expiry: Expiry) -> None:
        self._tables = tables
        self._clock = clock
        self._expiry = expiry

    async def find(self, table: JobTable, kind: Kind, identification_id: str) -> Identification | None:
        """The job with an id, unless it has expired."""
        item = await table.get(identification_id)
        if item is None or expired(item, self._clock.now()):
            return None
        return identification_of(item, kind=kind)

    async def of_seat(self, seat: Seat) -> Identification:
        """The seat's job, or the job as it began when its owner has not written it yet."""
        return await self.find(*self._tables.of_kind(seat.left.kind), seat.left.id) or seat.left

    async def newest(self, login: str, *, limit: int, before: datetime | None) -> Sequence[Identification]:
        """The newest songs of a channel. Reads an index, which lags slightly behind writes."""
        condition = "#ChannelId = :channel"
        values: dict[str, Any] = {
            ":channel": text(login),
            ":successful": text(Status.SUCCESSFUL),
            ":now": number(int(self._clock.now().timestamp())),
        }
        if before is not None:
            condition += " AND #CreatedAt < :before"
            values[":before"] = moment(before)
        items = await self._tables.streams.newest(
            BY_CHANNEL,
            condition,
            only="#Status = :successful AND (attribute_not_exists(#ExpiresAt) OR #ExpiresAt > :now)",
            values=values,
            limit=limit,
        )
        found = (identification_of(item, kind=Kind.STREAM) for item in items)
        return [identification for identification in found if identification is not None]

    async def begin(self, target: Target, work: Identification, fence: int) -> Identification | None:
        """Write the job with a fencing token; None when it has ended or has a later token."""
        table, kind = self._tables.of_kind(target.kind)
        index = "ChannelId" if kind is Kind.STREAM else "ClipId"
        fields: dict[str, Any] = {
            **question(target),
            index: text(target_name(target)),
            "Seat": text(seat_key(target)),
            "CreatedAt": moment(work.created_at),
            "Status": text(Status.QUEUED),
            "Stage": text(Stage.QUEUED),
            "StageNumber": number(stage_number(Stage.QUEUED)),
            **self._expiry.of_item(work.created_at),
        }
        change = ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in fields)
        item = await table.update(
            work.id,
            f"SET #Fence = :fence, {change}",
            when=f"attribute_not_exists(#Id) OR ({EARLIER} AND #{index} = :{index})",
            values={":fence": number(fence), **values_of(fields)},
        )
        return None if item is None else identification_of(item, kind=kind)

    async def begin_left(self, left: Identification, fence: int) -> Identification | None:
        """Raise the fencing token of a job that exists."""
        table, _ = self._tables.of_kind(left.kind)
        item = await table.update(
            left.id,
            "SET #Fence = :fence",
            when=f"attribute_exists(#Id) AND {EARLIER}",
            values={":fence": number(fence)},
        )
        return None if item is None else identification_of(item, kind=left.kind)

    async def progress(self, lease: Lease, stage: Stage) -> bool:
        """Record the stage, which never goes back."""
        table = self._tables.of_seat(lease.target_key)
        written = await table.update(
            lease.identification_id,
            "SET #Status = :running, #Stage = :stage, #StageNumber = :number",
            when=f"{WORKING} AND #StageNumber <= :number",
            values={
                ":fence": number(lease.fence),
                ":running": text(Status.RUNNING),
                ":stage": text(stage),
                ":number": number(stage_number(stage)),
            },
        )
        if written is not None:
            return True
        item = await table.get(lease.identification_id)
        return item is not None and "FinishedAt" not in item and item["Fence"] == number(lease.fence)

    async def end(self, lease: Lease, answer: Identification) -> bool:
        """Write the answer; False when the job has ended otherwise, or has a later token."""
        table = self._tables.of_seat(lease.target_key)
        if await self._end(table, answer, lease.fence, when=WORKING):
            return True
        item = await table.get(lease.identification_id)
        same = item is not None and item.get("Answer") == text(answer_text(answer))
        return same and item is not None and item["Fence"] == number(lease.fence)

    async def end_abandoned(self, target: Target, left: Identification, lease: Lease, now: datetime) -> None:
        """Close a job that its owner abandoned so long ago that no request waits for it."""
        detail = "The server working on this stopped before it had an answer. Try again."
        problem = Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=0.0)
        table, _ = self._tables.of_kind(target.kind)
        await self._end(table, left.failed(problem, now), lease.fence, when=f"attribute_exists(#Id) AND {BEFORE}")

    async def _end(self, table: JobTable, answer: Identification, fence: int, *, when: str) -> bool:
        fields: dict[str, Any] = {**finished_attributes(answer)}
        if answer.status is Status.FAILED:
            fields |= self._expiry.of_failed(self._clock.now())
        change = setting(fields)
        if answer.kind is not Kind.STREAM and answer.status is Status.SUCCESSFUL:
            change += " REMOVE #ExpiresAt"
        values = {":fence": number(fence), **values_of(fields)}
        return await table.update(answer.id, change, when=when, values=values) is not None

    async def update_answer(self, answer: Identification) -> bool:
        """Replace a finished job's answer, also in its seat; whether it names a song that was not named before."""
        fields = {
            "Status": text(answer.status),
            "Answer": text(answer_text(answer)),
            **song_attributes(answer.song),
        }
        for table, _ in self._tables.of_job(answer.id):
            item = await table.get(answer.id)
            if item is None:
                continue
            named = item.get("Status") == text(Status.NO_MATCH) and answer.status is Status.SUCCESSFUL
            stays = " REMOVE #ExpiresAt" if named and answer.kind is not Kind.STREAM else ""
            if "FinishedAt" in item:
                when = "attribute_exists(#FinishedAt)"
                await table.update(answer.id, setting(fields) + stays, when=when, values=values_of(fields))
            if "FinishedAt" in item and "Seat" in item and answer.kind is not Kind.STREAM:
                kept = {"Answer": fields["Answer"]}
                values = {**values_of(kept), ":id": item["Id"]}
                seat = item["Seat"]["S"]
                await table.update(seat, setting(kept) + stays, when="#AnswerId = :id", values=values)
            return named and "FinishedAt" in item
        return False

    async def mark_disputed(self, identification_id: IdentificationId, *, now: datetime) -> Identification | None:
        """Mark a finished job's answer, also in its seat, as reported wrong; returns what it was before."""
        for table, _ in self._tables.of_job(identification_id):
            item = await table.get(identification_id)
            if item is None:
                continue
            if "FinishedAt" in item and "Seat" in item:
                disputed = {":disputed": moment(now)}
                change = "SET #DoubtedAt = :disputed"
                await table.update(item["Id"]["S"], change, when="attribute_exists(#FinishedAt)", values=disputed)
                values = {**disputed, ":id": item["Id"]}
                await table.update(item["Seat"]["S"], change, when="#AnswerId = :id", values=values)
                return identification_of(item, kind=Kind.STREAM)
            return None
        return None
