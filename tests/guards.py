"""What no test may do: block the event loop, leave logging changed, and in unit tests open sockets or sleep."""

import asyncio
import inspect
import logging
import socket
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from blockbuster import BlockBuster

from tests.virtual_time import VirtualTimeLoop

PRODUCT: Final = ("server", "fingerprint", "simulator")

# What may block the loop, with all that it calls: functions, by the end of a file's path. Each has its reason.
MAY_BLOCK: Final = (
    # Before anything is served: folders, drivers, schema, botocore's models.
    ("fingerprint/database_backends.py", {"open_backend"}),
    ("aiobotocore/session.py", {"_create_client"}),
    ("fingerprint/jobs/dynamodb/client.py", {"region_of"}),
    ("server/migrations.py", {"_upgrade"}),
    # Logs go to standard error, as in every server: a line is written at once or the process is in trouble anyway.
    ("logging/__init__.py", {"emit"}),
    # A traceback in a log looks for its source lines.
    ("linecache.py", {"checkcache", "updatecache"}),
    # A template is read once, when it is first used.
    ("jinja2/loaders.py", {"get_source"}),
    # A module is read once, when it is first imported.
    ("<frozen importlib._bootstrap>", {"_find_and_load"}),
    # A new thread is waited for until it runs: microseconds.
    ("threading.py", {"start"}),
)

_TESTS: Final = str(Path(__file__).parent)
_SLEPT: Final = "a unit test does not sleep: use a fake clock, or wait for a condition (tests/waiting.py)"
_SOCKET_CALLS: Final = ("bind", "connect", "connect_ex", "sendto")


@contextmanager
def nothing_blocks() -> Generator[None]:
    """Raise BlockingError where the product blocks the event loop: files, sockets, locks, SQLite, sleeping."""
    blockbuster = BlockBuster(list(PRODUCT))
    for function in blockbuster.functions.values():
        function.can_block_predicate = _or_in_a_test(function.can_block_predicate)
        for file, functions in MAY_BLOCK:
            function.can_block_in(file, functions)
    blockbuster.activate()
    try:
        yield
    finally:
        blockbuster.deactivate()


def _or_in_a_test(may_block: Callable[..., bool]) -> Callable[..., bool]:
    """May block, too, where a test calls a plain function of the product from its own coroutine."""

    def predicate(*arguments: Any, **more: Any) -> bool:
        return may_block(*arguments, **more) or _innermost_coroutine_is_a_tests()

    return predicate


def _innermost_coroutine_is_a_tests() -> bool:
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            return frame.f_code.co_filename.startswith(_TESTS)
        frame = frame.f_back
    return False


@contextmanager
def logging_as_before() -> Generator[None]:
    """Give logging its handlers and levels back at the end."""
    loggers = [logging.getLogger(name) for name in (None, "alembic", "sqlalchemy.pool")]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    try:
        yield
    finally:
        for logger, handlers, level in before:
            logger.handlers[:] = handlers
            logger.setLevel(level)


@contextmanager
def no_sockets_and_no_sleep() -> Generator[None]:
    """Fail where a socket is bound or connected, or anything but zero seconds is slept."""
    sleep = asyncio.sleep

    def refuse_socket(_socket: socket.socket, *_arguments: Any) -> NoReturn:
        raise AssertionError("a unit test opens no sockets: use a fake, or make it an integration test")

    def refuse_lookup(*_arguments: Any, **_more: Any) -> NoReturn:
        raise AssertionError("a unit test looks up no names: use a fake, or make it an integration test")

    def refuse_sleep(seconds: float) -> None:
        # subprocess.run sleeps while it waits for the end of a program.
        if seconds > 0 and sys._getframe(1).f_globals["__name__"] != "subprocess":  # pyright: ignore[reportPrivateUsage]
            raise AssertionError(_SLEPT)

    async def refuse_waiting(delay: float, result: Any = None) -> Any:
        if delay > 0 and not isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
            raise AssertionError(_SLEPT)
        return await sleep(delay, result)

    with pytest.MonkeyPatch.context() as patch:
        for name in _SOCKET_CALLS:
            patch.setattr(socket.socket, name, refuse_socket)
        patch.setattr(socket, "getaddrinfo", refuse_lookup)
        patch.setattr(time, "sleep", refuse_sleep)
        patch.setattr(asyncio, "sleep", refuse_waiting)
        yield
