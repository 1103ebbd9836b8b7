"""Who uses a data folder: any number of servers, or one command that replaces what is in it."""

import contextlib
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fingerprint.domain.problems import ProblemCode, TwitchAudioError

if sys.platform != "win32":
    import fcntl

LOCK: Final = "server.lock"
"""Held, not only there: the system frees the lock of a process that ends, however it ends."""

UNFINISHED: Final = "restore-unfinished.txt"
"""There while a restore puts things in their places: what is in the folder may be half of it."""


@contextmanager
def served(folder: Path) -> Generator[None]:
    """A server uses the folder during the block.

    Raises TwitchAudioError while a restore works on it, and when one was interrupted.
    """
    with contextlib.ExitStack() as stack:
        # A folder that cannot be written is reported by the parts that write to it.
        with contextlib.suppress(OSError):
            handle = _opened(folder)
            stack.callback(os.close, handle)
            if not _locked(handle, alone=False):
                detail = f"A backup is being restored to {folder}: start the server when that is done."
                raise TwitchAudioError(ProblemCode.INTERNAL, detail)
            if os.path.lexists(folder / UNFINISHED):
                detail = (
                    f"A restore to {folder} was interrupted, so half of it may be there: restore once more, with "
                    f"--force. {folder / UNFINISHED} says how to undo it instead."
                )
                raise TwitchAudioError(ProblemCode.INTERNAL, detail)
        yield


@contextmanager
def replaced(folder: Path) -> Generator[None]:
    """No server uses the folder, and none starts, during the block; the folder is made when it is missing.

    Raises TwitchAudioError while a server uses it, or when it cannot be written.
    """
    try:
        handle = _opened(folder)
    except OSError as error:
        detail = f"The data folder {folder} cannot be written: {error.strerror}."
        raise TwitchAudioError(ProblemCode.INTERNAL, detail) from error
    try:
        if not _locked(handle, alone=True):
            detail = f"A server is running on the data folder {folder}: stop it first. Nothing was changed."
            raise TwitchAudioError(ProblemCode.INTERNAL, detail)
        yield
    finally:
        os.close(handle)


def _opened(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)


def _locked(handle: int, *, alone: bool) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
