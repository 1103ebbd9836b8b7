"""Chromium and Firefox for a whole run, over BiDi: `either_browser` runs a test in both, `firefox` in one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.browser.bidi.browser import Browser
from tests.browser.bidi.front import Front, fronted
from tests.browser.bidi.launch import BROWSERS, Launch, launched, missing

Start = Callable[[str], Awaitable[Browser]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    """What the browsers find at https://www.twitch.tv and the other names."""
    async with fronted(tmp_path_factory.mktemp("front")) as served:
        yield served


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def start_browser(front: Front, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Start]:
    """Starts a browser by name, once a run."""
    running: dict[str, Browser] = {}
    async with AsyncExitStack() as stack:

        async def start(name: str) -> Browser:
            lacking = missing(name, authority=True)
            if lacking is not None:
                pytest.skip(f"{lacking} is not installed (Debian: apt-get install {lacking})")
            if name not in running:
                launch = Launch(tmp_path_factory.mktemp(name), front.loopback)
                running[name] = await stack.enter_async_context(launched(name, launch))
            return running[name]

        yield start


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=BROWSERS)
async def either_browser(request: pytest.FixtureRequest, start_browser: Start) -> Browser:
    """Chromium, then Firefox."""
    return await start_browser(request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def firefox(start_browser: Start) -> Browser:
    """Firefox."""
    return await start_browser("firefox")
