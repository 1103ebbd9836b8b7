"""Files that are gone: taken out of a catalog, unless a disk looks as if it were not mounted."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fingerprint.catalog.tracks import Source, TrackEntry

MISSING_SHARE: Final = 0.2
MISSING_FILES: Final = 10
"""More missing files than this share, and than these many (at most half of all), look like an unmounted disk."""


def too_many_missing(gone: int, files: int) -> bool:
    """Whether so many of a folder's files are gone that its disk may not be mounted."""
    return gone > max(MISSING_SHARE * files, min(MISSING_FILES, files / 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What `catalog prune` does: tracks that go, and tracks that stay with fewer files.

    `back`: how many files are marked as missing and are there again. `unmounted`: the folders that may be on a
    disk that is not mounted, with the number of their missing files.
    """

    gone: frozenset[str]
    changed: tuple[TrackEntry, ...]
    back: int
    unmounted: tuple[tuple[str, int], ...]


def plan_pruning(entries: Sequence[TrackEntry]) -> Pruning:
    """What there is to prune in a catalog with these tracks: files that are marked as missing, and still gone."""
    files, missing = Counter[str](), Counter[str]()
    gone: set[str] = set()
    changed: list[TrackEntry] = []
    back = 0
    for entry in entries:
        left: list[Source] = []
        for source in entry.sources:
            files[source.root] += not source.owner
            if source.missing_since is None:
                left.append(source)
            elif not is_gone(source.path):
                left.append(source)
                back += 1
            else:
                missing[source.root] += 1
        if not left:
            gone.add(entry.id)
        elif len(left) < len(entry.sources):
            changed.append(entry.with_sources(left))
    unmounted = tuple(
        (root, number) for root, number in sorted(missing.items()) if _looks_unmounted(root, number, files[root])
    )
    return Pruning(gone=frozenset(gone), changed=tuple(changed), back=back, unmounted=unmounted)


def _looks_unmounted(root: str, gone: int, files: int) -> bool:
    """Whether a folder's disk may not be mounted. In one that is there, a few files may be all that it had."""
    if root and _folder_is_gone(root):
        return too_many_missing(gone, files)
    return gone > MISSING_FILES and too_many_missing(gone, files)


def is_gone(path: str) -> bool:
    """Whether a file is not there: a link that leads nowhere is not, nor is anything else in the file's place.

    One that cannot be looked at now, such as in a folder that may not be entered, is not gone.
    """
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - the path is text
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError as error:
        return error.errno == errno.ELOOP


def _folder_is_gone(path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - likewise
    except (OSError, ValueError):
        return True
