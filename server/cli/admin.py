"""`twitchaudio admin`: the operator's rules; servers that run see a change within two seconds."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import cast

from fingerprint.database import Database
from fingerprint.settings import Secret
from server.access.identity.api_keys import ApiKey, ApiKeyStore
from server.access.quotas.requests import KEY_JOBS
from server.access.rules.store import RulesStore
from server.access.rules.website import FIELDS
from server.access.scopes import DEFAULT_SCOPES, SCOPES
from server.cli import Subparsers, admin_broadcasters, admin_channels, admin_logs, admin_people
from server.cli.with_database import operator_changes, positive_int, with_database


def register(commands: Subparsers) -> None:
    """Add the `admin` commands to the `twitchaudio` command line."""
    text = "the operator's rules: who may ask"
    admin = commands.add_parser("admin", help=text, description=f"{text.capitalize()}.")
    groups = cast("Subparsers", admin.add_subparsers(required=True, metavar="WHAT"))
    _register_settings(groups)
    _register_keys(groups)
    admin_people.register(groups)
    admin_broadcasters.register(groups)
    admin_logs.register(groups)
    admin_channels.register(groups)


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
    rules = with_database(lambda database: RulesStore(database).read())
    for setting, text in rules.website.to_texts().items():
        if name is None:
            print(f"{setting} = {text}")
        elif setting == name:
            print(text)
    return 0


def _settings_set(arguments: argparse.Namespace) -> int:
    name, value = cast("str", arguments.name), cast("str", arguments.value)
    before, after = with_database(
        lambda database: RulesStore(database, changes=operator_changes()).set_website(name, value)
    )
    print(f"{name} = {after} (was {before or 'empty'})")
    return 0


def _register_keys(groups: Subparsers) -> None:
    text = "API keys, for programs that ask"
    command = groups.add_parser("keys", help=text, description=f"{text}; lists them.")
    command.set_defaults(run=_keys_list)
    actions = command.add_subparsers(metavar="ACTION")
    listed = actions.add_parser(
        "list", help="list them", description="List them; the keys themselves are not kept."
    )
    listed.set_defaults(run=_keys_list)
    create = actions.add_parser("create", help="make one", description="Make a key. It is shown this once.")
    create.add_argument("name", metavar="NAME", help="whose it is, or what it is for")
    create.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        metavar="SCOPE",
        help=f"{', '.join(SCOPES)}; may be repeated; {' and '.join(DEFAULT_SCOPES)} when left out",
    )
    create.add_argument("--per-minute", type=positive_int, metavar="N", help="new identifications a minute")
    create.add_argument("--per-day", type=positive_int, metavar="N", help="new identifications a day (UTC)")
    create.add_argument("--at-once", type=positive_int, metavar="N", help=f"jobs at once (default: {KEY_JOBS})")
    create.add_argument(
        "--days", type=positive_int, metavar="N", help="valid for so many days; for good when left out"
    )
    create.set_defaults(run=_keys_create)
    revoke = actions.add_parser(
        "revoke", help="make keys invalid for good", description="Make keys invalid for good."
    )
    revoke.add_argument("ids", nargs="+", metavar="ID")
    revoke.set_defaults(run=_keys_revoke)


def _keys_list(_arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    for key in with_database(lambda database: ApiKeyStore(database).all()):
        state = "valid" if key.valid(now) else "revoked" if key.revoked_at is not None else "expired"
        until = "" if key.expires_at is None else f" until {key.expires_at:%Y-%m-%d %H:%M}"
        used = "never used" if key.used_at is None else f"last used {key.used_at:%Y-%m-%d %H:%M:%S}"
        parts = [
            key.id,
            f"{key.shown}...",
            key.name,
            "+".join(sorted(key.scopes)),
            *key.limits_in_words(),
            state + until,
            used,
        ]
        print(" | ".join(parts))
    return 0


def _keys_create(arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    days = cast("int | None", arguments.days)

    async def create(database: Database) -> tuple[ApiKey, Secret]:
        return await ApiKeyStore(database, changes=operator_changes()).create(
            cast("str", arguments.name),
            now=now,
            scopes=cast("list[str] | None", arguments.scope) or DEFAULT_SCOPES,
            per_minute=cast("int | None", arguments.per_minute),
            per_day=cast("int | None", arguments.per_day),
            at_once=cast("int | None", arguments.at_once),
            expires_at=None if days is None else now + timedelta(days=days),
        )

    key, secret = with_database(create)
    print(secret.reveal())
    print(
        f"This is the key {key.id} ({key.name}). It is shown this once: only a hash of it is kept.",
        file=sys.stderr,
    )
    return 0


def _keys_revoke(arguments: argparse.Namespace) -> int:
    async def revoke(database: Database) -> None:
        for key_id in cast("list[str]", arguments.ids):
            await ApiKeyStore(database, changes=operator_changes()).revoke(key_id, datetime.now(UTC))
            print(f"{key_id} is revoked.")

    with_database(revoke)
    return 0
