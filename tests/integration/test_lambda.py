"""The Lambda function under AWS's own Runtime Interface Client and Emulator, invoked by a real server."""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session
from aiohttp import ClientSession

from fingerprint.configured_database import open_configured_database
from fingerprint.domain.identification import Identification, IdentificationId, Status
from fingerprint.domain.problems import ProblemCode
from fingerprint.domain.targets import ClipTarget
from fingerprint.job_ports import Claimed, JobStore
from fingerprint.jobs import open_job_store
from fingerprint.lambda_handler import Function
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from server.app import listening, make_app
from server.identifications.limits import ServiceLimits
from server.settings import ServerSettings
from tests.api_client import ask, assert_problem, bot_headers, read_events
from tests.bench.answer_time import Bench, simulated_twitch
from tests.emulators import REGION, Emulator
from tests.fakes import FakeClock
from tests.kept_work import SIMULATED
from tests.lambda_runtime import Runtime, invoke, lambda_runtime, shim, tables_on

CHANNEL = {"channel": "neonharbour"}
CLIP = {"clip": "ElegantNeonHarbourDriveKappa-m3Qx7_vT1bLz-9Ra"}


@pytest.fixture(scope="module")
def twitch(tmp_path_factory: pytest.TempPathFactory) -> Generator[Bench]:
    with simulated_twitch(tmp_path_factory.mktemp("lambda"), "--cache", str(SIMULATED)) as bench:
        yield bench


@pytest.fixture
async def environment(twitch: Bench, ministack: Emulator) -> dict[str, str]:
    await control(twitch, "reset", {})
    return {**twitch.environment, **await tables_on(ministack)}


async def control(twitch: Bench, path: str, body: object) -> None:
    async with (
        ClientSession() as session,
        session.post(f"{twitch.simulator['control_url']}/{path}", json=body) as reply,
    ):
        assert reply.status < 300, await reply.text()


async def playlists_asked_for(twitch: Bench) -> int:
    async with ClientSession() as session, session.get(f"{twitch.simulator['control_url']}/requests") as reply:
        return (await reply.json())["counts"].get("usher", 0)


@asynccontextmanager
async def server(environment: dict[str, str], endpoint: str) -> AsyncGenerator[ClientSession]:
    """A server in this process whose jobs run in the function."""
    settings = read_settings(
        ServerSettings,
        {
            **environment,
            "TWITCHAUDIO_RUNNER": "lambda",
            "TWITCHAUDIO_LAMBDA_ENDPOINT": endpoint,
            "TWITCHAUDIO_LAMBDA_FUNCTION": "function",
        },
    )
    async with (
        # This is not about time limits.
        listening(
            make_app(settings, service_limits=ServiceLimits(function_start_seconds=90)), "127.0.0.1", 0
        ) as address,
        ClientSession(base_url=address) as client,
    ):
        yield client


@asynccontextmanager
async def store(environment: dict[str, str]) -> AsyncGenerator[JobStore]:
    settings = read_settings(PipelineSettings, environment)
    async with open_job_store(settings, FakeClock(datetime.now(UTC))) as opened:
        yield opened


def event(kind: str, identifier: str, **extra: Any) -> dict[str, Any]:
    return {"JobId": f"job-{secrets.token_hex(4)}", "Type": kind, "Identifier": identifier, "Extra": extra}


async def until_gone(runtime: Runtime, function: int) -> None:
    async with asyncio.timeout(30):
        while set(runtime.children()) != {function}:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.02)


async def until_capturing(api: ClientSession, identification_id: str) -> None:
    stage = None
    async with asyncio.timeout(60):
        while stage != "capturing":
            await asyncio.sleep(0.05)
            stage = (await (await api.get(f"/api/v1/identifications/{identification_id}")).json())["stage"]


async def started(api: ClientSession, body: object) -> str:
    """The id of a job; ministack does not answer while it unpacks a function, and we are told to come back."""
    async with asyncio.timeout(120):
        while True:
            reply = await ask(api, body)
            if reply.status != 503:
                return (await reply.json())["id"]
            await asyncio.sleep(0.5)


