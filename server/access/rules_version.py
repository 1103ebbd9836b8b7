"""The row whose value changes with every rule, so that servers read all rules again only when one has changed."""

import secrets
from typing import Final

from sqlalchemy import insert, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from server.access.tables import website_settings as table

VERSION: Final = "version"


def bump_rules_version(connection: Connection) -> None:
    """Make every server read the rules again once this transaction is committed.

    Must be the first statement of every transaction that changes a rule: it takes the row lock that serializes
    writers.
    """
    put_setting(connection, VERSION, secrets.token_hex(8))


def put_setting(connection: Connection, name: str, value: str) -> None:
    """Set one row of the website settings, whether or not it exists."""
    change = update(table).where(table.c.name == name).values(value=value)
    if connection.execute(change).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(name=name, value=value))
    except IntegrityError:
        # Another transaction inserted the row in between.
        connection.execute(change)
