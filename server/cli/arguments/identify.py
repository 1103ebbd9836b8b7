"""The arguments of `twitchaudio identify`."""

from pathlib import Path
from typing import Final

from fingerprint.setting_formats import words
from server.cli import Subparsers, add_catalog_argument, lazily

FORMATS: Final = ("text", "json", "csv", "m3u8", "m3u", "cue", "chapters", "spotify", "youtube")
"""How the set list of a whole recording can be printed."""


def register(commands: Subparsers) -> None:
    """Add the `identify` command to the `twitchaudio` command line."""
    identify = commands.add_parser(
        "identify",
        help="name the songs in channels, clips, videos and files",
        description="Name the songs in live channels, clips, videos and files.",
    )
    identify.add_argument(
        "targets",
        nargs="+",
        metavar="TARGET",
        help="a channel's name, a clip's slug, any Twitch address, an audio or video file, or - for one that "
        "comes from standard input",
    )
    identify.add_argument("--json", action="store_true", help="print JSON, one object a line, in the order given")
    identify.add_argument(
        "--whole", action="store_true", help="the set list of a whole VOD or file, with start times"
    )
    identify.add_argument(
        "--format",
        choices=FORMATS,
        help="with --whole: how to print the set list (default: text, while it goes; --json means json)",
    )
    add_catalog_argument(identify)
    identify.add_argument(
        "--recognizers",
        type=words,
        metavar="a,b",
        help="the recognizers to ask, in order (default: the settings')",
    )
    identify.add_argument(
        "--explain",
        type=Path,
        metavar="SVG",
        help="for one file: also draw why the catalog answers as it does (spectrogram, landmarks, offsets)",
    )
    identify.set_defaults(run=lazily("identify.run"))
