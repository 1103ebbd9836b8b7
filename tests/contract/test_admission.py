"""Who may start a job now, on each database and from several servers at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from fingerprint import database
from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from fingerprint.domain.identification import Identification, Kind, new_identification_id
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import AskedTarget, ChannelTarget, ClipTarget, TwitchTarget, VideoTarget
from fingerprint.setting_formats import Secret
from server import migrations, redis_link
from server.access.limit_status import Limit
from server.access.quotas import slots
from server.access.quotas.admission import CLAIM_SECONDS, Admissions, QuotaAdmission, QuotaRequest
from server.access.quotas.rate_limits import delete_old_counters
from server.access.quotas.redis_quotas import RedisQuotas
from server.access.quotas.slots import SLOT_FOR, JobInProgressError
from server.access.quotas.store import QuotaStore, QuotasWithFallback, SqlQuotas
from server.access.tables import job_slots, rate_counters
from server.observability import Metrics
from server.redis_link import open_redis
from tests.builders import NOON
from tests.redis_server import RedisServer

ONE, TWO, THREE = ChannelTarget("one"), ClipTarget("two"), VideoTarget("1234567890", 61.5)
HOME = QuotaRequest(quota_key="address:192.0.2.7", max_jobs=1)


class MovedClock(SystemClock):
    """The system's, some seconds ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)


class World:
    """Several servers on one database, and the jobs that run on them."""

    def __init__(self, address: str, stack: AsyncExitStack, redis_url: Secret | None = None) -> None:
        self._address = address
        self._redis_url = redis_url
        self._stack = stack
        self.clock = MovedClock()
        self.jobs: dict[str, Identification] = {}
        self.started = 0

    async def server(self) -> Admissions:
        database = await self._stack.enter_async_context(open_database(self._address))
        quotas: QuotaStore = SqlQuotas(database)
        if self._redis_url is not None:
            opened = open_redis(self._redis_url, clock=self.clock, metrics=Metrics())
            link = await self._stack.enter_async_context(opened)
            quotas = QuotasWithFallback(RedisQuotas(link), quotas)
        admissions = Admissions(quotas, clock=self.clock, running=self.running)
        self._stack.push_async_callback(admissions.close)
        return admissions

    async def database(self) -> Database:
        return await self._stack.enter_async_context(open_database(self._address))

    async def running(self, target: AskedTarget) -> Identification | None:
        return self.jobs.get(target.key)

    async def start(
        self, server: Admissions, target: TwitchTarget, request: QuotaRequest = HOME
    ) -> QuotaAdmission:
        """Let a job in, and have it run."""
        admission = await server.admit(request, target, self.note_start)
        assert admission is not None
        self.jobs[target.key] = Identification(
            id=new_identification_id(), kind=Kind.STREAM, target=target.name, created_at=NOON
        )
        admission.job_started()
        return admission

    def note_start(self) -> None:
        self.started += 1

    def end(self, admission: QuotaAdmission, target: TwitchTarget) -> None:
        del self.jobs[target.key]
        admission.job_ended()


@asynccontextmanager
async def opened(address: str, redis_url: Secret | None = None) -> AsyncGenerator[World]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(address))
        await migrations.upgrade(database)
        yield World(address, stack, redis_url)


@pytest.fixture
async def sql_world(sql_address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    monkeypatch.setattr(database, "QUERY_SECONDS", 60.0)  # this is not about time limits
    async with opened(sql_address) as made:
        yield made


@pytest.fixture(params=["sqlite", "mariadb", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Secret | None]:
    """The addresses of an empty database and an empty Redis, if there is one."""
    if request.param == "mariadb":
        return request.getfixturevalue("mariadb").new_database(), None
    address = f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}"
    if request.param == "sqlite":
        return address, None
    server: RedisServer = request.getfixturevalue("redis_server")
    server.clear()
    return address, server.url


@pytest.fixture
async def world(place: tuple[str, Secret | None], monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    monkeypatch.setattr(database, "QUERY_SECONDS", 60.0)  # this is not about time limits
    monkeypatch.setattr(redis_link, "CALL_SECONDS", 60.0)
    address, redis_url = place
    async with opened(address, redis_url) as made:
        yield made
        if redis_url is not None:
            assert not await (await made.database()).rows(select(job_slots)), "SQL was asked"


async def until_done(name: str) -> None:
    """Wait for what goes on in the background."""
    await asyncio.wait_for(
        asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == name)), timeout=30
    )


