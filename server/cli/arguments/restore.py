"""The arguments of `twitchaudio restore`."""

from server.cli import Subparsers, lazily
from server.cli.arguments.backup import place_of_backups


def register(commands: Subparsers) -> None:
    """Add the `restore` command to the `twitchaudio` command line."""
    restore = commands.add_parser(
        "restore",
        help="restore a backup; stop the server first",
        description="Restore a file made by `twitchaudio backup`. The whole file is checked before anything is "
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
    restore.set_defaults(run=lazily("restore.run"))
