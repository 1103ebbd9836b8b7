"""Sound that is fingerprinted while it is decoded: the same answers, and nothing is held up or left over."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from fingerprint.catalog.examination import Finding
from fingerprint.catalog.fingerprinting_ahead import MAX_AHEAD_SAMPLES, FingerprintingAhead
from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.domain.audio import Pcm
from tests.faults.test_media_decoder import eventually, gone
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import fill
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SOUND = tune(1).cut(4, 6)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[RecognitionPool]:
    folder: Path = tmp_path_factory.mktemp("catalog")
    fill(folder, range(3))
    async with RecognitionPool(folder, workers=2) as running:
        yield running


async def ask(pool: RecognitionPool, pcm: Pcm) -> list[Finding]:
    return await pool.findings(await asyncio.to_thread(pool.prepare, pcm))


def heard(pool: RecognitionPool, pcm: Pcm) -> FingerprintingAhead:
    """The sound, all of which has been decoded, in pieces of a second."""
    ahead = pool.hear_ahead()
    for first in range(0, pcm.samples.shape[1], pcm.rate):
        ahead.feed(pcm.samples[:, first : first + pcm.rate])
    return ahead


async def idle(pool: RecognitionPool) -> None:
    """Waits until both workers are idle: only then is one of them taken ahead."""
    await pool.ready()
    await until(lambda: pool._idle.qsize() == 2)  # pyright: ignore[reportPrivateUsage] - nothing else tells


async def test_what_is_heard_ahead_gets_the_same_answer_without_being_given_once_more(
    pool: RecognitionPool,
) -> None:
    await idle(pool)
    expected = await ask(pool, SOUND)
    assert [finding.track.title for finding in expected] == ["Song 1"]
    await idle(pool)
    answered = pool.answered
    ahead = heard(pool, SOUND)
    ahead.finish(SOUND)
    assert await ask(pool, SOUND) == expected
    assert pool.answered == answered + 1
    ahead.abandon()
    assert ahead.search_of(SOUND) is None
    await idle(pool)


@pytest.mark.parametrize("change", ["a gap", "shorter", "one sample", "mono"])
async def test_another_sound_than_was_heard_is_asked_by_itself(pool: RecognitionPool, change: str) -> None:
    samples = SOUND.samples.copy()
    if change == "a gap":
        gap = np.zeros((len(samples), 800), np.float32)
        samples = np.concatenate([samples[:, :16_000], gap, samples[:, 16_000:]], axis=1)
    elif change == "shorter":
        samples = samples[:, :-1]
    elif change == "one sample":
        samples[-1, -1] += 1
    else:
        samples = samples[:1]
    pcm = Pcm(np.ascontiguousarray(samples))
    await idle(pool)
    ahead = heard(pool, SOUND if change != "mono" else Pcm(np.concatenate([SOUND.samples] * 2)[:2]))
    ahead.finish(pcm)
    assert ahead.search_of(pcm) is None
    assert [finding.track.title for finding in await ask(pool, pcm)] == ["Song 1"]
    await idle(pool)


async def test_another_question_gets_an_answer_of_its_own(pool: RecognitionPool) -> None:
    await idle(pool)
    ahead = heard(pool, SOUND)
    ahead.finish(SOUND)
    assert [finding.track.title for finding in await ask(pool, tune(2).cut(4, 6))] == ["Song 2"]
    ahead.abandon()
    await idle(pool)


async def test_one_that_waits_for_its_sound_never_takes_the_last_worker(pool: RecognitionPool) -> None:
    await idle(pool)
    waiting, refused = heard(pool, SOUND), heard(pool, SOUND)
    refused.finish(SOUND)
    assert refused.search_of(SOUND) is None
    assert await ask(pool, SOUND), "the other worker is for those who have all of their sound"
    waiting.abandon()
    await idle(pool)


async def test_what_is_abandoned_or_too_long_gives_its_worker_back(pool: RecognitionPool) -> None:
    await pool.ready()
    pids = set(pool.pids)
    for _ in range(2):
        await idle(pool)
        heard(pool, SOUND).abandon()
    await idle(pool)
    long = Pcm(np.zeros((1, MAX_AHEAD_SAMPLES + 16_000), np.float32))
    ahead = heard(pool, long)
    ahead.finish(long)
    assert ahead.search_of(long) is None
    await idle(pool)
    assert set(pool.pids) == pids
    assert not pool._ahead  # pyright: ignore[reportPrivateUsage] - nothing is left over


@pytest.mark.parametrize("finished", [False, True])
async def test_a_worker_that_dies_ahead_costs_no_answer(pool: RecognitionPool, finished: bool) -> None:
    await idle(pool)
    before = set(pool.pids)
    ahead = heard(pool, SOUND)
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    if finished:
        ahead.finish(SOUND)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    if not finished:
        await eventually(lambda: all(gone(pid) for pid in before))
        ahead.finish(SOUND)
    assert [finding.track.title for finding in await ask(pool, SOUND)] == ["Song 1"]
    ahead.abandon()
    await idle(pool)


async def test_a_question_that_is_cancelled_ends_the_search_that_was_begun_ahead(pool: RecognitionPool) -> None:
    await idle(pool)
    before = set(pool.pids)
    ahead = heard(pool, SOUND)
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    ahead.finish(SOUND)
    asking = pool._begin_query(SOUND, 1)  # pyright: ignore[reportPrivateUsage] - what `prepare` waits for
    task = asyncio.create_task(asking)
    await until(lambda: bool(pool._queries))  # pyright: ignore[reportPrivateUsage] - nothing else tells
    (query,) = pool._queries  # pyright: ignore[reportPrivateUsage]
    query.cancel()
    await asyncio.gather(task, query, return_exceptions=True)
    ahead.abandon()
    for pid in set(pool.pids) & before:
        os.kill(pid, signal.SIGCONT)
    await idle(pool)
    assert await ask(pool, SOUND)
