"""`/readyz` names parts that answer nothing although they are there, and storage that is away, full or refuses."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.catalog import recognition_pool
from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.clock import SystemClock
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.media.decoder import DecoderLimits, DecoderPool
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.setting_formats import S3Address
from fingerprint.worker_process import HEAD, READY
from server import readiness_trials
from server.app import listening, make_app
from server.readiness import PartState, Readiness
from server.readiness_trials import worker_trials
from server.settings import ServerSettings
from tests.api_client import open_api
from tests.emulators import free_port
from tests.fakes import FakeClock, FakePipeline
from tests.unit.catalog.shelf import fill

HANGS = f"import sys, time; sys.stdout.buffer.write({HEAD.pack(READY, 0)!r}); sys.stdout.flush(); time.sleep(3600)"
"""A worker that has started, and answers no job."""


async def test_a_decoder_that_hangs_is_named_with_its_last_error() -> None:
    limits = DecoderLimits(wall_seconds=0.2)
    async with DecoderPool(workers=1, limits=limits, program=(sys.executable, "-I", "-S", "-c", HANGS)) as pool:
        trials = worker_trials(pool, None, catalog_required=False)
        async with Readiness(trials, clock=SystemClock(), wait_seconds=0.0) as parts:
            state = (await parts.states())["decoder"]
            assert (state.ready, state.required) == (False, True)
            assert state.detail
            assert state.last_error == state.detail
            assert state.last_error_at is not None


@asynccontextmanager
async def stopped_workers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Callable[[], Any]]:
    """The catalog's workers have answered once, and do nothing from then on; yields what looks at readiness."""
    await asyncio.to_thread(fill, folder, range(1))
    clock = FakeClock()
    async with RecognitionPool(folder, workers=1) as catalog, DecoderPool(workers=1) as decoder:
        trials = worker_trials(decoder, catalog, catalog_required=True)
        async with Readiness(trials, clock=clock, wait_seconds=20.0) as parts:

            async def look() -> PartState:
                await clock.advance(readiness_trials.WORKER_FRESH_SECONDS)
                states = await parts.states()
                return states["catalog"]

            assert (await look()).ready
            for pid in catalog.pids:
                os.kill(pid, signal.SIGSTOP)
            with monkeypatch.context() as patched:
                patched.setattr(readiness_trials, "WORKER_SECONDS", 1.1)
                state = await look()
            assert state.detail == "The processes that search the catalog do not answer."
            assert state.last_error == state.detail
            yield look


async def test_workers_that_stop_in_the_middle_of_their_work_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stopped_workers(tmp_path, monkeypatch):
        pass


@pytest.mark.nightly
async def test_workers_that_stop_are_replaced_and_then_ready_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognition_pool, "JOB_SECONDS", 3.0)
    async with stopped_workers(tmp_path, monkeypatch) as look, asyncio.timeout(120):
        while not (state := await look()).ready:
            pass
        assert state.detail is None
        assert state.last_error is not None


async def test_an_index_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    await asyncio.to_thread(fill, tmp_path, range(1))
    async with RecognitionPool(tmp_path, workers=1) as catalog, DecoderPool(workers=1) as decoder:
        _, trial = worker_trials(decoder, catalog, catalog_required=True)
        await trial.attempt()
        # It is mapped into the memory of the worker, which the system kills when it reads what is gone.
        file = await asyncio.to_thread(_cut_off, tmp_path)
        with pytest.raises(TwitchAudioError) as refused:
            await trial.attempt()
        assert file.name in refused.value.detail


def _cut_off(folder: Path) -> Path:
    (file,) = folder.glob("*.seg")
    os.truncate(file, file.stat().st_size // 3)
    return file


@pytest.mark.parametrize("reason", ["No space left on device", "Disk quota exceeded"])
async def test_a_disk_without_room_for_one_more_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """As when no inodes are left: files that are there can grow, and new ones cannot be made."""

    def no_inode(**_options: Any) -> Any:
        raise OSError(28, reason)

    async with open_api(FakePipeline(SystemClock()), tmp_path) as api:
        await _until(api, 200)
        monkeypatch.setattr(tempfile, "TemporaryFile", no_inode)
        found = await _until(api, 503)
        assert found["database"]["detail"] == f"Nothing can be written in the database's folder: {reason}."


async def test_no_room_for_temporary_files_is_named_and_the_server_stays_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "gone"
    monkeypatch.setattr(tempfile, "tempdir", str(full))
    async with open_api(FakePipeline(SystemClock()), tmp_path) as api:
        found = (await _until(api, 200))["temporary_files"]
        assert (found["ready"], found["required"]) == (False, False)
        assert found["detail"] == (
            f"Nothing can be written in {full}, where uploads are kept while they are heard: "
            "No such file or directory."
        )


async def test_object_storage_that_is_away_is_named_and_the_server_stays_ready(
    tmp_path: Path, aws_credentials: None
) -> None:
    pipeline = PipelineSettings(
        data_dir=tmp_path,
        catalogs=(S3Address("music", "harbour"),),
        s3_endpoint=f"http://127.0.0.1:{free_port()}",
    )
    app = make_app(ServerSettings(pipeline=pipeline, cores=1))
    async with listening(app, "127.0.0.1", 0) as url, ClientSession(base_url=url) as api:
        async with asyncio.timeout(60):
            while (found := await _until(api, 200))["object_storage"]["ready"]:  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.1)
        assert (
            "The catalog at s3://music/harbour cannot be used: the service cannot be reached"
            in found["object_storage"]["last_error"]
        )
        assert found["object_storage"]["required"] is False
        # Others learn whether the server is ready, and nothing else.
        for_all = await (await api.get("/readyz", headers={"X-Forwarded-For": "192.0.2.1"})).json()
        assert for_all == {"status": "ready"}


async def _until(api: ClientSession, status: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (answer := await api.get("/readyz")).status != status:  # noqa: ASYNC110 - it is the server's
            await asyncio.sleep(0.1)
    body: dict[str, Any] = await answer.json()
    return body["dependencies"]
