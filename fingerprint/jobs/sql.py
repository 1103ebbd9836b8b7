"""Jobs in SQL. `leases` has one row for each target ever asked for; its `fence` grows with each claim.

Every write names the fence that it was made under in its own condition, so that a late worker changes nothing.
"""

import dataclasses
import hashlib
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import CursorResult, Row, Select, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from fingerprint.database import (
    Database,
    database_url,
    from_us,
    identifications,
    leases,
    open_database,
    to_us,
)
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
from fingerprint.domain.targets import ChannelTarget, Target, VideoTarget
from fingerprint.jobs.clean import clean, clean_text
from fingerprint.ports import Claim, Claimed, Clock, Finished, Held, Lease
from fingerprint.settings import PipelineSettings
from fingerprint.wire import from_json, to_json

_CLAIM_ATTEMPTS: Final = 5
_KEY_LIMIT: Final = 191
_ANSWERS: Final = (str(Status.SUCCESSFUL), str(Status.NO_MATCH))


class _AnsweredMeanwhileError(Exception):
    """Between the look and the claim somebody finished; the claim is rolled back."""


class _LostError(Exception):
    """The lease is another's; what was begun is rolled back."""


@asynccontextmanager
async def open_store(
    settings: PipelineSettings, _clock: Clock, database: Database | None
) -> AsyncGenerator["SqlJobStore"]:
    """A store on the database that is open, or on the configured one."""
    async with AsyncExitStack() as stack:
        if database is None:
            database = await stack.enter_async_context(open_database(database_url(settings)))
        yield SqlJobStore(database)