async def refused(server: Admissions, target: TwitchTarget, request: QuotaRequest = HOME) -> TwitchAudioError:
    with pytest.raises(TwitchAudioError) as caught:
        await server.admit(request, target, lambda: None)
    return caught.value


async def test_a_second_target_is_refused_with_the_job_that_runs_on_whichever_server(world: World) -> None:
    a, b = await world.server(), await world.server()
    await world.start(a, ONE)
    for server in (a, b):
        for target in (TWO, THREE):
            error = await refused(server, target)
            assert isinstance(error, JobInProgressError)
            assert (error.code, error.identification_id) == ("job-in-progress", world.jobs[ONE.key].id)
    assert world.started == 1


async def test_when_a_job_ends_the_next_is_let_in_at_once_on_its_server_and_on_others(world: World) -> None:
    a, b = await world.server(), await world.server()
    for number in range(10):
        server = (a, b)[number % 2]
        world.end(await world.start(server, ONE), ONE)
        world.end(await world.start(server, TWO), TWO)


async def test_p9_a_slot_that_a_killed_server_took_whose_clock_was_ahead_is_free(world: World) -> None:
    killed, server = await world.server(), await world.server()
    world.clock.ahead = 3_600.0
    await world.start(killed, ONE)
    del world.jobs[ONE.key]
    world.clock.ahead = 0.0
    await world.start(server, TWO)


async def test_others_are_not_concerned(world: World) -> None:
    server = await world.server()
    await world.start(server, ONE)
    await world.start(server, TWO, QuotaRequest(quota_key="address:192.0.2.8", max_jobs=1))


async def test_a_key_has_as_many_at_once_as_it_says(world: World) -> None:
    a, b = await world.server(), await world.server()
    key = QuotaRequest(quota_key="key:abc", max_jobs=3)
    admissions = [await world.start(a, ChannelTarget(f"c{number}"), key) for number in range(3)]
    assert "3 identifications at a time" in (await refused(b, ONE, key)).detail
    world.end(admissions[1], ChannelTarget("c1"))
    await world.start(b, ONE, key)
    await refused(a, TWO, key)


@pytest.mark.parametrize(
    ("key", "places"), [(HOME, 1), (QuotaRequest(quota_key="key:abc", max_jobs=3), 3)], ids=["address", "key"]
)
async def test_fifty_at_once_from_two_servers_take_no_more_places_than_there_are(
    world: World, key: QuotaRequest, places: int
) -> None:
    servers = [await world.server(), await world.server()]

    async def ask(number: int) -> bool:
        try:
            await world.start(servers[number % 2], ChannelTarget(f"c{number}"), key)
        except TwitchAudioError as error:
            assert error.code == "job-in-progress"  # noqa: PT017 - the others are let in
            return False
        return True

    assert sum(await asyncio.gather(*(ask(number) for number in range(50)))) == places


async def test_the_same_target_on_two_servers_at_the_same_moment_is_one_job(world: World) -> None:
    a, b = await world.server(), await world.server()
    await world.start(a, ONE)
    assert await b.admit(HOME, ONE, lambda: None) is None


async def test_a_herd_on_two_servers_for_one_target_is_never_refused(world: World) -> None:
    servers = [await world.server(), await world.server()]
    for number in range(10):
        target = ChannelTarget(f"c{number}")
        asked = await asyncio.gather(*(server.admit(HOME, target, lambda: None) for server in servers * 5))
        [admission] = [admission for admission in asked if admission is not None]
        admission.job_ended()


