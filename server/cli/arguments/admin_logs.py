"""The arguments of `twitchaudio admin logs`."""

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from server.audit.entries import AuditKind
from server.cli import JSON_HELP, Subparsers, add_command, positive_int

_KINDS: Final = tuple(str(kind) for kind in AuditKind)
_AGO: Final = re.compile(r"([0-9]{1,5})([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def register(groups: Subparsers) -> None:
    """Add the command `logs` to `admin`."""
    command = add_command(groups, "logs", "what happened, newest first", "admin_logs.list_logs")
    command.add_argument(
        "--kind", action="append", choices=_KINDS, metavar="KIND", help=f"{', '.join(_KINDS)}; may be repeated"
    )
    command.add_argument(
        "--who", metavar="WHO", help="a login, or id:NUMBER, key:ID, cli:NAME; the name of an API key"
    )
    command.add_argument("--address", metavar="ADDRESS", help="an IP address")
    command.add_argument("--subject", metavar="TEXT", help="a channel, a clip's slug, a path, or what was changed")
    command.add_argument("--code", metavar="CODE", help="a problem code, such as rate-limited")
    moment = "such as 90m, 12h, 7d, or 2026-03-01T12:00:00Z"
    command.add_argument("--since", type=_moment, metavar="WHEN", help=f"from then on: {moment}")
    command.add_argument("--until", type=_moment, metavar="WHEN", help="before that moment")
    command.add_argument("--limit", type=positive_int, default=100, metavar="N", help="entries (default: 100)")
    command.add_argument("--json", action="store_true", help=JSON_HELP)


def _moment(text: str) -> datetime:
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} is neither a time with its offset nor one such as 12h")
    return moment
