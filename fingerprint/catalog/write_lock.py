"""The lock of a folder that one process at a time may change."""

import os
from pathlib import Path
from typing import Self

from fingerprint.catalog.problems import CatalogBusyError, CatalogError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class WriteLock:
    """A lock on a file, freed by the system when its process dies (POSIX).

    Where such locks do not exist, the file's existence is the lock, and it must be deleted after a crash. A
    context manager. Raises CatalogBusyError while another process has it, CatalogError where none can be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def take(self) -> None:
        """Take the lock."""
        flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if fcntl is None else 0)
        try:
            handle = os.open(self._path, flags, 0o644)
        except FileExistsError as error:
            raise self._busy(" If no other one is running, delete that file.") from error
        except OSError as error:
            raise CatalogError(
                f"The catalog folder {self._path.parent} cannot be written to: {error.strerror}."
            ) from error
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(handle)
                raise self._busy("") from error
        self._handle = handle

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            if fcntl is None:
                self._path.unlink(missing_ok=True)

    def _busy(self, more: str) -> CatalogBusyError:
        return CatalogBusyError(
            f"Another command is changing the catalog in {self._path.parent} ({self._path.name}); "
            f"wait until it is done.{more}"
        )
