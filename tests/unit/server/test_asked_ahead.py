"""Twitch is asked about a channel while the lease of its job is claimed, also for a claim that fails."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ServerDisconnectedError
from yarl import URL

from fingerprint.domain.identification import Identification, Status
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.targets import ChannelTarget, Target
from fingerprint.job_ports import LEASE_SECONDS, Claim, Claimed, Held
from fingerprint.media.capture import StreamCapture
from fingerprint.media.fetch import Fetched
from fingerprint.pipeline import MAX_RETRIES, Pipeline
from fingerprint.twitch.live_source_cache import LiveSourceCache
from fingerprint.twitch.resolve import TwitchResolver
from server.identifications.runners.inprocess import InProcessRunner
from server.identifications.service import IdentificationService
from server.observability import Metrics
from tests.builders import NOON
from tests.fakes import FakeRecognizers, MemoryJobStore
from tests.unit.small_twitch import SmallDecoder, SmallTwitch, small_fetcher
from tests.unit.test_sweeps import SETTINGS, LoopClock
from tests.virtual_time import run_virtually

LADDER = ChannelTarget("ladder")


class SlowStore(MemoryJobStore):
    """Claims that wait for `claiming`, and then do what `claims` says."""

    def __init__(self) -> None:
        super().__init__()
        self.claiming: Callable[[], Awaitable[None]] | None = None
        self.claims: Callable[[], Awaitable[Claim]] | None = None

    async def claim(self, target: Target, **more: Any) -> Claim:
        if self.claiming is not None:
            await self.claiming()
        return await (super().claim(target, **more) if self.claims is None else self.claims())


@dataclass(slots=True)
class Server:
    """A server whose job store can be slow, and its Twitch."""

    service: IdentificationService
    store: SlowStore
    twitch: SmallTwitch
    open_requests: set[str] = field(default_factory=set[str])

    async def asked(self) -> Identification | None:
        """The answer to a new question; the requests before it do not count."""
        await asyncio.sleep(1)  # an earlier job is over
        self.twitch.sent.clear()
        handle = await self.service.ask(LADDER, max_age=0)
        return await self.service.wait(handle, 60)

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in self.twitch.sent]


async def served(runs: Callable[[Server], Awaitable[None]], *, max_running: int = 1) -> None:
    """A server, after which nothing goes on."""
    clock, store, twitch = LoopClock(), SlowStore(), SmallTwitch()
    async with small_fetcher(twitch) as fetcher:
        sources = LiveSourceCache(TwitchResolver(fetcher, SETTINGS), clock)
        pipeline = Pipeline(
            resolver=sources,
            capture=StreamCapture(fetcher, SmallDecoder(), clock, sources=sources),
            recognizers=FakeRecognizers(),
            clock=clock,
        )
        runner = InProcessRunner(
            pipeline=pipeline, store=store, clock=clock, max_running=max_running, max_queued=4
        )
        service = IdentificationService(
            store=store,
            runner=runner,
            unavailable=pipeline.unavailable_reason,
            clock=clock,
            owner="me",
            metrics=Metrics(),
        )
        server = Server(service, store, twitch)

        async def answered(step: str, url: URL) -> Fetched | None:
            server.open_requests.add(url.path)
            try:
                await asyncio.sleep(0.04)
            finally:
                server.open_requests.discard(url.path)
            return None

        twitch.fault = answered
        async with service:
            await runs(server)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, "everything that the server began has ended with it"


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_twitch_is_asked_while_the_lease_is_claimed_and_only_once(*, known: bool) -> None:
    """For a new channel's token, or a known one's playlist; then gql is asked who has the login."""

    async def run(server: Server) -> None:
        if known:
            await server.asked()
        seen: list[list[str]] = []

        async def claiming() -> None:
            await asyncio.sleep(0.01)
            seen.append(server.steps)

        server.store.claiming = claiming
        answer = await server.asked()
        assert answer is not None
        assert answer.status is Status.SUCCESSFUL
        assert seen == [["playlist" if known else "gql"]]
        asked = [step for step in server.steps if step in ("gql", "usher", "playlist")]
        assert known or server.steps[:3] == ["gql", "usher", "playlist"]
        assert sorted(asked) == (["gql", "playlist"] if known else ["gql", "playlist", "usher"])

    run_virtually(served(run))


def test_a_playlist_that_is_old_when_the_claim_is_there_is_fetched_again() -> None:
    async def run(server: Server) -> None:
        await server.asked()

        async def claiming() -> None:
            await asyncio.sleep(1.5)

        server.store.claiming = claiming
        answer = await server.asked()
        assert answer is not None
        assert answer.status is Status.SUCCESSFUL
        assert server.steps.count("playlist") == 2

    run_virtually(served(run))


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("claim_seconds", [0.01, 0.5], ids=["request under way", "response there"])
@pytest.mark.parametrize("how", ["held", "away", "crashes"])
def test_a_claim_that_is_lost_costs_one_look_up_and_leaves_nothing(
    how: str, claim_seconds: float, *, known: bool
) -> None:
    async def run(server: Server) -> None:
        if known:
            await server.asked()
            await asyncio.sleep(1)
        other = MemoryJobStore()
        held = await other.claim(LADDER, owner="other", now=NOON, lease_seconds=LEASE_SECONDS)
        assert isinstance(held, Claimed)

        async def claims() -> Claim:
            await asyncio.sleep(claim_seconds)
            match how:
                case "held":
                    return Held(held.identification)
                case "away":
                    raise TwitchAudioError(ProblemCode.BUSY, "The store is down.", retry_after_seconds=5.0)
                case _:
                    raise RuntimeError("a fault of ours")

        server.store.claims = claims
        server.store.rows[held.identification.id] = held.identification
        server.twitch.sent.clear()
        if how == "held":
            handle = await server.service.ask(LADDER, max_age=0)
            assert handle.shared
        else:
            with pytest.raises(TwitchAudioError):
                await server.service.ask(LADDER, max_age=0)
        assert not server.open_requests, "none goes on"
        assert len(server.steps) <= (1 if known or claim_seconds < 0.04 else 2)
        assert "segment" not in server.steps

    run_virtually(served(run))


def test_nothing_is_asked_for_while_a_job_would_wait_for_its_turn() -> None:
    async def run(server: Server) -> None:
        first = await server.service.ask(ChannelTarget("other"))
        await asyncio.sleep(0)
        claimed: list[int] = []

        async def claiming() -> None:
            before = len(server.twitch.sent)
            await asyncio.sleep(0)
            claimed.append(len(server.twitch.sent) - before)

        server.store.claiming = claiming
        second = await server.service.ask(LADDER)
        assert claimed == [0]
        for handle in (first, second):
            answer = await server.service.wait(handle, 60)
            assert answer is not None
            assert answer.status is Status.SUCCESSFUL

    run_virtually(served(run))


def test_what_is_asked_ahead_takes_its_retries_from_the_job() -> None:
    """Every request fails once and more: the job makes no more retries than without it."""

    async def run(server: Server) -> None:
        async def broken(step: str, url: URL) -> Fetched | None:
            await asyncio.sleep(0.01)
            lost = UpstreamError(step, "Twitch broke off the connection.")
            lost.__cause__ = ServerDisconnectedError()
            raise lost

        server.twitch.fault = broken

        async def claiming() -> None:
            await asyncio.sleep(0.015)

        server.store.claiming = claiming
        answer = await server.asked()
        with_claim = len(server.steps)
        assert answer is not None
        assert answer.status is Status.FAILED
        assert answer.problem is not None
        assert answer.problem.code is ProblemCode.UPSTREAM_UNAVAILABLE
        server.store.claiming = None
        await server.asked()
        assert len(server.steps) == with_claim <= 2 * MAX_RETRIES

    run_virtually(served(run))
