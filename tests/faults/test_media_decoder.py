"""M1 to M6: broken and hostile media, and decoder processes that crash, hang or lie."""

import asyncio
import contextlib
import os
import random
import re
import signal
import struct
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fingerprint import worker_pool
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.decoder import DecoderLimits, DecoderPool
from tests.sounds import loudest_hertz, tone
from tests.waiting import settled

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = tone()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncGenerator[DecoderPool]:
    async with DecoderPool(workers=1, limits=DecoderLimits(wall_seconds=20.0)) as running:
        yield running


async def the_pid(pool: DecoderPool) -> int:
    await pool.ready()
    (pid,) = pool.pids
    return pid


async def decodes(pool: DecoderPool) -> bool:
    """Whether good input is decoded right."""
    pcm = (await pool.decode(GOOD, container="mpegts", max_seconds=20)).pcm
    return abs(loudest_hertz(pcm) - 440) < 2 and abs(pcm.duration_seconds - 6) < 0.1


async def test_p4_workers_whose_job_and_pool_end_while_they_start_are_reaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[asyncio.SubprocessTransport] = []
    loop = asyncio.get_running_loop()
    real = loop.subprocess_exec

    async def seen(factory: Callable[[], worker_pool.Worker], *command: str, **more: Any) -> Any:
        class Seen(worker_pool.Worker):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.SubprocessTransport)
                started.append(transport)
                super().connection_made(transport)

        assert factory is worker_pool.Worker
        return await real(Seen, *command, **more)

    async def never(_worker: worker_pool.Worker) -> None:
        raise AssertionError("it does not get as far")

    monkeypatch.setattr(loop, "subprocess_exec", seen)
    for turns in range(12):
        async with worker_pool.WorkerPool(["/bin/cat"], work="decoded", workers=1) as pool:
            asking = asyncio.create_task(pool.run(never, wall_seconds=60))
            await settled(turns)
            asking.cancel()
            await settled(1)
        await asyncio.gather(asking, return_exceptions=True)
        # Otherwise the process, or a pipe to it, is left for a garbage collection in another test.
        assert [each.get_returncode() for each in started] == [-signal.SIGKILL] * len(started), turns
    assert len(started) > 6


async def refusal(pool: DecoderPool, content: bytes, container: str = "mpegts") -> TwitchAudioError:
    with pytest.raises(TwitchAudioError) as caught:
        await pool.decode(content, container=container, max_seconds=20)
    return caught.value


def gone(pid: int) -> bool:
    """Whether a process has ended and been reaped: a zombie still has its place in /proc."""
    return not Path(f"/proc/{pid}").exists()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing tells when the kernel has reaped a process
            await asyncio.sleep(0.01)


def proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


# --- M1, M4, M5: input --------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["mpegts", "mp4", "aac"])
async def test_m1_random_bytes_are_no_audio_and_the_worker_lives(pool: DecoderPool, container: str) -> None:
    pid = await the_pid(pool)
    numbers = random.Random(7)
    for size in (1, 187, 188, 4_096, 300_000):
        error = await refusal(pool, numbers.randbytes(size), container)
        assert error.code is ProblemCode.NO_AUDIO
    assert await decodes(pool)
    assert await the_pid(pool) == pid


@pytest.mark.parametrize("container", ["mpegts", "mp4", "aac"])
async def test_m1_flipped_and_cut_bytes_are_sound_or_no_audio(pool: DecoderPool, container: str) -> None:
    whole = tone(container, seconds=1.0, fragmented=container == "mp4")
    numbers = random.Random(11)
    for _ in range(60):
        content = bytearray(whole[: numbers.randrange(len(whole))])
        for _ in range(numbers.randrange(30)):
            if content:
                content[numbers.randrange(len(content))] = numbers.randrange(256)
        try:
            pcm = (await pool.decode(bytes(content), container=container, max_seconds=20)).pcm
        except TwitchAudioError as error:
            assert error.code is ProblemCode.NO_AUDIO  # noqa: PT017 - either outcome is right
        else:
            assert 0 < pcm.duration_seconds <= 20
    assert await decodes(pool)


