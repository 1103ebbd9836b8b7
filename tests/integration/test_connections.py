"""Connections: a bounded number, from each address too, and none that is silent, drips or does not read."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.streams import StreamReader
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.pipeline_settings import PipelineSettings
from server.access.identity.addresses import Networks, parse_network
from server.app import make_app
from server.cli import serving as cli_serving
from server.cli.shared_address import SharedAddress
from server.middleware import pauses
from server.middleware.connections import (
    LINGERING_BYTES,
    BoundedRunner,
    ConnectionBounds,
    ConnectionLimits,
)
from server.middleware.pauses import Pauses
from server.middleware.problems import problem_details
from server.observability import Metrics
from server.server_limits import ServerLimits
from server.settings import ServerSettings
from tests.api_client import open_api, until
from tests.fakes import FakePipeline

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


@asynccontextmanager
async def serving(
    *,
    limits: ConnectionLimits,
    trusted: str | None = None,
    body: bytes = b"hello",
    handle: Handler | None = None,
    middlewares: Sequence[Middleware] = (),
) -> AsyncGenerator[tuple[ConnectionBounds, URL, Metrics]]:
    async def say(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application(middlewares=middlewares, client_max_size=1 << 20)
    app.router.add_route("*", "/", handle or say)
    metrics = Metrics()
    networks = Networks(() if trusted is None else (parse_network(trusted),))
    bounds = ConnectionBounds(limits=limits, metrics=metrics, trusted=networks)
    runner = BoundedRunner(app, bounds, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address: Any = runner.addresses[0]
        yield bounds, URL(f"http://127.0.0.1:{address[1]}"), metrics
    finally:
        await runner.cleanup()


async def opened(url: URL, stack: contextlib.AsyncExitStack, source: str = "127.0.0.1") -> asyncio.StreamReader:
    reader, writer = await asyncio.open_connection(url.host, url.port, local_addr=(source, 0))
    stack.callback(writer.close)
    return reader


def ended(readers: list[asyncio.StreamReader]) -> int:
    """How many connections the server has ended."""
    return sum(reader.at_eof() or reader.exception() is not None for reader in readers)


async def test_one_address_leaves_room_for_others_and_all_together_have_a_bound() -> None:
    async with (
        serving(limits=ConnectionLimits(total=24)) as (_, url, metrics),
        contextlib.AsyncExitStack() as stack,
    ):
        readers = [await opened(url, stack) for _ in range(24)]
        await until(lambda: ended(readers) == 4)
        assert "twitchaudio_connections 20" in metrics.render()
        # Another address still gets what is left.
        others = [await opened(url, stack, "127.0.0.2") for _ in range(6)]
        await until(lambda: ended(others) == 2)
        assert "twitchaudio_connections 24" in metrics.render()
        assert 'twitchaudio_connections_ended_total{reason="too many"} 6' in metrics.render()
        assert ended(readers) == 4


async def read_body(request: web.Request) -> bytes:
    return await request.read()


async def read_more(request: web.Request) -> bytes:
    return await StreamReader(request.protocol, 1 << 16, loop=asyncio.get_running_loop()).readany()


@pytest.mark.parametrize(
    ("begin", "read"),
    [(b"", read_body), (b"some", read_body), (b"some" * 100_000, read_body), (b"some", read_more)],
    ids=["no body", "a part", "much of it", "another reader"],
)
async def test_clients_that_leave_before_their_body_is_read_cost_no_line_of_the_log(
    caplog: pytest.LogCaptureFixture, begin: bytes, read: Callable[[web.Request], Awaitable[bytes]]
) -> None:
    asked, left, tried = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait_for_the_turn(request: web.Request) -> web.Response:
        asked.set()
        await left.wait()
        await until(lambda: request.transport is None)
        try:
            return web.Response(body=await read(request))
        finally:
            tried.set()

    metrics = Metrics()
    async with serving(
        limits=ConnectionLimits(), handle=wait_for_the_turn, middlewares=[problem_details(metrics)]
    ) as (_, url, _):
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + begin)
        await asked.wait()
        writer.transport.abort()
        left.set()
        await tried.wait()
        await asyncio.sleep(0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "internal" not in metrics.render()


async def test_connections_that_end_make_room_and_a_trusted_proxy_may_have_all() -> None:
    async with serving(limits=ConnectionLimits(total=6), trusted="127.0.0.0/8") as (_, url, metrics):
        for _ in range(3):
            async with contextlib.AsyncExitStack() as stack:
                readers = [await opened(url, stack) for _ in range(6)]
                await until(lambda: "twitchaudio_connections 6" in metrics.render())
                assert ended(readers) == 0
            await until(lambda: "twitchaudio_connections 0" in metrics.render())


async def drip(writer: asyncio.StreamWriter) -> None:
    for sign in HEAD + b"X-Slow: " + b"a" * 1_000:
        writer.write(bytes([sign]))
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("before", [b"", HEAD + b"\r\n"], ids=["first request", "second request"])
async def test_c1_a_head_that_drips_is_given_up_whichever_request_it_is_of(before: bytes) -> None:
    limits = ConnectionLimits(head_seconds=0.5, write_seconds=30.0)
    async with serving(limits=limits) as (bounds, url, _), bounds.watching():
        reader, writer = await asyncio.open_connection(url.host, url.port)
        if before:
            writer.write(before)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        dripping = asyncio.create_task(drip(writer))
        await until(lambda: ended([reader]) == 1)
        dripping.cancel()
        writer.close()


async def test_a_connection_between_two_requests_is_not_dripping() -> None:
    limits = ConnectionLimits(head_seconds=0.2, write_seconds=30.0)
    async with serving(limits=limits) as (bounds, url, _), ClientSession(base_url=url) as client:
        await (await client.get("/")).read()
        bounds.end_slow(1e12)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(HEAD + b"\r\n")
        assert await reader.readuntil(b"hello")
        bounds.end_slow(1e12)
        writer.write(HEAD + b"\r\n")
        assert await reader.readuntil(b"hello")
        writer.close()


@asynccontextmanager
async def not_reading(url: URL, count: int, requests: int = 3) -> AsyncGenerator[None]:
    """Connections that ask for much and read nothing of it."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.setblocking(False)
            await loop.sock_connect(connection, (url.host, url.port))
            await loop.sock_sendall(connection, (HEAD + b"\r\n") * requests)
        yield


