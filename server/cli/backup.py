"""`twitchaudio backup`: the whole installation in one file."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from fingerprint.domain.problems import ProblemCode
from fingerprint.domain.text import printable
from fingerprint.setting_formats import CatalogPlace
from fingerprint.settings import read_settings
from server.backups.archive import BackupContent
from server.backups.making import make_backup
from server.cli import UsageError
from server.cli.spinner import at_work
from server.settings import ServerSettings


def run(arguments: argparse.Namespace) -> None:
    """Make a backup, and say what is in it."""
    settings = read_settings(ServerSettings)
    place, keep, force = cast("CatalogPlace", arguments.destination), arguments.keep, bool(arguments.force)
    if keep is not None and isinstance(place, Path) and not place.is_dir():
        raise UsageError(ProblemCode.INVALID_INPUT, f"--keep takes a folder for DEST, and {place} is not one.")
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
