"""The guards of the tests themselves: a guard that let everything pass would prove nothing."""

import asyncio
import io
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError

import fingerprint
from tests.guards import logging_as_before, nothing_blocks


def test_a_unit_test_opens_no_sockets() -> None:
    with socket.socket() as opened, pytest.raises(AssertionError, match="opens no sockets"):
        opened.connect(("127.0.0.1", 9))


async def test_a_unit_test_neither_serves_nor_looks_up_names() -> None:
    with pytest.raises(AssertionError, match="opens no sockets"):
        await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    with pytest.raises(AssertionError, match="looks up no names"):
        socket.getaddrinfo("localhost", 80)


async def test_a_unit_test_does_not_sleep() -> None:
    with pytest.raises(AssertionError, match="does not sleep"):
        time.sleep(0.001)  # noqa: ASYNC251 - on purpose
    with pytest.raises(AssertionError, match="does not sleep"):
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)


def product_coroutine(call: Callable[[], Any]) -> Callable[[], Any]:
    """A coroutine function that makes a call as if it was written in the product."""
    file = str(Path(fingerprint.__file__ or "").parent / "somewhere.py")
    names: dict[str, Any] = {"call": call}
    exec(compile("async def work():\n    return call()", file, "exec"), names)
    return names["work"]


async def test_the_product_may_not_block_the_loop_and_a_test_may() -> None:
    with nothing_blocks():
        with pytest.raises(BlockingError):
            await product_coroutine(lambda: os.listdir("."))()  # noqa: PTH208 - on purpose
        assert os.listdir(".")  # noqa: PTH208 - likewise


def test_what_a_test_does_to_logging_ends_with_it() -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    with logging_as_before():
        logging.basicConfig(level="DEBUG", stream=io.StringIO(), force=True)
        assert root.handlers != before[0]
    assert (root.handlers, root.level) == before
