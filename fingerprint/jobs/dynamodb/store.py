"""The JobStore port on two DynamoDB tables; see `tables` for what they hold.

A target's seat decides. A claim is one conditional write of it: its fencing token must be the one that was read,
and its lease must be over. The job's item carries the same token, raised before the work begins, and every later
write has the token in its condition. DynamoDB's transactions are not used: each step leaves a state from which
the next server that claims the target can continue.

- A seat whose job has no item: its owner died in between, or is about to write it. The next owner writes it.
- A job that has ended although its seat is not done: its owner died in between, and the next server that claims
  it closes the seat.
"""

import asyncio
import itertools
import json
import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from fingerprint.database import Database
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import (
    Identification,
    IdentificationId,
    Kind,
    Stage,
    Status,
    abandoned,
    new_identification_id,
    reusable,
)
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, VideoTarget
from fingerprint.domain.text import clean_text
from fingerprint.domain.time_line import MAX_SPAN_SECONDS, span_of
from fingerprint.jobs.clean import clean
from fingerprint.jobs.dynamodb.client import CALL_SECONDS, Item, JobTable, open_client
from fingerprint.jobs.dynamodb.items import (
    MAX_IN_STRETCH,
    SEAT,
    STRETCH,
    Seat,
    answer_text,
    broadcast_of,
    expired,
    finished_attributes,
    heard_of,
    heard_text,
    identification_of,
    moment,
    number,
    question,
    seat_key,
    song_attributes,
    stage_number,
    stretch_keys,
    target_name,
    text,
    to_us,
)
from fingerprint.jobs.dynamodb.tables import BY_CHANNEL, TableNames, create_tables
from fingerprint.ports import MAX_HEARD, MAX_LEASE_AHEAD_SECONDS, Claim, Claimed, Clock, Finished, Held, Lease
from fingerprint.settings import PipelineSettings

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

FAILED_STAY: Final = timedelta(days=7)
"""How long failed jobs are kept at most: each question about a made-up channel leaves one, and its seat."""

