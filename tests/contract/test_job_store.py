"""What every job store promises (`fingerprint.job_ports.JobStore`), for each adapter."""

import asyncio
import dataclasses
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fingerprint.domain.channel_traces import ChannelTraces, UsedName
from fingerprint.domain.identification import (
    ABANDONED_AFTER,
    NO_MATCH_REUSE,
    BroadcastMoment,
    ExternalIds,
    Heard,
    Identification,
    IdentificationId,
    Stage,
    Status,
)
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, VideoTarget, ago_target
from fingerprint.domain.time_line import span_of
from fingerprint.job_ports import Claim, Claimed, Finished, Held, JobStore
from fingerprint.jobs import sql
from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.jobs.dynamodb.store import DynamoDbJobStore
from fingerprint.jobs.dynamodb.tables import TableNames
from fingerprint.jobs.sql import SqlJobStore
from fingerprint.pipeline_settings import PipelineSettings
from tests.builders import NOON, song
from tests.databases import migrated_database
from tests.emulators import Emulator, create_lasting_tables
from tests.fakes import FakeClock, MemoryJobStore

LEASE = 5.0
CHANNEL = ChannelTarget("somechannel")
CLIP = ClipTarget("AwkwardSlug-x_1")

OpenStore = Callable[[], Any]
"""Opens the same store once more, as another process would."""


def sql_store(address: str) -> OpenStore:
    @asynccontextmanager
    async def open_store() -> AsyncGenerator[JobStore]:
        async with migrated_database(address) as database:
            yield SqlJobStore(database)

    return open_store


def sqlite_store(folder: Path, _request: pytest.FixtureRequest) -> OpenStore:
    return sql_store(f"sqlite:///{folder / 'jobs.sqlite3'}")


def mariadb_store(_folder: Path, request: pytest.FixtureRequest) -> OpenStore:
    return sql_store(request.getfixturevalue("mariadb").new_database())


def memory_store(_folder: Path, _request: pytest.FixtureRequest) -> OpenStore:
    store = MemoryJobStore()

    @asynccontextmanager
    async def open_store() -> AsyncGenerator[JobStore]:
        yield store

    return open_store


def dynamodb_store(emulator: Emulator) -> OpenStore:
    streams, clips = emulator.new_names()
    names = TableNames(streams, clips)
    made: list[str] = []

    @asynccontextmanager
    async def open_store() -> AsyncGenerator[JobStore]:
        # This is not about time limits.
        async with open_client(emulator.endpoint, read_seconds=30) as client:
            if not made:
                made.extend(await create_lasting_tables(client, names))
            yield DynamoDbJobStore(client, names, clock=FakeClock(), call_seconds=60)

    return open_store


def moto_store(_folder: Path, request: pytest.FixtureRequest) -> OpenStore:
    return dynamodb_store(request.getfixturevalue("moto"))


def ministack_store(_folder: Path, request: pytest.FixtureRequest) -> OpenStore:
    return dynamodb_store(request.getfixturevalue("ministack"))


def dynalite_store(_folder: Path, request: pytest.FixtureRequest) -> OpenStore:
    return dynamodb_store(request.getfixturevalue("dynalite"))


ADAPTERS = {
    "sqlite": sqlite_store,
    "mariadb": mariadb_store,
    "moto": moto_store,
    "ministack": ministack_store,
    "dynalite": dynalite_store,
    "memory": memory_store,  # the fake that other tests use keeps the promises too
}


races = pytest.mark.parametrize("open_store", [name for name in ADAPTERS if name != "moto"], indirect=True)
"""Not on moto: its writes are not atomic, so that it lets two win, and shows items that are half written."""


# moto is the most lenient of the three that stand for DynamoDB.
@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.nightly] if name == "moto" else []) for name in ADAPTERS]
)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    return ADAPTERS[request.param](tmp_path, request)


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncGenerator[JobStore]:
    async with open_store() as opened:
        yield opened


async def claim(store: JobStore, target: Target = CHANNEL, *, owner: str = "a", after: float = 0.0) -> Claim:
    now = NOON + timedelta(seconds=after)
    return await store.claim(target, owner=owner, now=now, lease_seconds=LEASE)


async def claimed(store: JobStore, target: Target = CHANNEL, *, owner: str = "a", after: float = 0.0) -> Claimed:
    result = await claim(store, target, owner=owner, after=after)
    assert isinstance(result, Claimed)
    return result


