"""From POST to answer for a live channel, beside the floor, streamlink, and a pipeline of the original kind.

- `cold_ms`: the first question of all to a server that has started
- `warm_ms`: later questions; `cold_p95_ms` and `warm_p95_ms` are what one answer in twenty takes longer than
- `age_ms`, `cold_age_ms`: how old the newest sound of a later and of the first answer was when the answer came, by
  the broadcast's clock; `age_finished_ms`: likewise when the channel lists finished segments only (no prefetch)
- `floor_ms`: what is unavoidable the first time: token, multivariant playlist, media playlist, segments side by
  side, by bare aiohttp on warm connections, and the decoding of what they bring; `floor_warm_ms` without the token
  and the multivariant playlist
- `recognition_ms`: fingerprint and match of that sound with our own catalog, with nothing else around them: they
  come after the last byte, so no answer is earlier than floor and recognition together
- `preroll_first_ms`, `preroll_next_ms`: the first question, to a new session that Twitch begins with an
  advertisement of `preroll_seconds`, and the next one
- `original_ms`: the same chain up to the playlist, then the FFmpeg program recording 6 s from it, then fingerprint
  and match with our own catalog, as the original service did it
- `streamlink_ms`: streamlink's library resolving the channel and reading 6 s, nothing more
- `steps`, `cold_steps`: the answers' own timings, of the later and the first questions

The simulator and the server run in processes of their own; the simulator adds `added_ms` to every answer. On a
busy machine each step waits for a core, most of all those that pass work between processes; `--undisturbed` keeps
that out.
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
from datetime import datetime
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
from fingerprint.hls.playlist import by_preference, parse_media, parse_multivariant
from fingerprint.media.decode import decode_bytes
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import LiveSource
from fingerprint.settings import read_settings
from fingerprint.twitch import usher
from fingerprint.twitch.answers import parse_answer, parse_token
from fingerprint.twitch.queries import stream_token_query
from fingerprint.wiring import open_recognizers, open_resolver
from tests.bench.table import median, percentile95, print_table, write_json
from tests.integration.real_clients import make_authority, real_clients

CHANNEL: Final = "neonharbour"
SECONDS: Final = 6.0
START_SECONDS: Final = 1.0
"""What a server may take for starting its decoders: cold means that it knows nothing of the channel."""

HIDDEN: Final = ("steps", "cold_steps", "preroll_seconds")


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
def simulated_twitch(folder: Path, *cache: str) -> Generator[Bench]:
    """The simulator, and a catalog of its songs; `cache` may be `--cache` and a folder for what it makes."""
    with process(["simulator", "--port", "0", "--json", *cache], {}) as child:
        assert child.stdout is not None
        simulator = cast("dict[str, Any]", json.loads(child.stdout.readline()))
        environment = {
            **simulator["environment"],
            "TWITCHAUDIO_DATA_DIR": str(folder),
            # One client asks, as fast as it can.
            "TWITCHAUDIO_JOBS_PER_ADDRESS": "0",
            "TWITCHAUDIO_STARTS_PER_ADDRESS": "none",
        }
        with process(["server", "catalog", "add", *simulator["songs"]], environment) as indexing:
            if indexing.wait() != 0:
                raise RuntimeError("the songs could not be indexed")
        yield Bench(simulator, environment, folder / "catalog")


@contextlib.asynccontextmanager
async def started_server(bench: Bench) -> AsyncGenerator[str]:
    """A fresh server that is ready."""
    with process(["server", "serve", "--port", "0"], bench.environment) as child:
        assert child.stdout is not None
        while True:
            line = await asyncio.to_thread(child.stdout.readline)
            if not line:
                raise RuntimeError("the server did not start")
            if "http://" in line:
                yield "http://" + line.split("http://", 1)[1].split()[0].rstrip("/.")
                return


@dataclass(frozen=True, slots=True)
class Answered:
    """Milliseconds from POST to the answer, the age of its newest sound in milliseconds, and its own timings."""

    elapsed_ms: float
    age_ms: float
    timings: Mapping[str, Any]


async def ask(session: aiohttp.ClientSession, url: str) -> Answered:
    """Once, about the channel."""
    started = time.perf_counter()
    # Without `no-cache` a later question gets the first one's answer.
    headers = {"Prefer": "wait=30", "Cache-Control": "no-cache"}
    async with session.post(
        f"{url}/api/v1/identifications", json={"channel": CHANNEL}, headers=headers
    ) as response:
        answer = await response.json()
    elapsed = (time.perf_counter() - started) * 1000
    if answer["status"] != "successful":
        raise RuntimeError(f"no answer: {answer}")
    newest = datetime.fromisoformat(answer["captured_at"]).timestamp() + answer["captured_seconds"]
    return Answered(elapsed, (time.time() - newest) * 1000, answer["timings"])


@dataclass(frozen=True, slots=True)
class Times:
    """The answers to first and to later questions."""

    cold: list[Answered]
    warm: list[Answered]


async def ours(bench: Bench, *, servers: int, questions: int) -> Times:
    """Questions to servers that have just started."""
    times = Times([], [])
    for _ in range(servers):
        async with started_server(bench) as url, aiohttp.ClientSession() as session:
            async with session.get(f"{url}/readyz") as ready:
                await ready.read()
            await asyncio.sleep(START_SECONDS)
            times.cold.append(await ask(session, url))
            times.warm.extend([await ask(session, url) for _ in range(questions)])
    return times


async def live_playlist(settings: PipelineSettings) -> LiveSource:
    """The first half of the chain, by our resolver."""
    async with open_resolver(settings) as resolver:
        source = await resolver.resolve(ChannelTarget(CHANNEL))
    assert isinstance(source, LiveSource)
    return source


@dataclass(frozen=True, slots=True)
class Floor:
    """The chains of round trips and the decoding, with nothing else around them, and what the sound decoded to.

    Times are in milliseconds.
    """

    cold: float
    warm: float
    pcm: Pcm


async def floor(session: aiohttp.ClientSession, settings: PipelineSettings) -> Floor:
    """Once along the chain."""
    twitch = settings.twitch
    attempt = twitch.gql_attempts[0]

    async def fetch(url: URL) -> bytes:
        async with session.get(url) as response:
            return await response.read()

    started = time.perf_counter()
    headers = {"Client-ID": attempt.client_id, "Content-Type": "application/json"}
    query = stream_token_query(CHANNEL).bodies(attempt.form)[0]
    async with session.post(twitch.gql_url, data=query, headers=headers) as response:
        data = parse_answer(response.status, await response.text()).data
    token = parse_token(data["streamPlaybackAccessToken"], "broadcast")
    address = usher.build_url(twitch.usher_url, usher.PlaylistKind.CHANNEL, usher.WAYS[0], CHANNEL, token)
    rendition = by_preference(parse_multivariant((await fetch(address)).decode()))[0]
    known = time.perf_counter()
    media = address.join(URL(rendition.uri, encoded=True))
    playlist = parse_media((await fetch(media)).decode())
    chosen = newest_content(playlist, wanted_seconds=SECONDS, enough_seconds=SECONDS / 2)
    urls = [media.join(URL(segment.uri, encoded=True)) for segment in chosen]
    content = b"".join(await asyncio.gather(*map(fetch, urls)))
    pcm = decode_bytes(content, container="mpegts", max_seconds=30.0)
    ended = time.perf_counter()
    return Floor(cold=(ended - started) * 1000, warm=(ended - known) * 1000, pcm=pcm)


async def recognition(settings: PipelineSettings, sounds: Sequence[Pcm]) -> list[float]:
    """The milliseconds of fingerprint and match of each sound; the first one, which warms up, does not count."""
    async with open_recognizers(settings) as recognizers:
        answers = [await recognizers.identify(Recording(pcm=pcm), _ignore) for pcm in sounds]
    return [answer.fingerprint_ms + answer.recognize_ms for answer in answers[1:]]


async def streamlink_times(folder: Path, added_ms: float, runs: int) -> list[float]:
    """A simulator that answers under Twitch's names, and streamlink's library before it."""
    async with real_clients(folder, await asyncio.to_thread(make_authority, folder)) as clients:
        clients.twitch.latency.set(added_ms)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.streamlink_reader", clients.proxy, "ladder"),
            *(str(runs), str(SECONDS)),
            env={"PATH": os.defpath, "HOME": str(folder), "REQUESTS_CA_BUNDLE": str(clients.authority)},
            stdout=subprocess.PIPE,
        )
        output, _ = await child.communicate()
        return cast("list[float]", json.loads(output))


async def control(session: aiohttp.ClientSession, bench: Bench, path: str, body: Mapping[str, Any]) -> None:
    """Move one of the simulator's switches."""
    async with session.post(f"{bench.simulator['control_url']}/{path}", json=body) as response:
        if response.status >= 400:
            raise RuntimeError(await response.text())


