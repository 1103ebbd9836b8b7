"""What `scripts/test` fetches beside the first tests: emulators and music. Who needs one of them waits here."""

import fcntl
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).parent.parent / ".cache" / "fetching.lock"
"""Held by the shell that fetches, and free as soon as it ends, however it ends."""


def wait_until_fetched() -> None:
    """Return when nothing is being fetched any more; at once where nothing is."""
    try:
        lock = LOCK.open("rb")
    except FileNotFoundError:
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
