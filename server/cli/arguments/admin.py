"""The arguments of `twitchaudio admin`."""

import argparse
from typing import cast

from server.access.quotas.key_jobs import KEY_JOBS
from server.access.rules.website import FIELDS
from server.access.scopes import DEFAULT_SCOPES, SCOPES
from server.cli import Subparsers, add_actions, add_command, add_list, positive_int
from server.cli.arguments import (
    admin_channels,
    admin_logs,
    admin_people,
    admin_plays,
    admin_recognizers,
)


def register(commands: Subparsers) -> None:
    """Add the `admin` commands to the `twitchaudio` command line."""
    admin = add_command(commands, "admin", "who has access, and the operator's other rules")
    groups = add_actions(admin, "WHAT")
    _register_settings(groups)
    _register_keys(groups)
    admin_people.register(groups)
    admin_recognizers.register(groups)
    admin_logs.register(groups)
    admin_channels.register(groups)
    admin_plays.register(groups)


def _register_settings(groups: Subparsers) -> None:
    settings = add_command(groups, "settings", "website settings", "admin.get_settings", more="; shows them all")
    settings.set_defaults(name=None)
    settings.add_argument("--json", action="store_true", help="print one JSON object")
    actions = cast("Subparsers", settings.add_subparsers(metavar="ACTION"))
    get = add_command(actions, "get", "show all settings, or one", "admin.get_settings")
    get.add_argument("name", nargs="?", choices=tuple(FIELDS), metavar="NAME")
    get.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")
    change = add_command(actions, "set", "change one", "admin.set_setting", more=f": {', '.join(FIELDS)}")
    change.add_argument("name", choices=tuple(FIELDS), metavar="NAME")
    change.add_argument("value", metavar="VALUE")


def _register_keys(groups: Subparsers) -> None:
    text = "API keys for programs"
    actions = add_list(groups, "keys", text, "admin.list_keys", more="; the keys themselves are not stored")
    create = add_command(actions, "create", "make a key; it is shown only once", "admin.create_key")
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
    revoke = add_command(actions, "revoke", "revoke keys", "admin.revoke_keys")
    revoke.add_argument("ids", nargs="+", metavar="ID")
