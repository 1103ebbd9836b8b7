"""From POST to answer for a live channel, beside the floor and a pipeline of the original kind, in one run.

- `cold_ms`: the server's first question about a channel, to a server that has just started
- `warm_ms`: later questions
- `floor_ms`: the unavoidable chain (token, multivariant playlist, media playlist, segments side by side) by bare
  aiohttp on warm connections, and the decoding of what it brought
- `original_ms`: the same chain up to the playlist, then the FFmpeg program recording 6 s from it, then fingerprint
  and match with our own catalog, as the original service did it

The simulator and the server run in processes of their own; the simulator adds `added_ms` to every answer.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
import numpy as np
from yarl import URL

from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.domain.identification import Stage
from fingerprint.domain.targets import ChannelTarget
from fingerprint.hls.live import newest_content
from fingerprint.hls.playlist import parse_media
from fingerprint.media.decode import decode_bytes
from fingerprint.ports import LiveSource
from fingerprint.settings import PipelineSettings, read_settings
from fingerprint.wiring import open_recognizers, open_resolver
from tests.bench.table import median, print_table, write_json

CHANNEL: Final = "neonharbour"
SECONDS: Final = 6.0


@dataclass(frozen=True, slots=True)
class Bench:
    """The running parts."""

    simulator: Mapping[str, Any]
    environment: Mapping[str, str]
    catalog: Path


@contextlib.contextmanager
def process(arguments: Sequence[str], environment: Mapping[str, str]) -> Generator[subprocess.Popen[str]]:
    """A child of ours, ended with the block."""
    command = [sys.executable, "-m", *arguments]
    inherited = {**os.environ, **environment}  # noqa: TID251 - handed on, not read
    with subprocess.Popen(
        command, env=inherited, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        try:
            yield child
        finally:
            child.terminate()


@contextlib.contextmanager
def simulated_twitch(folder: Path) -> Generator[Bench]:
    """The simulator, and a catalog of its songs."""
    with process(["server.demo", "--port", "0", "--json"], {}) as child:
        assert child.stdout is not None
        simulator = cast("dict[str, Any]", json.loads(child.stdout.readline()))
        environment = {**simulator["environment"], "TWITCHAUDIO_DATA_DIR": str(folder)}
        with process(["server", "catalog", "add", *simulator["songs"]], environment) as indexing:
            if indexing.wait() != 0:
                raise RuntimeError("the songs could not be indexed")
        yield Bench(simulator, environment, folder / "catalog")


@contextlib.asynccontextmanager
async def started_server(bench: Bench) -> AsyncGenerator[str]:
    """A server that nobody has asked anything, and that is ready."""
    with process(["server", "serve", "--port", "0"], bench.environment) as child:
        assert child.stdout is not None
        while True:
            line = await asyncio.to_thread(child.stdout.readline)
            if not line:
                raise RuntimeError("the server did not start")
            if "http://" in line:
                yield "http://" + line.split("http://", 1)[1].split()[0].rstrip("/.")
                return


async def ask(session: aiohttp.ClientSession, url: str) -> tuple[float, Mapping[str, Any]]:
    """Milliseconds from POST to the answer, and the answer."""
    started = time.perf_counter()
    async with session.post(
        f"{url}/api/v1/identifications", json={"channel": CHANNEL}, headers={"Prefer": "wait=30"}
    ) as response:
        answer = await response.json()
    elapsed = (time.perf_counter() - started) * 1000
    if answer["status"] != "successful":
        raise RuntimeError(f"no answer: {answer}")
    return elapsed, answer


async def ours(
    bench: Bench, *, servers: int, questions: int
) -> tuple[list[float], list[float], list[Mapping[str, Any]]]:
    """Cold and warm times, and the answers' own timings."""
    cold: list[float] = []
    warm: list[float] = []
    steps: list[Mapping[str, Any]] = []
    for _ in range(servers):
        async with started_server(bench) as url, aiohttp.ClientSession() as session:
            async with session.get(f"{url}/readyz") as ready:
                await ready.read()
            elapsed, _answer = await ask(session, url)
            cold.append(elapsed)
            for _ in range(questions):
                elapsed, answer = await ask(session, url)
                warm.append(elapsed)
                steps.append(answer["timings"])
    return cold, warm, steps


async def live_playlist(settings: PipelineSettings) -> LiveSource:
    """The first half of the chain, by our resolver."""
    async with open_resolver(settings) as resolver:
        source = await resolver.resolve(ChannelTarget(CHANNEL))
    assert isinstance(source, LiveSource)
    return source


