"""The order and the budgets of recognizers that an operator chooses hold on every server, without a restart."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import open_database
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.setting_formats import Secret
from fingerprint.upstream_settings import ProviderSettings
from server.app import listening, make_app
from server.audit.entries import AuditKind
from server.audit.search import AuditFilter
from server.audit.store import AuditStore
from server.cli import main
from server.settings import ServerSettings
from tests.api_client import open_api
from tests.browser_client import Browser, browsing, known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import Viewer
from tests.integration.test_admin_pages import VIC, send
from tests.waiting import SECONDS

AUDD = ProviderSettings(audd_api_token=Secret("token"))


@pytest.fixture
async def operator(viewer: Viewer, sql_address: str, tmp_path: Path) -> AsyncGenerator[Browser]:
    parts = FakePipeline(SystemClock())
    more: dict[str, Any] = {**known_to_twitch(viewer), "admins": (VIC,), "pipeline": {"providers": AUDD}}
    async with (
        open_api(parts, tmp_path / "one", database_url=sql_address, **more) as client,
        browsing(client, viewer) as browser,
    ):
        await browser.sign_in()
        yield browser


def row(page: str, name: str) -> tuple[str, ...]:
    """The place, and the budgets of a day and a month, in the form's row of a recognizer."""
    found = re.search(rf'name="place-{name}".*?</select>', page, re.DOTALL)
    assert found is not None, name
    place = re.search(r"<option selected>(\d+)", found[0])
    budgets = re.findall(rf'name="(?:day|month)-{name}" value="(\d*)"', page)
    return ("" if place is None else place[1], *budgets)


async def test_what_the_desk_saves_holds_and_goes_back_to_the_setting(operator: Browser, sql_address: str) -> None:
    page = await (await operator.get("/admin/recognizers")).text()
    assert "The order is that of the setting TWITCHAUDIO_RECOGNIZERS." in page
    assert (row(page, "catalog"), row(page, "audd"), row(page, "shazam")) == (("1",), ("2", "", ""), ("", "", ""))
    assert "acrcloud cannot be asked: its keys are not set." in page
    saved = {"place-catalog": "2", "place-audd": "1", "day-audd": "10", "month-audd": "0"}
    status, page = await send(operator, "/recognizers", action="save", **saved)
    assert status == 200
    assert "Saved: asked in the order audd, catalog; budgets are audd=10/day, audd=0/month." in page
    assert "The order set on this page holds. The setting TWITCHAUDIO_RECOGNIZERS has catalog, audd." in page
    assert "The budgets set on this page hold. The setting TWITCHAUDIO_BUDGETS has no limits." in page
    assert row(page, "audd") == ("1", "10", "0")
    assert "over-budget: The budget of audd (0 a month) is used up" in page
    assert "Nothing was different." in (await send(operator, "/recognizers", action="save", **saved))[1]
    for what, says in (
        ("order", "TWITCHAUDIO_RECOGNIZERS holds again."),
        ("budgets", "TWITCHAUDIO_BUDGETS holds"),
    ):
        assert says in (page := (await send(operator, "/recognizers", action="reset", what=what))[1])
    assert (row(page, "catalog"), row(page, "audd")) == (("1",), ("2", "", ""))
    assert "Back to the setting" not in page
    async with open_database(sql_address) as database:
        entries = await AuditStore(database).read(AuditFilter(kinds=[AuditKind.CHANGE]))
    assert [(each.what, each.subject, each.before, each.after, each.who.name) for each in reversed(entries)] == [
        ("choose recognizers", "order", None, "audd, catalog", VIC),
        ("choose recognizers", "budgets", None, "audd=10/day, audd=0/month", VIC),
        ("reset recognizers", "order", "audd, catalog", None, VIC),
        ("reset recognizers", "budgets", "audd=10/day, audd=0/month", None, VIC),
    ]


BAD_FORMS = (
    ({"place-catalog": "1", "place-audd": "1"}, "catalog and audd have the same place, 1."),
    ({"place-catalog": ""}, "Choose at least one recognizer"),
    ({"place-catalog": "4"}, "The place of catalog takes a whole number from 1 to 3"),
    ({"place-catalog": "²"}, "The place of catalog takes"),
    ({"place-catalog": "1", "day-audd": "many"}, "Questions to audd in a day take a whole number"),
    ({"place-catalog": "1", "month-audd": "-1"}, "Questions to audd in a month take a whole number"),
    ({"place-catalog": "1", "day-audd": "9999999999"}, "from 0 to 999999999"),
    ({"place-acrcloud": "1"}, "The form names no recognizer."),
)