def success(work: Claimed, title: str = "Night Drive", *, after: float = 1.0) -> Identification:
    found = song(title)
    return dataclasses.replace(
        work.identification,
        status=Status.SUCCESSFUL,
        stage=Stage.DONE,
        finished_at=NOON + timedelta(seconds=after),
        song=found,
        songs=(found,),
        score=0.9,
        recognizer="catalog",
    )


def no_match(work: Claimed, *, after: float = 1.0) -> Identification:
    finished_at = NOON + timedelta(seconds=after)
    return dataclasses.replace(
        work.identification, status=Status.NO_MATCH, stage=Stage.DONE, finished_at=finished_at
    )


def failure(work: Claimed, *, after: float = 1.0) -> Identification:
    problem = Problem(code=ProblemCode.NOT_LIVE, detail="The channel is not live.")
    return work.identification.failed(problem, NOON + timedelta(seconds=after))


# --- Claims -------------------------------------------------------------------------------------------


async def test_the_first_to_ask_gets_the_work(store: JobStore) -> None:
    work = await claimed(store)
    assert work.identification.status is Status.QUEUED
    assert work.identification.target == "somechannel"
    assert work.identification.created_at == NOON
    assert work.lease.identification_id == work.identification.id
    assert work.lease.expires_at == NOON + timedelta(seconds=LEASE)
    assert await store.get(work.identification.id) == work.identification


async def test_while_the_lease_lives_others_are_told_who_has_it(store: JobStore) -> None:
    work = await claimed(store)
    assert await claim(store, owner="b", after=LEASE - 0.001) == Held(work.identification)


async def test_targets_do_not_get_in_each_others_way(store: JobStore) -> None:
    first = await claimed(store, CLIP)
    second = await claimed(store, ClipTarget(CLIP.slug.lower()))
    assert first.identification.id != second.identification.id


async def test_a_moment_in_a_video_is_kept(store: JobStore) -> None:
    work = await claimed(store, VideoTarget("123456", 61.5))
    stored = await store.get(work.identification.id)
    assert stored is not None
    assert stored.at_seconds == 61.5


@races
async def test_of_fifty_who_ask_at_once_one_wins(store: JobStore) -> None:
    claims = await asyncio.gather(*(claim(store, owner=f"owner-{n}") for n in range(50)))
    winners = [result for result in claims if isinstance(result, Claimed)]
    assert len(winners) == 1
    held = [result for result in claims if isinstance(result, Held)]
    assert len(held) == 49
    assert {result.identification.id for result in held} == {winners[0].identification.id}


@races
async def test_of_fifty_on_several_connections_one_wins_an_expired_lease(open_store: OpenStore) -> None:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(open_store()) for _ in range(2)]
        before = await claimed(stores[0])
        claims = await asyncio.gather(*(claim(stores[n % 2], owner=f"owner-{n}", after=LEASE) for n in range(50)))
    winners = [result for result in claims if isinstance(result, Claimed)]
    assert len(winners) == 1
    assert winners[0].lease.fence == before.lease.fence + 1


async def test_who_has_looked_before_gets_what_is_there_by_then(store: JobStore) -> None:
    async def looked(after: float = 0.0) -> Claim:
        now = NOON + timedelta(seconds=after)
        return await store.claim(CLIP, owner="b", now=now, lease_seconds=LEASE, looked=True)

    first = await claimed(store, CLIP)
    assert await looked() == Held(first.identification)
    taken = await looked(after=LEASE)
    assert isinstance(taken, Claimed)
    assert taken.identification.id == first.identification.id
    assert await store.finish(taken.lease, success(taken)) is True
    assert await looked(after=LEASE + 1) == Finished(success(taken))
    new = await store.claim(CHANNEL, owner="b", now=NOON, lease_seconds=LEASE, looked=True)
    assert isinstance(new, Claimed)
    assert await store.running(CHANNEL, now=NOON) == new.identification


# --- Leases -------------------------------------------------------------------------------------------


async def test_an_expired_lease_is_taken_over_with_the_same_identification(store: JobStore) -> None:
    first = await claimed(store, owner="a")
    await store.progress(first.lease, Stage.CAPTURING)
    second = await claimed(store, owner="b", after=LEASE)
    assert second.identification.id == first.identification.id
    assert second.identification.stage is Stage.CAPTURING
    assert second.lease.fence == first.lease.fence + 1


async def test_a_released_lease_is_taken_over_at_once(store: JobStore) -> None:
    first = await claimed(store, owner="a")
    await store.release(first.lease)
    assert await store.renew(first.lease, now=NOON, lease_seconds=LEASE) is None
    second = await claimed(store, owner="b")
    assert second.identification.id == first.identification.id


