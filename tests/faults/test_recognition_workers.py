"""Recognition in worker processes: the answers are the same, and a worker that breaks costs one answer at most."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from fingerprint.catalog.examination import Finding
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from tests.faults.test_media_decoder import eventually, gone
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import fill
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("catalog")
    fill(directory, range(3))
    return directory


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(folder: Path) -> AsyncGenerator[RecognitionPool]:
    async with RecognitionPool(folder, workers=1) as running:
        yield running


async def ask(pool: RecognitionPool, pcm: Pcm) -> list[Finding]:
    return await pool.findings(await asyncio.to_thread(pool.prepare, pcm))


async def test_a_worker_finds_what_this_process_finds(pool: RecognitionPool, folder: Path) -> None:
    for pcm in (tune(1).cut(4, 6), tune(2).cut(1, 19), tune(40).cut(0, 6)):
        assert await ask(pool, pcm) == identify(Catalog(folder).snapshot(), prepare(pcm))


async def test_a_worker_sees_a_catalog_that_grows(pool: RecognitionPool, folder: Path) -> None:
    assert await ask(pool, tune(7).cut(4, 6)) == []
    fill(folder, [7])
    assert [finding.track.title for finding in await ask(pool, tune(7).cut(4, 6))] == ["Song 7"]


async def test_a_worker_that_died_is_replaced(pool: RecognitionPool) -> None:
    await pool.ready()
    (pid,) = pool.pids
    os.kill(pid, signal.SIGKILL)
    assert [finding.track.title for finding in await ask(pool, tune(1).cut(4, 6))] == ["Song 1"]
    await eventually(lambda: gone(pid))


async def test_a_question_that_is_cancelled_ends_its_work(pool: RecognitionPool) -> None:
    await pool.ready()
    (pid,) = pool.pids
    while True:
        query = await asyncio.to_thread(pool.prepare, tune(1).cut(4, 6))
        os.kill(pid, signal.SIGSTOP)
        asking = asyncio.create_task(pool.findings(query))
        await asyncio.sleep(0)
        asking.cancel()
        try:
            await asking
        except asyncio.CancelledError:
            break
        os.kill(pid, signal.SIGCONT)  # the worker had answered before it was stopped: once more
    assert await ask(pool, tune(1).cut(4, 6))


async def test_a_damaged_catalog_is_no_answer(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    (tmp_path / "manifest.json").write_text("{")
    async with RecognitionPool(tmp_path, workers=1) as pool:
        with pytest.raises(TwitchAudioError, match="damaged") as caught:
            await ask(pool, tune(1).cut(4, 6))
    assert caught.value.code is ProblemCode.RECOGNIZER_UNAVAILABLE


async def test_leaving_the_pool_refuses_what_still_waits_and_leaves_no_process(folder: Path) -> None:
    async with RecognitionPool(folder, workers=1) as pool:
        await pool.ready()
        pids = pool.pids
        os.kill(pids[0], signal.SIGSTOP)
        asking = [asyncio.create_task(ask(pool, tune(1).cut(4, 6))) for _ in range(2)]
        await until(lambda: len(pool._queries) == 2)  # pyright: ignore[reportPrivateUsage] - nothing else tells
    for task in asking:
        with pytest.raises(TwitchAudioError) as caught:
            await task
        assert caught.value.code is ProblemCode.BUSY
    assert all(gone(pid) for pid in pids)


async def test_no_process_is_started_for_a_catalog_that_is_not_there(tmp_path: Path) -> None:
    async with RecognitionPool(tmp_path, workers=1) as pool:
        await pool.ready()
        assert pool.pids == ()
        assert await ask(pool, tune(1).cut(4, 6)) == []
