"""Shared by the commands that use the database."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from fingerprint.clock import SystemClock
from fingerprint.configured_database import open_configured_database
from fingerprint.database import Database
from fingerprint.jobs import open_job_store
from fingerprint.setting_formats import Secret
from fingerprint.settings import read_settings
from server import migrations
from server.audit.changes import ChangeLog, system_user
from server.channel_names import ChannelNames
from server.channels.forget import ChannelForgetter
from server.observability import configure_logging
from server.settings import ServerSettings

T = TypeVar("T")


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` with the configured database, after its schema was upgraded, and give its result."""
    settings = read_settings(ServerSettings)
    configure_logging("error", sys.stderr)

    async def run() -> T:
        async with open_configured_database(settings.pipeline) as database:
            await migrations.upgrade(database)
            return await work(database)

    return asyncio.run(run())


async def forget_channel(database: Database, channel: str, *, keep_away: bool = False) -> int:
    """Delete everything about a channel from the configured stores; returns how many answers there were."""
    settings, clock = read_settings(ServerSettings).pipeline, SystemClock()
    async with open_job_store(settings, clock, database) as store:
        names = ChannelNames(database, None, clock=clock)
        async with ChannelForgetter(database, store, names, clock=clock) as forgetter:
            return await forgetter.forget(channel, changes=operator_changes(), keep_away=keep_away)


def operator_changes() -> ChangeLog:
    """Records changes in the audit log under the name of the system user who runs the command."""
    return ChangeLog(system_user())


def print_secret(secret: Secret, text: str) -> None:
    """Print a new secret, alone on standard output for scripts, and the sentence `text` for people."""
    print(secret.reveal())
    print(f"{text} You won't see it again: only a hash of it is stored.", file=sys.stderr)


def days_from(now: datetime, days: int | None) -> datetime | None:
    """The moment so many days after now; None without days."""
    return None if days is None else now + timedelta(days=days)