async def test_releasing_a_lost_lease_does_not_take_it_from_its_new_owner(store: JobStore) -> None:
    first = await claimed(store, owner="a")
    await claimed(store, owner="b", after=LEASE)
    await store.release(first.lease)
    assert isinstance(await claim(store, owner="c", after=LEASE + 1), Held)


async def test_what_runs_is_told_while_its_lease_lives(store: JobStore) -> None:
    assert await store.running(CHANNEL, now=NOON) is None
    work = await claimed(store)
    found = await store.running(CHANNEL, now=NOON + timedelta(seconds=LEASE - 1))
    assert found is not None
    assert found.id == work.identification.id
    assert await store.running(CHANNEL, now=NOON + timedelta(seconds=LEASE)) is None
    assert await store.running(CLIP, now=NOON) is None


async def test_a_renewed_lease_lives_longer(store: JobStore) -> None:
    work = await claimed(store)
    renewed = await store.renew(work.lease, now=NOON + timedelta(seconds=4), lease_seconds=LEASE)
    assert renewed is not None
    assert renewed.expires_at == NOON + timedelta(seconds=9)
    assert isinstance(await claim(store, owner="b", after=8), Held)


async def test_a_lease_that_nobody_took_can_still_be_renewed(store: JobStore) -> None:
    work = await claimed(store)
    late = NOON + timedelta(seconds=LEASE + 1)
    assert await store.renew(work.lease, now=late, lease_seconds=LEASE) is not None


async def test_a_late_worker_cannot_overwrite_its_successor(store: JobStore) -> None:
    late = await claimed(store, owner="a")
    successor = await claimed(store, owner="b", after=LEASE)
    now = NOON + timedelta(seconds=LEASE)
    assert await store.renew(late.lease, now=now, lease_seconds=LEASE) is None
    assert await store.progress(late.lease, Stage.RECOGNIZING) is False
    assert await store.finish(late.lease, success(late, "Late")) is False
    assert await store.finish(successor.lease, success(successor, "Right")) is True
    assert await store.finish(late.lease, success(late, "Later")) is False
    stored = await store.get(late.identification.id)
    assert stored is not None
    assert stored.song is not None
    assert stored.song.title == "Right"


async def test_an_identification_left_behind_for_long_is_closed_and_work_starts_afresh(
    store: JobStore,
) -> None:
    left = await claimed(store, owner="a")
    fresh = await claimed(store, owner="b", after=ABANDONED_AFTER.total_seconds() + 1)
    assert fresh.identification.id != left.identification.id
    assert fresh.lease.fence == left.lease.fence + 1
    closed = await store.get(left.identification.id)
    assert closed is not None
    assert closed.status is Status.FAILED
    assert closed.problem is not None
    assert closed.problem.code is ProblemCode.TIMEOUT
    assert await store.finish(left.lease, success(left)) is False


async def test_work_that_is_given_away_is_adopted_once_and_the_old_lease_is_worth_nothing(store: JobStore) -> None:
    given = await claimed(store, owner="server")
    await store.progress(given.lease, Stage.RESOLVING)
    now = NOON + timedelta(seconds=1)
    adopted = await store.adopt(given.lease, owner="function-1", now=now, lease_seconds=LEASE)
    assert adopted is not None
    assert adopted.identification.id == given.identification.id
    assert adopted.identification.stage is Stage.RESOLVING
    assert adopted.lease.fence == given.lease.fence + 1
    assert adopted.lease.expires_at == NOON + timedelta(seconds=1 + LEASE)
    # The same event once more, and the old owner.
    assert await store.adopt(given.lease, owner="function-2", now=now, lease_seconds=LEASE) is None
    assert await store.renew(given.lease, now=now, lease_seconds=LEASE) is None
    assert await store.progress(given.lease, Stage.RECOGNIZING) is False
    assert await store.finish(given.lease, success(given, "Late")) is False
    assert isinstance(await claim(store, owner="other", after=2), Held)
    assert await store.finish(adopted.lease, success(adopted)) is True
    assert await store.get(given.identification.id) == success(adopted)
    assert await store.adopt(adopted.lease, owner="function-3", now=now, lease_seconds=LEASE) is None


@races
async def test_of_twenty_who_adopt_at_once_one_wins(store: JobStore) -> None:
    given = await claimed(store, owner="server")
    adoptions = await asyncio.gather(
        *(store.adopt(given.lease, owner=f"function-{n}", now=NOON, lease_seconds=LEASE) for n in range(20))
    )
    assert sum(adoption is not None for adoption in adoptions) == 1


