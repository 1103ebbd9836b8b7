"""A catalog is made again beside the old one: by stored peaks, by its music, after a kill, under a reader."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.fingerprint import fingerprint_track
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.ingest import ingest
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.problems import CatalogError, OtherFingerprintError
from fingerprint.catalog.rebuild import RebuildReport, rebuild
from fingerprint.catalog.tracks import TrackEntry
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.worker_pool import worker_program
from server.cli import main
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import as_format_1, fill, track
from tests.unit.catalog.test_crash_points import WritePoints, be_full, die

STAND_IN = worker_program("tests.unit.catalog.index_stand_in", 1 << 30)
OTHER_PAIRS = replace(DEFAULT, fan_out=3, lapse_frames=50)
OTHER_PEAKS = replace(DEFAULT, quota=4)
OTHER_FRAMES = replace(DEFAULT, hop=256)


def again(directory: Path, *, force: bool = False) -> RebuildReport:
    return rebuild(directory, workers=1, program=STAND_IN, force=force)


def fill_as(parameters: Parameters, directory: Path, numbers: range = range(3)) -> None:
    """A catalog of tunes, without any files, as another fingerprint makes it."""
    with CatalogWriter(directory, parameters) as writer:
        found = [fingerprint_track([tune(number, 8.0)], parameters) for number in numbers]
        writer.add(
            [
                (replace(track(number, 8.0), id=each.track_id), each)
                for number, each in zip(numbers, found, strict=True)
            ]
        )


def state(directory: Path) -> set[tuple[str, str]]:
    return {(entry.id, entry.track.title) for entry in entries(directory)}


def entries(directory: Path) -> list[TrackEntry]:
    return list(Catalog(directory, any_fingerprint=True).snapshot().entries())


def heard(directory: Path, number: int) -> str | None:
    found = identify(Catalog(directory).snapshot(), prepare(tune(number, 8.0).cut(2, 5)))
    return found[0].track.title if found else None


def beside(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.is_dir())


def music_of(number: int) -> Pcm:
    """What the stand-in decodes from `music NUMBER`."""
    sound = np.random.default_rng(number).normal(0, 0.1, (1, 4 * SAMPLE_RATE)).astype(np.float32)
    return Pcm(sound)


def write_music(folder: Path, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.mp3").write_text(text)


def test_where_only_pairs_differ_the_old_one_answers_and_the_new_one_needs_no_music(tmp_path: Path) -> None:
    fill_as(OTHER_PAIRS, tmp_path)
    before = state(tmp_path)
    reader = Catalog(tmp_path)
    assert heard(tmp_path, 1) == "Song 1"
    with pytest.raises(OtherFingerprintError, match="catalog rebuild"), CatalogWriter(tmp_path):
        pass
    report = again(tmp_path)
    assert (report.tracks, report.kept, report.decoded, report.swapped) == (3, 3, 0, True)
    assert state(tmp_path) == before
    # The reader that was open goes over to the new one.
    snapshot = reader.snapshot()
    assert snapshot.manifest.made_by == DEFAULT.identities
    live, number = snapshot.places(next(iter(before))[0])[0]
    fingerprint_ours = fingerprint_track([tune(int(live.track(number).title[5:]), 8.0)])
    assert live.segment.tracks[number]["landmarks"] == len(fingerprint_ours.hashes)
    assert heard(tmp_path, 1) == "Song 1"
    assert reader.verify() == []
    assert beside(tmp_path) == []
    with CatalogWriter(tmp_path) as writer:
        writer.remove([next(iter(before))[0]])


def test_with_the_same_fingerprint_tags_and_sidecars_are_read_again(tmp_path: Path) -> None:
    write_music(tmp_path / "music", a="music 1 Low Tide", b="music 2 Harbour")
    directory = tmp_path / "c"
    ingest(directory, [tmp_path / "music"], program=STAND_IN, workers=1)
    with CatalogWriter(directory) as writer:
        writer.exclude(["demos/"])
        stale = next(entry for entry in writer.snapshot().entries() if entry.track.title == "Low Tide")
        source = stale.preferred
        writer.describe([stale.with_sources([replace(source, tags=replace(source.tags, title="Misread"))])])
    before = {entry.id for entry in entries(directory)}
    (tmp_path / "music" / "tracks.csv").write_text("file,album\nb.mp3,Shore\n")
    (tmp_path / "music" / "c.mp3").write_text("music 3 Not asked for")
    report = again(directory)
    assert (report.tracks, report.kept, report.decoded, report.updated, report.swapped) == (2, 2, 0, 2, True)
    assert {(found.title, found.album) for found in Catalog(directory).snapshot().tracks()} == {
        ("Low Tide", None),
        ("Harbour", "Shore"),
    }
    assert {entry.id for entry in entries(directory)} == before
    assert Catalog(directory).snapshot().manifest.excluded == ("demos/",)
    # Nothing is read again afterwards.
    assert ingest(directory, [tmp_path / "music" / "a.mp3"], program=STAND_IN, workers=1).updated == 0


@pytest.fixture
def of_other_peaks(tmp_path: Path) -> Path:
    """A catalog with other peaks of three files, of which one is gone, and one cannot be read any more."""
    write_music(tmp_path / "music", a="music 1 Low Tide", b="music 2 Harbour", c="music 3 Gulls")
    ingest(tmp_path / "made", [tmp_path / "music"], program=STAND_IN, workers=1)
    with CatalogWriter(tmp_path / "c", OTHER_PEAKS) as writer:
        for entry in Catalog(tmp_path / "made").snapshot().entries():
            number = {"a": 1, "b": 2, "c": 3}[Path(entry.track.path).stem]
            found = fingerprint_track([music_of(number)], OTHER_PEAKS)
            writer.add([(replace(entry, id=found.track_id), found)])
    (tmp_path / "music" / "b.mp3").unlink()
    (tmp_path / "music" / "c.mp3").write_text("broken")
    return tmp_path / "c"


def test_where_peaks_differ_the_music_is_decoded_and_what_is_gone_keeps_its_peaks(of_other_peaks: Path) -> None:
    old = {entry.track.title: entry.id for entry in entries(of_other_peaks)}
    with pytest.raises(OtherFingerprintError):
        Catalog(of_other_peaks).snapshot()
    report = again(of_other_peaks)
    assert (report.tracks, report.kept, report.decoded, report.swapped) == (3, 2, 1, True)
    assert [skipped.path.name for skipped in report.skipped] == ["c.mp3"]
    found = {entry.track.title: entry for entry in entries(of_other_peaks)}
    assert found["Low Tide"].id == fingerprint_track([music_of(1)]).track_id
    assert found["Low Tide"].aliases == (old["Low Tide"],)
    assert {found[title].id for title in ("Harbour", "Gulls")} == {old["Harbour"], old["Gulls"]}
    (best, *_) = identify(Catalog(of_other_peaks).snapshot(), prepare(music_of(2)))
    assert best.track.title == "Harbour"


def test_what_cannot_be_made_again_is_named_and_the_old_one_kept(tmp_path: Path) -> None:
    fill_as(OTHER_FRAMES, tmp_path)
    before = state(tmp_path)
    report = again(tmp_path)
    assert (len(report.lost), report.swapped, state(tmp_path)) == (3, False, before)
    assert main(["catalog", "rebuild", "--catalog", str(tmp_path)]) == 1
    assert state(tmp_path) == before
    assert again(tmp_path, force=True).swapped
    assert state(tmp_path) == set()


def test_a_catalog_of_an_earlier_format_is_made_again(tmp_path: Path) -> None:
    fill(tmp_path, [1, 2])
    as_format_1(tmp_path)
    assert again(tmp_path).kept == 2
    assert {entry.aliases for entry in entries(tmp_path)} == {("000000000001",), ("000000000002",)}


@pytest.mark.parametrize("fail", [die, be_full])
def test_a_run_that_is_killed_or_finds_the_disk_full_goes_on_where_it_was(
    tmp_path: Path, fail: Callable[[], None]
) -> None:
    fill_as(OTHER_PAIRS, tmp_path)
    before = state(tmp_path)
    for at in range(1, 80, 4):
        child = os.fork()
        if child == 0:
            try:
                with pytest.MonkeyPatch.context() as patched:
                    WritePoints(patched, fail, at)
                    again(tmp_path)
            except CatalogError:
                os._exit(9)
            except OSError:
                os._exit(8)
            finally:
                os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, 9)
        assert state(tmp_path) == before
        assert Catalog(tmp_path, any_fingerprint=True).verify() == []
        if status == 0:
            break
    else:
        raise AssertionError("there are more writes than were tried")
    assert Catalog(tmp_path).snapshot().manifest.made_by == DEFAULT.identities
    again(tmp_path)
    assert beside(tmp_path) == []


def test_a_catalog_that_was_changed_after_a_kill_is_made_from_what_it_holds_now(tmp_path: Path) -> None:
    fill_as(OTHER_PAIRS, tmp_path)
    child = os.fork()
    if child == 0:
        try:
            with pytest.MonkeyPatch.context() as patched:
                WritePoints(patched, die, 10)
                again(tmp_path)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (begun,) = beside(tmp_path)
    (tmp_path / begun / "mine.txt").write_text("a note")
    fill_as(OTHER_PAIRS, tmp_path, range(3, 5))
    assert again(tmp_path).tracks == 5
    assert beside(tmp_path) == [begun]
    assert [path.name for path in (tmp_path / begun).iterdir()] == ["mine.txt"]


def test_every_fingerprint_can_be_listed_searched_exported_and_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_as(OTHER_FRAMES, tmp_path / "c")
    at = ["--catalog", str(tmp_path / "c")]
    for command in (["list"], ["search", "song 1"], ["stats"], ["verify"], ["missing"], ["duplicates"]):
        assert main(["catalog", *command, "--json", *at]) == 0
    assert OTHER_FRAMES.identity in capsys.readouterr().out
    assert main(["catalog", "export", str(tmp_path / "x"), *at]) == 0
    assert main(["catalog", "import", str(tmp_path / "x"), "--owner", "A", "--catalog", str(tmp_path / "d")]) == 1
    assert main(["catalog", "backup", str(tmp_path / "copy"), *at]) == 0
    assert main(["catalog", "restore", str(tmp_path / "copy"), "--catalog", str(tmp_path / "e")]) == 0
    assert state(tmp_path / "e") == state(tmp_path / "c")
    assert Catalog(tmp_path / "e", any_fingerprint=True).verify() == []
    for command in (["add", str(tmp_path)], ["remove", "--search", "song"], ["prune"]):
        assert main(["catalog", *command, *at]) == 1
        assert "catalog rebuild" in capsys.readouterr().err
    fill_as(OTHER_PAIRS, tmp_path / "pairs")
    assert main(["catalog", "export", str(tmp_path / "p"), "--catalog", str(tmp_path / "pairs")]) == 0
    assert main(["catalog", "import", str(tmp_path / "p"), "--owner", "A", "--catalog", str(tmp_path / "d")]) == 0
    assert heard(tmp_path / "d", 1) == "Song 1"
