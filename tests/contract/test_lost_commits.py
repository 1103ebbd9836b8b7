"""A commit takes effect, and the connection is lost before its answer: nothing is counted or used up twice."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from fingerprint.database import Database, identifications, open_database
from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import AskedTarget, ChannelTarget
from fingerprint.job_ports import Claimed, Held
from fingerprint.jobs.sql import SqlJobStore
from fingerprint.leased_job import LeasedJob
from fingerprint.ports import OnStage
from server import migrations
from server.access.limit_status import Limit
from server.access.quotas.admission import CLAIM_SECONDS, Admissions, QuotaAdmission
from server.access.quotas.rate_limits import MINUTE
from server.access.quotas.store import QuotaRequest, SqlQuotas
from server.access.tables import rate_counters
from tests.builders import NOON, answered
from tests.contract.test_all_or_nothing import CHANGES, MOST_STATEMENTS, Stage, stage
from tests.failing_sql import Failing
from tests.fakes import FakeClock

__all__ = ["stage"]

MAKES = frozenset({"key made", "code made", "token made", "plays corrected"})
"""What is made once more: nobody has the secret or the number of the first one."""

IN_EACH_RUN = ("key made", "key revoked", "code redeemed", "watch started", "webhook added")

EXACT = ("api_keys", "access_codes", "access_code_uses", "song_tokens", "watches", "finds", "blacklisted_values")
HOME = QuotaRequest(quota_key="address:a", max_jobs=1, limits=[Limit("address:a:minute", 5, MINUTE)])
ONE, TWO = ChannelTarget("one"), ChannelTarget("two")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    """SQLite: how an answer is lost is the same for each database."""
    async with open_database(f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}") as opened:
        await migrations.upgrade(opened)
        yield opened


@pytest.mark.parametrize(
    "change", [pytest.param(name, marks=() if name in IN_EACH_RUN else pytest.mark.nightly) for name in CHANGES]
)
async def test_a_change_whose_answer_was_lost_is_made_once_when_it_is_asked_for_again(
    database: Database, stage: Stage, change: str
) -> None:
    failing, before = Failing(database, takes_effect=True), await stage.rows()
    after = before
    for number in range(1, MOST_STATEMENTS):
        failing.at(number)
        with pytest.raises(TwitchAudioError) as refused:
            await CHANGES[change](database, stage.ids)
        assert failing.nowhere()
        assert refused.value.code is ProblemCode.BUSY
        after = await stage.rows()
        if after != before:
            break
    try:
        await CHANGES[change](database, stage.ids)
    except TwitchAudioError as error:
        assert error.code in (ProblemCode.NOT_FOUND, ProblemCode.INVALID_INPUT)  # noqa: PT017 - it may pass
    again = await stage.rows()
    after.pop("log_entries")
    if change not in MAKES:
        assert {name: len(again[name]) for name in after} == {name: len(rows) for name, rows in after.items()}
        assert [again[name] for name in EXACT] == [after[name] for name in EXACT]


async def test_a_claim_whose_answer_was_lost_blocks_its_target_for_no_longer_than_its_lease(
    database: Database,
) -> None:
    store, failing = SqlJobStore(database), Failing(database, takes_effect=True)
    failing.at(1)
    with pytest.raises(TwitchAudioError) as refused:
        await store.claim(ONE, owner="a", now=NOON, lease_seconds=15)
    assert (refused.value.code, failing.nowhere()) == (ProblemCode.BUSY, True)
    held = await store.claim(ONE, owner="b", now=NOON, lease_seconds=15)
    assert isinstance(held, Held)
    taken = await store.claim(ONE, owner="b", now=NOON + timedelta(seconds=15), lease_seconds=15)
    assert isinstance(taken, Claimed)
    assert (taken.identification.id, taken.lease.fence) == (held.identification.id, 2)
    assert len(await database.rows(select(identifications))) == 1


async def test_an_answer_whose_commit_was_not_answered_is_stored_once_and_given(database: Database) -> None:
    store, failing, clock = SqlJobStore(database), Failing(database, takes_effect=True), FakeClock()
    claimed = await store.claim(ONE, owner="a", now=NOON, lease_seconds=15)
    assert isinstance(claimed, Claimed)
    begun = claimed.identification

    async def work(_on_stage: OnStage) -> Identification:
        failing.at(1)
        return dataclasses.replace(answered(), id=begun.id, target=begun.target, created_at=begun.created_at)

    job = asyncio.create_task(
        LeasedJob(store, clock).run(claimed.lease, work, on_stage=lambda _: None, on_heard=None)
    )
    while not job.done():
        await asyncio.sleep(0.01)
        await clock.advance(0.01)
    outcome = job.result()
    assert failing.nowhere()
    assert outcome is not None
    assert outcome.stored
    (row,) = await database.rows(select(identifications.c.status))
    assert row.status == "successful"


class Admitting:
    """One server's admissions, on a database that loses the answer of a commit."""

    def __init__(self, database: Database) -> None:
        self.clock = FakeClock()
        self.database = database
        self.failing = Failing(database, takes_effect=True)
        self.admissions = Admissions(SqlQuotas(database), clock=self.clock, running=self._running)

    async def _running(self, _target: AskedTarget) -> Identification | None:
        return None

    async def admit(self, target: ChannelTarget) -> QuotaAdmission | None:
        return await self.admissions.admit(HOME, target, lambda: None)

    async def used(self) -> int:
        mine = rate_counters.c.subject.like("address%")
        rows = await self.database.rows(select(rate_counters.c.used).where(mine))
        return sum(row.used for row in rows)

    async def pass_time(self, seconds: float, *, each: float = 0.05) -> None:
        for _ in range(round(seconds / each)):
            await asyncio.sleep(0.005)
            await self.clock.advance(each)


async def test_a_slot_whose_answer_was_lost_is_free_after_a_moment(database: Database) -> None:
    world = Admitting(database)
    admission = await world.admit(ONE)
    assert admission is not None
    admission.job_started()
    admission.job_ended()
    await world.pass_time(0.2)
    world.failing.at(1)
    with pytest.raises(TwitchAudioError) as refused:
        await world.admit(ONE)
    assert (refused.value.code, world.failing.nowhere()) == (ProblemCode.BUSY, True)
    await world.pass_time(CLAIM_SECONDS + 1, each=1.0)
    assert await world.admit(TWO) is not None
    assert await world.used() == 3
    await world.admissions.close()


async def test_a_start_that_did_not_happen_is_given_back_once_also_when_the_answer_was_lost(
    database: Database,
) -> None:
    world = Admitting(database)
    for target in (ONE, TWO):
        admission = await world.admit(target)
        assert admission is not None
        admission.job_started()
        admission.job_ended()
        await world.pass_time(0.2)
    admission = await world.admit(ONE)
    assert admission is not None
    assert await world.used() == 3
    world.failing.at(1)
    admission.job_ended()  # it never started
    await world.pass_time(3.0)
    assert world.failing.nowhere()
    assert await world.used() == 2
    assert await world.admit(TWO) is not None
    await world.admissions.close()
