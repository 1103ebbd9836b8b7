"""`twitchaudio admin blacklist`, `whitelist`, `codes` and `sessions`: who may ask, one by one."""

import argparse
import sys
from datetime import UTC, datetime

from fingerprint.database import Database
from server.access.identity.session_store import end_sessions, list_sessions
from server.access.rules.codes import AccessCode, CodeStore
from server.access.rules.list_store import ListStore
from server.access.rules.lists import TAKES, BlacklistKind, user_value
from server.cli import Subparsers, add_command, add_list
from server.cli.listing import print_list
from server.cli.with_database import (
    days_from,
    forget_channel,
    operator_changes,
    positive_int,
    print_secret,
    with_database,
)

_KINDS = tuple(str(kind) for kind in BlacklistKind)


def register(groups: Subparsers) -> None:
    """Add the command groups `blacklist`, `whitelist`, `codes` and `sessions` to `admin`."""
    _register_blacklist(groups)
    _register_whitelist(groups)
    _register_codes(groups)
    _register_sessions(groups)


def _register_blacklist(groups: Subparsers) -> None:
    actions, _ = add_list(groups, "blacklist", "who and what is refused in every access mode", _blacklist)
    kinds = "; ".join(f"{kind}: {takes}" for kind, takes in TAKES.items())
    add = add_command(actions, "add", "block something", _block, more=f". {kinds}")
    add.add_argument("--reason", default="", metavar="TEXT", help="only visible to operators")
    for action in (add, add_command(actions, "remove", "allow it again", _unblock)):
        action.add_argument("kind", choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
        action.add_argument("value", metavar="VALUE")


def _register_whitelist(groups: Subparsers) -> None:
    actions, _ = add_list(groups, "whitelist", "users who always have access in subscribers mode", _whitelist)
    user = "a Twitch login or the channel's address, or id:NUMBER for the account whatever it is called"
    add = add_command(actions, "add", "let a user in", _allow)
    add.add_argument("--note", default="", metavar="TEXT", help="only visible to operators")
    for action in (add, add_command(actions, "remove", "take a user off", _disallow)):
        action.add_argument("user", metavar="USER", help=user)


def _register_codes(groups: Subparsers) -> None:
    text = "access codes, which give access in subscribers mode"
    actions, _ = add_list(groups, "codes", text, _codes, more="; the codes themselves are not kept")
    create = add_command(actions, "create", "make a code, which is shown this once", _create_code)
    create.add_argument(
        "--uses", type=positive_int, default=1, metavar="N", help="people who may redeem it (default: 1)"
    )
    create.add_argument("--days", type=positive_int, metavar="N", help="to be redeemed within so many days")
    create.add_argument("--note", default="", metavar="TEXT", help="only visible to operators")
    text = "revoke codes, and the access of everyone who redeemed them"
    revoke = add_command(actions, "revoke", text, _revoke_codes)
    revoke.add_argument("ids", nargs="+", metavar="ID")


def _register_sessions(groups: Subparsers) -> None:
    actions, _ = add_list(groups, "sessions", "who is signed in on the website", _sessions)
    end = add_command(actions, "end", "end all sign-ins of a user, in every browser", _end_sessions)
    end.add_argument("user", metavar="USER", help="a Twitch login or the channel's address, or id:NUMBER")


def _sessions(arguments: argparse.Namespace) -> int:
    rows = [
        {"user": f"id:{each.user_id}", "login": each.login, "browsers": each.count, "last_seen": each.seen_at}
        for each in with_database(list_sessions)
    ]
    print_list(rows, as_json=arguments.json)
    return 0


def _end_sessions(arguments: argparse.Namespace) -> int:
    user = user_value(arguments.user)
    ended = with_database(lambda database: end_sessions(database, user, now=_now(), changes=operator_changes()))
    if not ended:
        print(f"twitchaudio: no one is signed in as {arguments.user}", file=sys.stderr)
        return 1
    print(f"{ended} sign-in{'' if ended == 1 else 's'} of {user} ended.")
    return 0


def _now() -> datetime:
    return datetime.now(UTC)


def _blacklist(arguments: argparse.Namespace) -> int:
    rows = [
        {"kind": entry.kind, "value": entry.value, "since": entry.created_at, "reason": entry.note}
        for entry in with_database(lambda database: ListStore(database).blacklist())
    ]
    print_list(rows, as_json=arguments.json)
    return 0


def _block(arguments: argparse.Namespace) -> int:
    kind = BlacklistKind(arguments.kind)

    async def block(database: Database) -> tuple[str, int | None]:
        lists = ListStore(database, changes=operator_changes())
        value = await lists.block(kind, arguments.value, reason=arguments.reason, now=_now())
        forgets = kind is BlacklistKind.FORGOTTEN_CHANNEL
        return value, await forget_channel(database, value) if forgets else None

    stored, count = with_database(block)
    print(f"{kind} {stored} is blocked.{'' if count is None else f' Answers deleted: {count}.'}")
    return 0


def _unblock(arguments: argparse.Namespace) -> int:
    kind = BlacklistKind(arguments.kind)
    stored = with_database(
        lambda database: ListStore(database, changes=operator_changes()).unblock(kind, arguments.value)
    )
    print(f"{kind} {stored} is no longer blocked.")
    return 0


def _whitelist(arguments: argparse.Namespace) -> int:
    rows = [
        {"user": entry.value, "since": entry.created_at, "note": entry.note}
        for entry in with_database(lambda database: ListStore(database).whitelist())
    ]
    print_list(rows, as_json=arguments.json)
    return 0


def _allow(arguments: argparse.Namespace) -> int:
    stored = with_database(
        lambda database: ListStore(database, changes=operator_changes()).allow(
            arguments.user, note=arguments.note, now=_now()
        )
    )
    print(f"{stored} is let in.")
    return 0


def _disallow(arguments: argparse.Namespace) -> int:
    stored = with_database(
        lambda database: ListStore(database, changes=operator_changes()).disallow(arguments.user)
    )
    print(f"{stored} is no longer on the whitelist.")
    return 0


def _codes(arguments: argparse.Namespace) -> int:
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
    return 0


def _create_code(arguments: argparse.Namespace) -> int:
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
    return 0


def _revoke_codes(arguments: argparse.Namespace) -> int:
    async def revoke(database: Database) -> None:
        for code_id in arguments.ids:
            await CodeStore(database, changes=operator_changes()).revoke(code_id, _now())
            print(f"{code_id} is revoked.")

    with_database(revoke)
    return 0
