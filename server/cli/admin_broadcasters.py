"""`twitchaudio admin broadcasters`: whose subscribers may ask in subscribers mode."""

import argparse
from datetime import UTC, datetime

from fingerprint.database import Database
from fingerprint.settings import read_settings
from server.access.identity.helix import HelixUser
from server.access.rules.broadcaster_lookup import look_up_broadcaster
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.lists import user_value
from server.cli import Subparsers, add_command, add_list
from server.cli.listing import print_list
from server.cli.with_database import operator_changes, with_database
from server.settings import ServerSettings


def register(groups: Subparsers) -> None:
    """Add the command group `broadcasters` to `admin`."""
    text = "broadcasters whose subscribers have access in subscribers mode"
    actions, _ = add_list(groups, "broadcasters", text, _list)
    needs = (
        ". A login is looked up at Twitch, which needs TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET; "
        "id:NUMBER needs neither"
    )
    add = add_command(actions, "add", "list one more", _add, more=needs)
    add.add_argument("--note", default="", metavar="TEXT", help="only visible to operators")
    for action in (add, add_command(actions, "remove", "take one off", _remove)):
        action.add_argument(
            "broadcaster", metavar="BROADCASTER", help="a Twitch login or the channel's address, or id:NUMBER"
        )


def _list(arguments: argparse.Namespace) -> int:
    rows = [
        {"id": f"id:{each.id}", "login": each.login, "since": each.created_at, "note": each.note}
        for each in with_database(lambda database: BroadcasterStore(database).all())
    ]
    print_list(rows, as_json=arguments.json)
    return 0


def _add(arguments: argparse.Namespace) -> int:
    value = user_value(arguments.broadcaster)
    settings = read_settings(ServerSettings)

    async def add(database: Database) -> HelixUser:
        found = await look_up_broadcaster(settings, value)
        store = BroadcasterStore(database, changes=operator_changes())
        await store.add(found.id, found.login, note=arguments.note, now=datetime.now(UTC))
        return found

    found = with_database(add)
    print(f"{found.login or f'id:{found.id}'} is listed: their subscribers have access in subscribers mode.")
    if found.login and not found.kind:
        print("They are neither affiliate nor partner now, and so have no subscribers.")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    name = with_database(
        lambda database: BroadcasterStore(database, changes=operator_changes()).remove(arguments.broadcaster)
    )
    print(f"{name} is not listed any more.")
    return 0
