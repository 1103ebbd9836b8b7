"""A server whose jobs are in DynamoDB: `twitchaudio db upgrade`, `/readyz`, and a table that is not there yet."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.settings import read_settings
from server.app import listening, make_app
from server.cli import main
from server.settings import ServerSettings
from tests.api_client import CLIP, ask, assert_problem
from tests.dynamodb_proxy import Break, DynamoDbProxy, standing_before
from tests.emulators import Emulator
from tests.fakes import FakePipeline
from tests.template import server_actions


@pytest.fixture
def names(ministack: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The names of two tables that are not there, in the environment with all that a server needs."""
    streams, clips = ministack.new_names()
    variables = {
        "TWITCHAUDIO_DATA_DIR": str(tmp_path),
        "TWITCHAUDIO_JOBS": "dynamodb",
        "TWITCHAUDIO_DYNAMODB_ENDPOINT": ministack.endpoint,
        "TWITCHAUDIO_DYNAMODB_STREAM_TABLE": streams,
        "TWITCHAUDIO_DYNAMODB_CLIP_TABLE": clips,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return streams, clips


def upgrade(capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["db", "upgrade"])
    said = capsys.readouterr()
    return code, said.out, said.err


async def described(endpoint: str, name: str) -> tuple[Any, Any]:
    async with open_client(endpoint) as client:
        table: Any = (await client.describe_table(TableName=name))["Table"]
        expiry: Any = (await client.describe_time_to_live(TableName=name))["TimeToLiveDescription"]
    return table, expiry


def test_db_upgrade_makes_the_tables_once(
    ministack: Emulator, names: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = upgrade(capsys)
    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == [f"Made the DynamoDB table {name}." for name in names]
    for name in names:
        table, expiry = asyncio.run(described(ministack.endpoint, name))
        assert table["TableStatus"] == "ACTIVE"
        assert table["KeySchema"] == [{"AttributeName": "Id", "KeyType": "HASH"}]
        assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "ExpiresAt")
    code, out, err = upgrade(capsys)
    assert (code, err) == (0, "")
    assert "Made" not in out
    assert "up to date" in out


def test_db_upgrade_says_in_one_line_that_dynamodb_is_out_of_reach(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DYNAMODB_ENDPOINT", "http://127.0.0.1:9")
    code, out, err = upgrade(capsys)
    assert (code, out) == (1, "")
    [said] = [line for line in err.splitlines() if line.startswith("twitchaudio: ")]
    assert "canary" not in err
    assert said


@pytest.fixture
async def proxy(ministack: Emulator) -> AsyncGenerator[DynamoDbProxy]:
    async with standing_before(ministack.endpoint) as proxy:
        yield proxy


@pytest.fixture
async def api(
    proxy: DynamoDbProxy, names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[ClientSession]:
    """A server whose way to DynamoDB can be broken."""
    with monkeypatch.context() as patch:
        patch.setenv("TWITCHAUDIO_DYNAMODB_ENDPOINT", proxy.endpoint)
        settings = read_settings(ServerSettings)
    app = make_app(settings, pipeline=FakePipeline(SystemClock()).pipeline)
    async with listening(app, "127.0.0.1", 0) as address, ClientSession(base_url=address) as client:
        yield client


async def readiness(api: ClientSession, status: int, said: str = "") -> dict[str, Any]:
    """What is said of the job store, once readiness has this status and says this: a result counts for a moment.

    The client waits between its tries for as long as chance says; where that takes all the time that a call has,
    DynamoDB "does not answer", whatever it said before.
    """
    async with asyncio.timeout(20):
        while True:
            async with api.get("/readyz") as answer:
                body = await answer.json()
                assert body["dependencies"]["database"]["ready"] is True
                jobs = body["dependencies"]["jobs"]
                if answer.status == status and said in (jobs["detail"] or ""):
                    return jobs
            await asyncio.sleep(0.05)


async def test_s9_readyz_names_the_command_while_a_table_is_missing_and_is_ready_without_a_restart(
    api: ClientSession, names: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = await readiness(api, 503)
    assert jobs["ready"] is False
    assert "twitchaudio db upgrade" in jobs["detail"]
    await assert_problem(await ask(api, CLIP, wait=30), "busy", 503)
    assert (await asyncio.to_thread(upgrade, capsys))[0] == 0
    jobs = await readiness(api, 200)
    assert (jobs["ready"], jobs["detail"]) == (True, None)
    assert "twitchaudio db upgrade" in jobs["last_error"]
    answer = await (await ask(api, CLIP, wait=30)).json()
    assert answer["status"] == "successful"


async def test_d3_readyz_says_that_dynamodb_does_not_answer_and_is_ready_again(
    api: ClientSession, proxy: DynamoDbProxy, names: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await asyncio.to_thread(upgrade, capsys))[0] == 0
    for kind, said in (
        (Break.STALL, "does not answer"),
        (Break.DROP, "does not answer"),
        (Break.THROTTLE, "Too much is going on"),
        (Break.EXPIRE, "credentials have expired"),
    ):
        proxy.break_all(kind)
        jobs = await readiness(api, 503, said)
        assert jobs["ready"] is False, kind
        assert jobs["last_error"] == jobs["detail"]
        assert (await api.get("/healthz")).status == 200
        proxy.mend()
        assert (await readiness(api, 200))["ready"] is True


async def test_db_upgrade_works_under_the_policy_of_the_deployment_template(
    proxy: DynamoDbProxy,
    names: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DYNAMODB_ENDPOINT", proxy.endpoint)
    allowed = {action.partition(":")[2] for action in server_actions() if action.startswith("dynamodb:")}
    proxy.rule = lambda operation, _parameters: None if operation in allowed else Break.DENY
    code, _, err = await asyncio.to_thread(upgrade, capsys)
    assert code == 1
    assert "the policy of the server's AWS role" in err
    proxy.mend()
    assert (await asyncio.to_thread(upgrade, capsys))[0] == 0
    proxy.rule = lambda operation, _parameters: None if operation in allowed else Break.DENY
    code, out, err = await asyncio.to_thread(upgrade, capsys)
    assert (code, err) == (0, "")
    assert "Made" not in out
    proxy.mend()