async def test_work_that_was_taken_over_or_ended_cannot_be_adopted(store: JobStore) -> None:
    late = await claimed(store, owner="a")
    taken = await claimed(store, owner="b", after=LEASE)
    later = NOON + timedelta(seconds=LEASE)
    assert await store.adopt(late.lease, owner="function", now=later, lease_seconds=LEASE) is None
    await store.finish(taken.lease, success(taken))
    assert await store.adopt(taken.lease, owner="function", now=later, lease_seconds=LEASE) is None
    released = await claimed(store, CLIP)
    await store.release(released.lease)
    assert await store.adopt(released.lease, owner="function", now=NOON, lease_seconds=LEASE) is None


@pytest.mark.parametrize("target", [CHANNEL, CLIP])
async def test_who_starts_a_job_may_choose_its_id(store: JobStore, target: Target) -> None:
    wanted = IdentificationId("a-job-of-others")
    work = await store.claim(target, owner="a", now=NOON, lease_seconds=LEASE, identification_id=wanted)
    assert isinstance(work, Claimed)
    assert work.identification.id == wanted
    assert await store.get(wanted) == work.identification
    await store.finish(work.lease, success(work))
    assert await store.get(wanted) == success(work)


async def test_a_store_that_can_be_used_says_so(store: JobStore) -> None:
    await store.check()


# --- Progress and answers -----------------------------------------------------------------------------


async def test_stages_are_seen_by_others_and_never_go_back(store: JobStore) -> None:
    work = await claimed(store)
    assert await store.progress(work.lease, Stage.CAPTURING) is True
    assert await store.progress(work.lease, Stage.RESOLVING) is True
    held = await claim(store, owner="b", after=1)
    assert isinstance(held, Held)
    assert held.identification.status is Status.RUNNING
    assert held.identification.stage is Stage.CAPTURING


async def test_an_answer_is_read_as_it_was_written(store: JobStore) -> None:
    work = await claimed(store)
    answer = success(work)
    assert await store.finish(work.lease, answer) is True
    assert await store.get(answer.id) == answer
    assert await store.answer(CHANNEL) == answer


async def test_an_answer_whose_place_is_uncertain_still_says_so_when_it_is_read(store: JobStore) -> None:
    work = await claimed(store, VideoTarget("1", 5.0))
    answer = dataclasses.replace(success(work), place_uncertain=True)
    assert await store.finish(work.lease, answer) is True
    for read in (await store.get(answer.id), await store.answer(VideoTarget("1", 5.0))):
        assert read is not None
        assert read.place_uncertain


async def test_finishing_twice_with_the_same_answer_is_a_success_and_with_another_is_not(
    store: JobStore,
) -> None:
    work = await claimed(store)
    assert await store.finish(work.lease, success(work)) is True
    assert await store.finish(work.lease, success(work)) is True
    assert await store.finish(work.lease, success(work, "Other")) is False
    assert await store.get(work.identification.id) == success(work)


async def test_a_finished_job_has_no_lease_left(store: JobStore) -> None:
    work = await claimed(store)
    await store.finish(work.lease, success(work))
    now = NOON + timedelta(seconds=2)
    assert await store.renew(work.lease, now=now, lease_seconds=LEASE) is None
    assert await store.progress(work.lease, Stage.CAPTURING) is False


async def test_a_stream_is_identified_anew_each_time(store: JobStore) -> None:
    first = await claimed(store)
    await store.finish(first.lease, success(first))
    second = await claimed(store, after=2)
    assert second.identification.id != first.identification.id
    assert second.lease.fence == first.lease.fence + 1


@pytest.mark.parametrize("target", [CLIP, VideoTarget("123456", 61.0)])
async def test_a_song_found_in_a_clip_or_video_is_the_answer_for_good(store: JobStore, target: Target) -> None:
    work = await claimed(store, target)
    await store.finish(work.lease, success(work))
    years = timedelta(days=3650).total_seconds()
    assert await claim(store, target, owner="b", after=years) == Finished(success(work))


async def test_no_match_for_a_clip_is_given_again_for_a_while_only(store: JobStore) -> None:
    work = await claimed(store, CLIP)
    answer = no_match(work, after=1)
    await store.finish(work.lease, answer)
    window = 1 + NO_MATCH_REUSE.total_seconds()
    assert await claim(store, CLIP, after=window - 1) == Finished(answer)
    assert isinstance(await claim(store, CLIP, after=window + 1), Claimed)


async def test_a_failure_is_no_answer(store: JobStore) -> None:
    work = await claimed(store, CLIP)
    await store.finish(work.lease, failure(work))
    assert await store.answer(CLIP) is None
    assert isinstance(await claim(store, CLIP, after=1), Claimed)


