"""A database with its tables, of each kind in turn, and a clock that a test moves."""

from collections.abc import AsyncGenerator

import pytest

from fingerprint.database import Database
from tests.databases import migrated_database
from tests.fakes import FakeClock


@pytest.fixture
async def database(sql_address: str) -> AsyncGenerator[Database]:
    async with migrated_database(sql_address) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
