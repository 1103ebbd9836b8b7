"""The arguments of `twitchaudio doctor`."""

from server.cli import Subparsers, lazily


def register(commands: Subparsers) -> None:
    """Add the `doctor` command to the `twitchaudio` command line."""
    doctor = commands.add_parser(
        "doctor",
        help="check the setup, and what Twitch answers",
        description="Check the setup, step by step: settings, folders, database, clock, recognizers (each "
        "answers a question about real sound). With `--twitch`, `--clip` or `--video` also what Twitch answers. "
        "The report holds no secrets. Exit status 1: a step failed.",
    )
    doctor.add_argument(
        "--twitch",
        nargs="?",
        const="",
        metavar="CHANNEL",
        help="ask Twitch about a channel that is live (default: what TWITCHAUDIO_CANARY names)",
    )
    doctor.add_argument("--clip", metavar="CLIP", help="also check this clip, by its slug or address")
    doctor.add_argument("--video", metavar="VIDEO", help="also check this video, by its address or number")
    doctor.add_argument(
        "--paid", action="store_true", help="ask the recognizers that may cost money one question each, too"
    )
    doctor.add_argument("--json", action="store_true", help="print the report as JSON")
    doctor.set_defaults(run=lazily("doctor.run"))
