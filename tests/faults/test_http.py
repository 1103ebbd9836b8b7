"""What the HTTP side does when clients, parts or the store misbehave (fault ids of the reliability table)."""

import asyncio
import gzip
import json
import logging
import sqlite3
import time
import zlib
from collections.abc import AsyncGenerator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fingerprint.clock import SystemClock
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.api.requests import parse_json, parse_question
from server.identifications.limits import ServiceLimits
from server.server_limits import ServerLimits
from tests.api_client import ASK, CLIP, STREAM, ask, assert_problem, metric, open_api, read_events, until_metric
from tests.builders import NOON
from tests.fakes import FakePipeline

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def parts() -> FakePipeline:
    return FakePipeline(SystemClock())


@pytest.fixture
async def api(parts: FakePipeline, tmp_path: Path) -> AsyncGenerator[ClientSession]:
    async with open_api(parts, tmp_path) as client:
        yield client


# --- C3: bodies ---------------------------------------------------------------------------------------

BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n ",
    "cut": b'{"channel": "some',
    "two values": b'{"channel": "a"} {"channel": "b"}',
    "not UTF-8": b'{"channel": "\xff\xfe"}',
    "UTF-16": '{"channel": "a"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"channel": "a"}',
    "NaN": b'{"video": "123456789", "at": NaN}',
    "infinity": b'{"video": "123456789", "at": 1e999}',
    "huge integer": b'{"video": "123456789", "at": ' + b"9" * 5000 + b"}",
    "big integer": b'{"video": "123456789", "at": ' + b"9" * 400 + b"}",
    "negative": b'{"video": "123456789", "at": -1}',
    "deep": b"[" * 8000 + b"]" * 8000,
    "twenty-one deep": b"[" * 22 + b"]" * 22,
    "duplicate names": b'{"channel": "a", "channel": "b"}',
    "lone surrogate": b'{"channel": "\\ud800"}',
    "surrogate name": b'{"\\udfff": "a"}',
    "null": b"null",
    "list": b'["channel"]',
    "text": b'"somechannel"',
    "nothing asked": b"{}",
    "unknown field": b'{"channel": "a", "status": "successful"}',
    "two targets": b'{"channel": "a", "clip": "B"}',
    "at without video": b'{"at": 3}',
    "channel is a number": b'{"channel": 5}',
    "channel is null": b'{"channel": null}',
    "channel is a list": b'{"channel": ["a"]}',
    "video is a number": b'{"video": 123456789}',
    "at is a text": b'{"video": "123456789", "at": "5"}',
    "at is true": b'{"video": "123456789", "at": true}',
    "empty channel": b'{"channel": ""}',
    "odd channel": '{"channel": "söme channel"}'.encode(),
    "option as channel": b'{"channel": "-i /etc/passwd"}',
    "path as clip": b'{"clip": "../../etc/passwd"}',
    "markup as clip": b'{"clip": "<img src=x>"}',
    "NUL in clip": b'{"clip": "abc\\u0000def"}',
    "other site": b'{"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}',
    "look-alike site": b'{"url": "https://twitch.tv.evil.example/somechannel"}',
    "file address": b'{"url": "file:///etc/passwd"}',
    "loopback address": b'{"url": "http://127.0.0.1/somechannel"}',
    "long text": b'{"channel": "' + b"a" * 5000 + b'"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_c3_a_body_that_cannot_be_understood_is_invalid_input(
    api: ClientSession, parts: FakePipeline, body: bytes
) -> None:
    await assert_problem(await api.post(ASK, data=body, headers=JSON), "invalid-input", 400)
    assert await metric(api, "twitchaudio_jobs_running") == 0
    assert parts.resolver.asked == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
