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
        ".twitchaudioignore": ("it is not a file, so its patterns are not read", True),
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


def left_out(folder: Path, patterns: bytes) -> tuple[set[str], list[str]]:
    """The files that a folder's patterns leave, and what is said of them."""
    (folder / ".twitchaudioignore").write_bytes(patterns)
    found = walk([folder])
    reasons = [item.reason for item in found.skipped]
    assert not any(item.by_choice for item in found.skipped)
    return {Path(file.path).name for file in found.files}, reasons


def test_patterns_are_read_whatever_program_wrote_them_and_what_is_none_is_named(tmp_path: Path) -> None:
    for name in ("D\u00e9mo", "D\u00e9mo".encode("cp1252").decode("utf-8", "surrogateescape"), "De\u0301mo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "song.flac").touch()
    (tmp_path / "keep.wav").touch()
    (tmp_path / "keep.mp3").touch()
    text = "# D\u00e9mos\r\nD\u00e9mo/\r\n*.wav\r\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        # The name in bytes of Windows is another one to a pattern in Unicode.
        assert left_out(tmp_path, text.encode(encoding)) == ({"song.flac", "keep.mp3"}, []), encoding
        assert len(walk([tmp_path]).files) == 2, encoding
    assert left_out(tmp_path, text.encode("cp1252")) == ({"keep.mp3"}, [])
    assert left_out(tmp_path, text.replace("\r\n", "\r").encode("cp1252")) == ({"keep.mp3"}, [])
    files, reasons = left_out(tmp_path, b"[z-a].flac\n!\n\n  \n/\n# [z-a]\n*.flac\n")
    assert files == {"keep.mp3", "keep.wav"}
    assert reasons == [
        f"line {number} is not a pattern that a file can fit: {line!r}"
        for number, line in ((1, "[z-a].flac"), (2, "!"), (5, "/"))
    ]
    assert left_out(tmp_path, b"")[1] == []
    files, reasons = left_out(tmp_path, b"*.flac\n" + b"# much\n" * 150_000 + b"*.wav\n")
    assert (files, reasons) == ({"keep.mp3", "keep.wav"}, ["of its patterns, the first 1 MiB are used"])


def test_a_pattern_of_the_catalog_fits_names_with_accents_in_either_form(tmp_path: Path) -> None:
    (tmp_path / "Cafe\u0301.flac").touch()
    for pattern in ("Caf\u00e9.flac", "Cafe\u0301.*", f"{tmp_path}/Caf\u00e9.flac"):
        assert walk([tmp_path], excluded=[pattern]).files == []
    assert len(walk([tmp_path], excluded=["Cafe.flac"]).files) == 1
