"""`catalog prune` takes out what is gone, unless a disk may not be mounted; `exclude` keeps files out."""

import errno
import json
import os
from pathlib import Path

import pytest

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import IngestReport, Sync, ingest
from fingerprint.catalog.missing import plan_pruning
from fingerprint.catalog.rebuild import rebuild
from fingerprint.catalog.tracks import Source, TrackEntry
from server.cli import main
from tests.unit.catalog.test_sync import STAND_IN, Shelf, rename


def entry(number: int, *sources: Source) -> TrackEntry:
    return TrackEntry(id=f"{number:012x}", duration_seconds=4.0, sources=sources)


def shelf_of(folder: Path, files: int, gone: int, *, root: str | None = None) -> list[TrackEntry]:
    """Tracks with a file each in a folder, of which some are marked as missing, and are."""
    found: list[TrackEntry] = []
    for number in range(files):
        path = folder / f"{number}.mp3"
        if number >= gone and folder.exists():
            path.touch()
        missing = 5.0 if number < gone else None
        found.append(
            entry(
                number, Source(path=str(path), root=str(folder) if root is None else root, missing_since=missing)
            )
        )
    return found


@pytest.mark.parametrize(
    ("files", "gone", "mounted", "refused"),
    [
        (40, 8, True, False),  # a fifth
        (40, 11, True, True),  # more, and more than ten
        (40, 10, True, False),  # ten files are what one deletes by hand
        (100, 50, True, True),  # half of the library
        (11, 11, True, True),  # an empty mount point
        (3, 3, True, False),  # the folder is there, and had no more
        (3, 3, False, True),  # the folder itself is not there
        (40, 8, False, False),
        (2, 1, False, False),
        (100, 100, False, True),
    ],
)
def test_too_many_that_are_gone_look_like_a_disk_that_is_not_mounted(
    tmp_path: Path, files: int, gone: int, mounted: bool, refused: bool
) -> None:
    folder = tmp_path / "music"
    if mounted:
        folder.mkdir()
    plan = plan_pruning(shelf_of(folder, files, gone))
    assert [number for _, number in plan.unmounted] == ([gone] if refused else [])
    assert len(plan.gone) == gone


