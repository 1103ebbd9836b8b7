"""A server on SQLite with a pipeline of fake parts, its database, and the simulated Twitch: what a file does not
define itself.
"""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from tests.api_client import open_api
from tests.fakes import FakePipeline
from tests.integration.capture_twitch import Listener, listening
from tests.integration.simulator_client import Viewer, a_viewer
from tests.webhook_receiver import Receiver, receiving


@pytest.fixture
def parts() -> FakePipeline:
    return FakePipeline(SystemClock())


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}"


@pytest.fixture
async def api(parts: FakePipeline, address: str, tmp_path: Path) -> AsyncGenerator[ClientSession]:
    async with open_api(parts, tmp_path, database_url=address) as client:
        yield client


@pytest.fixture
async def database(api: ClientSession, address: str) -> AsyncGenerator[Database]:
    async with open_database(address) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def viewer(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Viewer]:
    """A viewer of a simulated Twitch that nobody has asked anything."""
    async with a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer:
        yield viewer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Listener]:
    """One simulated Twitch and one listener for a file's tests."""
    async with listening(tmp_path_factory.getbasetemp() / "ladder") as listener:
        yield listener


@pytest_asyncio.fixture(loop_scope="module")
async def listener(running: Listener) -> Listener:
    """The file's listener with nothing remembered."""
    return running.afresh()
