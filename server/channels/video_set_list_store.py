"""Set lists of whole VODs in SQL. A row is also the lease: one server at a time listens to a VOD."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.engine import Connection

from fingerprint.database import Database, to_us
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.time_line import Span
from fingerprint.domain.tracklist import Tracklist, spans_of_video
from fingerprint.records import record_of
from fingerprint.upserts import insert_new, lock
from server.audit.changes import ChangeLog
from server.channels.tables import video_set_lists as table
from server.channels.video_set_list import SetListStatus, VideoSetList
from server.leases import lease_is_over

_UNFINISHED: Final = table.c.status.in_([str(SetListStatus.QUEUED), str(SetListStatus.RUNNING)])
_DAY: Final = timedelta(days=1)

MAX_VIDEOS: Final = 4
"""How many VODs of one broadcast are looked at, the newest set lists; Twitch makes one of each."""

_tracklists: Final = msgspec.json.Decoder(Tracklist)
_problems: Final = msgspec.json.Decoder(Problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListLimits:
    """How many set lists may be under way, in all and for one person, and hours of sound a person has in a day."""

    waiting: int = 100
    per_person: int = 3
    hours_a_day: int | None = None


class VideoSetListStore:
    """Starts, reads, cancels and leases the set lists of VODs."""

    def __init__(self, database: Database, *, changes: ChangeLog | None = None) -> None:
        self._database = database
        self._changes = changes or ChangeLog()

    async def get(self, video: str) -> VideoSetList | None:
        """A VOD's set list as it is now; None when none was started."""
        row = await self._database.first(select(table).where(table.c.video == video))
        return None if row is None else _set_list(row)

    async def spans(self, broadcast: str, start: float, end: float) -> Sequence[Span]:
        """What was heard in VODs of a broadcast, as far as it touches what is between two of its seconds.

        Raises TwitchAudioError `busy`.
        """
        newest = (
            select(table)
            .where(table.c.broadcast_id == broadcast)
            .order_by(table.c.created_us.desc())
            .limit(MAX_VIDEOS)
        )
        found: list[Span] = []
        for row in await self._database.rows(newest):
            made = _set_list(row)
            heard_at = made.finished_at or made.created_at
            found += spans_of_video(made.video, made.tracklist, heard_at=heard_at, near=(start, end))
        return found

    async def start(
        self,
        video: str,
        *,
        made_by: str,
        channel_id: str | None,
        limits: SetListLimits,
        now: datetime,
        again: bool = False,
    ) -> VideoSetList:
        """Start a VOD's set list, or join it: as it is then.

        One that failed or was cancelled, or whose VOD was still being recorded, goes on where it was. Another
        finished one stays as it is, unless it is wanted `again`, from the start.

        Raises TwitchAudioError `busy` and `rate-limited`.
        """
        mine = table.c.video == video
        fresh = {
            "status": str(SetListStatus.QUEUED),
            "made_by": made_by,
            "channel_id": channel_id,
            "problem": None,
            "created_us": to_us(now),
            "finished_us": None,
            "owner": "",
            "lease_us": 0,
        }

        def work(connection: Connection) -> VideoSetList:
            lock(connection, "video_set_lists")
            row = connection.execute(select(table).where(mine)).first()
            if row is not None:
                known = _set_list(row)
                complete = known.status is SetListStatus.SUCCESSFUL and not known.tracklist.growing
                if not known.status.finished or (complete and not again):
                    return known
            _check(connection, made_by, limits, now)
            self._changes.record(connection, "set list of a video", video)
            if row is None:
                insert_new(connection, table, {"video": video, "fence": 1, **fresh, **_counted(Tracklist(), 0)})
            else:
                # What was listened to today stays counted, and nothing of the days before.
                heard_today = row.captured_s if row.created_us > to_us(now - _DAY) else 0
                so_far = Tracklist() if again else _set_list(row).tracklist
                values = {**fresh, **_counted(so_far, heard_today), "fence": table.c.fence + 1}
                connection.execute(update(table).where(mine).values(**values))
            return _set_list(connection.execute(select(table).where(mine)).one())

        return await self._database.transact(work)

    async def cancel(self, video: str, *, now: datetime) -> bool:
        """End the work on a set list, which keeps what was found; False when none is under way."""
        values = {
            "status": str(SetListStatus.CANCELLED),
            "finished_us": to_us(now),
            "lease_us": 0,
            "fence": table.c.fence + 1,
        }
        statement = update(table).where(table.c.video == video, _UNFINISHED).values(**values)

        def work(connection: Connection) -> bool:
            if not connection.execute(statement).rowcount:
                return False
            self._changes.record(connection, "cancel set list of a video", video)
            return True

        return await self._database.transact(work)

    async def check_hours(self, job: VideoSetList, hours_a_day: int, *, now: datetime) -> None:
        """Raise TwitchAudioError `rate-limited` when the hours of the one who started a set list are used up.

        Several at once may do that together. Operators have no such limit.
        """
        if not job.budgeted:
            return
        row = await self._database.first(_heard_today(job.made_by, now))
        if row is not None and (row[0] or 0) >= hours_a_day * 3600:
            raise _used_up(hours_a_day)

    # --- Leases -----------------------------------------------------------------------------------------

    async def take(self, *, owner: str, now: datetime, lease_seconds: float) -> VideoSetList | None:
        """Lease the set list that waits longest, or whose server is gone; None when there is none."""
        free = (_UNFINISHED, lease_is_over(table.c.lease_us, now))
        oldest = select(table.c.video).where(*free).order_by(table.c.created_us).limit(1)
        row = await self._database.first(oldest)
        if row is None:
            return None
        video = table.c.video == row.video
        values = {
            "status": str(SetListStatus.RUNNING),
            "owner": owner,
            "lease_us": to_us(now + timedelta(seconds=lease_seconds)),
            "fence": table.c.fence + 1,
        }

        def work(connection: Connection) -> VideoSetList | None:
            if not connection.execute(update(table).where(video, *free).values(**values)).rowcount:
                return None
            return _set_list(connection.execute(select(table).where(video)).one())

        return await self._database.transact(work)

    async def save(self, job: VideoSetList, tracklist: Tracklist, *, now: datetime, lease_seconds: float) -> bool:
        """Store how far it is, and renew the lease; False when it was cancelled or taken over."""
        return await self._write(job, tracklist, {"lease_us": to_us(now + timedelta(seconds=lease_seconds))})

    async def finish(
        self, job: VideoSetList, tracklist: Tracklist, *, now: datetime, problem: Problem | None = None
    ) -> bool:
        """Store the end, and end the lease; False when it was cancelled or taken over."""
        status = SetListStatus.SUCCESSFUL if problem is None else SetListStatus.FAILED
        values = {
            "status": str(status),
            "finished_us": to_us(now),
            "problem": None if problem is None else msgspec.json.encode(problem).decode(),
            "lease_us": 0,
        }
        return await self._write(job, tracklist, values)

    async def release(self, job: VideoSetList, tracklist: Tracklist) -> bool:
        """Store how far it is, and end the lease, so that another server goes on at once."""
        return await self._write(job, tracklist, {"lease_us": 0})

    async def _write(self, job: VideoSetList, tracklist: Tracklist, values: Mapping[str, Any]) -> bool:
        mine = (table.c.video == job.video, table.c.fence == job.fence, _UNFINISHED)
        kept = {
            "body": msgspec.json.encode(tracklist).decode(),
            "captured_s": round(tracklist.captured_seconds + tracklist.earlier_seconds),
            "broadcast_id": tracklist.broadcast,
            "channel": tracklist.channel,
            **values,
        }
        return bool(await self._database.change(update(table).where(*mine).values(**kept)))


