"""How much somebody may ask for, over HTTP: one job at a time for an address, and so many in a while."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import open_database
from server.access.identity.api_keys import ApiKeyStore
from server.cli import main
from server.setting_formats import Rate
from tests.api_client import ASK, CLIP, ask, assert_problem, metric, open_api
from tests.browser_client import browsing, known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import a_viewer

ONE, TWO = {"channel": "one"}, {"channel": "two"}
LOOPBACK = (ip_network("127.0.0.0/8"),)


@asynccontextmanager
async def serving(address: str, folder: Path, **more: Any) -> AsyncGenerator[tuple[ClientSession, FakePipeline]]:
    """A server with the usual one job at a time; its pipeline's gate is shut."""
    parts = FakePipeline(SystemClock())
    parts.capture.gate.clear()
    limited: dict[str, Any] = {"jobs_per_address": 1, **more}
    async with open_api(parts, folder, database_url=address, **limited) as api:
        yield api, parts
        parts.capture.gate.set()


async def test_a_second_target_is_told_of_the_job_that_runs_and_the_same_is_joined(
    sql_address: str, tmp_path: Path
) -> None:
    async with serving(sql_address, tmp_path) as (api, parts):
        first = await ask(api, ONE)
        assert first.status == 202
        refused = await ask(api, CLIP)
        body = await assert_problem(refused, "job-in-progress", 409)
        assert refused.headers["Location"] == body["location"] == first.headers["Location"]
        assert int(refused.headers["Retry-After"]) > 0
        running = await (await api.get(body["location"])).json()
        assert (running["target"], running["status"]) == ("one", "running")
        joined = await ask(api, ONE)
        assert ((await joined.json())["shared"], joined.status) == (True, 202)
        parts.capture.gate.set()
        assert (await (await ask(api, ONE, wait=30)).json())["status"] == "successful"
        assert (await ask(api, CLIP, wait=30)).status == 200


async def test_a_second_target_is_refused_on_another_server_too(sql_address: str, tmp_path: Path) -> None:
    async with serving(sql_address, tmp_path) as (a, parts), serving(sql_address, tmp_path) as (b, _):
        first = await ask(a, ONE)
        refused = await ask(b, TWO)
        await assert_problem(refused, "job-in-progress", 409)
        assert refused.headers["Location"] == first.headers["Location"]
        assert (await (await ask(b, ONE)).json())["id"] == (await first.json())["id"]
        parts.capture.gate.set()