async def finished(api: ClientSession, identification_id: str) -> dict[str, Any]:
    async with asyncio.timeout(120):
        while True:
            reply = await api.get(f"/api/v1/identifications/{identification_id}", headers={"Prefer": "wait=30"})
            body = await reply.json()
            if body.get("finished_at"):
                return body
            await asyncio.sleep(0.1)


# --- With a server ------------------------------------------------------------------------------------


async def test_a_server_has_a_live_channel_and_a_clip_identified_by_the_function(
    twitch: Bench, environment: dict[str, str]
) -> None:
    async with lambda_runtime(environment) as runtime, server(environment, runtime.endpoint) as api:
        # Slow enough for every stage to be seen.
        await control(twitch, "latency", {"by_step": {"usher": 1500, "segment": 1500}})
        body = await (await ask(api, CHANNEL)).json()
        events = await read_events(await api.get(f"/api/v1/identifications/{body['id']}/events"))
        assert events[-1][0] == "result"
        assert events[-1][1]["status"] == "successful", events[-1][1]
        assert events[-1][1]["song"]["title"]
        stages = [data["stage"] for _, data in events]
        assert {"resolving", "capturing"} <= set(stages), stages
        await control(twitch, "latency", {})
        # Nothing runs on after an invocation but the function's own process, which is used again.
        function = runtime.children()[0]
        await until_gone(runtime, function)
        answer = await (await ask(api, CLIP, wait=30)).json()
        assert answer["status"] == "successful", answer
        await until_gone(runtime, function)
        again = await (await ask(api, CLIP)).json()
        assert again["id"] == answer["id"]
        assert runtime.invocations == 2
        stored = await (await api.get(f"/api/v1/clips/{CLIP['clip']}")).json()
        assert stored["song"] == answer["song"]
        # A whole VOD takes longer than a function may.
        async with open_configured_database(read_settings(PipelineSettings, environment)) as database:
            watcher = await bot_headers(database, "watch")
        refused = await api.post("/api/v1/videos/2210987001/set-list", headers=watcher)
        problem = await assert_problem(refused, "recognizer-unavailable", 503)
        assert "whole VODs" in problem["detail"]


async def test_p11_a_function_that_dies_in_mid_capture_is_invoked_anew_for_those_who_wait(
    twitch: Bench, environment: dict[str, str]
) -> None:
    async with lambda_runtime(environment) as runtime, server(environment, runtime.endpoint) as api:
        await control(twitch, "latency", {"by_step": {"segment": 20_000}})
        body = await (await ask(api, CHANNEL)).json()
        waiting = asyncio.create_task(ask(api, CHANNEL, wait=30))
        await until_capturing(api, body["id"])
        await control(twitch, "latency", {})
        runtime.kill_function()
        await waiting
        answer = await finished(api, body["id"])
        assert answer["status"] == "successful", answer
        assert runtime.invocations == 2


async def test_p11_a_job_that_outlasts_the_functions_time_ends_as_timeout(
    twitch: Bench, environment: dict[str, str]
) -> None:
    async with lambda_runtime(environment, seconds=6) as runtime, server(environment, runtime.endpoint) as api:
        slow = {"gql": 1000, "usher": 1500, "playlist": 1500, "segment": 4000}
        await control(twitch, "latency", {"by_step": slow})
        body = await (await ask(api, CHANNEL)).json()
        answer = await finished(api, body["id"])
        assert answer["status"] == "failed", answer
        assert answer["problem"]["code"] == "timeout"
        async with store(environment) as jobs:
            stored = await jobs.get(IdentificationId(answer["id"]))
        assert stored is not None
        assert stored.problem is not None
        assert stored.problem.code is ProblemCode.TIMEOUT


# --- The handler alone --------------------------------------------------------------------------------


