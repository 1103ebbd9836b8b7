"""`twitchaudio completion SHELL`: a script with which bash, zsh or tcsh completes commands and options."""

import argparse

import shtab

from server import cli


def completion(arguments: argparse.Namespace) -> None:
    """Print the script for a shell."""
    print(shtab.complete(cli.make_parser(), arguments.shell))
