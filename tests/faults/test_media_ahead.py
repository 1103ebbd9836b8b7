"""Decoding sound that is still coming: what it gives, and what goes wrong with it."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator, Sequence

import numpy as np
import pytest
import pytest_asyncio

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.ahead import DecodingAhead
from fingerprint.media.decoder import DecoderLimits, DecoderPool
from tests.faults.test_media_decoder import decodes, eventually, gone
from tests.listeners import RecordingListener
from tests.sounds import loudest_hertz, tone
from tests.waiting import settled, skip_time, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
PIECES = [tone(seconds=2.0) for _ in range(3)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncGenerator[DecoderPool]:
    limits = DecoderLimits(wall_seconds=20.0, ahead_wall_seconds=30.0)
    async with DecoderPool(workers=2, limits=limits) as running:
        yield running


def fed(pool: DecoderPool, pieces: Sequence[bytes] = PIECES, *, container: str = "mpegts") -> DecodingAhead:
    ahead = pool.begin(max_seconds=20)
    for content in pieces:
        ahead.feed(content, container=container)
    return ahead


async def all_idle(pool: DecoderPool, workers: int) -> None:
    """Waits until all of the pool's workers are idle again: as many jobs at once are all decoded ahead but one."""
    async with asyncio.timeout(20):
        while True:
            await pool.ready()
            begun = [fed(pool) for _ in range(workers)]
            sounds = [await ahead.finish() for ahead in begun]
            if sum(sound is not None for sound in sounds) == workers - 1:
                return
            await asyncio.sleep(0.05)


async def test_pieces_are_decoded_as_they_come(pair: DecoderPool) -> None:
    await pair.ready()
    whole = await pair.decode(b"".join(PIECES), container="mpegts", max_seconds=20)
    await all_idle(pair, 2)
    ahead = pair.begin(max_seconds=20)
    for content in PIECES:
        ahead.feed(content, container="mpegts")
        await asyncio.sleep(0.05)
    decoded = await ahead.finish()
    assert decoded is not None
    assert np.array_equal(decoded.pcm.samples, whole.pcm.samples)
    assert [(mark.sample, mark.position) for mark in decoded.marks] == [
        (mark.sample, mark.position) for mark in whole.marks
    ], "the clock of each piece begins again, which both tell"
    assert len(whole.marks) == len(PIECES)


async def test_a_listener_hears_what_is_decoded_while_it_is(pair: DecoderPool) -> None:
    await all_idle(pair, 2)
    listener = RecordingListener()
    ahead = pair.begin(max_seconds=20, listener=listener)
    for content in PIECES[:2]:
        ahead.feed(content, container="mpegts")
    await until(lambda: bool(listener.fed))
    ahead.feed(PIECES[2], container="mpegts")
    decoded = await ahead.finish()
    assert decoded is not None
    assert len(listener.fed) > 2
    assert np.array_equal(listener.samples, decoded.pcm.samples)
    assert not listener.abandoned, "who has the sound ends it"
    ahead.abandon()
    assert listener.abandoned
    await all_idle(pair, 2)


async def test_a_listener_learns_that_the_sound_is_abandoned(pair: DecoderPool) -> None:
    await all_idle(pair, 2)
    listener = RecordingListener()
    ahead = pair.begin(max_seconds=20, listener=listener)
    ahead.feed(PIECES[0], container="mpegts")
    ahead.abandon()
    assert listener.abandoned
    assert not listener.finished
    await all_idle(pair, 2)


async def test_fragments_are_decoded_as_they_come(pair: DecoderPool) -> None:
    whole = tone("mp4", fragmented=True)
    await all_idle(pair, 2)
    decoded = await fed(pair, [whole[:700], whole[700:50_000], whole[50_000:]], container="mp4").finish()
    assert decoded is not None
    assert abs(loudest_hertz(decoded.pcm) - 440) < 2


async def test_m3_one_that_waits_never_takes_the_last_worker(pair: DecoderPool) -> None:
    await all_idle(pair, 2)
    waiting, refused = fed(pair, PIECES[:1]), fed(pair)
    assert await refused.finish() is None, "the other worker is for those who have all of their sound"
    assert await decodes(pair)
    assert await waiting.finish() is not None
    await all_idle(pair, 2)


