"""Answers that are sent preencoded are the same as those that aiohttp puts together itself."""

import asyncio
from collections.abc import Mapping
from typing import cast

from aiohttp import ClientSession, ClientTimeout, web
from aiohttp.test_utils import TestClient, TestServer

from server.middleware.preencoded_response import EncodedHead, PreencodedResponse
from tests.api_client import ASK, CLIP, ask

PRIVATE = ("_body", "_cookies", "_eof_sent", "_headers", "_keep_alive", "_status")
"""What `PreencodedResponse` reads or sets of aiohttp's own."""

OWN = {"x-request-id", "date", "connection"}
"""What differs from one request to the next, and what asking for the other way adds."""


def alike(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() not in OWN}


async def test_headers_and_body_do_not_depend_on_the_way_of_sending(api: ClientSession) -> None:
    first = await ask(api, CLIP, wait=30)
    place = first.headers["Location"]
    slug = CLIP["clip"]
    for method, path, json, headers in (
        ("GET", place, None, {}),
        ("GET", place, None, {"Prefer": "wait=30"}),
        ("GET", f"/api/v1/clips/{slug}", None, {}),
        ("GET", f"/api/v1/clips/{slug}", None, {"If-None-Match": first.headers["ETag"]}),
        ("POST", ASK, CLIP, {}),
        ("POST", ASK, CLIP, {"Prefer": "wait=30"}),
    ):
        ready = await api.request(method, path, json=json, headers=headers)
        usual = await api.request(method, path, json=json, headers={**headers, "Connection": "close"})
        assert (ready.status, await ready.read()) == (usual.status, await usual.read())
        assert alike(ready.headers) == alike(usual.headers)
        assert "Connection" not in ready.headers
        assert usual.headers["Connection"] == "close"
        for name in ("X-Request-Id", "Date"):
            assert ready.headers[name]
        assert ready.headers["X-Request-Id"] != usual.headers["X-Request-Id"]
        assert ready.headers["Date"][:22] == usual.headers["Date"][:22]


async def test_head_has_the_headers_and_no_body(api: ClientSession) -> None:
    place = (await ask(api, CLIP, wait=30)).headers["Location"]
    whole = await api.get(place)
    head = await api.head(place)
    assert (head.status, await head.read()) == (200, b"")
    assert alike(head.headers) == alike(whole.headers)


async def test_a_finished_answer_that_the_client_has_is_not_sent_again(api: ClientSession) -> None:
    first = await ask(api, CLIP, wait=30)
    tag = first.headers["ETag"]
    listed = f"/api/v1/clips/{CLIP['clip']}"
    for path in (first.headers["Location"], listed, "/api/v1/channels/nobody_here/songs", "/api/v1/openapi.json"):
        whole = await api.get(path)
        tag = whole.headers["ETag"]
        for known in (tag, f"W/{tag}", f'"other", W/"more" ,{tag}', "*", f'"bro,ken {tag}'):
            for method in ("GET", "HEAD"):
                same = await api.request(method, path, headers={"If-None-Match": known})
                assert (same.status, await same.read()) == (304, b""), known
                assert "Content-Type" not in same.headers
                for name in ("ETag", "Cache-Control", "Vary"):
                    assert same.headers.get(name) == whole.headers.get(name)
        for other in ('"other"', tag.strip('"'), "", '"*"'):
            changed = await api.get(path, headers={"If-None-Match": other})
            assert (changed.status, await changed.read()) == (200, await whole.read()), other
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert {"Prefer", "Authorization", "Cookie"} <= set(first.headers["Vary"].split(", "))
    again = await api.post(ASK, json=CLIP, headers={"If-None-Match": tag})
    assert again.status == 200, "a question is no GET"


