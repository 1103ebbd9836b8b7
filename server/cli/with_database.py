"""What commands on the database have in common."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fingerprint.database import Database, database_url, open_database
from fingerprint.settings import read_settings
from server import migrations
from server.audit.changes import ChangeLog
from server.audit.entries import Who
from server.observability import configure_logging
from server.settings import ServerSettings

T = TypeVar("T")


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Do something with the configured database, its schema brought up to date."""
    settings = read_settings(ServerSettings)
    configure_logging("error", sys.stderr)

    async def run() -> T:
        async with open_database(database_url(settings.pipeline)) as database:
            await migrations.upgrade(database)
            return await work(database)

    return asyncio.run(run())


def operator() -> ChangeLog:
    """Whoever runs the command, as the log of changes names them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = "unknown"
    return ChangeLog(Who(id=f"cli:{name}", name=name))


def count(text: str) -> int:
    """A number on the command line, at least 1."""
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 to 1000000")
    return int(text)
