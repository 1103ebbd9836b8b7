"""The database that the settings name: its address, and what is wrong with its folder or file."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url

from fingerprint.database import Database, closing_database
from fingerprint.database_backends import open_backend
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import SettingsError

SQLITE_FILE: Final = "twitchaudio.sqlite3"
_KNOWS_EFFECTIVE_USER: Final = os.access in os.supports_effective_ids


def database_url(settings: PipelineSettings) -> str:
    """The configured database address, or the address of the SQLite file in the data folder."""
    if settings.database_url is not None:
        return settings.database_url
    return URL.create("sqlite", database=str(settings.data_dir / SQLITE_FILE)).render_as_string()


def database_may_exist(settings: PipelineSettings) -> bool:
    """Whether there is the configured database's file; True for a database server."""
    address = make_url(database_url(settings))
    return not address.drivername.startswith("sqlite") or Path(address.database or "").is_file()


@asynccontextmanager
async def open_configured_database(settings: PipelineSettings) -> AsyncGenerator[Database]:
    """The database of the settings. Raises SettingsError that names what has to be changed."""
    try:
        backend = open_backend(database_url(settings))
    except SettingsError as error:
        if settings.database_url is not None:
            raise
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) else "it cannot be used"
        if isinstance(cause, FileExistsError | NotADirectoryError):
            reason = "it, or what it is in, is a file"
        raise _unusable_folder(settings.data_dir, str(reason)) from error
    async with closing_database(backend) as database:
        if settings.database_url is None:
            reason = await asyncio.to_thread(_why_not_writable, settings.data_dir)
            if reason is not None:
                raise _unusable_folder(settings.data_dir, reason)
        yield database


def _unusable_folder(folder: Path, reason: str) -> SettingsError:
    takes = f"a folder that can be written, and this one cannot: {reason}"
    return SettingsError("TWITCHAUDIO_DATA_DIR", str(folder), takes)


def _why_not_writable(folder: Path) -> str | None:
    """Why this process cannot write a folder or the database in it, as in another user's mount; None: it can."""
    for path, needed in ((folder, os.W_OK | os.X_OK), (folder / SQLITE_FILE, os.W_OK)):
        if path.exists() and not os.access(path, needed, effective_ids=_KNOWS_EFFECTIVE_USER):
            if not hasattr(os, "geteuid"):
                return "access is denied"
            owner = path.stat().st_uid
            return f"it runs as user {os.geteuid()}, and {path} belongs to user {owner}: change one of them"
    return None
