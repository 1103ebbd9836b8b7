"""Sends every answer of the simulator: logged, delayed, and altered by faults."""

import asyncio
import contextlib
import gzip
from collections import Counter, deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from aiohttp import hdrs, web

from simulator.browser_demands import TABLE, refused
from simulator.clock import SimulatedClock
from simulator.faults import Fault, FaultKind, Step

_HTML: Final = (
    b"<!DOCTYPE html><html><head><title>Twitch</title></head><body><h1>Something went wrong</h1></body></html>"
)
_HUGE_LINE: Final = b'#EXT-X-TWITCH-INFO:NODE="a line that says nothing, again and again and again and again"\n'
_OVERSIZED_BODY_BYTES: Final = 32 << 20
_DRIP_PIECES: Final = 20
_ENDLESS_PIECE_BYTES: Final = 1 << 18
_ENDLESS_BYTES: Final = 1 << 30
_REDIRECTED: Final = "redirected"
_SECRET_PARAMETERS: Final = frozenset({"sig", "token", "nauth", "nauthsig"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One answered request. `target`: the channel, clip or VOD; `query` omits signatures and tokens,
    whose names are in `hidden_parameters`.
    """

    at: float
    step: str
    method: str
    host: str
    path: str
    query: dict[str, str]
    hidden_parameters: list[str]
    headers: dict[str, str]
    target: str
    operation: str
    status: int
    delay_seconds: float
    fault: str | None


_LOGGED_HEADERS: Final = (
    "User-Agent",
    "Client-ID",
    "Content-Type",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Origin",
    "Referer",
    "Range",
    "Device-ID",
    "X-Device-Id",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
)


class RequestLog:
    """The newest requests, and how many there were of each kind since the last `clear`."""

    def __init__(self, *, kept: int = 5_000) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=kept)
        self._counts: Counter[str] = Counter()

    @property
    def records(self) -> tuple[RequestRecord, ...]:
        """The stored records, oldest first."""
        return tuple(self._records)

    @property
    def counts(self) -> dict[str, int]:
        """The number of requests for each step."""
        return dict(self._counts)

    def count(self, step: str, target: str | None = None) -> int:
        """How many stored requests there are for a step, and for a target if one is given."""
        return sum(record.step == step and target in (None, record.target) for record in self._records)

    def clear(self) -> None:
        """Delete all records and counts."""
        self._records.clear()
        self._counts.clear()

    def add(self, record: RequestRecord) -> None:
        """Add a record, and drop the oldest when there are too many."""
        self._records.append(record)
        self._counts[record.step] += 1


@dataclass(slots=True)
class Latency:
    """The delay of each answer in milliseconds: the sum of `all_ms` and the step's own."""

    all_ms: float = 0.0
    by_step: dict[Step, float] | None = None

    def of(self, step: Step) -> float:
        """The delay of a step in seconds."""
        return (self.all_ms + (self.by_step or {}).get(step, 0.0)) / 1000

    def set(self, all_ms: float = 0.0, by_step: dict[Step, float] | None = None) -> None:
        """Replace both delays. Raises ValueError outside of 0..60000 ms."""
        if not all(0 <= value <= 60_000 for value in (all_ms, *(by_step or {}).values())):
            raise ValueError("latency must be 0..60000 ms")
        self.all_ms = all_ms
        self.by_step = dict(by_step or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedResponse:
    """A response to be sent. `faults` are those taken for this request."""

    step: Step
    body: bytes
    content_type: str
    status: int = 200
    target: str = ""
    operation: str = ""
    headers: dict[str, str] | None = None
    faults: tuple[Fault, ...] = ()


class Transport:
    """Sends the responses of the whole simulator."""

    def __init__(self, clock: SimulatedClock, *, latency: Latency | None = None) -> None:
        self.latency: Final = latency or Latency()
        self.log: Final = RequestLog()
        self._demands: frozenset[str] = frozenset()
        self._clock = clock

    @property
    def demands(self) -> frozenset[str]:
        """What is demanded of requests, by its name in `browser_demands.TABLE`."""
        return self._demands

    def demand(self, *names: str) -> None:
        """Serve only requests that have these things which browsers send. Raises ValueError for unknown names."""
        known = {demand.name for demand in TABLE}
        if not known.issuperset(names):
            raise ValueError(f"demands are {', '.join(sorted(known))}")
        self._demands = frozenset(names)

    async def send(self, request: web.Request, planned: PlannedResponse) -> web.StreamResponse:
        """Log the request, wait once, and send the response, or what its faults make of it."""
        no = refused(self._demands, planned.step, request.headers)
        if no is not None:
            status, body, kind = no
            planned = replace(planned, status=status, body=body, content_type=kind, headers=None, faults=())
        delay = self.note(request, planned)
        if delay > 0:
            await asyncio.sleep(delay)
        fault = _breaking(planned)
        if fault is None:
            return _plain(planned)
        return await self._broken(request, planned, fault)

    def note(self, request: web.Request, planned: PlannedResponse) -> float:
        """Log the request; returns the seconds to wait before the answer is sent."""
        delay = self.latency.of(planned.step)
        delay += sum(each.seconds for each in planned.faults if each.kind is FaultKind.SLOW)
        fault = _breaking(planned)
        status = planned.status
        if fault is not None and fault.kind in (FaultKind.STATUS, FaultKind.HTML_STATUS):
            status = fault.status
        self.log.add(
            RequestRecord(
                at=self._clock.time(),
                step=planned.step,
                method=request.method,
                host=request.host,
                path=request.path,
                query={name: value for name, value in request.query.items() if name not in _SECRET_PARAMETERS},
                hidden_parameters=sorted(_SECRET_PARAMETERS & request.query.keys()),
                headers={name: request.headers[name] for name in _LOGGED_HEADERS if name in request.headers},
                target=planned.target,
                operation=planned.operation,
                status=status,
                delay_seconds=delay,
                fault=None if fault is None else str(fault.kind),
            )
        )
        return delay

    async def _broken(self, request: web.Request, planned: PlannedResponse, fault: Fault) -> web.StreamResponse:
        match fault.kind:
            case FaultKind.RESET | FaultKind.CUT:
                return await self._cut(request, planned, halfway=fault.kind is FaultKind.CUT)
            case FaultKind.DRIP:
                return await self._drip(request, planned, fault.seconds)
            case FaultKind.ENDLESS:
                return await self._endless(request, planned)
            case FaultKind.CHUNKED_CUT | FaultKind.LONGER_LENGTH | FaultKind.SHORTER_LENGTH:
                return await self._of_wrong_length(request, planned, fault.kind)
            case FaultKind.REDIRECT | FaultKind.REDIRECT_LOOP | FaultKind.REDIRECT_AWAY:
                return _plain(_redirected(request, planned, fault.kind))
            case _:
                return _plain(_altered(planned, fault))

    async def _cut(self, request: web.Request, planned: PlannedResponse, *, halfway: bool) -> web.StreamResponse:
        if not halfway:
            _abort(request)
            return web.Response(status=500)
        response = web.StreamResponse(status=planned.status, headers=planned.headers)
        response.headers[hdrs.CONTENT_TYPE] = planned.content_type
        response.content_length = len(planned.body)
        await response.prepare(request)
        await response.write(planned.body[: len(planned.body) // 2])
        _abort(request)
        return response

    async def _endless(self, request: web.Request, planned: PlannedResponse) -> web.StreamResponse:
        """Repeat the body until the client has enough, a gigabyte at most."""
        response = web.StreamResponse(status=planned.status, headers=planned.headers)
        response.headers[hdrs.CONTENT_TYPE] = planned.content_type
        response.enable_chunked_encoding()
        await response.prepare(request)
        piece = planned.body or b"\n"
        piece *= -(-_ENDLESS_PIECE_BYTES // len(piece))
        with contextlib.suppress(ConnectionError):
            for _ in range(_ENDLESS_BYTES // len(piece)):
                await response.write(piece)
            await response.write_eof()
        return response

    async def _of_wrong_length(
        self, request: web.Request, planned: PlannedResponse, kind: FaultKind
    ) -> web.StreamResponse:
        """Half a chunked body, one with more bytes than its length says, or with fewer; the connection ends."""
        response = web.StreamResponse(status=planned.status, headers=planned.headers)
        response.headers[hdrs.CONTENT_TYPE] = planned.content_type
        body = planned.body
        match kind:
            case FaultKind.CHUNKED_CUT:
                response.enable_chunked_encoding()
                body = body[: len(body) // 2]
            case FaultKind.LONGER_LENGTH:
                response.content_length = len(body) + 1_000
            case _:
                response.content_length = len(body) // 2
        await response.prepare(request)
        await response.write(body)
        if request.transport is not None:
            if kind is FaultKind.SHORTER_LENGTH:
                request.transport.write(body[len(body) // 2 :])
            request.transport.close()
        return response

    async def _drip(self, request: web.Request, planned: PlannedResponse, seconds: float) -> web.StreamResponse:
        response = web.StreamResponse(status=planned.status, headers=planned.headers)
        response.headers[hdrs.CONTENT_TYPE] = planned.content_type
        response.content_length = len(planned.body)
        await response.prepare(request)
        size = max(1, -(-len(planned.body) // _DRIP_PIECES))
        for first in range(0, len(planned.body), size):
            # Before each piece, so that a reader has everything with the last one and does not wait after it.
            await asyncio.sleep(seconds / _DRIP_PIECES)
            await response.write(planned.body[first : first + size])
        await response.write_eof()
        return response


def ranged(request: web.Request, planned: PlannedResponse) -> PlannedResponse:
    """The response cut to the byte range that the request asks for (RFC 9110, 14); one range only."""
    size = len(planned.body)
    headers = {**(planned.headers or {}), "Accept-Ranges": "bytes"}
    try:
        wanted = request.http_range
    except ValueError:
        wanted = slice(None)
    if wanted.start is None and wanted.stop is None:
        return replace(planned, headers=headers)
    if any(fault.kind is FaultKind.RANGE_IGNORED for fault in planned.faults):
        return planned
    first, last, _ = wanted.indices(size)
    if any(fault.kind is FaultKind.OTHER_RANGE for fault in planned.faults):
        first, last = min(size - 1, first + (last - first) // 2), min(size, last + (last - first) // 2)
    if first >= last:
        headers["Content-Range"] = f"bytes */{size}"
        return replace(planned, body=b"", status=416, headers=headers)
    headers["Content-Range"] = f"bytes {first}-{last - 1}/{size}"
    return replace(planned, body=planned.body[first:last], status=206, headers=headers)


def _breaking(planned: PlannedResponse) -> Fault | None:
    """The fault that changes the response, or None."""
    return next((each for each in planned.faults if each.kind is not FaultKind.SLOW), None)


def _altered(planned: PlannedResponse, fault: Fault) -> PlannedResponse:
    """The response that a fault makes of one that is sent in one piece."""
    body = planned.body
    match fault.kind:
        case FaultKind.STATUS:
            body = b"" if fault.status == 404 else b"upstream said no"
            headers = {**(planned.headers or {}), **_retry_after(fault)}
            return replace(planned, status=fault.status, body=body, content_type="text/plain", headers=headers)
        case FaultKind.HTML_STATUS:
            return replace(planned, status=fault.status, body=_HTML, content_type="text/html")
        case FaultKind.HTML:
            return replace(planned, body=_HTML, content_type="text/html")
        case FaultKind.GZIP:
            headers = {**(planned.headers or {}), hdrs.CONTENT_ENCODING: "gzip"}
            return replace(planned, body=gzip.compress(body, mtime=0), headers=headers)
        case FaultKind.BROTLI:
            headers = {**(planned.headers or {}), hdrs.CONTENT_ENCODING: "br"}
            return replace(planned, body=_brotli(body), headers=headers)
        case FaultKind.UTF16:
            body = body.decode().encode("utf-16")
        case FaultKind.TRUNCATED:
            body = body[: len(body) // 3]
        case FaultKind.CUT_JSON:
            body = body[: max(1, len(body) // 2)]
        case FaultKind.EMPTY:
            body = b""
        case FaultKind.BINARY:
            body = bytes(range(256)) * 8
        case FaultKind.HUGE:
            body += _HUGE_LINE * (_OVERSIZED_BODY_BYTES // len(_HUGE_LINE))
        case _:
            pass  # already visible in the body
    return replace(planned, body=body)


def _redirected(request: web.Request, planned: PlannedResponse, kind: FaultKind) -> PlannedResponse:
    """A redirect to the same thing, which is then sent; to itself without end; or to another host."""
    if kind is FaultKind.REDIRECT and _REDIRECTED in request.query:
        return planned
    location = "https://media.example.com/stolen"
    if kind is not FaultKind.REDIRECT_AWAY:
        location = str(request.rel_url.update_query({_REDIRECTED: "1"}))
    return replace(planned, status=302, body=b"", headers={hdrs.LOCATION: location})


def _brotli(body: bytes) -> bytes:
    """A body as Brotli that packs nothing (RFC 7932, 9.2): a window of 16 bits, and uncompressed meta-blocks."""
    packed = bytearray()
    for at in range(0, len(body), 1 << 16):
        piece = body[at : at + (1 << 16)]
        bits = (len(piece) - 1) << 3 | 1 << 19  # not the last one, four nibbles of length, uncompressed
        packed += (bits if at else bits << 1).to_bytes(3, "little") + piece  # the first bit is the window's
    return bytes(packed) + (b"\3" if body else b"\6")  # the last one, empty


def _retry_after(fault: Fault) -> dict[str, str]:
    """The header of RFC 9110, section 10.2.3, in one of its two forms."""
    if fault.retry_after is None:
        return {}
    if fault.retry_after_date:
        # One second more, since a date has no fractions: never sooner than the fault says.
        due = datetime.now(UTC) + timedelta(seconds=fault.retry_after + 1)
        return {hdrs.RETRY_AFTER: format_datetime(due, usegmt=True)}
    return {hdrs.RETRY_AFTER: str(fault.retry_after)}


def _plain(planned: PlannedResponse) -> web.Response:
    response = web.Response(status=planned.status, body=planned.body, headers=planned.headers)
    response.headers[hdrs.CONTENT_TYPE] = planned.content_type
    return response


def _abort(request: web.Request) -> None:
    """Drop the connection with a reset."""
    transport = request.transport
    if transport is not None:
        transport.abort()