async def test_what_is_abandoned_gives_its_worker_back(pair: DecoderPool) -> None:
    await pair.ready()
    pids = set(pair.pids)
    for _ in range(3):
        fed(pair, PIECES[:2]).abandon()
    await all_idle(pair, 2)
    assert set(pair.pids) == pids


async def test_m1_pieces_of_nothing_are_no_audio(pair: DecoderPool) -> None:
    await all_idle(pair, 2)
    with pytest.raises(TwitchAudioError) as caught:
        await fed(pair, [random.Random(3).randbytes(100_000)] * 3).finish()
    assert caught.value.code is ProblemCode.NO_AUDIO
    await all_idle(pair, 2)


async def test_m2_a_worker_that_crashes_ahead_is_replaced(pair: DecoderPool) -> None:
    await all_idle(pair, 2)
    before = set(pair.pids)
    ahead = fed(pair, PIECES[:2])
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert await ahead.finish() is None, "all is to be decoded once more"
    assert await decodes(pair)
    await all_idle(pair, 2)


@pytest.mark.parametrize("turns", [1, 2, 4])
async def test_a_question_cancelled_while_it_is_decoded_ahead(pair: DecoderPool, turns: int) -> None:
    await all_idle(pair, 2)
    task = asyncio.create_task(fed(pair).finish())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await all_idle(pair, 2)


async def test_m3_input_that_stops_coming_is_given_up() -> None:
    async with DecoderPool(workers=2, limits=DecoderLimits(wall_seconds=20, ahead_wall_seconds=60)) as pool:
        await pool.ready()
        pids = set(pool.pids)
        forgotten = fed(pool, PIECES[:1])
        await settled()
        skip_time(100)
        await eventually(lambda: any(gone(pid) for pid in pids))
        assert await forgotten.finish() is None
        await all_idle(pool, 2)


async def test_leaving_the_pool_ends_what_is_decoded_ahead() -> None:
    async with DecoderPool(workers=2) as pool:
        await pool.ready()
        pids = pool.pids
        ahead = fed(pool, PIECES[:1])
    assert all(gone(pid) for pid in pids)
    with pytest.raises(asyncio.CancelledError):
        await ahead.finish()


async def test_long_input_waits_for_a_worker_and_for_it_to_read() -> None:
    """One worker is enough, and what it has not read yet does not pile up."""
    async with DecoderPool(workers=1, limits=DecoderLimits(wall_seconds=20.0)) as pool:
        long = await pool.begin_long(container="mpegts", max_seconds=4.0)
        begun = asyncio.create_task(pool.begin_long(container="mpegts", max_seconds=4.0))
        for _ in range(100):
            long.feed(PIECES[0], container="mpegts")
            await long.drain()
        assert not begun.done(), "the worker is busy"
        decoded = await long.finish()
        assert decoded is not None
        assert decoded.pcm.duration_seconds == 4.0
        (await begun).abandon()
        waiting = asyncio.create_task(pool.begin_long(container="mpegts", max_seconds=4.0))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await decodes(pool)


async def test_m2_a_worker_that_dies_during_long_input_blocks_nobody() -> None:
    async with DecoderPool(workers=1, limits=DecoderLimits(wall_seconds=20.0)) as pool:
        long = await pool.begin_long(container="mpegts", max_seconds=4.0)
        for pid in pool.pids:
            os.kill(pid, signal.SIGKILL)
        for _ in range(200):
            long.feed(PIECES[0], container="mpegts")
            await long.drain()
        assert await long.finish() is None
        assert await decodes(pool)


async def test_m2_a_worker_that_cannot_start_is_a_fault_of_ours() -> None:
    async with DecoderPool(workers=1, program=["/bin/false"]) as pool:
        for _ in range(2):
            with pytest.raises(TwitchAudioError) as caught:
                await pool.begin_long(container="mpegts", max_seconds=4.0)
            assert caught.value.code is ProblemCode.INTERNAL
