"""`twitchaudio restore`: takes the file of `twitchaudio backup` back."""

import argparse
import sys
from pathlib import Path
from typing import cast

from fingerprint.domain.text import printable
from fingerprint.setting_formats import CatalogPlace
from fingerprint.settings import read_settings
from server.backups.restoring import restore_backup
from server.cli.backup import parts_text, stopped_by_signals
from server.cli.spinner import at_work
from server.settings import ServerSettings


def run(arguments: argparse.Namespace) -> None:
    """Take a backup back, and say what was in it."""
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
