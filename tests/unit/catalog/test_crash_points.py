"""A writer that is killed, or finds the disk full, at any of its writes: the catalog holds what it held."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import CatalogError
from fingerprint.catalog.segment_writer import SegmentWriter
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.writer import CatalogWriter
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import as_format_1, entry

Change = Callable[[CatalogWriter], None]
LIMIT = 60
EARLIER = ("00000001.seg", "00000002.seg", "00000003.seg")


def add_and_describe(writer: CatalogWriter) -> None:
    """One more file, so that four are merged, and new words for another track."""
    known = next(writer.snapshot().entries())
    source = replace(known.preferred, tags=Tags(title="New words"))
    writer.add([entry(9, tune(1, 3.0))], describing=[known.with_sources([source])])


def upgrade(_writer: CatalogWriter) -> None:
    """Entering the writer has done it."""


def state(directory: Path) -> set[tuple[str, str]]:
    return {(found.title, found.path) for found in Catalog(directory).snapshot().tracks()}


@pytest.fixture(scope="module", params=[add_and_describe, upgrade])
def change(request: pytest.FixtureRequest) -> Change:
    return request.param


@pytest.fixture
def before(change: Change, tmp_path: Path) -> Path:
    directory = tmp_path / "before"
    for number in range(3):
        with CatalogWriter(directory) as writer:
            writer.add([entry(number, tune(number, 3.0))])
    if change is upgrade:
        as_format_1(directory)
    return directory


class WritePoints:
    """Counts a writer's calls that change the disk, and has one of them fail half-way."""

    def __init__(self, patched: pytest.MonkeyPatch, fail: Callable[[], None], at: int) -> None:
        self._fail, self._left = fail, at
        self.reached = False
        for name in ("fsync", "replace", "unlink"):
            patched.setattr(os, name, self._counted(getattr(os, name)))
        write = SegmentWriter._write  # pyright: ignore[reportPrivateUsage] - a part of it is written

        def write_half(writer: SegmentWriter, raw: bytes) -> None:
            if self._due():
                write(writer, raw[: len(raw) // 2])
                self._fail()
            write(writer, raw)

        patched.setattr(SegmentWriter, "_write", write_half)

    def _counted(self, call: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: object, **named: object) -> None:
            if self._due():
                self._fail()
            call(*arguments, **named)

        return counted

    def _due(self) -> bool:
        self._left -= 1
        self.reached = self.reached or self._left == 0
        return self._left == 0


def die() -> None:
    os._exit(9)


def be_full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def check(directory: Path, before: set[tuple[str, str]], after: set[tuple[str, str]]) -> None:
    assert state(directory) in (before, after)
    assert Catalog(directory).verify() == []
    # The next command goes on, and clears up.
    with CatalogWriter(directory):
        pass
    assert state(directory) in (before, after)
    left = {path.name for path in directory.iterdir()} - Catalog(directory).snapshot().manifest.files
    # Files of an earlier version are not known to be this catalog's once the manifest does not list them.
    assert left <= {"manifest.json", "writer.lock", *(EARLIER if before == after else ())}


def results(before: Path, change: Change) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    done = before.with_name("done")
    shutil.copytree(before, done)
    with CatalogWriter(done) as writer:
        change(writer)
    return state(before), state(done)


def test_a_kill_at_any_write_leaves_the_old_or_the_new_catalog(before: Path, change: Change) -> None:
    old, new = results(before, change)
    for at in range(1, LIMIT):
        directory = before.with_name(f"kill {at}")
        shutil.copytree(before, directory)
        child = os.fork()
        if child == 0:
            try:
                with pytest.MonkeyPatch.context() as patched:
                    WritePoints(patched, die, at)
                    with CatalogWriter(directory) as writer:
                        change(writer)
            finally:
                os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        check(directory, old, new)
        shutil.rmtree(directory)
        if status == 0:
            return
    raise AssertionError("there are more writes than were tried")


def test_a_disk_that_is_full_at_any_write_leaves_the_old_or_the_new_catalog(before: Path, change: Change) -> None:
    old, new = results(before, change)
    for at in range(1, LIMIT, 3):
        directory = before.with_name(f"full {at}")
        shutil.copytree(before, directory)
        with pytest.MonkeyPatch.context() as patched:
            points = WritePoints(patched, be_full, at)
            with contextlib.suppress(CatalogError), CatalogWriter(directory) as writer:
                change(writer)
        check(directory, old, new)
        shutil.rmtree(directory)
        if not points.reached:
            return
    raise AssertionError("there are more writes than were tried")


def test_a_first_catalog_that_was_killed_can_be_begun_again(tmp_path: Path) -> None:
    for at in range(1, LIMIT):
        directory = tmp_path / str(at)
        child = os.fork()
        if child == 0:
            try:
                with pytest.MonkeyPatch.context() as patched:
                    WritePoints(patched, die, at)
                    with CatalogWriter(directory) as writer:
                        writer.add([entry(1, tune(1, 3.0))])
            finally:
                os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with CatalogWriter(directory) as writer:
            writer.add([entry(2, tune(1, 3.0))])
        assert "Song 2" in {title for title, _ in state(directory)}
        assert Catalog(directory).verify() == []
        if status == 0:
            return
    raise AssertionError("there are more writes than were tried")
