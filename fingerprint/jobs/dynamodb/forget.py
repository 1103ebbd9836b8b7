"""Deletes what is stored about one channel from DynamoDB: answers, its clips and VODs, and its time line."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from fingerprint.domain.channel_traces import ChannelTraces
from fingerprint.domain.identification import IdentificationId, Kind
from fingerprint.domain.targets import ClipTarget
from fingerprint.jobs.dynamodb.client import Item, JobTable
from fingerprint.jobs.dynamodb.items import (
    STRETCH,
    broadcast_of,
    heard_of,
    identification_of,
    number,
    seat_key,
    text,
    to_us,
)
from fingerprint.jobs.dynamodb.places import JobTables
from fingerprint.jobs.dynamodb.time_line import TimeLines

_MAX_NAMES: Final = 60
"""Logins and videos in one condition, which may be 4 KiB long and have 300 operators."""


async def forget_channel(
    tables: JobTables, time_lines: TimeLines, traces: ChannelTraces, *, now: datetime
) -> Sequence[IdentificationId]:
    """Delete every finished job of a channel; returns their ids. Raises TwitchAudioError `busy`.

    Reads both tables whole: which clips and VODs are a channel's has no index. When a step fails, the next call
    finds the rest: the channel's own jobs, which lead to its broadcasts, are deleted last.
    """
    deleted: list[IdentificationId] = []
    own: list[tuple[JobTable, Item]] = []
    broadcasts: set[str] = set()
    for table, kind in (tables.streams, Kind.STREAM), (tables.clips, Kind.CLIP):
        named, values = _names_channel(traces)
        async for page in table.scan(named, values=values):
            for item in page:
                answer = identification_of(item, kind=kind)
                if answer is None or not answer.status.finished or not traces.include(answer):
                    continue
                if kind is Kind.STREAM and answer.moment is not None and answer.moment.broadcast is not None:
                    broadcasts.add(answer.moment.broadcast)
                own.append((table, {name: item[name] for name in ("Id", "Seat") if name in item}))
                deleted.append(answer.id)
    known = set(deleted)
    for slug in traces.slugs:
        seat = await tables.clips.get(seat_key(ClipTarget(slug)))
        if seat is not None and "AnswerId" in seat:
            deleted += await _forget_ids(tables, {seat["AnswerId"]["S"]} - known, now)
    stretches = tables.streams.scan(
        "begins_with(#Id, :stretch)", values={":stretch": text(STRETCH)}, members="#Id, #Heard"
    )
    async for page in stretches:
        for item in page:
            if broadcast_of(item["Id"]["S"]) in broadcasts:
                heard = {answer.id for answer in heard_of(item)}
                deleted += await _forget_ids(tables, heard - known, now)
                await tables.streams.delete(item["Id"]["S"])
                continue
            mine = [answer for answer in heard_of(item) if traces.include(answer)]
            for answer in mine:
                await time_lines.remove_answer(answer)
    for table, item in own:
        await _forget_job(table, item, now)
    return deleted


async def _forget_ids(tables: JobTables, ids: Collection[str], now: datetime) -> list[IdentificationId]:
    """Delete finished jobs by their ids; returns those that were there."""
    found: list[IdentificationId] = []
    for job_id in ids:
        for table, kind in tables.of_job(job_id):
            item = await table.get(job_id)
            answer = None if item is None else identification_of(item, kind=kind)
            if item is not None and answer is not None and answer.status.finished:
                await _forget_job(table, item, now)
                found.append(answer.id)
                break
    return found


async def _forget_job(table: JobTable, item: Item, now: datetime) -> None:
    """Delete a finished job, and its target's seat unless that has moved on to another job."""
    if "Seat" in item:
        await table.delete(
            item["Seat"]["S"],
            when="(#JobId = :id OR #AnswerId = :id) AND (#Done = :done OR #LeaseUntil <= :now)",
            values={":id": item["Id"], ":done": {"BOOL": True}, ":now": number(to_us(now))},
        )
    await table.delete(item["Id"]["S"])


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
