"""The disk is full at any write of any command: one line, a failed status, and nothing is lost."""

import builtins
import contextlib
import errno
import io
import os
import shutil
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from fingerprint.catalog import exchange
from fingerprint.catalog import ingest as ingesting
from fingerprint.catalog.cover_reader import KeepCover
from fingerprint.catalog.file_outcomes import FileOutcome, Read, Wanted
from fingerprint.catalog.fingerprint import fingerprint_track
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tracks import Source, TrackEntry
from fingerprint.catalog.writer import CatalogWriter
from server.cli import main
from tests.pictures import picture
from tests.unit.catalog.music import tune

COMMANDS: Final = (
    "add MUSIC --failed NEW",
    "sync MUSIC",
    "rebuild",
    "remove --search Song",
    "prune --force",
    "exclude demos/",
    "export NEW",
    "export SONGS",
    "backup NEW",
    "import SONGS --owner Harbour",
    "restore COPY --force",
)
MAX_WRITES: Final = 120
_CHANGES: Final = ("fsync", "replace", "rename", "link", "mkdir", "ftruncate")


class FullDisk:
    """Has one call in this process that would make the disk fuller fail, and those that follow, too."""

    def __init__(self, patched: pytest.MonkeyPatch, at: int) -> None:
        self._left = at
        for name in _CHANGES:
            patched.setattr(os, name, self._checked(getattr(os, name)))
        for module in (io, builtins):
            patched.setattr(module, "open", self._opening(module.open))
        patched.setattr(os, "open", self._creating(os.open))

    @property
    def is_full(self) -> bool:
        return self._left <= 0

    def check(self) -> None:
        self._left -= 1
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _checked(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*arguments: Any, **named: Any) -> Any:
            self.check()
            return call(*arguments, **named)

        return checked

    def _creating(self, call: Callable[..., int]) -> Callable[..., int]:
        def creating(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
            if flags & os.O_CREAT and not os.path.lexists(path):
                self.check()
            return call(path, flags, *arguments, **named)

        return creating

    def _opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def opening(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if isinstance(file, int) or not set("wxa+") & set(mode):
                return call(file, mode, *arguments, **named)
            self.check()
            return _Checked(call(file, mode, *arguments, **named), self)

        return opening


class _Checked:
    """A file whose first two writes are checked, for others are alike; of one that fails, a half is written."""

    def __init__(self, file: Any, disk: FullDisk) -> None:
        self._file, self._disk, self._writes = file, disk, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Checked":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> int:
        self._writes += 1
        try:
            if self._writes <= 2 or self._disk.is_full:
                self._disk.check()
        except OSError:
            self._file.write(content[: len(content) // 2])
            raise
        return self._file.write(content)


def read_one(
    wanted: Sequence[Wanted], *_arguments: object, **named: Any
) -> Generator[Sequence[FileOutcome] | None]:
    """Instead of workers, which write nothing: each file is a new recording with a cover."""
    for number, each in enumerate(wanted):
        cover = named["keep_cover"](picture(seed=7)) if named["keep_cover"] else ""
        status = each.path.stat()
        source = Source(
            path=str(each.path), root=each.root, size=status.st_size, modified_ns=status.st_mtime_ns,
            changed_ns=status.st_ctime_ns, inode=status.st_ino, tags=Tags(title="New"), cover=cover,
        )  # fmt: skip
        yield [Read(each.path, source, fingerprint_track([tune(50 + number, 3.0)]))]


def keep_parts(
    file: io.BufferedReader, spans: Sequence[tuple[int, int]], keep: KeepCover, _program: Sequence[str]
) -> list[str]:
    """Likewise: the pictures of an import are kept as they are."""
    names: list[str] = []
    for start, size in spans:
        file.seek(start)
        names.append(keep(file.read(size)))
    return names


def fill(folder: Path) -> None:
    """Three index files, a cover, and a file that is gone."""
    for number in (1, 2, 3):
        with CatalogWriter(folder) as writer:
            fingerprint = fingerprint_track([tune(number, 3.0)])
            source = Source(
                path=f"/music/{number}.flac",
                tags=Tags(title=f"Song {number}"),
                cover=writer.keep_cover(picture(seed=number)) if number == 1 else "",
                missing_since=5.0 if number == 3 else None,
            )
            entry = TrackEntry(id=fingerprint.track_id, duration_seconds=3.0, sources=(source,))
            writer.add([(entry, fingerprint)])


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shelf")
    (root / "music").mkdir()
    (root / "music" / "new.mp3").write_text("new")
    fill(root / "good")
    at = ["--catalog", str(root / "good")]
    assert main(["catalog", "export", str(root / "songs"), *at]) == 0
    assert main(["catalog", "backup", str(root / "copy"), *at]) == 0
    return root


def held(catalog: Path) -> set[tuple[str, str | None, str | None]]:
    snapshot = Catalog(catalog, any_fingerprint=True).snapshot()
    return {(entry.id, entry.track.title, entry.cover) for entry in snapshot.entries()}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_at_any_write_is_said_in_one_line_and_loses_nothing(
    command: str, shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "read_files", read_one)
    monkeypatch.setattr(exchange, "read_parts", keep_parts)
    before, results = held(shelf / "good"), set[frozenset[tuple[str, str | None, str | None]]]()
    for at in range(1, MAX_WRITES):
        root = tmp_path / str(at)
        catalog = root / "catalog"
        shutil.copytree(shelf / "good", catalog)
        shutil.copy(shelf / "songs", root / "songs")
        names = {"NEW": root / "new", "MUSIC": shelf / "music", "SONGS": root / "songs", "COPY": shelf / "copy"}
        words = [str(names.get(word, word)) for word in command.split()]
        capsys.readouterr()
        with monkeypatch.context() as patched:
            disk = FullDisk(patched, at)
            status = main(["catalog", *words, "--catalog", str(catalog)])
        out, err = capsys.readouterr()
        said = f"write {at}: {status} {out!r} {err!r}"
        assert Catalog(catalog, any_fingerprint=True).verify() == [], said
        if not disk.is_full:
            assert status == 0, said
            assert results <= {frozenset(held(catalog))}
            break
        lines = err.splitlines()
        assert (status, len(lines)) in ((1, 1), (0, 0)), said
        assert status == 0 or "full" in lines[0] or "No space left" in lines[0], said
        if status == 0:
            # There was no room to merge index files: the change itself was made.
            results.add(frozenset(held(catalog)))
        if not command.startswith(("remove", "prune", "restore")):
            assert before <= held(catalog), said
        assert (root / "songs").read_bytes() == (shelf / "songs").read_bytes(), said
        if command.startswith(("export", "backup")):
            assert {path.name for path in root.iterdir()} == {"catalog", "songs"}, said
        # Once there is room, the same command does it, if it was not done.
        assert main(["catalog", *words, "--catalog", str(catalog)]) == 0 or not held(catalog), said
        results.add(frozenset(held(catalog)))
        assert Catalog(catalog, any_fingerprint=True).verify() == [], said
        shutil.rmtree(root)
    else:
        raise AssertionError("there are more writes than were tried")


@pytest.mark.parametrize("command", ["list", "list --json", "stats", "verify", "missing"])
def test_an_output_that_finds_no_room_is_said(
    command: str, shelf: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:  # noqa: PTH123 - a device that takes nothing
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["catalog", *command.split(), "--catalog", str(shelf / "good")]) == 1
    assert capsys.readouterr().err.splitlines()[-1:] == [
        "twitchaudio: The output cannot be written: the disk is full."
    ]
