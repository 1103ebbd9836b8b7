"""`twitchaudio db`: the SQL schema."""

import argparse
import asyncio
import sys

from fingerprint.database import database_url, open_database
from fingerprint.settings import read_settings
from server import migrations
from server.cli import Subparsers
from server.observability import configure_logging
from server.settings import ServerSettings


def register(commands: Subparsers) -> None:
    """Add the `db` command."""
    database = commands.add_parser("db", help="the SQL schema", description="The SQL schema of jobs and answers.")
    actions = database.add_subparsers(required=True, metavar="ACTION")
    text = "bring the SQL schema up to date; safe to run again"
    upgrade = actions.add_parser("upgrade", help=text, description=f"{text.capitalize()}.")
    upgrade.set_defaults(run=_upgrade)


def _upgrade(_arguments: argparse.Namespace) -> int:
    settings = read_settings(ServerSettings)
    configure_logging("warning", sys.stderr)
    schema = asyncio.run(_upgraded(database_url(settings.pipeline)))
    if schema.before == schema.after:
        print(f"The schema is up to date ({schema.after}).")
    else:
        print(f"The schema went from {schema.before or 'nothing'} to {schema.after}.")
    return 0


async def _upgraded(address: str) -> migrations.Schema:
    async with open_database(address) as database:
        return await migrations.upgrade(database)
