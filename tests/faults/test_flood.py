"""One client that floods, and the others (L4, L6)."""

import asyncio
import contextlib
import logging
import math
import socket
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from fingerprint.clock import SystemClock
from fingerprint.configured_database import SQLITE_FILE
from fingerprint.database import open_database
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.pipeline_settings import PipelineSettings
from server.access.quotas.budgets import Allowance
from server.api import artwork, songs
from server.app import make_app
from server.audit.search import AuditFilter
from server.audit.store import AuditStore
from server.channels.feed import FeedLimits
from server.identifications.limits import ServiceLimits
from server.server_limits import ServerLimits
from server.setting_formats import Rate
from server.settings import ServerSettings
from tests.api_client import ASK, CLIP, assert_problem, open_api, until_metric
from tests.fakes import FakePipeline

BEHIND: dict[str, Any] = {"trusted_proxies": (ip_network("127.0.0.0/8"),)}


async def asked(api: ClientSession, channel: str, address: str) -> tuple[int, float]:
    started = time.monotonic()
    headers = {"X-Forwarded-For": address, "Prefer": "wait=30"}
    answer = await api.post(ASK, json={"clip": channel}, headers=headers)
    await answer.read()
    return answer.status, time.monotonic() - started


async def test_l6_who_floods_is_refused_and_others_are_served(sql_address: str, tmp_path: Path) -> None:
    limits: dict[str, Any] = {**BEHIND, "jobs_per_address": 0, "starts_per_address": (Rate(20, 86_400),)}
    async with open_api(FakePipeline(SystemClock()), tmp_path, database_url=sql_address, **limits) as api:
        for number in range(20):
            assert (await asked(api, f"First-{number}", "198.51.100.7"))[0] == 200
        assert (await asked(api, "Once-more", "198.51.100.7"))[0] == 429
        flood = [asked(api, f"Flood-{number}", "198.51.100.7") for number in range(300)]
        others = [asked(api, f"Other-{number}", f"192.0.2.{number}") for number in range(1, 6)]
        answers = await asyncio.gather(*flood, *others)
        statuses = [status for status, _ in answers]
        # Beyond their share of the queue they are told that it is too much.
        assert set(statuses[:300]) <= {429, 503}
        assert statuses[300:] == [200] * 5


