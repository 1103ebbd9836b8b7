"""Room beside a file or folder that is being made, and what a killed program left of such rooms."""

import contextlib
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK_NAME: Final = "unfinished.lock"
"""Held by the program that works in the room; the system frees it when that program ends, however it ends."""

ABANDONED_SECONDS: Final = 86_400.0
"""How old a room of another machine is before it counts as left: its lock may not be seen here."""

_NAME: Final = re.compile(r"\.twitchaudio-[0-9a-f]{8}\.part")
_FILE_NAME: Final = re.compile(r"\.twitchaudio-[0-9a-f]{8}\.tmp")
"""What earlier versions called a file that they were making."""

_HEADER: Final = b"TwitchAudio makes something here, and deletes this folder. On "
_ATTEMPTS: Final = 5


@contextmanager
def room_beside(place: Path) -> Generator[Path]:
    """A folder beside `place`, on the same file system, which only its owner reads; gone after the block.

    Rooms that killed programs left there are deleted first: those that have our name, our header and no owner.
    Raises OSError.
    """
    clear_left(place.parent)
    room, handle = _made(place.parent)
    try:
        yield room
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):
            _delete(room)


def clear_left(folder: Path) -> None:
    """Delete the rooms in a folder in which no program works any more. What cannot be deleted stays."""
    for name in _named(folder, _NAME):
        with contextlib.suppress(OSError):
            _delete_if_left(folder / name)


def clear_files(folder: Path, begin: bytes) -> None:
    """Delete the files in a folder that an earlier version was killed at: those with our name, that are a day old.

    `begin`: how such a file begins, as far as it was written.
    """
    for name in _named(folder, _FILE_NAME):
        with contextlib.suppress(OSError):
            file = folder / name
            if file.is_symlink() or not file.is_file():
                continue
            if abs(time.time() - file.stat().st_mtime) <= ABANDONED_SECONDS:
                continue
            with file.open("rb") as opened:
                first = opened.read(len(begin))
            if begin.startswith(first):
                file.unlink()


def _named(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    """The names in a folder that match; none when it cannot be read."""
    try:
        return [name for name in os.listdir(folder) if pattern.fullmatch(name)]  # noqa: PTH208 - names
    except OSError:
        return []


def _made(folder: Path) -> tuple[Path, int]:
    """A new room, and the handle of its lock. Raises OSError."""
    for _ in range(_ATTEMPTS):
        room = folder / f".twitchaudio-{secrets.token_hex(4)}.part"
        room.mkdir(mode=0o700)
        try:
            handle = os.open(room / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # another program took the empty room for one that was left
        except BaseException:
            room.rmdir()
            raise
        try:
            if _locked(handle) is not False and (room / LOCK_NAME).exists():
                os.write(handle, _header())
                return room, handle
        except BaseException:
            os.close(handle)
            _delete(room)
            raise
        os.close(handle)
    raise BlockingIOError(None, "other programs delete what is made there")


def _delete_if_left(room: Path) -> None:
    """Delete a room in which no program works. Raises OSError."""
    if room.is_symlink() or not room.is_dir():
        return
    names = os.listdir(room)  # noqa: PTH208 - names
    if not names:
        room.rmdir()  # which does nothing to one that is being used meanwhile
        return
    lock = room / LOCK_NAME
    if LOCK_NAME not in names or lock.is_symlink() or not lock.is_file():
        return
    handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        header = os.read(handle, 1000)
        ours = header.startswith(_HEADER) or (_HEADER.startswith(header) and names == [LOCK_NAME])
        here = header in (b"", _header())
        old = abs(time.time() - os.fstat(handle).st_mtime) > ABANDONED_SECONDS
        locked = _locked(handle)
        if ours and locked is not False and (old or (here and locked)):
            _delete(room)
    finally:
        os.close(handle)


def _delete(room: Path) -> None:
    """Delete a room, the lock last of all, so that what is left by a kill is known to be ours. Raises OSError."""
    for path in room.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK_NAME:
            path.unlink()
    (room / LOCK_NAME).unlink(missing_ok=True)
    room.rmdir()


def _header() -> bytes:
    return _HEADER + platform.node().encode(errors="replace") + b"\n"


def _locked(handle: int) -> bool | None:
    """Take the lock; whether it was free. None where the system or the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
