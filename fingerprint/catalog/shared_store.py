"""The port through which a catalog in object storage is changed."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol


class SharedStore(Protocol):
    """Where a catalog is that several machines change; the folder that a writer works in is a copy of it."""

    def refresh(self) -> None:
        """Make the folder what the store holds now. Raises CatalogError when the store cannot be reached."""
        ...

    def publish(self, manifest: bytes, files: Sequence[Path]) -> None:
        """Have the store hold a new manifest, whose new index files are these, if it is as `refresh` found it.

        Raises ChangedElsewhereError if it is not, CatalogError when the store cannot be reached.
        """
        ...

    def publish_covers(self, paths: Sequence[Path]) -> None:
        """Have the store hold covers, before tracks need them. Raises CatalogError when it cannot be reached."""
        ...

    def retire(self, names: Collection[str]) -> None:
        """Delete index files that the manifest no longer lists. Never fails."""
        ...

    def retire_covers(self, needed: Collection[str]) -> None:
        """Delete the covers that no track needs. Never fails.

        New ones stay: another writer may be about to add tracks that need them.
        """
        ...
