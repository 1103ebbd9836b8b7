"""`twitchaudio backup` and `restore`: made while a server writes, checked whole, and never half."""

import asyncio
import hashlib
import io
import json
import os
import signal
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from fingerprint.catalog.index import Catalog
from fingerprint.clock import SystemClock
from fingerprint.configured_database import SQLITE_FILE
from fingerprint.database import open_database
from fingerprint.pipeline_settings import PipelineSettings
from server import migrations, sqlite_copies
from server.app import make_app
from server.backups import making
from server.cli import main
from server.data_folder import replaced
from server.settings import ServerSettings
from server.vitals import room_of
from tests.fakes import FakePipeline
from tests.mariadb import PASSWORD, MariaDB
from tests.unit.catalog.shelf import fill

KEY = "k" * 43


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a database, a catalog and keys."""
    folder = tmp_path / "data"
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(folder))
    assert main(["admin", "keys", "create", "first"]) == 0
    fill(folder / "catalog", [1, 2])
    (folder / "session.key").write_text(KEY)
    (folder / "admins.json").write_text('{"someone": "123"}')
    return folder


def keys(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["admin", "keys"]) == 0
    return capsys.readouterr().out


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def everything(folder: Path) -> dict[str, bytes]:
    """All files in a folder with their content, without locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


async def test_a_backup_is_whole_while_a_server_writes_and_is_not_restored_under_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = FakePipeline(SystemClock()).pipeline
    app = make_app(ServerSettings(pipeline=PipelineSettings(data_dir=data)), pipeline=pipeline)
    done, begun = threading.Event(), threading.Event()

    def keep_writing() -> None:
        # Pairs: a copy that is not of one moment has half of one.
        with closing(sqlite3.connect(data / SQLITE_FILE, timeout=30)) as connection:
            number = 0
            while not done.is_set():
                rows = [(f"{number}-{half}", 1) for half in (1, 2)]
                with connection:
                    connection.executemany("INSERT INTO named_locks (name, taken) VALUES (?, ?)", rows)
                number += 1
                begun.set()

    async with TestServer(app):
        writing = asyncio.create_task(asyncio.to_thread(keep_writing))
        try:
            await asyncio.to_thread(begun.wait)
            # What `cp` would take: most of this is in the log beside the file.
            assert (data / f"{SQLITE_FILE}-wal").stat().st_size > 0
            assert await asyncio.to_thread(main, ["backup", str(tmp_path / "b.tar")]) == 0
        finally:
            done.set()
            await writing
        capsys.readouterr()
        for more in ([], ["--force"]):
            assert await asyncio.to_thread(main, ["restore", str(tmp_path / "b.tar"), *more]) == 1
            assert "running" in said(capsys)
    with tarfile.open(tmp_path / "b.tar") as tar:
        copied = tar.extractfile("database.sqlite3")
        assert copied is not None
        (tmp_path / "database.sqlite3").write_bytes(copied.read())
    with closing(sqlite3.connect(tmp_path / "database.sqlite3")) as copy:
        (rows,) = copy.execute("SELECT COUNT(*) FROM named_locks WHERE name LIKE '%-_'").fetchone()
        assert rows >= 2
        assert rows % 2 == 0
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_an_empty_folder_gets_the_same_keys_answers_and_catalog(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(capsys)
    assert "first" in before
    assert main(["backup", str(tmp_path / "b.tar")]) == 0
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"b.tar", "data"}
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "new"))
    assert main(["restore", str(tmp_path / "b.tar")]) == 0
    assert keys(capsys) == before
    new = tmp_path / "new"
    assert (new / "session.key").read_text() == KEY
    assert (new / "admins.json").read_bytes() == (data / "admins.json").read_bytes()
    assert Catalog(new / "catalog").verify() == []
    assert len(Catalog(new / "catalog").snapshot()) == 2
    modes = {stat.S_IMODE((new / name).stat().st_mode) for name in ("session.key", SQLITE_FILE)}
    assert modes == {0o600}