_CLAIM_ATTEMPTS: Final = 5
_STREAM: Final = "s-"
_CLIP: Final = "c-"
_STREAM_SEAT: Final = f"{SEAT}{Kind.STREAM}:"
_ANSWERS: Final = (Status.SUCCESSFUL, Status.NO_MATCH)
_KEY_BYTES: Final = 1024
_MAX_NAMES: Final = 60
"""Logins and videos in one condition, which may be 4 KiB long and have 300 operators."""

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
        self._streams = JobTable(client, names.streams, call_seconds=call_seconds)
        self._clips = JobTable(client, names.clips, call_seconds=call_seconds)
        self._clock = clock
        self._keep = keep

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
            seat = await self._seat(target)
            if not skip_stored and seat is not None and seat.answer is not None and reusable(seat.answer, now):
                return Finished(seat.answer)
            left = None if seat is None or seat.done else await self._job_of(seat)
            if seat is not None and left is not None:
                if left.status.finished:
                    await self._close(_lease_of(seat, target), left)
                    if reusable(left, now) and not skip_stored:
                        return Finished(left)
                    continue
                if seat.held(now):
                    return Held(left)
            given_up = left if left is not None and abandoned(left, now) else None
            work = left if left is not None and given_up is None else _fresh(target, now, identification_id)
            lease = await self._claim_seat(seat, target, work, owner=owner, now=now, lease_seconds=lease_seconds)
            if lease is None:
                continue
            if given_up is not None:
                await self._close_abandoned(target, given_up, lease, now)
            begun = await self._begin(target, work, lease.fence)
            if begun is not None:
                return Claimed(lease, begun)
            # Its previous owner was faster and ended it.
            await self.release(lease)
        detail = "Too many ask for this at once. Try again in a moment."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=1.0)

    async def adopt(self, lease: Lease, *, owner: str, now: datetime, lease_seconds: float) -> Claimed | None:
        table = self._table_of_seat(lease.target_key)
        expires_at = now + timedelta(seconds=lease_seconds)
        token = secrets.token_hex(8)
        item = await table.update(
            lease.target_key,
            "SET #Fence = :next, #Owner = :owner, #LeaseUntil = :until, #ClaimToken = :token",
            when="#Fence = :fence AND #Owner = :before AND #LeaseUntil > :over",
            values={
                ":fence": number(lease.fence),
                ":next": number(lease.fence + 1),
                ":before": text(lease.owner),
                ":owner": text(owner),
                ":until": number(to_us(expires_at)),
                ":over": number(0),
                ":token": text(token),
            },
        )
        if item is None:
            item = await table.get(lease.target_key)
            if item is None or Seat.of(item).claim_token != token:
                return None
        seat = Seat.of(item)
        if seat.left.id != lease.identification_id:
            return None
        adopted = replace(lease, owner=owner, fence=lease.fence + 1, expires_at=expires_at)
        begun = await self._begin_left(table, seat.left, adopted.fence)
        return None if begun is None else Claimed(adopted, begun)

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        expires_at = now + timedelta(seconds=lease_seconds)
        held = await self._table_of_seat(lease.target_key).update(
            lease.target_key,
            "SET #LeaseUntil = :until",
            when=f"{_MINE} AND #LeaseUntil > :over",
            values={**_mine(lease), ":until": number(to_us(expires_at)), ":over": number(0)},
        )
        return None if held is None else replace(lease, expires_at=expires_at)

    async def progress(self, lease: Lease, stage: Stage) -> bool:
        """Record the stage, which never goes back."""
        table = self._table_of_seat(lease.target_key)
        written = await table.update(
            lease.identification_id,
            "SET #Status = :running, #Stage = :stage, #StageNumber = :number",
            when=f"{_WORKING} AND #StageNumber <= :number",
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

    async def finish(self, lease: Lease, identification: Identification) -> bool:
        answer = clean(identification)
        if answer.finished_at is None:
            raise ValueError(f"{answer.id} is not finished")
        table = self._table_of_seat(lease.target_key)
        stored = await self._end(table, answer, lease.fence, when=_WORKING)
        if not stored:
            item = await table.get(lease.identification_id)
            same = item is not None and item.get("Answer") == text(answer_text(answer))
            if not same or item is None or item["Fence"] != number(lease.fence):
                return False
        try:
            await self._close(lease, answer)
        except TwitchAudioError:
            # The answer is stored. The lease runs out by itself, and the next claim closes the seat.
            _log.warning("seat_not_closed", extra={"job_id": lease.identification_id})
        await self._add_to_time_line(answer)
        return True

    async def release(self, lease: Lease) -> None:
        await self._table_of_seat(lease.target_key).update(
            lease.target_key,
            "SET #LeaseUntil = :over",
            when=_MINE,
            values={**_mine(lease), ":over": number(0)},
        )

    async def update_answer(self, identification: Identification) -> None:
        answer = clean(identification)
        fields = {
            "Status": text(answer.status),
            "Answer": text(answer_text(answer)),
            **song_attributes(answer.song),
        }
        for table, _ in self._places(answer.id):
            item = await table.get(answer.id)
            if item is None:
                continue
            named = item.get("Status") == text(Status.NO_MATCH) and answer.status is Status.SUCCESSFUL
            stays = " REMOVE #ExpiresAt" if named and answer.kind is not Kind.STREAM else ""
            if "FinishedAt" in item:
                when = "attribute_exists(#FinishedAt)"
                await table.update(answer.id, _setting(fields) + stays, when=when, values=_values(fields))
            if "FinishedAt" in item and "Seat" in item and answer.kind is not Kind.STREAM:
                kept = {"Answer": fields["Answer"]}
                values = {**_values(kept), ":id": item["Id"]}
                seat = item["Seat"]["S"]
                await table.update(seat, _setting(kept) + stays, when="#AnswerId = :id", values=values)
            if named and "FinishedAt" in item:
                await self._add_to_time_line(answer)
            return

    async def mark_disputed(self, identification_id: IdentificationId, *, now: datetime) -> None:
        for table, _ in self._places(identification_id):
            item = await table.get(identification_id)
            if item is None:
                continue
            if "FinishedAt" in item and "Seat" in item:
                disputed = {":disputed": moment(now)}
                change = "SET #DoubtedAt = :disputed"
                await table.update(item["Id"]["S"], change, when="attribute_exists(#FinishedAt)", values=disputed)
                values = {**disputed, ":id": item["Id"]}
                await table.update(item["Seat"]["S"], change, when="#AnswerId = :id", values=values)
                await self._take_from_time_line(identification_of(item, kind=Kind.STREAM))
            return

    async def get(self, identification_id: IdentificationId) -> Identification | None:
        """Costs one read for an id that this store gave out, two for others."""
        for table, kind in self._places(identification_id):
            found = await self._job(table, kind, identification_id)
            if found is not None:
                return found
        return None

    async def running(self, target: Target, *, now: datetime) -> Identification | None:
        seat = await self._seat(target)
        if seat is None or seat.done or not seat.held(now):
            return None
        left = await self._job_of(seat)
        return None if left.status.finished else left

    async def answer(self, target: Target) -> Identification | None:
        """Costs one read for a clip or video that has been answered."""
        seat = await self._seat(target)
        if seat is None or seat.answer is not None:
            return None if seat is None else seat.answer
        if not seat.done:
            left = await self._job_of(seat)
            if left.status in _ANSWERS:
                return left
        return None if seat.answer_id is None else await self._job(*self._of(target.kind), seat.answer_id)

    async def history(self, login: str, *, limit: int, before: datetime | None = None) -> Sequence[Identification]:
        """Reads an index, which lags slightly behind writes."""
        condition = "#ChannelId = :channel"
        values: dict[str, Any] = {
            ":channel": text(login),
            ":successful": text(Status.SUCCESSFUL),
            ":now": number(int(self._clock.now().timestamp())),
        }
        if before is not None:
            condition += " AND #CreatedAt < :before"
            values[":before"] = moment(before)
        items = await self._streams.newest(
            BY_CHANNEL,
            condition,
            only="#Status = :successful AND (attribute_not_exists(#ExpiresAt) OR #ExpiresAt > :now)",
            values=values,
            limit=limit,
        )
        found = (identification_of(item, kind=Kind.STREAM) for item in items)
        return [identification for identification in found if identification is not None]

    async def forget(self, traces: ChannelTraces, *, now: datetime) -> Sequence[IdentificationId]:
        """Reads both tables whole: which clips and VODs are a channel's has no index."""
        deleted: list[IdentificationId] = []
        broadcasts: set[str] = set()
        for table, kind in (self._streams, Kind.STREAM), (self._clips, Kind.CLIP):
            named, values = _names_channel(traces)
            async for page in table.scan(named, values=values):
                for item in page:
                    answer = identification_of(item, kind=kind)
                    if answer is None or not answer.status.finished or not traces.include(answer):
                        continue
                    if kind is Kind.STREAM and answer.moment is not None and answer.moment.broadcast is not None:
                        broadcasts.add(answer.moment.broadcast)
                    await self._forget_job(table, item, now)
                    deleted.append(answer.id)
        for slug in traces.slugs:
            seat = await self._clips.get(seat_key(ClipTarget(slug)))
            if seat is not None and "AnswerId" in seat:
                deleted += await self._forget_ids([seat["AnswerId"]["S"]], now)
        stretches = self._streams.scan(
            "begins_with(#Id, :stretch)", values={":stretch": text(STRETCH)}, members="#Id, #Heard"
        )
        async for page in stretches:
            for item in page:
                if broadcast_of(item["Id"]["S"]) in broadcasts:
                    deleted += await self._forget_ids([answer.id for answer in heard_of(item)], now)
                    await self._streams.delete(item["Id"]["S"])
                    continue
                mine = [answer for answer in heard_of(item) if traces.include(answer)]
                for answer in mine:
                    await self._take_from_time_line(answer)
        return deleted

    async def _forget_ids(self, ids: Sequence[str], now: datetime) -> list[IdentificationId]:
        """Delete finished jobs by their ids; returns those that were there."""
        found: list[IdentificationId] = []
        for job_id in ids:
            for table, kind in self._places(job_id):
                item = await table.get(job_id)
                answer = None if item is None else identification_of(item, kind=kind)
                if item is not None and answer is not None and answer.status.finished:
                    await self._forget_job(table, item, now)
                    found.append(answer.id)
                    break
        return found

    async def _forget_job(self, table: JobTable, item: Item, now: datetime) -> None:
        """Delete a finished job, and its target's seat unless that has moved on to another job."""
        if "Seat" in item:
            await table.delete(
                item["Seat"]["S"],
                when="(#JobId = :id OR #AnswerId = :id) AND (#Done = :done OR #LeaseUntil <= :now)",
                values={":id": item["Id"], ":done": {"BOOL": True}, ":now": number(to_us(now))},
            )
        await table.delete(item["Id"]["S"])

    async def heard(self, broadcast: str, start: float, end: float) -> Sequence[Identification]:
        """Costs one read for each `STRETCH_SECONDS`."""
        keys = stretch_keys(broadcast, start - MAX_SPAN_SECONDS, end)
        items = await asyncio.gather(*map(self._streams.get, keys))
        now = self._clock.now()
        found = (answer for item in items if item is None or not expired(item, now) for answer in heard_of(item))
        return list(itertools.islice(found, MAX_HEARD))

    async def _add_to_time_line(self, answer: Identification) -> None:
        """Add an answer to its broadcast's time line, as far as there is room; a failure is only logged."""
        span = span_of(answer)
        if span is None:
            return
        (key,) = stretch_keys(span.place.broadcast, span.place.start, span.place.start)
        expiry = self._expiry(self._clock.now())
        change = "ADD #Heard :heard" + ("".join(f" SET #{name} = :{name}" for name in expiry))
        values = {":heard": {"SS": [heard_text(answer)]}, ":most": number(MAX_IN_STRETCH), **_values(expiry)}
        when = "attribute_not_exists(#Heard) OR size(#Heard) < :most"
        try:
            await self._streams.update(key, change, when=when, values=values)
        except TwitchAudioError:
            _log.warning("time_line_not_written", extra={"job_id": answer.id})

    async def _take_from_time_line(self, answer: Identification | None) -> None:
        span = None if answer is None else span_of(answer)
        if span is None:
            return
        (key,) = stretch_keys(span.place.broadcast, span.place.start, span.place.start)
        item = await self._streams.get(key)
        texts: list[str] = [] if item is None else item.get("Heard", {}).get("SS", [])
        wrong = [each for each in texts if json.loads(each)["id"] == span.identification]
        if wrong:
            values = {":wrong": {"SS": wrong}}
            await self._streams.update(key, "DELETE #Heard :wrong", when="attribute_exists(#Heard)", values=values)

    async def check(self) -> None:
        await self._streams.check()
        await self._clips.check()

    # --- Internals ------------------------------------------------------------------------------------

    def _places(self, identification_id: str) -> Sequence[tuple[JobTable, Kind]]:
        """The tables where a job may be, the likeliest first."""
        try:
            known = 0 < len(identification_id.encode()) <= _KEY_BYTES
        except UnicodeEncodeError:
            known = False
        if not known or identification_id.startswith(SEAT):
            return ()
        places = ((self._streams, Kind.STREAM), (self._clips, Kind.CLIP))
        return places[::-1] if identification_id.startswith(_CLIP) else places

    def _of(self, kind: Kind) -> tuple[JobTable, Kind]:
        return (self._streams, Kind.STREAM) if kind is Kind.STREAM else (self._clips, Kind.CLIP)

    def _table_of_seat(self, key: str) -> JobTable:
        return self._streams if key.startswith(_STREAM_SEAT) else self._clips

    async def _seat(self, target: Target) -> Seat | None:
        table, _ = self._of(target.kind)
        item = await table.get(seat_key(target))
        if item is None:
            return None
        seat = Seat.of(item)
        # An expired answer is ignored, but the token goes on growing.
        return replace(seat, done=True, answer=None, answer_id=None) if expired(item, self._clock.now()) else seat

    async def _job(self, table: JobTable, kind: Kind, identification_id: str) -> Identification | None:
        item = await table.get(identification_id)
        if item is None or expired(item, self._clock.now()):
            return None
        return identification_of(item, kind=kind)

    async def _job_of(self, seat: Seat) -> Identification:
        """The seat's job, or the job as it began when its owner has not written it yet."""
        return await self._job(*self._of(seat.left.kind), seat.left.id) or seat.left

    async def _claim_seat(
        self,
        seat: Seat | None,
        target: Target,
        work: Identification,
        *,
        owner: str,
        now: datetime,
        lease_seconds: float,
    ) -> Lease | None:
        """Claim the seat; returns the lease, or None when another server was faster."""
        table, _ = self._of(target.kind)
        key, token = seat_key(target), secrets.token_hex(8)
        fence = 1 if seat is None else seat.fence + 1
        expires_at = now + timedelta(seconds=lease_seconds)
        fields: dict[str, Any] = {
            **question(target),
            "Fence": number(fence),
            "Owner": text(owner),
            "LeaseUntil": number(to_us(expires_at)),
            "ClaimToken": text(token),
            "JobId": text(work.id),
            "JobCreatedAt": moment(work.created_at),
            "Done": {"BOOL": False},
        }
        if seat is None or seat.answer is None or seat.answer.status is not Status.SUCCESSFUL:
            fields |= self._expiry(now)
        if self._keep is None and (seat is None or (seat.answer is None and seat.answer_id is None)):
            # Until there is an answer: targets that do not exist leave nothing for long.
            fields |= _failed_expiry(now)
        change, when = _setting(fields), "attribute_not_exists(#Fence)"
        values: dict[str, Any] = {}
        if seat is not None:
            when = "#Fence = :seen AND (#Done = :done OR #LeaseUntil <= :now OR #LeaseUntil > :far)"
            far = now + timedelta(seconds=MAX_LEASE_AHEAD_SECONDS)
            values = {":seen": number(seat.fence), ":done": {"BOOL": True}}
            values |= {":now": number(to_us(now)), ":far": number(to_us(far))}
            if seat.answer is None and seat.answer_id is None:
                change += " REMOVE #Answer, #AnswerId, #DoubtedAt"
        taken = await table.update(key, change, when=when, values={**values, **_values(fields)})
        if taken is None:
            written = await table.get(key)
            if written is None or Seat.of(written).claim_token != token:
                return None
        return Lease(identification_id=work.id, target_key=key, owner=owner, fence=fence, expires_at=expires_at)

    async def _begin(self, target: Target, work: Identification, fence: int) -> Identification | None:
        """Write the job with a fencing token; None when it has ended or has a later token."""
        table, kind = self._of(target.kind)
        index = "ChannelId" if kind is Kind.STREAM else "ClipId"
        fields: dict[str, Any] = {
            **question(target),
            index: text(target_name(target)),
            "Seat": text(seat_key(target)),
            "CreatedAt": moment(work.created_at),
            "Status": text(Status.QUEUED),
            "Stage": text(Stage.QUEUED),
            "StageNumber": number(stage_number(Stage.QUEUED)),
            **self._expiry(work.created_at),
        }
        change = ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in fields)
        item = await table.update(
            work.id,
            f"SET #Fence = :fence, {change}",
            when=f"attribute_not_exists(#Id) OR ({_EARLIER} AND #{index} = :{index})",
            values={":fence": number(fence), **_values(fields)},
        )
        return None if item is None else identification_of(item, kind=kind)

    async def _begin_left(self, table: JobTable, left: Identification, fence: int) -> Identification | None:
        """Raise the fencing token of a job that exists."""
        item = await table.update(
            left.id,
            "SET #Fence = :fence",
            when=f"attribute_exists(#Id) AND {_EARLIER}",
            values={":fence": number(fence)},
        )
        return None if item is None else identification_of(item, kind=left.kind)

    async def _end(self, table: JobTable, answer: Identification, fence: int, *, when: str) -> bool:
        fields: dict[str, Any] = {**finished_attributes(answer)}
        if answer.status is Status.FAILED and (self._keep is None or self._keep > FAILED_STAY):
            fields |= _failed_expiry(self._clock.now())
        change = _setting(fields)
        if answer.kind is not Kind.STREAM and answer.status is Status.SUCCESSFUL:
            change += " REMOVE #ExpiresAt"
        values = {":fence": number(fence), **_values(fields)}
        return await table.update(answer.id, change, when=when, values=values) is not None

    async def _close(self, lease: Lease, answer: Identification) -> None:
        """End the lease of a job that has ended, and store its answer in the seat."""
        fields: dict[str, Any] = {"LeaseUntil": number(0), "Done": {"BOOL": True}}
        change = ""
        if answer.status in _ANSWERS:
            fields["AnswerId"] = text(answer.id)
            change = " REMOVE #DoubtedAt"
            if answer.kind is not Kind.STREAM:
                fields["Answer"] = text(answer_text(answer))
            stays = answer.kind is not Kind.STREAM and answer.status is Status.SUCCESSFUL
            change += ", #ExpiresAt" if stays or self._keep is None else ""
        await self._table_of_seat(lease.target_key).update(
            lease.target_key,
            _setting(fields) + change,
            when=_MINE,
            values={**_mine(lease), **_values(fields)},
        )

    async def _close_abandoned(self, target: Target, left: Identification, lease: Lease, now: datetime) -> None:
        """Close a job that its owner abandoned so long ago that no request waits for it."""
        detail = "The server working on this stopped before it had an answer. Try again."
        problem = Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=0.0)
        table, _ = self._of(target.kind)
        await self._end(table, left.failed(problem, now), lease.fence, when=f"attribute_exists(#Id) AND {_BEFORE}")

    def _expiry(self, now: datetime) -> Item:
        """The expiry of an item that begins now, unless it becomes a clip's song, which stays."""
        return {} if self._keep is None else {"ExpiresAt": number(int((now + self._keep).timestamp()))}


