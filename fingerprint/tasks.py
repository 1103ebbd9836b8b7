"""Runs, paces and ends tasks."""

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Closing(ABC):
    """An async context manager that is closed at the end of its block."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    @abstractmethod
    async def close(self) -> None:
        """End what goes on, and give back what is held."""


async def cancel_and_wait(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel tasks and wait until all have ended, whatever they end with; None stands for one that never began."""
    begun = [task for task in tasks if task is not None]
    for task in begun:
        if not task.cancel() and not task.cancelled():
            task.exception()  # it is known, so it is not logged as lost
    unfinished = [task for task in begun if not task.done()]
    if unfinished:
        await asyncio.gather(*unfinished, return_exceptions=True)


@asynccontextmanager
async def running_tasks(work: Iterable[Coroutine[Any, Any, T]]) -> AsyncGenerator[list[asyncio.Task[T]]]:
    """Run coroutines as tasks; unfinished ones are cancelled and awaited at the end of the block."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        await cancel_and_wait(*tasks)


async def wait_until_woken(woken: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most `seconds`, or a fifth more or less: so that servers do not poll in step."""
    jitter = random.uniform(0.8, 1.2)  # noqa: S311 - not for secrets
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds * jitter):
            await woken.wait()