async def test_c3_another_content_type_is_refused(api: ClientSession, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = await api.post(ASK, data=json.dumps({"channel": "a"}).encode(), headers=headers)
    await assert_problem(response, "invalid-input", 400)


async def test_c3_no_body_at_all_is_invalid_input(api: ClientSession) -> None:
    await assert_problem(await api.post(ASK), "invalid-input", 400)


async def chunks(amount: int) -> AsyncGenerator[bytes]:
    for _ in range(amount):
        yield b" " * 1024


@pytest.mark.parametrize("announced", [True, False])
async def test_c3_a_body_of_two_megabytes_is_refused(api: ClientSession, announced: bool) -> None:
    data: Any = BytesIO(b" " * 2_000_000) if announced else chunks(2_000)
    response = await api.post(ASK, data=data, headers=JSON)
    await assert_problem(response, "invalid-input", 413)
    assert (await ask(api, wait=30)).status == 200


async def test_c3_a_body_that_unpacks_to_much_is_refused(api: ClientSession) -> None:
    packed = zlib.compress(b" " * 10_000_000)
    headers = JSON | {"Content-Encoding": "deflate"}
    response = await api.post(ASK, data=packed, headers=headers)
    await assert_problem(response, "invalid-input", 413)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
async def test_c3_a_compressed_body_is_read_when_it_is_one(
    api: ClientSession, pack: Callable[[bytes], bytes]
) -> None:
    name = "gzip" if pack is gzip.compress else "deflate"
    packed = pack(json.dumps(STREAM).encode())
    assert (await api.post(ASK, data=packed, headers=JSON | {"Content-Encoding": name.upper()})).status == 202
    plain = json.dumps(STREAM).encode()
    for body, encoding in ((packed[:-1], name), (plain, name), (packed, "br"), (packed, "gzip, gzip")):
        response = await api.post(ASK, data=body, headers=JSON | {"Content-Encoding": encoding})
        await assert_problem(response, "invalid-input", 400)
    for path, kind in ((ASK, "multipart/form-data; boundary=x"), ("/redeem", "application/x-www-form-urlencoded")):
        headers = {"Content-Type": kind, "Content-Encoding": name}
        assert (await api.post(path, data=packed, headers=headers)).status == 400


async def test_c3_what_nobody_reads_is_not_unpacked(api: ClientSession) -> None:
    bomb = zlib.compress(b" " * 30_000_000)

    async def cpu_seconds(body: bytes) -> float:
        """Of this process, for answers that need no body, and refusals of one."""
        began = time.process_time()
        for _ in range(5):
            for method, path in (("GET", "/docs"), ("POST", ASK), ("POST", "/redeem"), ("DELETE", "/docs")):
                headers = {"Content-Encoding": "deflate", "Content-Type": "multipart/form-data; boundary=x"}
                async with api.request(method, path, data=body, headers=headers) as answer:
                    await answer.read()
        return time.process_time() - began

    await cpu_seconds(b"x")
    # Unpacking it takes more than ten times what all the rest does.
    assert await cpu_seconds(bomb) < 4 * await cpu_seconds(bytes(len(bomb))) + 0.05


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["channel", "clip", "video", "at", "url", "x"]) | st.text(), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.one_of(st.binary(max_size=200), _ANY_JSON.map(lambda value: json.dumps(value).encode())))
def test_c3_any_body_is_a_target_or_invalid_input(body: bytes) -> None:
    refused: TwitchAudioError | None = None
    try:
        assert parse_question(parse_json(body)).target(NOON).key
    except TwitchAudioError as error:
        refused = error
    assert refused is None or refused.code is ProblemCode.INVALID_INPUT


# --- C1: slow clients ---------------------------------------------------------------------------------


async def test_c1_a_body_that_does_not_arrive_is_given_up(parts: FakePipeline, tmp_path: Path) -> None:
    limits = ServerLimits(body_seconds=0.2)

    async def drip() -> AsyncGenerator[bytes]:
        yield b'{"channel"'
        await asyncio.Event().wait()

    async with open_api(parts, tmp_path, limits=limits) as api:
        async with asyncio.timeout(30):
            response = await api.post(ASK, data=drip(), headers=JSON)
        await assert_problem(response, "timeout", 408)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_c1_a_connection_that_sends_no_request_is_closed(
    parts: FakePipeline, tmp_path: Path, sent: bytes
) -> None:
    async with open_api(parts, tmp_path, limits=ServerLimits(head_seconds=1.0)) as api:
        parts.capture.gate.clear()
        honest = asyncio.create_task(ask(api, wait=30))
        await parts.capture.started.wait()
        address = api._base_url  # pyright: ignore[reportPrivateUsage] - the client has no other word for it
        assert address is not None
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(sent)
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        # Who has sent a request may wait for its answer for long.
        parts.capture.gate.set()
        assert (await honest).status == 200


