"""Backups in object storage: made and checked here, then uploaded; downloaded before they are restored."""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.remote_catalogs.object_store import ObjectMissingError, open_store
from fingerprint.setting_formats import S3Address
from fingerprint.unfinished import room_beside
from server.backups.archive import BackupError
from server.backups.making import Made, free_name, note_backup, outdated, write_backup
from server.settings import ServerSettings

MAX_BYTES: Final = 1 << 44
_ENDING: Final = ".tar"
_NAME: Final = "backup.tar"
_WHAT: Final = "The place for backups"

_Result = TypeVar("_Result")


def make_remote_backup(settings: ServerSettings, address: S3Address, *, force: bool, keep: int | None) -> Made:
    """Back up the installation to an object: below the address, or with its name if that ends in `.tar`.

    Raises BackupError; then there is no new object.
    """
    folder, name = _split(address)
    if name is not None and keep is not None:
        raise BackupError(f"--keep takes a place for many backups for DEST, and {address} is one file.")
    with _room(settings) as room:
        # What is refused is refused before the work.
        _run(_check(settings, folder, name, force=force))
        part = room / _NAME
        made = write_backup(settings, part, force=False)
        name = _run(_upload(settings, folder, part, made.size, name=name, keep=keep))
    note_backup(settings, made.content)
    return replace(made, place=f"{folder}/{name}")


@contextmanager
def downloaded(settings: ServerSettings, address: S3Address) -> Generator[Path]:
    """The file of a backup on this machine while the block runs. Raises BackupError."""
    folder, name = _split(address)
    if name is None:
        raise BackupError(f"{address} may hold many backups: name one of them, {address}/twitchaudio-….tar.")
    with _room(settings) as room:
        _run(_download(settings, folder, name, room / name))
        yield room / name


def _split(address: S3Address) -> tuple[S3Address, str | None]:
    """The place of an object and its name; None for a place of many."""
    if not address.prefix.endswith(_ENDING):
        return address, None
    folder, _, name = address.prefix.rpartition("/")
    return S3Address(address.bucket, folder), name


@contextmanager
def _room(settings: ServerSettings) -> Generator[Path]:
    """A folder beside the data, where there is room for it and only its owner reads it."""
    folder = settings.pipeline.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with room_beside(folder / _NAME) as room:
            yield room
    except OSError as error:
        raise BackupError(f"{folder} cannot be written: {error.strerror or error}.") from error


async def _check(settings: ServerSettings, folder: S3Address, name: str | None, *, force: bool) -> None:
    """The place can be used, and nothing is replaced without `force`. Raises TwitchAudioError."""
    async with open_store(folder, settings.pipeline.s3_endpoint, what=_WHAT) as store:
        there = {file.name for file in await store.files()}
    if name in there and not force:
        raise BackupError(f"{folder}/{name} is there already: add --force to replace it.")


async def _upload(
    settings: ServerSettings, folder: S3Address, path: Path, size: int, *, name: str | None, keep: int | None
) -> str:
    """Store a backup under a name, or under one of its own; returns the name. Raises TwitchAudioError."""
    async with open_store(folder, settings.pipeline.s3_endpoint, what=_WHAT) as store:
        if name is None:
            there = {file.name for file in await store.files()}
            name = free_name(there.__contains__)
        await store.upload(path, name)
        sizes = {file.name: file.size for file in await store.files()}
        if sizes.get(name) != size:
            raise BackupError(f"{folder}/{name} did not arrive whole.")
        if keep is not None and (old := outdated(sizes, keep)):
            await store.delete(old)
    return name


async def _download(settings: ServerSettings, folder: S3Address, name: str, path: Path) -> None:
    async with open_store(folder, settings.pipeline.s3_endpoint, what=_WHAT) as store:
        try:
            with path.open("xb") as file:
                await store.download(name, file, max_bytes=MAX_BYTES)
        except ObjectMissingError as error:
            raise BackupError(f"There is no backup {folder}/{name}.") from error


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    try:
        return asyncio.run(work)
    except BackupError:
        raise
    except TwitchAudioError as error:
        raise BackupError(error.detail) from error
