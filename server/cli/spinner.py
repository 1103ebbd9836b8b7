"""Shows in a terminal that a command is at work, while there is nothing to print yet."""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from itertools import cycle
from typing import Final, TextIO

FRAMES: Final = "|/-\\"
FIRST_SECONDS: Final = 0.5
"""What is done sooner shows nothing."""
STEP_SECONDS: Final = 0.12


@contextmanager
def at_work(text: str, stream: TextIO | None = None) -> Generator[None]:
    """Turn a sign and show some words on standard error, if that is a terminal, until the block ends.

    The block prints nothing else meanwhile.
    """
    out = sys.stderr if stream is None else stream
    if not out.isatty():
        yield
        return
    done = threading.Event()
    shown = threading.Thread(target=_turn, args=(out, text, done), daemon=True)
    shown.start()
    try:
        yield
    finally:
        done.set()
        shown.join()


def _turn(out: TextIO, text: str, done: threading.Event) -> None:
    if done.wait(FIRST_SECONDS):
        return
    try:
        for sign in cycle(FRAMES):
            out.write(f"\r{sign} {text}")
            out.flush()
            if done.wait(STEP_SECONDS):
                break
        out.write(f"\r{' ' * (len(text) + 2)}\r")
        out.flush()
    except (OSError, ValueError):  # the terminal is gone
        return
