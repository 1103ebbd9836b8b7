"""The job store in SQL. `leases` has one row for each target ever asked for; its `fence` grows with each claim.

Every write has its fencing token in its condition, so that an owner that has lost its lease changes nothing.
"""

import dataclasses
import json
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import CursorResult, Select, select
from sqlalchemy.engine import Connection

from fingerprint.configured_database import open_configured_database
from fingerprint.database import Database, Values, heard_spans, identifications, leases, to_us
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import (
    Identification,
    IdentificationId,
    Stage,
    Status,
    abandoned,
    new_identification_id,
    reusable,
)
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, Target, asked_now
from fingerprint.domain.time_line import MAX_SPAN_SECONDS, span_of
from fingerprint.job_ports import Claim, Claimed, Finished, Held, Lease
from fingerprint.jobs import sql_statements as statements
from fingerprint.jobs.clean import clean
from fingerprint.jobs.sql_forget import forget_channel
from fingerprint.jobs.sql_rows import identification_of, moment_column, target_key
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Clock
from fingerprint.upserts import insert_new
from fingerprint.wire import to_json

_CLAIM_ATTEMPTS: Final = 5


class _AnsweredMeanwhileError(Exception):
    """Another server finished between our read and our claim, which is rolled back."""


class _LostError(Exception):
    """Another server has the lease; the transaction is rolled back."""


@asynccontextmanager
async def open_store(
    settings: PipelineSettings, _clock: Clock, database: Database | None
) -> AsyncGenerator["SqlJobStore"]:
    """Opens the store on the given open database, or on the configured one."""
    async with AsyncExitStack() as stack:
        if database is None:
            database = await stack.enter_async_context(open_configured_database(settings))
        yield SqlJobStore(database)


async def prepare(_settings: PipelineSettings) -> list[str]:
    """Creates nothing, since the tables are part of the SQL schema."""
    return []


