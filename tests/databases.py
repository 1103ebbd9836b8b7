"""Databases as a server has them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fingerprint.database import Database, open_database
from server import migrations


@asynccontextmanager
async def migrated_database(address: str) -> AsyncGenerator[Database]:
    """The database at an address, with the newest schema."""
    async with open_database(address) as database:
        await migrations.upgrade(database)
        yield database
