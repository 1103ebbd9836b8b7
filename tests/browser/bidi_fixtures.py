"""Chromium and Firefox for a whole run, over BiDi: `either_browser` runs a test in both."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.browser.bidi.browser import Browser
from tests.browser.bidi.front import Front, fronted
from tests.browser.bidi.launch import BROWSERS, Launch, launched, missing

PICTURES: Final = Path(__file__).parents[2] / ".cache" / "screenshots"

Start = Callable[[str], Awaitable[Browser]]

EXTENSION_ID: Final = "twitchaudio@twitchaudio.extension"
EXTENSION_UUID: Final = "5f0d3f5c-1c2b-4a53-9d43-000000000001"
"""Where Firefox puts the extension's pages; else it would be another origin at each start."""

PREFERENCES: Final = {
    "extensions.webextensions.uuids": json.dumps({EXTENSION_ID: EXTENSION_UUID}),
    # The background dies soon and often here, as it does in life after 30 s: nothing may depend on its memory.
    "extensions.background.idle.timeout": 1500,
}


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
                launch = Launch(tmp_path_factory.mktemp(name), front.loopback, PREFERENCES)
                running[name] = await stack.enter_async_context(launched(name, launch))
            return running[name]

        yield start


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=BROWSERS)
async def either_browser(request: pytest.FixtureRequest, start_browser: Start) -> Browser:
    """Chromium, then Firefox."""
    browser = await start_browser(request.param)
    browser.pictures = PICTURES if request.config.getoption("--pictures") else None
    return browser
