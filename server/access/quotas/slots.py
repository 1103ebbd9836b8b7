"""Slots for the concurrent jobs of a quota key, in SQL, so that all servers count them together.

A row says which quota key holds the slot, for which target, and when it expires. A slot is freed when its job
ends. If a server dies before that, the job store tells whether the job still runs: its lease expires by itself.
"""

import dataclasses
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, or_, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, from_us, to_us
from fingerprint.domain.identification import ABANDONED_AFTER, Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import AskedTarget, ChannelTarget, ClipTarget, UploadTarget, VideoTarget
from fingerprint.upserts import insert_new
from server.access.tables import job_slots as table

SLOT_FOR: Final = ABANDONED_AFTER + timedelta(seconds=15)
"""When a slot expires by itself: longer than any job may wait and run."""

_DELETE_AT_ONCE: Final = 1_000
_ATTEMPTS: Final = 5

# Built once: building a statement takes longer than running it on SQLite.
_OF: Final = table.c.holder == bindparam("of")
_HERE: Final = (_OF, table.c.number == bindparam("at"))
_SAME: Final = table.c.token == bindparam("old_token")
_NEW: Final[dict[str, Any]] = {
    name: bindparam(f"new_{name}") for name in ("token", "kind", "target", "at_seconds", "taken_us", "expires_us")
}
_TAKE_FREE: Final = update(table).where(*_HERE, or_(table.c.expires_us <= bindparam("now"), _SAME)).values(_NEW)
_TAKE_OVER: Final = update(table).where(*_HERE, _SAME).values(_NEW)
_GIVE_BACK: Final = update(table).where(*_HERE, _SAME).values(expires_us=0)
_ALL: Final = select(table).where(_OF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A slot that is taken for a job on `target`."""

    quota_key: str
    number: int
    token: str
    target: AskedTarget
    taken_at: datetime


class AllTakenError(Exception):
    """All slots of a quota key are taken, namely `slots`."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        super().__init__()
        self.slots = slots


class SharedError(Exception):
    """The quota key already has a slot for this target: another server starts the same job."""


class JobInProgressError(TwitchAudioError):
    """All slots of a quota key are in use; `identification_id` is one of its running jobs, if known."""

    def __init__(self, quota_key: str | None, most: int, identification_id: str | None) -> None:
        jobs = "One identification" if most == 1 else f"{most} identifications"
        # Others may be behind the same address.
        whose = "with this API key" if (quota_key or "").startswith("key:") else "from your network"
        end = "it has ended" if most == 1 else "one has ended"
        detail = f"{jobs} at a time {whose}: wait until {end}. Joining others is free."
        super().__init__(ProblemCode.JOB_IN_PROGRESS, detail, retry_after_seconds=5.0)
        self.identification_id = identification_id


def take(
    connection: Connection,
    quota_key: str,
    max_jobs: int,
    target: AskedTarget,
    now: datetime,
    *,
    released_tokens: Collection[str] = (),
    reusable_slot: Slot | None = None,
) -> Slot:
    """Take one of `max_jobs` slots of a quota key for a job.

    `released_tokens` belong to slots that are free although their rows are not updated yet; `reusable_slot` is one
    of them, which the job gets without a query for the others.

    Raises AllTakenError, SharedError.
    """
    slot = Slot(quota_key=quota_key, number=0, token=secrets.token_hex(8), target=target, taken_at=now)
    # The common cases in one statement: slot 0 has a row and is free, or there is a reusable slot.
    known = ""
    if reusable_slot is not None and reusable_slot.number < max_jobs:
        slot, known = dataclasses.replace(slot, number=reusable_slot.number), reusable_slot.token
    if connection.execute(
        _TAKE_FREE, _values(slot, "new_") | _row_key(slot, known) | {"now": to_us(now)}
    ).rowcount:
        return slot
    taken: list[Slot] = []
    for _attempt in range(_ATTEMPTS):
        rows = {row.number: row for row in connection.execute(_ALL, {"of": quota_key})}
        held = [row for row in rows.values() if row.expires_us > to_us(now) and row.token not in released_tokens]
        taken = [_slot(row) for row in held]
        if any(other.target.key == target.key for other in taken):
            raise SharedError
        free = sorted(set(range(max_jobs)) - {other.number for other in taken})
        if not free:
            break
        for number in free:
            candidate = dataclasses.replace(slot, number=number)
            if number not in rows:
                row = {"holder": quota_key, "number": number, **_values(candidate)}
                won = insert_new(connection, table, row)
            else:
                values = _values(candidate, "new_") | _row_key(candidate, rows[number].token)
                won = bool(connection.execute(_TAKE_OVER, values).rowcount)
            if won:
                return candidate
        # Other transactions took every slot: read again which targets they have.
    raise AllTakenError(taken)


def give_back(connection: Connection, slot: Slot) -> None:
    """Free a slot, unless another job has taken it by now."""
    connection.execute(_GIVE_BACK, _row_key(slot, slot.token))


async def delete_old_slots(database: Database, now: datetime) -> int:
    """Delete a batch of slots that have been free for long; returns how many, 0 when none are left."""
    old = select(table.c.taken_us).where(table.c.taken_us < to_us(now - 2 * SLOT_FOR)).order_by(table.c.taken_us)

    def work(connection: Connection) -> int:
        moments = connection.execute(old.limit(_DELETE_AT_ONCE)).scalars().all()
        if moments:
            connection.execute(delete(table).where(table.c.taken_us <= moments[-1]))
        return len(moments)

    return await database.transact(work)


def _values(slot: Slot, prefix: str = "") -> dict[str, Any]:
    return {
        f"{prefix}token": slot.token,
        f"{prefix}kind": str(slot.target.kind),
        f"{prefix}target": slot.target.name,
        f"{prefix}at_seconds": slot.target.at_seconds if isinstance(slot.target, VideoTarget) else None,
        f"{prefix}taken_us": to_us(slot.taken_at),
        f"{prefix}expires_us": to_us(slot.taken_at + SLOT_FOR),
    }


def _row_key(slot: Slot, token: str) -> dict[str, Any]:
    """Bind values that select a slot's row while it has this token."""
    return {"of": slot.quota_key, "at": slot.number, "old_token": token}


def slot_target(kind: Kind, name: str, at_seconds: float | None) -> AskedTarget:
    """The target of a stored slot."""
    match kind:
        case Kind.CLIP:
            return ClipTarget(name)
        case Kind.VIDEO:
            return VideoTarget(name, at_seconds or 0.0)
        case Kind.FILE:
            return UploadTarget(name)
        case _:
            return ChannelTarget(name)


def _slot(row: Row[Any]) -> Slot:
    target = slot_target(Kind(row.kind), row.target, row.at_seconds)
    return Slot(
        quota_key=row.holder, number=row.number, token=row.token, target=target, taken_at=from_us(row.taken_us)
    )
