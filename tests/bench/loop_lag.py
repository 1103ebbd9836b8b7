"""How late the event loop runs what is due, while songs that the catalog does not know are recognized beside it.

A timer asks to be woken every 5 ms; the lag is how much later it was. Rows: idle, then `songs` recordings of 6 s
at a time, in this process (as on Lambda) and in worker processes (as in the server). Unknown songs take all steps
of the search, and so the longest. `answer_ms` is the median time to an answer.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import cycle
from pathlib import Path
from typing import Final

from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.domain.audio import Pcm, Recording
from fingerprint.recognizers.catalog import CatalogRecognizer
from fingerprint.recognizers.chain import RecognizerChain
from tests.bench.table import median, print_table, write_json
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import fill

TICK_SECONDS: Final = 0.005
TRACKS: Final = 60


async def measure_lag(done: asyncio.Event) -> list[float]:
    """The lags of a timer until `done`, in milliseconds."""
    loop = asyncio.get_running_loop()
    lags: list[float] = []
    while not done.is_set():
        due = loop.time() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        lags.append((loop.time() - due) * 1000)
    return lags


async def keep_asking(chain: RecognizerChain, sounds: Sequence[Pcm], done: asyncio.Event) -> list[float]:
    """Recognize one sound after the other until `done`; the times that each took, in milliseconds."""
    took: list[float] = []
    for pcm in cycle(sounds):
        if done.is_set():
            break
        began = time.perf_counter()
        await chain.identify(Recording(pcm=pcm), lambda _stage: None)
        took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(
    folder: Path, songs: int, seconds: float, sounds: Sequence[Pcm], *, in_workers: bool
) -> dict[str, object]:
    """One row."""
    async with RecognitionPool(folder) if in_workers else nullcontext() as pool:
        if pool is not None:
            await pool.ready()
        async with RecognizerChain([CatalogRecognizer(folder, pool=pool)]) as chain:
            for pcm in sounds[:2]:
                await chain.identify(Recording(pcm=pcm), lambda _stage: None)
            done = asyncio.Event()
            asyncio.get_running_loop().call_later(seconds, done.set)
            asking = [keep_asking(chain, sounds[number:], done) for number in range(songs)]
            lags, *times = await asyncio.gather(measure_lag(done), *asking)
    ordered = sorted(lags)
    return {
        "songs": songs,
        "where": "workers" if in_workers else "this process",
        "lag_p50_ms": median(ordered),
        "lag_p99_ms": ordered[int(0.99 * (len(ordered) - 1))],
        "answers": sum(len(each) for each in times),
        "answer_ms": median([took for each in times for took in each]) if songs else 0.0,
    }


async def _run(folder: Path, songs: Sequence[int], seconds: float) -> list[dict[str, object]]:
    sounds = [mixed(tune(1000 + number).cut(0, 6), noise(number, 6.0), 0.5) for number in range(12)]
    rows = [await measure(folder, 0, seconds, sounds, in_workers=True)]
    for count in songs:
        rows += [await measure(folder, count, seconds, sounds, in_workers=each) for each in (False, True)]
    return rows


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench loop-lag", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--songs", type=int, nargs="+", default=[1, 4], help="how many are recognized at a time")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each row takes")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), range(TRACKS))
        rows = asyncio.run(_run(Path(folder), arguments.songs, arguments.seconds))
    print_table("Lag of the event loop", rows)
    write_json(arguments.json, {"rows": rows})
    return 0
