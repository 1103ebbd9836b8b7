"""`twitchaudio admin`: the operator's rules; servers that run see a change within two seconds."""

import argparse
import json
from datetime import UTC, datetime
from typing import cast

from fingerprint.database import Database
from server.access.identity.api_keys import ApiKeyStore
from server.access.quotas.requests import KEY_JOBS
from server.access.rules.store import RulesStore
from server.access.rules.website import FIELDS
from server.access.scopes import DEFAULT_SCOPES, SCOPES
from server.cli import (
    Subparsers,
    add_actions,
    add_command,
    add_list,
    admin_broadcasters,
    admin_channels,
    admin_logs,
    admin_people,
)
from server.cli.listing import print_list
from server.cli.with_database import days_from, operator_changes, positive_int, print_secret, with_database


def register(commands: Subparsers) -> None:
    """Add the `admin` commands to the `twitchaudio` command line."""
    admin = add_command(commands, "admin", "who has access, and the operator's other rules")
    groups = add_actions(admin, "WHAT")
    _register_settings(groups)
    _register_keys(groups)
    admin_people.register(groups)
    admin_broadcasters.register(groups)
    admin_logs.register(groups)
    admin_channels.register(groups)


def _register_settings(groups: Subparsers) -> None:
    settings = add_command(groups, "settings", "website settings", _settings_get, more="; shows them all")
    settings.set_defaults(name=None)
    settings.add_argument("--json", action="store_true", help="print one JSON object")
    actions = cast("Subparsers", settings.add_subparsers(metavar="ACTION"))
    get = add_command(actions, "get", "show them, or one", _settings_get)
    get.add_argument("name", nargs="?", choices=tuple(FIELDS), metavar="NAME")
    get.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")
    change = add_command(actions, "set", "change one", _settings_set, more=f": {', '.join(FIELDS)}")
    change.add_argument("name", choices=tuple(FIELDS), metavar="NAME")
    change.add_argument("value", metavar="VALUE")


def _settings_get(arguments: argparse.Namespace) -> int:
    name: str | None = arguments.name
    rules = with_database(lambda database: RulesStore(database).read())
    texts = rules.website.to_texts()
    if arguments.json:
        print(json.dumps(texts if name is None else {name: texts[name]}))
        return 0
    for setting, text in texts.items():
        if name is None:
            print(f"{setting} = {text}")
        elif setting == name:
            print(text)
    return 0


def _settings_set(arguments: argparse.Namespace) -> int:
    before, after = with_database(
        lambda database: RulesStore(database, changes=operator_changes()).set_website(
            arguments.name, arguments.value
        )
    )
    print(f"{arguments.name} = {after} (was {before or 'empty'})")
    return 0


def _register_keys(groups: Subparsers) -> None:
    text = "API keys, for programs that ask"
    actions, _ = add_list(groups, "keys", text, _keys_list, more="; the keys themselves are not kept")
    create = add_command(actions, "create", "make a key, which is shown this once", _keys_create)
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
        "--days", type=positive_int, metavar="N", help="valid for this many days; without it, never expires"
    )
    revoke = add_command(actions, "revoke", "revoke keys", _keys_revoke)
    revoke.add_argument("ids", nargs="+", metavar="ID")


def _keys_list(arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    rows = [
        {
            "id": key.id,
            "begins_with": key.shown,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "limits": key.limits_in_words(),
            "state": "valid" if key.valid(now) else "revoked" if key.revoked_at is not None else "expired",
            "created": key.created_at,
            "expires": key.expires_at,
            "last_used": key.used_at,
        }
        for key in with_database(lambda database: ApiKeyStore(database).all())
    ]
    print_list(rows, as_json=arguments.json)
    return 0


def _keys_create(arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    key, secret = with_database(
        lambda database: ApiKeyStore(database, changes=operator_changes()).create(
            arguments.name,
            now=now,
            scopes=arguments.scope or DEFAULT_SCOPES,
            per_minute=arguments.per_minute,
            per_day=arguments.per_day,
            at_once=arguments.at_once,
            expires_at=days_from(now, arguments.days),
        )
    )
    print_secret(secret, f"This is the key {key.id} ({key.name}).")
    return 0


def _keys_revoke(arguments: argparse.Namespace) -> int:
    async def revoke(database: Database) -> None:
        for key_id in arguments.ids:
            await ApiKeyStore(database, changes=operator_changes()).revoke(key_id, datetime.now(UTC))
            print(f"{key_id} is revoked.")

    with_database(revoke)
    return 0
