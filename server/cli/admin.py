"""`twitchaudio admin`: the operator's rules; servers that run see a change within two seconds."""

import argparse
import json
from datetime import UTC, datetime

from fingerprint.database import Database
from server.access.identity.api_keys import ApiKeyStore, key_name
from server.access.rules.store import RulesStore
from server.access.rules.website import parse_setting
from server.access.scopes import DEFAULT_SCOPES
from server.cli import checked_arguments
from server.cli.listing import print_list
from server.cli.with_database import days_from, operator_changes, print_secret, with_database


def get_settings(arguments: argparse.Namespace) -> int:
    """Print all website settings, or one."""
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


def set_setting(arguments: argparse.Namespace) -> None:
    """Change a website setting."""
    with checked_arguments():
        parse_setting(arguments.name, arguments.value)
    before, after = with_database(
        lambda database: RulesStore(database, changes=operator_changes()).set_website(
            arguments.name, arguments.value
        )
    )
    print(f"{arguments.name} = {after} (was {before or 'empty'})")


def list_keys(arguments: argparse.Namespace) -> None:
    """Print all API keys."""
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


def create_key(arguments: argparse.Namespace) -> None:
    """Make an API key, and print it."""
    with checked_arguments():
        key_name(arguments.name)
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


def revoke_keys(arguments: argparse.Namespace) -> None:
    """Revoke API keys."""

    async def revoke(database: Database) -> None:
        for key_id in arguments.ids:
            await ApiKeyStore(database, changes=operator_changes()).revoke(key_id, datetime.now(UTC))
            print(f"{key_id} is revoked.")

    with_database(revoke)