async def prepare(_settings: PipelineSettings) -> list[str]:
    """Nothing: the tables are part of the SQL schema."""
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
    ) -> Claim:
        """See the port. What is held or answered is found by reading alone; only a claim writes."""
        expires_at = now + timedelta(seconds=lease_seconds)
        fresh = _fresh(target, now, identification_id)
        for _attempt in range(_CLAIM_ATTEMPTS):
            async with self._database.read() as connection:
                settled = await _look(connection, target, now)
            if settled is not None:
                return settled
            try:
                claimed = await self._database.transact(
                    lambda connection: _take(
                        connection, target, owner, now=now, expires_at=expires_at, fresh=fresh
                    )
                )
            except _AnsweredMeanwhileError:
                continue
            if claimed is not None:
                return claimed
        detail = "Too many ask for this at once. Try again in a moment."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=1.0)

    async def adopt(self, lease: Lease, *, owner: str, now: datetime, lease_seconds: float) -> Claimed | None:
        """See the port."""
        adopted = dataclasses.replace(
            lease, owner=owner, fence=lease.fence + 1, expires_at=now + timedelta(seconds=lease_seconds)
        )
        try:
            return await self._database.transact(lambda connection: _adopt(connection, lease, adopted))
        except _LostError:
            return None

    async def renew(self, lease: Lease, *, now: datetime, lease_seconds: float) -> Lease | None:
        """See the port."""
        expires_at = now + timedelta(seconds=lease_seconds)
        statement = (
            update(leases).where(*_held(lease), leases.c.expires_us > 0).values(expires_us=to_us(expires_at))
        )
        async with self._database.write() as connection:
            result = await connection.execute(statement)
        return dataclasses.replace(lease, expires_at=expires_at) if _changed(result) else None

    async def progress(self, lease: Lease, stage: Stage) -> bool:
        """See the port. A stage never goes back."""
        stages = list(Stage)
        not_later = [str(earlier) for earlier in stages[: stages.index(stage) + 1]]
        statement = (
            update(identifications)
            .where(*_working(lease), identifications.c.stage.in_(not_later))
            .values(status=str(Status.RUNNING), stage=str(stage))
        )
        async with self._database.write() as connection:
            if _changed(await connection.execute(statement)):
                return True
            held = await connection.execute(select(identifications.c.id).where(*_working(lease)))
            return held.first() is not None

    async def finish(self, lease: Lease, identification: Identification) -> bool:
        """See the port."""
        answer = clean(identification)
        if answer.finished_at is None:
            raise ValueError(f"{answer.id} is not finished")
        body = json.dumps(to_json(answer), separators=(",", ":"), allow_nan=False)
        statement = (
            update(identifications)
            .where(*_working(lease))
            .values(
                status=str(answer.status),
                stage=str(answer.stage),
                finished_us=to_us(answer.finished_at),
                body=body,
            )
        )
        async with self._database.write() as connection:
            if not _changed(await connection.execute(statement)):
                stored = await connection.execute(
                    select(identifications.c.body).where(
                        identifications.c.id == lease.identification_id,
                        identifications.c.fence == lease.fence,
                    )
                )
                return stored.scalar() == body
            await connection.execute(update(leases).where(*_held(lease)).values(expires_us=0))
            return True

    async def release(self, lease: Lease) -> None:
        """See the port."""
        async with self._database.write() as connection:
            await connection.execute(update(leases).where(*_held(lease)).values(expires_us=0))

    async def amend(self, identification: Identification) -> None:
        """See the port."""
        body = json.dumps(to_json(clean(identification)), separators=(",", ":"), allow_nan=False)
        statement = update(identifications).where(
            identifications.c.id == identification.id, identifications.c.finished_us.is_not(None)
        )
        async with self._database.write() as connection:
            await connection.execute(statement.values(body=body))

    async def doubt(self, identification_id: IdentificationId, *, now: datetime) -> None:
        """See the port."""
        statement = update(identifications).where(
            identifications.c.id == identification_id, identifications.c.finished_us.is_not(None)
        )
        async with self._database.write() as connection:
            await connection.execute(statement.values(doubted_us=to_us(now)))

    async def get(self, identification_id: IdentificationId) -> Identification | None:
        """See the port."""
        async with self._database.read() as connection:
            return await _one(connection, _by_id(identification_id))

    async def running(self, target: Target, *, now: datetime) -> Identification | None:
        """See the port."""
        async with self._database.read() as connection:
            return await _one(connection, _alive(target, now))

    async def answer(self, target: Target) -> Identification | None:
        """See the port."""
        async with self._database.read() as connection:
            return await _one(connection, _newest_answer(target))

    async def check(self) -> None:
        """See the port."""
        await self._database.ping()

    async def history(self, login: str, *, limit: int, before: datetime | None = None) -> Sequence[Identification]:
        """See the port."""
        statement = (
            select(identifications)
            .where(
                identifications.c.target_key == _key(ChannelTarget(login)),
                identifications.c.status == str(Status.SUCCESSFUL),
            )
            .order_by(identifications.c.created_us.desc(), identifications.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(identifications.c.created_us < to_us(before))
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [_identification(row) for row in rows]


def _key(target: Target) -> str:
    """The target's key, or its hash where it would not fit the column."""
    key = target.key
    if len(key) <= _KEY_LIMIT and key.isprintable():
        return key
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _held(lease: Lease) -> list[Any]:
    """The lease's row, while nobody else has claimed the target."""
    return [leases.c.target_key == lease.target_key, leases.c.fence == lease.fence, leases.c.owner == lease.owner]


def _working(lease: Lease) -> list[Any]:
    """The identification's row, while it is this lease's to write."""
    return [
        identifications.c.id == lease.identification_id,
        identifications.c.fence == lease.fence,
        identifications.c.finished_us.is_(None),
    ]


def _changed(result: CursorResult[Any]) -> bool:
    return result.rowcount == 1


def _by_id(identification_id: str) -> Select[Any]:
    return select(identifications).where(identifications.c.id == identification_id)


def _newest_answer(target: Target) -> Select[Any]:
    return (
        select(identifications)
        .where(identifications.c.target_key == _key(target), identifications.c.status.in_(_ANSWERS))
        .order_by(identifications.c.created_us.desc())
        .limit(1)
    )


def _alive(target: Target, now: datetime) -> Select[Any]:
    """The identification that somebody holds a lease for."""
    return (
        select(identifications)
        .join(leases, leases.c.identification_id == identifications.c.id)
        .where(leases.c.target_key == _key(target), leases.c.expires_us > to_us(now))
    )


async def _one(connection: AsyncConnection, statement: Select[Any]) -> Identification | None:
    row = (await connection.execute(statement)).first()
    return None if row is None else _identification(row)


def _identification(row: Row[Any]) -> Identification:
    if row.body is not None:
        return dataclasses.replace(from_json(json.loads(row.body)), doubted=row.doubted_us is not None)
    return Identification(
        id=IdentificationId(row.id),
        kind=Kind(row.kind),
        target=row.target,
        at_seconds=row.at_seconds,
        status=Status(row.status),
        stage=Stage(row.stage),
        created_at=from_us(row.created_us),
    )


async def _look(connection: AsyncConnection, target: Target, now: datetime) -> Finished | Held | None:
    """What is already settled about a target."""
    if target.kind in (Kind.CLIP, Kind.VIDEO):
        answer = await _one(connection, _newest_answer(target))
        if answer is not None and reusable(answer, now):
            return Finished(answer)
    held = await _one(connection, _alive(target, now))
    return None if held is None else Held(held)


async def _take(
    connection: AsyncConnection,
    target: Target,
    owner: str,
    *,
    now: datetime,
    expires_at: datetime,
    fresh: Identification,
) -> Claimed | None:
    """Claim a target whose lease ran out or that never had one; None when another was faster."""
    key = _key(target)
    taken = await connection.execute(
        update(leases)
        .where(leases.c.target_key == key, leases.c.expires_us <= to_us(now))
        .values(owner=owner, fence=leases.c.fence + 1, expires_us=to_us(expires_at))
    )
    if not _changed(taken):
        try:
            await connection.execute(
                insert(leases).values(
                    target_key=key,
                    identification_id=fresh.id,
                    owner=owner,
                    fence=1,
                    expires_us=to_us(expires_at),
                )
            )
        except IntegrityError:
            return None
        lease = Lease(identification_id=fresh.id, target_key=key, owner=owner, fence=1, expires_at=expires_at)
        await _begin(connection, lease, fresh)
        return Claimed(lease, fresh)
    # The row is ours from here on, so what was answered before can be told for certain.
    row = (await connection.execute(select(leases).where(leases.c.target_key == key))).one()
    answer = await _one(connection, _newest_answer(target))
    if answer is not None and reusable(answer, now):
        raise _AnsweredMeanwhileError
    previous = await _one(connection, _by_id(row.identification_id))
    if previous is not None and not previous.status.finished and not abandoned(previous, now):
        await connection.execute(
            update(identifications).where(identifications.c.id == previous.id).values(fence=row.fence)
        )
        fresh = previous
    else:
        if previous is not None and not previous.status.finished:
            await _give_up(connection, previous, now)
        await connection.execute(
            update(leases).where(leases.c.target_key == key).values(identification_id=fresh.id)
        )
    lease = Lease(identification_id=fresh.id, target_key=key, owner=owner, fence=row.fence, expires_at=expires_at)
    if fresh is not previous:
        await _begin(connection, lease, fresh)
    return Claimed(lease, fresh)


async def _adopt(connection: AsyncConnection, lease: Lease, adopted: Lease) -> Claimed:
    held = await connection.execute(
        update(leases)
        .where(*_held(lease), leases.c.expires_us > 0, leases.c.identification_id == lease.identification_id)
        .values(owner=adopted.owner, fence=adopted.fence, expires_us=to_us(adopted.expires_at))
    )
    raised = await connection.execute(update(identifications).where(*_working(lease)).values(fence=adopted.fence))
    if not (_changed(held) and _changed(raised)):
        raise _LostError
    identification = await _one(connection, _by_id(lease.identification_id))
    assert identification is not None, "it was just changed"
    return Claimed(adopted, identification)


def _fresh(target: Target, now: datetime, wanted: IdentificationId | None) -> Identification:
    return Identification(
        id=wanted or new_identification_id(),
        kind=target.kind,
        target=clean_text(target.name),
        created_at=now,
        at_seconds=target.at_seconds if isinstance(target, VideoTarget) else None,
    )


async def _begin(connection: AsyncConnection, lease: Lease, fresh: Identification) -> None:
    await connection.execute(
        insert(identifications).values(
            id=fresh.id,
            target_key=lease.target_key,
            kind=str(fresh.kind),
            target=fresh.target,
            at_seconds=fresh.at_seconds,
            status=str(fresh.status),
            stage=str(fresh.stage),
            fence=lease.fence,
            created_us=to_us(fresh.created_at),
        )
    )


async def _give_up(connection: AsyncConnection, left: Identification, now: datetime) -> None:
    """Close an identification that its owner left behind so long ago that nobody waits for it."""
    detail = "The server that worked on this stopped before it had an answer. Ask again."
    failed = left.failed(Problem(code=ProblemCode.TIMEOUT, detail=detail, retry_after_seconds=0.0), now)
    await connection.execute(
        update(identifications)
        .where(identifications.c.id == left.id, identifications.c.finished_us.is_(None))
        .values(
            status=str(failed.status),
            stage=str(failed.stage),
            finished_us=to_us(now),
            body=json.dumps(to_json(failed)),
        )
    )
