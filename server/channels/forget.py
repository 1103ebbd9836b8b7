"""Forgets a channel: deletes what is stored about it, its clips and its VODs (docs/privacy.md)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, delete, or_, select
from sqlalchemy.engine import Connection

from fingerprint.background import Background, passing
from fingerprint.database import Database
from fingerprint.domain.channel_traces import ChannelTraces, UsedName
from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.job_ports import JobStore
from fingerprint.ports import Broadcaster, Clock
from fingerprint.tasks import Closing, cancel_and_wait
from server.access.identity.twitch_user import ID_PREFIX
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.clip_owners import VIDEO
from server.access.rules.list_store import ListStore
from server.access.tables import clip_owners
from server.audit.changes import ChangeLog
from server.channel_names import ChannelNames
from server.channels.tables import (
    channel_askers,
    hot_channels,
    reports,
    song_tokens,
    unknowns,
    video_set_lists,
    watches,
)
from server.channels.unknown_store import of_channel
from server.learning.store import forget_learned
from server.owner_choices.store import forget_corrections
from server.songs.finds import forget_finds
from server.songs.store import forget_hearings

SWEEP_SECONDS: Final = 86_400.0
"""How often what was stored meanwhile about blacklisted `forgotten-channel`s is deleted."""

_FIRST_SWEEP_SECONDS: Final = 300.0
_ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IDS_PER_STATEMENT: Final = 500
_BY_ID: Final = (song_tokens, watches)
_BY_LOGIN: Final = (hot_channels, channel_askers)

_log = logging.getLogger(__name__)


class ChannelForgetter(Closing):
    """Forgets channels. An async context manager that owns the deletions under way."""

    def __init__(
        self,
        database: Database,
        store: JobStore,
        names: ChannelNames,
        *,
        clock: Clock,
        on_forgotten: Callable[[Sequence[str]], None] = lambda _logins: None,
    ) -> None:
        self._database = database
        self._store = store
        self._names = names
        self._clock = clock
        self._on_forgotten = on_forgotten
        self._tasks: set[asyncio.Task[int]] = set()

    async def close(self) -> None:
        await cancel_and_wait(*self._tasks)

    async def forget(
        self,
        channel: str,
        *,
        changes: ChangeLog,
        keep_away: bool = False,
        known: Broadcaster | None = None,
        swept: bool = False,
    ) -> int:
        """Delete everything about a channel; returns how many answers there were.

        `channel`: its login, or `id:NUMBER`. `keep_away`: blacklist it first, so that nothing is stored again.
        `known`: the channel's account, where a sign-in tells. It is done even if the caller is cancelled. `swept`:
        by the server itself, so it is only in the log if anything was there.

        Raises TwitchAudioError `busy`; what was deleted until then stays deleted.
        """
        work = self._forget(channel, changes=changes, keep_away=keep_away, known=known, swept=swept)
        task = asyncio.create_task(work, name=f"forget {channel[:40]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def sweep(self) -> None:
        """Forget what was stored meanwhile about each blacklisted `forgotten-channel`."""
        for entry in await ListStore(self._database).blacklist():
            if entry.kind == str(BlacklistKind.FORGOTTEN_CHANNEL):
                await self.forget(entry.value, changes=ChangeLog(), swept=True)

    async def _forget(
        self, channel: str, *, changes: ChangeLog, keep_away: bool, known: Broadcaster | None, swept: bool
    ) -> int:
        traces = await self._traces(channel, known)
        if keep_away:
            await self._keep_away(traces, channel, changes)
        deleted = await self._store.forget(traces, now=self._clock.now())
        for start in range(0, len(deleted), _IDS_PER_STATEMENT):
            ids = deleted[start : start + _IDS_PER_STATEMENT]
            await self._database.change(delete(reports).where(reports.c.identification_id.in_(ids)))
            await self._database.change(delete(unknowns).where(unknowns.c.id.in_(ids)))
        now, count = self._clock.now(), len(set(deleted))

        def finish(connection: Connection) -> int:
            rows = _delete_rows(connection, traces, now)
            # Also when nothing was left: a call that failed may have deleted it.
            if count or rows or not swept:
                after = f"{count} answers deleted"
                changes.record(connection, "forget channel", _shown(traces, channel), after=after)
            return rows

        # Last, because these rows lead to all others: when a step fails, the next call finds what is left.
        rows = await self._database.transact(finish)
        self._on_forgotten(traces.logins)
        if count or rows:
            _log.info("channel_forgotten", extra={"answers": count, "rows": rows})
        return count

    async def _keep_away(self, traces: ChannelTraces, channel: str, changes: ChangeLog) -> None:
        value = channel if traces.channel_id is None else f"{ID_PREFIX}{traces.channel_id}"
        try:
            await ListStore(self._database, changes=changes).block(
                BlacklistKind.FORGOTTEN_CHANNEL, value, reason="forgotten", now=self._clock.now()
            )
        except TwitchAudioError as error:
            if error.code is not ProblemCode.INVALID_INPUT:
                raise  # it is listed already

    async def _traces(self, channel: str, known: Broadcaster | None) -> ChannelTraces:
        number = known.id if known is not None else None
        login = known.login if known is not None else channel
        if channel.startswith(ID_PREFIX):
            number, login = channel.removeprefix(ID_PREFIX), ""
        elif number is None:
            found = await self._names.current(channel)
            number = None if found is None else found.id
        spans = () if number is None else await self._names.spans_of(number)
        names = [UsedName(login=span.login, since=span.since, until=span.until) for span in spans]
        if login and not any(name.login == login for name in names):
            names.append(UsedName(login=login, since=_ALWAYS))
        owned = await self._owned(number)
        return ChannelTraces(
            channel_id=number,
            names=tuple(names),
            slugs=frozenset(name for name in owned if not name.startswith(VIDEO)),
            videos=frozenset(name.removeprefix(VIDEO) for name in owned if name.startswith(VIDEO)),
        )

    async def _owned(self, channel_id: str | None) -> Collection[str]:
        """Clips and videos that Twitch said are the channel's, as the table of owners names them."""
        if channel_id is None:
            return ()
        rows = await self._database.rows(
            select(clip_owners.c.slug).where(clip_owners.c.broadcaster_id == channel_id)
        )
        return [row.slug for row in rows]


