"""`twitchaudio serve`: the API and the website."""

import argparse
import asyncio
import contextlib
import errno
import gc
import signal
import sys
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

from aiohttp import web
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.settings import read_settings
from server.app import listening, make_app
from server.cli import Subparsers
from server.observability import configure_logging
from server.settings import ServerSettings

if sys.platform != "win32":
    import resource

HOST: Final = "127.0.0.1"
PORT: Final = 8080
COLLECT_AFTER: Final = (20_000, 20, 50)
"""Of `gc.set_threshold`; what comes with Python is (700, 10, 10)."""
OPEN_FILES: Final = 32_768
"""Room for more connections than may wait for answers, which are 20,000."""

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognized, not bound


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
        # The demo's parts are loaded only when it is asked for.
        demo: Any = import_module("server.cli.demo")
        return cast("int", demo.serve_demo(arguments))
    if arguments.music is not None:
        print(
            "twitchaudio: --music goes with --demo; `twitchaudio catalog add` is for the real server",
            file=sys.stderr,
        )
        return 2
    settings = read_settings(ServerSettings)
    configure_logging(settings.log_level, sys.stderr)
    return run_until_stopped(_serve(make_app(settings), cast("str", arguments.host), cast("int", arguments.port)))


def run_until_stopped(serve: Coroutine[Any, Any, None]) -> int:
    """Run what serves. Its exit status: 0, or 130 when a second Ctrl-C broke off its end."""
    try:
        asyncio.run(serve)
    except asyncio.CancelledError:
        return 130
    return 0


async def _serve(app: web.Application, host: str, port: int) -> None:
    async with stop_signals() as stop, serving(app, host, port) as address:
        collect_seldom()
        allow_many_connections()
        print(f"TwitchAudio is at {address} - Ctrl-C stops it.", flush=True)
        await stop.wait()
        print("Stopping.", flush=True)


def collect_seldom() -> None:
    """Have the collector of reference cycles look less often, and never at what is loaded once and for all.

    As it comes it looks at everything each time that a quarter was added: while thousands begin to wait, that
    stops everybody for tenths of a second again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def allow_many_connections() -> None:
    """Let the process have more files open than the 1,024 that most systems start one with, where it may.

    Each connection is one, and beyond the limit nobody gets in. Not as many as the system would allow: what each
    costs in memory must stay bounded, too.
    """
    if sys.platform == "win32":
        return
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(most, OPEN_FILES)
    if now == resource.RLIM_INFINITY or now >= wanted:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncGenerator[URL]:
    """Serve while the block runs; gives the address to open in a browser.

    Raises TwitchAudioError, one line for the operator, when the address cannot be listened on.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            address = await stack.enter_async_context(listening(app, host, port))
        except OSError as error:
            raise TwitchAudioError(ProblemCode.INTERNAL, _cannot_listen(error, host, port)) from error
        yield address.with_host("127.0.0.1") if host in _EVERYWHERE else address


def _cannot_listen(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; stop what listens there, or choose another with --port"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"


def _say_nothing(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    """What is broken off has nothing to tell."""


SAME_SECONDS: Final = 0.5
"""Signals so close together are one, which the terminal and a parent process have both sent."""


@asynccontextmanager
async def stop_signals() -> AsyncGenerator[asyncio.Event]:
    """An event that Ctrl-C and SIGTERM set while the block runs; a second one no longer waits for anybody."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    first: float | None = None

    def asked() -> None:
        nonlocal first
        if first is None:
            first = loop.time()
            stop.set()
        elif loop.time() - first > SAME_SECONDS:
            loop.set_exception_handler(_say_nothing)
            main.cancel()

    signals = (signal.SIGINT, signal.SIGTERM)
    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C interrupts the loop instead
        for number in signals:
            loop.add_signal_handler(number, asked)
    try:
        yield stop
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in signals:
                loop.remove_signal_handler(number)
