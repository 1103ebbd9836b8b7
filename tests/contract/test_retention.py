"""Old answers are deleted from SQL, on each database, and songs of clips and videos stay."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from fingerprint.clock import SystemClock
from fingerprint.configured_database import database_url
from fingerprint.database import Database, heard_spans, identifications, leases, open_database, to_us
from fingerprint.domain.identification import BroadcastMoment, Heard, Identification, Stage, Status
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, VideoTarget
from fingerprint.job_ports import Claimed, Lease
from fingerprint.jobs.sql import SqlJobStore
from fingerprint.jobs.sql_retention import FAILED_STAY, delete_excess_failures, delete_old_answers
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.upserts import insert_all
from server.access.tables import clip_owners
from server.app import listening, make_app
from server.channels.reports import Reason, ReportStore
from server.channels.retention import delete_excess_owners, delete_old_rows
from server.settings import ServerSettings
from tests.builders import NOON, song
from tests.databases import migrated_database

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
CLOCK = SystemClock()


class ClockAt(SystemClock):
    """A clock that stands still at a moment, while pauses take their time."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


async def claimed(database: Database, target: Target, at: datetime) -> Claimed:
    claim = await SqlJobStore(database).claim(target, owner="a", now=at, lease_seconds=9)
    assert isinstance(claim, Claimed)
    return claim


def ended(identification: Identification, at: datetime, status: Status = Status.SUCCESSFUL) -> Identification:
    return dataclasses.replace(
        identification,
        status=status,
        stage=Stage.DONE,
        finished_at=at,
        song=song() if status is Status.SUCCESSFUL else None,
        moment=BroadcastMoment(broadcast="41", seconds=100.0),
        heard=Heard.NOW,
        captured_seconds=6.0,
    )


async def answered(database: Database, target: Target, at: datetime, status: Status) -> Identification:
    """An identification that was begun and ended at a moment."""
    claim = await claimed(database, target, at)
    answer = ended(claim.identification, at, status)
    assert await SqlJobStore(database).finish(claim.lease, answer)
    return answer


async def count(database: Database, table: object = identifications) -> int:
    [row] = await database.rows(select(func.count()).select_from(table))  # pyright: ignore[reportArgumentType, reportUnknownVariableType] - any table
    return int(row[0])


async def test_what_is_older_goes_and_what_is_newer_or_a_clips_or_videos_song_stays(database: Database) -> None:
    store = SqlJobStore(database)
    stay = [
        await answered(database, ClipTarget("song"), NOON, Status.SUCCESSFUL),
        await answered(database, VideoTarget("1", 5.0), NOON, Status.SUCCESSFUL),
        await answered(database, ChannelTarget("newer"), NOON + DAY, Status.SUCCESSFUL),
        await answered(database, ClipTarget("newer"), NOON + DAY, Status.NO_MATCH),
    ]
    go = [
        await answered(database, ChannelTarget("older"), NOON, Status.SUCCESSFUL),
        await answered(database, ChannelTarget("nothing"), NOON, Status.NO_MATCH),
        await answered(database, ClipTarget("nothing"), NOON, Status.NO_MATCH),
        # Its server died, and nobody asked again.
        (await claimed(database, ChannelTarget("left"), NOON)).identification,
    ]
    assert await delete_old_answers(database, CLOCK, before=NOON + DAY) == len(go)
    assert [each.id for each in go if await store.get(each.id) is not None] == []
    assert [each.id for each in stay if await store.get(each.id) is None] == []
    keys = {row.target_key for row in await database.rows(select(leases.c.target_key))}
    assert keys == {"clip:song", "video:1@5", "stream:newer", "clip:newer"}
    assert await delete_old_answers(database, CLOCK, before=NOON + DAY) == 0
    assert await count(database, heard_spans) == len(stay), "time lines have what is stored"


async def test_a_channel_that_was_asked_about_again_keeps_its_lease(
    database: Database,
) -> None:
    target = ChannelTarget("one")
    await answered(database, target, NOON, Status.SUCCESSFUL)
    again = await claimed(database, target, NOON + DAY)
    assert await delete_old_answers(database, CLOCK, before=NOON + DAY) == 1
    held = await SqlJobStore(database).renew(again.lease, now=NOON + DAY, lease_seconds=9)
    assert isinstance(held, Lease)
    assert held.fence == 2


async def test_a_target_whose_lease_is_gone_is_claimed_as_a_new_one(database: Database) -> None:
    target = ChannelTarget("one")
    late = await claimed(database, target, NOON)
    assert await delete_old_answers(database, CLOCK, before=NOON + DAY) == 1
    new = await claimed(database, target, NOON + 2 * DAY)
    # Even with the same owner and the same token, the earlier worker has no part in the new job.
    assert (late.lease.fence, new.lease.fence) == (1, 1)
    store = SqlJobStore(database)
    assert not await store.finish(late.lease, ended(late.identification, NOON + 2 * DAY))
    found = await store.running(target, now=NOON + 2 * DAY)
    assert found is not None
    assert found.id == new.identification.id


