"""A real browser for the pages. Missing parts skip the tests by name."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest_asyncio

from tests.browser.bidi.browser import Browser
from tests.browser.bidi.tab import Tab
from tests.browser.bidi.user_context import Look, UserContext, user_context
from tests.browser.bidi_fixtures import Start, either_browser, front, start_browser
from tests.browser.stage import OnStageNow, staged

__all__ = ["either_browser", "front", "start_browser"]  # fixtures that pytest finds here


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(start_browser: Start) -> Browser:
    """Chromium."""
    return await start_browser("chromium")


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path: Path) -> AsyncIterator[OnStageNow]:
    async with staged(tmp_path) as on_stage:
        yield on_stage


class Visit(Protocol):
    """Opens a page of the staged server for a visitor who was never there; gives the context and the tab."""

    async def __call__(
        self,
        path: str = "/",
        *,
        width: int = 1280,
        height: int = 900,
        media: Mapping[str, str] | None = None,
        scripting: bool = True,
    ) -> tuple[UserContext, Tab]: ...


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Browser, stage: OnStageNow) -> AsyncIterator[Visit]:
    """Opens pages of the staged server; whatever any of them complained of fails the test."""
    contexts: list[UserContext] = []
    async with AsyncExitStack() as stack:

        async def open_page(
            path: str = "/",
            *,
            width: int = 1280,
            height: int = 900,
            media: Mapping[str, str] | None = None,
            scripting: bool = True,
        ) -> tuple[UserContext, Tab]:
            look = Look(width, height, media or {}, scripting)
            context = await stack.enter_async_context(user_context(chromium, stage.address, look))
            contexts.append(context)
            return context, await context.open(path)

        yield open_page
    assert [complaint for context in contexts for complaint in context.complaints] == []
