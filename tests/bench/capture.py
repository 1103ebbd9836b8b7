"""What a capture costs: CPU of decoding and fingerprinting six seconds, and a server's memory over many answers.

- `decode_cpu_ms`: decoding, in this process; `worker_ms`: by the clock, through a decoder worker
- `fingerprint_cpu_ms`: what the catalog's recognizer computes of them
- `memory`: resident memory of a server and of all its decoder workers, after so many identifications
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp

from fingerprint.catalog.identify import prepare
from fingerprint.media.decode import decode_bytes
from fingerprint.media.decoder import DecoderPool
from tests.bench.answer_time import Bench, ask, process, simulated_twitch
from tests.bench.table import median, percentile95, print_table, write_json
from tests.sounds import tone

FORMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "MPEG-TS, AAC": {"container": "mpegts"},
    "fMP4, AAC": {"container": "mp4", "fragmented": True},
    "Ogg, Opus": {"container": "ogg"},
}


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU of all threads of this process."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


async def costs(runs: int) -> list[dict[str, Any]]:
    """A row for each form."""
    rows: list[dict[str, Any]] = []
    async with DecoderPool(workers=1) as pool:
        await pool.ready()
        for name, form in FORMS.items():
            encoded, container = tone(**form), str(form["container"])
            pcm = decode_bytes(encoded, container=container, max_seconds=7.0)
            prepare(pcm)
            decode = partial(decode_bytes, encoded, container=container, max_seconds=7.0)
            decoding = [cpu_ms(decode) for _ in range(runs)]
            fingerprinting = [cpu_ms(partial(prepare, pcm)) for _ in range(runs)]
            by_worker: list[float] = []
            for _ in range(runs):
                started = time.perf_counter()
                await pool.decode(encoded, container=container, max_seconds=7.0)
                by_worker.append((time.perf_counter() - started) * 1000)
            rows.append(
                {
                    "form": name,
                    "decode_cpu_ms": median(decoding),
                    "worker_ms": median(by_worker),
                    "fingerprint_cpu_ms": median(fingerprinting),
                    "cpu_ms": median(decoding) + median(fingerprinting),
                    "cpu_p95_ms": percentile95(decoding) + percentile95(fingerprinting),
                }
            )
    return rows


def resident_mib(pid: int) -> float:
    """Of a process and its children."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return own / 1024 + sum(resident_mib(int(child)) for child in children)


async def memory(bench: Bench, identifications: int) -> list[dict[str, Any]]:
    """Questions one after another to one server."""
    rows: list[dict[str, Any]] = []
    with process(["server", "serve", "--port", "0"], bench.environment) as child:
        assert child.stdout is not None
        line = await asyncio.to_thread(child.stdout.readline)
        while "http://" not in line:
            line = await asyncio.to_thread(child.stdout.readline)
        url = "http://" + line.split("http://", 1)[1].split()[0].rstrip("/.")
        async with aiohttp.ClientSession() as session:
            for number in range(identifications + 1):
                await ask(session, url)
                if number % max(1, identifications // 10) == 0:
                    total = await asyncio.to_thread(resident_mib, child.pid)
                    rows.append({"identifications": number, "resident_mib": round(total, 1)})
    return rows


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench capture", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=40, help="repetitions of each measurement of CPU")
    parser.add_argument("--identifications", type=int, default=1000)
    chosen = parser.parse_args(argv)
    rows = asyncio.run(costs(chosen.runs))
    print_table("Six seconds of sound, milliseconds (medians)", rows)
    with tempfile.TemporaryDirectory() as folder, simulated_twitch(Path(folder)) as bench:
        grown = asyncio.run(memory(bench, chosen.identifications))
    print_table("Memory of the server and its decoders, MiB", grown)
    write_json(chosen.json, {"rows": rows, "memory": grown})
    return 0
