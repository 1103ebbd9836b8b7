"""Backups and restores on a disk that is full or breaks, or that are killed: nothing half is taken for whole.

The n-th step that changes the disk fails, for each n until it passes; also with each later one, so that the disk
looks as after a kill.
"""

import errno
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fingerprint.configured_database import SQLITE_FILE
from fingerprint.domain.problems import TwitchAudioError
from server.cli import main
from server.data_folder import UNFINISHED, served
from tests.unit.catalog.shelf import fill

MOST_STEPS = 60
KEY = "session.key"
CHANGING = ((Path, "rename"), (Path, "replace"), (Path, "unlink"), (Path, "mkdir"), (os, "fsync"), (os, "open"))


class Disk:
    """The disk, whose n-th change from now on fails; from then on all, if it is broken."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._left: int | None = None
        self._broken = False
        self.failed = False
        for owner, name in CHANGING:
            patch.setattr(owner, name, self._instead(getattr(owner, name), is_open=name == "open"))

    def _instead(self, real: Any, *, is_open: bool) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            if self._left is not None and not (is_open and not arguments[1] & (os.O_WRONLY | os.O_RDWR)):
                self._left -= 1
                if self._left == 0 or (self._broken and self._left < 0):
                    self.failed = True
                    raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **more)

        return call

    @contextmanager
    def failing(self, number: int, *, broken: bool) -> Generator[None]:
        self._left, self._broken, self.failed = number, broken, False
        try:
            yield
        finally:
            self._left = None


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a database and a key, and `b.tar` beside it with others."""
    folder = tmp_path / "data"
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(folder))
    folder.mkdir()
    put(folder, "new")
    assert main(["backup", str(tmp_path / "b.tar")]) == 0
    put(folder, "old")
    return folder


def put(folder: Path, content: str) -> None:
    with closing(sqlite3.connect(folder / SQLITE_FILE)) as connection:
        connection.executescript(f"DROP TABLE IF EXISTS it; CREATE TABLE it AS SELECT '{content}' AS is_it;")
    (folder / KEY).write_text(content)


def start_over(folder: Path) -> None:
    put(folder, "old")
    for path in folder.glob("*.before-restore-*"):
        path.unlink()


def content(folder: Path) -> set[str]:
    """What is in the database and the key; "-" for one that is missing."""
    found = {(folder / KEY).read_text() if (folder / KEY).exists() else "-"}
    for path in (folder / SQLITE_FILE,):
        if not path.exists():
            return {*found, "-"}
        with closing(sqlite3.connect(path)) as connection:
            found.add(str(connection.execute("SELECT is_it FROM it").fetchone()[0]))
    return found


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".restoring-" in path.name or path.name == UNFINISHED]


def kept(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.iterdir() if path.name.startswith(f"{KEY}.before-restore-")]


def is_refused(folder: Path) -> bool:
    try:
        with served(folder):
            return False
    except TwitchAudioError as error:
        return UNFINISHED in error.detail


def restore(data: Path) -> int:
    return main(["restore", str(data.parent / "b.tar"), "--force"])


def test_a_restore_whose_disk_fails_once_is_whole_or_was_not_made(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = Disk(monkeypatch)
    for number in range(1, MOST_STEPS):
        with disk.failing(number, broken=False):
            code = restore(data)
        said = capsys.readouterr().err
        if code == 0:
            assert content(data) == {"new"}, f"step {number} failed"
            assert kept(data) == ["old"]
            if not disk.failed:
                return
            start_over(data)
            continue
        if "Everything is restored, but" in said:
            assert (content(data), left(data)) == ({"new"}, [UNFINISHED])
            (data / UNFINISHED).unlink()
            start_over(data)
            continue
        assert "No space left" in said or "cannot be" in said
        assert (content(data), is_refused(data)) == ({"old"}, False), f"step {number} failed"
        assert not left(data)
    raise AssertionError("it never passes")


def test_a_restore_that_is_killed_or_whose_disk_breaks_is_not_taken_for_whole(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disk, half = Disk(monkeypatch), 0
    for number in range(1, MOST_STEPS):
        with disk.failing(number, broken=True):
            code = restore(data)
        said = capsys.readouterr().err
        if is_refused(data):
            assert code == 1
            assert UNFINISHED in said, "what is to be done is said"
            if content(data) not in ({"old"}, {"new"}):
                half += 1
                assert half > 1 or main(["backup", str(data.parent / "half.tar")]) == 1
                assert not (data.parent / "half.tar").exists()
        else:
            assert content(data) == ({"old"} if code else {"new"}), f"step {number} failed: {said}"
        failed = disk.failed
        if code and not is_refused(data) and number % 5:
            continue  # nothing has begun
        assert restore(data) == 0
        assert (content(data), is_refused(data), left(data)) == ({"new"}, False, [])
        assert "old" in kept(data), "nothing is lost"
        capsys.readouterr()
        if not failed:
            assert half >= 2
            return
        start_over(data)
    raise AssertionError("it never passes")


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("catalog", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_a_backup_whose_disk_fails_is_whole_or_was_not_made(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], catalog: bool, broken: bool
) -> None:
    if catalog:
        fill(data / "catalog", [1, 2])
    whole = data.parent / "b.tar"
    before = whole.read_bytes()
    disk = Disk(monkeypatch)
    for number in range(1, MOST_STEPS):
        with disk.failing(number, broken=broken):
            code = main(["backup", str(whole), "--force"])
        said = capsys.readouterr().err
        assert content(data) == {"old"}
        if code:
            assert whole.read_bytes() == before, f"step {number} failed"
            assert "cannot be" in said
            continue
        assert restore(data) == 0
        assert content(data) == {"old"}
        if not disk.failed:
            assert [path.name for path in data.parent.iterdir() if path.name.endswith(".part")] == []
            return
        whole.write_bytes(before)
    raise AssertionError("it never passes")