def _counted(so_far: Tracklist, heard_today: int) -> Mapping[str, Any]:
    """The columns of a set list that is started, for which `heard_today` seconds count of this day."""
    counted = replace(so_far, earlier_seconds=heard_today - so_far.captured_seconds)
    return {"body": msgspec.json.encode(counted).decode(), "captured_s": heard_today}


def _heard_today(made_by: str, now: datetime) -> Select[int | None]:
    """The seconds of sound that one caller had listened to for the set lists started within a day."""
    mine = (table.c.made_by == made_by, table.c.created_us > to_us(now - _DAY))
    return select(func.sum(table.c.captured_s)).where(*mine)


def _used_up(hours: int) -> TwitchAudioError:
    detail = f"The {hours} hours of VODs that you can have listened to in a day are used up."
    return TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=3600.0)


def _check(connection: Connection, made_by: str, limits: SetListLimits, now: datetime) -> None:
    """Raise TwitchAudioError when no further set list may be started."""
    waiting = select(func.count()).select_from(table).where(_UNFINISHED)
    if connection.execute(waiting).scalar_one() >= limits.waiting:
        detail = f"{limits.waiting} set lists are being made, which is the most. Try again later."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=300.0)
    mine = table.c.made_by == made_by
    if connection.execute(waiting.where(mine)).scalar_one() >= limits.per_person:
        detail = f"{limits.per_person} of your set lists are being made, which is the most at a time."
        raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=300.0)
    if limits.hours_a_day is not None:
        heard = connection.execute(_heard_today(made_by, now)).scalar_one() or 0
        if heard >= limits.hours_a_day * 3600:
            raise _used_up(limits.hours_a_day)


def _set_list(row: Row[Any]) -> VideoSetList:
    problem = None if row.problem is None else _problems.decode(row.problem)
    status, tracklist = SetListStatus(row.status), _tracklists.decode(row.body)
    return record_of(VideoSetList, row, status=status, tracklist=tracklist, problem=problem)
