"""`twitchaudio backup`: the whole installation in one file."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from fingerprint.domain.text import printable
from fingerprint.setting_formats import CatalogPlace, catalog_place
from fingerprint.settings import read_settings
from server.backups.archive import BackupContent
from server.backups.making import make_backup
from server.cli import Subparsers
from server.cli.spinner import at_work
from server.settings import ServerSettings

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
    backup.set_defaults(run=_run)


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


def _run(arguments: argparse.Namespace) -> int:
    settings = read_settings(ServerSettings)
    place, keep, force = cast("CatalogPlace", arguments.destination), arguments.keep, bool(arguments.force)
    with stopped_by_signals(), at_work("Backing up ..."):
        if isinstance(place, Path):
            made = make_backup(settings, place, force=force, keep=keep)
        else:
            # AWS's library takes long to load.
            from server.backups.remote import make_remote_backup  # noqa: PLC0415 - see above

            made = make_remote_backup(settings, place, force=force, keep=keep)
    print(printable(f"Backed up to {made.place} ({made.size / 2**20:.1f} MiB): {parts_text(made.content)}."))
    for sentence in made.left_out:
        print(printable(f"twitchaudio: {sentence}"), file=sys.stderr)
    return 0


def parts_text(content: BackupContent) -> str:
    """What a backup holds, in words."""
    names = content.files
    catalogs = len({name.split("/")[1] for name in names if name.startswith("catalogs/")})
    data = sorted(name.removeprefix("data/") for name in names if name.startswith("data/"))
    parts = ["the database"] if content.database is not None else []
    if catalogs:
        parts.append("the catalog" if catalogs == 1 else f"{catalogs} catalogs")
    return ", ".join([*parts, *data])


@contextmanager
def stopped_by_signals() -> Generator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what was begun is cleaned up."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ValueError):  # not in the main thread
            stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, stop))
        yield