async def with_preroll(
    session: aiohttp.ClientSession, bench: Bench, *, seconds: float, servers: int
) -> tuple[list[float], list[float]]:
    """First and next questions when new sessions begin with an advertisement."""
    await control(session, bench, f"channels/{CHANNEL}", {"preroll_seconds": seconds})
    try:
        runs = [await ours(bench, servers=1, questions=1) for _ in range(servers)]
    finally:
        await control(session, bench, f"channels/{CHANNEL}", {"preroll_seconds": 0.0})
    return [run.cold[0].elapsed_ms for run in runs], [run.warm[0].elapsed_ms for run in runs]


async def without_prefetch(session: aiohttp.ClientSession, bench: Bench, *, questions: int) -> Times:
    """Questions about the channel while it lists finished segments only."""
    await control(session, bench, f"channels/{CHANNEL}", {"prefetch": False})
    try:
        return await ours(bench, servers=1, questions=questions)
    finally:
        await control(session, bench, f"channels/{CHANNEL}", {"prefetch": True})


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


def medians(answers: Sequence[Answered]) -> dict[str, float]:
    """Of each of the answers' own timings."""
    return {name: median([answer.timings[name] for answer in answers]) for name in answers[0].timings}


async def measure(bench: Bench, added_ms: float, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """One row."""
    settings = read_settings(PipelineSettings, bench.environment)
    async with aiohttp.ClientSession() as session:
        await control(session, bench, "latency", {"all_ms": added_ms})
        times = await ours(bench, servers=chosen.servers, questions=chosen.questions)
        await floor(session, settings)
        floors = [await floor(session, settings) for _ in range(2 * chosen.questions)]
        alone = await recognition(settings, [found.pcm for found in floors])
        slow = [await original(settings) for _ in range(chosen.originals)]
        finished = await without_prefetch(session, bench, questions=chosen.questions)
        first, following = await with_preroll(
            session, bench, seconds=chosen.preroll_seconds, servers=chosen.preroll_servers
        )
    players = await streamlink_times(folder, added_ms, chosen.originals)
    cold = [answer.elapsed_ms for answer in times.cold]
    warm = [answer.elapsed_ms for answer in times.warm]
    return {
        "added_ms": added_ms,
        "cold_ms": median(cold),
        "cold_p95_ms": percentile95(cold),
        "warm_ms": median(warm),
        "warm_p95_ms": percentile95(warm),
        "cold_age_ms": median([answer.age_ms for answer in times.cold]),
        "age_ms": median([answer.age_ms for answer in times.warm]),
        "age_finished_ms": median([answer.age_ms for answer in finished.warm]),
        "floor_ms": median([found.cold for found in floors]),
        "floor_warm_ms": median([found.warm for found in floors]),
        "recognition_ms": median(alone),
        "preroll_seconds": chosen.preroll_seconds,
        "preroll_first_ms": median(first),
        "preroll_next_ms": median(following),
        "original_ms": median(slow),
        "streamlink_ms": median(players),
        "steps": medians(times.warm),
        "cold_steps": medians(times.cold),
    }


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench answer-time", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--added-ms", type=float, nargs="+", default=[0.0, 40.0, 150.0])
    parser.add_argument("--servers", type=int, default=5, help="servers started for the cold figure")
    parser.add_argument("--questions", type=int, default=8, help="warm questions to each server")
    parser.add_argument("--originals", type=int, default=5, help="runs of the pipeline of the original kind")
    parser.add_argument("--preroll-seconds", type=float, default=9.0)
    parser.add_argument(
        "--preroll-servers", type=int, default=2, help="servers started for the pre-roll's figures"
    )
    parser.add_argument(
        "--undisturbed",
        action="store_true",
        help="ahead of everything else on this machine (Linux, as root), for figures of a machine that is busy",
    )
    chosen = parser.parse_args(argv)
    if chosen.undisturbed:
        # Inherited by the server, its workers and the simulator.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with tempfile.TemporaryDirectory() as name, simulated_twitch(Path(name) / "data") as bench:
        folder = Path(name)
        rows = [asyncio.run(measure(bench, added, folder, chosen)) for added in chosen.added_ms]
    print_table(
        "From POST to answer, milliseconds (medians)",
        [{key: value for key, value in row.items() if key not in HIDDEN} for row in rows],
    )
    print_table(
        "Ratios, and what is left of the aims: 4 round trips + 200 ms cold, 2 round trips + 150 ms warm",
        [
            {
                "added_ms": row["added_ms"],
                "original / cold": row["original_ms"] / row["cold_ms"],
                "original / warm": row["original_ms"] / row["warm_ms"],
                "streamlink / cold": row["streamlink_ms"] / row["cold_ms"],
                "cold / floor": row["cold_ms"] / row["floor_ms"],
                "warm / floor": row["warm_ms"] / row["floor_warm_ms"],
                "cold / (floor + recognition)": row["cold_ms"] / (row["floor_ms"] + row["recognition_ms"]),
                "warm / (floor + recognition)": row["warm_ms"] / (row["floor_warm_ms"] + row["recognition_ms"]),
                "cold left": 4 * row["added_ms"] + 200 - row["cold_ms"],
                "warm left": 2 * row["added_ms"] + 150 - row["warm_ms"],
            }
            for row in rows
        ],
    )
    print_table(
        "Steps, milliseconds (medians)",
        [
            {"added_ms": row["added_ms"], "question": question}
            | {name.removesuffix("_ms"): value for name, value in row[steps].items()}
            for row in rows
            for question, steps in (("first", "cold_steps"), ("later", "steps"))
        ],
    )
    write_json(chosen.json, {"rows": rows})
    return 0
