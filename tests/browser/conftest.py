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
from tests.browser.site import site, visitor
from tests.browser.stage import OnStageNow, staged

__all__ = ["either_browser", "front", "site", "start_browser", "visitor"]  # fixtures that pytest finds here


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


Kind = tuple[tuple[tuple[str, str], ...], bool]
"""CSS media features, and whether scripts run: what cannot be changed in a context."""


class Contexts:
    """Chromium's user contexts, which tests use one after the other: a new one, and a new tab, start processes."""

    def __init__(self, chromium: Browser, stack: AsyncExitStack) -> None:
        self._chromium = chromium
        self._stack = stack
        self._idle: dict[Kind, list[tuple[UserContext, Tab]]] = {}

    async def open(self, address: str, path: str, look: Look) -> tuple[UserContext, Tab]:
        """A page of a server in a context that is as new."""
        idle = self._idle.get(_kind(look))
        if not idle:
            context = await self._stack.enter_async_context(user_context(self._chromium, address, look))
            return context, await context.open(path)
        context, tab = idle.pop()
        context.address, context.look = address, look
        await tab.viewport(look.width, look.height)
        await tab.activate()
        await context.go(tab, path)
        return context, tab

    async def give_back(self, context: UserContext, tab: Tab) -> None:
        """Let another test have it."""
        if await context.forget(tab):
            self._idle.setdefault(_kind(context.look), []).append((context, tab))


def _kind(look: Look) -> Kind:
    return tuple(sorted(look.media.items())), look.scripting


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def contexts(chromium: Browser) -> AsyncIterator[Contexts]:
    async with AsyncExitStack() as stack:
        yield Contexts(chromium, stack)


@pytest_asyncio.fixture(loop_scope="session")
async def visit(contexts: Contexts, stage: OnStageNow) -> AsyncIterator[Visit]:
    """Opens pages of the staged server; whatever any of them complained of fails the test."""
    opened: list[tuple[UserContext, Tab]] = []

    async def open_page(
        path: str = "/",
        *,
        width: int = 1280,
        height: int = 900,
        media: Mapping[str, str] | None = None,
        scripting: bool = True,
    ) -> tuple[UserContext, Tab]:
        opened.append(await contexts.open(stage.address, path, Look(width, height, media or {}, scripting)))
        return opened[-1]

    yield open_page
    complaints: list[str] = []
    for context, tab in opened:
        await context.empty(tab)
        complaints += context.complaints
        await contexts.give_back(context, tab)
    assert complaints == []
