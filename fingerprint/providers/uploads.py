"""Names the operator's own uploads at providers, which answers tell by number, from the operator's table."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fingerprint.catalog.sidecar import Sidecars
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.table import SidecarError

Uploads = Mapping[str, Tags]
"""What is known of a provider's uploads, by the id that its answers carry."""

NO_UPLOADS: Final[Uploads] = MappingProxyType({})

_Stamp = tuple[int, int, int]

_log = logging.getLogger(__name__)


class UploadTable:
    """The uploads in the table at `path`: a `tracks.csv` or `tracks.json` with the ids in the column `column`.

    The table may be missing, and may change at any time. Errors in it are logged, and what cannot be read names
    nothing.
    """

    def __init__(self, path: Path, column: str) -> None:
        self._path = path
        self._column = column
        self._lock = threading.Lock()
        self._stamp: _Stamp | None = None
        self._uploads: Uploads = NO_UPLOADS

    @property
    def uploads(self) -> Uploads:
        """The uploads as the table named them when it was last read."""
        return self._uploads

    def refresh(self) -> None:
        """Read the table if it has changed. Reads files: for threads only."""
        with self._lock:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._uploads = NO_UPLOADS if stamp is None else self._parse()

    def _parse(self) -> Uploads:
        sidecars = Sidecars()
        try:
            found = sidecars.by_column(self._path, self._column)
        except SidecarError as error:
            _log.warning("uploads_not_read", extra={"path": str(self._path), "reason": str(error)})
            return NO_UPLOADS
        for trouble in sidecars.troubles:
            _log.warning("upload_value_ignored", extra={"path": str(trouble.path), "reason": trouble.reason})
        return found


def _stamp(path: Path) -> _Stamp | None:
    """A value that changes with the file, or None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