# --- C2: malformed requests ---------------------------------------------------------------------------

MALFORMED: dict[str, bytes] = {
    "two lengths": b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length and chunks": b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "NUL in a header": b"GET %s HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "a header of 9 kB": b"GET %s HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 9_000 + b"\r\n\r\n",
    "200 headers": b"GET %s HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 200 + b"\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00 %s\r\n\r\n",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
async def test_c2_a_malformed_request_is_refused_and_harms_nobody(
    api: ClientSession, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    address = api._base_url  # pyright: ignore[reportPrivateUsage] - the client has no other word for it
    assert address is not None
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(raw.replace(b"%s", ASK.encode()))
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.split(b" ")[1] in {b"400", b"431"}, answer[:200]
    assert (await api.get("/healthz")).status == 200


# --- Routes and methods -------------------------------------------------------------------------------


async def test_an_unknown_address_is_not_found(api: ClientSession) -> None:
    await assert_problem(await api.get("/api/v1/nothing"), "not-found", 404)
    await assert_problem(await api.get("/api/v1/clips/..%2f..%2fetc"), "invalid-input", 400)


async def test_a_wrong_method_is_told_the_right_one(api: ClientSession) -> None:
    response = await api.delete(ASK)
    await assert_problem(response, "invalid-input", 405)
    assert response.headers["Allow"] == "POST"
    await assert_problem(await api.request("TRACE", "/api/v1/status"), "invalid-input", 405)


# --- Parts that break ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["resolver", "capture", "recognizers"])
async def test_p5_a_job_that_crashes_fails_for_all_who_wait_and_frees_its_target(
    api: ClientSession, parts: FakePipeline, caplog: pytest.LogCaptureFixture, stage: str
) -> None:
    caplog.set_level(logging.CRITICAL, "fingerprint.pipeline")
    error = RuntimeError("a secret in the text")

    def crash() -> None:
        raise error

    gate = parts.resolver.gate if stage == "resolver" else parts.capture.gate
    gate.clear()
    if stage == "resolver":
        parts.resolver.error = error
    elif stage == "capture":
        parts.capture.error = error
    else:
        parts.recognizers.before = crash
    waiting = [asyncio.create_task(ask(api, wait=30)) for _ in range(3)]
    await until_metric(api, "twitchaudio_waiters", 3)
    gate.set()
    answers = [await (await task).json() for task in waiting]
    assert {answer["problem"]["code"] for answer in answers} == {"internal"}
    assert "secret" not in json.dumps(answers)
    parts.resolver.error = parts.capture.error = parts.recognizers.before = None
    assert (await (await ask(api, wait=30)).json())["status"] == "successful"


async def test_t16_an_answer_that_is_stored_is_given_when_its_clip_is_gone(
    api: ClientSession, parts: FakePipeline
) -> None:
    stored = await (await ask(api, CLIP, wait=30)).json()
    parts.resolver.error = TwitchAudioError(ProblemCode.CLIP_NOT_FOUND, "There is no such clip.")
    assert await (await ask(api, CLIP, wait=30)).json() == stored
    async with api.get(f"/api/v1/clips/{CLIP['clip']}") as again:
        assert (again.status, (await again.json())["id"]) == (200, stored["id"])
    assert len(parts.resolver.asked) == 1


async def test_a_fault_of_ours_is_internal_and_says_only_where_it_is_logged(
    api: ClientSession, parts: FakePipeline, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> str | None:
        raise RuntimeError("a secret in the text")

    parts.recognizers.unavailable_reason = broken
    response = await api.get("/api/v1/status")
    problem = await assert_problem(response, "internal", 500)
    assert problem["detail"] == f"This is a fault of ours. It is logged under {response.headers['X-Request-Id']}."
    assert "a secret in the text" in caplog.text


async def test_s8_while_the_database_is_locked_requests_are_told_busy(
    api: ClientSession, parts: FakePipeline, tmp_path: Path
) -> None:
    assert (await ask(api, CLIP, wait=30)).status == 200
    locker = sqlite3.connect(tmp_path / "twitchaudio.sqlite3", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    response = await ask(api, wait=30)
    problem = await assert_problem(response, "busy", 503)
    assert int(response.headers["Retry-After"]) >= 1
    assert problem["retry_after_seconds"] > 0
    # What can be read is still answered.
    assert (await ask(api, CLIP)).status == 200
    locker.execute("ROLLBACK")
    locker.close()
    assert (await ask(api, wait=30)).status == 200
    assert parts.capture.captures == 2


async def test_l3_beyond_the_queue_one_more_job_is_busy_at_once_and_joining_is_not(
    parts: FakePipeline, tmp_path: Path
) -> None:
    # One caller may fill half of the queue: see tests/unit/server/test_turns.py.
    async with open_api(parts, tmp_path, captures_at_once=2, queue=6) as api:
        parts.capture.gate.clear()
        for number in range(5):
            assert (await ask(api, {"channel": f"channel{number}"})).status == 202
        await assert_problem(await ask(api, {"channel": "onemore"}), "busy", 503)
        assert (await ask(api, {"channel": "channel4"})).status == 202
        assert await metric(api, "twitchaudio_jobs_running") == 2
        assert await metric(api, "twitchaudio_jobs_queued") == 3
        parts.capture.gate.set()
        answers = [await (await ask(api, {"channel": f"channel{n}"}, wait=30)).json() for n in range(5)]
        assert {answer["status"] for answer in answers} == {"successful"}
        assert parts.capture.most_at_once == 2


async def test_too_many_who_wait_are_busy_and_the_job_goes_on(parts: FakePipeline, tmp_path: Path) -> None:
    async with open_api(parts, tmp_path, service_limits=ServiceLimits(waiters=2)) as api:
        parts.capture.gate.clear()
        waiting = [asyncio.create_task(ask(api, wait=30)) for _ in range(2)]
        await until_metric(api, "twitchaudio_waiters", 2)
        await assert_problem(await ask(api, wait=30), "busy", 503)
        parts.capture.gate.set()
        assert [(await task).status for task in waiting] == [200, 200]


async def test_l6_one_client_that_waits_or_listens_leaves_room_for_others(
    parts: FakePipeline, tmp_path: Path
) -> None:
    async with (
        open_api(parts, tmp_path, service_limits=ServiceLimits(waiters=18)) as api,
        ClientSession(
            base_url=api._base_url,  # pyright: ignore[reportPrivateUsage] - the client has no other word for it
            connector=TCPConnector(limit=0, local_addr=("127.0.0.2", 0)),
        ) as client,
    ):
        parts.capture.gate.clear()
        # Five times what is left to others: 15 of 18.
        waiting = [asyncio.create_task(ask(client, wait=30)) for _ in range(10)]
        await until_metric(api, "twitchaudio_waiters", 10)
        job = f"{ASK}/{(await (await ask(api)).json())['id']}"
        listening = [await client.get(f"{job}/events") for _ in range(5)]
        assert {response.status for response in listening} == {200}
        for refused in (
            await client.get(f"{job}/events"),
            await client.get(job, headers={"Prefer": "wait=5"}),
            await ask(client, wait=5),
        ):
            await assert_problem(refused, "rate-limited", 429)
        waiting += [asyncio.create_task(ask(api, wait=30)) for _ in range(3)]
        await until_metric(api, "twitchaudio_waiters", 18)
        parts.capture.gate.set()
        assert {(await task).status for task in waiting} == {200}
        assert [(await read_events(response))[-1][0] for response in listening] == ["result"] * 5
        await until_metric(api, "twitchaudio_waiters", 0)


async def test_l7_a_listener_that_leaves_or_stays_silent_harms_nobody(parts: FakePipeline, tmp_path: Path) -> None:
    limits = ServerLimits(events_keep_alive_seconds=0.05)
    async with open_api(parts, tmp_path, limits=limits) as api:
        parts.capture.gate.clear()
        body = await (await ask(api)).json()
        address = f"{ASK}/{body['id']}/events"
        staying = await api.get(address)
        leaving = [await api.get(address) for _ in range(20)]
        for response in leaving:
            response.close()
        await until_metric(api, "twitchaudio_waiters", 1)
        parts.capture.gate.set()
        events = await read_events(staying)
        assert events[-1][0] == "result"
        await until_metric(api, "twitchaudio_waiters", 0)


# --- P7 and P2: the end of a server, and the next one --------------------------------------------------


async def test_p7_a_server_that_stops_lets_quick_jobs_end_and_tells_the_rest_to_ask_again(
    parts: FakePipeline, tmp_path: Path
) -> None:
    limits = ServerLimits(drain_seconds=0.3, shutdown_seconds=30.0)
    waiting: list[asyncio.Task[Any]] = []
    async with ClientSession() as client:
        async with open_api(parts, tmp_path, limits=limits) as api:
            address = api._base_url  # pyright: ignore[reportPrivateUsage] - the client has no other word for it
            assert address is not None
            parts.capture.gate.clear()

            async def wait_for_answer() -> tuple[int, dict[str, Any], str | None]:
                url = address / ASK.removeprefix("/")
                headers = {"Prefer": "wait=30"}
                async with client.post(url, json={"channel": "a"}, headers=headers) as response:
                    body = await response.json(content_type=None)
                    return response.status, body, response.headers.get("Retry-After")

            waiting = [asyncio.create_task(wait_for_answer()) for _ in range(20)]
            await until_metric(api, "twitchaudio_waiters", 20)
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*waiting)
    assert {(status, body["code"]) for status, body, _ in answers} == {(503, "busy")}
    # In two seconds, or a little later, so that not all come back at once.
    assert {retry for _, _, retry in answers} <= {"2", "3"}


async def test_p2_a_job_left_by_a_server_that_stopped_is_done_by_the_next(
    parts: FakePipeline, tmp_path: Path
) -> None:
    parts.capture.gate.clear()
    async with open_api(parts, tmp_path, limits=ServerLimits(drain_seconds=0.0)) as api:
        left = await (await ask(api)).json()
        await parts.capture.started.wait()
    next_parts = FakePipeline(SystemClock())
    async with open_api(next_parts, tmp_path, service_limits=ServiceLimits(poll_seconds=0.05)) as api:
        response = await api.get(f"{ASK}/{left['id']}", headers={"Prefer": "wait=30"})
        answer = await response.json()
    assert answer["id"] == left["id"]
    assert answer["status"] == "successful"
    assert next_parts.capture.captures == 1


async def test_p1_the_job_of_another_server_is_followed_and_taken_over_when_that_one_stops(
    parts: FakePipeline, tmp_path: Path
) -> None:
    second = FakePipeline(SystemClock())
    limits = ServiceLimits(poll_seconds=0.05)
    async with open_api(second, tmp_path, service_limits=limits) as follower:
        parts.capture.gate.clear()
        async with open_api(parts, tmp_path, limits=ServerLimits(drain_seconds=0.0)) as leader:
            started = await (await ask(leader)).json()
            await parts.capture.started.wait()
            waiting = [asyncio.create_task(ask(follower, wait=30)) for _ in range(5)]
            await until_metric(follower, "twitchaudio_waiters", 5)
            assert second.capture.captures == 0
        answers = [await (await task).json() for task in waiting]
    assert {answer["id"] for answer in answers} == {started["id"]}
    assert {answer["status"] for answer in answers} == {"successful"}
    assert second.capture.captures == 1


async def test_the_answer_of_another_server_reaches_those_who_wait_here(
    parts: FakePipeline, tmp_path: Path
) -> None:
    second = FakePipeline(SystemClock())
    limits = ServiceLimits(poll_seconds=0.05)
    async with (
        open_api(second, tmp_path, service_limits=limits) as follower,
        open_api(parts, tmp_path) as leader,
    ):
        parts.capture.gate.clear()
        first = asyncio.create_task(ask(leader, wait=30))
        await parts.capture.started.wait()
        waiting = [asyncio.create_task(ask(follower, wait=30)) for _ in range(5)]
        await until_metric(follower, "twitchaudio_waiters", 5)
        parts.capture.gate.set()
        expected = await (await first).json()
        answers = [await (await task).json() for task in waiting]
    assert {answer["id"] for answer in answers} == {expected["id"]}
    assert all(answer["song"] == expected["song"] for answer in answers)
    assert second.capture.captures == 0
