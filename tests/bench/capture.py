"""What a capture costs: decoding and fingerprinting six seconds that come in three pieces. The aim: 60 ms of CPU.

- `decode_cpu_ms`: decoding, in this process
- `worker_ms`: by the clock, through a decoder worker, in one go
- `ahead_ms`: likewise from the last piece on, when pieces come `APART_SECONDS` apart and are decoded as they come
- `fingerprint_cpu_ms`: what the catalog's recognizer computes of them
- `cpu_ms`: decoding and fingerprinting; `cpu_p95_ms`: what one in twenty takes more than

`scripts/bench soak` tells of memory.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from fingerprint.catalog.identify import prepare
from fingerprint.media.decode import decode_bytes
from fingerprint.media.decoder import DecoderPool
from tests.bench.table import median, percentile95, print_table, write_json
from tests.sounds import tone

FORMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "MPEG-TS, AAC": {"container": "mpegts"},
    "fMP4, AAC": {"container": "mp4", "fragmented": True},
    "Ogg, Opus": {"container": "ogg"},
}
PIECES: Final = 3
APART_SECONDS: Final = 0.02
MOST_SECONDS: Final = 7.0


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU of all threads of this process."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


async def in_one_go(pool: DecoderPool, encoded: bytes, container: str) -> float:
    """Milliseconds of decoding all of it."""
    started = time.perf_counter()
    await pool.decode(encoded, container=container, max_seconds=MOST_SECONDS)
    return (time.perf_counter() - started) * 1000


async def as_it_comes(pool: DecoderPool, encoded: bytes, container: str) -> float:
    """Milliseconds from its last piece on."""
    size = -(-len(encoded) // PIECES)
    decoding = pool.begin(max_seconds=MOST_SECONDS)
    started = 0.0
    for first in range(0, len(encoded), size):
        if first:
            await asyncio.sleep(APART_SECONDS)
        started = time.perf_counter()
        decoding.feed(encoded[first : first + size], container=container)
    if await decoding.finish() is None:
        raise RuntimeError("it was not decoded as it came")
    return (time.perf_counter() - started) * 1000


async def costs(runs: int) -> list[dict[str, Any]]:
    """A row for each form."""
    rows: list[dict[str, Any]] = []
    async with DecoderPool(workers=2) as pool:
        await pool.ready()
        for name, form in FORMS.items():
            encoded, container = tone(**form), str(form["container"])
            pcm = decode_bytes(encoded, container=container, max_seconds=MOST_SECONDS)
            prepare(pcm)
            decode = partial(decode_bytes, encoded, container=container, max_seconds=MOST_SECONDS)
            decoding = [cpu_ms(decode) for _ in range(runs)]
            fingerprinting = [cpu_ms(partial(prepare, pcm)) for _ in range(runs)]
            by_worker = [await in_one_go(pool, encoded, container) for _ in range(runs)]
            ahead = [await as_it_comes(pool, encoded, container) for _ in range(runs)]
            rows.append(
                {
                    "form": name,
                    "decode_cpu_ms": median(decoding),
                    "worker_ms": median(by_worker),
                    "ahead_ms": median(ahead),
                    "fingerprint_cpu_ms": median(fingerprinting),
                    "cpu_ms": median(decoding) + median(fingerprinting),
                    "cpu_p95_ms": percentile95(decoding) + percentile95(fingerprinting),
                }
            )
    return rows


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench capture", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=40, help="repetitions of each measurement")
    chosen = parser.parse_args(argv)
    rows = asyncio.run(costs(chosen.runs))
    print_table("Six seconds of sound, milliseconds (medians)", rows)
    write_json(chosen.json, {"rows": rows})
    return 0
