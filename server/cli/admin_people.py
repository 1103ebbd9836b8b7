"""`twitchaudio admin blacklist`, `whitelist` and `codes`: who may ask, one by one."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import cast

from fingerprint.database import Database
from fingerprint.settings import Secret
from server.access.rules.codes import CodeStore
from server.access.rules.list_store import ListStore
from server.access.rules.lists import TAKES, BlacklistKind
from server.cli import Subparsers
from server.cli.with_database import operator_changes, positive_int, with_database

_KINDS = tuple(str(kind) for kind in BlacklistKind)


def register(groups: Subparsers) -> None:
    """Add the command groups `blacklist`, `whitelist` and `codes` to `admin`."""
    _register_blacklist(groups)
    _register_whitelist(groups)
    _register_codes(groups)


def _register_blacklist(groups: Subparsers) -> None:
    text = "what may not ask, or be asked for"
    command = groups.add_parser("blacklist", help=text, description=f"{text.capitalize()}; lists it.")
    command.set_defaults(run=_blacklist)
    actions = command.add_subparsers(metavar="ACTION")
    actions.add_parser("list", help="list it", description="List it.").set_defaults(run=_blacklist)
    kinds = "; ".join(f"{kind}: {takes}" for kind, takes in TAKES.items())
    add = actions.add_parser("add", help="block something", description=f"Block something. {kinds}.")
    add.add_argument("--reason", default="", metavar="TEXT", help="for you; nobody else sees it")
    remove = actions.add_parser("remove", help="allow it again", description="Allow it again.")
    for action, run in ((add, _block), (remove, _unblock)):
        action.add_argument("kind", choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
        action.add_argument("value", metavar="VALUE")
        action.set_defaults(run=run)


def _register_whitelist(groups: Subparsers) -> None:
    text = "who may ask in subscribers mode in any case"
    command = groups.add_parser("whitelist", help=text, description=f"{text.capitalize()}; lists them.")
    command.set_defaults(run=_whitelist)
    actions = command.add_subparsers(metavar="ACTION")
    actions.add_parser("list", help="list them", description="List them.").set_defaults(run=_whitelist)
    user = "a Twitch login, or id:NUMBER for the account whatever it is called"
    add = actions.add_parser("add", help="let somebody in", description="Let somebody in.")
    add.add_argument("--note", default="", metavar="TEXT", help="for you; nobody else sees it")
    remove = actions.add_parser("remove", help="take somebody off", description="Take somebody off.")
    for action, run in ((add, _allow), (remove, _disallow)):
        action.add_argument("user", metavar="USER", help=user)
        action.set_defaults(run=run)


def _register_codes(groups: Subparsers) -> None:
    text = "access codes, which let whoever redeems one ask in subscribers mode"
    command = groups.add_parser("codes", help=text, description=f"{text.capitalize()}; lists them.")
    command.set_defaults(run=_codes)
    actions = command.add_subparsers(metavar="ACTION")
    listed = actions.add_parser(
        "list", help="list them", description="List them; the codes themselves are not kept."
    )
    listed.set_defaults(run=_codes)
    create = actions.add_parser("create", help="make one", description="Make a code. It is shown this once.")
    create.add_argument(
        "--uses", type=positive_int, default=1, metavar="N", help="people who may redeem it (default: 1)"
    )
    create.add_argument("--days", type=positive_int, metavar="N", help="to be redeemed within so many days")
    create.add_argument("--note", default="", metavar="TEXT", help="for you; nobody else sees it")
    create.set_defaults(run=_create_code)
    text = "end codes, and what those who redeemed them gained"
    revoke = actions.add_parser("revoke", help=text, description=f"{text.capitalize()}.")
    revoke.add_argument("ids", nargs="+", metavar="ID")
    revoke.set_defaults(run=_revoke_codes)


def _now() -> datetime:
    return datetime.now(UTC)


def _blacklist(_arguments: argparse.Namespace) -> int:
    for entry in with_database(lambda database: ListStore(database).blacklist()):
        print(f"{entry.kind} | {entry.value} | {entry.created_at:%Y-%m-%d %H:%M} | {entry.note}")
    return 0


def _block(arguments: argparse.Namespace) -> int:
    kind, value, reason = (
        BlacklistKind(arguments.kind),
        cast("str", arguments.value),
        cast("str", arguments.reason),
    )
    stored = with_database(
        lambda database: ListStore(database, changes=operator_changes()).block(
            kind, value, reason=reason, now=_now()
        )
    )
    print(f"{kind} {stored} is blocked.")
    return 0


def _unblock(arguments: argparse.Namespace) -> int:
    kind, value = BlacklistKind(arguments.kind), cast("str", arguments.value)
    stored = with_database(lambda database: ListStore(database, changes=operator_changes()).unblock(kind, value))
    print(f"{kind} {stored} is no longer blocked.")
    return 0


def _whitelist(_arguments: argparse.Namespace) -> int:
    for entry in with_database(lambda database: ListStore(database).whitelist()):
        print(f"{entry.value} | {entry.created_at:%Y-%m-%d %H:%M} | {entry.note}")
    return 0


def _allow(arguments: argparse.Namespace) -> int:
    user, note = cast("str", arguments.user), cast("str", arguments.note)
    stored = with_database(
        lambda database: ListStore(database, changes=operator_changes()).allow(user, note=note, now=_now())
    )
    print(f"{stored} is let in.")
    return 0


def _disallow(arguments: argparse.Namespace) -> int:
    user = cast("str", arguments.user)
    stored = with_database(lambda database: ListStore(database, changes=operator_changes()).disallow(user))
    print(f"{stored} is no longer on the whitelist.")
    return 0


def _codes(_arguments: argparse.Namespace) -> int:
    now = _now()
    for code in with_database(lambda database: CodeStore(database).all()):
        expired = code.expires_at is not None and code.expires_at <= now
        state = "revoked" if code.revoked_at is not None else "expired" if expired else "valid"
        until = "" if code.expires_at is None else f" until {code.expires_at:%Y-%m-%d %H:%M}"
        print(f"{code.id} | used {code.used} of {code.most_uses} | {state}{until} | {code.note}")
    return 0


def _create_code(arguments: argparse.Namespace) -> int:
    now, days = _now(), cast("int | None", arguments.days)

    async def create(database: Database) -> tuple[str, Secret]:
        return await CodeStore(database, changes=operator_changes()).create(
            now=now,
            note=cast("str", arguments.note),
            most_uses=cast("int", arguments.uses),
            expires_at=None if days is None else now + timedelta(days=days),
        )

    code_id, secret = with_database(create)
    print(secret.reveal())
    print(f"This is the code {code_id}. It is shown this once: only a hash of it is kept.", file=sys.stderr)
    return 0


def _revoke_codes(arguments: argparse.Namespace) -> int:
    async def revoke(database: Database) -> None:
        for code_id in cast("list[str]", arguments.ids):
            await CodeStore(database, changes=operator_changes()).revoke(code_id, _now())
            print(f"{code_id} is revoked.")

    with_database(revoke)
    return 0