async def test_one_question_after_the_other_is_never_refused(sql_address: str, tmp_path: Path) -> None:
    async with serving(sql_address, tmp_path) as (a, one), serving(sql_address, tmp_path) as (b, two):
        one.capture.gate.set()
        two.capture.gate.set()
        for number in range(20):
            answer = await ask((a, b)[number // 2 % 2], {"channel": f"c{number}"}, wait=30)
            assert answer.status == 200, await answer.text()


async def test_l5_many_viewers_behind_one_address_are_all_answered(sql_address: str, tmp_path: Path) -> None:
    limits: dict[str, Any] = {"starts_per_address": (Rate(1, 86_400),)}
    async with (
        serving(sql_address, tmp_path, **limits) as (a, one),
        serving(sql_address, tmp_path, **limits) as (b, two),
    ):
        asking = [asyncio.create_task(ask((a, b)[number % 2], ONE, wait=30)) for number in range(1_000)]
        async with asyncio.timeout(30):
            while sum([await metric(api, "twitchaudio_waiters") for api in (a, b)]) < 1_000:  # noqa: ASYNC110 - another part
                await asyncio.sleep(0.1)
        one.capture.gate.set()
        two.capture.gate.set()
        answers = [await answer.json() for answer in await asyncio.gather(*asking)]
        assert {answer["status"] for answer in answers} == {"successful"}
        assert len({answer["id"] for answer in answers}) == 1
        assert one.capture.captures + two.capture.captures == 1


async def test_of_fifty_targets_at_once_one_is_started(sql_address: str, tmp_path: Path) -> None:
    async with serving(sql_address, tmp_path) as (api, parts):
        answers = await asyncio.gather(*(ask(api, {"channel": f"c{number}"}) for number in range(50)))
        statuses = [answer.status for answer in answers]
        assert (statuses.count(202), statuses.count(409)) == (1, 49)
        assert parts.capture.captures <= 1


async def test_an_ipv6_address_counts_with_its_64_and_only_trusted_proxies_are_believed(
    sql_address: str, tmp_path: Path
) -> None:
    async def asked(api: ClientSession, channel: str, address: str) -> int:
        headers = {"X-Forwarded-For": address}
        return (await api.post(ASK, json={"channel": channel}, headers=headers)).status

    async with serving(sql_address, tmp_path, trusted_proxies=LOOPBACK) as (api, _parts):
        assert await asked(api, "one", "2001:db8:0:1::a") == 202
        assert await asked(api, "two", "2001:db8:0:1:ffff::b") == 409
        assert await asked(api, "three", "2001:db8:0:2::a") == 202
        assert await asked(api, "four", "192.0.2.7") == 202
        assert await asked(api, "five", "9.9.9.9, 192.0.2.7") == 409
    async with serving(sql_address, tmp_path) as (api, _parts):
        assert await asked(api, "six", "192.0.2.99") == 202
        assert await asked(api, "seven", "192.0.2.100") == 409


async def test_a_key_has_its_own_number_of_jobs_at_once(sql_address: str, tmp_path: Path) -> None:
    async with serving(sql_address, tmp_path) as (api, _parts), open_database(sql_address) as database:
        _, secret = await ApiKeyStore(database).create("a bot", now=datetime.now(UTC), at_once=2)
        headers = {"X-API-Key": secret.reveal()}
        assert (await ask(api, ONE)).status == 202
        statuses = [
            (await api.post(ASK, json={"channel": f"c{number}"}, headers=headers)).status for number in range(3)
        ]
        assert statuses == [202, 202, 409]
        await assert_problem(await ask(api, TWO), "job-in-progress", 409)


async def test_an_addresss_limit_counts_starts_on_all_servers_and_says_what_is_left(
    sql_address: str, tmp_path: Path
) -> None:
    limits: dict[str, Any] = {"jobs_per_address": 0, "starts_per_address": (Rate(3, 86_400), Rate(100, 60))}
    async with (
        serving(sql_address, tmp_path, **limits) as (a, one),
        serving(sql_address, tmp_path, **limits) as (b, two),
    ):
        one.capture.gate.set()
        two.capture.gate.set()
        left: list[str] = []
        for number, api in enumerate((a, b, a)):
            answer = await ask(api, {"clip": f"Slug-{number}"}, wait=30)
            left.append(answer.headers["RateLimit"].split(";t=")[0])
        assert left == ['"starts";r=2', '"starts";r=1', '"starts";r=0']
        refused = await ask(b, {"clip": "Slug-9"})
        await assert_problem(refused, "rate-limited", 429)
        assert 0 < int(refused.headers["Retry-After"]) <= 86_400
        assert refused.headers["RateLimit-Policy"] == '"starts";q=3;w=86400'
        stored = await ask(b, {"clip": "Slug-1"})
        assert (stored.status, "RateLimit" in stored.headers) == (200, False)


async def test_a_persons_limit_counts_starts_wherever_they_ask_from_and_however_they_are_known(
    sql_address: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer:
        limits: dict[str, Any] = {
            **known_to_twitch(viewer),
            "jobs_per_address": 0,
            "starts_per_person": (Rate(3, 86_400), Rate(100, 60)),
            "trusted_proxies": LOOPBACK,
        }
        async with (
            serving(sql_address, tmp_path, **limits) as (a, _),
            serving(sql_address, tmp_path, **limits) as (b, _),
        ):
            vic, sue = (
                {"Authorization": f"Bearer {viewer.twitch.accounts.token_for(login)}"}
                for login in ("viewer_vic", "subscriber_sue")
            )

            async def asked(api: ClientSession, number: int, who: dict[str, str]) -> ClientResponse:
                headers = {**who, "X-Forwarded-For": f"10.0.{number}.1"}
                return await api.post(ASK, json={"channel": f"channel{number}"}, headers=headers)

            left: list[str] = []
            for number, api in enumerate((a, b)):
                left.append((await asked(api, number, vic)).headers["RateLimit"].split(";t=")[0])
            async with browsing(a, viewer) as browser:
                await browser.sign_in()
                by_cookie = await browser.post(ASK, json={"channel": "channel2"}, token=await browser.csrf())
                left.append(by_cookie.headers["RateLimit"].split(";t=")[0])
                assert left == ['"starts";r=2', '"starts";r=1', '"starts";r=0']
                refused = [await asked(b, 3, vic)]
                refused.append(await browser.post(ASK, json={"channel": "channel3"}, token=await browser.csrf()))
            for answer in refused:
                body = await assert_problem(answer, "rate-limited", 429)
                assert 0 < int(answer.headers["Retry-After"]) == body["retry_after_seconds"] <= 86_400
                assert answer.headers["RateLimit"].startswith('"starts";r=0;t=')
                assert answer.headers["RateLimit-Policy"] == '"starts";q=3;w=86400'
            # To join costs nothing; others have their own; and whoever is not signed in counts by address alone.
            joined = await asked(b, 1, vic)
            assert (joined.status, (await joined.json())["shared"], "RateLimit" in joined.headers) == (
                202,
                True,
                False,
            )
            assert (await asked(b, 4, sue)).headers["RateLimit"].startswith('"starts";r=2;t=')
            unknown = await asked(a, 5, {})
            assert (unknown.status, "RateLimit" in unknown.headers) == (202, False)


@pytest.mark.usefixtures("capsys")
def test_a_keys_jobs_at_once_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    assert main(["admin", "keys", "create", "a bot", "--at-once", "7"]) == 0
    capsys.readouterr()
    assert main(["admin", "keys"]) == 0
    assert "  7 at once  " in capsys.readouterr().out
