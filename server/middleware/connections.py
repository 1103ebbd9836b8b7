"""Bounds on connections, which aiohttp itself does not have: how many, from one address too, and how slow.

- All together: fewer than the process may have open files, so that accepting never fails.
- One address: as many as leave a share of the rest for others (dynamic thresholds, Choudhury and Hahne, 1998).
  Many viewers behind one address fit; one machine cannot take all.
- A head that is too long, as with too many cookies, and what is no HTTP get problem details like everything else.
- A request's head, the first and each later one, has to arrive within `head_seconds`.
- What is left of a request's body after its answer is read for 2 s, no more of it than an upload has, and, of all
  clients together, one piece after the other with pauses, so that it costs others little.
- A body in chunks may not be mostly their heads: each chunk costs as much as a thousand bytes. For some seconds
  after one, new connections of its address are read from one after the other.
- After a request that is refused because its address sends too many, the next one on the connection waits.
- A client has to read: one that takes nothing of its answers for `write_seconds` is disconnected, and when all
  unread answers together take too much memory, the clients that have not read for the longest.

This relies on private attributes of aiohttp's `RequestHandler`: pyproject.toml keeps aiohttp below the next
version, and tests/integration/test_connections.py shows that they mean what is thought here.
"""

import asyncio
import contextlib
import logging
import resource
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from fingerprint.background import Background
from fingerprint.clock import SystemClock
from fingerprint.domain.problems import Problem, ProblemCode
from server import keys
from server.access.identity.addresses import Networks, parse_address, sources_of
from server.middleware.path_prefix import unprefixed_requests
from server.middleware.pauses import Pauses
from server.middleware.problems import client_has_left, problem_response
from server.middleware.security_headers import HEADERS, SERVER
from server.observability import Counter, Metrics

SHARE: Final = 5
"""One address may have this many times the connections that are left."""

RESERVED_FILES: Final = 512
"""Open files that are not for connections, at most a quarter: the database, worker processes, calls to Twitch."""

UNREAD_BYTES: Final = 64 << 20
"""How much memory the answers may take that clients have not read, all together."""

LINGERING_BYTES: Final = 32 << 20
"""How much of a body is read after its answer: all of any upload, so that its client gets to see the answer."""

FRAMING_BYTES: Final = 8 << 10
"""How many bytes of a chunked body may be its chunks' heads and ends, besides as many for each 8 bytes of content.

That is 1,600 chunks of a byte each, or any number of 50 bytes.
"""

_FRAMED: Final = 8

PIECE_BYTES: Final = 4 << 10
"""How much of a chunked body is parsed before that is looked at."""

LINGERING_CHUNKS_BYTES: Final = 1 << 20
"""How much of a body that may be tiny chunks is read after its answer."""

_SPARSE: Final = 32
"""What has arrived with fewer line ends than one in so many bytes has few chunks."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Bounds; times are in seconds. `total` is None for what the limit of open files leaves."""

    total: int | None = None
    head_seconds: float = 10.0
    write_seconds: float = 20.0
    unread_bytes: int = UNREAD_BYTES


