"""The arguments of `twitchaudio serve`."""

import argparse
from pathlib import Path
from typing import Final

from server.cli import Subparsers, lazily

HOST: Final = "127.0.0.1"
PORT: Final = 8080
MAX_WORKERS: Final = 64


def register(commands: Subparsers) -> None:
    """Add the `serve` command to the `twitchaudio` command line."""
    serve = commands.add_parser(
        "serve", help="the API and the website", description="Serve the API and the website."
    )
    serve.add_argument("--host", default=HOST, metavar="H", help=f"the address to listen on (default: {HOST})")
    serve.add_argument("--port", default=PORT, type=_port, metavar="P", help=f"the port (default: {PORT})")
    serve.add_argument(
        "--workers",
        default=1,
        type=_workers,
        metavar="N",
        help="processes that share the address; SIGHUP restarts them one by one (default: 1; more: Linux only)",
    )
    serve.add_argument("--worker", metavar="SOCKETS", help=argparse.SUPPRESS)
    serve.add_argument(
        "--demo",
        action="store_true",
        help="bring a simulated Twitch and some songs along: no account, no network",
    )
    serve.add_argument("--music", type=Path, metavar="DIR", help="with --demo: your own music instead of ours")
    serve.set_defaults(run=lazily("serve.run"))


def _port(text: str) -> int:
    """A port number; 0 lets the system choose."""
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a valid port (0-65535; 0 picks a free one)")
    return int(text)


def _workers(text: str) -> int:
    """The number of worker processes, from 1 to `MAX_WORKERS`."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"{text} is not a valid number of workers (1 to {MAX_WORKERS})")
    return int(text)
