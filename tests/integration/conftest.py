"""A server on SQLite with a pipeline of fake parts, and its database: what a file does not define itself."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from tests.api_client import open_api
from tests.fakes import FakePipeline
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
