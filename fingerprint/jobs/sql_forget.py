"""Deletes what is stored about one channel from SQL: answers about it, its clips and VODs, and its time line."""

from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, case, false, or_, select
from sqlalchemy.engine import Connection

from fingerprint.database import Database, heard_spans, identifications
from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import Identification, IdentificationId, Kind, Status
from fingerprint.domain.targets import ChannelTarget, ClipTarget
from fingerprint.jobs.sql_retention import delete_answers
from fingerprint.jobs.sql_rows import identification_of, target_key

_PAGE: Final = 500
_PAGE_OF_BODIES: Final = 2_000
_FINISHED: Final = tuple(status for status in Status if status.finished)


async def forget_channel(
    database: Database, traces: ChannelTraces, *, now: datetime
) -> Sequence[IdentificationId]:
    """Delete every finished identification of a channel; returns their ids. Raises TwitchAudioError `busy`.

    In steps, so that requests never wait for long. When one fails, what the steps before deleted stays deleted;
    the next call finds the rest, because what leads to other answers is deleted after those.
    """
    deleted: list[IdentificationId] = []
    broadcasts: set[str] = set()

    async def delete(answers: Iterable[Identification]) -> None:
        found = [answer for answer in answers if answer.status.finished]
        ids = [answer.id for answer in found]
        if ids:
            await database.transact(lambda connection: delete_answers(connection, ids, now))
        deleted.extend(ids)

    for login in traces.logins:
        async for page in _pages(database, _of_stream(login)):
            found = [answer for answer in page if traces.include(answer)]
            named = {answer.moment.broadcast for answer in found if answer.moment and answer.moment.broadcast}
            new = named - broadcasts
            broadcasts |= new
            streams = {answer.id for answer in found}
            await delete(each for each in await _of_broadcasts(database, new) if each.id not in streams)
            await delete(found)
    keys = [target_key(ClipTarget(slug)) for slug in sorted(traces.slugs)]
    for start in range(0, len(keys), _PAGE):
        async for page in _pages(database, [identifications.c.target_key.in_(keys[start : start + _PAGE])]):
            await delete(page)
    for video_id in sorted(traces.videos):
        async for page in _pages(database, [_at_moments(f"{Kind.VIDEO}:{video_id}")]):
            await delete(page)
    async for page in _naming(database, traces.logins):
        await delete(answer for answer in page if traces.include(answer))
    return deleted


def _of_stream(login: str) -> Sequence[ColumnElement[bool]]:
    """What a login played live, now and at earlier moments, as the keys of these targets say."""
    live = target_key(ChannelTarget(login))
    return (or_(identifications.c.target_key == live, _at_moments(live)),)


def _at_moments(key: str) -> ColumnElement[bool]:
    """The targets that are moments of a channel or a video: "A" follows "@", which is before the moment."""
    column = identifications.c.target_key
    return and_(column > f"{key}@", column < f"{key}A")


async def _pages(
    database: Database, where: Sequence[ColumnElement[bool]]
) -> AsyncGenerator[Sequence[Identification]]:
    """The finished identifications for which a condition on the target holds, page by page."""
    table = identifications.c
    for status in _FINISHED:
        statement = select(identifications).where(*where, table.status == str(status))
        async for rows in _rows_by_page(database, statement, _PAGE):
            yield [identification_of(row) for row in rows]


async def _rows_by_page(
    database: Database, statement: Select[*tuple[Any, ...]], size: int
) -> AsyncGenerator[Sequence[Row[Any]]]:
    """The rows of a query of identifications, the oldest first; the last page has fewer than `size`."""
    table = identifications.c
    query = statement.order_by(table.created_us, table.id).limit(size)
    rows = await database.rows(query)
    yield rows
    while len(rows) == size:
        at, last = rows[-1].created_us, rows[-1].id
        after = or_(table.created_us > at, and_(table.created_us == at, table.id > last))
        rows = await database.rows(query.where(after))
        yield rows


async def _of_broadcasts(database: Database, broadcasts: Collection[str]) -> Sequence[Identification]:
    """What is on the time lines of broadcasts: what is left there is about clips and VODs."""
    found: list[Identification] = []
    for broadcast in sorted(broadcasts):
        statement = (
            select(identifications)
            .join(heard_spans, heard_spans.c.identification_id == identifications.c.id)
            .where(heard_spans.c.broadcast_id == broadcast)
        )
        found += [identification_of(row) for row in await database.rows(statement)]
    return found


async def _naming(database: Database, logins: Collection[str]) -> AsyncGenerator[Sequence[Identification]]:
    """The answers about clips and VODs that name one of the logins as their channel, page by page."""
    table = identifications.c
    named = or_(false(), *(table.body.contains(f'"channel":"{login}"', autoescape=True) for login in logins))
    for kind in (Kind.CLIP, Kind.VIDEO):
        for status in _FINISHED:
            body = case((named, table.body), else_=None).label("body")
            statement = select(table.id, table.created_us, body).where(
                table.kind == str(kind), table.status == str(status)
            )
            async for rows in _rows_by_page(database, statement, _PAGE_OF_BODIES):
                ids = [row.id for row in rows if row.body]
                yield await database.read(lambda connection, ids=ids: _whole(connection, ids))


def _whole(connection: Connection, ids: Sequence[str]) -> Sequence[Identification]:
    if not ids:
        return ()
    rows = connection.execute(select(identifications).where(identifications.c.id.in_(ids)))
    return [replace(identification_of(row), disputed=False) for row in rows]
