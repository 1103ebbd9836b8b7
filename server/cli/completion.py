"""`twitchaudio completion SHELL`: a script with which bash, zsh or tcsh completes commands and options."""

import argparse

import shtab

from server import cli


def register(commands: cli.Subparsers) -> None:
    """Add the `completion` command to the `twitchaudio` command line."""
    text = cli.GROUPS["completion"]
    parser = commands.add_parser(
        "completion",
        help=text,
        description=f'{text[0].upper()}{text[1:]}. In bash: eval "$(twitchaudio completion bash)".',
    )
    parser.add_argument(
        "shell", choices=shtab.SUPPORTED_SHELLS, metavar="SHELL", help=", ".join(shtab.SUPPORTED_SHELLS)
    )
    parser.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    print(shtab.complete(cli.make_parser(), arguments.shell))
    return 0
