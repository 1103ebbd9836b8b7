"""A server on SQLite with a pipeline of fake parts, its database, and the simulated Twitch: what a file does not
define itself.
"""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from fingerprint.database import Database, open_database
from fingerprint.ports import Clock
from tests.api_client import ServerRules, open_api
from tests.browser_client import Browser, browsing
from tests.fakes import AheadClock, FakePipeline
from tests.integration.capture_twitch import Listener, listening
from tests.integration.simulator_client import Viewer, a_viewer
from tests.webhook_receiver import Receiver, receiving


@pytest.fixture
def clock() -> Clock:
    return AheadClock()


@pytest.fixture
def parts(clock: Clock) -> FakePipeline:
    return FakePipeline(clock)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}"


@pytest.fixture
def options() -> dict[str, Any]:
    """Of the server: what `open_api` takes."""
    return {}


@pytest.fixture
async def api(
    parts: FakePipeline, clock: Clock, address: str, options: dict[str, Any], tmp_path: Path
) -> AsyncGenerator[ClientSession]:
    async with open_api(parts, tmp_path, database_url=address, clock=clock, **options) as client:
        yield client


@pytest.fixture
async def database(api: ClientSession, address: str) -> AsyncGenerator[Database]:
    async with open_database(address) as opened:
        yield opened


@pytest.fixture
def rules(database: Database, clock: AheadClock) -> ServerRules:
    """The operator's rules of `api`."""
    return ServerRules(database, clock)


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def viewer(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Viewer]:
    """A viewer of a simulated Twitch that nobody has asked anything."""
    async with a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer:
        yield viewer


@pytest.fixture
async def browser(api: ClientSession, viewer: Viewer) -> AsyncGenerator[Browser]:
    """A browser at `api` that nobody is signed in with yet."""
    async with browsing(api, viewer) as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Listener]:
    """One simulated Twitch and one listener for a file's tests."""
    async with listening(tmp_path_factory.getbasetemp() / "ladder") as listener:
        yield listener


@pytest_asyncio.fixture(loop_scope="module")
async def listener(running: Listener) -> Listener:
    """The file's listener with nothing remembered."""
    return running.afresh()