def test_data_that_is_there_is_replaced_with_force_only_and_kept_aside(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "admins.json").unlink()
    assert main(["backup", str(tmp_path / "b.tar")]) == 0
    assert main(["admin", "keys", "create", "second"]) == 0
    # Not in the backup, so not there afterwards.
    (data / "admins.json").write_text("{}")
    assert main(["restore", str(tmp_path / "b.tar")]) == 1
    assert "--force" in said(capsys)
    assert "second" in keys(capsys)
    assert main(["restore", str(tmp_path / "b.tar"), "--force"]) == 0
    assert "second" not in keys(capsys)
    assert not (data / "admins.json").exists()
    (old,) = (path for path in data.iterdir() if path.name.startswith(f"{SQLITE_FILE}.before-restore-"))
    with closing(sqlite3.connect(old)) as connection:
        assert ("second",) in connection.execute("SELECT name FROM api_keys").fetchall()
    assert [path for path in data.iterdir() if path.name.startswith("admins.json.before-restore-")]
    assert [path for path in data.iterdir() if path.name.startswith("catalog.before-restore-")]


def test_a_restore_that_fails_in_the_middle_leaves_everything_as_it_was(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["backup", str(tmp_path / "b.tar")]) == 0
    before = everything(data)
    rename = Path.rename

    def fail_at_keys(path: Path, target: Path) -> Path:
        if path.name.startswith(".session.key.restoring"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_at_keys)
    assert main(["restore", str(tmp_path / "b.tar"), "--force"]) == 1
    assert everything(data) == before


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_backup_that_is_broken_off_leaves_nothing(
    stop: BaseException, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.is_dir()
    (tmp_path / "b.tar").write_text("an older one")

    def broken_off(_handle: int) -> None:
        raise stop

    monkeypatch.setattr(os, "fsync", broken_off)
    assert main(["backup", str(tmp_path / "b.tar"), "--force"]) in (1, 130)
    assert {path.name for path in tmp_path.iterdir()} == {"b.tar", "data"}
    assert (tmp_path / "b.tar").read_text() == "an older one"


def test_a_file_that_is_there_is_not_replaced_and_a_folder_gets_a_dated_one(data: Path, tmp_path: Path) -> None:
    assert data.is_dir()
    file = tmp_path / "b.tar"
    file.write_text("mine")
    assert main(["backup", str(file)]) == 1
    assert file.read_text() == "mine"
    assert main(["backup", str(file), "--force"]) == 0
    assert tarfile.is_tarfile(file)
    (tmp_path / "folder").mkdir()
    assert main(["backup", str(tmp_path / "folder")]) == 0
    (made,) = (tmp_path / "folder").iterdir()
    assert made.suffix == ".tar"


class _Stopped(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=tz)


def test_backups_of_one_second_have_names_of_their_own_and_the_newest_are_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "datetime", _Stopped)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert [main(["backup", str(folder)]) for _ in range(3)] == [0, 0, 0]
    first = "twitchaudio-20260102T030405Z"
    assert {path.name for path in folder.iterdir()} == {f"{first}.tar", f"{first}-2.tar", f"{first}-3.tar"}
    assert {tarfile.is_tarfile(path) for path in folder.iterdir()} == {True}
    # The number counts, not the letters: 10 is newer than 9.
    names = [f"{first}{number}.tar" for number in ("-10", "", "-9", "-2")]
    assert making.outdated([*names, "twitchaudio-20260102T030404Z-3.tar", "notes.txt"], 2) == [
        "twitchaudio-20260102T030404Z-3.tar", f"{first}.tar", f"{first}-2.tar",
    ]  # fmt: skip
    taken = iter([True, True, False, False, False])
    real = making._name  # pyright: ignore[reportPrivateUsage] - another program takes the name at the last moment

    def name(part: Path, destination: Path, *, force: bool) -> None:
        if next(taken):
            destination.write_text("another one's")
        real(part, destination, force=force)

    monkeypatch.setattr(making, "_name", name)
    assert data.is_dir()
    assert main(["backup", str(folder)]) == 0
    assert tarfile.is_tarfile(folder / f"{first}-6.tar")
    assert (folder / f"{first}-4.tar").read_text() == "another one's"


