"""Waiting for a condition, with a generous bound, and skipping time: how busy the machine is changes nothing."""

import asyncio
from collections.abc import Callable
from typing import Final

SECONDS: Final = 30.0


async def until(condition: Callable[[], object], *, seconds: float = SECONDS) -> None:
    """Let others run until the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


async def settled(turns: int = 50) -> None:
    """Let everything that can happen without waiting for time or for others happen."""
    for _ in range(turns):
        await asyncio.sleep(0)


def skip_time(seconds: float) -> None:
    """Let the running event loop's clock jump: every time limit in it that ends within `seconds` is over at once.

    So what waits for ever runs into its limit, and the limit can be so long that what answers never does.
    """
    loop = asyncio.get_running_loop()
    time_before = loop.time
    loop.time = lambda: time_before() + seconds