def connections_of(bounds: ConnectionBounds) -> list[Any]:
    return list(vars(bounds)["_open"])


def unread(bounds: ConnectionBounds) -> list[int]:
    found = connections_of(bounds)
    return [each.transport.get_write_buffer_size() for each in found if each.transport is not None]


async def test_what_is_left_of_a_body_after_its_answer_is_read_up_to_a_bound() -> None:
    async with serving(limits=ConnectionLimits()) as (_, url, _metrics):
        head = b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000000\r\n\r\n"
        reader, writer = await asyncio.open_connection(url.host, url.port)
        sent, piece = 0, bytes(1 << 20)
        writer.write(head)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        with contextlib.suppress(ConnectionError):
            while sent < 10 * LINGERING_BYTES:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
        writer.transport.abort()
        # The system keeps some that the server never reads.
        assert sent < 2 * LINGERING_BYTES
        reader, writer = await asyncio.open_connection(url.host, url.port)
        # As much as an upload has is read: its client gets to see the answer, and goes on with the connection.
        for _ in range(3):
            writer.write(head.replace(b"4000000000", b"%d" % (25 << 20)) + bytes(25 << 20))
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.transport.abort()


async def test_what_is_left_of_a_body_is_read_in_pieces_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a client that sends so much at once that aiohttp stops reading, and reads on, by itself."""
    pauses: list[float] = []

    def pause(_pauses: Pauses, took: float, _now: float) -> float:
        pauses.append(took)
        return 3_600.0

    monkeypatch.setattr(Pauses, "after_piece", pause)
    async with serving(limits=ConnectionLimits()) as (bounds, url, _metrics):
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        (connection,) = connections_of(bounds)
        writer.write(bytes(16 << 20))
        await until(lambda: len(pauses) == 1)
        for _ in range(20):
            await asyncio.sleep(0.01)
        # A piece before the pause is counted from, and that one.
        assert (len(pauses), connection.lingering <= 2 << 18) == (1, True)
        assert all(0.0 <= took < 20.0 for took in pauses)
        writer.transport.abort()


async def test_after_a_refusal_the_next_request_on_a_connection_waits_and_other_connections_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def pause(_pauses: Pauses, now: float) -> float:
        given.append(now)
        return 3_600.0

    monkeypatch.setattr(Pauses, "after_refusal", pause)
    limits = ServerLimits(requests_burst=1.0, requests_per_second=0.001)
    async with open_api(FakePipeline(SystemClock()), tmp_path, limits=limits) as api:
        answer = await api.get("/none")
        assert answer.status == 404
        port = answer.url.port
        async with contextlib.AsyncExitStack() as stack:
            for number in (1, 2):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(writer.close)
                writer.write(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 429")
                for _ in range(20):
                    await asyncio.sleep(0.01)
                rest = bytes(vars(reader)["_buffer"])
                assert (len(given), b"HTTP/1.1" in rest) == (number, False)


async def test_l7_requests_are_handled_as_the_answers_before_them_are_read() -> None:
    size = 400_000
    async with serving(limits=ConnectionLimits(), body=bytes(size)) as (bounds, url, _):
        async with not_reading(url, 1, requests=40):
            await until(lambda: sum(unread(bounds)) > 0)
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert sum(unread(bounds)) < 2 * size
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write((HEAD + b"\r\n") * 40)
        for _ in range(40):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            await reader.readexactly(size)
        writer.close()


async def test_l7_who_never_reads_is_disconnected_and_the_memory_comes_back() -> None:
    async with serving(limits=ConnectionLimits(write_seconds=10.0), body=bytes(20 << 20)) as (
        bounds,
        url,
        metrics,
    ):
        async with not_reading(url, 3):
            await until(lambda: len([size for size in unread(bounds) if size]) == 3)
            bounds.end_slow(1_000.0)
            bounds.end_slow(1_009.0)
            assert len(unread(bounds)) == 3
            bounds.end_slow(1_010.0)
            await until(lambda: not unread(bounds))
        assert 'twitchaudio_connections_ended_total{reason="does not read"} 3' in metrics.render()


async def test_l7_all_unread_answers_together_are_bounded() -> None:
    limits = ConnectionLimits(write_seconds=1e9, unread_bytes=30 << 20)
    async with serving(limits=limits, body=bytes(20 << 20)) as (bounds, url, _), not_reading(url, 4):
        await until(lambda: len([size for size in unread(bounds) if size > 1 << 20]) == 4)
        bounds.end_slow(1_000.0)
        await until(lambda: sum(unread(bounds)) <= 30 << 20)
        assert len([size for size in unread(bounds) if size]) == 1


@pytest.mark.parametrize(
    ("head", "status", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: a=%b\r\n\r\n" % (b"x" * 9_000), 431, "too many cookies"),
        (b"GET /?%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 9_000), 414, "address is too long"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "HTTP/1.1"),
    ],
)
async def test_a_head_that_cannot_be_read_is_a_problem_like_others(head: bytes, status: int, said: str) -> None:
    async with serving(limits=ConnectionLimits()) as (_, url, _metrics), contextlib.AsyncExitStack() as stack:
        reader, writer = await asyncio.open_connection(url.host, url.port)
        stack.callback(writer.close)
        writer.write(head)
        answer = (await reader.read()).decode()
        top, _, body = answer.partition("\r\n\r\n")
        assert top.split()[1] == str(status)
        assert "Content-Type: application/problem+json" in top
        assert "X-Content-Type-Options: nosniff" in top
        assert "Server: TwitchAudio" in top
        problem = json.loads(body)
        assert (problem["status"], problem["code"]) == (status, "invalid-input")
        assert said in problem["detail"]


@pytest.mark.parametrize("host", ["::", "0::0"])
async def test_all_addresses_are_those_of_both_kinds(tmp_path: Path, host: str) -> None:
    if not (socket.has_ipv6 and socket.has_dualstack_ipv6()):
        pytest.skip("this machine has no IPv6")
    settings = ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path))
    app = make_app(settings, pipeline=FakePipeline(SystemClock()).pipeline)
    async with cli_serving.serving(app, host, 0) as shown, ClientSession() as client:
        assert shown.host == "127.0.0.1"
        for each in (shown, shown.with_host("::1"), shown.with_host("localhost")):
            assert (await client.get(each / "healthz")).status == 200, each


def test_workers_share_both_kinds_of_addresses() -> None:
    if not (socket.has_ipv6 and socket.has_dualstack_ipv6()):
        pytest.skip("this machine has no IPv6")
    address = SharedAddress("::", 0)
    try:
        (listener,) = address.bind()
        with listener:
            listener.listen()
            for target in ("127.0.0.1", "::1"):
                socket.create_connection((target, address.port), timeout=20).close()
    finally:
        address.close()


# --- Bodies in chunks ---------------------------------------------------------------------------------


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def chunked(content: bytes, size: int) -> bytes:
    """Content in chunks of a size, without the last one, which is empty."""
    parts = [content[first : first + size] for first in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


@pytest.mark.parametrize("at_once", [True, False], ids=["in one piece", "after the answer"])
@pytest.mark.parametrize("extension", [b"", b";a=bcdefghijklmnopqrstuvwxyz"], ids=["tiny", "with extensions"])
async def test_a_body_of_tiny_chunks_is_not_read_for_long(
    at_once: bool, extension: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each costs as much as a thousand bytes, and delays all others."""
    monkeypatch.setattr(pauses, "SLOW_STEP", 0.5)
    flood = b"1%b\r\nx\r\n" % extension * 20_000
    async with serving(limits=ConnectionLimits()) as (bounds, url, metrics):
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            writer.write(HEAD + CHUNKED)
            if not at_once:
                assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            writer.write(flood)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await until(lambda: 'ended_total{reason="tiny chunks"} 1' in metrics.render())
            await until(lambda: ended([reader]) == 1)
            # The address's next connections are read from later than others' are.
            connection = socket.create_connection((str(url.host), url.port or 0))
            with connection:
                await until(lambda: "twitchaudio_connections 1" in metrics.render())
                (kept,) = connections_of(bounds)
                await until(lambda: not kept.transport.is_reading())
                await until(kept.transport.is_reading)
        finally:
            writer.close()
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_chunks_right_behind_another_requests_body_are_read() -> None:
    """What arrives together: the content of the first is not taken for what the chunks have besides theirs."""
    content = bytes(100_000)
    got: list[bytes] = []

    async def handle(request: web.Request) -> web.Response:
        got.append(await request.read())
        return web.Response()

    async with serving(limits=ConnectionLimits(), handle=handle) as (_, url, metrics):
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
            + HEAD.replace(b"GET", b"POST")
            + CHUNKED
            + chunked(content, 1_000)
            + b"0\r\n\r\n"
        )
        await until(lambda: len(got) == 2)
        assert got == [content] * 2
        writer.close()
        assert "tiny chunks" not in metrics.render()


@pytest.mark.parametrize("size", [1, 50, 1_000, 100_000])
async def test_a_usual_body_in_chunks_is_read(size: int) -> None:
    """One of a byte each has to be short; of 50 bytes and more they may be any number."""
    content = bytes(range(256)) * (6 if size == 1 else 2_000)
    got: list[bytes] = []

    async def handle(request: web.Request) -> web.Response:
        got.append(await request.read())
        return web.Response()

    async with serving(limits=ConnectionLimits(), handle=handle) as (_, url, metrics):
        reader, writer = await asyncio.open_connection(url.host, url.port)
        # Twice on the same connection, and once with the next head right behind the end.
        for _ in range(2):
            writer.write(HEAD.replace(b"GET", b"POST") + CHUNKED + chunked(content, size) + b"0\r\n\r\n")
        for number in (1, 2):
            await until(lambda: len(got) >= number)  # noqa: B023 - looked at before the next one
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))
        await until(lambda: len(got) == 3)
        assert got == [content] * 3
        writer.close()
        assert reader.exception() is None
        assert "tiny chunks" not in metrics.render()
