"""Which covers and previews of services were found for answers, in SQL; and a bounded folder that keeps them."""

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cachetools import LRUCache
from sqlalchemy import Column, Text, select

from fingerprint.database import Database, exact_text, sql_table
from fingerprint.upserts import upsert

MAX_CACHED: Final = 2_000

MAX_FOLDER_BYTES: Final = 256 << 20
"""How much a folder keeps: some thousands of covers, or five hundred previews."""

table: Final = sql_table(
    "link_media",
    # A cover's name in its address, or a preview's.
    Column("name", exact_text(80), primary_key=True),
    # Where the cover is at its service. A preview's address expires, and is asked for each time.
    Column("address", Text, nullable=False),
)


class MediaStore:
    """What may be fetched from services: only what was found for an answer. Raises TwitchAudioError `busy`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: LRUCache[str, str] = LRUCache(MAX_CACHED)

    async def address(self, name: str) -> str | None:
        """The address that is stored under a name; None if there is none."""
        known = self._cache.get(name)
        if known is None:
            row = await self._database.first(select(table.c.address).where(table.c.name == name))
            if row is None:
                return None
            known = self._cache[name] = str(row.address)
        return known

    async def put(self, addresses: Mapping[str, str]) -> None:
        """Store addresses under names."""
        for name, address in addresses.items():
            values = {"name": name, "address": address}
            await self._database.transact(lambda connection, values=values: upsert(connection, table, values))
            self._cache[name] = address


class MediaFolder:
    """A folder of files that can be fetched again: the oldest are deleted when there are too many. It blocks."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_FOLDER_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def path(self, name: str, *, max_age_seconds: float | None = None) -> Path | None:
        """A kept file that is not older than `max_age_seconds`; None if there is none."""
        path = self._folder / name
        try:
            status = path.lstat()
        except OSError:
            return None
        too_old = max_age_seconds is not None and time.time() - status.st_mtime > max_age_seconds
        return None if too_old else path

    def read(self, name: str) -> bytes | None:
        """The content of a kept file; None if there is none."""
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            return None

    def keep(self, name: str, content: bytes) -> Path:
        """Keep a file, and delete the oldest ones beyond the limit. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path, part = self._folder / name, self._folder / f".{secrets.token_hex(8)}.part"
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        self._make_room(path)
        return path

    def _make_room(self, newest: Path) -> None:
        files: list[tuple[float, int, str]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # another server has just deleted it
                files.append((status.st_mtime, status.st_size, entry.path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._max_bytes:
                break
            if path != str(newest):
                Path(path).unlink(missing_ok=True)
                total -= size
