"""Bounded fetching: every request has a deadline, a limit of bytes and an allow-list of hosts."""

import asyncio
import logging
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AsyncExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self

import aiohttp
from yarl import URL

from fingerprint.circuit_breaker import CircuitOpenError, HostCircuitBreakers
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.web_addresses import read_address
from fingerprint.media.host_pauses import HostPausedError, HostPauses
from fingerprint.media.hosts import AllowList
from fingerprint.media.network_errors import NETWORK_ERRORS, too_slow, upstream_error, worth_repeating
from fingerprint.media.partial_response import MAX_PARTIAL_RESPONSES, PartialResponse
from fingerprint.media.unknown_signs import UnknownSigns
from fingerprint.ports import OnOutcome, ignore_outcome
from fingerprint.retry import retry, retry_after_seconds
from fingerprint.tasks import cancel_and_wait

CONNECT_SECONDS: Final = 2.0
MAX_REDIRECTS: Final = 3
STALL_SECONDS: Final = 2.0
LEAST_BYTES: Final = 4_096
"""A body of sound that comes more slowly than this is not worth waiting for: AAC of 16 kbit/s is as fast."""

MAX_HEADER_BYTES: Final = 64 << 10
MAX_HEADERS: Final = 1_000
"""The longest line of an answer's head, and the most of them. Browsers take more (Chromium 256 KiB in all)."""

_KEEP_ALIVE_SECONDS: Final = 60.0
_MAX_CONNECTIONS: Final = 256
_CHUNK_BYTES: Final = 1 << 17
_WHOLE: Final = re.compile(r"bytes 0-([0-9]{1,18})/([0-9]{1,18})")
_FROM_START: Final = re.compile(r"bytes 0-[0-9]{1,18}/\*")
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A response, whatever its status. `content_type` is as sent; `retry_after` in seconds, 0 when absent."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = ""
    retry_after: float = 0.0

    @property
    def text(self) -> str:
        """The body as UTF-8, without a byte order mark; invalid bytes become U+FFFD."""
        return self.body.decode("utf-8-sig", "replace")


class HostWantsPauseError(UpstreamError):
    """A host wants no further request for `retry_after_seconds`."""

    def __init__(self, step: str, upstream: str, seconds: float) -> None:
        wait = max(1.0, round(seconds, 1))
        detail = f"{upstream}'s {step} service has had too many requests and wants a pause of {wait:.0f} s."
        super().__init__(step, detail, retry_after_seconds=wait)


class HostRefusedError(UpstreamError):
    """An address on a host that is not on the list: another way may lead elsewhere."""


class StalledError(UpstreamError):
    """A body of which next to nothing comes: another one may come faster."""

    def __init__(self, step: str, upstream: str) -> None:
        detail = f"{upstream}'s {step} service sends next to nothing. Try again in a moment."
        super().__init__(step, detail, code=ProblemCode.TIMEOUT)


class TooLongError(UpstreamError):
    """An answer that is longer than its limit of bytes."""

    def __init__(self, step: str, upstream: str, max_bytes: int) -> None:
        super().__init__(step, f"{upstream}'s {step} answer is longer than {max_bytes} bytes.")


class BodyFilter(Protocol):
    """Takes the pieces of a response's body as they arrive, and says what is kept of them."""

    async def feed(self, piece: bytes) -> bytes:
        """The bytes to keep of the next piece. No more is read until it returns."""
        ...

    def finish(self) -> bytes:
        """The last bytes to keep, when the body is complete."""
        ...


@dataclass(frozen=True, slots=True)
class _Call:
    """The parameters of a call that stay the same through redirects and retries."""

    method: str
    step: str
    max_bytes: int
    headers: Mapping[str, str] | None
    body: bytes | None = None
    stall_seconds: float | None = None
    new_filter: Callable[[int], BodyFilter] | None = None


