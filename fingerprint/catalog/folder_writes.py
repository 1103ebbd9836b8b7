"""Writes in a catalog's folder: links to files, and what is said when it cannot be written to."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Final

from fingerprint.catalog.problems import CatalogError

FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class UnwritableError(CatalogError):
    """The catalog's folder cannot be written to, as when the disk is full."""


def link_file(path: Path, new: Path) -> None:
    """Give a file a further name; where the file system cannot, copy it. Raises OSError."""
    try:
        os.link(path, new)
    except OSError as error:
        if error.errno in FULL:
            raise
        temporary = new.with_name(f"{new.stem[:8]}-{secrets.token_hex(4)}.tmp")
        try:
            with path.open("rb") as source, temporary.open("xb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
            temporary.replace(new)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def saying_what_is_full(directory: Path) -> Generator[None]:
    """Raise UnwritableError, which says what is wrong with the folder, for an OSError."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in FULL else error.strerror
        raise UnwritableError(
            f"The catalog in {directory} cannot be written to: {reason}. What was indexed before is kept; run the "
            "command again to go on."
        ) from error
