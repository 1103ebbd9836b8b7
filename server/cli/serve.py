"""`twitchaudio serve`: the API and the website."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from yarl import URL

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import CatalogError
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.settings import read_settings
from server import keys
from server.app import make_app
from server.cli.serving import (
    cannot_listen,
    keep_memory_of_jobs,
    raise_open_file_limit,
    run_until_stopped,
    serving,
    shown_host,
    stop_signals,
    tell_service_manager,
    tune_garbage_collection,
)
from server.cli.shared_address import SharedAddress
from server.cli.supervisor import Supervisor, worker_command
from server.cli.worker import parse_descriptors, serve_as_worker
from server.middleware.operator_sessions import OPERATOR_SIGN_IN
from server.observability import configure_logging
from server.own_command import as_typed
from server.setting_formats import is_loopback
from server.settings import ServerSettings, one_of_workers
from server.setup_checks import settings_warnings


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    workers: int = arguments.workers
    if workers > 1 and (arguments.demo or sys.platform != "linux"):
        reason = "does not go with --demo" if arguments.demo else "takes Linux, which spreads the connections"
        print(f"twitchaudio: --workers {reason}", file=sys.stderr)
        return 2
    if arguments.demo:
        from server.cli.demo import serve_demo  # noqa: PLC0415 - the real server does not load the simulator

        return serve_demo(arguments)
    if arguments.music is not None:
        print(
            as_typed("twitchaudio: --music goes with --demo; `twitchaudio catalog add` is for the real server"),
            file=sys.stderr,
        )
        return 2
    settings = read_settings(ServerSettings)
    configure_logging(settings.log_level, sys.stderr)
    host, port = arguments.host, arguments.port
    if arguments.worker is None:
        for warning in settings_warnings(settings):
            print(f"twitchaudio: {as_typed(warning)}", file=sys.stderr, flush=True)
        _warn_of_damage(settings.pipeline.catalog_dirs)
    if arguments.worker is not None:
        descriptors = parse_descriptors(arguments.worker)
        return run_until_stopped(serve_as_worker(make_app(one_of_workers(settings, workers)), descriptors))
    if workers > 1:
        return run_until_stopped(supervise(worker_command(workers), host, port, workers))
    return run_until_stopped(_serve(make_app(settings), host, port))


def _warn_of_damage(catalogs: Sequence[Path]) -> None:
    """Say at the start that a catalog cannot be used; others, and other recognizers, may still answer."""
    for directory in catalogs:
        try:
            Catalog(directory).snapshot()
        except CatalogError as error:
            print(f"twitchaudio: {as_typed(error.detail)}", file=sys.stderr, flush=True)


async def _serve(app: web.Application, host: str, port: int) -> None:
    async with stop_signals() as stop, serving(app, host, port) as address:
        keep_memory_of_jobs()
        tune_garbage_collection()
        raise_open_file_limit()
        print(f"TwitchAudio is at {address} - Ctrl-C stops it.", flush=True)
        link = operator_link(app, host, address)
        if link is not None:
            print(f"Your admin pages, by this link, once and within 15 minutes: {link}", flush=True)
        await _serve_until(stop)


def operator_link(app: web.Application, host: str, address: URL) -> URL | None:
    """A link to the operator's pages, where no one can sign in with Twitch and only this machine can connect."""
    settings = app[keys.SETTINGS]
    public = settings.base_url is not None and not is_loopback(settings.base_url.host or "")
    if keys.OPERATOR_LINK not in app or public or settings.trusted_proxies or not is_loopback(host):
        return None
    token = app[keys.OPERATOR_LINK].new_token()
    return address.with_path(settings.path_prefix + OPERATOR_SIGN_IN).with_query(token=token.reveal())


async def supervise(command: Sequence[str], host: str, port: int, workers: int) -> None:
    """Keep worker processes of a command on an address until a signal stops them; SIGHUP restarts them.

    Raises TwitchAudioError with one line for the operator when the address is taken or a worker does not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            address = SharedAddress(host, port)
        except OSError as error:
            raise TwitchAudioError(ProblemCode.INTERNAL, cannot_listen(error, host, port)) from error
        stack.callback(address.close)
        stop = await stack.enter_async_context(stop_signals())
        supervisor = Supervisor(command, address, workers=workers)
        await stack.enter_async_context(supervisor.running(stop))
        url = URL.build(scheme="http", host=shown_host(address.host), port=address.port)
        print(f"TwitchAudio is at {url} with {workers} workers - Ctrl-C stops it.", flush=True)
        await _serve_until(stop)


async def _serve_until(stop: asyncio.Event) -> None:
    """Say to the terminal and to systemd that the server is ready, and at the end that it stops."""
    tell_service_manager("READY=1")
    await stop.wait()
    tell_service_manager("STOPPING=1")
    print("Stopping.", flush=True)
