"""A real browser for the pages. Missing parts skip the tests by name."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    async_playwright,
    expect,
)

from tests.browser.bidi_fixtures import either_browser, firefox, front, start_browser
from tests.browser.stage import OnStageNow, staged

__all__ = ["either_browser", "firefox", "front", "start_browser"]  # fixtures that pytest finds here

# A crowded machine takes its time; what a test proves does not depend on it.
expect.set_options(timeout=20_000)

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
    refusals: bool = False
    """Whether the test makes the server refuse something: the browser then logs the status."""


class Visit(Protocol):
    """Opens a page of the server, 1280 pixels wide unless told otherwise."""

    async def __call__(self, path: str = "/", **options: Any) -> Watched: ...


async def watch(context: BrowserContext, address: str) -> Watched:
    """A new page; console errors, refused loads and requests to other servers are noted."""
    watched = Watched(await context.new_page())

    def requested(request: Request) -> None:
        watched.requests.append(request.url)
        if not request.url.startswith((address, "data:")):
            watched.complaints.append(f"request to {request.url}")

    watched.page.on("request", requested)
    watched.page.on("pageerror", lambda error: watched.complaints.append(f"error {error}"))

    def logged(message: ConsoleMessage) -> None:
        refusal = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not (refusal and watched.refusals):
            watched.complaints.append(f"console {message.type}: {message.text}")

    watched.page.on("console", logged)
    return watched


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Browser, stage: OnStageNow) -> AsyncIterator[Visit]:
    """Opens pages of the staged server; whatever any of them complained of fails the test."""
    contexts: list[BrowserContext] = []
    pages: list[Watched] = []

    async def open_page(path: str = "/", **options: Any) -> Watched:
        chosen: dict[str, Any] = {
            "viewport": {"width": 1280, "height": 900},
            "timezone_id": "UTC",
            "locale": "en-US",
        }
        chosen |= options
        context = await chromium.new_context(base_url=stage.address, **chosen)
        context.set_default_timeout(20_000)
        contexts.append(context)
        watched = await watch(context, stage.address)
        pages.append(watched)
        await watched.page.goto(path)
        return watched

    yield open_page
    for context in contexts:
        await context.close()
    assert [complaint for watched in pages for complaint in watched.complaints] == []
