"""The file of a backup: a plain tar of regular files, and last of all the manifest with the checksum of each.

    database.sqlite3 or database.sql    the SQL database
    catalogs/N/...                      the N-th catalog that is a folder of this machine
    data/...                            keys and other small files of the data folder
    manifest.json                       what made it, when, and the size and SHA-256 of every other file

A file that was broken off has no manifest. Readers take the names below and nothing else, so a file that was made
by others cannot write outside of what is restored.
"""

import hashlib
import json
import os
import re
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Final, cast

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import migrations

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DATABASES: Final[Mapping[str, str]] = {"sqlite": "database.sqlite3", "mysql": "database.sql"}
"""The name of the database in the file, by its kind."""

_MAX_MANIFEST_BYTES: Final = 256 << 20
_NAME: Final = re.compile(
    r"database\.sqlite3|database\.sql|data/[a-z]+\.[a-z]+|catalogs/[0-9]{1,3}(/[^/\\\x00]+)+"
)
_CHUNK_BYTES: Final = 1 << 20


class BackupError(TwitchAudioError):
    """A backup cannot be made or restored. One line for the operator."""

    def __init__(self, detail: str) -> None:
        super().__init__(ProblemCode.INTERNAL, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupContent:
    """What a backup says about itself. `files`: the size in bytes and the SHA-256 of each file by its name."""

    version: str
    made_at: str
    database: str | None
    """`sqlite`, `mysql`, or None without a database."""
    schema: str | None
    catalogs: int
    settings: Mapping[str, str | None]
    """The variables that were set; None in place of a secret."""
    files: Mapping[str, tuple[int, str]]


def our_version() -> str:
    """The version of the installed package; 0 when it is not installed."""
    try:
        return version("twitchaudio")
    except PackageNotFoundError:
        return "0"


def write(
    path: Path, files: Iterable[tuple[str, Path]], about: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    """Write a new file that only its owner may read. `about`: makes the manifest of sizes and checksums.

    Raises OSError.
    """
    entries: dict[str, object] = {}
    with (
        os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, source in files:
            with source.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                reader = _Hashing(file)
                tar.addfile(_member(name, size), cast("IO[bytes]", reader))
            entries[name] = {"size": size, "sha256": reader.digest.hexdigest()}
        said = {"format": FORMAT, **about(entries)}
        content = json.dumps({**said, "sha256": _own_checksum(said)}, indent=1).encode()
        manifest = path.with_name(MANIFEST)
        manifest.write_bytes(content)
        with manifest.open("rb") as file:
            tar.addfile(_member(MANIFEST, len(content)), file)
    with path.open("rb+") as out:
        os.fsync(out.fileno())


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(time.time())
    return member


def _own_checksum(said: Mapping[str, object]) -> str:
    """The checksum of a manifest, over all that it says beside this."""
    rest = {name: value for name, value in said.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


class _Hashing:
    """Reads a file and hashes what is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        return chunk


class Archive:
    """A backup's file, read and checked from its start to its end. Raises BackupError, and OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with tarfile.open(path, mode="r:") as tar:
                self._members = self._listed(tar)
                self.content = self._content(tar)
                for name in self.content.files:
                    self._copy(tar, name, None)
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise BackupError(f"{path} is not a backup of TwitchAudio, or damaged: {error}.") from error

    def extract(self, targets: Mapping[str, Path]) -> None:
        """Write files to new places, checked once more; only their owner may read them. Raises OSError."""
        try:
            with tarfile.open(self._path, mode="r:") as tar:
                for name, target in targets.items():
                    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    with os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
                        self._copy(tar, name, out)
                        out.flush()
                        os.fsync(out.fileno())
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise self._damaged(str(error)) from error

    def _listed(self, tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
        members: dict[str, tarfile.TarInfo] = {}
        for member in tar:
            name = member.name
            inside = name == MANIFEST or (_NAME.fullmatch(name) and not {".", ".."} & set(name.split("/")))
            if not inside or not member.isreg() or member.issparse() or name in members:
                raise BackupError(
                    f"{self._path} holds {name!r}, which does not belong in a backup. Nothing was changed."
                )
            members[name] = member
        return members

    def _content(self, tar: tarfile.TarFile) -> BackupContent:
        member = self._members.pop(MANIFEST, None)
        if member is None:
            raise self._damaged("it has no manifest, so it is not whole")
        file = tar.extractfile(member)
        if file is None or member.size > _MAX_MANIFEST_BYTES:
            raise self._damaged("its manifest cannot be read")
        try:
            said = json.loads(file.read())
            made_with = int(said["format"])
            checksum = said["sha256"] if made_with == FORMAT else None
            made_by = str(said["version"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged("its manifest cannot be read") from error
        if checksum is not None and checksum != _own_checksum(said):
            raise self._damaged("its manifest does not fit its checksum")
        if made_with > FORMAT or _number(made_by) > _number(our_version()):
            raise self._newer(f"version {made_by} (format {made_with})")
        try:
            content = _parsed(said)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged("its manifest cannot be read") from error
        if content.schema is not None and content.schema not in migrations.revisions():
            raise self._newer(f"schema {content.schema}")
        if set(content.files) != set(self._members):
            odd = min(set(content.files) ^ set(self._members))
            raise self._damaged(f"{odd!r} is only in one of its manifest and its content")
        return content

    def _copy(self, tar: tarfile.TarFile, name: str, out: IO[bytes] | None) -> None:
        size, expected = self.content.files[name]
        file = tar.extractfile(self._members[name])
        digest = hashlib.sha256()
        read = 0
        while file is not None and (chunk := file.read(_CHUNK_BYTES)):
            digest.update(chunk)
            read += len(chunk)
            if out is not None:
                out.write(chunk)
        if (read, digest.hexdigest()) != (size, expected):
            raise self._damaged(f"{name!r} does not fit its checksum")

    def _damaged(self, reason: str) -> BackupError:
        return BackupError(f"{self._path} is damaged: {reason}. Nothing was changed.")

    def _newer(self, what: str) -> BackupError:
        return BackupError(
            f"{self._path} was made by a newer TwitchAudio: {what}. Update TwitchAudio first. Nothing was changed."
        )


def _parsed(said: dict[str, Any]) -> BackupContent:
    files = cast("dict[str, dict[str, Any]]", said["files"])
    database = said["database"]
    catalogs = int(said["catalogs"])
    if database is not None and DATABASES[database] not in files:
        raise ValueError(database)
    return BackupContent(
        version=str(said["version"]),
        made_at=str(said["made_at"]),
        database=database,
        schema=None if said["schema"] is None else str(said["schema"]),
        catalogs=catalogs,
        settings={
            str(name): None if value is None else str(value)
            for name, value in cast("dict[str, Any]", said["settings"]).items()
        },
        files={str(name): (int(entry["size"]), str(entry["sha256"])) for name, entry in files.items()},
    )


def _number(text: str) -> tuple[int, ...]:
    """A version's leading numbers: (1, 2, 0) of 1.2.0rc1."""
    found = re.match(r"[0-9]{1,9}(\.[0-9]{1,9})*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
