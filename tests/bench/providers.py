"""What a question to a provider costs: bytes uploaded and CPU, ACRCloud's fingerprint against audio.

- `upload_bytes`: the whole body of the request
- `prepare_cpu_ms`: from six seconds of decoded sound to what is sent; `ask_cpu_ms`: signing, sending, reading the
  answer of the simulated service, which runs in a thread of its own
- `points_percent`: of the fingerprint's points, those that lie where the clean song has them. Between the rows it
  tells what the extractor's input is worth: our samples, or the container's bytes, which it decodes itself

The sound is music encoded as AAC in MPEG-TS, with noise as loud as a talker over half of the songs.
"""

import argparse
import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

import av
import numpy as np
from av.audio.stream import AudioStream

from fingerprint.domain.audio import Pcm, Recording
from fingerprint.media.decode import decode_bytes
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.providers.acrcloud_extractor import ExtractorMissingError, load_extractor
from fingerprint.providers.samples import WaveSample, narrow_samples
from fingerprint.recognizers import acrcloud, audd
from fingerprint.settings import read_settings
from fingerprint.wiring import open_members
from tests.bench.table import median, print_table, write_json
from tests.providers.acrcloud_service import (
    ACCESS_KEY,
    ACCESS_SECRET,
    AcrCloudService,
    compare,
    fingerprint_of,
    points,
)
from tests.providers.answers import ACR_TRACK, AUDD_RESULT
from tests.providers.audd_service import API_TOKEN, AuddService
from tests.unit.catalog.music import mixed, noise, tune

RATE: Final = 48_000
SECONDS: Final = 6.0
AT: Final = 11.0


def encoded(pcm: Pcm) -> bytes:
    """Sound as a live stream's segments bring it."""
    times = np.arange(round(pcm.duration_seconds * RATE)) / RATE
    wave = np.interp(times, np.arange(pcm.mono.size) / pcm.rate, pcm.mono).astype(np.float32)
    file = BytesIO()
    with av.open(file, "w", format="mpegts") as out:
        stream = out.add_stream("aac", rate=RATE, layout="stereo")  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its options open
        assert isinstance(stream, AudioStream)
        for first in range(0, wave.size, 1024):
            piece = np.ascontiguousarray(np.stack([wave[first : first + 1024]] * 2))
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            frame.pts = first
            out.mux(stream.encode(frame))  # pyright: ignore[reportUnknownMemberType] - PyAV leaves a packet's stream open
        out.mux(stream.encode(None))  # pyright: ignore[reportUnknownMemberType] - likewise
    return file.getvalue()


@contextmanager
def services() -> Generator[dict[str, str]]:
    """Both simulated providers in a thread; gives the variables that lead to them."""
    ready: list[dict[str, str]] = []
    started, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with AcrCloudService.running() as acr, AuddService.running() as other:
            acr.fixed, other.found = ACR_TRACK, AUDD_RESULT
            ready.append(acr.environment() | other.environment())
            started.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait(30)
    try:
        yield ready[0]
    finally:
        over.set()
        thread.join()


async def cpu_ms(work: Callable[[], Awaitable[object]]) -> float:
    """CPU of this thread."""
    started = time.thread_time()
    await work()
    return (time.thread_time() - started) * 1000


async def costs(
    environ: dict[str, str], name: str, recordings: Sequence[Recording]
) -> tuple[dict[str, Any], object]:
    """Medians over the recordings, and the last question."""
    settings = read_settings(PipelineSettings, environ | {"TWITCHAUDIO_RECOGNIZERS": name})
    preparing: list[float] = []
    asking: list[float] = []
    query: object = None
    async with open_members(settings) as members:
        recognizer = members[0].recognizer
        recognizer.prepare(recordings[0])
        for recording in recordings:
            started = time.thread_time()
            query = recognizer.prepare(recording)
            preparing.append((time.thread_time() - started) * 1000)
            asking.append(await cpu_ms(lambda: recognizer.recognize(query)))  # noqa: B023 - awaited at once
    found = {"prepare_cpu_ms": median(preparing), "ask_cpu_ms": median(asking)}
    return found | {"cpu_ms": median(preparing) + median(asking)}, query