class SqlJobStore:
    """The JobStore port on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        expires_at = now + timedelta(seconds=lease_seconds)
        fresh = asked_now(target, now, identification_id or new_identification_id())
        for attempt in range(_CLAIM_ATTEMPTS):
            if attempt or not looked:
                settled = await self._database.read(
                    lambda connection: _answer_or_lease(connection, target, now, skip_stored=skip_stored)
                )
                if settled is not None:
                    return settled
            try:
                claimed = await self._database.transact(
                    lambda connection: _claim_lease(
                        connection,
                        target,
                        owner,
                        now=now,
                        expires_at=expires_at,
                        fresh=fresh,
                        skip_stored=skip_stored,
                    )
                )
            except _AnsweredMeanwhileError:
                continue
            if claimed is not None:
                return claimed
        detail = "Too many ask for this at once. Try again in a moment."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=1.0)

    async def adopt(self, lease: Lease, *, owner: str, now: datetime, lease_seconds: float) -> Claimed | None:
        adopted = dataclasses.replace(
            lease, owner=owner, fence=lease.fence + 1, expires_at=now + timedelta(seconds=lease_seconds)
        )
        try:
            return await self._database.transact(lambda connection: _adopt(connection, lease, adopted))
        except _LostError:
            return None

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        expires_at = now + timedelta(seconds=lease_seconds)
        values = {**statements.held(lease), "new_expires_us": to_us(expires_at)}
        renewed = await self._database.change(statements.RENEW, values) == 1
        return dataclasses.replace(lease, expires_at=expires_at) if renewed else None

    async def progress(self, lease: Lease, stage: Stage) -> bool:
        """Record the stage, which never goes back."""
        values = statements.held(lease)

        def work(connection: Connection) -> bool:
            if _changed(connection.execute(statements.PROGRESS[stage], values)):
                return True
            return connection.execute(statements.STILL_WORKING, values).first() is not None

        return await self._database.transact(work)

    async def finish(self, lease: Lease, identification: Identification) -> bool:
        answer = clean(identification)
        if answer.finished_at is None:
            raise ValueError(f"{answer.id} is not finished")
        body = json.dumps(to_json(answer), separators=(",", ":"), allow_nan=False)
        held = statements.held(lease)
        values = {
            **held,
            "new_status": str(answer.status),
            "new_stage": str(answer.stage),
            "new_finished_us": to_us(answer.finished_at),
            "new_body": body,
        }

        def work(connection: Connection) -> bool:
            if not _changed(connection.execute(statements.FINISH, values)):
                return connection.execute(statements.BODY, held).scalar() == body
            connection.execute(statements.END_LEASE, held)
            _add_to_time_line(connection, answer)
            return True

        return await self._database.transact(work)

    async def release(self, lease: Lease) -> None:
        await self._database.change(statements.END_LEASE, statements.held(lease))

    async def update_answer(self, identification: Identification) -> None:
        answer = clean(identification)
        body = json.dumps(to_json(answer), separators=(",", ":"), allow_nan=False)
        values = {"job": answer.id, "new_status": str(answer.status), "new_body": body}

        def work(connection: Connection) -> None:
            if _changed(connection.execute(statements.UPDATE_ANSWER, values)):
                _add_to_time_line(connection, answer)

        await self._database.transact(work)

    async def mark_disputed(self, identification_id: IdentificationId, *, now: datetime) -> None:
        await self._database.change(
            statements.MARK_DISPUTED, {"job": identification_id, "new_doubted_us": to_us(now)}
        )

    async def get(self, identification_id: IdentificationId) -> Identification | None:
        return await self._one(statements.BY_ID, {"job": identification_id})

    async def running(self, target: Target, *, now: datetime) -> Identification | None:
        return await self._one(statements.ALIVE, {"key": target_key(target), "moment": to_us(now)})

    async def answer(self, target: Target) -> Identification | None:
        return await self._one(statements.NEWEST_ANSWER, {"key": target_key(target)})

    async def heard(self, broadcast: str, start: float, end: float) -> Sequence[Identification]:
        values = {
            "of_broadcast": broadcast,
            "first": math.floor(start - MAX_SPAN_SECONDS),
            "last": math.ceil(end),
        }
        return [identification_of(row) for row in await self._database.rows(statements.HEARD, values)]

    async def check(self) -> None:
        await self._database.ping()

    async def forget(self, traces: ChannelTraces, *, now: datetime) -> Sequence[IdentificationId]:
        return await forget_channel(self._database, traces, now=now)

    async def history(self, login: str, *, limit: int, before: datetime | None = None) -> Sequence[Identification]:
        statement = (
            select(identifications)
            .where(
                identifications.c.target_key == target_key(ChannelTarget(login)),
                identifications.c.status == str(Status.SUCCESSFUL),
            )
            .order_by(identifications.c.created_us.desc(), identifications.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(identifications.c.created_us < to_us(before))
        rows = await self._database.rows(statement)
        return [identification_of(row) for row in rows]

    async def _one(self, query: Select[*tuple[Any, ...]], values: Values) -> Identification | None:
        row = await self._database.first(query, values)
        return None if row is None else identification_of(row)


def _add_to_time_line(connection: Connection, answer: Identification) -> None:
    span = span_of(answer)
    if span is None:
        return
    row = {
        "identification_id": answer.id,
        "broadcast_id": span.place.broadcast,
        "start_s": math.floor(span.place.start),
        "end_s": math.ceil(span.place.end),
    }
    insert_new(connection, heard_spans, row)


def _changed(result: CursorResult[Any]) -> bool:
    return result.rowcount == 1


def _one(connection: Connection, query: Select[*tuple[Any, ...]], values: Values) -> Identification | None:
    row = connection.execute(query, values).first()
    return None if row is None else identification_of(row)


def _answer_or_lease(
    connection: Connection, target: Target, now: datetime, *, skip_stored: bool
) -> Finished | Held | None:
    """What is already known about a target: a finished answer, a live lease, or neither."""
    live = isinstance(target, ChannelTarget) and target.at is None
    if not (live or skip_stored):
        answer = _one(connection, statements.NEWEST_ANSWER, {"key": target_key(target)})
        if answer is not None and reusable(answer, now):
            return Finished(answer)
    held = _one(connection, statements.ALIVE, {"key": target_key(target), "moment": to_us(now)})
    return None if held is None else Held(held)


def _claim_lease(
    connection: Connection,
    target: Target,
    owner: str,
    *,
    now: datetime,
    expires_at: datetime,
    fresh: Identification,
    skip_stored: bool,
) -> Claimed | None:
    """Claim a target that has no live lease; None when another server was faster."""
    key = target_key(target)
    claim = {"key": key, "moment": to_us(now), "new_owner": owner, "new_expires_us": to_us(expires_at)}
    if not _changed(connection.execute(statements.CLAIM, claim)):
        first = {
            "target_key": key,
            "identification_id": fresh.id,
            "owner": owner,
            "fence": 1,
            "expires_us": to_us(expires_at),
        }
        if not insert_new(connection, leases, first):
            return None
        lease = Lease(identification_id=fresh.id, target_key=key, owner=owner, fence=1, expires_at=expires_at)
        _begin(connection, lease, fresh)
        return Claimed(lease, fresh)
    # This transaction has the row's lock from here on, so earlier answers are certain to be seen.
    row = connection.execute(statements.LEASE, {"key": key}).one()
    answer = None if skip_stored else _one(connection, statements.NEWEST_ANSWER, {"key": key})
    if answer is not None and reusable(answer, now):
        raise _AnsweredMeanwhileError
    previous = _one(connection, statements.BY_ID, {"job": row.identification_id})
    if previous is not None and not previous.status.finished and not abandoned(previous, now):
        connection.execute(statements.GIVE_FENCE, {"job": previous.id, "new_fence": row.fence})
        fresh = previous
    else:
        if previous is not None and not previous.status.finished:
            _close_abandoned(connection, previous, now)
        connection.execute(statements.POINT_TO, {"key": key, "new_identification_id": fresh.id})
    lease = Lease(identification_id=fresh.id, target_key=key, owner=owner, fence=row.fence, expires_at=expires_at)
    if fresh is not previous:
        _begin(connection, lease, fresh)
    return Claimed(lease, fresh)


def _adopt(connection: Connection, lease: Lease, adopted: Lease) -> Claimed:
    held = statements.held(lease)
    values = {
        **held,
        "new_owner": adopted.owner,
        "new_fence": adopted.fence,
        "new_expires_us": to_us(adopted.expires_at),
    }
    taken = connection.execute(statements.ADOPT, values)
    raised = connection.execute(statements.RAISE_FENCE, {**held, "new_fence": adopted.fence})
    if not (_changed(taken) and _changed(raised)):
        raise _LostError
    identification = _one(connection, statements.BY_ID, {"job": lease.identification_id})
    assert identification is not None, "it was just changed"
    return Claimed(adopted, identification)


def _begin(connection: Connection, lease: Lease, fresh: Identification) -> None:
    row = {
        "id": fresh.id,
        "target_key": lease.target_key,
        "kind": str(fresh.kind),
        "target": fresh.target,
        "at_seconds": moment_column(fresh),
        "status": str(fresh.status),
        "stage": str(fresh.stage),
        "fence": lease.fence,
        "created_us": to_us(fresh.created_at),
    }
    connection.execute(statements.BEGIN, row)


def _close_abandoned(connection: Connection, left: Identification, now: datetime) -> None:
    """Close an identification that its owner abandoned so long ago that no request waits for it."""
    detail = "The server working on this stopped before it had an answer. Try again."
    failed = left.failed(Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=0.0), now)
    values = {
        "job": left.id,
        "new_status": str(failed.status),
        "new_stage": str(failed.stage),
        "new_finished_us": to_us(now),
        "new_body": json.dumps(to_json(failed)),
    }
    connection.execute(statements.GIVE_UP, values)
