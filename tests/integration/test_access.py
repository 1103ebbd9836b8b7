"""Refusals over HTTP: who may ask, changed while servers run."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession

from fingerprint.database import open_database
from fingerprint.ports import Clock
from server.access.rules.store import RulesStore
from server.cli import main
from tests.api_client import CLIP, STREAM, ServerRules, ask, assert_problem, open_api
from tests.fakes import FakeClock, FakePipeline

VIDEO = {"video": "1234567890"}
SEEN_SECONDS = 2.0


@pytest.fixture
def address(sql_address: str) -> str:
    return sql_address


@pytest.mark.parametrize(
    ("change", "refused", "code", "status"),
    [
        ("maintenance=on", [STREAM, CLIP, VIDEO], "maintenance", 503),
        ("active=off", [STREAM, CLIP, VIDEO], "inactive", 503),
        ("streams_enabled=off", [STREAM, VIDEO], "streams-disabled", 403),
        ("clips_enabled=off", [CLIP], "clips-disabled", 403),
        ("access_mode=login", [STREAM, CLIP, VIDEO], "login-required", 401),
        ("access_mode=subscribers", [STREAM, CLIP, VIDEO], "login-required", 401),
    ],
)
async def test_a_setting_refuses_over_http_with_its_code(  # noqa: PLR0917 - two fixtures and a row of a table
    api: ClientSession, rules: ServerRules, change: str, refused: list[object], code: str, status: int
) -> None:
    name, _, text = change.partition("=")
    await rules.set(**{name: text})
    allowed = [question for question in (STREAM, CLIP, VIDEO) if question not in refused]
    for question in refused:
        await assert_problem(await ask(api, question), code, status)
    for question in allowed:
        assert (await ask(api, question)).status in (200, 202)
    me = await (await api.get("/api/v1/me")).json()
    assert me["clips"]["allowed"] == (CLIP in allowed)
    assert me["streams"]["allowed"] == (STREAM in allowed)
    assert {me["clips"]["code"], me["streams"]["code"]} <= {code, None}
    told = await (await api.get("/api/v1/status")).json()
    assert told[name] == {"on": True, "off": False}.get(text, text)


async def test_a_stored_answer_is_under_the_same_rules_as_asking(api: ClientSession, rules: ServerRules) -> None:
    assert (await ask(api, CLIP, wait=30)).status == 200
    assert (await api.get("/api/v1/clips/AwkwardSlug-x_1")).status == 200
    await rules.set(access_mode="login")
    await assert_problem(await api.get("/api/v1/clips/AwkwardSlug-x_1"), "login-required", 401)


async def test_the_website_is_under_the_same_rules(api: ClientSession, rules: ServerRules) -> None:
    await rules.set(maintenance="on")
    form = {"target": "somechannel"}
    page = await api.post("/", data=form, headers={"Sec-Fetch-Site": "same-origin"}, allow_redirects=False)
    assert page.status == 503


@asynccontextmanager
async def two_servers(address: str, folder: Path, clock: Clock) -> AsyncGenerator[list[ClientSession]]:
    async with (
        open_api(FakePipeline(clock), folder, database_url=address, clock=clock) as one,
        open_api(FakePipeline(clock), folder, database_url=address, clock=clock) as other,
    ):
        yield [one, other]


async def test_a_change_is_seen_by_all_servers_within_two_seconds(sql_address: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with (
        two_servers(sql_address, tmp_path, clock) as servers,
        open_database(sql_address) as database,
    ):
        for server in servers:
            assert (await (await server.get("/api/v1/status")).json())["motd"] is None
        await RulesStore(database).set_website("motd", "Hello")
        await clock.advance(SEEN_SECONDS)
        for server in servers:
            assert (await (await server.get("/api/v1/status")).json())["motd"] == "Hello"


def test_the_command_line_shows_and_changes_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    assert main(["admin", "settings", "set", "access_mode", "login"]) == 0
    assert "access_mode = login (was open)" in capsys.readouterr().out
    assert main(["admin", "settings", "get", "access_mode"]) == 0
    assert capsys.readouterr().out == "login\n"
    assert main(["admin", "settings"]) == 0
    assert "clips_enabled = on" in capsys.readouterr().out
    assert main(["admin", "settings", "set", "access_mode", "closed"]) == 2
    assert "access_mode takes open, login or subscribers" in capsys.readouterr().err
