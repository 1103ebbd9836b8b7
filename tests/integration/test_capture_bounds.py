"""Files as large as Twitch's largest: they are heard, and memory does not grow with them."""

import tracemalloc
from collections.abc import AsyncGenerator
from pathlib import Path

import av
import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from av.audio.stream import AudioStream
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.media.capture import StreamCapture
from fingerprint.media.containers import iter_boxes
from fingerprint.media.decoder import DecoderPool
from fingerprint.media.fetch import Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.ports import ClipSource, VideoSource
from simulator.media import TICKS, Muxer, encode_ring
from simulator.synth import RATE
from tests.integration.capture_twitch import first_take
from tests.sounds import loudest_hertz

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20


def clip(folder: Path, *, streamable: bool) -> bytes:
    """A clip of six seconds of a tone, with its description in front or at the end."""
    path = folder / "clip.mp4"
    wave = (0.4 * np.sin(2 * np.pi * 440 * np.arange(6 * 48_000) / 48_000)).astype(np.float32)
    options = {"movflags": "faststart"} if streamable else {}
    with av.open(str(path), "w", format="mp4", options=options) as out:
        stream = out.add_stream("aac", rate=48_000, layout="mono")  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its options open
        assert isinstance(stream, AudioStream)
        for first in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(
                wave[np.newaxis, first : first + 1024], format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 48_000, first
            out.mux(stream.encode(frame))  # pyright: ignore[reportUnknownMemberType] - a packet's stream is left open
        out.mux(stream.encode(None))  # pyright: ignore[reportUnknownMemberType] - likewise
    return path.read_bytes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[URL]:
    folder = tmp_path_factory.mktemp("clips")
    contents = {name: clip(folder, streamable=name == "streamable") for name in ("streamable", "late")}

    async def serve(request: web.Request) -> web.StreamResponse:
        content, padding = contents[request.match_info["name"]], int(request.match_info["padding"]) * MIB
        if "ranges" in request.query:
            return await serve_interleaved(request, content, padding)
        response = web.StreamResponse()
        response.content_length = len(content) + padding
        await response.prepare(request)
        await response.write(content)
        for at in range(0, padding, MIB):
            head = padding.to_bytes(4, "big") + b"free" if not at else b""
            await response.write(head.ljust(MIB, b"\0"))
        await response.write_eof()
        return response

    app = web.Application()
    app.router.add_get("/{name}/{padding}.mp4", serve)
    async with TestServer(app) as running:
        yield running.make_url("/")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def capture(server: URL) -> AsyncGenerator[StreamCapture]:
    async with (
        Fetcher(AllowList.of_media_hosts((f"127.0.0.1:{server.port}",)), upstream="Twitch") as fetcher,
        DecoderPool(workers=1) as decoder,
    ):
        yield StreamCapture(fetcher, decoder, SystemClock())


def source(server: URL, name: str, padding: int, **query: str) -> ClipSource:
    return ClipSource(url=(server / f"{name}/{padding}.mp4").with_query(query), duration_seconds=6.0)


def find(content: bytes, kind: bytes) -> tuple[int, int]:
    return next((start, end) for name, start, end in iter_boxes(content, 0, len(content)) if name == kind)


async def serve_interleaved(request: web.Request, content: bytes, padding: int) -> web.StreamResponse:
    """A file of so many bytes more, in front of the sound in `mdat`, of which `moov` comes last; by ranges.

    It is written here piece by piece: no more of it is in memory than what it holds besides zeros.
    """
    (media, media_end), (at, end) = find(content, b"mdat"), find(content, b"moov")
    moov = bytearray(content[at - 8 : end])
    places = moov.index(b"stco") + 12
    for place in range(places, places + 4 * int.from_bytes(moov[places - 4 : places], "big"), 4):
        moved = int.from_bytes(moov[place : place + 4], "big") + 8 + padding
        moov[place : place + 4] = moved.to_bytes(4, "big")
    size = media_end - media + 16 + padding
    head = content[: media - 8] + b"\0\0\0\1mdat" + size.to_bytes(8, "big")
    tail = content[media:media_end] + bytes(moov)
    length = len(head) + padding + len(tail)
    first, last, _ = request.http_range.indices(length)
    response = web.StreamResponse(status=206 if "Range" in request.headers else 200)
    response.headers["Content-Range"] = f"bytes {first}-{last - 1}/{length}"
    response.content_length = last - first
    await response.prepare(request)
    for start, piece in ((0, head), (len(head) + padding, tail)):
        if start:
            for at in range(max(first, len(head)), min(last, start), MIB):
                await response.write(bytes(min(MIB, start - at, last - at)))
        await response.write(piece[max(0, first - start) : max(0, last - start)])
    await response.write_eof()
    return response


async def test_a_large_clip_whose_description_comes_last_is_heard_and_not_kept(
    server: URL, capture: StreamCapture
) -> None:
    tracemalloc.start()
    try:
        recording = await first_take(capture, source(server, "late", 80, ranges="yes"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert abs(loudest_hertz(recording.pcm) - 440) < 2
    assert recording.pcm.duration_seconds == pytest.approx(6.0, abs=0.1)
    assert 0 < len(recording.encoded or b"") < MIB, "the file of its sound alone"
    assert peak < 40 * MIB


async def test_a_large_clip_is_heard_and_not_kept(server: URL, capture: StreamCapture) -> None:
    tracemalloc.start()
    try:
        recording = await first_take(capture, source(server, "streamable", 80))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert abs(loudest_hertz(recording.pcm) - 440) < 2
    assert recording.pcm.duration_seconds == pytest.approx(6.0, abs=0.1)
    assert recording.encoded is None
    assert peak < 40 * MIB


async def test_several_at_once_share_one_worker(server: URL, capture: StreamCapture) -> None:
    for name, padding in (("streamable", 12), ("late", 12), ("streamable", 0), ("late", 0)):
        recording = await first_take(capture, source(server, name, padding))
        assert abs(loudest_hertz(recording.pcm) - 440) < 2, (name, padding)
        assert (recording.encoded is None) == ((name, padding) == ("streamable", 12))


async def test_what_is_too_large_is_refused(server: URL, capture: StreamCapture) -> None:
    for name, padding in (("late", 65), ("streamable", 257), ("streamable", 2_048)):
        with pytest.raises(UpstreamError) as caught:
            await first_take(capture, source(server, name, padding))
        assert caught.value.code is ProblemCode.UPSTREAM_UNAVAILABLE
        assert "too long" in caught.value.detail
        assert caught.value.retry_after_seconds is None, "it is as long when it is asked for again"
    recording = await first_take(capture, source(server, "streamable", 0))
    assert recording.encoded is not None, "the worker is free again"


# --- Segments with a picture --------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def video(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[URL]:
    """A VOD of three segments of 10 s at 20 Mbit/s, as fMP4 and as MPEG-TS, and as ranges of one file."""
    times = np.arange(2 * RATE) / RATE
    wave = np.stack([0.4 * np.sin(2 * np.pi * 440 * times)] * 2).astype(np.float32)
    ring = encode_ring("tone", tmp_path_factory.mktemp("ring"), lambda: wave)
    muxer = Muxer()
    contents = {
        suffix: muxer.segment(
            ring, 0, 10 * TICKS, pts=0, video=True, fragmented=suffix == "mp4", picture_bytes=20_000_000 // 96
        )
        for suffix in ("mp4", "ts")
    }
    init = muxer.init(video=True)
    muxer.close()

    async def playlist(request: web.Request) -> web.Response:
        suffix = request.match_info["suffix"]
        head = '#EXT-X-MAP:URI="init.mp4"\n' if suffix == "mp4" else ""
        ranges = f"#EXT-X-BYTERANGE:{len(contents[suffix])}@0\n" if "ranges" in request.query else ""
        listed = "".join(
            f"#EXT-X-DISCONTINUITY\n#EXTINF:10.0,\n{ranges}{number}.{suffix}\n" for number in range(3)
        )
        return web.Response(text=f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n{head}{listed}#EXT-X-ENDLIST\n")

    async def segment(request: web.Request) -> web.StreamResponse:
        content = contents[request.match_info["suffix"]]
        response = web.StreamResponse()
        response.content_length = len(content)
        await response.prepare(request)
        for at in range(0, len(content), MIB):
            await response.write(content[at : at + MIB])
        await response.write_eof()
        return response

    async def header(_request: web.Request) -> web.Response:
        return web.Response(body=init)

    app = web.Application()
    app.router.add_get("/init.mp4", header)
    app.router.add_get("/list-{suffix}.m3u8", playlist)
    app.router.add_get("/{number}.{suffix}", segment)
    async with TestServer(app) as running:
        yield running.make_url("/")


@pytest.mark.parametrize("name", ["list-mp4.m3u8", "list-ts.m3u8", "list-mp4.m3u8?ranges", "list-ts.m3u8?ranges"])
async def test_segments_of_20_mbit_are_heard_and_their_picture_is_not_kept(video: URL, name: str) -> None:
    async with (
        Fetcher(AllowList.of_media_hosts((f"127.0.0.1:{video.port}",)), upstream="Twitch") as fetcher,
        DecoderPool(workers=1) as decoder,
    ):
        capture = StreamCapture(fetcher, decoder, SystemClock())
        tracemalloc.start()
        try:
            recording = await first_take(
                capture, VideoSource(video_id="1", playlist=video.join(URL(name)), at_seconds=10.0)
            )
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert abs(loudest_hertz(recording.pcm) - 440) < 2
    assert recording.from_seconds == pytest.approx(0.0, abs=0.1)
    assert recording.pcm.duration_seconds == pytest.approx(20.0, abs=0.1)
    assert len(recording.encoded or b"") < MIB
    assert peak < 24 * MIB, "two segments have 50 MB"
