"""A real browser for the pages. Missing parts skip the tests by name."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from tests.browser.stage import OnStageNow, staged

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path: Path) -> AsyncIterator[OnStageNow]:
    async with staged(tmp_path) as on_stage:
        yield on_stage


@dataclass(slots=True)
class Watched:
    """A page that keeps what must not happen."""

    page: Page
    complaints: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])


async def watch(context: BrowserContext, address: str) -> Watched:
    """A new page; console errors, refused loads and requests to other servers are noted."""
    watched = Watched(await context.new_page())

    def requested(request: Request) -> None:
        watched.requests.append(request.url)
        if not request.url.startswith((address, "data:")):
            watched.complaints.append(f"request to {request.url}")

    watched.page.on("request", requested)
    watched.page.on("pageerror", lambda error: watched.complaints.append(f"error {error}"))
    watched.page.on(
        "console",
        lambda message: (
            watched.complaints.append(f"console {message.type}: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
    return watched


@pytest_asyncio.fixture(loop_scope="session")
async def site(chromium: Browser, stage: OnStageNow) -> AsyncIterator[Watched]:
    """A page of the staged server, 1280 pixels wide; whatever it complained of fails the test."""
    context = await chromium.new_context(
        base_url=stage.address, viewport={"width": 1280, "height": 900}, timezone_id="UTC", locale="en-US"
    )
    watched = await watch(context, stage.address)
    watched.page.set_default_timeout(5000)
    yield watched
    await context.close()
    await asyncio.sleep(0)
    assert watched.complaints == []
