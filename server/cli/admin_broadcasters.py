"""`twitchaudio admin broadcasters`: whose subscribers may ask in subscribers mode."""

import argparse
from datetime import UTC, datetime

from fingerprint.database import Database
from fingerprint.settings import read_settings
from server.access.identity.helix import HelixUser
from server.access.rules.broadcaster_lookup import look_up_broadcaster
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.lists import user_value
from server.cli.listing import print_list
from server.cli.with_database import operator_changes, with_database
from server.settings import ServerSettings


def list_broadcasters(arguments: argparse.Namespace) -> None:
    """Print the broadcasters whose subscribers have access."""
    rows = [
        {"id": f"id:{each.id}", "login": each.login, "since": each.created_at, "note": each.note}
        for each in with_database(lambda database: BroadcasterStore(database).all())
    ]
    print_list(rows, as_json=arguments.json)


def add_broadcaster(arguments: argparse.Namespace) -> None:
    """Add a broadcaster."""
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


def remove_broadcaster(arguments: argparse.Namespace) -> None:
    """Remove a broadcaster."""
    name = with_database(
        lambda database: BroadcasterStore(database, changes=operator_changes()).remove(arguments.broadcaster)
    )
    print(f"{name} is not listed any more.")