def test_a_backup_takes_away_what_a_killed_one_left(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert data.is_dir()
    child = os.fork()
    if child == 0:
        try:
            os.fsync = lambda _handle: os.kill(os.getpid(), signal.SIGKILL)
            main(["backup", str(folder)])
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (left,) = folder.iterdir()
    assert left.suffix == ".part"
    assert main(["backup", str(folder)]) == 0
    (made,) = folder.iterdir()
    assert tarfile.is_tarfile(made)


def test_the_newest_backups_of_a_folder_are_kept_and_other_files_are_left_alone(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old = [f"twitchaudio-2026010{day}T020000Z.tar" for day in range(1, 5)]
    others = ["notes.txt", "twitchaudio-before-upgrade.tar", "twitchaudio-20260101T020000Z.tar.gpg"]
    for name in (*old, *others):
        (folder / name).touch()
    assert main(["backup", str(folder), "--keep", "3"]) == 0
    left = {path.name for path in folder.iterdir()}
    assert {*others, *old[2:]} < left
    assert len(left) == len(others) + 3
    assert main(["backup", str(tmp_path / "one.tar"), "--keep", "3"]) == 2
    assert "--keep takes a folder" in said(capsys)
    with pytest.raises(SystemExit):
        main(["backup", str(folder), "--keep", "0"])


def test_the_metrics_learn_when_the_newest_backup_was_made(data: Path, tmp_path: Path) -> None:
    assert room_of(data).backup_at == 0
    assert main(["backup", str(tmp_path / "one.tar")]) == 0
    made_at = room_of(data).backup_at
    assert made_at > 0
    assert main(["backup", str(tmp_path / "one.tar")]) == 1
    assert room_of(data).backup_at == made_at


def test_secrets_of_the_environment_are_not_in_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.is_dir()
    monkeypatch.setenv("AUDD_API_TOKEN", "canary-t0ken")
    monkeypatch.setenv("TWITCHAUDIO_KEEP_DAYS", "30")
    assert main(["backup", str(tmp_path / "b.tar")]) == 0
    assert "AUDD_API_TOKEN" in said(capsys)
    assert b"canary-t0ken" not in (tmp_path / "b.tar").read_bytes()
    monkeypatch.delenv("TWITCHAUDIO_KEEP_DAYS")
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "new"))
    assert main(["restore", str(tmp_path / "b.tar")]) == 0
    assert "TWITCHAUDIO_KEEP_DAYS was set to 30 and is not now." in said(capsys)


# --- Backups that cannot be trusted -------------------------------------------------------------------


def rewritten(
    source: Path, target: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None], **said: object
) -> None:
    """A copy of a backup with other members, and with other words in a manifest that is signed again."""
    with tarfile.open(source) as tar:
        members = [(member, (tar.extractfile(member) or io.BytesIO()).read()) for member in tar]
    manifest, content = members.pop()
    words = {**json.loads(content), **said}
    del words["sha256"]
    words["sha256"] = hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
    members.append((manifest, json.dumps(words).encode()))
    change(members)
    with tarfile.open(target, "w") as tar:
        for member, data in members:
            member.size = len(data) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(data))


