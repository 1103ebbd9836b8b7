import os
import stat
from pathlib import Path

import pytest

from fingerprint.catalog.walk import walk


def test_what_is_no_file_is_named_and_never_opened(tmp_path: Path) -> None:
    for name in ("pipe.wav", "cover.jpg", "noise.bin"):
        os.mkfifo(tmp_path / name)
    os.mknod(tmp_path / "s.mp3", 0o600 | stat.S_IFSOCK)
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "self").symlink_to(".")
    (tmp_path / ".twitchaudioignore").mkdir()
    (tmp_path / "song.wav").write_bytes(b"")
    found = walk([tmp_path])
    assert [Path(file.path).name for file in found.files] == ["song.wav"]
    assert {item.path.name: (item.reason, item.by_choice) for item in found.skipped} == {
        "pipe.wav": ("it is a FIFO, no file", True),
        "cover.jpg": ("it is a FIFO, no file", True),
        "noise.bin": ("it is a FIFO, no file", True),
        "s.mp3": ("it is a socket, no file", True),
        "zero.wav": ("it is a device, no file", True),
        "gone.wav": ("it is a link to a file that does not exist", False),
        "loop.wav": ("it cannot be read: Too many levels of symbolic links", False),
        "self": ("it is a link to a folder, which is not followed: name the folder itself", True),
        ".twitchaudioignore": ("it is no file, so its patterns are not read", True),
    }
    named = walk([tmp_path / "pipe.wav"])
    assert [(item.reason, item.by_choice) for item in named.skipped] == [("it is a FIFO, no file", False)]


def test_a_folder_with_paths_too_long_to_open_leaves_out_only_those(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{'a' * 251}.wav").touch()
    monkeypatch.chdir(tmp_path)
    for _ in range(18):
        Path("e" * 240).mkdir()
        monkeypatch.chdir("e" * 240)
    Path("deep.wav").touch()
    monkeypatch.chdir(tmp_path)
    found = walk([tmp_path])
    assert [len(Path(file.path).name) for file in found.files] == [255]
    assert [item.reason for item in found.skipped] == ["the folder cannot be read: File name too long"]
    assert len(found.closed) == 1