class Connection(RequestHandler):
    """aiohttp's handler of one connection, which also knows since when a request's head is arriving."""

    __slots__ = (
        "_chunked",
        "_framing",
        "_resting",
        "head_since",
        "lingering",
        "sources",
        "stalled_since",
        "unread",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A new connection has to send a head at once.
        self.head_since: float | None = time.monotonic()
        self.sources: tuple[str, ...] = ()
        self.lingering = 0
        self.unread = 0
        self.stalled_since = 0.0
        # The body that is arriving in chunks, and how much of what has arrived was not its content.
        self._chunked: StreamReader | None = None
        self._framing = 0
        self._resting = False

    def data_received(self, data: bytes) -> None:
        began = time.thread_time() if self.lingering else 0.0
        try:
            self._parse(data)
        except IndexError:  # yarl's, of `GET https://[a]@/`, which aiohttp's parser lets out
            self.abort()
            return
        waiter = self._waiter
        if self._messages or waiter is None or waiter.done():
            self.head_since = None
        elif self.head_since is None:
            # It waits for a request, and what has arrived is not a whole head yet.
            self.head_since = time.monotonic()
        if self._current_request is not None or self._messages or self.head_since is not None:
            self.lingering = 0
            return
        self._linger(len(data), began)

    def _parse(self, data: bytes) -> None:
        """Pass on what has arrived, in pieces where it may be tiny chunks, so that none are parsed for long."""
        if not data:
            super().data_received(data)
        is_dense = len(data) > PIECE_BYTES and data.count(b"\r") > len(data) // _SPARSE
        while data:
            requests, body = self._request_count, self._chunked
            known = 0 if body is None else body.total_bytes
            is_idle = self._current_request is None and not self._messages
            if is_dense and is_idle and self.lingering > LINGERING_CHUNKS_BYTES:
                self._end_chunks()
                return
            size = PIECE_BYTES if is_dense and (body is not None or is_idle) else len(data)
            piece, data = data[:size], data[size:]
            super().data_received(piece)
            arrived = len(piece)
            if self._request_count != requests:
                message, payload = self._messages[-1]
                body = self._chunked = payload if getattr(message, "chunked", False) else None
                known = self._framing = 0
                # Behind something else it is not known where the head ends: what came with it counts as content.
                alone = is_idle and self._request_count == requests + 1
                arrived -= piece.find(b"\r\n\r\n") + 4 if alone else arrived - payload.total_bytes
            if body is not None:
                self._framing += arrived - (body.total_bytes - known)
                if self._framing > FRAMING_BYTES + body.total_bytes // _FRAMED:
                    self._end_chunks()
                    return

    def _end_chunks(self) -> None:
        server = self._manager
        assert isinstance(server, _Server)
        server.bounds.count_ended("tiny chunks")
        server.bounds.pauses.slow_down(self.sources, time.monotonic())
        self.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to what could not be parsed as a request; aiohttp's own is plain text."""
        response = super().handle_error(request, status, exc, message)
        if status >= 500:
            return response
        status, detail = _misread(exc, status)
        refusal = problem_response(Problem(code=ProblemCode.INVALID_INPUT, detail=detail), status=status)
        refusal.headers.update({**HEADERS, "Server": SERVER})
        refusal.force_close()
        return refusal

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log an error; not the one of a connection that ended while the rest of its body was read."""
        if not client_has_left(self.transport, kw.get("exc_info")):
            super().log_exception(*args, **kw)

    def _linger(self, size: int, began: float) -> None:
        """Note what has arrived of a body whose answer was given, and read the next piece later or not at all.

        `began`: the thread's processor time at its arrival, in seconds; 0 for the first piece.
        """
        if not size:
            # aiohttp goes on with what it had put aside, which was counted.
            return
        self.lingering += size
        server = self._manager
        assert isinstance(server, _Server)
        if self.lingering > LINGERING_BYTES:
            self.abort()
            return
        if began:
            # Taking it from the system costs about as much again.
            took = 2 * (time.thread_time() - began)
            self.rest(server.bounds.pauses.after_piece(took, time.monotonic()))

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        finished = await super().finish_response(request, resp, start_time)
        context, server = request.get(keys.CONTEXT), self._manager
        # What a trusted proxy sends on the same connection next is another client's.
        if context is not None and context.over_budget and self.sources and isinstance(server, _Server):
            await asyncio.sleep(server.bounds.pauses.after_refusal(time.monotonic()))
        return finished

    def rest(self, seconds: float) -> None:
        """Read nothing for so long, also when aiohttp has room for more."""
        if not self._resting:
            self._resting = True
            self._pause_transport_reading()
            self._loop.call_later(seconds, self._rested)

    def _rested(self) -> None:
        self._resting = False
        if not self._reading_paused and not self._buffer_paused:
            self._resume_transport_reading()

    def _resume_transport_reading(self) -> None:
        if not self._resting:
            super()._resume_transport_reading()

    def abort(self) -> None:
        """End the connection at once, without waiting until the client has read everything."""
        transport = self.transport
        self.force_close()
        if isinstance(transport, asyncio.Transport) and transport.get_write_buffer_size():
            transport.abort()


def _misread(error: BaseException | None, status: int) -> tuple[int, str]:
    """The status and the sentence for a request that could not be parsed."""
    if not isinstance(error, LineTooLong):
        return status, "This is not a request that we can read: it does not keep to HTTP/1.1."
    line, kib = error.args[0], int(error.args[1]) / 1024
    if bytes(line).startswith((b"/", b"http")):
        return HTTPStatus.REQUEST_URI_TOO_LONG, f"The request's address is too long: we read {kib:.0f} KiB."
    return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, (
        f"A header of the request is too long: we read {kib:.0f} KiB of each. In a browser, it is most often "
        "too many cookies of this host: delete them, and load the page again."
    )


class _Server(web.Server):
    """aiohttp's server with a bounded number of connections; requests' paths have lost the website's prefix."""

    def __init__(
        self, server: web.Server, bounds: "ConnectionBounds", prefix: str, settings: dict[str, Any]
    ) -> None:
        super().__init__(
            server.request_handler,
            request_factory=unprefixed_requests(server.request_factory, prefix),
            handler_cancellation=server.handler_cancellation,
            **settings,
        )
        self.bounds: Final = bounds

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        assert isinstance(handler, Connection)
        if not self.bounds.admit(handler, transport):
            transport.abort()
        elif seconds := self.bounds.pauses.of_new_connection(handler.sources, time.monotonic()):
            # asyncio begins to read right after this.
            asyncio.get_running_loop().call_soon(handler.rest, seconds)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        assert isinstance(handler, Connection)
        self.bounds.forget(handler)
        super().connection_lost(handler, exc)


class BoundedRunner(web.AppRunner):
    """An AppRunner whose connections are bounded, and which knows the website's path prefix."""

    __slots__ = ("_bounds", "_prefix")

    def __init__(
        self, app: web.Application, bounds: "ConnectionBounds", *, path_prefix: str = "", **kwargs: Any
    ) -> None:
        super().__init__(app, **kwargs)
        self._bounds = bounds
        self._prefix = path_prefix

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        kept = server._kwargs  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        return _Server(server, self._bounds, self._prefix, kept)


class ConnectionBounds:
    """Counts the connections of a server by address, and ends those that are too slow."""

    def __init__(
        self,
        *,
        limits: ConnectionLimits,
        metrics: Metrics,
        trusted: Networks,
        background: Background | None = None,
    ) -> None:
        self._background = background or Background(SystemClock())
        self._limits = limits
        # A proxy's connections are those of many; it has limits of its own.
        self._trusted = trusted
        self._open: set[Connection] = set()
        self._by_source: dict[str, int] = {}
        self.pauses: Final = Pauses()
        self._ended: Counter = metrics.counter(
            "twitchaudio_connections_ended_total", "Connections that the server ended, by reason.", "reason"
        )
        metrics.gauge("twitchaudio_connections", "Open connections.", lambda: len(self._open))

    def admit(self, connection: Connection, transport: asyncio.Transport) -> bool:
        """Count a new connection; False when it is one too many."""
        peer: Any = transport.get_extra_info("peername")
        # An address and a port; on a Unix socket a text or nothing.
        address = None if not peer or isinstance(peer, str | bytes) else parse_address(str(peer[0]))
        sources = () if address is None or self._trusted.contain(address) else sources_of(address)
        total = self._limits.total or max_connections()
        left = total - len(self._open)
        if left <= 0 or any(self._by_source.get(source, 0) >= SHARE * left for source in sources):
            self._ended.add("too many")
            return False
        self._open.add(connection)
        connection.sources = sources
        for source in sources:
            self._by_source[source] = self._by_source.get(source, 0) + 1
        return True

    def forget(self, connection: Connection) -> None:
        """Count a connection that has ended."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        for source in connection.sources:
            self._by_source[source] -= 1
            if not self._by_source[source]:
                del self._by_source[source]

    def count_ended(self, reason: str) -> None:
        """Count a connection that ends itself."""
        self._ended.add(reason)

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Look at all connections periodically while the block runs."""
        sweeper = self._background.start("look at connections", self._sweep)
        try:
            yield
        finally:
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper

    async def _sweep(self) -> None:
        seconds = min(self._limits.head_seconds, self._limits.write_seconds) / 4
        while True:
            await asyncio.sleep(seconds)
            self.end_slow(time.monotonic())

    def end_slow(self, now: float) -> None:
        """End connections whose request's head takes too long, and those that do not read; `now` is monotonic."""
        limits = self._limits
        heads = [
            each
            for each in self._open
            if each.head_since is not None and now - each.head_since >= limits.head_seconds
        ]
        self._end(heads, "silent")
        stalled: list[Connection] = []
        unread: list[Connection] = []
        for each in self._open:
            transport = each.transport
            waiting = transport.get_write_buffer_size() if isinstance(transport, asyncio.Transport) else 0
            if not waiting:
                each.unread = 0
                continue
            if not each.unread or waiting < each.unread:
                # It has read something since, or has just begun to wait.
                each.stalled_since = now
            each.unread = waiting
            (stalled if now - each.stalled_since >= limits.write_seconds else unread).append(each)
        self._end(stalled, "does not read")
        excess = sum(each.unread for each in unread) - limits.unread_bytes
        if excess > 0:
            unread.sort(key=lambda each: each.stalled_since)
            ended: list[Connection] = []
            for each in unread:
                if excess <= 0:
                    break
                excess -= each.unread
                ended.append(each)
            self._end(ended, "does not read")

    def _end(self, connections: list[Connection], reason: str) -> None:
        for connection in connections:
            connection.abort()
            self._ended.add(reason)
        if connections:
            _log.info("connections_ended", extra={"count": len(connections), "reason": reason})


def max_connections() -> int:
    """How many connections the process's limit of open files leaves room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 1 << 20 if soft == resource.RLIM_INFINITY else soft
    return files - min(RESERVED_FILES, files // 4)
