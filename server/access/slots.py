"""Places for jobs that somebody may have at once, in SQL, so that all servers count alike.

A place is a row: who holds it, for which target, and until when at the latest. It is given back when the job ends.
A server that dies cannot do that: whether a job still runs is asked of the job store then, whose lease ends by
itself.
"""

import dataclasses
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from fingerprint.database import Database, from_us, to_us
from fingerprint.domain.identification import ABANDONED_AFTER, Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, TwitchTarget, VideoTarget
from server.access.tables import job_slots as table

SLOT_FOR: Final = ABANDONED_AFTER + timedelta(seconds=15)
"""Longer than any job may wait and run."""

_FORGET_AT_ONCE: Final = 1_000
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place that is taken."""

    holder: str
    number: int
    token: str
    target: TwitchTarget
    taken_at: datetime


class AllTakenError(Exception):
    """Every place of a holder is taken. `slots` are those."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        super().__init__()
        self.slots = slots


class SharedError(Exception):
    """The holder has a place for this very target: it was asked for on two servers at the same moment."""


class JobInProgressError(TwitchAudioError):
    """Somebody has as many jobs at once as they may. `identification_id` is one of those."""

    def __init__(self, most: int, identification_id: str | None) -> None:
        jobs = "One identification" if most == 1 else f"{most} identifications"
        detail = f"{jobs} at a time: wait until {'it' if most == 1 else 'one'} has ended. Joining others is free."
        super().__init__(ProblemCode.JOB_IN_PROGRESS, detail, retry_after_seconds=5.0)
        self.identification_id = identification_id


async def take(  # noqa: PLR0917 - one place's whole story
    connection: AsyncConnection,
    holder: str,
    most: int,
    target: TwitchTarget,
    now: datetime,
    over: Collection[str],
    left: Slot | None = None,
) -> Slot:
    """Take a place for a job. Those whose token is in `over` are known to be free, and so is the one `left`.

    Raises AllTakenError, SharedError.
    """
    slot = Slot(holder=holder, number=0, token=secrets.token_hex(8), target=target, taken_at=now)
    # The usual cases in one statement: the first place was used before and is free, or is but not in its row yet.
    free_now = table.c.expires_us <= to_us(now)
    if left is not None and left.number < most:
        slot = dataclasses.replace(slot, number=left.number)
        free_now = or_(free_now, table.c.token == left.token)
    if await _replace(connection, slot, free_now):
        return slot
    taken: list[Slot] = []
    for _attempt in range(_ATTEMPTS):
        rows = {row.number: row for row in await connection.execute(select(table).where(table.c.holder == holder))}
        taken = [_slot(row) for row in rows.values() if row.expires_us > to_us(now) and row.token not in over]
        if any(other.target.key == target.key for other in taken):
            raise SharedError
        free = sorted(set(range(most)) - {other.number for other in taken})
        if not free:
            break
        for number in free:
            candidate = dataclasses.replace(slot, number=number)
            if number not in rows:
                won = await _insert(connection, candidate)
            else:
                won = await _replace(connection, candidate, table.c.token == rows[number].token)
            if won:
                return candidate
        # Others were faster with every place: see which targets they have.
    raise AllTakenError(taken)


async def give_back(connection: AsyncConnection, slot: Slot) -> None:
    """Make a place free again; nothing happens when it is another's by now."""
    where = (table.c.holder == slot.holder, table.c.number == slot.number, table.c.token == slot.token)
    await connection.execute(update(table).where(*where).values(expires_us=0))


async def forget(database: Database, now: datetime) -> int:
    """Delete some rows of places that have long been free; gives how many. 0: there are none left."""
    old = select(table.c.taken_us).where(table.c.taken_us < to_us(now - 2 * SLOT_FOR)).order_by(table.c.taken_us)

    async def work(connection: AsyncConnection) -> int:
        moments = (await connection.execute(old.limit(_FORGET_AT_ONCE))).scalars().all()
        if moments:
            await connection.execute(delete(table).where(table.c.taken_us <= moments[-1]))
        return len(moments)

    return await database.transact(work)


def _values(slot: Slot) -> dict[str, Any]:
    return {
        "token": slot.token,
        "kind": str(slot.target.kind),
        "target": slot.target.name,
        "at_seconds": slot.target.at_seconds if isinstance(slot.target, VideoTarget) else None,
        "taken_us": to_us(slot.taken_at),
        "expires_us": to_us(slot.taken_at + SLOT_FOR),
    }


async def _replace(connection: AsyncConnection, slot: Slot, condition: Any) -> bool:
    where = (table.c.holder == slot.holder, table.c.number == slot.number, condition)
    return bool((await connection.execute(update(table).where(*where).values(**_values(slot)))).rowcount)


async def _insert(connection: AsyncConnection, slot: Slot) -> bool:
    try:
        async with connection.begin_nested():
            await connection.execute(insert(table).values(holder=slot.holder, number=slot.number, **_values(slot)))
    except IntegrityError:
        return False
    return True


def _slot(row: Row[Any]) -> Slot:
    match Kind(row.kind):
        case Kind.CLIP:
            target: TwitchTarget = ClipTarget(row.target)
        case Kind.VIDEO:
            target = VideoTarget(row.target, row.at_seconds or 0.0)
        case _:
            target = ChannelTarget(row.target)
    return Slot(
        holder=row.holder, number=row.number, token=row.token, target=target, taken_at=from_us(row.taken_us)
    )
