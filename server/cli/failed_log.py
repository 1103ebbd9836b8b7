"""`--failed LOG`: what a command could not read, in a file of one line each."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fingerprint.catalog.file_outcomes import Unreadable
from fingerprint.catalog.problems import CatalogError
from fingerprint.domain.text import printable

_FIRST_BYTES: Final = 8192


class FailedLog:
    """The file, opened before the work begins, so that a wrong name is said then. A context manager.

    Each line is a path, a tab and the reason. A file that holds anything else is not written over. Without a path,
    nothing is written. Raises CatalogError.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._handle: int | None = None

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        try:
            # So that opening a FIFO that no program reads does not block.
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
            os.set_blocking(self._handle, True)
            is_file = stat.S_ISREG(os.fstat(self._handle).st_mode)
            ours = not is_file or _is_log(self._path)
        except OSError as error:
            self._close()
            raise CatalogError(f"{self._path} cannot be written: {error.strerror}.") from error
        if not ours:
            self._close()
            raise CatalogError(f"{self._path} already exists and is not such a list: it was not changed.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def write(self, skipped: Sequence[Unreadable], missing: Sequence[Path] = ()) -> None:
        """Replace what the file holds."""
        if self._handle is None:
            return
        failed = [(each.path, each.reason) for each in skipped]
        failed += [(path, "it does not exist") for path in missing]
        lines = [f"{printable(str(path))}\t{printable(reason)}\n" for path, reason in failed]
        try:
            if stat.S_ISREG(os.fstat(self._handle).st_mode):
                os.ftruncate(self._handle, 0)
            with open(os.dup(self._handle), "wb") as file:  # noqa: PTH123 - of a descriptor
                file.write("".join(lines).encode())
        except OSError as error:
            raise CatalogError(f"{self._path} cannot be written: {error.strerror}.") from error

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _is_log(path: Path) -> bool:
    """Whether a file is empty, or begins with a line of such a list. Raises OSError."""
    with path.open("rb") as file:
        first = file.readline(_FIRST_BYTES)
    return not first or (b"\t" in first and b"\0" not in first)
