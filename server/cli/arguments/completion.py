"""The arguments of `twitchaudio completion`."""

import shtab

from server.cli import GROUPS, Subparsers, lazily


def register(commands: Subparsers) -> None:
    """Add the `completion` command to the `twitchaudio` command line."""
    text = GROUPS["completion"]
    parser = commands.add_parser(
        "completion",
        help=text,
        description=f'{text[0].upper()}{text[1:]}. In bash: eval "$(twitchaudio completion bash)".',
    )
    parser.add_argument(
        "shell", choices=shtab.SUPPORTED_SHELLS, metavar="SHELL", help=", ".join(shtab.SUPPORTED_SHELLS)
    )
    parser.set_defaults(run=lazily("completion.completion"))
