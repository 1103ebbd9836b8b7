"""`twitchaudio restore`: takes the file of `twitchaudio backup` back."""

import argparse
import sys
from pathlib import Path
from typing import cast

from fingerprint.domain.text import printable
from fingerprint.setting_formats import CatalogPlace
from fingerprint.settings import read_settings
from server.backups.restoring import restore_backup
from server.cli import Subparsers
from server.cli.backup import parts_text, place_of_backups, stopped_by_signals
from server.cli.spinner import at_work
from server.settings import ServerSettings


def register(commands: Subparsers) -> None:
    """Add the `restore` command to the `twitchaudio` command line."""
    restore = commands.add_parser(
        "restore",
        help="take a backup back; the server must not run",
        description="Take back what `twitchaudio backup` copied. The whole file is checked before anything is "
        "changed. Refused while a server uses the data folder.",
    )
    restore.add_argument(
        "source",
        type=place_of_backups,
        metavar="SRC",
        help="the file of the backup, or its address s3://bucket/prefix/name.tar",
    )
    restore.add_argument(
        "--force", action="store_true", help="also where data is there; it is renamed to *.before-restore-TIME"
    )
    restore.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    settings = read_settings(ServerSettings)
    source, force = cast("CatalogPlace", arguments.source), bool(arguments.force)
    with stopped_by_signals(), at_work("Restoring ..."):
        if isinstance(source, Path):
            restored = restore_backup(settings, source, force=force)
        else:
            # AWS's library takes long to load.
            from server.backups.remote import downloaded  # noqa: PLC0415 - see above

            with downloaded(settings, source) as file:
                restored = restore_backup(settings, file, force=force)
    content = restored.content
    print(printable(f"Restored {parts_text(content)}, of {content.made_at} by TwitchAudio {content.version}."))
    for path in restored.aside:
        print(printable(f"What was there is in {path}."))
    for sentence in restored.differing:
        print(printable(f"twitchaudio: {sentence}"), file=sys.stderr)
    return 0
