"""`twitchaudio serve`: the API and the website."""

import argparse
import sys
from pathlib import Path
from typing import Final, cast

from aiohttp import web

from fingerprint.settings import read_settings
from server.app import make_app
from server.cli import Subparsers
from server.cli.serving import (
    raise_open_file_limit,
    run_until_stopped,
    serving,
    stop_signals,
    tune_garbage_collection,
)
from server.observability import configure_logging
from server.settings import ServerSettings

HOST: Final = "127.0.0.1"
PORT: Final = 8080


def register(commands: Subparsers) -> None:
    """Add the `serve` command."""
    serve = commands.add_parser(
        "serve", help="the API and the website", description="Serve the API and the website."
    )
    serve.add_argument("--host", default=HOST, metavar="H", help=f"the address to listen on (default: {HOST})")
    serve.add_argument("--port", default=PORT, type=_port, metavar="P", help=f"the port (default: {PORT})")
    serve.add_argument(
        "--demo",
        action="store_true",
        help="bring a simulated Twitch and some songs along: no account, no network",
    )
    serve.add_argument("--music", type=Path, metavar="DIR", help="with --demo: your own music instead of ours")
    serve.set_defaults(run=_run)


def _port(text: str) -> int:
    """A port number; 0 lets the system choose."""
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text} is no port: those are 0 (any free one) to 65535")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.demo:
        from server.cli.demo import serve_demo  # noqa: PLC0415 - the real server does not load the simulator

        return serve_demo(arguments)
    if arguments.music is not None:
        print(
            "twitchaudio: --music goes with --demo; `twitchaudio catalog add` is for the real server",
            file=sys.stderr,
        )
        return 2
    settings = read_settings(ServerSettings)
    configure_logging(settings.log_level, sys.stderr)
    return run_until_stopped(_serve(make_app(settings), cast("str", arguments.host), cast("int", arguments.port)))


async def _serve(app: web.Application, host: str, port: int) -> None:
    async with stop_signals() as stop, serving(app, host, port) as address:
        tune_garbage_collection()
        raise_open_file_limit()
        print(f"TwitchAudio is at {address} - Ctrl-C stops it.", flush=True)
        await stop.wait()
        print("Stopping.", flush=True)