def extra(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def add(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        members.insert(0, (member, b""))

    return add


def swap_database(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[0] = (members[0][0], b"x" * len(members[0][1]))


def nothing(_members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    """No change."""


def damaged(whole: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Backups with a fault each, and what is said of it."""
    content = whole.read_bytes()
    with tarfile.open(whole) as tar:
        places = [(member.name, member.offset, member.offset_data) for member in tar]
    for number, (name, header, start) in enumerate(places):
        for where in (header + 1, start + 5):
            flipped = bytearray(content)
            flipped[where] ^= 1
            file = folder / f"flipped-{number}-{where}.tar"
            file.write_bytes(flipped)
            yield "" if name == places[0][0] else "damaged", file
    for share in (0, 0.3, 0.9):
        file = folder / f"short-{share}.tar"
        file.write_bytes(content[: int(len(content) * share)])
        yield "", file
    for expected, change in {
        "../evil": extra("../evil"),
        "/tmp/evil": extra("/tmp/evil"),
        "catalogs/0/../../evil": extra("catalogs/0/../../evil"),
        "data/evil": extra("data/evil", tarfile.SYMTYPE, "/etc/passwd"),
        "data/session.key": extra("data/session.key", tarfile.LNKTYPE, "data/admins.json"),
        "data/admins.json": extra("data/admins.json"),
        "data/other.file": extra("data/other.file"),
        "checksum": swap_database,
    }.items():
        file = folder / f"evil-{len(list(folder.iterdir()))}.tar"
        rewritten(whole, file, change)
        yield expected, file
    for words in ({"version": "99.0"}, {"format": 2}, {"schema": "9999_future"}):
        file = folder / f"new-{next(iter(words))}.tar"
        rewritten(whole, file, nothing, **words)
        yield "newer", file
    file = folder / "no backup.tar"
    file.write_text("hello " * 500)
    yield "not a backup", file
    yield "cannot be restored", folder / "missing.tar"


def test_a_damaged_forged_or_newer_backup_is_refused_before_anything_is_touched(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.is_dir()
    whole = tmp_path / "b.tar"
    assert main(["backup", str(whole)]) == 0
    (tmp_path / "bad").mkdir()
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "new"))
    for expected, file in damaged(whole, tmp_path / "bad"):
        capsys.readouterr()
        assert main(["restore", str(file)]) == 1, file.name
        line = said(capsys)
        assert expected in line, (file.name, line)
        assert line.count("\n") == 1
        assert not (tmp_path / "new").exists()
    rewritten(whole, tmp_path / "same.tar", nothing)
    assert main(["restore", str(tmp_path / "same.tar")]) == 0


# --- Who else uses the data -----------------------------------------------------------------------------


def test_a_database_that_an_older_server_has_open_is_not_replaced(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup", str(tmp_path / "b.tar")]) == 0
    with closing(sqlite3.connect(data / SQLITE_FILE)) as older:
        older.execute("SELECT COUNT(*) FROM api_keys").fetchone()
        assert main(["restore", str(tmp_path / "b.tar"), "--force"]) == 1
        assert "in use" in said(capsys)


async def test_a_server_does_not_start_during_a_restore(data: Path) -> None:
    app = make_app(
        ServerSettings(pipeline=PipelineSettings(data_dir=data)), pipeline=FakePipeline(SystemClock()).pipeline
    )
    with replaced(data), pytest.raises(Exception, match="being restored"):
        async with TestServer(app):
            pass


# --- Before a change of the schema ------------------------------------------------------------------------


async def test_a_sqlite_database_is_copied_before_its_schema_changes_and_the_last_copies_are_kept(
    tmp_path: Path,
) -> None:
    file = tmp_path / SQLITE_FILE
    first = (await asyncio.to_thread(migrations.revisions))[0]
    copies = tmp_path / sqlite_copies.FOLDER
    async with open_database(f"sqlite:///{file}") as database:
        await migrations.upgrade(database, to=first)
        assert not copies.exists()
        await migrations.upgrade(database)
        (copy,) = copies.iterdir()
        await migrations.upgrade(database)
        assert list(copies.iterdir()) == [copy]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (first,)
    (copies / "mine.sqlite3").touch()
    newest = [sqlite_copies.keep_copy_before_upgrade(file, "0002_some") for _ in range(4)][-1]
    names = {path.name for path in copies.iterdir()}
    assert len(names) == sqlite_copies.KEPT + 1
    assert {"mine.sqlite3", newest.name} < names


# --- MySQL and MariaDB ------------------------------------------------------------------------------------


def test_a_mariadb_is_backed_up_and_restored_by_its_own_programs(
    mariadb: MariaDB, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "data"))
    address = mariadb.new_database()
    monkeypatch.setenv("TWITCHAUDIO_DATABASE_URL", address)
    assert main(["admin", "keys", "create", "Bjørk 🎵"]) == 0
    before = keys(capsys)
    assert main(["backup", str(tmp_path / "b.tar")]) == 0
    assert PASSWORD.encode() not in (tmp_path / "b.tar").read_bytes()
    assert main(["restore", str(tmp_path / "b.tar")]) == 1
    assert "--force" in said(capsys)
    assert main(["admin", "keys", "create", "second"]) == 0
    assert main(["restore", str(tmp_path / "b.tar"), "--force"]) == 0
    assert keys(capsys) == before
    (old,) = (tmp_path / "data").glob("database.sql.before-restore-*")
    assert b"second" in old.read_bytes()
    monkeypatch.setenv("TWITCHAUDIO_DATABASE_URL", mariadb.new_database())
    assert main(["restore", str(tmp_path / "b.tar")]) == 0
    assert keys(capsys) == before
    monkeypatch.delenv("TWITCHAUDIO_DATABASE_URL")
    assert main(["restore", str(tmp_path / "b.tar")]) == 1
    assert "sqlite" in said(capsys)
    monkeypatch.setenv("TWITCHAUDIO_DATABASE_URL", address)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["backup", str(tmp_path / "c.tar")]) == 1
    assert "neither is installed" in said(capsys)