def test_each_folder_is_judged_by_itself(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    large, small = shelf_of(tmp_path / "large", 200, 0), shelf_of(tmp_path / "small", 12, 12)
    alone = shelf_of(tmp_path / "alone", 11, 11, root="")
    assert plan_pruning([*large, *small, *alone]).unmounted == (("", 11), (str(tmp_path / "small"), 12))


def test_files_that_were_imported_or_are_back_stay(tmp_path: Path) -> None:
    back, gone = tmp_path / "back.mp3", tmp_path / "gone.mp3"
    back.touch()
    plan = plan_pruning(
        [
            entry(1, Source(path=str(back), missing_since=5.0)),
            entry(2, Source(path=str(gone), missing_since=5.0), Source(path="theirs.mp3", owner="Harbour")),
            entry(3, Source(path=str(gone / "below"), missing_since=5.0), Source(path=str(back))),
            entry(4, Source(path=str(gone), missing_since=5.0)),
        ]
    )
    assert (plan.gone, plan.back) == ({f"{4:012x}"}, 1)
    assert [[source.path for source in changed.sources] for changed in plan.changed] == [
        ["theirs.mp3"],
        [str(back)],
    ]


def test_prune_refuses_in_one_line_until_it_is_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shelf = Shelf(tmp_path)
    shelf.write(a="music 1 Low Tide", b="music 2 Harbour", c="music 3")
    shelf.add()
    shelf.music.rename(tmp_path / "away")
    shelf.music.mkdir()
    shelf.sync(force=True)
    shelf.music.rmdir()
    at = ["--catalog", str(shelf.catalog)]
    assert main(["catalog", "prune", "--json", *at]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"removed": []}
    assert err.count("\n") == 1
    assert f"3 of {shelf.music}" in err
    assert len(shelf.entries()) == 3
    # The disk is mounted again: nothing is taken out, and the next sync finds all.
    (tmp_path / "away").rename(shelf.music)
    assert main(["catalog", "prune", *at]) == 0
    out, err = capsys.readouterr()
    assert out == "0 tracks removed.\n"
    assert "3 files marked as missing are there again" in err
    assert shelf.sync().already == 3
    assert not any(each.missing for each in shelf.entries())
    shelf.music.rename(tmp_path / "away")
    shelf.music.mkdir()
    shelf.sync(force=True)
    shelf.music.rmdir()
    assert main(["catalog", "prune", "--force", *at]) == 0
    assert shelf.entries() == []


def exclude(shelf: Shelf, *patterns: str) -> None:
    assert main(["catalog", "exclude", *patterns, "--catalog", str(shelf.catalog)]) == 0


def counts(report: IngestReport) -> dict[str, int]:
    names = ("added", "already", "moved", "updated", "gone", "excluded")
    return {name: number for name in names if (number := getattr(report, name))}


def test_what_is_excluded_stays_out_when_it_is_moved_retagged_and_made_again_and_comes_back(
    tmp_path: Path,
) -> None:
    shelf = Shelf(tmp_path)
    shelf.write(a="music 1 Low Tide", b="music 2 Harbour", c="music 3")
    shelf.add()
    ids = shelf.ids()
    (shelf.music / "demos").mkdir()
    exclude(shelf, "demos/")

    # Moved into a folder that is left out: neither missing for ever, nor found there.
    rename(shelf, "a", "demos/a")
    assert counts(shelf.sync()) == {"already": 2, "gone": 1}
    assert main(["catalog", "prune", "--catalog", str(shelf.catalog)]) == 0
    assert shelf.shown() == {"b": "Harbour", "c": "c"}
    # Retagged there, and moved out again.
    shelf.write(**{"demos/a": "music 1 High Tide"})
    assert counts(shelf.sync()) == {"already": 2}
    rename(shelf, "demos/a", "z")
    assert counts(shelf.sync()) == {"added": 1, "already": 2}
    assert shelf.shown() == {"z": "High Tide", "b": "Harbour", "c": "c"}
    assert shelf.ids()["z"] == ids["a"]

    # A pattern for what is there: out with the next sync, also after a rebuild; nothing of it is missing.
    exclude(shelf, "b.mp3")
    assert rebuild(shelf.catalog, workers=1, program=STAND_IN).swapped
    assert Catalog(shelf.catalog).snapshot().manifest.excluded == ("demos/", "b.mp3")
    assert counts(shelf.sync()) == {"already": 2, "excluded": 1}
    assert set(shelf.shown()) == {"z", "c"}
    shelf.write(b="music 2 Haven")
    assert counts(shelf.sync()) == {"already": 2}

    # Taken back, with its new tags and its old id.
    exclude(shelf, "--remove", "b.mp3")
    assert counts(shelf.sync()) == {"added": 1, "already": 2}
    assert shelf.shown()["b"] == "Haven"
    assert shelf.ids()["b"] == ids["b"]
    assert Catalog(shelf.catalog).verify() == []


def test_a_folder_that_is_excluded_by_its_path_is_taken_out_whole(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.write(**{name: f"music {number}" for number, name in enumerate("abcdefgh")})
    (shelf.music / "live").mkdir()
    shelf.write(**{f"live/{name}": f"music {number}" for number, name in enumerate("abcdefghijklmno", 20)})
    shelf.add()
    exclude(shelf, f"{shelf.music}/live")
    report = ingest(shelf.catalog, [shelf.music], program=STAND_IN, workers=1, sync=Sync(dry_run=True))
    assert counts(report) == {"already": 8, "excluded": 15}
    assert len(shelf.entries()) == 23
    assert counts(shelf.sync()) == {"already": 8, "excluded": 15}
    assert len(shelf.entries()) == 8


@pytest.mark.parametrize(
    ("number", "gone"),
    [
        *((errno.ENOENT, True), (errno.ENOTDIR, True), (errno.ELOOP, True)),
        *((errno.ESTALE, False), (errno.EIO, False), (errno.EACCES, False), (errno.ENOTCONN, False)),
    ],
)
def test_a_file_that_cannot_be_looked_at_now_is_not_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, number: int, gone: bool
) -> None:
    plan = shelf_of(tmp_path / "music", 1, 1)

    def refuse(path: object) -> os.stat_result:
        raise OSError(number, os.strerror(number), path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", refuse)
        found = plan_pruning(plan)
    assert (len(found.gone), found.back) == ((1, 0) if gone else (0, 1))
