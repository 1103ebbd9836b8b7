"""Signing in on the website at the simulated Twitch, and everything that may go wrong with it (A1, A2)."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from yarl import URL

from fingerprint.clock import SystemClock
from tests.api_client import ASK, CLIP, assert_problem, open_api
from tests.browser_client import Browser, browsing, known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import Viewer, a_viewer

VIC = "viewer_vic"


@pytest.fixture
async def viewer(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Viewer]:
    async with a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer:
        yield viewer


@pytest.fixture
async def address(viewer: Viewer, sql_address: str, tmp_path: Path) -> AsyncGenerator[URL]:
    parts = FakePipeline(SystemClock())
    async with open_api(parts, tmp_path, database_url=sql_address, **known_to_twitch(viewer)) as client:
        yield (await client.get("/healthz")).url.origin()


@pytest.fixture
async def browser(address: URL, viewer: Viewer) -> AsyncGenerator[Browser]:
    async with browsing(address, viewer) as browser:
        yield browser


async def test_signing_in_and_out(browser: Browser, viewer: Viewer) -> None:
    assert (await browser.api())["known_by"] is None
    assert "Sign in with Twitch" in await (await browser.get("/")).text()
    page = await browser.sign_in()
    assert page.status == 200
    assert page.url == browser.address.with_path("/")
    assert f"Sign out {VIC}" in await page.text()
    me = await browser.api()
    assert (me["login"], me["known_by"]) == (VIC, "session")
    kept = browser.cookie
    assert kept is not None
    page = await browser.sign_out()
    assert page.status == 200
    assert "Sign in with Twitch" in await page.text()
    assert browser.cookie is None
    # The cookie from before is of no use any more, and Twitch has the token back.
    browser.client.cookie_jar.update_cookies({"twitchaudio": kept}, browser.address)
    assert (await browser.api())["known_by"] is None
    assert len([record for record in viewer.twitch.requests.records if record.path == "/oauth2/revoke"]) == 1


async def test_the_session_lets_ask_and_needs_the_csrf_token(browser: Browser) -> None:
    await browser.sign_in()
    await assert_problem(await browser.post(ASK, json=CLIP), "csrf", 403)
    await assert_problem(await browser.post(ASK, json=CLIP, token="x"), "csrf", 403)
    token = await browser.csrf()
    assert (await browser.post(ASK, json=CLIP, token=token)).status in (200, 202)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    await assert_problem(await browser.post(ASK, json=CLIP, token=token, headers=foreign), "csrf", 403)