async def test_head_works_on_every_get_of_the_api(api: ClientSession) -> None:
    place = (await ask(api, CLIP, wait=30)).headers["Location"]
    paths = [f"{place}/events", "/api/v1/channels/nobody_here/events", "/api/v1/channels/nobody_here/song.txt"]
    for path in (*paths, "/api/v1/status", "/api/v1/me", "/healthz", "/api/v1/channels/nobody_here/watch"):
        async with api.get(path) as whole, api.head(path) as head:
            assert (head.status, await head.read()) == (whole.status, b"")
            # Nothing is counted for a HEAD of a line that starts a job.
            left_out = (
                {"content-length", "transfer-encoding", "ratelimit", "ratelimit-policy"}
                if path in paths
                else set[str]()
            )
            want = {name: value for name, value in alike(whole.headers).items() if name not in left_out}
            got = {name: value for name, value in alike(head.headers).items() if name not in left_out}
            assert got == want, path
    assert (await api.head(f"{ASK}/nothing/events")).status == 404


async def test_a_connection_is_used_again_and_one_of_http_1_0_is_closed(api: ClientSession) -> None:
    place = (await ask(api, CLIP, wait=30)).headers["Location"]
    base = api._base_url  # pyright: ignore[reportPrivateUsage]
    assert base is not None
    reader, writer = await asyncio.open_connection(base.host, base.port)
    async with asyncio.timeout(30):
        for version, last in (("1.1", False), ("1.1", False), ("1.0", True)):
            writer.write(f"GET {place} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith(f"HTTP/{version} 200 OK\r\n")
            length = next(
                int(line.partition(":")[2])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length:")
            )
            assert (await reader.readexactly(length)).startswith(b"{")
            if last:
                assert await reader.read() == b""
    writer.close()


async def test_aiohttp_still_has_what_is_relied_on_and_uses_it_as_before() -> None:
    """A failure here after an upgrade: read aiohttp's `Response` again before pyproject.toml's bound is moved."""
    seen: dict[str, object] = {}

    async def handler(_request: web.Request) -> web.Response:
        response = web.Response(body=b"plain", headers={"X-One": "1"})
        seen.update({name: getattr(response, name) for name in PRIVATE})
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    async with TestClient(TestServer(app), timeout=ClientTimeout(10)) as client:
        assert await (await client.get("/")).text() == "plain"
    assert not seen["_eof_sent"]
    assert seen["_keep_alive"] is None
    assert not seen["_cookies"]
    assert seen["_status"] == 200
    assert seen["_body"] == b"plain"
    assert "X-One" in cast("Mapping[str, str]", seen["_headers"])
    # A response is finished once `prepare` has set these: `write_eof` then writes nothing more.
    response = web.Response(body=b"sent already")
    setattr(response, "_eof_sent", True)  # noqa: B010 - private, which is what this is about
    await response.write_eof()


async def test_what_was_added_on_the_way_is_sent_too() -> None:
    async def handler(request: web.Request) -> web.Response:
        response = PreencodedResponse(EncodedHead.of(200, {"Content-Type": "text/plain"}, length=5), b"ready")
        match request.path:
            case "/cookie":
                response.set_cookie("known", "yes")
            case "/header":
                response.headers["X-Added"] = "yes"
            case "/status":
                response.set_status(202)
            case "/close":
                response.force_close()
            case "/body":
                response.body = b"another"
            case _:
                pass
        return response

    app = web.Application()
    app.router.add_get("/{tail:.*}", handler)
    async with TestClient(TestServer(app), timeout=ClientTimeout(10)) as client:
        plain = await client.get("/")
        assert (plain.status, await plain.text()) == (200, "ready")
        assert (await client.get("/cookie")).cookies["known"].value == "yes"
        assert (await client.get("/header")).headers["X-Added"] == "yes"
        assert (await client.get("/status")).status == 202
        assert (await client.get("/close")).headers["Connection"] == "close"
        assert await (await client.get("/body")).text() == "another"


async def test_a_client_that_asks_on_and_on_and_never_reads_fills_no_memory() -> None:
    body = bytes(64 * 1024)
    head = EncodedHead.of(200, {"Content-Type": "application/octet-stream"}, length=len(body))
    answered = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal answered
        answered += 1
        return PreencodedResponse(head, body)

    app = web.Application()
    app.router.add_get("/", handler)
    async with TestServer(app) as server:
        port = server.make_url("/").port
        _reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        # 128 MiB of answers; what the system itself takes of them is a few.
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000)
        before = -1
        async with asyncio.timeout(20):
            while answered != before:
                before = answered
                await asyncio.sleep(0.5)
        assert 0 < answered < 500
        writer.transport.abort()