def _failed_expiry(now: datetime) -> Item:
    return {"ExpiresAt": number(int((now + FAILED_STAY).timestamp()))}


_MINE: Final = "#Fence = :fence AND #Owner = :owner"
_WORKING: Final = "#Fence = :fence AND attribute_not_exists(#FinishedAt)"
_EARLIER: Final = "#Fence <= :fence AND attribute_not_exists(#FinishedAt)"
_BEFORE: Final = "#Fence < :fence AND attribute_not_exists(#FinishedAt)"


def _names_channel(traces: ChannelTraces) -> tuple[str, dict[str, Any]]:
    """A condition on jobs that may be a channel's, and its values."""
    logins = (*traces.logins, *sorted(traces.videos))[:_MAX_NAMES]
    values = {f":login{n}": text(login) for n, login in enumerate(logins)}
    values |= {f":named{n}": text(f'"channel":"{login}"') for n, login in enumerate(logins)}
    either = (
        f"#Target = :login{n} OR #ChannelId = :login{n} OR contains(#Answer, :named{n})"
        for n in range(len(logins))
    )
    return f"attribute_exists(#CreatedAt) AND ({' OR '.join(either)})", values


def _mine(lease: Lease) -> dict[str, Any]:
    return {":fence": number(lease.fence), ":owner": text(lease.owner)}


def _setting(fields: Item) -> str:
    return "SET " + ", ".join(f"#{name} = :{name}" for name in fields)


def _values(fields: Item) -> dict[str, Any]:
    return {f":{name}": value for name, value in fields.items()}


def _lease_of(seat: Seat, target: Target) -> Lease:
    """The lease stored in a seat, whichever server holds it."""
    return Lease(
        identification_id=seat.left.id,
        target_key=seat_key(target),
        owner=seat.owner,
        fence=seat.fence,
        expires_at=seat.lease_until,
    )


def _fresh(target: Target, now: datetime, wanted: IdentificationId | None) -> Identification:
    prefix = _STREAM if target.kind is Kind.STREAM else _CLIP
    return Identification(
        id=wanted or IdentificationId(prefix + new_identification_id()),
        kind=target.kind,
        target=clean_text(target.name),
        created_at=now,
        at_seconds=target.at_seconds if isinstance(target, VideoTarget) else None,
        asked_at=target.at if isinstance(target, ChannelTarget) else None,
    )


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