async def test_m1_a_cut_stream_gives_what_came(pool: DecoderPool) -> None:
    pcm = (await pool.decode(GOOD[: len(GOOD) * 2 // 3], container="mpegts", max_seconds=20)).pcm
    assert 3 < pcm.duration_seconds < 5
    assert loudest_hertz(pcm) == pytest.approx(440, abs=2)


def absurd_wav(channels: int, rate: int, length: int) -> bytes:
    form = struct.pack(
        "<HHIIHH", 1, channels, rate, (rate * channels * 2) & 0xFFFFFFFF, (channels * 2) & 0xFFFF, 16
    )
    head = b"RIFF" + struct.pack("<I", length) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", length) + bytes(100_000)


@pytest.mark.parametrize(
    ("container", "content"),
    [
        ("wav", absurd_wav(255, 768_000, 0xFFFFFF00)),
        ("wav", absurd_wav(65_535, 4_000_000_000, 0xFFFFFF00)),
        (
            "mp4",
            struct.pack(">I4s", 0x10, b"ftyp")
            + b"isom" * 2
            + struct.pack(">I4s", 0xFFFFFFF0, b"moov")
            + bytes(9999),
        ),
        ("mp4", struct.pack(">I4sQ", 1, b"moov", 2**62) + bytes(9999)),
    ],
    ids=["255 channels", "65535 channels", "4 GB atom", "2^62 atom"],
)
async def test_m4_absurd_headers_cost_at_most_the_limits(
    pool: DecoderPool, container: str, content: bytes
) -> None:
    try:
        pcm = (await pool.decode(content, container=container, max_seconds=20)).pcm
    except TwitchAudioError as error:
        assert error.code is ProblemCode.NO_AUDIO  # noqa: PT017 - either outcome is right
    else:
        assert pcm.duration_seconds <= 20
    assert await decodes(pool)


async def test_m5_playlists_as_media_are_never_opened(pool: DecoderPool, tmp_path: Path) -> None:
    connections: list[object] = []
    listener = await asyncio.start_server(lambda reader, _writer: connections.append(reader), "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        sound = tmp_path / "sound.flac"
        sound.write_bytes(tone("flac", seconds=1.0))
        for uri in (f"http://127.0.0.1:{port}/a.ts", f"file://{sound}"):
            texts = (
                f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{uri}\n#EXT-X-ENDLIST\n",
                f"ffconcat version 1.0\nfile '{uri}'\n",
                f"<?xml version='1.0'?><MPD><Period><AdaptationSet><Representation><BaseURL>{uri}</BaseURL>",
            )
            for text in texts:
                for container in ("mpegts", "mp4"):
                    assert (await refusal(pool, text.encode(), container)).code is ProblemCode.NO_AUDIO
                path = tmp_path / "list.m3u8"
                path.write_text(text)
                with pytest.raises(TwitchAudioError) as caught:
                    await pool.decode_file(path)
                assert caught.value.code is ProblemCode.NO_AUDIO
    assert not connections


async def test_m6_many_jobs_at_once_each_get_their_own_sound() -> None:
    pitches = [300.0 + 35 * number for number in range(20)]
    sounds = [tone("flac", hertz=pitch, seconds=1.5, channels=1) for pitch in pitches]
    async with DecoderPool(workers=2) as pool:
        decoded = await asyncio.gather(*(pool.decode(sound, container="flac", max_seconds=20) for sound in sounds))
    assert [loudest_hertz(each.pcm) for each in decoded] == pytest.approx(pitches, abs=3)


# --- M2, M3: processes --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_m2_a_worker_that_died_while_idle_is_replaced(pool: DecoderPool, how: signal.Signals) -> None:
    pid = await the_pid(pool)
    os.kill(pid, how)
    assert await decodes(pool), "the job is tried again on a fresh worker"
    assert await the_pid(pool) != pid
    await eventually(lambda: gone(pid))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_m2_a_worker_that_crashes_in_a_job_is_replaced(pool: DecoderPool, how: signal.Signals) -> None:
    pid = await the_pid(pool)
    os.kill(pid, signal.SIGSTOP)
    job = asyncio.create_task(decodes(pool))
    await asyncio.sleep(0.05)
    assert not job.done()
    os.kill(pid, how)
    with contextlib.suppress(ProcessLookupError):  # SIGKILL does not wait for it: the process may be gone already
        os.kill(pid, signal.SIGCONT)
    assert await job
    await eventually(lambda: gone(pid))


async def test_m3_a_worker_that_hangs_is_killed_at_its_wall_limit() -> None:
    async with DecoderPool(workers=1, limits=DecoderLimits(wall_seconds=1.0)) as pool:
        pid = await the_pid(pool)
        os.kill(pid, signal.SIGSTOP)
        assert await decodes(pool)
        await eventually(lambda: gone(pid))


READY = (
    "import os, sys, struct, time\n"
    "frame = lambda kind, content: struct.pack('!BI', kind, len(content)) + content\n"
    "os.write(1, frame(1, b'')); os.read(0, 1); "
)


def stand_in(program: str) -> tuple[str, ...]:
    return sys.executable, "-I", "-S", "-c", READY + program


@pytest.mark.parametrize(
    "program",
    [
        "os.abort()",
        "time.sleep(60)",
        "os.write(1, b'What a lovely song this is. ' * 100)",
        "os.write(1, struct.pack('!BI', 17, 0xFFFFFFF0)); time.sleep(60)",
        "os.write(1, frame(17, b'abc')); time.sleep(60)",
        "os.write(1, frame(18, b'abcd')); time.sleep(60)",
        "os.write(1, frame(17, b'abcd') + frame(18, b'abcdefgh')); time.sleep(60)",
        "os.write(1, frame(17, bytes(8_000_000))); time.sleep(60)",
        "os.write(1, frame(19, b'')); time.sleep(60)",
        "os.write(1, frame(20, b' ' * 501)); time.sleep(60)",
        "os.write(1, frame(4, struct.pack('!QI', 0, 100))); time.sleep(60)",
        "os.write(1, frame(99, b'')); time.sleep(60)",
    ],
)
async def test_m2_m3_workers_that_crash_hang_or_lie_twice_are_a_fault_of_ours(program: str) -> None:
    limits = DecoderLimits(wall_seconds=0.5)
    async with DecoderPool(workers=1, limits=limits, program=stand_in(program)) as pool:
        pid = await the_pid(pool)
        error = await refusal(pool, GOOD)
        assert error.code is ProblemCode.INTERNAL
        assert "twice" in error.detail
        await eventually(lambda: gone(pid))


async def test_m4_input_that_eats_all_its_cpu_is_no_audio() -> None:
    program = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass"
    async with DecoderPool(workers=1, limits=DecoderLimits(wall_seconds=60.0), program=stand_in(program)) as pool:
        error = await refusal(pool, GOOD)
    assert error.code is ProblemCode.NO_AUDIO
    assert "more time" in error.detail


async def test_workers_that_cannot_start_are_a_fault_of_ours() -> None:
    for program in (("/nonexistent/program",), (sys.executable, "-c", "pass")):
        async with DecoderPool(workers=1, program=program) as pool:
            assert (await refusal(pool, GOOD)).code is ProblemCode.INTERNAL


async def test_a_cancelled_job_does_not_leave_its_worker_confused(pool: DecoderPool) -> None:
    pid = await the_pid(pool)
    os.kill(pid, signal.SIGSTOP)
    job = asyncio.create_task(pool.decode(tone(hertz=1000), container="mpegts", max_seconds=20))
    await asyncio.sleep(0.05)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert await decodes(pool), "and not the cancelled job's sound"
    await eventually(lambda: gone(pid))


async def test_too_many_jobs_are_refused_at_once() -> None:
    limits = DecoderLimits(waiting=3, wall_seconds=20.0)
    async with DecoderPool(workers=1, limits=limits) as pool:
        os.kill(await the_pid(pool), signal.SIGSTOP)
        jobs = [asyncio.create_task(decodes(pool)) for _ in range(4)]
        await settled()
        error = await refusal(pool, GOOD)
        assert error.code is ProblemCode.BUSY
        assert error.retry_after_seconds
        os.kill(pool.pids[0], signal.SIGCONT)
        assert all(await asyncio.gather(*jobs))


async def test_workers_are_renewed_after_some_jobs() -> None:
    async with DecoderPool(workers=1, limits=DecoderLimits(jobs_of_a_worker=2)) as pool:
        first = await the_pid(pool)
        assert [await decodes(pool) for _ in range(3)] == [True] * 3
        assert await the_pid(pool) != first
        await eventually(lambda: gone(first))


async def test_a_worker_may_open_nothing_and_knows_nothing(pool: DecoderPool) -> None:
    pid = await the_pid(pool)
    assert await decodes(pool)
    assert proc(pid, "environ") == ""
    limits = proc(pid, "limits")
    for name, value in {"Max open files": "0", "Max file size": "0", "Max core file size": "0"}.items():
        assert re.search(rf"^{name}\s+{value}\s+{value}\s", limits, re.MULTILINE), name
    assert re.search(rf"^Max address space\s+{320 << 20}\s", limits, re.MULTILINE)
    assert "numpy" not in proc(pid, "maps"), "a worker stays small"


async def test_leaving_the_pool_leaves_no_process() -> None:
    async with DecoderPool(workers=2) as pool:
        await pool.ready()
        pids = pool.pids
        assert len(pids) == 2
    assert all(gone(pid) for pid in pids)
    async with DecoderPool(workers=2):
        pass  # left before its workers have started


async def test_a_job_that_runs_when_the_pool_is_left_is_refused_and_starts_nothing() -> None:
    async with DecoderPool(workers=1) as pool:
        os.kill(await the_pid(pool), signal.SIGSTOP)
        job = asyncio.create_task(refusal(pool, GOOD))
        await asyncio.sleep(0.05)
    assert (await job).code is ProblemCode.BUSY
    assert pool.pids == ()


async def test_workers_end_when_their_parent_is_killed() -> None:
    program = (
        "import asyncio, sys\n"
        "from fingerprint.media.decoder import DecoderPool\n"
        "async def main():\n"
        "    async with DecoderPool(workers=2) as pool:\n"
        "        await pool.ready()\n"
        "        print(*pool.pids, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[2]
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=root, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pids = [int(word) for word in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    parent.kill()
    await parent.wait()
    await eventually(lambda: not any(alive(pid) for pid in pids))


def alive(pid: int) -> bool:
    """Whether a process runs; an orphan may stay a zombie until the machine's init looks after it."""
    try:
        return proc(pid, "stat").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
