from pathlib import Path

import pytest

from fingerprint.catalog import song_reader
from fingerprint.catalog.file_outcomes import Known, Read, Unreadable
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import IngestProgress, ingest
from fingerprint.catalog.walk import walk
from fingerprint.worker_pool import worker_program

STAND_IN = worker_program("tests.unit.catalog.index_stand_in", 1 << 30)


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.mp3").write_text(text)


def paths(catalog: Path) -> set[str]:
    return {Path(track.path).stem for track in Catalog(catalog).snapshot().tracks()}


def test_a_folder_is_indexed_and_known_files_are_not_read_again(tmp_path: Path) -> None:
    music, catalog = tmp_path / "music", tmp_path / "catalog"
    write(music, one="music 1", two="music 2", copy="music 1")
    first = ingest(catalog, [music], program=STAND_IN, workers=2)
    assert (first.added, first.already, first.seconds) == (2, 1, 8.0)
    again = ingest(catalog, [music, music / "one.mp3"], program=STAND_IN, workers=2)
    assert (again.added, again.already) == (0, 3)
    (tmp_path / "moved").mkdir()
    (music / "two.mp3").rename(tmp_path / "moved" / "two.mp3")
    moved = ingest(catalog, [tmp_path / "moved"], program=STAND_IN, workers=1)
    assert (moved.added, moved.already) == (0, 1)


def test_what_cannot_be_read_is_named_and_skipped(tmp_path: Path) -> None:
    music = tmp_path / "music"
    write(
        music,
        a="music 1",
        b="broken",
        c="crash",
        d="music 2",
        e="silence",
        f="short",
        g="odd",
        h="music 3",
        i="greedy",
    )
    told: list[IngestProgress] = []
    report = ingest(tmp_path / "catalog", [music], program=STAND_IN, workers=2, on_progress=told.append)
    assert paths(tmp_path / "catalog") == {"a", "d", "h"}
    reasons = {skipped.path.stem: skipped.reason for skipped in report.skipped}
    assert reasons == {
        "b": "There is no audio to identify: it is no sound.",
        "c": "reading it crashed the decoder",
        "e": "it is silent",
        "f": "it holds 0.0 s of sound, too little to recognize",
        "g": "it cannot be fingerprinted: nonsense",
        "i": "it cannot be fingerprinted: decoding it takes more memory than any real sound would",
    }
    assert [progress.done for progress in told] == list(range(10))
    assert {progress.total for progress in told} == {9}


def test_a_copy_of_what_cannot_be_read_is_named_too(tmp_path: Path) -> None:
    write(tmp_path / "music", a="broken", b="broken", c="music 1", d="music 1")
    report = ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=1)
    assert {skipped.path.stem for skipped in report.failed} == {"a", "b"}
    assert (report.added, report.already) == (1, 1)


def test_a_row_for_no_file_is_named_once_all_files_are_known(tmp_path: Path) -> None:
    write(tmp_path / "music", a="music 1")
    (tmp_path / "music" / "tracks.csv").write_text("file,title\na.mp3,A\nb.mp3,B\n")
    for _ in range(2):
        report = ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=1)
        assert [item.reason for item in report.failed] == ["1 row names a file that is not there: line 3 (b.mp3)"]


def test_a_file_is_read_where_nothing_else_can_be_opened(tmp_path: Path) -> None:
    write(tmp_path / "music", a="curious")
    report = ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=1)
    assert [skipped.reason for skipped in report.skipped] == ["reading it crashed the decoder"]


def test_a_file_that_stalls_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(song_reader, "FILE_SECONDS", 10.0)
    write(tmp_path / "music", a="stall", b="music 1")
    report = ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=1)
    assert [skipped.path.stem for skipped in report.skipped] == ["a"]
    assert paths(tmp_path / "catalog") == {"b"}


def test_a_changed_file_replaces_what_was_indexed(tmp_path: Path) -> None:
    write(tmp_path / "music", a="music 1", b="music 2")
    ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=1)
    write(tmp_path / "music", a="music 77")
    report = ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=1)
    assert (report.added, report.replaced, report.already) == (1, 1, 1)
    assert len(Catalog(tmp_path / "catalog").snapshot()) == 2


def test_a_listener_that_is_interrupted_leaves_what_is_finished(tmp_path: Path) -> None:
    write(tmp_path / "music", **{f"n{index:02d}": f"music {index}" for index in range(8)})
    seen: list[str] = []

    def interrupt(progress: IngestProgress) -> None:
        if isinstance(progress.outcome, Read):
            seen.append(progress.outcome.path.stem)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=1, on_progress=interrupt)
    assert set(seen) <= paths(tmp_path / "catalog")
    ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=1)
    assert len(paths(tmp_path / "catalog")) == 8


def test_a_file_is_told_only_when_it_is_in_the_catalog(tmp_path: Path) -> None:
    write(tmp_path / "music", a="music 1", b="music 2", c="broken")
    outcomes: list[type] = []

    def check(progress: IngestProgress) -> None:
        if isinstance(progress.outcome, Read):
            assert progress.outcome.path.stem in paths(tmp_path / "catalog")
        if progress.outcome is not None:
            outcomes.append(type(progress.outcome))

    ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=2, on_progress=check)
    assert sorted(kind.__name__ for kind in outcomes) == ["Read", "Read", "Unreadable"]
    outcomes.clear()
    ingest(tmp_path / "catalog", [tmp_path / "music"], program=STAND_IN, workers=2, on_progress=check)
    assert outcomes.count(Known) == 2


def test_a_walk_takes_music_names_other_files_and_passes_over_covers(tmp_path: Path) -> None:
    for name in ("b.mp3", "a.FLAC", "notes.txt", "cover.jpg", ".hidden.mp3", "deep/er/c.opus", ".git/d.mp3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = walk([tmp_path, tmp_path / "b.mp3", tmp_path / "notes.txt", tmp_path / "gone"])
    assert [Path(file.path).name for file in found.files] == ["a.FLAC", "b.mp3", "c.opus", "notes.txt"]
    assert [item.path.name for item in found.skipped] == ["notes.txt"]
    assert found.missing == [tmp_path / "gone"]
    assert all(isinstance(item, Unreadable) for item in found.skipped)