async def test_a_form_with_a_bad_value_says_which_and_changes_nothing(operator: Browser) -> None:
    for fields, why in BAD_FORMS:
        status, page = await send(operator, "/recognizers", action="save", **fields)
        assert (status, why in page) == (400, True), fields
        assert "The order is that of the setting TWITCHAUDIO_RECOGNIZERS." in page
        assert "The budgets are those of the setting TWITCHAUDIO_BUDGETS." in page
    assert (await send(operator, "/recognizers", action="reset", what="names"))[0] == 400
    unsigned = await operator.post("/admin/recognizers", data={"action": "save", "place-audd": "1"})
    assert unsigned.status == 403, "without the form's token"


async def test_another_server_takes_it_over_while_it_runs(
    operator: Browser, sql_address: str, tmp_path: Path
) -> None:
    """One with a real pipeline, whose catalog is empty: only with audd can it name a song."""
    pipeline = PipelineSettings(
        data_dir=tmp_path / "two", database_url=sql_address, providers=AUDD, recognizers=("catalog",)
    )
    settings = ServerSettings(pipeline=pipeline, metrics_token=Secret("operator"))

    async def details(client: ClientSession) -> dict[str, Any]:
        response = await client.get("/readyz", headers={"Authorization": "Bearer operator"})
        return await response.json()

    async def told(client: ClientSession, *, ready: bool) -> dict[str, Any]:
        async with asyncio.timeout(SECONDS):
            while (now := await details(client))["dependencies"]["recognizers"]["ready"] is not ready:  # noqa: ASYNC110 - another server
                await asyncio.sleep(0.05)
        return now

    async with listening(make_app(settings), "127.0.0.1", 0) as address, ClientSession(address) as other:
        before = await details(other)
        assert (before["dependencies"]["recognizers"]["ready"], before["providers"]) == (False, {})
        await send(operator, "/recognizers", action="save", **{"place-audd": "1", "day-audd": "7"})

        now = await told(other, ready=True)
        assert now["providers"]["audd"]["state"] == "ready"
        budgets = now["providers"]["audd"]["budgets"]
        assert (budgets["day"]["most"], budgets["month"]["most"]) == (7, None)
        await send(operator, "/recognizers", action="reset", what="order")
        await told(other, ready=False)


def test_the_command_line_does_the_same(
    sql_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (
        ("TWITCHAUDIO_DATABASE_URL", sql_address),
        ("TWITCHAUDIO_DATA_DIR", str(tmp_path)),
        ("AUDD_API_TOKEN", "token"),
    ):
        monkeypatch.setenv(name, value)

    def admin(*words: str) -> tuple[int, str]:
        status = main(["admin", "recognizers", *words])
        said = capsys.readouterr()
        return status, said.out + said.err

    def rows() -> list[dict[str, Any]]:
        return [json.loads(line) for line in admin("--json")[1].splitlines()]

    assert [(each["place"], each["recognizer"], each["order_by"]) for each in rows()] == [
        (1, "catalog", "TWITCHAUDIO_RECOGNIZERS"),
        (2, "audd", "TWITCHAUDIO_RECOGNIZERS"),
        (None, "shazam", "TWITCHAUDIO_RECOGNIZERS"),
    ]
    assert admin("order", "audd,", "catalog") == (0, "The recognizers are asked in the order audd, catalog.\n")
    assert admin("budgets", "audd=10/day") == (0, "The budgets are audd=10/day.\n")
    assert [(each["recognizer"], each["per_day"], each["order_by"]) for each in rows()[:2]] == [
        ("audd", 10, "admin"),
        ("catalog", None, "admin"),
    ]
    for words, why in (
        (("order", "acrcloud"), "acrcloud cannot be asked: its keys are not set."),
        (("order", ","), "Choose at least one recognizer"),
        (("budgets", "audd=many"), "'audd=many' is not one."),
        (("budgets", "catalog=1/day"), "catalog has no budget"),
    ):
        status, said = admin(*words)
        assert (status, why in said) == (2, True), said
    assert admin("budgets", "none") == (0, "The budgets are none: no provider has a limit.\n")
    assert admin("reset") == (0, "TWITCHAUDIO_RECOGNIZERS holds again.\nTWITCHAUDIO_BUDGETS holds again.\n")
    assert admin("reset", "order") == (0, "TWITCHAUDIO_RECOGNIZERS holds already.\n")
