"""Bytes that no HTTP client sends, to each route: never a fault of ours, nor a long log (C2, C3, #20).

`scripts/test faults -k hostile --hostile-requests 100000` takes longer over it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from yarl import URL

from fingerprint.clock import SystemClock
from server import keys
from server.api import add_routes
from server.observability import JsonFormatter, ShortBadRequests
from server.settings import ServerSettings
from server.web import add_pages
from server.web.admin import add_admin_pages
from server.web.sign_in import SignIn, add_sign_in
from tests.api_client import ASK, open_api
from tests.browser_client import known_to_twitch
from tests.fakes import FakePipeline
from tests.hostile_requests import Route, hostile_requests
from tests.integration.simulator_client import a_viewer

AT_ONCE = 40
LINE = 600
"""The longest line that a request may write to the log, in bytes."""


def all_routes() -> list[Route]:
    """Every route of the server."""
    app = web.Application()
    app[keys.CLOCK] = SystemClock()
    app[keys.SETTINGS] = ServerSettings()
    add_routes(app)
    add_pages(app)
    add_sign_in(app, SignIn(lambda request: request.url))
    add_admin_pages(app)
    found = {
        (route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None
    }
    return sorted((method, pattern) for method, pattern in found if method != "HEAD")


class Lines(logging.Handler):
    """Keeps what the server's log would hold, a line for each record."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.addFilter(ShortBadRequests())
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log() -> Lines:
    """What is logged while a test runs; `_logging_as_before` takes the handler away."""
    lines = Lines()
    logging.basicConfig(level=logging.INFO, handlers=[lines], force=True)
    return lines


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[ClientSession]:
    """A server at which people can sign in, and everything is on."""
    async with (
        a_viewer(folder / "media") as viewer,
        open_api(FakePipeline(SystemClock()), folder, watches=10, **known_to_twitch(viewer)) as api,
    ):
        yield api


def address_of(api: ClientSession) -> URL:
    address = api._base_url  # pyright: ignore[reportPrivateUsage] - the client has no other word for it
    assert address is not None
    return address


def get(path: bytes, header: bytes, host: bytes = b"x") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n\r\n" % (path, host, header)


def post(content_type: bytes, body: bytes, *, path: bytes = b"/redeem", encoding: bytes = b"identity") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (path, content_type, encoding, len(body)) + body


MULTIPART = b"multipart/form-data; boundary=x"
FORM = b"application/x-www-form-urlencoded"
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: b\r\n\r\na\r\n--x--\r\n'
NAMED: dict[str, tuple[bytes, bytes]] = {
    "key that is not UTF-8": (get(b"/api/v1/me", b"X-API-Key: ta_\xff"), b"401"),
    "bearer key that is not UTF-8": (get(b"/api/v1/status", b"Authorization: Bearer ta_\xff"), b"200"),
    "token that is not UTF-8": (get(b"/api/v1/me", b"Authorization: Bearer \xff"), b"401"),
    "cookie that is not UTF-8": (get(b"/", b"Cookie: twitchaudio=\xff"), b"200"),
    "host with an odd port": (get(b"/docs", b"A: b", host=b"x:port"), b"400"),
    "host with a port out of range": (get(b"/docs", b"A: b", host=b"x:99999"), b"400"),
    "host with markup": (get(b"/docs", b"A: b", host=b"<b>"), b"400"),
    "host that is not UTF-8": (get(b"/channels/abc", b"A: b", host=b"\xff"), b"400"),
    "whole address with an empty host": (get(b"https://[a]@/", b"A: b"), b""),
    "host with brackets alone": (get(b"/docs", b"A: b", host=b"[a]@"), b"400"),
    "origin with an empty host": (
        post(FORM, b"code=a").replace(b"\r\n", b"\r\nOrigin: https://[]@\r\n", 1),
        b"403",
    ),
    "expectation that is not UTF-8": (get(b"/healthz", b"Expect: \xff"), b"200"),
    "part with an unknown encoding": (
        post(MULTIPART, PART),
        b"400",
    ),
    "part without an end": (post(MULTIPART, b"--y"), b"400"),
    "no boundary": (post(b"multipart/form-data", b"--y"), b"400"),
    "unknown character set": (post(FORM + b"; charset=odd", b"code=a"), b"400"),
    "body that is not deflated": (
        post(b"application/json", b"\xffabcde", path=ASK.encode(), encoding=b"deflate"),
        b"400",
    ),
}


async def test_c2_c3_odd_bytes_get_the_right_status(tmp_path: Path, log: Lines) -> None:
    async with serving(tmp_path) as api:
        got = {name: await status_of(address_of(api), raw) for name, (raw, _) in NAMED.items()}
    assert got == {name: status for name, (_, status) in NAMED.items()}
    assert not [line for line in log.lines if len(line) > LINE or '"exception"' in line]


async def status_of(address: URL, raw: bytes, *, seconds: float = 60.0) -> bytes:
    """The status of the answer to a request; empty when the server waits for more of it, or closes."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(raw)
        async with asyncio.timeout(seconds):
            return (await reader.read(2_000))[9:12]
    except (ConnectionError, TimeoutError):
        return b""
    finally:
        writer.transport.abort()


async def test_c2_c3_hostile_bytes_are_never_a_fault_of_ours(
    tmp_path: Path, log: Lines, request: pytest.FixtureRequest
) -> None:
    count = int(request.config.getoption("--hostile-requests") or 0)
    logging.getLogger("simulator").setLevel(logging.ERROR)
    async with serving(tmp_path) as api:
        address = address_of(api)
        wrong: list[object] = []
        hostile = hostile_requests(all_routes(), seed=20)
        for _ in range(0, count, AT_ONCE):
            log.lines.clear()
            sent = list(islice(hostile, AT_ONCE))
            statuses = await asyncio.gather(*(status_of(address, raw, seconds=0.5) for raw in sent))
            wrong += [
                (status, raw[:500])
                for status, raw in zip(statuses, sent, strict=True)
                if status != b"503" and status >= b"500"
            ]
            wrong += [line for line in log.lines if len(line) > LINE or '"exception"' in line]
        assert not wrong[:10], len(wrong)
        assert (await api.post(ASK, json={"channel": "somechannel"})).status in (200, 202)
