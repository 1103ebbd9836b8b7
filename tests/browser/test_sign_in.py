"""Signing in with a real browser: the way to Twitch and back, asking as somebody, and signing out."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from fingerprint.clock import SystemClock
from fingerprint.settings import PipelineSettings
from server.access.rules.store import RulesStore
from server.app import listening, make_app
from server.keys import DATABASE
from server.settings import ServerSettings
from simulator.accounts import OWN_APPLICATION
from tests.browser_client import known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import a_viewer

PATIENT_MS = 20_000

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """A server where only those who are signed in may ask."""
    async with a_viewer(tmp_path / "simulator") as viewer:
        settings = ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path), **known_to_twitch(viewer))
        app = make_app(settings, pipeline=FakePipeline(SystemClock()).pipeline)
        async with listening(app, "127.0.0.1", 0) as url:
            await RulesStore(app[DATABASE]).set_website("access_mode", "login")
            viewer.twitch.accounts.allow_redirect(OWN_APPLICATION.client_id, str(url.with_path("/login/callback")))
            yield str(url).rstrip("/")


async def ask(page: Page) -> None:
    await page.get_by_label("Channel, clip or Twitch address").fill("somechannel")
    await page.get_by_role("button", name="Identify").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_signing_in_asking_and_signing_out(chromium: Browser, address: str, scripts: bool) -> None:
    context = await chromium.new_context(base_url=address, java_script_enabled=scripts)
    context.set_default_timeout(25_000)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None
    )
    await page.goto("/")
    await expect(page.get_by_role("heading", name="Sign in to ask")).to_be_visible(timeout=PATIENT_MS)
    assert await page.get_by_label("Channel, clip or Twitch address").count() == 0
    await page.get_by_role("link", name="Sign in with Twitch").first.click()
    await expect(page.get_by_role("link", name="Sign out viewer_vic")).to_be_visible(timeout=PATIENT_MS)
    [cookie] = [cookie for cookie in await context.cookies() if cookie["name"] == "twitchaudio"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
    assert cookie.get("httpOnly")
    assert cookie.get("sameSite") == "Lax"
    await ask(page)
    await expect(page.get_by_role("heading", name="Night Drive")).to_be_visible(timeout=PATIENT_MS)
    await page.get_by_role("link", name="Sign out viewer_vic").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name="Sign in with Twitch").first).to_be_visible(timeout=PATIENT_MS)
    assert not [cookie for cookie in await context.cookies() if cookie.get("name") == "twitchaudio"]
    await expect(page.get_by_role("heading", name="Sign in to ask")).to_be_visible(timeout=PATIENT_MS)
    assert complaints == []
    await context.close()
