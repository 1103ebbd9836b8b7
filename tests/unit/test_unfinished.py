"""Rooms beside what is being made: gone afterwards, and those of killed programs with the next one."""

import os
import signal
from pathlib import Path

import pytest

from fingerprint import unfinished
from fingerprint.catalog.index import Catalog
from fingerprint.unfinished import ABANDONED_SECONDS, LOCK_NAME, clear_left, room_beside
from server.cli import main
from tests.unit.catalog.shelf import fill


def left_room(folder: Path) -> Path:
    """A room of a program that was killed."""
    child = os.fork()
    if child == 0:
        with room_beside(folder / "x") as room:
            (room / "deep").mkdir()
            (room / "deep" / "part").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (room,) = folder.glob(".twitchaudio-*.part")
    return room


def test_a_room_is_gone_after_use_and_one_that_was_left_with_the_next_one(tmp_path: Path) -> None:
    left = left_room(tmp_path)
    with room_beside(tmp_path / "a") as first, room_beside(tmp_path / "b") as second:
        assert set(tmp_path.iterdir()) == {first, second}
        assert not left.exists()
        clear_left(tmp_path)
        assert {path.name for path in first.iterdir()} == {LOCK_NAME}
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError), room_beside(tmp_path / "a") as first:
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_what_only_looks_like_a_room_stays(tmp_path: Path) -> None:
    left = left_room(tmp_path)
    whole = {path.name: path.read_bytes() for path in left.iterdir() if path.is_file()}
    for number, header in enumerate([b"mine", b"TwitchAudio", b""]):
        room = tmp_path / f".twitchaudio-0000000{number}.part"
        room.mkdir()
        (room / LOCK_NAME).write_bytes(header)
        (room / "thesis.txt").write_text("my thesis")
    (tmp_path / ".twitchaudio-00000003.part").mkdir()
    (tmp_path / ".twitchaudio-00000003.part" / "thesis.txt").write_text("my thesis")
    (tmp_path / ".twitchaudio-00000004.part").write_text("a file")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, content in whole.items():
        (elsewhere / name).write_bytes(content)
    (tmp_path / ".twitchaudio-00000005.part").symlink_to(elsewhere)
    (tmp_path / ".twitchaudio-00000006.part").mkdir()
    (tmp_path / ".twitchaudio-00000006.part" / LOCK_NAME).symlink_to(elsewhere / LOCK_NAME)
    (tmp_path / ".twitchaudio-0000000.part").mkdir()
    before = set(tmp_path.rglob("*")) - {left, *left.rglob("*")}
    clear_left(tmp_path)
    assert set(tmp_path.rglob("*")) == before
    # A link in a room that was left leads nowhere.
    left = left_room(elsewhere)
    (left / "link").symlink_to(tmp_path)
    clear_left(elsewhere)
    assert {path.name for path in elsewhere.iterdir()} == {LOCK_NAME}


def test_rooms_without_content_go_and_those_of_other_machines_when_they_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".twitchaudio-00000001.part").mkdir()
    (tmp_path / ".twitchaudio-00000002.part").mkdir()
    (tmp_path / ".twitchaudio-00000002.part" / LOCK_NAME).touch()
    clear_left(tmp_path)
    assert list(tmp_path.iterdir()) == []
    left = left_room(tmp_path)
    monkeypatch.setattr(unfinished.platform, "node", lambda: "another")
    clear_left(tmp_path)
    assert left.is_dir()
    # Where there are no locks, age alone tells.
    monkeypatch.undo()
    monkeypatch.setattr(unfinished, "fcntl", None)
    clear_left(tmp_path)
    assert left.is_dir()
    old = (left / LOCK_NAME).stat().st_mtime - ABANDONED_SECONDS - 10
    os.utime(left / LOCK_NAME, (old, old))
    clear_left(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_version_left_of_an_export_goes_when_it_is_old(tmp_path: Path) -> None:
    fill(tmp_path / "c", [1])
    begin = b'{"twitchaudio_export":1,"fingerprint":"landmarks'
    ours = {1: begin, 2: b"", 3: begin[:5]}
    others = {4: b"my thesis", 5: begin}
    for number, content in {**ours, **others}.items():
        (tmp_path / f".twitchaudio-0000000{number}.tmp").write_bytes(content)
    (tmp_path / "thesis").write_bytes(begin)
    (tmp_path / ".twitchaudio-00000006.tmp").symlink_to("thesis")
    (tmp_path / "00000001.tmp").write_bytes(begin)
    for path in tmp_path.iterdir():
        if path.name != ".twitchaudio-00000005.tmp":
            old = path.stat().st_mtime - ABANDONED_SECONDS - 10
            os.utime(path, (old, old), follow_symlinks=False)
    before = {path.name for path in tmp_path.iterdir()}
    assert main(["catalog", "export", str(tmp_path / "new"), "--catalog", str(tmp_path / "c")]) == 0
    gone = {f".twitchaudio-0000000{number}.tmp" for number in ours}
    assert {path.name for path in tmp_path.iterdir()} == before - gone | {"new"}


@pytest.mark.parametrize("command", ["export", "backup"])
def test_a_catalog_command_that_was_killed_leaves_nothing_for_long(command: str, tmp_path: Path) -> None:
    fill(tmp_path / "c", [1])
    words = ["catalog", command, str(tmp_path / "new"), "--catalog", str(tmp_path / "c")]
    child = os.fork()
    if child == 0:
        try:
            os.fsync = lambda _handle: os.kill(os.getpid(), signal.SIGKILL)
            main(words)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(list(tmp_path.glob(".twitchaudio-*.part"))) == 1
    assert main(words) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"c", "new"}
    assert command == "export" or Catalog(tmp_path / "new").verify() == []


def test_a_restore_that_was_killed_leaves_no_second_copy(tmp_path: Path) -> None:
    fill(tmp_path / "c", [1])
    assert main(["catalog", "backup", str(tmp_path / "copy"), "--catalog", str(tmp_path / "c")]) == 0
    words = ["catalog", "restore", str(tmp_path / "copy"), "--force", "--catalog", str(tmp_path / "c")]
    for at in range(5):
        (tmp_path / "c" / "manifest.json").write_text("{")
        child = os.fork()
        if child == 0:
            try:
                die_after_renames(at)
                main(words)
            finally:
                os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert main(words) == 0
        assert Catalog(tmp_path / "c").verify() == []
        assert not list((tmp_path / "c").glob(".twitchaudio-*.part"))
        if status == 0:
            return
    raise AssertionError("there are more renames than were tried")


def die_after_renames(number: int) -> None:
    left, rename = iter(range(number, -1, -1)), os.rename

    def die(old: str, new: str) -> None:
        rename(old, new)
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    os.rename = die