async def test_several_servers_may_delete_at_once_however_much_there_is(
    database: Database, sql_address: str
) -> None:
    rows = [
        {"id": f"i{n}", "target_key": f"stream:c{n}", "kind": "stream", "target": "c", "status": "no_match",
         "stage": "done", "fence": 1, "created_us": to_us(NOON) + n}
        for n in range(1_300)
    ]  # fmt: skip
    await database.transact(lambda connection: insert_all(connection, identifications, rows))
    async with open_database(sql_address) as other:
        await asyncio.gather(
            *(delete_old_answers(each, CLOCK, before=NOON + DAY) for each in (database, other, database))
        )
    assert await count(database) == 0


async def test_a_server_deletes_what_is_older_than_its_setting_says(tmp_path: Path) -> None:
    settings = PipelineSettings(data_dir=tmp_path, keep_days=30)
    async with migrated_database(database_url(settings)) as database:
        now = datetime.now(UTC)
        await answered(database, ChannelTarget("older"), now - 31 * DAY, Status.SUCCESSFUL)
        newer = await answered(database, ChannelTarget("newer"), now - 29 * DAY, Status.SUCCESSFUL)
        async with listening(make_app(ServerSettings(pipeline=settings)), "127.0.0.1", 0), asyncio.timeout(30):
            while await count(database) > 1:  # noqa: ASYNC110 - what is waited for is in the database
                await asyncio.sleep(0.02)
        assert await SqlJobStore(database).get(newer.id) is not None


async def test_failed_jobs_go_sooner_than_answers(database: Database) -> None:
    store = SqlJobStore(database)
    failed = await answered(database, ChannelTarget("made_up"), NOON, Status.FAILED)
    stays = await answered(database, ChannelTarget("heard"), NOON, Status.SUCCESSFUL)
    assert await delete_old_answers(database, CLOCK, before=NOON + DAY, only_failed=True) == 1
    assert await store.get(failed.id) is None
    assert await store.get(stays.id) is not None


async def test_of_failed_jobs_only_the_newest_stay_however_many_targets_are_made_up(database: Database) -> None:
    heard = await answered(database, ChannelTarget("heard"), NOON - DAY, Status.SUCCESSFUL)
    for number in range(6):
        for target in (ChannelTarget(f"made_up_{number}"), ClipTarget(f"Made-up-{number}")):
            await answered(database, target, NOON + number * SECOND, Status.FAILED)
    late = ClockAt(NOON + DAY)
    assert await delete_excess_failures(database, late, keep=2) == 8
    assert await delete_excess_failures(database, late, keep=2) == 0
    left = {row.target for row in await database.rows(select(identifications))}
    assert left == {"heard", "made_up_4", "made_up_5", "Made-up-4", "Made-up-5"}
    assert await count(database, leases) == 5, "nor does anything else stay of the others"
    assert await SqlJobStore(database).get(heard.id) is not None


async def test_failed_jobs_stay_while_clients_may_ask_for_them(database: Database) -> None:
    for number in range(6):
        await answered(database, ChannelTarget(f"made_up_{number}"), NOON + number * SECOND, Status.FAILED)
    assert await delete_excess_failures(database, ClockAt(NOON + FAILED_STAY), keep=2) == 0
    assert await delete_excess_failures(database, ClockAt(NOON + FAILED_STAY + 2 * SECOND), keep=2) == 2


async def test_reports_and_owners_of_clips_go_with_the_answers(database: Database) -> None:
    answer = await answered(database, ClipTarget("song"), NOON, Status.SUCCESSFUL)
    for who, at in (("old", NOON), ("new", NOON + 2 * DAY)):
        await ReportStore(database).add(answer, reason=Reason.OTHER, note="", who=(who, who), now=at)
        row = {"slug": who, "broadcaster_id": "1", "login": "a", "seen_us": to_us(at)}
        await database.transact(lambda connection, row=row: insert_all(connection, clip_owners, [row]))
    assert await delete_old_rows(database, CLOCK, before=NOON + DAY) == 2
    assert [each.created_at for each in await ReportStore(database).newest()] == [NOON + 2 * DAY]
    assert [row.slug for row in await database.rows(select(clip_owners))] == ["new"]
    assert await delete_old_rows(database, CLOCK, before=NOON + DAY) == 0


async def test_of_the_owners_of_clips_only_the_newest_stay_however_many_there_are(
    database: Database,
) -> None:
    for number in range(6):
        row = {"slug": f"clip{number}", "broadcaster_id": "1", "login": "a", "seen_us": to_us(NOON + number * DAY)}
        await database.transact(lambda connection, row=row: insert_all(connection, clip_owners, [row]))
    assert await delete_excess_owners(database, CLOCK, keep=2) == 4
    assert {row.slug for row in await database.rows(select(clip_owners))} == {"clip4", "clip5"}
    assert await delete_excess_owners(database, CLOCK, keep=2) == 0
