"""The row whose value changes with every rule, so that servers read all rules again only when one has changed."""

import secrets
from typing import Final, TypeVar

from sqlalchemy.engine import Connection

from fingerprint.database import Database, upsert
from fingerprint.database_backends import Work
from server.access.tables import website_settings as table

T = TypeVar("T")

VERSION: Final = "version"


async def change_rules(database: Database, work: Work[T]) -> T:
    """Do `work` in a transaction after which every server reads the rules again; nothing changes when it raises.

    The new version is its first statement: that takes the row lock which lets one transaction at a time change
    rules, so `work` may rely on what it reads. Whatever changes a rule, an API key or who redeemed a code goes
    through here. Raises what `work` raises; TwitchAudioError `busy`.
    """

    def versioned(connection: Connection) -> T:
        upsert(connection, table, {"name": VERSION, "value": secrets.token_hex(8)})
        return work(connection)

    return await database.transact(versioned)
