"""The names in folders, each read once: a walk notes what it has seen, and files beside music are found in it."""

import os
from collections.abc import Sequence
from pathlib import Path


class Listings:
    """Names by folder. A folder that was not walked is read when it is first asked for."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """The names in each folder, joined by NULs, which no name holds: a large library has very many."""

    def note(self, folder: str, names: Sequence[str]) -> None:
        """Remember the names in a folder, in order."""
        self._names[folder] = "\0".join(names)

    def names(self, folder: str) -> Sequence[str]:
        """The names in a folder, in order; none if it cannot be read."""
        if folder not in self._names:
            try:
                self.note(folder, sorted(os.listdir(folder)))  # noqa: PTH208 - names
            except (OSError, ValueError):
                self.note(folder, ())
        joined = self._names[folder]
        return joined.split("\0") if joined else ()

    def find(self, folder: str, name: str) -> str | None:
        """What a file with a name in lower case is called in a folder, in any case; None if it is not there.

        A folder whose names are not known is not read for that: there, the name has to be the very same, unless
        the system tells no case.
        """
        if folder in self._names:
            if name not in self._names[folder].lower():
                return None
            alike = [each for each in self.names(folder) if each.lower() == name]
            return name if name in alike else next(iter(alike), None)
        try:
            return name if os.path.lexists(Path(folder, name)) else None
        except (OSError, ValueError):  # such as a name that is too long to exist, or one with a NUL
            return None