async def test_a_server_that_died_holds_a_place_no_longer_than_its_job_could_be_claimed(world: World) -> None:
    a, b = await world.server(), await world.server()
    await world.start(a, ONE)
    world.jobs.clear()
    world.clock.ahead = CLAIM_SECONDS + 0.1
    await world.start(b, TWO)


async def test_a_job_that_another_server_took_over_still_counts(world: World) -> None:
    a, b = await world.server(), await world.server()
    await world.start(a, ONE)
    world.clock.ahead = CLAIM_SECONDS + 10
    assert isinstance(await refused(b, TWO), JobInProgressError)
    world.clock.ahead = SLOT_FOR.total_seconds() + 1
    await world.start(b, TWO)


async def test_a_job_that_has_just_ended_elsewhere_is_waited_for(world: World) -> None:
    a, b = await world.server(), await world.server()
    admission = await world.start(a, ONE)
    world.jobs.clear()
    asking = asyncio.create_task(world.start(b, TWO))
    await asyncio.sleep(0.1)
    assert not asking.done()
    admission.job_ended()
    await asking


async def test_a_start_that_came_to_nothing_costs_nothing(world: World) -> None:
    server = await world.server()
    once = QuotaRequest(quota_key="address:192.0.2.7", max_jobs=1, limits=[Limit("address:192.0.2.7:60", 1, 60)])
    admission = await server.admit(once, ONE, world.note_start)
    assert admission is not None
    admission.job_ended()
    admission.job_ended()
    await until_done("give slots back")
    await world.start(server, ONE, once)
    assert world.started == 1


async def test_who_is_refused_by_a_limit_takes_no_place(world: World) -> None:
    server = await world.server()
    limits = [Limit("address:192.0.2.7:60", 1, 60), Limit("address:192.0.2.7:86400", 9, 86_400)]
    once = QuotaRequest(quota_key="address:192.0.2.7", max_jobs=1, limits=limits)
    admission = await world.start(server, ONE, once)
    assert sorted(status.left for status in admission.limit_statuses) == [0, 8]
    world.end(admission, ONE)
    assert (await refused(server, TWO, once)).code == "rate-limited"
    await world.start(server, TWO)


async def test_whoever_left_in_the_middle_keeps_no_place(world: World) -> None:
    server = await world.server()
    for seconds in (0.0, 0.0005, 0.001, 0.002, 0.004, 0.008):
        asking = asyncio.create_task(server.admit(HOME, ONE, world.note_start))
        await asyncio.sleep(seconds)
        asking.cancel()
        [got] = await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(got, QuotaAdmission | asyncio.CancelledError), got
        await until_done("admit a job")
        if isinstance(got, QuotaAdmission):
            got.job_ended()
    world.end(await world.start(server, TWO), TWO)
    assert world.started == 1


async def test_who_counts_nowhere_needs_no_database(world: World) -> None:
    server = await world.server()
    for target in (ONE, TWO):
        assert await server.admit(QuotaRequest(), target, world.note_start) is not None


async def test_a_video_counts_by_its_moment(world: World) -> None:
    a, b = await world.server(), await world.server()
    await world.start(a, THREE)
    error = await refused(b, TWO)
    assert isinstance(error, JobInProgressError)
    assert error.identification_id == world.jobs[THREE.key].id


async def test_rows_of_places_and_counters_that_are_over_are_removed(sql_world: World) -> None:
    world = sql_world
    server, database = await world.server(), await world.database()
    limits = [Limit("address:192.0.2.7:60", 9, 60), Limit("address:192.0.2.7:86400", 9, 86_400)]
    world.end(await world.start(server, ONE, QuotaRequest(quota_key="a", max_jobs=1, limits=limits)), ONE)

    async def rows() -> tuple[int, int]:
        return len(await database.rows(select(job_slots))), len(await database.rows(select(rate_counters)))

    assert await rows() == (1, 2)
    now = world.clock.now()
    for later, left in ((timedelta(seconds=61), (1, 1)), (timedelta(days=2), (0, 0))):
        await delete_old_counters(database, now + later)
        while await slots.delete_old_slots(database, now + later):
            pass
        assert await rows() == left
