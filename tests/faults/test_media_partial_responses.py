"""Answers that are used before they are whole, and what they may not do."""

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web
from yarl import URL

from fingerprint.circuit_breaker import HOST_FAILURES, HostCircuitBreakers
from fingerprint.clock import SystemClock
from fingerprint.media.fetch import Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.media.partial_response import MAX_PARTIAL_RESPONSES, PartialResponse
from tests.faults.test_media_network import serving

HERE = AllowList.of_media_hosts(["127.0.0.1"])


def begin(fetcher: Fetcher, url: URL, *, max_bytes: int = 1 << 20, total_seconds: float = 5.0) -> PartialResponse:
    return fetcher.get_partial(url, step="prefetch", max_bytes=max_bytes, total_seconds=total_seconds)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing tells when bytes have come
            await asyncio.sleep(0.01)


async def test_what_has_come_is_there_before_the_rest() -> None:
    more = asyncio.Event()
    connections: set[object] = set()

    async def slowly(request: web.BaseRequest) -> web.StreamResponse:
        connections.add(request.transport)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        await more.wait()
        await response.write(b", ended")
        return response

    outcomes: list[tuple[str, str]] = []
    async with (
        serving(slowly) as url,
        Fetcher(HERE, on_outcome=lambda step, each: outcomes.append((step, each))) as fetcher,
    ):
        partial = begin(fetcher, url)
        await eventually(lambda: partial.so_far == b"begun")
        assert outcomes == []
        more.set()
        await eventually(lambda: outcomes == [("prefetch", "2xx")])
        assert partial.so_far == b"begun, ended"
        again = begin(fetcher, url)
        await eventually(lambda: again.so_far == b"begun, ended")
        assert len(connections) == 1, "the connection is used again, since nobody cut it off"


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_only_a_200_has_a_body(status: int) -> None:
    asked = 0

    async def refusal(_request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(status=status, text="no", headers={"Location": "/other"})

    outcomes: list[str] = []
    async with serving(refusal) as url, Fetcher(HERE, on_outcome=lambda _, each: outcomes.append(each)) as fetcher:
        partial = begin(fetcher, url)
        await eventually(lambda: bool(outcomes))
        assert partial.so_far == b""
        assert asked == 1, "nothing is repeated or followed"


async def test_t13_an_answer_without_end_is_cut_off() -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))

    outcomes: list[str] = []
    async with serving(endless) as url, Fetcher(HERE, on_outcome=lambda _, each: outcomes.append(each)) as fetcher:
        partial = begin(fetcher, url, max_bytes=1 << 18)
        await eventually(lambda: outcomes == ["refused-here"])
        assert len(partial.so_far) <= 1 << 18


async def test_t4_silence_ends_and_opens_no_breaker() -> None:
    async def silent(_request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    outcomes: list[str] = []
    breakers = HostCircuitBreakers(SystemClock())
    async with (
        serving(silent) as url,
        Fetcher(HERE, breakers=breakers, on_outcome=lambda _, each: outcomes.append(each)) as fetcher,
    ):
        for _ in range(HOST_FAILURES + 1):
            begin(fetcher, url, total_seconds=0.2)
        await eventually(lambda: outcomes == ["timeout"] * (HOST_FAILURES + 1))
        with breakers.of_host(f"{url.host}:{url.port}").probed_call():
            pass  # it is not left alone


async def test_t15_hosts_that_are_not_listed_are_not_asked() -> None:
    outcomes: list[str] = []
    async with Fetcher(HERE, on_outcome=lambda _, each: outcomes.append(each)) as fetcher:
        partial = begin(fetcher, URL("http://169.254.169.254/latest"))
        await eventually(lambda: outcomes == ["refused-here"])
        assert partial.so_far == b""


async def test_only_so_many_are_followed_and_all_end_with_the_fetcher() -> None:
    asked = 0

    async def silent(_request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        await asyncio.sleep(30)
        return web.Response()

    async with serving(silent) as url:
        async with Fetcher(HERE) as fetcher:
            for _ in range(MAX_PARTIAL_RESPONSES + 10):
                begin(fetcher, url)
            await eventually(lambda: asked == MAX_PARTIAL_RESPONSES)
            await asyncio.sleep(0.1)
            assert asked == MAX_PARTIAL_RESPONSES
        assert not [task for task in asyncio.all_tasks() if "_collect" in repr(task)]
