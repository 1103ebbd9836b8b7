"""The `twitchaudio` command. Each group has a module in `server.cli.arguments` with a `register` function."""

import argparse
import errno
import gc
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, Protocol, cast

from fingerprint.database_advice import detail_for_operator
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.text import printable
from fingerprint.setting_formats import CatalogPlace, catalog_place
from fingerprint.settings import SettingsError
from server.own_command import as_typed

GROUPS: Final[Mapping[str, str]] = {
    "serve": "the API and the website",
    "identify": "name the songs in channels, clips, videos and files",
    "catalog": "the local catalog of music",
    "admin": "who has access, and the operator's other rules",
    "db": "the SQL schema and DynamoDB's tables",
    "backup": "copy database, catalog and keys to one file, also while the server runs",
    "restore": "restore a backup; stop the server first",
    "completion": "print a script that completes commands and options in your shell",
    "doctor": "check the setup, and what Twitch answers",
}
"""Each command group, and its line in the list of commands: shown without loading the group."""


JSON_HELP: Final = "print JSON, one object a line"
"""The help of `--json`, wherever a command takes it."""


class Subparsers(Protocol):
    """What `ArgumentParser.add_subparsers` returns, as far as command groups use it."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser:  # noqa: A002
        """Add a command, and return its parser."""
        ...


def add_catalog_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--catalog`: a folder, or an address in object storage."""
    parser.add_argument(
        "--catalog",
        type=_catalog,
        metavar="DIR",
        help="the catalog's folder, or its address s3://bucket/prefix (default: the first one of the settings)",
    )


def file_path(text: str) -> Path:
    """A path of a command line; an empty one, as a variable that is not set gives, is refused."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("it takes a path, not an empty text")
    return Path(text)


def positive_int(text: str) -> int:
    """A whole number from 1 to 1,000,000, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 1000000")
    return int(text)


def _catalog(text: str) -> CatalogPlace:
    if not text or "\0" in text:
        return file_path(text)
    try:
        return catalog_place(text)
    except ValueError as error:
        message = f"{text} is not a folder or an address such as s3://bucket/prefix"
        raise argparse.ArgumentTypeError(message) from error


class UsageError(TwitchAudioError):
    """An argument that the command does not take: it ends with 2, not 1."""


@contextmanager
def checked_arguments() -> Generator[None]:
    """What is refused in the block is an argument of the command line. Raises UsageError for it."""
    try:
        yield
    except TwitchAudioError as error:
        raise UsageError(error.code, error.detail) from error


Run = Callable[[argparse.Namespace], int | None]
"""A command's function, from the arguments to the exit status; None when it is done."""


def lazily(place: str) -> Run:
    """A command's function by its place in this package, which is loaded when the command runs."""
    module, function = place.rsplit(".", 1)

    def run(arguments: argparse.Namespace) -> int | None:
        return cast("Run", getattr(import_module(f"{__name__}.{module}"), function))(arguments)

    return run


def add_command(
    commands: Subparsers, name: str, text: str, place: str = "", *, more: str = ""
) -> argparse.ArgumentParser:
    """Add a command; `text` says in the list of commands what it does, and with `more` in its own help.

    `place`: its function in this package, such as `admin_logs.list_logs`. It is loaded when the command runs: help
    and wrong usage need none of it.
    """
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}{more}.")
    if place:
        parser.set_defaults(run=lazily(place))
    return parser


def add_list(
    commands: Subparsers, name: str, text: str, place: str, *, more: str = "", **options: Mapping[str, str]
) -> Subparsers:
    """Add a command that lists things, alone or as `list`, and return its actions, for others beside.

    Both take `--json` and the `options`: by name, what argparse is to know of each.
    """
    command = add_command(commands, name, text, place, more="; lists them")
    actions = cast("Subparsers", command.add_subparsers(metavar="ACTION"))
    listed = add_command(actions, "list", "list them", place, more=more)
    for option, known in {"json": {"action": "store_true", "help": JSON_HELP}, **options}.items():
        command.add_argument(f"--{option}", **cast("dict[str, Any]", known))
        # Without a default of its own, it leaves what was said before `list`.
        listed.add_argument(f"--{option}", default=argparse.SUPPRESS, **cast("dict[str, Any]", known))
    return actions


class _Group(Protocol):
    def register(self, commands: Subparsers) -> None:
        """Add the group's commands; each sets `run`, a function from the arguments to the exit status."""
        ...


class _ShowVersion(argparse.Action):
    """Prints the version; it is looked up only then, which takes a while."""

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: object) -> None:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

        try:
            print(f"twitchaudio {version('twitchaudio')}")
        except PackageNotFoundError:
            print("twitchaudio, of an unknown version: the package is not installed")
        parser.exit()


def add_actions(parser: argparse.ArgumentParser, metavar: str) -> Subparsers:
    """Make a command one of several actions; without any it shows its help."""

    def show_help(_arguments: argparse.Namespace) -> None:
        parser.print_help()

    parser.set_defaults(run=show_help)
    return cast("Subparsers", parser.add_subparsers(metavar=metavar))


@contextmanager
def _no_garbage_collection() -> Generator[None]:
    """Loads modules without searching them for garbage, which takes a tenth of a command's time: they all stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def make_parser(groups: Iterable[str] = GROUPS) -> argparse.ArgumentParser:
    """The parser of the command line, with the arguments of some groups: what is behind others is not loaded."""
    parser = argparse.ArgumentParser(
        prog="twitchaudio",
        description="What song is playing? For live Twitch streams, clips, VODs and files.",
        epilog="Exit status: 0 done, 1 it failed, 2 wrong usage or settings, 3 some of many failed.",
    )
    parser.add_argument("--demo", action="store_true", help="work on the demo that runs in another terminal")
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version and exit")
    commands = add_actions(parser, "COMMAND")
    loaded = frozenset(groups)
    for name, text in GROUPS.items():
        if name in loaded:
            cast("_Group", import_module(f"server.cli.arguments.{name}")).register(commands)
        else:
            commands.add_parser(name, help=text, description=text)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Exit status: 0 done, 1 it failed, 2 wrong usage or settings, 3 some of many failed."""
    words = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that knows few letters gets the others as escapes, not a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        command = next((word for word in words if word != "--demo"), "")
        with _no_garbage_collection():
            parser = make_parser([command] if command in GROUPS else ())
        arguments = parser.parse_args(words)
        if words[:1] == ["--demo"]:
            from server.cli.demo import use_running_demo  # noqa: PLC0415 - the real server does not load the simulator

            use_running_demo()
        return _run(arguments)
    except SettingsError as error:
        print(printable(f"twitchaudio: {error}"), file=sys.stderr)
        return 2
    except TwitchAudioError as error:
        print(printable(f"twitchaudio: {as_typed(detail_for_operator(error))}"), file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _drop_output()
        place = f"{error.filename} cannot be written" if error.filename else "The output cannot be written"
        print(printable(f"twitchaudio: {place}: the disk is full."), file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    run: Run = arguments.run
    status = run(arguments) or 0
    sys.stdout.flush()  # so that an output that cannot be written makes the command fail
    return status


def _drop_output() -> None:
    """Have what is left of the output go nowhere: Python would try again at the end, and complain."""
    if sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.__stdout__.fileno())
        os.close(nowhere)