async def typical(api: ClientSession) -> float:
    """The median time of an answer to one who asks for something of their own, again and again."""
    times: list[float] = []
    for number in range(60):
        status, seconds = await asked(api, "Stored", f"192.0.2.{number + 1}")
        assert status == 200
        times.append(seconds)
    return sorted(times)[len(times) // 2]


async def test_l6_thousands_of_silent_connections_of_one_client_slow_nobody_and_are_closed(
    tmp_path: Path, many_files: int
) -> None:
    count = min(2_000, (many_files - 300) // 2)
    limits = ServerLimits(head_seconds=2.0)
    async with open_api(FakePipeline(SystemClock()), tmp_path, limits=limits, **BEHIND) as api:
        alone = await typical(api)
        port = (await api.get("/healthz")).url.port
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as opened:
            connections: list[socket.socket] = []
            for _ in range(count):
                connection = opened.enter_context(socket.socket())
                connection.setblocking(False)
                await loop.sock_connect(connection, ("127.0.0.1", port))
                connections.append(connection)
                # Half of them begin a request that they never end.
                if len(connections) % 2:
                    await loop.sock_sendall(connection, b"GET /healthz HTTP/1.1\r\n")
            beside = await typical(api)
            ends = (loop.sock_recv(each, 1) for each in connections)
            closed = await asyncio.wait_for(asyncio.gather(*ends, return_exceptions=True), 60)
            # One whose half request was not read yet is reset instead.
            assert {each for each in closed if not isinstance(each, ConnectionResetError)} == {b""}
            assert (await asked(api, "Another", "192.0.2.1"))[0] == 200
        # Nobody waits until they are closed, which takes two seconds; a busy machine may be slow by itself.
        assert beside < 3 * max(alone, await typical(api)) + 1.0, (alone, beside)


async def test_l4_those_who_are_told_to_come_back_later_are_not_told_the_same_moment(tmp_path: Path) -> None:
    async with open_api(FakePipeline(SystemClock()), tmp_path, captures_at_once=1, queue=1, **BEHIND) as api:
        parts = [{"clip": f"Clip-{number}"} for number in range(60)]
        answers = await asyncio.gather(*(api.post(ASK, json=body) for body in parts))
        refused = [answer for answer in answers if answer.status == 503]
        assert len(refused) > 30
        told = [await answer.json(content_type=None) for answer in refused]
        seconds = [problem["retry_after_seconds"] for problem in told]
        assert {problem["code"] for problem in told} == {"busy"}
        assert len(set(seconds)) > 5
        assert max(seconds) <= 1.5 * min(seconds) + 0.2
        for answer, wait in zip(refused, seconds, strict=True):
            assert int(answer.headers["Retry-After"]) == math.ceil(wait)


async def test_l4_while_twitch_fails_each_round_of_retries_is_one_try(tmp_path: Path) -> None:
    parts = FakePipeline(SystemClock())
    parts.resolver.error = UpstreamError("gql", "Twitch does not answer.")
    async with open_api(parts, tmp_path) as api:
        for number in range(1, 4):
            parts.resolver.gate.clear()
            again = [asyncio.create_task(asked(api, "Clip-1", "192.0.2.1")) for _ in range(50)]
            await until_metric(api, "twitchaudio_waiters", 50)
            parts.resolver.gate.set()
            assert {status for status, _ in await asyncio.gather(*again)} == {200}
            assert len(parts.resolver.asked) == number
            await until_metric(api, "twitchaudio_jobs_running", 0)
        parts.resolver.error = None
        assert (await asked(api, "Clip-1", "192.0.2.1"))[0] == 200
        assert parts.capture.captures == 1


async def test_l4_a_failure_that_everyone_asks_about_again_is_looked_up_once_in_a_while(tmp_path: Path) -> None:
    parts = FakePipeline(SystemClock())
    parts.resolver.error = TwitchAudioError(ProblemCode.CLIP_NOT_FOUND, "There is no such clip.")
    # For much longer than the test takes.
    limits = ServiceLimits(keep_definite_seconds=60.0)
    async with open_api(parts, tmp_path, service_limits=limits) as api:
        for _ in range(3):
            answers = await asyncio.gather(*(asked(api, "Gone-1", "192.0.2.1") for _ in range(50)))
            assert {status for status, _ in answers} == {200}
        assert len(parts.resolver.asked) == 1


async def test_a_flood_of_pages_that_do_not_exist_fills_neither_the_log_nor_the_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with open_api(FakePipeline(SystemClock()), tmp_path) as api:
        for number in range(600):
            async with api.get(f"/api/v1/none/{number}") as answer:
                assert answer.status == 404
        async with api.post(ASK, json=CLIP, headers={"Prefer": "wait=20"}) as answer:
            assert answer.status == 200
    lines = [record for record in caplog.records if record.getMessage() == "request"]
    assert len([each for each in lines if vars(each)["status"] == 404]) < 300
    async with open_database(f"sqlite:///{tmp_path / SQLITE_FILE}") as database:
        entries = await AuditStore(database).read(AuditFilter(limit=10_000))
    assert len(entries) < 250
    # What an honest client does is recorded all the same, and the flood by its number.
    assert [each.code for each in entries if each.what == "POST /api/v1/identifications"] == [None]
    [more] = [each for each in entries if each.what.endswith(" more")]
    assert (more.code, more.who.address) == ("not-found", "127.0.0.1")
    assert int(more.what.split()[0]) + len([each for each in entries if each.code == "not-found"]) - 1 == 600


async def test_made_up_channels_of_one_client_leave_live_events_to_all_others(tmp_path: Path) -> None:
    async with (
        open_api(FakePipeline(SystemClock()), tmp_path, **BEHIND) as api,
        contextlib.AsyncExitStack() as stack,
    ):

        async def listen(channel: str, address: str) -> ClientResponse:
            events = api.get(f"/api/v1/channels/{channel}/events", headers={"X-Forwarded-For": address})
            return await stack.enter_async_context(events)

        limits = FeedLimits()
        for number in range(limits.channels_of_address):
            assert (await listen(f"made_up_{number}", "2001:db8::1")).status == 200
        for address in ("2001:db8::1", "2001:db8::2"):
            refused = await listen("one_more", address)
            problem = await assert_problem(refused, "rate-limited", 429)
            assert int(refused.headers["Retry-After"]) >= problem["retry_after_seconds"]
        # Its other networks have the rest of what a /56 may have.
        nets = [f"2001:db8:0:{net:x}::1" for net in range(1, 201) for _ in range(2)]
        taken = [(await listen(f"also_made_up_{number}", net)).status for number, net in enumerate(nets)]
        assert taken.count(200) == 300
        assert set(taken) == {200, 429}
        # A thousand listeners behind one address to one channel are one channel.
        assert {(await listen("made_up_1", "2001:db8::3")).status for _ in range(20)} == {200}
        assert (await listen("somechannel", "192.0.2.1")).status == 200
        assert (await listen("another", "192.0.2.1")).status == 200


async def test_l6_a_flood_of_plain_requests_is_refused_without_a_row_and_others_are_served(tmp_path: Path) -> None:
    limits = ServerLimits(requests_burst=20.0, requests_per_second=0.001)
    flood = {"X-Forwarded-For": "198.51.100.7"}
    async with open_api(FakePipeline(SystemClock()), tmp_path, limits=limits, **BEHIND) as api:

        async def status_of(path: str, headers: dict[str, str], method: str = "GET") -> int:
            async with api.request(method, path, headers=headers, allow_redirects=False) as answer:
                return answer.status

        assert [await status_of(f"/none/{number}", flood) for number in range(21)] == [404] * 20 + [429]
        # No way in is left out.
        app = make_app(ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path)))
        routes = {resource.canonical for resource in app.router.resources()}
        health = {"/healthz", "/readyz", "/metrics"}
        assert len(routes - health) > 30
        for route in sorted(routes - health):
            assert await status_of(route.replace("{", "").replace("}", ""), flood) == 429, route
        for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            assert await status_of("/", flood, method) == 429
        refused = await api.get("/", headers={**flood, "Accept": "text/html"})
        assert (refused.status, refused.content_type) == (429, "text/html")
        problem = await assert_problem(await api.get("/docs", headers=flood), "rate-limited", 429)
        assert int(refused.headers["Retry-After"]) >= problem["retry_after_seconds"] - 1 >= 0
        assert await status_of("/healthz", flood) == 200, "a proxy that asks may have the same address"
        assert await status_of("/docs", {"X-Forwarded-For": "198.51.100.8"}) == 200
        # A thousand behind one address who ask for one thing cost little.
        behind = {"X-Forwarded-For": "203.0.113.5", "Prefer": "wait=30"}
        joined = await asyncio.gather(*(api.post(ASK, json=CLIP, headers=behind) for _ in range(150)))
        assert {answer.status for answer in joined} == {200}
    async with open_database(f"sqlite:///{tmp_path / SQLITE_FILE}") as database:
        entries = await AuditStore(database).read(AuditFilter(limit=10_000))
    refusals = [each for each in entries if each.code == "rate-limited"]
    assert {each.what.partition(" ")[2] for each in refusals} == {"more"}, "by their number alone"


