"""What becomes of files that are moved, retagged, swapped, copied or gone; what is decoded, and what is not."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import IngestReport, Sync, ingest
from fingerprint.catalog.missing import plan_pruning
from fingerprint.catalog.tracks import TrackEntry
from fingerprint.catalog.walk import walk
from fingerprint.worker_pool import worker_program
from server.cli import main
from tests.unit.catalog.shelf import as_earlier_version

STAND_IN = worker_program("tests.unit.catalog.index_stand_in", 1 << 30)


class Shelf:
    """A folder of music, and the catalog of it."""

    def __init__(self, folder: Path) -> None:
        self.music, self.catalog = folder / "music", folder / "catalog"
        self.music.mkdir()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.music / f"{name}.mp3").write_text(text)

    def add(self) -> IngestReport:
        return ingest(self.catalog, [self.music], program=STAND_IN, workers=1)

    def sync(self, *, force: bool = False, dry_run: bool = False) -> IngestReport:
        sync = Sync(force=force, dry_run=dry_run)
        return ingest(self.catalog, [self.music], program=STAND_IN, workers=1, sync=sync)

    def entries(self) -> list[TrackEntry]:
        return list(Catalog(self.catalog).snapshot().entries())

    def shown(self) -> dict[str, str]:
        """Each track's title by its file's name."""
        return {Path(entry.track.path).stem: entry.track.title for entry in self.entries()}

    def ids(self) -> dict[str, str]:
        return {Path(entry.track.path).stem: entry.id for entry in self.entries()}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    shelf.write(a="music 1 Low Tide", b="music 2 Harbour", c="music 3")
    shelf.add()
    return shelf


def rename(shelf: Shelf, old: str, new: str) -> None:
    (shelf.music / f"{old}.mp3").rename(shelf.music / f"{new}.mp3")


@pytest.mark.parametrize("run", [Shelf.add, Shelf.sync])
def test_what_is_retagged_and_moved_gets_its_new_description_and_keeps_its_id(
    shelf: Shelf, run: Callable[[Shelf], IngestReport]
) -> None:
    before = shelf.ids()
    (shelf.music / "a.mp3").unlink()
    shelf.write(z="music 1 High Tide", b="music 2 Haven")
    report = run(shelf)
    assert (report.added, report.already, report.moved, report.updated) == (0, 3, 1, 2)
    assert shelf.shown() == {"z": "High Tide", "b": "Haven", "c": "c"}
    assert shelf.ids() == {"z": before["a"], "b": before["b"], "c": before["c"]}


def test_two_swapped_names_are_answered_right(shelf: Shelf) -> None:
    before = shelf.ids()
    rename(shelf, "a", "x")
    rename(shelf, "b", "a")
    rename(shelf, "x", "b")
    report = shelf.add()
    assert (report.added, report.already, report.replaced) == (0, 3, 0)
    assert shelf.shown() == {"a": "Harbour", "b": "Low Tide", "c": "c"}
    assert shelf.ids() == {"a": before["b"], "b": before["a"], "c": before["c"]}
    assert [len(entry.sources) for entry in shelf.entries()] == [1, 1, 1]


def test_a_renamed_file_without_a_title_is_called_by_its_new_name(shelf: Shelf) -> None:
    rename(shelf, "c", "07 Seagulls")
    shelf.add()
    assert shelf.shown()["07 Seagulls"] == "Seagulls"


def test_a_retag_that_keeps_time_and_size_is_seen(shelf: Shelf) -> None:
    path = shelf.music / "a.mp3"
    status = path.stat()
    path.write_text("music 1 Low Tune")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert shelf.add().updated == 1
    assert shelf.shown()["a"] == "Low Tune"


def test_a_file_that_is_only_touched_is_not_described_again(shelf: Shelf) -> None:
    os.utime(shelf.music / "a.mp3")
    report = shelf.add()
    assert (report.already, report.updated) == (3, 0)
    assert shelf.shown()["a"] == "Low Tide"


def test_a_file_that_may_still_be_copied_waits_and_is_not_missing(shelf: Shelf) -> None:
    shelf.write(new="music 9", a="music 1 Low Tide again")
    waiting = Sync(settle_seconds=1e6)
    report = ingest(shelf.catalog, [shelf.music], program=STAND_IN, workers=1, sync=waiting)
    assert (report.waiting, report.added, report.already, report.gone) == (2, 0, 2, 0)
    report = shelf.sync()
    assert (report.waiting, report.added, report.updated) == (0, 1, 1)
    # The clock of a file server that is ahead holds nothing up.
    shelf.write(newest="music 10")
    os.utime(shelf.music / "newest.mp3", (4e9, 4e9))
    assert shelf.sync().added == 1


def test_a_library_that_has_not_changed_is_walked_once_and_no_file_is_opened(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (shelf.music / str(number)).mkdir()
        shelf.write(**{f"{number}/x": f"music {10 + number}"})
    (shelf.music / "cover.jpg").write_bytes(b"no picture")
    shelf.add()
    read: list[str] = []
    for name in ("scandir", "listdir"):
        call = getattr(os, name)

        def noted(path: str | Path = ".", call: Callable[[str | Path], object] = call) -> object:
            if str(path).startswith(str(shelf.music)):
                read.append(str(path))
            return call(path)

        monkeypatch.setattr(os, name, noted)
    opened: list[str] = []
    open_file = os.open

    def open_noted(path: str | Path, *arguments: int, **named: int) -> int:
        opened.append(str(path))
        return open_file(path, *arguments, **named)

    monkeypatch.setattr(os, "open", open_noted)
    report = shelf.sync()
    assert (report.already, report.updated) == (8, 0)
    assert sorted(read) == sorted({str(shelf.music), *(str(shelf.music / str(number)) for number in range(5))})
    assert not [path for path in opened if path.startswith(str(shelf.music))]


def test_sidecars_are_followed_to_the_new_place_and_when_they_are_taken_away(shelf: Shelf) -> None:
    table = shelf.music / "tracks.csv"
    table.write_text("file,title,album\na.mp3,Sidecar,One\nsub/a.mp3,Below,Two\n")
    shelf.add()
    assert shelf.shown()["a"] == "Sidecar"
    (shelf.music / "sub").mkdir()
    rename(shelf, "a", "sub/a")
    report = shelf.add()
    assert (report.added, report.moved) == (0, 1)
    assert shelf.shown()["a"] == "Below"
    table.write_text("file,title,album,label\na.mp3,Sidecar,One,X\n")
    assert shelf.add().updated == 1
    assert shelf.shown()["a"] == "Low Tide"
    table.unlink()
    report = shelf.add()
    assert (report.added, report.already, report.updated) == (0, 3, 0)


def test_copies_are_one_track_with_the_best_description(shelf: Shelf) -> None:
    shelf.write(d="music 3 Named", e="music 1 Low Tide")
    report = shelf.add()
    assert (report.added, report.already, report.copies) == (0, 5, 2)
    assert shelf.shown() == {"a": "Low Tide", "b": "Harbour", "d": "Named"}
    assert sorted(len(entry.sources) for entry in shelf.entries()) == [1, 2, 2]
    (shelf.music / "d.mp3").unlink()
    assert shelf.sync().gone == 1
    assert shelf.shown()["c"] == "c"


def test_files_that_are_gone_are_marked_and_come_back(shelf: Shelf) -> None:
    rename(shelf, "a", "../a")
    report = shelf.sync()
    assert (report.gone, report.already, report.too_many_missing) == (1, 2, 0)
    assert [entry.missing for entry in shelf.entries()].count(True) == 1
    assert shelf.sync().gone == 0
    rename(shelf, "../a", "a")
    report = shelf.sync()
    assert (report.added, report.already) == (0, 3)
    assert not any(entry.missing for entry in shelf.entries())


def test_a_disk_that_is_not_mounted_is_not_taken_for_missing_music(shelf: Shelf) -> None:
    for name in ("a", "b", "c"):
        rename(shelf, name, f"../{name}")
    report = shelf.sync()
    assert (report.too_many_missing, report.gone) == (3, 0)
    assert not any(entry.missing for entry in shelf.entries())
    assert shelf.sync(force=True).gone == 3
    assert all(entry.missing for entry in shelf.entries())


def test_a_folder_that_was_renamed_is_moved_not_missing(shelf: Shelf) -> None:
    shelf.music.rename(shelf.music.with_name("old"))
    shelf.music.mkdir()
    shelf.music.with_name("old").rename(shelf.music / "new")
    report = shelf.sync()
    assert (report.added, report.moved, report.gone, report.too_many_missing) == (0, 3, 0, 0)


def test_a_dry_run_changes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    shelf.write(d="music 4 New", b="music 2 Haven")
    rename(shelf, "a", "z")
    before = {path: path.read_bytes() for path in shelf.catalog.iterdir()}
    report = shelf.sync(dry_run=True)
    assert (report.added, report.already, report.moved, report.updated) == (1, 3, 1, 1)
    assert {path: path.read_bytes() for path in shelf.catalog.iterdir()} == before
    ingest(tmp_path / "none", [shelf.music], program=STAND_IN, workers=1, sync=Sync(dry_run=True))
    assert not (tmp_path / "none").exists()


def test_a_copy_of_a_file_that_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.write(a="broken", b="broken", c="music 1", d="music 1")
    report = shelf.add()
    assert (report.added, report.already, len(report.failed)) == (1, 1, 2)


def test_an_ignore_file_leaves_music_out_and_takes_it_out(shelf: Shelf) -> None:
    (shelf.music / ".twitchaudioignore").write_text("# not these\n[ab].mp3\n!b.mp3\n")
    report = shelf.sync()
    assert (report.excluded, report.already) == (1, 2)
    assert set(shelf.shown()) == {"b", "c"}


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.wav", {"x/a.mp3", "x/live/b.mp3", "y/a.mp3"}),
        ("live/", {"x/a.mp3", "y/a.mp3", "y/c.wav"}),
        ("/x", {"y/a.mp3", "y/c.wav"}),
        ("x/a.mp3", {"x/live/b.mp3", "y/a.mp3", "y/c.wav"}),
        ("a.mp3", {"x/live/b.mp3", "y/c.wav"}),
        ("x/**", {"y/a.mp3", "y/c.wav"}),
        ("**/live", {"x/a.mp3", "y/a.mp3", "y/c.wav"}),
        ("?.mp3", {"y/c.wav"}),
        ("[!c].*", {"y/c.wav"}),
        ("# a.mp3", {"x/a.mp3", "x/live/b.mp3", "y/a.mp3", "y/c.wav"}),
        ("[", {"x/a.mp3", "x/live/b.mp3", "y/a.mp3", "y/c.wav"}),
    ],
)
def test_patterns_are_those_of_a_gitignore(tmp_path: Path, pattern: str, left: set[str]) -> None:
    for name in ("x/a.mp3", "x/live/b.mp3", "y/a.mp3", "y/c.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".twitchaudioignore").write_text(pattern)
    assert {str(Path(file.path).relative_to(tmp_path)) for file in walk([tmp_path]).files} == left
    (tmp_path / ".twitchaudioignore").unlink()
    found = walk([tmp_path], excluded=[pattern])
    if not pattern.startswith("/"):
        assert {str(Path(file.path).relative_to(tmp_path)) for file in found.files} == left


def test_what_is_no_file_and_what_cannot_be_entered_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "nowhere.mp3").symlink_to(tmp_path / "gone.mp3")
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    found = walk([tmp_path, tmp_path / "pipe.mp3"])
    assert not found.files
    reasons = {skipped.path.name: skipped.reason for skipped in found.skipped}
    assert "a FIFO" in reasons["pipe.mp3"]
    assert "does not exist" in reasons["nowhere.mp3"]
    assert "link to a folder" in reasons["linked"]


def test_a_catalog_of_an_earlier_version_is_upgraded_without_the_music(shelf: Shelf, tmp_path: Path) -> None:
    ids = shelf.ids()
    old_ids = as_earlier_version(shelf.catalog)
    assert shelf.ids() == old_ids
    assert shelf.shown() == {"a": "Low Tide", "b": "Harbour", "c": "c"}
    shelf.music.rename(tmp_path / "away")
    ingest(shelf.catalog, [], program=STAND_IN)
    assert shelf.ids() == ids
    assert {entry.id: entry.aliases for entry in shelf.entries()} == {ids[name]: (old_ids[name],) for name in ids}
    found = Catalog(shelf.catalog).track(old_ids["a"])
    assert found is not None
    assert found.title == "Low Tide"
    assert Catalog(shelf.catalog).verify() == []
    (tmp_path / "away").rename(shelf.music)
    shelf.write(b="music 2 Haven")
    report = shelf.add()
    # The third had its file's name for a title, which is not among its tags.
    assert (report.added, report.already, report.updated) == (0, 3, 2)
    assert shelf.shown() == {"a": "Low Tide", "b": "Haven", "c": "c"}
    assert shelf.ids() == ids


ODD_NAMES = {
    b"line\nbreak": "line break",
    b"tab\tand\x1b[31m": "tab and [31m",
    b"\x01": ".mp3",
    b"no \xff\xfe utf": "no utf",
    "\u202eturned".encode(): "turned",
    b"-rf": "-rf",
    b" spaces ": "spaces",
    b'"quoted", with\\signs;': '"quoted", with\\signs;',
    b"n" * 251: "n" * 251,
    "\U0001f600".encode() * 60: "\U0001f600" * 60,
    "e\u0301".encode(): "e\u0301",
    b"=cmd|x": "=cmd|x",
}


def test_files_with_odd_names_go_through_list_tables_export_and_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    for number, name in enumerate(ODD_NAMES):
        (shelf.music / os.fsdecode(name + b".mp3")).write_bytes(b"music %d" % number)
    assert shelf.add().added == len(ODD_NAMES)
    titles = {" ".join(track.title.split()) for track in Catalog(shelf.catalog).snapshot().tracks()}
    assert titles == set(ODD_NAMES.values())
    at = ["--catalog", str(shelf.catalog)]
    (tmp_path / "folder").mkdir()
    other = ["--catalog", str(tmp_path / "folder" / "other")]
    assert main(["catalog", "export", str(tmp_path / "songs"), *at]) == 0
    assert main(["catalog", "import", str(tmp_path / "songs"), "--owner", "X", *other]) == 0
    capsys.readouterr()
    shown: list[dict[str, str]] = []
    for place in (at, other):
        assert main(["catalog", "list", "--json", *place]) == 0
        tracks = map(json.loads, capsys.readouterr().out.splitlines())
        shown.append({track["id"]: f"{track['title']} {Path(track['path']).name}" for track in tracks})
    assert shown[0] == shown[1]
    assert all(text.encode() for text in shown[0].values()), "it can be sent"
    names = [os.fsdecode(name) for name in ODD_NAMES if name != b"\x01"]
    (shelf.music / "tracks.json").write_text(
        json.dumps([{"file": f"{name}.mp3", "title": f"Said {number}"} for number, name in enumerate(names)])
    )
    report = shelf.sync()
    assert (report.updated, report.skipped) == (len(names), [])


@pytest.mark.parametrize(
    "in_place", ["a link that leads nowhere", "a link to itself", "a FIFO", "a folder", "a file above"]
)
def test_what_took_a_files_place_is_not_the_file_and_nothing_is_removed_at_once(
    tmp_path: Path, in_place: str
) -> None:
    shelf = Shelf(tmp_path)
    (tmp_path / "disk").mkdir()
    (shelf.music / "album").mkdir()
    for number in range(4):
        (tmp_path / "disk" / f"{number}.mp3").write_text(f"music {number}")
        (shelf.music / "album" / f"{number}.mp3").symlink_to(tmp_path / "disk" / f"{number}.mp3")
    assert shelf.sync().added == 4
    # The disk that the links lead to is not mounted.
    (tmp_path / "disk").rename(tmp_path / "away")
    if in_place == "a file above":
        (shelf.music / "album").rename(tmp_path / "album")
        (shelf.music / "album").write_text("no folder")
    elif in_place != "a link that leads nowhere":
        for path in list((shelf.music / "album").iterdir()):
            path.unlink()
            if in_place == "a FIFO":
                os.mkfifo(path)
            elif in_place == "a folder":
                path.mkdir()
            else:
                path.symlink_to(path)
    report = shelf.sync()
    assert (report.too_many_missing, report.gone, report.excluded) == (4, 0, 0)
    assert len(shelf.entries()) == 4
    report = shelf.sync(force=True)
    assert (report.gone, report.excluded) == (4, 0)
    assert [entry.missing for entry in shelf.entries()] == [True] * 4
    assert len(plan_pruning(shelf.entries()).gone) == 4
    if in_place == "a link that leads nowhere":
        (tmp_path / "away").rename(tmp_path / "disk")
        assert plan_pruning(shelf.entries()).back == 4
        assert shelf.sync().already == 4
        assert [entry.missing for entry in shelf.entries()] == [False] * 4


def test_music_that_a_sync_does_not_come_to_stays(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    (shelf.music / "album").mkdir()
    (shelf.music / "album" / "a.mp3").write_text("music 1")
    assert shelf.sync().added == 1
    # The folder is on a larger disk now, and a link in its place.
    (shelf.music / "album").rename(tmp_path / "larger")
    (shelf.music / "album").symlink_to(tmp_path / "larger")
    (shelf.music / ".hidden.mp3").write_text("music 2")
    (shelf.music / "b.odd").write_text("music 3")
    named = [shelf.music / ".hidden.mp3", shelf.music / "b.odd"]
    assert ingest(shelf.catalog, named, program=STAND_IN, workers=1).added == 2
    report = shelf.sync()
    assert (report.gone, report.excluded, report.too_many_missing) == (0, 0, 0)
    assert [entry.missing for entry in shelf.entries()] == [False] * 3
    # A pattern takes them out, also one for the folder.
    (shelf.music / ".twitchaudioignore").write_text("album\n.hidden.mp3\n*.odd\n")
    report = shelf.sync()
    assert report.excluded == 3
    assert shelf.entries() == []
