"""The names in folders, each read once: a walk notes what it has seen, and files beside music are found in it."""

import os
from collections.abc import Sequence
from pathlib import Path


class Listings:
    """Names by folder. A folder that was not walked is read when it is first asked for."""

    def __init__(self) -> None:
        self._names: dict[str, Sequence[str]] = {}

    def note(self, folder: str, names: Sequence[str]) -> None:
        """Remember the names in a folder, in order."""
        self._names[folder] = names

    def names(self, folder: str) -> Sequence[str]:
        """The names in a folder, in order; none if it cannot be read."""
        found = self._names.get(folder)
        if found is None:
            try:
                found = sorted(os.listdir(folder))  # noqa: PTH208 - names
            except (OSError, ValueError):
                found = ()
            self._names[folder] = found
        return found

    def holds(self, folder: str, name: str) -> bool:
        """Whether there is a file in a folder, which is not read for that."""
        names = self._names.get(folder)
        if names is not None and all(each.lower() != name.lower() for each in names):
            return False
        try:
            return os.path.lexists(Path(folder, name))  # some systems tell no case
        except (OSError, ValueError):  # such as a name that is too long to exist, or one with a NUL
            return False