async def test_l6_made_up_pictures_and_songs_of_one_client_leave_the_work_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artwork, "BUDGET", Allowance(burst=2 * artwork.CARD_COST, per_second=0.001))
    monkeypatch.setattr(songs, "BUDGET", Allowance(burst=3.0, per_second=0.001))
    async with open_api(FakePipeline(SystemClock()), tmp_path, **BEHIND) as api:

        async def status_of(path: str, address: str = "198.51.100.7") -> int:
            async with api.get(path, headers={"X-Forwarded-For": address}) as answer:
                return answer.status

        card = "/api/v1/artwork/song-{}-card.png"
        first = card.format("ONE")
        assert await status_of(first) == 200
        # One that was drawn for somebody else costs little.
        assert [await status_of(first, "192.0.2.1") for _ in range(50)] == [200] * 50
        assert [await status_of(first) for _ in range(20)] == [200] * 20
        assert await status_of(card.format("TWO")) == 200
        assert await status_of(card.format("THREE")) == 429
        assert [await status_of(f"/api/v1/songs/MADE-UP-{number}") for number in range(2)] == [404] * 2
        assert await status_of("/songs/MADE-UP") == 404
        for path in ("/songs/MADE-UP", "/api/v1/songs/MADE-UP"):
            assert await status_of(path) == 429
            assert await status_of(path, "192.0.2.1") == 404


@pytest.mark.parametrize("path", [ASK, "/redeem"])
@pytest.mark.parametrize("begin", [b"\n", b"\r\n--y\r\n", b"--x\r\nA: b\r\n" + b"A: b\r\n", b"x" * 100 + b"\n"])
async def test_l6_a_form_of_lines_without_end_is_refused_after_some(
    tmp_path: Path, path: str, begin: bytes
) -> None:
    piece = begin * (60_000 // len(begin))
    head = (
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    async with open_api(FakePipeline(SystemClock()), tmp_path) as api:
        port = (await api.get("/healthz")).url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = asyncio.create_task(reader.read(12))
        try:
            writer.write(head.format(path).encode())
            for _ in range(20):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await asyncio.wait({answer}, timeout=0.1)
            assert answer.done(), "it goes on reading"
            assert answer.result()[9:] in (b"400", b"413")
        finally:
            answer.cancel()
            writer.transport.abort()
