"""The lease under arbitrary orders of what owners do, side by side, with clocks that disagree.

Whatever happens: a fencing token is given out once and grows; of one token, and of one identification, there is
never more than one answer; and an answer is never replaced by an older owner's.
"""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from fingerprint import database
from fingerprint.domain.identification import Identification, IdentificationId, Stage, Status
from fingerprint.domain.targets import ChannelTarget, ClipTarget
from fingerprint.job_ports import Claimed, Finished, JobStore
from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.jobs.dynamodb.store import DynamoDbJobStore
from fingerprint.jobs.dynamodb.tables import TableNames
from fingerprint.jobs.sql import SqlJobStore
from tests.builders import NOON, song
from tests.databases import migrated_database
from tests.emulators import Emulator, create_lasting_tables
from tests.fakes import FakeClock, MemoryJobStore

LEASE = 5.0
OWNERS = ("a", "b", "c", "function")
SKEWS = {"a": 0.0, "b": 4.0, "c": -4.0, "function": 1.5, "function-0": 1.5, "function-1": 1.5, "function-2": 1.5}
"""What owners' clocks are off by, in seconds: nearly a lease in either direction."""

TARGETS = (ChannelTarget("somechannel"), ClipTarget("SomeClip"))
owners = st.sampled_from(OWNERS)
targets = st.sampled_from(TARGETS)
OpenStore = Callable[[], Any]


class Leases(RuleBasedStateMachine):
    """Owners who claim, renew, tell of stages, finish, release and adopt; `opening` opens an empty store."""

    opening: ClassVar[tuple[OpenStore, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._store: JobStore = self._run(self._stack.enter_async_context(self.opening[0]()))
        self._time = 0.0
        self._titles = 0
        self._work: list[Claimed] = []
        self._given: dict[str, list[int]] = {}
        self._answers: dict[IdentificationId, Identification] = {}
        self._by_token: dict[tuple[str, int], Identification] = {}

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run(work)

    def _now(self, owner: str) -> Any:
        return NOON + timedelta(seconds=self._time + SKEWS[owner])

    def teardown(self) -> None:
        self._run(self._stack.aclose())
        self._loop.close()

    def _took(self, work: Claimed) -> None:
        tokens = self._given.setdefault(work.lease.target_key, [])
        assert work.lease.fence not in tokens, "a token was given out twice"
        tokens.append(work.lease.fence)
        assert work.identification.id not in self._answers, "what has ended was given out again"
        self._work.append(work)

    async def _claim(self, owner: str, target: Any) -> None:
        result = await self._store.claim(target, owner=owner, now=self._now(owner), lease_seconds=LEASE)
        if isinstance(result, Claimed):
            self._took(result)
        elif isinstance(result, Finished):
            assert self._answers[result.identification.id] == result.identification

    async def _finish(self, work: Claimed) -> None:
        self._titles += 1
        found = song(f"Song {self._titles}")
        answer = dataclasses.replace(
            work.identification,
            status=Status.SUCCESSFUL,
            stage=Stage.DONE,
            finished_at=self._now(work.lease.owner),
            song=found,
            songs=(found,),
        )
        if not await self._store.finish(work.lease, answer):
            return
        token = (work.lease.target_key, work.lease.fence)
        assert token not in self._by_token, "one token brought two answers"
        assert answer.id not in self._answers, "an answer was replaced"
        self._by_token[token] = answer
        self._answers[answer.id] = answer

    @rule(seconds=st.sampled_from([0.5, 1.7, LEASE, 2 * LEASE]))
    def time_passes(self, seconds: float) -> None:
        self._time += seconds

    @rule(owner=owners, about=targets)
    def claim(self, owner: str, about: Any) -> None:
        self._run(self._claim(owner, about))

    @rule(first=owners, second=owners, third=owners, about=targets)
    def claim_side_by_side(self, first: str, second: str, third: str, about: Any) -> None:
        self._run(_all(self._claim(owner, about) for owner in (first, second, third)))

    @precondition(lambda self: self._work)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self._run(self._finish(data.draw(st.sampled_from(self._work))))

    @precondition(lambda self: self._work)
    @rule(data=st.data(), owner=owners, about=targets)
    def finish_while_others_claim_and_finish(self, data: st.DataObject, owner: str, about: Any) -> None:
        one, other = data.draw(st.sampled_from(self._work)), data.draw(st.sampled_from(self._work))
        together = [self._finish(one), self._claim(owner, about)]
        if other is not one:
            together.append(self._finish(other))
        self._run(_all(together))

    @precondition(lambda self: self._work)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        work = data.draw(st.sampled_from(self._work))
        now = self._now(work.lease.owner)
        renewed = self._run(self._store.renew(work.lease, now=now, lease_seconds=LEASE))
        if renewed is not None:
            assert work.lease.fence == max(self._given[work.lease.target_key]), "a lease that was lost was renewed"

    @precondition(lambda self: self._work)
    @rule(data=st.data(), stage=st.sampled_from([Stage.RESOLVING, Stage.CAPTURING, Stage.RECOGNIZING]))
    def progress(self, data: st.DataObject, stage: Stage) -> None:
        work = data.draw(st.sampled_from(self._work))
        if self._run(self._store.progress(work.lease, stage)):
            assert work.identification.id not in self._answers, "a stage after the end"

    @precondition(lambda self: self._work)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self._run(self._store.release(data.draw(st.sampled_from(self._work)).lease))

    @precondition(lambda self: self._work)
    @rule(data=st.data(), times=st.integers(1, 3))
    def adopt_as_often_as_the_event_comes(self, data: st.DataObject, times: int) -> None:
        work = data.draw(st.sampled_from(self._work))
        now = self._now("function")
        adoptions = self._run(
            _all(
                self._store.adopt(work.lease, owner=f"function-{number}", now=now, lease_seconds=LEASE)
                for number in range(times)
            )
        )
        taken = [adoption for adoption in adoptions if adoption is not None]
        assert len(taken) <= 1
        for adoption in taken:
            lease = dataclasses.replace(adoption.lease, owner=adoption.lease.owner)
            self._took(Claimed(lease, adoption.identification))

    @invariant()
    def answers_stay(self) -> None:
        for identification_id, answer in list(self._answers.items())[-3:]:
            assert self._run(self._store.get(identification_id)) == answer


async def _all(work: Any) -> list[Any]:
    return await asyncio.gather(*work)


def check(open_store: OpenStore, examples: int) -> None:
    machine = type("Machine", (Leases,), {"opening": (open_store,)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            print_blob=True,
        ),
    )


def test_leases_in_memory() -> None:
    @asynccontextmanager
    async def open_store() -> AsyncGenerator[JobStore]:
        yield MemoryJobStore()

    check(open_store, 100)


def test_leases_in_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "QUERY_SECONDS", 60.0)  # this is not about time limits
    numbers = iter(range(10_000))

    @asynccontextmanager
    async def open_store() -> AsyncGenerator[JobStore]:
        async with migrated_database(f"sqlite:///{tmp_path / f'{next(numbers)}.sqlite3'}") as opened:
            yield SqlJobStore(opened)

    check(open_store, 8)


def test_leases_in_dynamodb(ministack: Emulator) -> None:
    @asynccontextmanager
    async def open_store() -> AsyncGenerator[JobStore]:
        names = TableNames(*ministack.new_names())
        async with open_client(ministack.endpoint, read_seconds=30) as client:
            await create_lasting_tables(client, names)
            yield DynamoDbJobStore(client, names, clock=FakeClock(), call_seconds=60)

    check(open_store, 8)
