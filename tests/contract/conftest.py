"""A database with its tables, of each kind in turn, and a clock that a test moves."""

from collections.abc import AsyncGenerator

import pytest

from fingerprint.database import Database, open_database
from server import migrations
from tests.fakes import FakeClock


@pytest.fixture
async def database(sql_address: str) -> AsyncGenerator[Database]:
    async with open_database(sql_address) as opened:
        await migrations.upgrade(opened)
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
