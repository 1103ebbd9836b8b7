"""DynamoDB that throttles, fails, stalls, loses replies, or is not what it should be; by fault id."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from botocore import exceptions as botocore_exceptions
from botocore.exceptions import BotoCoreError

from fingerprint.domain.identification import Identification, Stage, Status
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target
from fingerprint.job_ports import Claimed, Finished, Held
from fingerprint.jobs.dynamodb.client import CALL_SECONDS, open_client, translated
from fingerprint.jobs.dynamodb.expiry import Expiry
from fingerprint.jobs.dynamodb.job_items import JobItems
from fingerprint.jobs.dynamodb.places import JobTables
from fingerprint.jobs.dynamodb.store import DynamoDbJobStore
from fingerprint.jobs.dynamodb.tables import TableNames
from fingerprint.settings import SettingsError
from tests.builders import NOON, song
from tests.dynamodb_proxy import Break, DynamoDbProxy, standing_before
from tests.emulators import Emulator, create_lasting_tables
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

LEASE = 5.0
CHANNEL = ChannelTarget("somechannel")
CLIP = ClipTarget("AwkwardSlug-x_1")


class World:
    """Two stores on the same tables, the first behind a proxy that breaks things."""

    def __init__(
        self, proxy: DynamoDbProxy, broken: "DynamoDBClient", client: "DynamoDBClient", names: TableNames
    ) -> None:
        self.proxy = proxy
        # What works in the end may take as long as a crowded machine needs; `hasty` gives up as a server's does.
        self.store = DynamoDbJobStore(broken, names, clock=FakeClock(), call_seconds=60.0)
        self.hasty = DynamoDbJobStore(broken, names, clock=FakeClock())
        self.other = DynamoDbJobStore(client, names, clock=FakeClock(), call_seconds=60.0)
        self.client = client
        self.names = names


@pytest.fixture
async def world(ministack: Emulator) -> AsyncGenerator[World]:
    names = TableNames(*ministack.new_names())
    async with (
        standing_before(ministack.endpoint) as proxy,
        open_client(proxy.endpoint) as broken,
        open_client(ministack.endpoint) as client,
    ):
        await create_lasting_tables(client, names)
        yield World(proxy, broken, client, names)


async def claimed(
    store: DynamoDbJobStore, target: Target = CHANNEL, *, owner: str = "a", after: float = 0.0
) -> Claimed:
    now = NOON + timedelta(seconds=after)
    work = await store.claim(target, owner=owner, now=now, lease_seconds=LEASE)
    assert isinstance(work, Claimed)
    return work


def success(work: Claimed, title: str = "Night Drive") -> Identification:
    found = song(title)
    return dataclasses.replace(
        work.identification,
        status=Status.SUCCESSFUL,
        stage=Stage.DONE,
        finished_at=NOON + timedelta(seconds=1),
        song=found,
        songs=(found,),
    )


@asynccontextmanager
async def busy_within(seconds: float) -> AsyncGenerator[None]:
    started = time.monotonic()
    with pytest.raises(TwitchAudioError) as caught:
        yield
    assert caught.value.code is ProblemCode.BUSY
    assert caught.value.retry_after_seconds
    assert time.monotonic() - started < seconds


# --- Slow, throttled, away ----------------------------------------------------------------------------


async def test_d1_one_throttled_call_is_sent_again(world: World) -> None:
    world.proxy.break_next(Break.THROTTLE, "UpdateItem")
    work = await claimed(world.store)
    world.proxy.break_next(Break.THROTTLE, "UpdateItem", times=2)
    assert await world.store.finish(work.lease, success(work)) is True


@pytest.mark.parametrize("kind", [Break.THROTTLE, Break.FAIL, Break.DROP, Break.STALL])
async def test_d1_d3_what_never_works_is_busy_in_bounded_time_and_works_again_later(
    world: World, kind: Break
) -> None:
    world.proxy.break_all(kind)
    async with busy_within(CALL_SECONDS + 30.0):
        await world.hasty.claim(CHANNEL, owner="a", now=NOON, lease_seconds=LEASE)
    world.proxy.mend()
    assert await world.other.running(CHANNEL, now=NOON) is None
    await claimed(world.store)


async def test_d3_an_endpoint_where_nothing_listens_is_busy(aws_credentials: None) -> None:
    async with open_client("http://127.0.0.1:9") as client:
        store = DynamoDbJobStore(client, TableNames("streams", "clips"), clock=FakeClock())
        async with busy_within(CALL_SECONDS + 30.0):
            await store.claim(CHANNEL, owner="a", now=NOON, lease_seconds=LEASE)
        async with busy_within(CALL_SECONDS + 30.0):
            await store.check()


# --- Replies that are lost ----------------------------------------------------------------------------


async def test_d5_a_claim_whose_reply_is_lost_is_recognized_as_ones_own(world: World) -> None:
    world.proxy.break_next(Break.LOSE, "UpdateItem", where="target#")
    work = await claimed(world.store)
    assert work.lease.fence == 1
    assert isinstance(await world.other.claim(CHANNEL, owner="b", now=NOON, lease_seconds=LEASE), Held)
    assert await world.store.finish(work.lease, success(work)) is True


async def test_d5_a_job_whose_first_write_has_no_reply_is_begun_all_the_same(world: World) -> None:
    world.proxy.break_next(Break.LOSE, "UpdateItem", where="CreatedAt = if_not_exists")
    work = await claimed(world.store)
    assert await world.other.get(work.identification.id) == work.identification


async def test_d5_an_adoption_whose_reply_is_lost_is_recognized_as_ones_own(world: World) -> None:
    given = await claimed(world.other, owner="server")
    world.proxy.break_next(Break.LOSE, "UpdateItem", where="target#")
    adopted = await world.store.adopt(given.lease, owner="function", now=NOON, lease_seconds=LEASE)
    assert adopted is not None
    assert adopted.lease.fence == 2


@pytest.mark.parametrize("where", ["FinishedAt", "Done"])
async def test_d5_an_answer_whose_reply_is_lost_is_stored_once(world: World, where: str) -> None:
    work = await claimed(world.store, CLIP)
    world.proxy.break_next(Break.LOSE, "UpdateItem", where=where)
    assert await world.store.finish(work.lease, success(work)) is True
    assert await world.other.answer(CLIP) == success(work)


async def test_d5_stages_and_renewals_whose_replies_are_lost_count(world: World) -> None:
    work = await claimed(world.store)
    world.proxy.break_next(Break.LOSE, "UpdateItem")
    assert await world.store.progress(work.lease, Stage.CAPTURING) is True
    world.proxy.break_next(Break.LOSE, "UpdateItem")
    assert await world.store.renew(work.lease, now=NOON, lease_seconds=LEASE) is not None


# --- Owners that die between two writes ---------------------------------------------------------------


async def test_a_seat_without_its_job_is_held_and_then_taken_over(world: World) -> None:
    world.proxy.rule = lambda operation, parameters: (
        Break.FAIL if operation == "UpdateItem" and "if_not_exists" in parameters["UpdateExpression"] else None
    )
    async with busy_within(CALL_SECONDS + 30.0):
        await claimed(world.hasty, owner="dies")
    held = await world.other.claim(CHANNEL, owner="b", now=NOON, lease_seconds=LEASE)
    assert isinstance(held, Held)
    assert await world.other.running(CHANNEL, now=NOON) == held.identification
    taken = await claimed(world.other, owner="b", after=LEASE)
    assert taken.identification.id == held.identification.id
    assert await world.other.get(taken.identification.id) == taken.identification
    assert await world.other.finish(taken.lease, success(taken)) is True


class PausedItems(JobItems):
    """Stops before its first write of a job."""

    def __init__(self, tables: JobTables) -> None:
        super().__init__(tables, clock=FakeClock(), expiry=Expiry(None))
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def begin(self, target: Target, work: Identification, fence: int) -> Identification | None:
        self.reached.set()
        await self.go_on.wait()
        return await super().begin(target, work, fence)


class PausedStore(DynamoDbJobStore):
    """Stops between its claim and its first write of the job."""

    def pause(self) -> tuple[asyncio.Event, asyncio.Event]:
        self._job_items = PausedItems(self._tables)
        return self._job_items.reached, self._job_items.go_on


async def test_d6_an_owner_that_was_paused_before_its_first_write_cannot_make_it_later(world: World) -> None:
    store = PausedStore(world.client, world.names, clock=FakeClock())
    reached, go_on = store.pause()
    late = asyncio.create_task(store.claim(CHANNEL, owner="late", now=NOON, lease_seconds=LEASE))
    await reached.wait()
    taken = await claimed(world.other, owner="b", after=LEASE)
    go_on.set()
    assert isinstance(await late, Held)
    assert await world.other.finish(taken.lease, success(taken)) is True


@pytest.mark.parametrize("target", [CHANNEL, CLIP])
async def test_a_job_that_ended_although_its_seat_is_open_is_seen_as_ended(world: World, target: Target) -> None:
    work = await claimed(world.store, target)
    world.proxy.rule = lambda operation, parameters: (
        Break.FAIL if operation == "UpdateItem" and "Done" in str(parameters) else None
    )
    assert await world.store.finish(work.lease, success(work)) is True
    assert await world.other.get(work.identification.id) == success(work)
    assert await world.other.answer(target) == success(work)
    assert await world.other.running(target, now=NOON) is None
    later = NOON + timedelta(seconds=1)
    result = await world.other.claim(target, owner="b", now=later, lease_seconds=LEASE)
    if target is CLIP:
        assert result == Finished(success(work))
    else:
        assert isinstance(result, Claimed)
        assert result.identification.id != work.identification.id


# --- Not what it should be ----------------------------------------------------------------------------


async def test_s9_a_missing_table_is_named_with_the_command_that_helps(ministack: Emulator) -> None:
    async with open_client(ministack.endpoint) as client:
        store = DynamoDbJobStore(client, TableNames("not-there", "nor-there"), clock=FakeClock())
        with pytest.raises(TwitchAudioError, match="twitchaudio db upgrade"):
            await store.check()


async def test_s9_without_credentials_the_operator_is_told(
    ministack: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", "/nonexistent")
    async with open_client(ministack.endpoint) as client:
        store = DynamoDbJobStore(client, TableNames("streams", "clips"), clock=FakeClock())
        with pytest.raises(TwitchAudioError, match="credentials"):
            await store.check()


async def test_s9_without_a_region_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(SettingsError, match="AWS_DEFAULT_REGION"):
        async with open_client(None):
            pass


def library_errors() -> list[type[BotoCoreError]]:
    found = [value for value in vars(botocore_exceptions).values() if isinstance(value, type)]
    return [value for value in found if issubclass(value, BotoCoreError)]


@pytest.mark.parametrize("kind", library_errors(), ids=lambda kind: kind.__name__)
async def test_every_error_of_the_library_becomes_busy(kind: type[BotoCoreError]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "canary-aws-s3cret")
    with pytest.raises(TwitchAudioError) as caught:
        async with translated():
            raise error
    assert caught.value.code is ProblemCode.BUSY
    assert "canary" not in caught.value.detail