async def test_what_was_never_asked_for_is_not_there(store: JobStore) -> None:
    assert await store.get(IdentificationId("unknown")) is None
    assert await store.get(IdentificationId("\x00'; DROP TABLE leases; --")) is None
    assert await store.answer(CLIP) is None
    assert await store.history("somechannel", limit=10) == []


async def test_history_is_the_songs_of_one_channel_newest_first(store: JobStore) -> None:
    for minute, title in enumerate(["One", "Two", "Three"]):
        work = await claimed(store, after=minute * 60)
        await store.finish(work.lease, success(work, title, after=minute * 60 + 1))
    other = await claimed(store, ChannelTarget("otherchannel"), after=10)
    await store.finish(other.lease, success(other))
    nothing = await claimed(store, after=200)
    await store.finish(nothing.lease, no_match(nothing, after=201))
    broken = await claimed(store, after=300)
    await store.finish(broken.lease, failure(broken, after=301))

    async def titles(**more: Any) -> list[str]:
        rows = await store.history("somechannel", **more)
        return [row.song.title for row in rows if row.song is not None]

    assert await titles(limit=10) == ["Three", "Two", "One"]
    assert await titles(limit=2) == ["Three", "Two"]
    assert await titles(limit=10, before=NOON + timedelta(minutes=2)) == ["Two", "One"]


# --- Faults -------------------------------------------------------------------------------------------


async def test_hostile_text_is_stored_cut_and_clean(store: JobStore) -> None:
    work = await claimed(store, CLIP)
    hostile = dataclasses.replace(
        song("a\x00b\ud800c\u202egnp.exe" + "x" * 100_000, "Artist\r\n", "Artist", ""),
        album="\x1b[31m",
        label="\x00",
        duration_seconds=float("nan"),
        ids=ExternalIds(spotify_artists=("", "id'; --")),
    )
    answer = dataclasses.replace(success(work), song=hostile, songs=(hostile,) * 1000, score=float("inf"))
    assert await store.finish(work.lease, answer) is True
    stored = await store.get(work.identification.id)
    assert stored is not None
    assert stored.song is not None
    assert stored.song.title == ("a b c gnp.exe" + "x" * 1000)[:500]
    assert stored.song.artists == ("Artist",)
    assert stored.song.album == "[31m"
    assert stored.song.label is None
    assert stored.song.duration_seconds is None
    assert stored.song.ids.spotify_artists == ("id'; --",)
    assert stored.score is None
    assert len(stored.songs) == 50
    assert await claim(store, CLIP, after=2) == Finished(stored)


@pytest.mark.parametrize("name", ["x" * 100_000, "a\x00b", "\ud800", "'; DROP TABLE leases; --"])
async def test_odd_targets_are_told_apart(store: JobStore, name: str) -> None:
    work = await claimed(store, ClipTarget(name))
    await claimed(store, ClipTarget(name + "!"))
    await store.finish(work.lease, success(work))
    assert isinstance(await claim(store, ClipTarget(name), after=1), Finished)


async def test_two_processes_share_one_store(open_store: OpenStore) -> None:
    async with open_store() as one, open_store() as other:
        work = await claimed(one, CLIP, owner="one")
        assert isinstance(await claim(other, CLIP, owner="other", after=1), Held)
        await one.finish(work.lease, success(work))
        assert await claim(other, CLIP, owner="other", after=2) == Finished(success(work))


async def test_whoever_never_wins_the_race_for_a_claim_is_told_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    def another_is_faster(*row: object, **_more: object) -> None:
        tries.append(row)

    monkeypatch.setattr(sql, "_claim_lease", another_is_faster)
    async with sql_store(f"sqlite:///{tmp_path / 'jobs.sqlite3'}")() as store:
        with pytest.raises(TwitchAudioError, match="Too many ask for this") as refused:
            await claim(store)
    assert (refused.value.code, refused.value.retry_after_seconds) == (ProblemCode.BUSY, 1.0)
    assert 2 <= len(tries) <= 10


async def test_what_is_not_finished_is_not_stored_as_an_answer_in_sql(tmp_path: Path) -> None:
    async with sql_store(f"sqlite:///{tmp_path / 'jobs.sqlite3'}")() as store:
        work = await claimed(store)
        with pytest.raises(ValueError, match="is not finished"):
            await store.finish(work.lease, work.identification)


