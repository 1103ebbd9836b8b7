"""What `serve` and its demo share: an application served until a signal, and the limits of the process."""

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.settings import service_manager_socket
from fingerprint.worker_process import keep_freed_memory
from server.app import is_any_address, listening

if sys.platform != "win32":
    import resource

GC_THRESHOLD: Final = (5_000, 20, 100)
"""For `gc.set_threshold`; Python's default is (700, 10, 10)."""
OPEN_FILES: Final = 32_768
"""More than the 20,000 connections that may wait for answers."""

KEPT_BLOCK_BYTES: Final = 8 << 20
KEPT_BYTES: Final = 32 << 20
"""The largest piece of freed memory that is kept, and how much of it at most."""

_EVERYWHERE: Final = frozenset({"0.0.0.0", ""})  # noqa: S104 - recognized, not bound

SIGNAL_DEBOUNCE_SECONDS: Final = 0.5
"""Signals this close together count as one: a terminal and a parent process may both send it."""


def run_until_stopped(serve: Coroutine[Any, Any, None]) -> int:
    """Run a server to its end. The exit status: 0, or 130 when a second Ctrl-C broke off the shutdown."""
    try:
        asyncio.run(serve)
    except asyncio.CancelledError:
        return 130
    return 0


def tell_service_manager(state: str) -> None:
    """Tell systemd, where it started this process, `READY=1` or `STOPPING=1`, as `sd_notify(3)` does."""
    address = service_manager_socket()
    if address is None:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    # Serving goes on when nothing listens.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(0)
        manager.sendto(state.encode(), address)


def keep_memory_of_jobs() -> None:
    """Keep the memory that a job has freed, so that the next job need not have the system make pages again."""
    keep_freed_memory(block_bytes=KEPT_BLOCK_BYTES, total_bytes=KEPT_BYTES)


def tune_garbage_collection() -> None:
    """Make garbage collection rare, and exempt all objects that exist now.

    By default a full collection runs each time the number of objects has grown by a quarter: while thousands of
    clients begin to wait, each pauses the event loop for tenths of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


def raise_open_file_limit() -> None:
    """Raise the limit of open files, 1,024 on most systems, to at most `OPEN_FILES` where that is permitted.

    Each connection takes one file; beyond the limit none is accepted. `OPEN_FILES` bounds the memory that
    connections can take.
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

    Raises TwitchAudioError with one line for the operator when it cannot listen on the address.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            address = await stack.enter_async_context(listening(app, host, port))
        except OSError as error:
            raise TwitchAudioError(ProblemCode.INTERNAL, cannot_listen(error, host, port)) from error
        yield address.with_host(shown_host(host))


def shown_host(host: str) -> str:
    """The host to open in a browser, for the host that the server listens on."""
    return "127.0.0.1" if host in _EVERYWHERE or is_any_address(host) else host


def cannot_listen(error: OSError, host: str, port: int) -> str:
    """One line that tells the operator why the server cannot listen on an address."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; stop what listens there, or choose another with --port"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"


def _ignore(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    """An exception handler for a loop that is being broken off."""


@asynccontextmanager
async def stop_signals() -> AsyncGenerator[asyncio.Event]:
    """An event that Ctrl-C and SIGTERM set while the block runs; a second signal cancels the current task.

    SIGHUP, the end of the terminal, is like them, unless the process was told to ignore it, as `nohup` does. A
    supervisor gives it another meaning.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    first: float | None = None

    def on_signal() -> None:
        nonlocal first
        if first is None:
            first = loop.time()
            stop.set()
        elif loop.time() - first > SIGNAL_DEBOUNCE_SECONDS:
            loop.set_exception_handler(_ignore)
            main.cancel()

    signals = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signals.append(signal.SIGHUP)
    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C interrupts the loop instead
        for number in signals:
            loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in signals:
                loop.remove_signal_handler(number)