async def test_p10_p11_p13_events_that_come_twice_late_or_broken_do_no_harm(
    twitch: Bench, environment: dict[str, str]
) -> None:
    async with lambda_runtime(environment) as runtime, store(environment) as jobs:
        first = event("stream", "neonharbour")
        answer = await invoke(runtime.endpoint, first)
        assert (answer["id"], answer["status"]) == (first["JobId"], "successful")
        asked = await playlists_asked_for(twitch)
        # As a text that holds the event, as some who invoke write it.
        assert await invoke(runtime.endpoint, json.dumps(first)) == answer
        assert await playlists_asked_for(twitch) == asked
        for broken, said in (
            ({}, "JobId"),
            ("no JSON", "not JSON"),
            (event("stream", "not a channel"), "Identifier"),
            ({**event("file", "/etc/passwd")}, "Type"),
            (event("stream", "neonharbour", Lease={"Fence": "1"}), "Lease"),
        ):
            error = await invoke(runtime.endpoint, broken)
            assert error["errorType"] == "InvalidEventError", error
            assert said in error["errorMessage"]
        # A lease can be adopted once.
        claim = await jobs.claim(ClipTarget(CLIP["clip"]), owner="server", now=datetime.now(UTC), lease_seconds=60)
        assert isinstance(claim, Claimed)
        lease = claim.lease
        extra = {
            "Lease": {
                "TargetKey": lease.target_key,
                "Owner": "server",
                "Fence": lease.fence,
                "ExpiresAt": lease.expires_at.isoformat(),
            }
        }
        given = {"JobId": lease.identification_id, "Type": "clip", "Identifier": CLIP["clip"], "Extra": extra}
        clip = await invoke(runtime.endpoint, given)
        assert clip["status"] == "successful"
        assert await invoke(runtime.endpoint, given) == clip
        late = {**given, "Extra": {**extra, "Deadline": (datetime.now(UTC) - timedelta(hours=3)).isoformat()}}
        assert await invoke(runtime.endpoint, late) == clip


@pytest.mark.nightly
async def test_an_event_names_the_recognizers_and_their_budgets(
    twitch: Bench, environment: dict[str, str]
) -> None:
    async with lambda_runtime({**environment, "AUDD_API_TOKEN": "token"}) as runtime:

        async def asked(**chosen: object) -> dict[str, Any]:
            return await invoke(runtime.endpoint, event("stream", "neonharbour", **chosen))

        # AudD's budget cannot be counted without a database, so it is not asked, and the catalog is not named.
        alone = await asked(Recognizers=["audd"], Budgets="audd=5/day")
        assert (alone["status"], alone["song"]) == ("failed", None), alone
        assert alone["problem"]["code"] == "recognizer-unavailable", alone
        last = await asked(Recognizers=["audd", "catalog"], Budgets="audd=5/day")
        assert (last["status"], last["recognizer"]) == ("successful", "catalog"), last
        # What one event names does not hold for the next in the same process.
        assert (await asked())["recognizer"] == "catalog"
        assert "Recognizers" in (await asked(Recognizers="catalog"))["errorMessage"]


