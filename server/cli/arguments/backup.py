"""The arguments of `twitchaudio backup`."""

import argparse
from typing import Final

from fingerprint.setting_formats import CatalogPlace, catalog_place
from server.cli import Subparsers, lazily

MAX_KEPT: Final = 10_000


def register(commands: Subparsers) -> None:
    """Add the `backup` command to the `twitchaudio` command line."""
    backup = commands.add_parser(
        "backup",
        help="copy database, catalog and keys to one file, also while the server runs",
        description="Copy the database, the catalog with its covers, keys and known admins to one file, also "
        "while the server runs. The file is read again and checked before it gets its name. It holds secrets: "
        "only its owner may read it.",
    )
    backup.add_argument(
        "destination",
        type=place_of_backups,
        metavar="DEST",
        help="the file to make, or a folder or s3://bucket/prefix for a file named by the time",
    )
    backup.add_argument(
        "--keep",
        type=_number,
        metavar="N",
        help="keep the newest N backups in that folder, and delete older ones once the new one is there",
    )
    backup.add_argument("--force", action="store_true", help="replace the file if it is there")
    backup.set_defaults(run=lazily("backup.run"))


def place_of_backups(text: str) -> CatalogPlace:
    """A path, or an address in object storage."""
    try:
        return catalog_place(text)
    except ValueError:
        reason = f"{text} is neither a path nor an address such as s3://bucket/prefix"
        raise argparse.ArgumentTypeError(reason) from None


def _number(text: str) -> int:
    """How many backups are kept, at least one."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_KEPT:
        raise argparse.ArgumentTypeError(f"{text} is not a number of backups (1 to {MAX_KEPT})")
    return int(text)
