"""`twitchaudio admin blacklist`, `whitelist`, `codes`, `sessions` and `broadcasters`: who has access."""

import argparse
import sys
from datetime import UTC, datetime

from fingerprint.database import Database
from fingerprint.settings import read_settings
from server.access.identity.helix import HelixUser
from server.access.identity.session_store import end_sessions, list_sessions
from server.access.rules.broadcaster_lookup import look_up_broadcaster
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.codes import AccessCode, CodeStore
from server.access.rules.list_store import ListStore
from server.access.rules.lists import BlacklistKind, blacklist_value, user_value
from server.cli import checked_arguments
from server.cli.listing import print_list
from server.cli.with_database import (
    days_from,
    forget_channel,
    operator_changes,
    print_secret,
    with_database,
)
from server.settings import ServerSettings


def list_signed_in(arguments: argparse.Namespace) -> None:
    """Print who is signed in."""
    rows = [
        {"user": f"id:{each.user_id}", "login": each.login, "browsers": each.count, "last_seen": each.seen_at}
        for each in with_database(list_sessions)
    ]
    print_list(rows, as_json=arguments.json)


def end_signed_in(arguments: argparse.Namespace) -> int:
    """End all sign-ins of a user."""
    with checked_arguments():
        user = user_value(arguments.user)
    ended = with_database(lambda database: end_sessions(database, user, now=_now(), changes=operator_changes()))
    if not ended:
        print(f"twitchaudio: no one is signed in as {arguments.user}", file=sys.stderr)
        return 1
    print(f"{ended} sign-in{'' if ended == 1 else 's'} of {user} ended.")
    return 0


def _now() -> datetime:
    return datetime.now(UTC)


def list_blacklist(arguments: argparse.Namespace) -> None:
    """Print the blacklist."""
    rows = [
        {"kind": entry.kind, "value": entry.value, "since": entry.created_at, "reason": entry.note}
        for entry in with_database(lambda database: ListStore(database).blacklist())
    ]
    print_list(rows, as_json=arguments.json)


def block(arguments: argparse.Namespace) -> None:
    """Put something on the blacklist."""
    kind = BlacklistKind(arguments.kind)
    with checked_arguments():
        blacklist_value(kind, arguments.value)

    async def block(database: Database) -> tuple[str, int | None]:
        lists = ListStore(database, changes=operator_changes())
        value = await lists.block(kind, arguments.value, reason=arguments.reason, now=_now())
        forgets = kind is BlacklistKind.FORGOTTEN_CHANNEL
        return value, await forget_channel(database, value) if forgets else None

    stored, count = with_database(block)
    print(f"{kind} {stored} is blocked.{'' if count is None else f' Answers deleted: {count}.'}")


def unblock(arguments: argparse.Namespace) -> None:
    """Take something off the blacklist."""
    kind = BlacklistKind(arguments.kind)
    with checked_arguments():
        blacklist_value(kind, arguments.value)
    stored = with_database(
        lambda database: ListStore(database, changes=operator_changes()).unblock(kind, arguments.value)
    )
    print(f"{kind} {stored} is no longer blocked.")


def list_whitelist(arguments: argparse.Namespace) -> None:
    """Print the whitelist."""
    rows = [
        {"user": entry.value, "since": entry.created_at, "note": entry.note}
        for entry in with_database(lambda database: ListStore(database).whitelist())
    ]
    print_list(rows, as_json=arguments.json)


def allow(arguments: argparse.Namespace) -> None:
    """Put a user on the whitelist."""
    with checked_arguments():
        user_value(arguments.user)
    stored = with_database(
        lambda database: ListStore(database, changes=operator_changes()).allow(
            arguments.user, note=arguments.note, now=_now()
        )
    )
    print(f"{stored} is let in.")


def disallow(arguments: argparse.Namespace) -> None:
    """Take a user off the whitelist."""
    with checked_arguments():
        user_value(arguments.user)
    stored = with_database(
        lambda database: ListStore(database, changes=operator_changes()).disallow(arguments.user)
    )
    print(f"{stored} is no longer on the whitelist.")


def list_codes(arguments: argparse.Namespace) -> None:
    """Print all access codes."""
    now = _now()

    def state(code: AccessCode) -> str:
        expired = code.expires_at is not None and code.expires_at <= now
        return "revoked" if code.revoked_at is not None else "expired" if expired else "valid"

    rows = [
        {
            "id": code.id,
            "note": code.note,
            "used": code.used,
            "of": code.most_uses,
            "state": state(code),
            "created": code.created_at,
            "expires": code.expires_at,
        }
        for code in with_database(lambda database: CodeStore(database).all())
    ]
    print_list(rows, as_json=arguments.json)


def create_code(arguments: argparse.Namespace) -> None:
    """Make an access code, and print it."""
    now = _now()
    code_id, secret = with_database(
        lambda database: CodeStore(database, changes=operator_changes()).create(
            now=now,
            note=arguments.note,
            most_uses=arguments.uses,
            expires_at=days_from(now, arguments.days),
        )
    )
    print_secret(secret, f"This is the code {code_id}.")


def revoke_codes(arguments: argparse.Namespace) -> None:
    """Revoke access codes."""

    async def revoke(database: Database) -> None:
        for code_id in arguments.ids:
            await CodeStore(database, changes=operator_changes()).revoke(code_id, _now())
            print(f"{code_id} is revoked.")

    with_database(revoke)


def list_broadcasters(arguments: argparse.Namespace) -> None:
    """Print the broadcasters whose subscribers have access."""
    rows = [
        {"id": f"id:{each.id}", "login": each.login, "since": each.created_at, "note": each.note}
        for each in with_database(lambda database: BroadcasterStore(database).all())
    ]
    print_list(rows, as_json=arguments.json)


def add_broadcaster(arguments: argparse.Namespace) -> None:
    """Add a broadcaster."""
    with checked_arguments():
        value = user_value(arguments.broadcaster)
    settings = read_settings(ServerSettings)

    async def add(database: Database) -> HelixUser:
        found = await look_up_broadcaster(settings, value)
        store = BroadcasterStore(database, changes=operator_changes())
        await store.add(found.id, found.login, note=arguments.note, now=_now())
        return found

    found = with_database(add)
    print(f"{found.login or f'id:{found.id}'} is listed: their subscribers have access in subscribers mode.")
    if found.login and not found.kind:
        print("They are neither affiliate nor partner now, and so have no subscribers.")


def remove_broadcaster(arguments: argparse.Namespace) -> None:
    """Remove a broadcaster."""
    with checked_arguments():
        user_value(arguments.broadcaster)
    name = with_database(
        lambda database: BroadcasterStore(database, changes=operator_changes()).remove(arguments.broadcaster)
    )
    print(f"{name} is not listed any more.")