async def floor(session: aiohttp.ClientSession, bench: Bench, source: LiveSource) -> float:
    """The chain of round trips and the decoding, with nothing else around it."""
    started = time.perf_counter()
    # Token and multivariant playlist cost a round trip each: any small answer of the simulator stands for one.
    for _ in range(2):
        async with session.get(source.playlist) as response:
            await response.read()
    async with session.get(source.playlist) as response:
        playlist = parse_media(await response.text())
    chosen = newest_content(playlist, wanted_seconds=SECONDS, enough_seconds=SECONDS / 2)

    async def fetch(url: URL) -> bytes:
        async with session.get(url) as response:
            return await response.read()

    urls = [source.playlist.join(URL(segment.uri, encoded=True)) for segment in chosen]
    content = b"".join(await asyncio.gather(*map(fetch, urls)))
    decode_bytes(content, container="mpegts", max_seconds=30.0)
    return (time.perf_counter() - started) * 1000


def ffmpeg_program() -> str:
    """The FFmpeg program out of the wheel that only benchmarks install."""
    return cast("str", cast("Any", import_module("imageio_ffmpeg")).get_ffmpeg_exe())


async def original(settings: PipelineSettings) -> float:
    """Resolve, let FFmpeg record 6 s from the playlist, fingerprint, match."""
    async with open_recognizers(settings) as recognizers:
        started = time.perf_counter()
        source = await live_playlist(settings)
        command = [
            ffmpeg_program(), "-nostdin", "-loglevel", "error", "-i", str(source.playlist),
            "-t", str(SECONDS), "-vn", "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "f32le", "pipe:1",
        ]  # fmt: skip
        recorder = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        content, _ = await recorder.communicate()
        samples = np.frombuffer(content, dtype=np.float32)[np.newaxis, :].copy()
        answer = await recognizers.identify(Recording(pcm=Pcm(samples)), _ignore)
        elapsed = (time.perf_counter() - started) * 1000
    if not answer.matches:
        raise RuntimeError("the pipeline of the original kind found nothing")
    return elapsed


def _ignore(_stage: Stage) -> None:
    """Nobody listens."""


async def measure(
    bench: Bench, added_ms: float, *, servers: int, questions: int, originals: int
) -> dict[str, Any]:
    """One row."""
    settings = read_settings(PipelineSettings, bench.environment)
    async with aiohttp.ClientSession() as session:
        async with session.post(
            f"{bench.simulator['control_url']}/latency", json={"all_ms": added_ms}
        ) as response:
            if response.status >= 400:
                raise RuntimeError(await response.text())
        cold, warm, steps = await ours(bench, servers=servers, questions=questions)
        source = await live_playlist(settings)
        await floor(session, bench, source)
        floors = [await floor(session, bench, source) for _ in range(questions)]
        slow = [await original(settings) for _ in range(originals)]
    return {
        "added_ms": added_ms,
        "cold_ms": median(cold),
        "warm_ms": median(warm),
        "floor_ms": median(floors),
        "original_ms": median(slow),
        "streamlink_ms": None,
        "steps": {name: median([step[name] for step in steps]) for name in steps[0]},
    }


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench answer-time", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--added-ms", type=float, nargs="+", default=[0.0, 40.0, 150.0])
    parser.add_argument("--servers", type=int, default=5, help="servers started for the cold figure")
    parser.add_argument("--questions", type=int, default=8, help="warm questions to each server")
    parser.add_argument("--originals", type=int, default=5, help="runs of the pipeline of the original kind")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, simulated_twitch(Path(folder)) as bench:
        rows = [
            asyncio.run(
                measure(
                    bench, added, servers=chosen.servers, questions=chosen.questions, originals=chosen.originals
                )
            )
            for added in chosen.added_ms
        ]
    print_table(
        "From POST to answer, milliseconds (medians)",
        [{key: value for key, value in row.items() if key not in ("steps", "streamlink_ms")} for row in rows],
    )
    print_table(
        "Ratios",
        [
            {
                "added_ms": row["added_ms"],
                "original / cold": row["original_ms"] / row["cold_ms"],
                "original / warm": row["original_ms"] / row["warm_ms"],
                "warm / floor": row["warm_ms"] / row["floor_ms"],
            }
            for row in rows
        ],
    )
    print_table(
        "Share of each step, percent of the warm answer",
        [
            {"added_ms": row["added_ms"]}
            | {
                name.removesuffix("_ms"): 100 * value / row["steps"]["total_ms"]
                for name, value in row["steps"].items()
                if name != "total_ms"
            }
            for row in rows
        ],
    )
    write_json(chosen.json, {"rows": rows})
    return 0
