"""An event loop whose time passes only while everything waits, and then at once: minutes take milliseconds."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any, TypeVar

T = TypeVar("T")


class HangError(Exception):
    """Everything waits for something that never comes."""


class _Selector(selectors.DefaultSelector):
    """Moves the time on by what the loop would wait for events."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.turns = 0
        self.hooks: dict[int, Callable[[], None]] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        hook = self.hooks.pop(self.turns, None)
        if hook is not None:
            hook()
            timeout = 0
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise HangError
        self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop. Nothing in it may wait for a thread, a process or a socket."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now

    def after_turns(self, number: int, hook: Callable[[], None]) -> None:
        """Call `hook` at the `number`-th turn of the loop from now, which is 1 or more."""
        self._virtual.hooks[self._virtual.turns + number] = hook


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in such a loop. Raises HangError, and AssertionError for tasks that it leaves behind."""
    with closing(VirtualTimeLoop()) as loop:
        asyncio.set_event_loop(loop)
        try:
            found = loop.run_until_complete(main)
            left = [task for task in asyncio.all_tasks(loop) if not task.done()]
            assert not left, left
            return found
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            asyncio.set_event_loop(None)