def own_decoder(segment: bytes) -> bytes:
    """The extractor's fingerprint of the container's bytes."""
    options = {"filter_energy_min": 0, "silence_energy_threshold": 100, "silence_rate_threshold": 1}
    tool: Any = import_module("acrcloud_extr_tool")
    return cast("bytes", tool.create_fingerprint_by_filebuffer(segment, 0, 12, False, options))


async def measure(songs: int) -> list[dict[str, Any]]:
    """A row for each form."""
    load_extractor()
    clean = [tune(300 + number, 30.0) for number in range(songs)]
    heard = [
        mixed(pcm.cut(AT, SECONDS), noise(number, SECONDS), 1.0 if number % 2 else 0.0)
        for number, pcm in enumerate(clean)
    ]
    segments = [encoded(pcm) for pcm in heard]
    recordings = [
        Recording(pcm=decode_bytes(segment, container="mpegts", max_seconds=SECONDS + 1)) for segment in segments
    ]
    known = [points(fingerprint_of(pcm)) for pcm in clean]

    def kept(fingerprints: Sequence[bytes]) -> float:
        shares = [compare(points(one), song)[0] for one, song in zip(fingerprints, known, strict=True)]
        return 100 * sum(shares) / len(shares)

    rows: list[dict[str, Any]] = []
    with services() as environ:
        for form in ("fingerprint", "audio"):
            row, query = await costs(environ | {"TWITCHAUDIO_ACRCLOUD_SEND": form}, "acrcloud", recordings)
            assert isinstance(query, acrcloud.AcrCloudQuery)
            _, body = acrcloud.build_request(
                query.sample, form, access_key=ACCESS_KEY, access_secret=ACCESS_SECRET, timestamp=1_700_000_000
            )
            extract = load_extractor()
            percent = kept([extract(narrow_samples(recording.pcm)) for recording in recordings])
            rows.append({"form": f"ACRCloud, {form}", "upload_bytes": len(body), **row, "points_percent": percent})
        row, query = await costs(environ, "audd", recordings)
        assert isinstance(query, WaveSample)
        _, body = audd.build_request(query.wave, api_token=API_TOKEN)
        rows.append({"form": "AudD, audio", "upload_bytes": len(body), **row, "points_percent": None})
    decoding: list[float] = []
    fingerprints: list[bytes] = []
    for segment in segments:
        started = time.thread_time()
        fingerprints.append(own_decoder(segment))
        decoding.append((time.thread_time() - started) * 1000)
    rows.append(
        {
            "form": "(not used: the extractor decodes MPEG-TS itself)",
            "upload_bytes": len(fingerprints[-1]),
            "prepare_cpu_ms": median(decoding),
            "ask_cpu_ms": 0.0,
            "cpu_ms": median(decoding),
            "points_percent": kept(fingerprints),
        }
    )
    return rows


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench providers", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--songs", type=int, default=20)
    chosen = parser.parse_args(argv)
    try:
        rows = asyncio.run(measure(chosen.songs))
    except ExtractorMissingError as missing:
        print(f"scripts/bench providers: {missing}")
        return 1
    print_table(f"A question about {SECONDS:.0f} s of sound (medians of {chosen.songs})", rows)
    fingerprint, audio = rows[0], rows[1]
    ratios = {
        "upload": audio["upload_bytes"] / fingerprint["upload_bytes"],
        "cpu": audio["cpu_ms"] / fingerprint["cpu_ms"],
    }
    print(f"\naudio : fingerprint = {ratios['upload']:.1f} : 1 in bytes, {ratios['cpu']:.2f} : 1 in CPU")
    write_json(chosen.json, {"rows": rows, "audio_to_fingerprint": ratios})
    return 0
