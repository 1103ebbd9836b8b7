"""Signing in with a real browser: the way to Twitch and back, asking, and signing out."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fingerprint.clock import SystemClock
from fingerprint.pipeline_settings import PipelineSettings
from server.access.rules.store import RulesStore
from server.app import listening, make_app
from server.keys import DATABASE
from server.settings import ServerSettings
from simulator.accounts import OWN_APPLICATION
from tests.browser.bidi.browser import Browser
from tests.browser.bidi.user_context import Look, user_context
from tests.browser_client import known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import a_viewer

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server where only signed-in visitors may ask."""
    folder: Path = tmp_path_factory.mktemp("sign-in")
    async with a_viewer(folder / "simulator") as viewer:
        settings = ServerSettings(pipeline=PipelineSettings(data_dir=folder), **known_to_twitch(viewer))
        app = make_app(settings, pipeline=FakePipeline(SystemClock()).pipeline)
        async with listening(app, "127.0.0.1", 0) as url:
            await RulesStore(app[DATABASE]).set_website("access_mode", "login")
            viewer.twitch.accounts.allow_redirect(OWN_APPLICATION.client_id, str(url.with_path("/login/callback")))
            yield str(url).rstrip("/")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_signing_in_asking_and_signing_out(chromium: Browser, address: str, scripts: bool) -> None:
    async with user_context(chromium, address, Look(scripting=scripts)) as context:
        tab = await context.open()
        await tab.wait_for_visible("h1, h2 :: Sign in to identify songs")
        assert await tab.count("#target") == 0
        await tab.click("a :: Sign in with Twitch")
        await tab.wait_for_visible("a :: Sign out viewer_vic")
        [cookie] = [cookie for cookie in await context.cookies() if cookie["name"] == "twitchaudio"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "lax"
        await tab.fill("#target", "somechannel")
        await tab.click("#ask button :: Identify")
        await tab.wait_for_visible("h2 :: Night Drive")
        await tab.click("a :: Sign out viewer_vic")
        await tab.click("button :: Sign out")
        await tab.wait_for_visible("a :: Sign in with Twitch")
        assert not [cookie for cookie in await context.cookies() if cookie["name"] == "twitchaudio"]
        await tab.wait_for_visible("h1, h2 :: Sign in to identify songs")
        assert [each for each in context.complaints if not each.startswith("request to")] == []
