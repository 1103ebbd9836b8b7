"""Waiting for a condition, with a generous bound: how busy the machine is changes nothing."""

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