async def test_p13_twenty_events_in_one_process_leave_nothing_behind(
    twitch: Bench, environment: dict[str, str], tmp_path: Path
) -> None:
    async with lambda_runtime({**environment, "TMPDIR": str(tmp_path)}) as runtime:
        function = runtime.children()[0]

        async def ended(kind: str, identifier: str) -> str:
            answer: dict[str, Any] = {"errorType": ""}
            for _ in range(3):
                # When the emulated DynamoDB did not answer in time, it is invoked again, as Lambda does.
                if "errorType" in answer:
                    answer = await invoke(runtime.endpoint, event(kind, identifier))
            # All that it started has ended with it, and the same process takes the next event.
            await until_gone(runtime, function)
            assert names_in(tmp_path) == []
            assert "errorType" not in answer, answer
            return answer["problem"]["code"] if answer["problem"] else answer["status"]

        usual = [
            *(("stream", "neonharbour", "successful"), ("clip", CLIP["clip"], "successful")),
            ("stream", "nobody_of_this_name", "channel-not-found"),
            *(("clip", "NoSuchClip", "clip-not-found"), ("video", "1", "video-not-found")),
        ]
        for kind, identifier, expected in usual:
            assert await ended(kind, identifier) == expected
        open_files = descriptors(function)
        for number in range(15):
            kind, identifier, expected = usual[number % len(usual)]
            if number == 7:
                # One breaks in the middle: in the handler, and at Twitch.
                assert "errorType" in await invoke(runtime.endpoint, event("file", "/etc/passwd"))
                await control(twitch, "faults", {"faults": [{"step": "gql", "kind": "status", "status": 500}]})
                assert await ended("stream", "barebones_tv") == "upstream-unavailable"
                await control(twitch, "reset", {})
            assert await ended(kind, identifier) == expected
        # Connections that are kept may be other ones, not more and more.
        assert descriptors(function) <= open_files + 4


def descriptors(pid: int) -> int:
    """How many files and connections a process has open."""
    return len(names_in(Path(f"/proc/{pid}/fd")))


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_an_invocation_leaves_no_task_behind(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Context:
        aws_request_id = "request"

        def get_remaining_time_in_millis(self) -> int:
            return 60_000

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    function = Function()
    try:
        for _ in range(2):
            answer = await asyncio.to_thread(function.invoke, event("stream", "neonharbour"), Context())
            assert answer["status"] == "successful"
            loop = function._runner.get_loop()  # pyright: ignore[reportPrivateUsage] - what is left is in there
            assert asyncio.all_tasks(loop) == set()
    finally:
        await asyncio.to_thread(function.close)


# --- On ministack: side by side, and without waiting ---------------------------------------------------


async def test_concurrent_and_asynchronous_invocations_on_ministack(
    twitch: Bench, environment: dict[str, str], ministack: Emulator
) -> None:
    name = f"fingerprint-{secrets.token_hex(4)}"
    async with get_session().create_client(
        "lambda", region_name=REGION, endpoint_url=ministack.endpoint
    ) as client:
        await client.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role="arn:aws:iam::000000000000:role/function",
            Handler="shim.handler",
            Code={"ZipFile": shim()},
            Timeout=40,
            MemorySize=1024,
            Environment={"Variables": environment},
        )
        settings = read_settings(
            ServerSettings,
            {
                **environment,
                "TWITCHAUDIO_RUNNER": "lambda",
                "TWITCHAUDIO_LAMBDA_ENDPOINT": ministack.endpoint,
                "TWITCHAUDIO_LAMBDA_FUNCTION": name,
            },
        )
        limits = ServiceLimits(function_start_seconds=90)
        async with (
            listening(make_app(settings, service_limits=limits), "127.0.0.1", 0) as address,
            ClientSession(base_url=address) as api,
        ):
            bodies = ({"channel": "neonharbour"}, {"channel": "barebones_tv"}, CLIP)
            ids = await asyncio.gather(*(started(api, body) for body in bodies))
            answers = await asyncio.gather(*(finished(api, each) for each in ids))
            assert {answer["status"] for answer in answers} <= {"successful", "no_match"}, answers
            assert answers[0]["status"] == answers[2]["status"] == "successful"
        unasked = event("clip", "AbrasivePlayfulMangoMau5")
        payload = json.dumps(unasked).encode()
        for _ in range(2):
            accepted = await client.invoke(FunctionName=name, InvocationType="Event", Payload=payload)
            assert accepted["StatusCode"] == 202
        async with store(environment) as jobs, asyncio.timeout(120):
            found: Identification | None = None
            while found is None or not found.status.finished:
                await asyncio.sleep(0.1)
                found = await jobs.get(IdentificationId(unasked["JobId"]))
        assert found.status in (Status.SUCCESSFUL, Status.NO_MATCH)
