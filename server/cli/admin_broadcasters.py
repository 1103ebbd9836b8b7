"""`twitchaudio admin broadcasters`: whose subscribers may ask in subscribers mode."""

import argparse
from datetime import UTC, datetime
from typing import cast

from fingerprint.database import Database
from fingerprint.settings import read_settings
from server.access.identity.helix import HelixUser
from server.access.rules.broadcaster_lookup import look_up_broadcaster
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.lists import user_value
from server.cli import Subparsers
from server.cli.with_database import operator_changes, with_database
from server.settings import ServerSettings


def register(groups: Subparsers) -> None:
    """Add the command group `broadcasters` to `admin`."""
    text = "broadcasters whose subscribers may ask in subscribers mode"
    command = groups.add_parser("broadcasters", help=text, description=f"{text.capitalize()}; lists them.")
    command.set_defaults(run=_list)
    actions = command.add_subparsers(metavar="ACTION")
    actions.add_parser("list", help="list them", description="List them.").set_defaults(run=_list)
    add = actions.add_parser(
        "add",
        help="list one more",
        description="List one more. A login is looked up at Twitch, which needs TWITCH_CLIENT_ID and "
        "TWITCH_CLIENT_SECRET; id:NUMBER needs neither.",
    )
    add.add_argument("--note", default="", metavar="TEXT", help="for you; nobody else sees it")
    remove = actions.add_parser("remove", help="take one off", description="Take one off.")
    for action, run in ((add, _add), (remove, _remove)):
        action.add_argument("broadcaster", metavar="BROADCASTER", help="a Twitch login, or id:NUMBER")
        action.set_defaults(run=run)


def _list(_arguments: argparse.Namespace) -> int:
    for each in with_database(lambda database: BroadcasterStore(database).all()):
        print(f"id:{each.id} | {each.login} | {each.created_at:%Y-%m-%d %H:%M} | {each.note}")
    return 0


def _add(arguments: argparse.Namespace) -> int:
    value, note = user_value(cast("str", arguments.broadcaster)), cast("str", arguments.note)
    settings = read_settings(ServerSettings)

    async def add(database: Database) -> HelixUser:
        found = await look_up_broadcaster(settings, value)
        store = BroadcasterStore(database, changes=operator_changes())
        await store.add(found.id, found.login, note=note, now=datetime.now(UTC))
        return found

    found = with_database(add)
    print(f"{found.login or f'id:{found.id}'} is listed: their subscribers may ask in subscribers mode.")
    if found.login and not found.kind:
        print("They are neither affiliate nor partner now, and so have no subscribers.")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    text = cast("str", arguments.broadcaster)
    name = with_database(lambda database: BroadcasterStore(database, changes=operator_changes()).remove(text))
    print(f"{name} is not listed any more.")
    return 0