def _shown(traces: ChannelTraces, channel: str) -> str:
    return next(iter(traces.logins), channel)


def _delete_rows(connection: Connection, traces: ChannelTraces, now: datetime) -> int:
    """Delete what belongs to the channel in SQL, besides its answers; returns how many rows."""
    # A login that another channel has by now is not this one's any more.
    logins = [name.login for name in traces.names if name.until is None]
    statements = [delete(table).where(_of(table, traces.channel_id, logins)) for table in _BY_ID]
    statements += [delete(table).where(table.c.channel.in_(logins)) for table in _BY_LOGIN]
    of_videos = or_(video_set_lists.c.video.in_(traces.videos), _of(video_set_lists, traces.channel_id, logins))
    statements.append(delete(video_set_lists).where(of_videos))
    statements.append(delete(unknowns).where(of_channel(traces, logins)))
    statements += [delete(reports).where(_about(kind, names)) for kind, names in _targets(traces, logins) if names]
    if traces.channel_id is not None:
        statements.append(delete(clip_owners).where(clip_owners.c.broadcaster_id == traces.channel_id))
    rows = sum(connection.execute(statement).rowcount for statement in statements)
    rows += forget_learned(connection, traces, logins, now=now)
    rows += forget_finds(connection, traces, logins)
    rows += forget_corrections(connection, traces, logins)
    return rows + forget_hearings(connection, traces)


def _targets(traces: ChannelTraces, logins: Sequence[str]) -> Sequence[tuple[Kind, Collection[str]]]:
    return (Kind.STREAM, logins), (Kind.CLIP, traces.slugs), (Kind.VIDEO, traces.videos)


def _about(kind: Kind, names: Collection[str]) -> ColumnElement[bool]:
    """Reports of answers that an earlier call has deleted, before it failed."""
    return and_(reports.c.kind == str(kind), reports.c.target.in_(names))


def _of(table: Table, channel_id: str | None, logins: Sequence[str]) -> ColumnElement[bool]:
    here: ColumnElement[bool] = table.c.channel.in_(logins)
    if channel_id is None:
        return here
    return or_(table.c.channel_id == channel_id, and_(here, table.c.channel_id.is_(None)))


@asynccontextmanager
async def swept(
    forgetter: ChannelForgetter, sleep: Callable[[float], Awaitable[Any]], background: Background
) -> AsyncGenerator[None]:
    """Sweep now and then in the background, during the block."""

    async def keep_sweeping() -> None:
        await sleep(_FIRST_SWEEP_SECONDS)
        while True:
            with passing(_log, "forgotten_channels_not_swept"):
                await forgetter.sweep()
            await sleep(SWEEP_SECONDS)

    async with background.running({"forget channels": keep_sweeping}):
        yield
