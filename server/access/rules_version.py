"""The version row that changes with every rule, so that a server reloads the rules only after a change."""

import secrets
from typing import Final, TypeVar

from sqlalchemy.engine import Connection

from fingerprint.database import Database
from fingerprint.database_backends import Work
from fingerprint.upserts import upsert
from server.access.tables import website_settings as table

T = TypeVar("T")

VERSION: Final = "version"


async def change_rules(database: Database, work: Work[T]) -> T:
    """Run `work` in a transaction that also changes the rules version, so that every server reloads the rules.

    Every change to a rule, an API key or the redemption of a code has to go through here. The new version is
    written first: this takes the row lock that serializes all changes, so `work` may rely on what it reads.

    Raises what `work` raises, and TwitchAudioError `busy`; nothing is changed then.
    """

    def versioned(connection: Connection) -> T:
        rules_changed(connection)
        return work(connection)

    return await database.transact(versioned)


def rules_changed(connection: Connection) -> None:
    """Change the rules version in a transaction that has its own reasons to change rules."""
    upsert(connection, table, {"name": VERSION, "value": secrets.token_hex(8)})