class Fetcher:
    """Fetches over keep-alive connections from the hosts of an allow-list. An async context manager.

    Each call raises UpstreamError, with the given `step`, and nothing else: for hosts that are not listed, for
    every failure of the network (`upstream-unavailable`), for answers beyond the limit of bytes and for those
    that do not come in time (`timeout`). An answer with an error status is returned, not raised.

    `upstream` is the service's name in error messages. `headers` go with every request. Calls to a host that keeps
    failing are refused for a while by its circuit breaker, if `breakers` are given. With `pauses`, a host that
    answers 429, or 503 with `Retry-After`, is not called before that time is over: a call waits where its job has
    the time, and raises HostWantsPauseError where it has not. `unknown_signs` counts hosts that are not listed.
    `on_outcome` is called with the outcome of every call.
    """

    def __init__(
        self,
        allow: AllowList,
        *,
        upstream: str = "The upstream",
        headers: Mapping[str, str] | None = None,
        breakers: HostCircuitBreakers | None = None,
        pauses: HostPauses | None = None,
        unknown_signs: UnknownSigns | None = None,
        on_outcome: OnOutcome = ignore_outcome,
    ) -> None:
        self._allow = allow
        self.upstream = upstream
        """The service's name in error messages."""
        self._headers = {"Accept": "*/*", **(headers or {})}
        self._breakers = breakers
        self._pauses = pauses
        self._unknown_signs = unknown_signs
        self._on_outcome = on_outcome
        self._session: aiohttp.ClientSession | None = None
        self._partial_tasks: set[asyncio.Task[None]] = set()

    def note_unknown(self, signs: Iterable[tuple[str, str]]) -> None:
        """Count what a response holds that was never seen before, as kinds and values."""
        if self._unknown_signs is not None:
            for kind, value in signs:
                self._unknown_signs.note(kind, value)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=_MAX_CONNECTIONS,
            ttl_dns_cache=60,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            socket_factory=self._allow.socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            trust_env=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await cancel_and_wait(*self._partial_tasks)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(
        self,
        url: URL,
        *,
        step: str,
        max_bytes: int,
        total_seconds: float,
        headers: Mapping[str, str] | None = None,
        stall_seconds: float | None = None,
        new_filter: Callable[[int], BodyFilter] | None = None,
    ) -> Fetched:
        """GET, following redirects to allowed hosts; repeated once after a lost connection, a 5xx or a 429.

        A body of which fewer than LEAST_BYTES come in each `stall_seconds` is given up with a StalledError.
        With `new_filter`, which is called for each response, only what its filter keeps of a 200 or 206 is
        returned; its argument says which byte of the resource is the body's first.
        """
        call = _Call("GET", step, max_bytes, headers, stall_seconds=stall_seconds, new_filter=new_filter)
        return await self._call(call, url, total_seconds, _may_pass)

    def get_partial(
        self,
        url: URL,
        *,
        step: str,
        max_bytes: int,
        total_seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> PartialResponse:
        """GET of an optional resource, of which a part is useful too.

        It raises, repeats and redirects nothing, and the breaker does not count it: such a response may be slow
        for reasons of its own. `on_outcome` is called.
        """
        partial = PartialResponse()
        if len(self._partial_tasks) < MAX_PARTIAL_RESPONSES:
            call = _Call("GET", step, max_bytes, headers)
            task = asyncio.create_task(self._collect(call, url, partial, total_seconds))
            self._partial_tasks.add(task)
            task.add_done_callback(self._partial_tasks.discard)
        return partial

    async def _collect(self, call: _Call, url: URL, came: PartialResponse, total_seconds: float) -> None:
        try:
            async with _Deadline(total_seconds, partial(too_slow, call.step, self.upstream)) as deadline:
                fetched, _ = await self._request(call, url, deadline, came)
        except UpstreamError as error:
            self._on_outcome(call.step, _failure_of(error))
        else:
            self._on_outcome(call.step, f"{fetched.status // 100}xx")

    async def post(
        self,
        url: URL,
        body: bytes,
        *,
        step: str,
        max_bytes: int,
        total_seconds: float,
        headers: Mapping[str, str],
    ) -> Fetched:
        """POST of a query that may safely be sent twice; repeated once after a lost connection.

        A keep-alive connection is lost when the server has closed it while idle, and aiohttp itself repeats only
        GETs. A redirect is returned like any other response.
        """
        return await self._call(
            _Call("POST", step, max_bytes, headers, body), url, total_seconds, _connection_lost
        )

    async def _call(
        self,
        call: _Call,
        url: URL,
        total_seconds: float,
        retry_after: Callable[[Fetched | UpstreamError], float | None],
    ) -> Fetched:
        """Make the call unless the circuit is open; reports the outcome to the breaker and `on_outcome`."""
        breaker = None if self._breakers is None else self._breakers.of_host(_host(url))
        try:
            with nullcontext() if breaker is None else breaker.probed_call():
                outcome = await self._outcome(call, url, total_seconds, retry_after)
                if breaker is None or isinstance(outcome, (HostWantsPauseError, StalledError)):
                    pass  # a host that asks for a pause, or has begun to answer, works
                elif _host_failed(outcome):
                    breaker.record_failure()
                else:
                    breaker.record_success()
        except CircuitOpenError as circuit:
            self._on_outcome(call.step, "circuit-open")
            raise UpstreamError(
                call.step,
                f"{self.upstream}'s {call.step} service keeps failing and is not called for a moment.",
                retry_after_seconds=max(1.0, round(circuit.seconds, 1)),
            ) from None
        if isinstance(outcome, UpstreamError):
            self._on_outcome(call.step, _failure_of(outcome))
            raise outcome
        self._on_outcome(call.step, f"{outcome.status // 100}xx")
        return outcome

    async def _outcome(
        self,
        call: _Call,
        url: URL,
        total_seconds: float,
        retry_after: Callable[[Fetched | UpstreamError], float | None],
    ) -> Fetched | UpstreamError:
        """The response, or the error as a value; after a retry where `retry_after` asks for one."""
        try:
            async with _Deadline(total_seconds, partial(too_slow, call.step, self.upstream)) as deadline:
                return await retry(
                    partial(self._follow, call, url, deadline),
                    errors=UpstreamError,
                    retry_after=lambda outcome: self._retry_after(url, outcome, retry_after),
                    on_retry=lambda: self._on_outcome(call.step, "repeated"),
                )
        except UpstreamError as error:
            return error

    def _retry_after(
        self,
        url: URL,
        outcome: Fetched | UpstreamError,
        retry_after: Callable[[Fetched | UpstreamError], float | None],
    ) -> float | None:
        """Like `retry_after`; a host that wants a pause is called again where there is time to wait for it."""
        if self._pauses is not None and isinstance(outcome, HostWantsPauseError):
            return 0.0 if self._pauses.may_wait(_host(url)) else None
        return retry_after(outcome)

    async def _follow(self, call: _Call, url: URL, deadline: "_Deadline") -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            fetched, location = await self._request(call, url, deadline)
            if location is None:
                return fetched
            url = location
        raise UpstreamError(call.step, f"{self.upstream}'s {call.step} answer is a chain of redirects.")

    async def _request(
        self, call: _Call, url: URL, deadline: "_Deadline", partial: PartialResponse | None = None
    ) -> tuple[Fetched, URL | None]:
        """The response, and the address that it redirects to; `partial` receives what arrives meanwhile."""
        if not self._allow.allows(url):
            _log.warning("host_refused", extra={"step": call.step, "host": (url.host or "")[:253]})
            if self._unknown_signs is not None:
                self._unknown_signs.note_host(url.host or "")
            detail = (
                f"{self.upstream}'s {call.step} points to {(url.host or '')[:100]!r}, "
                f"which is not on the list of hosts.{self._allow.how_to_add}"
            )
            raise HostRefusedError(call.step, detail, retry_after_seconds=None)
        pauses = self._pauses
        if pauses is None:
            return await self._send(call, url, partial)
        host = _host(url)
        try:
            async with AsyncExitStack() as stack:
                with deadline.suspended():
                    await stack.enter_async_context(pauses.turn(host, waits=partial is None))
                sent_at = pauses.clock.monotonic()
                fetched, location = await self._send(call, url, partial)
                if _wants_pause(fetched):
                    pauses.record_refusal(host, sent_at=sent_at, retry_after=fetched.retry_after)
                elif fetched.status < 500:
                    pauses.record_answer(host)
        except HostPausedError as paused:
            raise HostWantsPauseError(call.step, self.upstream, paused.seconds) from None
        if _wants_pause(fetched):
            raise HostWantsPauseError(call.step, self.upstream, pauses.paused_seconds(host))
        return fetched, location

    async def _send(self, call: _Call, url: URL, partial: PartialResponse | None) -> tuple[Fetched, URL | None]:
        if self._session is None:
            raise RuntimeError("a Fetcher is used inside its own `async with`")
        try:
            async with self._session.request(
                call.method,
                url,
                data=call.body,
                headers=call.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
            ) as response:
                chunks: list[bytes] = []
                if partial is not None:
                    partial.status, chunks = response.status, partial.chunks
                location = None
                if call.method == "GET" and response.status in (301, 302, 303, 307, 308):
                    location = self._location(call, url, response.headers.get("Location"))
                content = await self._read(call, response, chunks)
                fetched = Fetched(
                    _effective_status(response, ranged="Range" in (call.headers or {})),
                    content,
                    response.headers.get("Content-Type", ""),
                    retry_after_seconds(response.headers.get("Retry-After"), datetime.now(UTC)),
                )
                return fetched, location
        except NETWORK_ERRORS as error:
            raise upstream_error(call.step, error, upstream=self.upstream) from error

    async def _read(self, call: _Call, response: aiohttp.ClientResponse, chunks: list[bytes]) -> bytes:
        """The decoded body, or what is kept of it, collected in `chunks`. A body that is too long closes the
        connection.
        """
        kept = None
        if call.new_filter is not None and response.status in (200, 203, 206):
            kept = call.new_filter(_first_byte(response))
        left = call.max_bytes
        announced = response.content_length or 0
        missing = LEAST_BYTES
        async with _Deadline(call.stall_seconds, partial(StalledError, call.step, self.upstream)) as pace:
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0 or announced > call.max_bytes:
                    response.close()
                    raise TooLongError(call.step, self.upstream, call.max_bytes)
                missing -= len(chunk)
                with pace.suspended(starts_again=missing <= 0):
                    chunks.append(chunk if kept is None else await kept.feed(chunk))
                missing = missing if missing > 0 else LEAST_BYTES
        if kept is not None:
            chunks.append(kept.finish())
        return b"".join(chunks)

    def _location(self, call: _Call, url: URL, text: str | None) -> URL:
        try:
            return url.join(read_address(text or "", encoded=True))
        except ValueError as error:
            detail = f"{self.upstream}'s {call.step} answer redirects to nowhere."
            raise UpstreamError(call.step, detail) from error


def _effective_status(response: aiohttp.ClientResponse, *, ranged: bool) -> int:
    """The status, and 200 for what means the same: 203, and 206 with the whole content (RFC 9110, 15.3).

    So does a 206 of unknown length, from the first byte on, to a request that was not `ranged`.
    """
    told = response.headers.get("Content-Range", "")
    whole = _WHOLE.fullmatch(told)
    complete = whole is not None and int(whole[1]) + 1 == int(whole[2])
    complete = complete or (not ranged and _FROM_START.fullmatch(told) is not None)
    return 200 if response.status == 203 or (response.status == 206 and complete) else response.status


def _first_byte(response: aiohttp.ClientResponse) -> int:
    """Which byte of the resource a body begins with (RFC 9110, 14.4)."""
    given = _RANGE.match(response.headers.get("Content-Range", "")) if response.status == 206 else None
    return 0 if given is None else int(given[1])


def _wants_pause(fetched: Fetched) -> bool:
    return fetched.status == 429 or (fetched.status == 503 and fetched.retry_after > 0)


def too_slow_to_go_on(error: TwitchAudioError) -> bool:
    """Whether so much time was lost with an error that no more may be lost in the same way."""
    return error.code is ProblemCode.TIMEOUT and not isinstance(error, StalledError)


def _host(url: URL) -> str:
    return f"{url.host}:{url.port}"


def transient(status: int) -> bool:
    """Whether a status means that the same request may succeed a moment later."""
    return status >= 500 or status == 429


def _host_failed(outcome: Fetched | UpstreamError) -> bool:
    """Whether the host is to blame for an outcome. An error without a cause is our own refusal."""
    return transient(outcome.status) if isinstance(outcome, Fetched) else outcome.__cause__ is not None


def _may_pass(outcome: Fetched | UpstreamError) -> float | None:
    """A `retry_after` for `retry`: repeats after a lost connection, a 5xx or a 429."""
    if isinstance(outcome, Fetched):
        return outcome.retry_after if transient(outcome.status) else None
    return _connection_lost(outcome)


def _connection_lost(outcome: Fetched | UpstreamError) -> float | None:
    """A `retry_after` for `retry`: repeats only when the connection was lost or refused before a response."""
    return 0.0 if isinstance(outcome, UpstreamError) and worth_repeating(outcome.__cause__) else None


def _failure_of(error: UpstreamError) -> str:
    """The outcome, for `on_outcome`, of a call without a response."""
    if error.code is ProblemCode.TIMEOUT:
        return "timeout"
    if isinstance(error, HostWantsPauseError):
        return "rate-limited"
    return "refused-here" if error.__cause__ is None else "no-answer"


class _Deadline:
    """`asyncio.timeout` whose expiry is an UpstreamError; without `seconds` it never expires."""

    def __init__(self, seconds: float | None, expired: Callable[[], UpstreamError]) -> None:
        self._seconds = seconds
        self._expired = expired
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    @contextmanager
    def suspended(self, *, starts_again: bool = False) -> Generator[None]:
        """The time inside the block does not count; after it all of the time is there if it `starts_again`."""
        until = self._timeout.when()
        if self._seconds is None or until is None or self._timeout.expired():
            yield
            return
        loop = asyncio.get_running_loop()
        left = self._seconds if starts_again else until - loop.time()
        self._timeout.reschedule(None)
        try:
            yield
        finally:
            if not self._timeout.expired():
                self._timeout.reschedule(loop.time() + left)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as expired:
            raise self._expired() from expired
