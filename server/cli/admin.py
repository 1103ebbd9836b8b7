"""`twitchaudio admin`: the operator's rules; servers that run see a change within two seconds."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from fingerprint.database import Database, database_url, open_database
from fingerprint.settings import read_settings
from server import migrations
from server.access.rules import RulesStore
from server.access.website import FIELDS
from server.cli import Subparsers
from server.observability import configure_logging
from server.settings import ServerSettings

T = TypeVar("T")


def register(commands: Subparsers) -> None:
    """Add the `admin` commands."""
    text = "the operator's rules: who may ask"
    admin = commands.add_parser("admin", help=text, description=f"{text.capitalize()}.")
    groups = cast("Subparsers", admin.add_subparsers(required=True, metavar="WHAT"))
    _register_settings(groups)


def _register_settings(groups: Subparsers) -> None:
    text = "website settings"
    settings = groups.add_parser("settings", help=text, description=f"{text.capitalize()}; shows them all.")
    settings.set_defaults(run=_settings_get, name=None)
    actions = settings.add_subparsers(metavar="ACTION")
    get = actions.add_parser("get", help="show them, or one", description="Show them, or one.")
    get.add_argument("name", nargs="?", choices=tuple(FIELDS), metavar="NAME")
    get.set_defaults(run=_settings_get)
    change = actions.add_parser("set", help="change one", description=f"Change one: {', '.join(FIELDS)}.")
    change.add_argument("name", choices=tuple(FIELDS), metavar="NAME")
    change.add_argument("value", metavar="VALUE")
    change.set_defaults(run=_settings_set)


def _settings_get(arguments: argparse.Namespace) -> int:
    name = cast("str | None", arguments.name)
    rules = _with_database(lambda database: RulesStore(database).read())
    for setting, text in rules.website.to_texts().items():
        if name is None:
            print(f"{setting} = {text}")
        elif setting == name:
            print(text)
    return 0


def _settings_set(arguments: argparse.Namespace) -> int:
    name, value = cast("str", arguments.name), cast("str", arguments.value)
    before, after = _with_database(lambda database: RulesStore(database).set_website(name, value))
    print(f"{name} = {after} (was {before or 'empty'})")
    return 0


def _with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Do something with the configured database, its schema brought up to date."""
    settings = read_settings(ServerSettings)
    configure_logging("error", sys.stderr)

    async def run() -> T:
        async with open_database(database_url(settings.pipeline)) as database:
            await migrations.upgrade(database)
            return await work(database)

    return asyncio.run(run())
