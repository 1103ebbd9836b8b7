"""The single flight: who starts, joins, follows and takes over; with a clock that is moved by hand."""

import asyncio
import dataclasses
import gc
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from fingerprint.domain.identification import (
    ABANDONED_AFTER,
    NO_MATCH_REUSE,
    Identification,
    IdentificationId,
    Stage,
    Status,
)
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, VideoTarget
from fingerprint.job_ports import LEASE_SECONDS, Claimed, Held, JobOutcome, Lease
from fingerprint.ports import MediaSource
from server.identifications.jobs import Job
from server.identifications.limits import ServiceLimits
from server.identifications.runners import queued
from server.identifications.runners.inprocess import InProcessRunner
from server.identifications.service import IdentificationService
from server.identifications.set_list import Play
from server.observability import Metrics
from tests.builders import answered
from tests.fakes import FakeClock, FakePipeline, MemoryJobStore

CHANNEL = ChannelTarget("somechannel")
CLIP = ClipTarget("AwkwardSlug-x_1")


class World:
    """Services of several servers on one store and one clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryJobStore()
        self.metrics = Metrics()

    @asynccontextmanager
    async def server(
        self, name: str = "a", *, fresh_seconds: float = 0.0, **limits: float
    ) -> AsyncGenerator[tuple[IdentificationService, FakePipeline]]:
        parts = FakePipeline(self.clock)
        runner = InProcessRunner(
            pipeline=parts.pipeline, store=self.store, clock=self.clock, max_running=2, max_queued=2
        )
        service = IdentificationService(
            store=self.store,
            runner=runner,
            unavailable=parts.pipeline.unavailable_reason,
            clock=self.clock,
            owner=name,
            metrics=self.metrics,
            limits=ServiceLimits(**limits),  # pyright: ignore[reportArgumentType] - numbers by name
            fresh_seconds=fresh_seconds,
        )
        try:
            yield service, parts
        finally:
            await service.close()


@pytest.fixture
def world() -> World:
    return World()


async def settle() -> None:
    """Let everything that can happen now happen."""
    for _ in range(50):
        await asyncio.sleep(0)


# --- Start and join -----------------------------------------------------------------------------------


async def test_who_asks_while_a_job_runs_joins_it(world: World) -> None:
    async with world.server() as (service, parts):
        parts.capture.gate.clear()
        first = await service.ask(CHANNEL)
        second = await service.ask(CHANNEL)
        assert (first.shared, second.shared) == (False, True)
        assert first.identification.id == second.identification.id
        parts.capture.gate.set()
        assert await service.wait(first, 10) == await service.wait(second, 10)
        assert parts.capture.captures == 1


async def test_requests_that_arrive_together_share_one_claim(world: World) -> None:
    async with world.server() as (service, parts):
        asked = await asyncio.gather(*(service.ask(CLIP) for _ in range(100)))
        assert len({each.identification.id for each in asked}) == 1
        assert sum(not each.shared for each in asked) == 1
        assert world.store.fences[CLIP.key] == 1
        await service.wait(asked[0], 10)
        assert parts.capture.captures == 1


async def test_after_the_end_a_stream_is_identified_anew(world: World) -> None:
    async with world.server() as (service, parts):
        first = await service.ask(CHANNEL)
        await service.wait(first, 10)
        await settle()
        second = await service.ask(CHANNEL)
        assert second.identification.id != first.identification.id
        await service.wait(second, 10)
        assert parts.capture.captures == 2


async def test_p3_p6_a_request_cancelled_at_any_moment_neither_hangs_nor_stops_the_job(world: World) -> None:
    async with world.server() as (service, _parts):
        for turns in range(60):
            target = ChannelTarget(f"channel{turns}")

            async def request(target: ChannelTarget = target) -> None:
                await service.wait(await service.ask(target), 10)

            leaving = asyncio.create_task(request())
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            answer = await service.wait(await service.ask(target), 10)
            assert answer.status is Status.SUCCESSFUL
            await settle()
        assert service.job_count == 0


async def test_what_is_not_live_is_told_again_for_a_moment_only(world: World) -> None:
    async with world.server() as (service, parts):
        parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "Not live.")
        first = await service.wait(await service.ask(CHANNEL), 10)
        await settle()
        again = await service.ask(CHANNEL)
        assert again.identification == first
        parts.resolver.error = None
        await world.clock.advance(ServiceLimits().keep_definite_seconds)
        answer = await service.wait(await service.ask(CHANNEL), 10)
        assert answer.status is Status.SUCCESSFUL


async def test_other_failures_are_not_kept(world: World) -> None:
    async with world.server() as (service, parts):
        parts.resolver.error = TwitchAudioError(ProblemCode.UPSTREAM_UNAVAILABLE, "Twitch is away.")
        await service.wait(await service.ask(CHANNEL), 10)
        await settle()
        parts.resolver.error = None
        answer = await service.wait(await service.ask(CHANNEL), 10)
        assert answer.status is Status.SUCCESSFUL


async def test_the_end_of_an_old_job_leaves_a_newer_one_of_its_target_alone(world: World) -> None:
    async with world.server() as (service, parts):
        parts.capture.gate.clear()
        running = await service.ask(CHANNEL)
        jobs = service._jobs  # pyright: ignore[reportPrivateUsage] - the order of the loop never brings this about
        old = Job(CHANNEL)
        old.progress.publish(running.identification)
        jobs._on_done(old)  # pyright: ignore[reportPrivateUsage]
        assert service.job_count == 1
        assert jobs.joinable(CHANNEL) is jobs.by_id(running.identification.id) is not None
        parts.capture.gate.set()
        assert (await service.wait(running, 10)).song is not None
        assert parts.capture.captures == 1


async def test_l8_failures_are_kept_for_a_bounded_number_of_targets(world: World) -> None:
    async with world.server(kept=3) as (service, parts):
        parts.resolver.error = TwitchAudioError(ProblemCode.CHANNEL_NOT_FOUND, "Unknown.")
        for order in (range(10), reversed(range(10))):
            for number in order:
                await service.wait(await service.ask(ChannelTarget(f"channel{number}")), 10)
                await settle()
        assert len(parts.resolver.asked) == 10 + 7, "the newest three are kept"


async def test_l8_made_up_targets_leave_nothing_in_memory(world: World) -> None:
    async with world.server(kept=10) as (service, parts):

        async def refuse(target: Target) -> MediaSource:
            raise TwitchAudioError(ProblemCode.CHANNEL_NOT_FOUND, f"There is no {target.name}.")

        parts.resolver.resolve = refuse

        async def ask_for(numbers: range) -> Counter[str]:
            for number in numbers:
                for target in (
                    ChannelTarget(f"made_up_{number}"),
                    ClipTarget(f"Made-up-{number}"),
                    VideoTarget(str(number), 0.0),
                ):
                    await service.wait(await service.ask(target), 10)
                    await settle()
            # What the store has is not the subject here.
            world.store.rows.clear()
            world.store.leases.clear()
            world.store.fences.clear()
            gc.collect()
            kinds = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
            ours = ("fingerprint.", "server.", "_asyncio.")
            return Counter({name: count for name, count in kinds.items() if name.startswith(ours)})

        before = await ask_for(range(20))
        after = await ask_for(range(20, 60))
        assert {name: count for name, count in (after - before).items() if count > 5} == {}


async def test_a_clip_that_many_ask_for_costs_one_read_in_ten_seconds(world: World) -> None:
    async with world.server() as (service, parts):
        first = await service.wait(await service.ask(CLIP), 10)
        await settle()
        reads: list[object] = []
        real_answer = world.store.answer

        async def answer(target: Target) -> Identification | None:
            reads.append(target)
            return await real_answer(target)

        world.store.answer = answer
        for _ in range(50):
            assert (await service.ask(CLIP)).identification == first
            assert await service.answer(CLIP) == first
        assert len(reads) == 1
        await world.clock.advance(ServiceLimits().keep_song_seconds)
        assert (await service.ask(CLIP)).identification == first
        assert len(reads) == 2
        assert parts.capture.captures == 1


async def test_no_match_for_a_clip_is_not_kept_in_memory(world: World) -> None:
    async with world.server() as (service, parts):
        parts.recognizers.matches = []
        await service.wait(await service.ask(CLIP), 10)
        await settle()
        assert (await service.ask(CLIP)).identification.status is Status.NO_MATCH
        await world.clock.advance(NO_MATCH_REUSE.total_seconds())
        again = await service.wait(await service.ask(CLIP), 10)
        assert again.status is Status.NO_MATCH
        assert parts.capture.captures == 2


# --- An answer of a moment ago ------------------------------------------------------------------------


@pytest.mark.parametrize("found", [True, False], ids=["a song", "no song"])
async def test_who_asks_about_a_live_channel_a_moment_later_gets_the_same_answer(
    world: World, found: bool
) -> None:
    async with world.server(fresh_seconds=5) as (service, parts), world.server("b", fresh_seconds=5) as (other, _):
        if not found:
            parts.recognizers.matches = []
        first = await service.wait(await service.ask(CHANNEL), 10)
        await settle()
        await world.clock.advance(4)
        for server in (service, other):
            asked = await server.ask(CHANNEL, admit=nobody)
            assert (asked.identification, asked.shared, asked.progress) == (first, True, None)
            # The recognizers took 3 ms after the sound was captured.
            assert asked.age_seconds == pytest.approx(4.003)
        await world.clock.advance(1)
        again = await other.ask(CHANNEL)
        assert again.identification.id != first.id
        assert (again.shared, again.age_seconds) == (False, None)


@pytest.mark.parametrize("behind", [1.0, 60.0])
async def test_an_answer_of_a_server_whose_clock_is_ahead_is_not_taken_for_a_fresh_one(
    world: World, behind: float
) -> None:
    async with world.server(fresh_seconds=5) as (service, _), world.server("b", fresh_seconds=5) as (other, _):
        first = await service.wait(await service.ask(CHANNEL), 10)
        await settle()
        world.clock.jump(-behind)
        asked = await other.ask(CHANNEL)
        assert (asked.identification.id == first.id) is (behind < 2)
        await other.wait(asked, 10)
        await settle()


async def test_p9_an_answer_of_a_clock_that_was_ahead_is_not_young_for_all_that_time(world: World) -> None:
    async with world.server() as (service, _):
        world.clock.jump(3_600)
        first = await service.wait(await service.ask(CLIP), 10)
        await settle()
        world.clock.jump(-3_600)
        assert (await service.ask(CLIP)).identification == first, "a clip's song does not change"
        second = await service.wait(await service.ask(CLIP, max_age=60), 10)
        assert second.id != first.id


async def nobody() -> None:
    raise AssertionError("a stored answer needs no admission")


async def test_how_old_an_answer_may_be_is_said_with_the_question(world: World) -> None:
    async with world.server(fresh_seconds=5) as (service, parts):
        for target in (CHANNEL, CLIP):
            first = await service.wait(await service.ask(target), 10)
            await settle()
            await world.clock.advance(3)
            assert (await service.ask(target, max_age=4)).identification == first
            second = await service.wait(await service.ask(target, max_age=2), 10)
            await settle()
            assert second.id != first.id
            assert (await service.ask(target, max_age=2)).identification == second
            await world.clock.advance(0.5)
            third = await service.wait(await service.ask(target, max_age=0), 10)
            await settle()
            assert third.id != second.id
            assert (await service.ask(target)).identification == third, "the newest is the stored one"
            await world.clock.advance(60)
            assert (await service.ask(target, max_age=100)).identification == third
        assert parts.capture.captures == 6


async def test_an_answer_is_given_again_at_once_while_somebody_has_it_made_anew(world: World) -> None:
    async with world.server(fresh_seconds=5) as (service, parts):
        first = await service.wait(await service.ask(CHANNEL), 10)
        await settle()
        await world.clock.advance(1)
        parts.capture.gate.clear()
        anew = await service.ask(CHANNEL, max_age=0)
        assert (await service.ask(CHANNEL)).identification == first
        assert (await service.ask(CHANNEL, max_age=0)).identification.id == anew.identification.id, (
            "one job for both"
        )
        parts.capture.gate.set()
        second = await service.wait(anew, 10)
        await settle()
        assert (await service.ask(CHANNEL)).identification == second


async def test_a_failure_is_asked_about_anew_by_who_wants_that(world: World) -> None:
    async with world.server(fresh_seconds=5) as (service, parts):
        parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "Not live.")
        failed = await service.wait(await service.ask(CHANNEL), 10)
        await settle()
        again = await service.ask(CHANNEL)
        assert (again.identification, again.age_seconds) == (failed, 0)
        parts.resolver.error = None
        answer = await service.wait(await service.ask(CHANNEL, max_age=0), 10)
        assert answer.status is Status.SUCCESSFUL


async def test_a_disputed_answer_is_not_given_again(world: World) -> None:
    async with world.server(fresh_seconds=5) as (service, _):
        first = await service.wait(await service.ask(CHANNEL), 10)
        await settle()
        await service.mark_disputed(first)
        assert (await service.ask(CHANNEL)).identification.id != first.id


async def test_many_who_ask_within_a_moment_read_the_store_once(world: World) -> None:
    async with world.server(fresh_seconds=5) as (service, parts):
        await service.wait(await service.ask(CHANNEL), 10)
        await settle()
        before = world.store.reads
        for _ in range(50):
            await service.ask(CHANNEL)
        assert parts.capture.captures == 1
        assert world.store.reads - before <= 1


async def test_d3_when_the_store_is_down_nobody_is_captured(world: World) -> None:
    async with world.server() as (service, parts):
        world.store.down = True
        results = await asyncio.gather(*(service.ask(CHANNEL) for _ in range(5)), return_exceptions=True)
        assert {getattr(result, "code", None) for result in results} == {ProblemCode.BUSY}
        assert parts.capture.captures == 0
        world.store.down = False
        assert (await service.wait(await service.ask(CHANNEL), 10)).status is Status.SUCCESSFUL


async def test_d4_an_answer_that_cannot_be_stored_is_given_kept_and_stored_later(world: World) -> None:
    async with world.server() as (service, parts):

        def store_goes_down() -> None:
            world.store.down = True

        outcomes: list[JobOutcome] = []
        service.add_outcome_listener(outcomes.append)
        parts.recognizers.before = store_goes_down
        waiting = asyncio.create_task(service.wait(await service.ask(CHANNEL), 60))
        for _ in range(60):
            await settle()
            await world.clock.advance(0.1)
        told = await waiting
        assert told.status is Status.SUCCESSFUL
        assert [outcome.stored for outcome in outcomes] == [False]
        # What was said stays true: here, and once the store is back, everywhere.
        found = await service.find(told.id)
        assert found is not None
        assert found.identification == told
        assert "twitchaudio_answers_unstored 1" in world.metrics.render()
        world.store.down = False
        for _ in range(30):
            await settle()
            await world.clock.advance(0.1)
        assert world.store.rows[told.id] == told
        assert 'twitchaudio_answers_stored_late_total{kind="stream"} 1' in world.metrics.render()
        assert "twitchaudio_answers_unstored 0" in world.metrics.render()
        assert "twitchaudio_answers_lost_total{" not in world.metrics.render()


async def test_d4_jobs_whose_answers_cannot_be_stored_keep_no_other_job_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = world.store.finish

    async def refusing(lease: Lease, answer: Identification) -> bool:
        if answer.target.startswith("stuck"):
            raise TwitchAudioError(ProblemCode.BUSY, "This row cannot be written.")
        return await finish(lease, answer)

    monkeypatch.setattr(world.store, "finish", refusing)
    async with world.server() as (service, _parts):
        stuck = [await service.ask(ChannelTarget(f"stuck{number}")) for number in range(2)]
        await settle()
        others = [await service.ask(ChannelTarget(f"other{number}")) for number in range(4)]
        answers = await asyncio.gather(*(service.wait(other, 60) for other in others))
        assert [answer.status for answer in answers] == [Status.SUCCESSFUL] * 4
        assert service.job_count == len(stuck), "they are still tried to be stored"


async def test_d4_an_answer_that_is_never_stored_is_counted_as_lost(world: World) -> None:
    async with world.server() as (service, parts):

        def store_goes_down() -> None:
            world.store.down = True

        parts.recognizers.before = store_goes_down
        waiting = asyncio.create_task(service.wait(await service.ask(CHANNEL), 60))
        for _ in range(60):
            await settle()
            await world.clock.advance(0.1)
        assert (await waiting).status is Status.SUCCESSFUL
    assert 'twitchaudio_answers_lost_total{kind="stream"} 1' in world.metrics.render()


async def test_a_set_list_is_the_same_however_it_is_read(world: World) -> None:
    titles = ["A", "A", "B", "A", "C", "C", "C", "D"]
    for minute, title in enumerate(titles):
        row = answered(title, minutes=minute)
        world.store.rows[row.id] = row
    async with world.server(set_list_page=3) as (service, _parts):
        whole = await service.set_list("somechannel", limit=50)
        assert [play.song.title for play in whole.plays] == ["D", "C", "A", "B", "A"]
        assert whole.next_before is None
        for limit in range(1, 6):
            read: list[Play] = []
            page = await service.set_list("somechannel", limit=limit)
            read += page.plays
            while page.next_before is not None:
                page = await service.set_list("somechannel", limit=limit, before=page.next_before)
                read += page.plays
            assert read == whole.plays


async def test_a_song_that_never_ends_does_not_make_a_set_list_read_for_ever(world: World) -> None:
    for minute in range(20):
        row = answered("A", minutes=minute)
        world.store.rows[row.id] = row
    async with world.server(set_list_page=3, set_list_answers=6) as (service, _parts):
        page = await service.set_list("somechannel", limit=5)
        assert [len(play.answers) for play in page.plays] == [6]
        assert page.next_before == page.plays[0].asked_at


# --- Other servers ------------------------------------------------------------------------------------


async def test_l2_many_who_wait_for_another_servers_job_cost_one_reader(world: World) -> None:
    async with world.server("a") as (leader, parts), world.server("b") as (follower, idle):
        parts.capture.gate.clear()
        first = await leader.ask(CHANNEL)
        waiting = [asyncio.create_task(follower.wait(await follower.ask(CHANNEL), 100)) for _ in range(100)]
        await settle()
        before = world.store.reads
        for _ in range(20):
            await world.clock.advance(0.5)
        # In ten seconds at most one read a poll (0.375 s at the shortest) and one a third of a lease.
        assert 0 < world.store.reads - before <= 10 / 0.375 + 10 / (LEASE_SECONDS / 3) + 2
        parts.capture.gate.set()
        await settle()
        await world.clock.advance(1.0)
        answers = [await task for task in waiting]
        assert {answer.id for answer in answers} == {first.identification.id}
        assert idle.capture.captures == 0


async def test_who_asks_for_what_another_server_works_on_joins_it(world: World) -> None:
    async with world.server() as (a, parts), world.server() as (b, _):
        parts.capture.gate.clear()
        first = await a.ask(CHANNEL)
        second, third = await b.ask(CHANNEL), await b.ask(CHANNEL)
        assert (first.shared, second.shared, third.shared) == (False, True, True)
        assert second.identification.id == first.identification.id
        parts.capture.gate.set()


async def test_p1_a_job_whose_owner_died_is_taken_over_once_for_all(world: World) -> None:
    dead = await world.store.claim(CHANNEL, owner="dead", now=world.clock.now(), lease_seconds=LEASE_SECONDS)
    assert isinstance(dead, Claimed)
    async with world.server("a") as (one, one_parts), world.server("b") as (other, other_parts):
        waiting = [asyncio.create_task(one.wait(await one.ask(CHANNEL), 100)) for _ in range(5)]
        waiting += [asyncio.create_task(other.wait(await other.ask(CHANNEL), 100)) for _ in range(5)]
        seconds = 0.0
        while not all(task.done() for task in waiting):
            await world.clock.advance(0.25)
            seconds += 0.25
            assert seconds <= LEASE_SECONDS + 3
        answers = [await task for task in waiting]
        assert {answer.id for answer in answers} == {dead.identification.id}
        assert {answer.status for answer in answers} == {Status.SUCCESSFUL}
        assert one_parts.capture.captures + other_parts.capture.captures == 1


async def test_d6_a_job_lost_to_another_server_gives_that_servers_answer(world: World) -> None:
    async with world.server("a") as (service, parts):
        parts.capture.gate.clear()
        asked = await service.ask(CHANNEL)
        waiting = asyncio.create_task(service.wait(asked, 100))
        await settle()
        # As if this process had been paused: its lease ran out unrenewed, and another one claims.
        lease = world.store.leases[CHANNEL.key]
        await world.store.release(lease)
        taken = await world.store.claim(CHANNEL, owner="other", now=world.clock.now(), lease_seconds=LEASE_SECONDS)
        assert isinstance(taken, Claimed)
        await world.clock.advance(LEASE_SECONDS / 3)
        assert parts.capture.running == 0
        problem = TwitchAudioError(ProblemCode.AD_BREAK, "Ads.").problem
        await world.store.finish(taken.lease, taken.identification.failed(problem, world.clock.now()))
        await world.clock.advance(1.0)
        answer = await waiting
        assert answer.problem is not None
        assert answer.problem.code is ProblemCode.AD_BREAK


async def test_p8_a_server_whose_loop_was_blocked_has_lost_its_lease_and_stores_nothing(world: World) -> None:
    async with world.server("a") as (blocked, ours), world.server("b") as (other, theirs):
        ours.capture.gate.clear()
        theirs.capture.gate.clear()
        waiting = asyncio.create_task(blocked.wait(await blocked.ask(CHANNEL), 100))
        await settle()
        state = blocked.running_identifications()[0]
        # Ten seconds pass for all, in which `a` does nothing: not even its renewals. `b` takes over.
        lease = world.store.leases[CHANNEL.key]
        world.store.leases[CHANNEL.key] = dataclasses.replace(lease, expires_at=world.clock.now())
        taken = await world.store.claim(CHANNEL, owner="b", now=world.clock.now(), lease_seconds=LEASE_SECONDS)
        assert isinstance(taken, Claimed)
        assert (taken.identification.id, taken.lease.fence) == (state.id, lease.fence + 1)
        assert not await world.store.finish(lease, answered(id=state.id)), "its write is refused"
        assert not await world.store.progress(lease, Stage.RECOGNIZING)
        assert await world.store.finish(taken.lease, answered("Of b", id=state.id))
        for _ in range(10):
            await world.clock.advance(1.0)
        answer = await waiting
        assert answer.song is not None, answer
        song = answer.song
        assert song.title == "Of b"
        assert (await other.ask(CHANNEL)).identification.id != state.id


@pytest.mark.parametrize("hours", [-1, 1])
async def test_p9_a_clock_that_jumps_in_mid_job_harms_neither_it_nor_the_next(world: World, hours: int) -> None:
    async with world.server("a") as (service, parts):
        parts.capture.gate.clear()
        waiting = asyncio.create_task(service.wait(await service.ask(CHANNEL), 100))
        await settle()
        world.clock.jump(hours * 3_600)
        joining = asyncio.create_task(service.wait(await service.ask(CHANNEL), 100))
        for _ in range(6):
            await world.clock.advance(1.0)
        parts.capture.gate.set()
        answer = await waiting
        assert (answer.status, await joining) == (Status.SUCCESSFUL, answer)
        assert answer.timings.total_ms is not None
        assert 0 <= answer.timings.total_ms < 60_000
        await world.clock.advance(1.0)
        again = await service.wait(await service.ask(CHANNEL), 100)
        assert (again.status, parts.capture.captures) == (Status.SUCCESSFUL, 2)


async def test_d7_a_leader_that_alone_is_cut_off_from_the_store_stops_and_one_answer_is_stored(
    world: World,
) -> None:
    async with world.server("a") as (leader, ours):
        ours.capture.gate.clear()
        waiting = asyncio.create_task(leader.wait(await leader.ask(CHANNEL), 100))
        await settle()
        lease = world.store.leases[CHANNEL.key]
        shared, cut_off = world.store, MemoryJobStore()
        cut_off.down = True
        # From now on only `a` cannot reach the store: all its calls fail.
        for name in ("claim", "renew", "progress", "finish", "release", "get", "running", "answer"):
            setattr(shared, name, getattr(cut_off, name))
        reachable = MemoryJobStore()
        reachable.rows, reachable.fences, reachable.leases = shared.rows, shared.fences, shared.leases
        await world.clock.advance(LEASE_SECONDS + 1)
        taken = await reachable.claim(CHANNEL, owner="b", now=world.clock.now(), lease_seconds=LEASE_SECONDS)
        assert isinstance(taken, Claimed)
        assert taken.lease.fence == lease.fence + 1
        assert ours.capture.running == 0, "it stopped when its lease was over"
        ours.capture.gate.set()
        await settle()
        assert ours.capture.captures <= 1
        assert await reachable.finish(taken.lease, answered("Of b", id=taken.identification.id))
        for name in ("claim", "renew", "progress", "finish", "release", "get", "running", "answer"):
            setattr(shared, name, getattr(reachable, name))
        for _ in range(30):
            await world.clock.advance(1.0)
        song = (await waiting).song
        assert song is not None
        assert song.title == "Of b"
        assert [each.status for each in shared.rows.values()] == [Status.SUCCESSFUL]


async def test_a_job_that_ended_between_two_looks_starts_no_other(world: World) -> None:
    other = await world.store.claim(CHANNEL, owner="x", now=world.clock.now(), lease_seconds=LEASE_SECONDS)
    assert isinstance(other, Claimed)
    async with world.server("a") as (service, parts):
        waiting = asyncio.create_task(service.wait(await service.ask(CHANNEL), 100))
        await settle()
        real_get = world.store.get

        async def get_then_finish(identification_id: IdentificationId) -> object:
            state = await real_get(identification_id)
            problem = TwitchAudioError(ProblemCode.NO_AUDIO, "Silence.").problem
            await world.store.finish(other.lease, other.identification.failed(problem, world.clock.now()))
            return state

        world.store.get = get_then_finish  # pyright: ignore[reportAttributeAccessIssue] - it ends in between
        await world.clock.advance(LEASE_SECONDS / 3 + 0.7)
        world.store.get = real_get
        await world.clock.advance(1.0)
        answer = await waiting
        assert answer.id == other.identification.id
        assert answer.status is Status.FAILED
        assert parts.capture.captures == 0
        # The target is free for whoever asks next.
        assert not isinstance(
            await world.store.claim(CHANNEL, owner="y", now=world.clock.now(), lease_seconds=1), Held
        )


async def test_p2_who_comes_back_for_a_job_left_behind_gets_its_answer(world: World) -> None:
    left = await world.store.claim(CHANNEL, owner="dead", now=world.clock.now(), lease_seconds=LEASE_SECONDS)
    assert isinstance(left, Claimed)
    async with world.server() as (service, _parts):
        found = await service.find(left.identification.id)
        assert found is not None
        waiting = asyncio.create_task(service.wait(found, 100))
        for _ in range(16):
            await world.clock.advance(0.5)
        assert (await waiting).status is Status.SUCCESSFUL


async def test_an_identification_left_behind_long_ago_has_failed(world: World) -> None:
    left = await world.store.claim(CHANNEL, owner="dead", now=world.clock.now(), lease_seconds=LEASE_SECONDS)
    assert isinstance(left, Claimed)
    await world.clock.advance(ABANDONED_AFTER.total_seconds() + 1)
    async with world.server() as (service, parts):
        found = await service.find(left.identification.id)
        assert found is not None
        assert found.identification.problem is not None
        assert found.identification.problem.code is ProblemCode.TIMEOUT
        assert parts.capture.captures == 0


# --- The queue and the end ----------------------------------------------------------------------------


async def test_a_job_that_waited_too_long_for_its_turn_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued, "LEASE_SECONDS", 0.003)
    async with world.server() as (service, parts):
        parts.capture.gate.clear()
        running = [await service.ask(ChannelTarget(f"channel{number}")) for number in range(2)]
        late = await service.ask(ChannelTarget("late"))
        await settle()
        await world.clock.advance(queued.MAX_QUEUE_SECONDS)
        answer = await service.wait(late, 10)
        assert answer.problem is not None
        assert answer.problem.code is ProblemCode.BUSY
        parts.capture.gate.set()
        for asked in running:
            await service.wait(asked, 10)


async def test_closing_hands_jobs_over_and_tells_those_who_wait(world: World) -> None:
    async with world.server("a") as (service, parts):
        parts.capture.gate.clear()
        asked = await service.ask(CHANNEL)
        waiting = asyncio.create_task(service.wait(asked, 100))
        await settle()
        await service.close()
        with pytest.raises(TwitchAudioError) as caught:
            await waiting
        assert caught.value.code is ProblemCode.BUSY
        with pytest.raises(TwitchAudioError):
            await service.ask(CHANNEL)
        assert parts.capture.running == 0
    taken = await world.store.claim(CHANNEL, owner="b", now=world.clock.now(), lease_seconds=1)
    assert isinstance(taken, Claimed)
    assert taken.identification.id == asked.identification.id


async def test_closing_lets_a_job_that_is_about_to_end_do_so(world: World) -> None:
    async with world.server("a") as (service, parts):
        parts.capture.gate.clear()
        asked = await service.ask(CHANNEL)
        closing = asyncio.create_task(service.close(drain_seconds=10))
        await settle()
        parts.capture.gate.set()
        assert (await service.wait(asked, 10)).status is Status.SUCCESSFUL
        await closing


async def test_a_task_that_never_ran_still_answers(world: World) -> None:
    async with world.server("a") as (service, _parts):
        asking = asyncio.create_task(service.ask(CHANNEL))
        await asyncio.sleep(0)
        for task in asyncio.all_tasks():
            if "stream:" in task.get_name():
                task.cancel()
        with pytest.raises(TwitchAudioError) as caught:
            await asking
        assert caught.value.code is ProblemCode.BUSY
        assert service.job_count == 0