async def test_jobs_are_in_the_database_that_is_given(tmp_path: Path) -> None:
    configured = PipelineSettings(data_dir=tmp_path / "never")
    async with migrated_database(f"sqlite:///{tmp_path / 'given.sqlite3'}") as database:
        async with sql.open_store(configured, FakeClock(), database) as store:
            await claimed(store)
        assert await SqlJobStore(database).running(CHANNEL, now=NOON) is not None
    assert not (tmp_path / "never").exists()


@races
async def test_p9_a_lease_of_a_clock_that_was_an_hour_ahead_blocks_nobody_and_writes_nothing(
    store: JobStore,
) -> None:
    left = await claimed(store, after=3_600)
    assert await store.running(CHANNEL, now=NOON) is None
    work = await claimed(store, owner="b")
    assert work.lease.fence == left.lease.fence + 1
    assert await store.renew(left.lease, now=NOON, lease_seconds=LEASE) is None
    assert not await store.finish(left.lease, success(left, "Of a"))
    assert await store.finish(work.lease, success(work, "Of b"))
    found = await store.get(work.identification.id)
    assert found is not None
    assert found.song is not None
    assert found.song.title == "Of b"


@races
async def test_s5_a_claim_cancelled_at_any_moment_leaves_a_store_that_works(store: JobStore) -> None:
    for turns in range(40):
        task = asyncio.create_task(claim(store, ChannelTarget(f"channel{turns}")))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # Claimed anew, or held by the one that was cancelled after it had won; never an error.
        await asyncio.wait_for(claim(store, ChannelTarget(f"channel{turns}"), owner="b"), 30)
    work = await claimed(store)
    assert await store.finish(work.lease, success(work)) is True
    # No connection was left in the middle of another's answer.
    assert set(await asyncio.gather(*(store.get(work.identification.id) for _ in range(50)))) == {success(work)}


async def test_an_answer_given_between_the_look_and_the_claim_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sql_store(f"sqlite:///{tmp_path / 'jobs.sqlite3'}")() as store:
        work = await claimed(store, CLIP)
        await store.finish(work.lease, success(work))
        looks: list[object] = []
        real_look = sql._answer_or_lease  # pyright: ignore[reportPrivateUsage] - the moment in between

        def look_too_early(*arguments: Any, **more: Any) -> Finished | Held | None:
            looks.append(arguments)
            return None if len(looks) == 1 else real_look(*arguments, **more)

        monkeypatch.setattr(sql, "_answer_or_lease", look_too_early)
        assert await claim(store, CLIP, owner="b", after=1) == Finished(success(work))
        assert len(looks) == 2


