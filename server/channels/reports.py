"""Listeners' reports of wrong answers. The operator sees them, and disputed targets are identified again."""

import hashlib
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.text import clean_text
from fingerprint.records import record_of
from fingerprint.upserts import insert_new, lock
from server.access.identity.addresses import Address, counted, widely_counted
from server.access.identity.principal import Principal
from server.access.limit_status import Limit
from server.access.quotas.rate_limits import DAY, RateLimitedError, count_start
from server.access.revocations import UNDO_WITHIN
from server.audit.changes import ChangeLog
from server.channels.tables import reports as table

NOTE_LIMIT: Final = 500
PER_DAY: Final = 50
"""Reports a day from one user, API key or address."""

DISPUTES_PER_DAY: Final = 3
"""How often a day reports have one clip or moment of a video identified again, which may cost money."""

MOST_PER_ANSWER: Final = 100

_TARGET_LIMIT: Final = 191

_log = logging.getLogger(__name__)


class Reason(StrEnum):
    """What the listener says is wrong with an answer."""

    WRONG_SONG = "wrong-song"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as the operator sees it."""

    id: str
    identification_id: str
    kind: str
    target: str
    reason: Reason
    note: str
    song: str
    created_at: datetime
    handled_at: datetime | None


def reporter(principal: Principal, address: Address | None, identification: Identification) -> tuple[str, str]:
    """The reporter's name, as it is stored, and as it is counted against the daily limit.

    An address, of IPv6 its /64, is stored only as a hash that differs from answer to answer. It is counted with
    its /56: what an answer taught is forgotten when it is reported.
    """
    if principal.user is not None:
        name = f"user:{principal.user.id}"
        return name, name
    if principal.key is not None:
        name = f"key:{principal.key.id}"
        return name, name
    source = "" if address is None else counted(address)
    digest = hashlib.sha256(f"{identification.id} {source}".encode()).hexdigest()
    return f"address:{digest}", f"address:{'' if address is None else widely_counted(address)}"


class ReportStore:
    """Stores and lists reports in SQL."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def add(
        self, identification: Identification, *, reason: Reason, note: str, who: tuple[str, str], now: datetime
    ) -> bool:
        """Store a report; a second one by the same reporter on the same answer replaces the first.

        Returns whether the answer is to be marked as disputed. Raises TwitchAudioError `rate-limited`, `busy`.
        """
        stored, counted = who
        try:
            await count_start(self._database, [Limit(f"report:{counted}"[:128], PER_DAY, DAY)], now)
        except RateLimitedError as error:
            wait = error.status.reset_seconds
            detail = f"At most {PER_DAY} reports a day, thank you. The count starts again in {wait} s."
            raise TwitchAudioError(
                ProblemCode.RATE_LIMITED, detail, retry_after_seconds=error.retry_after_seconds
            ) from error
        target = clean_text(identification.target, _TARGET_LIMIT)
        values = {"reason": str(reason), "note": clean_text(note, NOTE_LIMIT), "created_us": to_us(now)}
        row = {
            "id": secrets.token_hex(8),
            "identification_id": identification.id,
            "reporter": stored,
            "kind": str(identification.kind),
            "target": target,
            "song": _song(identification),
            **values,
        }
        on_it = table.c.identification_id == identification.id
        replace = update(table).where(on_it, table.c.reporter == stored).values(**values, handled_us=None)
        count = select(func.count()).select_from(table)
        lately = count.where(table.c.target == target, table.c.created_us > to_us(now - timedelta(days=1)))

        def work(connection: Connection) -> bool:
            lock(connection, "reports")
            before = connection.execute(lately).scalar_one()
            full = connection.execute(count.where(on_it)).scalar_one() >= MOST_PER_ANSWER
            if full or not insert_new(connection, table, row):
                connection.execute(replace)
                return False
            return before < DISPUTES_PER_DAY

        disputed = await self._database.transact(work)
        _log.info(
            "answer_reported", extra={"job_id": identification.id, "reason": str(reason), "disputed": disputed}
        )
        return disputed

    async def newest(self, *, limit: int = 100, handled: bool | None = None) -> Sequence[Report]:
        """Up to `limit` reports, newest first: all, or those that the operator has or has not handled."""
        statement = select(table).order_by(table.c.created_us.desc(), table.c.id.desc()).limit(limit)
        if handled is not None:
            statement = statement.where(
                table.c.handled_us.is_not(None) if handled else table.c.handled_us.is_(None)
            )
        return [record_of(Report, row, reason=Reason(row.reason)) for row in await self._database.rows(statement)]

    async def handle(self, report_id: str, now: datetime) -> None:
        """Mark a report as handled by the operator. Raises TwitchAudioError `not-found`."""
        change = update(table).where(table.c.id == report_id).values(handled_us=to_us(now))

        def work(connection: Connection) -> None:
            if connection.execute(change).rowcount:
                self._changes.record(connection, "report done", report_id)
            else:
                raise TwitchAudioError(
                    ProblemCode.NOT_FOUND, f"There is no report with the id {report_id[:50]!r}."
                )

        await self._database.transact(work)

    async def undo_handle(self, report_id: str, now: datetime) -> None:
        """Take back that a report was handled just now. Raises TwitchAudioError `not-found`."""
        recent = table.c.handled_us >= to_us(now - UNDO_WITHIN)
        change = update(table).where(table.c.id == report_id, recent).values(handled_us=None)

        def work(connection: Connection) -> None:
            if not connection.execute(change).rowcount:
                raise TwitchAudioError(ProblemCode.NOT_FOUND, "This can only be undone for a minute.")
            self._changes.record(connection, "report not done", report_id)

        await self._database.transact(work)


def _song(identification: Identification) -> str:
    song = identification.song
    return "" if song is None else clean_text(" - ".join(filter(None, [", ".join(song.artists), song.title])), 300)