async def test_s8_a_locked_database_is_busy_and_comes_back(tmp_path: Path) -> None:
    async with sql_store(f"sqlite:///{tmp_path / 'jobs.sqlite3'}")() as store:
        first = await claimed(store)
        locker = sqlite3.connect(tmp_path / "jobs.sqlite3", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        with pytest.raises(TwitchAudioError) as caught:
            await store.progress(first.lease, Stage.CAPTURING)
        assert caught.value.code is ProblemCode.BUSY
        # Readers do not wait for writers.
        assert await store.get(first.identification.id) == first.identification
        locker.execute("ROLLBACK")
        locker.close()
        assert await store.progress(first.lease, Stage.CAPTURING) is True


@pytest.mark.parametrize("target", [CLIP, CHANNEL, VideoTarget("123456789", 60.0)])
async def test_an_answer_can_be_amended_once_it_is_finished(store: JobStore, target: Target) -> None:
    work = await claimed(store, target)
    answer = success(work)
    found = dataclasses.replace(
        song("Night Drive"), ids=ExternalIds(deezer_track="42", spotify_artists=("a", "b"))
    )
    amended = dataclasses.replace(answer, song=found, songs=(found,))
    await store.update_answer(amended)
    read = await store.get(work.identification.id)
    assert read is not None
    assert not read.status.finished
    await store.finish(work.lease, answer)
    await store.update_answer(amended)
    await store.update_answer(dataclasses.replace(amended, id=IdentificationId("unknown")))
    assert await store.get(work.identification.id) == amended
    assert await store.answer(target) == amended
    assert await store.get(IdentificationId("unknown")) is None


@pytest.mark.parametrize("target", [CLIP, CHANNEL, VideoTarget("123456789", 60.0)])
async def test_an_answer_without_a_song_can_have_one_later(store: JobStore, target: Target) -> None:
    work = await claimed(store, target)
    moment = BroadcastMoment(broadcast="41", seconds=100.0)
    named = dataclasses.replace(
        success(work), moment=moment, heard=Heard.NOW, captured_seconds=6.0, captured_from_seconds=0.0
    )
    unknown = dataclasses.replace(named, status=Status.NO_MATCH, song=None, songs=(), score=None)
    assert await store.finish(work.lease, unknown)
    await store.update_answer(named)
    assert await store.get(named.id) == named
    assert await store.answer(target) == named
    assert named in await store.heard("41", 100.0, 106.0)
    if isinstance(target, ChannelTarget):
        assert list(await store.history(target.login, limit=5)) == [named]
    elif isinstance(target, ClipTarget):
        found = await claim(store, target, after=300 * 86_400)
        assert found == Finished(named), "what was found in a clip stays"


@pytest.mark.parametrize("target", [CLIP, VideoTarget("123456789", 60.0)])
async def test_a_disputed_answer_can_be_read_but_is_given_to_no_further_question(
    store: JobStore, target: Target
) -> None:
    work = await claimed(store, target)
    await store.mark_disputed(work.identification.id, now=NOON)
    await store.finish(work.lease, success(work))
    assert isinstance(await claim(store, target, after=2), Finished), "what is not finished cannot be disputed"
    await store.mark_disputed(work.identification.id, now=NOON + timedelta(seconds=3))
    await store.mark_disputed(IdentificationId("unknown"), now=NOON)
    read = await store.answer(target)
    assert read is not None
    assert read.song == song("Night Drive")
    again = await claimed(store, target, after=4)
    assert again.identification.id != work.identification.id
    await store.finish(again.lease, success(again, "The Right One", after=5))
    found = await claim(store, target, after=6)
    assert isinstance(found, Finished)
    assert found.identification.song == song("The Right One")


# --- Earlier moments, and the time lines of broadcasts ------------------------------------------------


async def test_an_earlier_moment_of_a_channel_is_a_target_of_its_own(store: JobStore) -> None:
    earlier = ChannelTarget("somechannel", at=NOON - timedelta(seconds=90.25))
    live = await claimed(store)
    work = await claimed(store, earlier)
    assert work.identification.id != live.identification.id
    stored = await store.get(work.identification.id)
    assert stored is not None
    assert (stored.target, stored.asked_at) == ("somechannel", earlier.at)
    await store.finish(work.lease, success(work))
    assert await store.answer(CHANNEL) is None
    assert await store.answer(earlier) == success(work)
    assert await store.history("somechannel", limit=10) == [], "it is not the newest that was played"
    assert await claim(store, earlier, after=2) == Finished(success(work)), "what was played then does not change"


async def test_so_long_ago_is_not_the_time_that_it_is_by_our_clock(store: JobStore) -> None:
    """Where the clocks differ, or a channel is broadcast with a delay, the two are other sound."""
    ago = ago_target("somechannel", ago_seconds=90.25, now=NOON)
    work = await claimed(store, ago)
    stored = await store.get(work.identification.id)
    assert stored is not None
    assert (stored.asked_at, stored.asked_ago) == (ago.at, 90.25)
    assert isinstance(await claim(store, ago), Held), "who asks with the same words shares it"
    await store.finish(work.lease, success(work))
    assert await store.answer(ago) == success(work)
    assert await store.answer(ChannelTarget("somechannel", at=ago.at)) is None


async def test_a_stored_answer_is_passed_over_by_who_wants_none(store: JobStore) -> None:
    work = await claimed(store, CLIP)
    await store.finish(work.lease, success(work))
    assert isinstance(await claim(store, CLIP, after=2), Finished)
    now = NOON + timedelta(seconds=3)
    again = await store.claim(CLIP, owner="a", now=now, lease_seconds=LEASE, skip_stored=True)
    assert isinstance(again, Claimed)
    held = await store.claim(CLIP, owner="b", now=now, lease_seconds=LEASE, skip_stored=True)
    assert isinstance(held, Held), "one job for all who want it"


def heard(work: Claimed, seconds: float, *, broadcast: str = "41", where: Heard = Heard.NOW) -> Identification:
    moment = BroadcastMoment(broadcast=broadcast, seconds=seconds)
    return dataclasses.replace(success(work), moment=moment, heard=where, captured_seconds=6.0)


async def test_what_was_heard_in_a_broadcast_is_found_by_its_seconds(store: JobStore) -> None:
    answers: list[Identification] = []
    for number, (seconds, broadcast) in enumerate([(100.0, "41"), (700.4, "41"), (1_500.0, "41"), (700.0, "42")]):
        target = CHANNEL if number % 2 else VideoTarget("123456", 60.0 + number)
        work = await claimed(store, target, after=10.0 * number)
        where = Heard.NOW if number % 2 else Heard.VIDEO
        answers.append(heard(work, seconds, broadcast=broadcast, where=where))
        await store.finish(work.lease, answers[-1])
    unmapped = await claimed(store, CLIP)
    await store.finish(unmapped.lease, success(unmapped))

    async def found(start: float, end: float, broadcast: str = "41") -> set[str]:
        return {
            each.id
            for each in await store.heard(broadcast, start, end)
            if (span := span_of(each)) is not None and span.place.start <= end and span.place.end >= start
        }

    assert await found(0, 2_000) == {answers[0].id, answers[1].id, answers[2].id}
    assert await found(703, 704) == {answers[1].id}
    assert await found(707, 900) == set()
    assert await found(0, 2_000, "42") == {answers[3].id}
    assert await found(0, 2_000, "43") == set()
    stored = next(each for each in await store.heard("41", 700, 710) if each.id == answers[1].id)
    assert span_of(stored) == span_of(answers[1])
    await store.mark_disputed(answers[1].id, now=NOON)
    assert await found(700, 710) == set()


async def test_an_answer_that_is_named_later_is_heard_in_its_broadcast_from_then_on(store: JobStore) -> None:
    work = await claimed(store)
    nothing = dataclasses.replace(success(work), status=Status.NO_MATCH, song=None, songs=())
    assert await store.finish(work.lease, nothing)
    assert list(await store.heard("41", 0, 100)) == []
    await store.update_answer(heard(work, 10.0))
    assert [each.id for each in await store.heard("41", 0, 100)] == [work.identification.id]
    unknown = dataclasses.replace(heard(work, 20.0), id=IdentificationId("made-up"))
    await store.update_answer(unknown)
    assert [each.id for each in await store.heard("41", 0, 100)] == [work.identification.id]


async def test_a_channel_is_forgotten_with_its_clips_and_videos(store: JobStore) -> None:
    now = NOON + timedelta(seconds=100)
    later = ChannelTarget("somechannel", at=NOON)
    own = [CHANNEL, later, CLIP, VideoTarget("2210", 30.0), ClipTarget("OnItsTimeLine-1")]
    of_others = [ChannelTarget("somechannel2"), ClipTarget("AnothersClip-1"), VideoTarget("2211", 5.0)]
    ids: dict[Target, IdentificationId] = {}
    for target in own + of_others:
        work = await claimed(store, target)
        broadcast = "41" if target in (CHANNEL, later, own[4]) else "99"
        channel = None if target in (own[4], *of_others) else "somechannel"
        answer = dataclasses.replace(heard(work, 10.0, broadcast=broadcast), channel=channel)
        if isinstance(target, ChannelTarget):
            answer = dataclasses.replace(answer, channel=None)
        assert await store.finish(work.lease, answer)
        ids[target] = answer.id
    running = await claimed(store, ChannelTarget("somechannel", at=NOON + timedelta(seconds=5)))
    traces = ChannelTraces(names=(UsedName(login="somechannel", since=NOON - timedelta(days=1)),))
    deleted = await store.forget(traces, now=now)
    assert sorted(set(deleted)) == sorted(ids[target] for target in own)
    for target, identification_id in ids.items():
        kept = target in of_others
        assert (await store.get(identification_id) is not None) == kept, target
        assert (await store.answer(target) is not None) == kept, target
    assert await store.history("somechannel", limit=5) == []
    assert {each.id for each in await store.heard("41", 0, 100)} == set()
    assert await store.get(running.identification.id) is not None, "under way"
    assert await store.finish(running.lease, success(running))
    assert isinstance(await claim(store, CHANNEL, after=200), Claimed)
    assert await store.forget(traces, now=now + timedelta(seconds=300)) == [running.identification.id]


async def test_the_answers_of_another_channel_with_the_same_login_stay(store: JobStore) -> None:
    kept: list[IdentificationId] = []
    for after, number in ((0.0, "71"), (20.0, None), (40.0, "72")):
        work = await claimed(store, after=after)
        answer = dataclasses.replace(success(work), channel_id=number)
        assert await store.finish(work.lease, answer)
        kept.append(answer.id)
    slug = await claimed(store, CLIP)
    assert await store.finish(slug.lease, success(slug))
    name = UsedName(login="somechannel", since=NOON, until=NOON + timedelta(seconds=10))
    traces = ChannelTraces(channel_id="71", names=(name,), slugs=frozenset({CLIP.slug}))
    deleted = await store.forget(traces, now=NOON + timedelta(seconds=100))
    assert sorted(deleted) == sorted([kept[0], slug.identification.id])
    assert [await store.get(each) is not None for each in kept] == [False, True, True]
