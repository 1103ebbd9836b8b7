import errno
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.manifest import MANIFEST_NAME
from fingerprint.catalog.merging import TIER_RATIO
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.problems import CatalogBusyError, CatalogError, DamagedCatalogError, OtherFingerprintError
from fingerprint.catalog.segment_name import segment_file
from fingerprint.catalog.writer import CatalogWriter
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import as_format_1, entry, fill, track


def titles(catalog: Catalog) -> set[str]:
    return {found.title for found in catalog.snapshot().tracks()}


def test_a_folder_that_does_not_exist_is_an_empty_catalog(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "nowhere")
    assert len(catalog.snapshot()) == 0
    assert catalog.stats().tracks == 0
    (problem,) = catalog.verify()
    assert "There is no catalog in" in problem
    assert identify(catalog.snapshot(), prepare(tune(1, 5.0))) == []


def test_tracks_come_back_with_their_tags(tmp_path: Path) -> None:
    fill(tmp_path, [1, 2])
    catalog = Catalog(tmp_path)
    assert list(catalog.snapshot().tracks()) == [track(1), track(2)]
    assert catalog.track("000000000002") == track(2)
    assert catalog.track("ffffffffffff") is None
    stats = catalog.stats()
    assert stats.tracks == 2
    assert stats.hours == pytest.approx(40 / 3600, rel=0.01)
    assert stats.fingerprint == DEFAULT.identity


def test_an_open_catalog_sees_what_is_added_and_removed(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    assert len(catalog.snapshot()) == 0
    fill(tmp_path, [1])
    old = catalog.snapshot()
    assert titles(catalog) == {"Song 1"}
    fill(tmp_path, [2])
    assert titles(catalog) == {"Song 1", "Song 2"}
    with CatalogWriter(tmp_path) as writer:
        assert writer.remove(["000000000001", "ffffffffffff"]) == {"000000000001"}
    assert titles(catalog) == {"Song 2"}
    # A question that began before still has the catalog of that moment.
    assert [found.title for found in old.tracks()] == ["Song 1"]


def test_many_additions_leave_few_files(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    music = tune(1, 3.0)
    with CatalogWriter(tmp_path) as writer:
        for number in range(40):
            writer.add([entry(number, music)])
            assert len(catalog.snapshot()) == number + 1
    files = list(tmp_path.glob("*.seg"))
    assert len(files) == len(catalog.snapshot().segments) <= 3 * (TIER_RATIO - 1)
    assert titles(catalog) == {f"Song {number}" for number in range(40)}
    assert catalog.verify() == []


def test_adding_to_a_large_catalog_does_not_rewrite_it(tmp_path: Path) -> None:
    fingerprint = entry(1)[1]
    with CatalogWriter(tmp_path) as writer:
        writer.add([(track(number), fingerprint) for number in range(300)])
        large = max(tmp_path.glob("*.seg"), key=lambda path: path.stat().st_size)
        written = large.stat()
        for number in range(300, 312):
            writer.add([(track(number), fingerprint)])
    assert len(Catalog(tmp_path).snapshot()) == 312
    # The same file, not one of the same name.
    assert (large.stat().st_ino, large.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert len(Catalog(tmp_path).snapshot().segments) <= 1 + 6


def test_removing_and_adding_again_is_exact(tmp_path: Path) -> None:
    fill(tmp_path, range(4))
    catalog = Catalog(tmp_path)
    question = prepare(tune(2).cut(5, 6))
    before = identify(catalog.snapshot(), question)
    assert [finding.track.title for finding in before] == ["Song 2"]
    with CatalogWriter(tmp_path) as writer:
        writer.remove(["000000000002"])
    assert identify(catalog.snapshot(), question) == []
    fill(tmp_path, [2])
    assert identify(catalog.snapshot(), question) == before
    assert catalog.verify() == []


def test_adding_a_track_that_is_there_replaces_it(tmp_path: Path) -> None:
    fill(tmp_path, [1, 2])
    fill(tmp_path, [2])
    catalog = Catalog(tmp_path)
    assert len(catalog.snapshot()) == 2
    assert catalog.verify() == []


def test_replacing_takes_the_old_one_out_in_the_same_step(tmp_path: Path) -> None:
    fill(tmp_path, [1, 2])
    with CatalogWriter(tmp_path) as writer:
        writer.add([entry(3)], replacing=["000000000001"])
    assert titles(Catalog(tmp_path)) == {"Song 2", "Song 3"}


def test_removing_everything_frees_the_disk(tmp_path: Path) -> None:
    fill(tmp_path, range(5))
    with CatalogWriter(tmp_path) as writer:
        writer.remove([f"{number:012x}" for number in range(5)])
    assert len(Catalog(tmp_path).snapshot()) == 0
    assert not list(tmp_path.glob("*.seg"))


def test_a_second_writer_is_turned_away_and_the_first_goes_on(tmp_path: Path) -> None:
    with CatalogWriter(tmp_path) as writer:
        with pytest.raises(CatalogBusyError, match="wait until it is done"), CatalogWriter(tmp_path):
            pass
        writer.add([entry(1)])
    with CatalogWriter(tmp_path) as writer:
        writer.add([entry(2)])
    assert titles(Catalog(tmp_path)) == {"Song 1", "Song 2"}


def test_what_a_killed_writer_left_is_cleared_up(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    manifest = Catalog(tmp_path).snapshot().manifest
    (whole,) = tmp_path.glob("*.seg")
    # Killed before the change was committed, and while it wrote a file.
    (tmp_path / segment_file(manifest.next)).write_bytes(whole.read_bytes())
    (tmp_path / "00000003-0badcafe.tmp").write_bytes(whole.read_bytes()[:1000])
    (tmp_path / "manifest-0badcafe.tmp").write_text(f'{{"catalog": "{manifest.catalog}", "crc": 1, "form')
    assert titles(Catalog(tmp_path)) == {"Song 1"}
    assert Catalog(tmp_path).verify() == []
    with CatalogWriter(tmp_path):
        pass
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".lock", ".seg"]


STRANGERS = {
    "thesis.tmp": b"my thesis",
    "manifest.tmp": b"{",
    "manifest-0badcafe.tmp": b'{"catalog": "of somebody else"}',
    "00000002.seg": b"half",
    "00000003.tmp": b"TWAINDEX is the word that my notes begin with",
    "00000004-0badcafe.tmp": b"",
    "photos.seg": b"TWAINDEX" + bytes(5000),
}


def test_only_files_that_are_the_catalogs_own_are_deleted_or_written_over(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    (tmp_path / "00000009.seg").mkdir()
    for name, content in STRANGERS.items():
        (tmp_path / name).write_bytes(content)
    for number in range(2, 12):
        fill(tmp_path, [number])
    with CatalogWriter(tmp_path) as writer:
        writer.remove([f"{number:012x}" for number in range(1, 12)])
    assert {name: (tmp_path / name).read_bytes() for name in STRANGERS} == STRANGERS
    assert Catalog(tmp_path).verify() == []


def test_index_files_without_a_manifest_are_damage_and_nothing_is_touched(tmp_path: Path) -> None:
    fill(tmp_path, range(5))
    (tmp_path / MANIFEST_NAME).unlink()
    (tmp_path / "writer.lock").unlink()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DamagedCatalogError, match=r"00000001\.seg.*no manifest\.json"):
        Catalog(tmp_path).snapshot()
    for create in (True, False):
        with pytest.raises(DamagedCatalogError, match="half a copy"), CatalogWriter(tmp_path, create=create):
            pass
    (problem,) = Catalog(tmp_path).verify()
    assert "half a copy" in problem
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_of_another_catalog_is_named_and_kept(tmp_path: Path) -> None:
    fill(tmp_path / "ours", [1])
    fill(tmp_path / "other", [2])
    (stranger,) = (tmp_path / "other").glob("*.seg")
    beside = tmp_path / "ours" / "00000002.seg"
    shutil.copyfile(stranger, beside)
    assert titles(Catalog(tmp_path / "ours")) == {"Song 1"}
    (problem,) = Catalog(tmp_path / "ours").verify()
    assert "belongs to another catalog" in problem
    with pytest.raises(DamagedCatalogError, match="00000002"), CatalogWriter(tmp_path / "ours"):
        pass
    assert beside.exists()
    beside.unlink()
    # Under the name of a file that the manifest lists.
    shutil.copyfile(stranger, tmp_path / "ours" / "00000001.seg")
    with pytest.raises(DamagedCatalogError, match="is not the file that"):
        Catalog(tmp_path / "ours").snapshot()


def test_a_copy_that_was_made_during_a_change_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "ours", [1])
    old = (tmp_path / "ours" / MANIFEST_NAME).read_bytes()
    for number in (2, 3):
        fill(tmp_path / "ours", [number])
    shutil.copytree(tmp_path / "ours", tmp_path / "copy")
    (tmp_path / "copy" / MANIFEST_NAME).write_bytes(old)
    (problem,) = Catalog(tmp_path / "copy").verify()
    assert "00000003.seg is newer than manifest.json" in problem
    with pytest.raises(DamagedCatalogError, match="copy the whole catalog"), CatalogWriter(tmp_path / "copy"):
        pass
    assert len(list((tmp_path / "copy").glob("*.seg"))) == 3


def test_a_rebuilt_catalog_is_another_one_to_a_reader_that_was_there_before(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    catalog = Catalog(tmp_path)
    assert titles(catalog) == {"Song 1"}
    first = catalog.snapshot().manifest.catalog
    shutil.rmtree(tmp_path)
    assert len(catalog.snapshot()) == 0
    fill(tmp_path, [2])
    assert [path.name for path in tmp_path.glob("*.seg")] == ["00000001.seg"]
    assert titles(catalog) == {"Song 2"}
    (finding,) = identify(catalog.snapshot(), prepare(tune(2).cut(5, 6)))
    assert finding.track.title == "Song 2"
    assert catalog.snapshot().manifest.catalog != first


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, [1])

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with CatalogWriter(tmp_path) as writer, monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CatalogError, match="the disk is full"):
            writer.add([entry(2)])
    assert titles(Catalog(tmp_path)) == {"Song 1"}
    assert Catalog(tmp_path).verify() == []
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".lock", ".seg"]


def test_readers_go_on_while_a_writer_adds_and_merges(tmp_path: Path) -> None:
    music = tune(1, 4.0)
    question = prepare(tune(0).cut(4, 5))
    fill(tmp_path, [0])
    catalog = Catalog(tmp_path)
    problems: list[BaseException] = []
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                snapshot = catalog.snapshot()
                assert [finding.track.title for finding in identify(snapshot, question)] == ["Song 0"]
                seen.append(len(snapshot))
        except BaseException as error:  # noqa: BLE001 - it is asserted on below
            problems.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    with CatalogWriter(tmp_path) as writer:
        for number in range(1, 25):
            writer.add([entry(number, music)])
    done.set()
    reader.join()
    assert problems == []
    assert seen == sorted(seen)
    assert len(catalog.snapshot()) == 25


def test_a_damaged_manifest_is_told_and_nothing_is_overwritten(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    manifest = tmp_path / MANIFEST_NAME
    text = manifest.read_text()
    manifest.write_text(text.replace('"generation": 2', '"generation": 3'))
    with pytest.raises(DamagedCatalogError, match="not as it was written"):
        Catalog(tmp_path).snapshot()
    with pytest.raises(DamagedCatalogError), CatalogWriter(tmp_path):
        pass
    assert Catalog(tmp_path).verify()
    manifest.write_text(text)
    assert titles(Catalog(tmp_path)) == {"Song 1"}


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"crc": 1}', "\x00\xff"])
def test_a_manifest_that_is_something_else_is_damage(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST_NAME).write_text(text, encoding="latin-1")
    with pytest.raises(DamagedCatalogError):
        Catalog(tmp_path).snapshot()


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    next(tmp_path.glob("*.seg")).unlink()
    with pytest.raises(DamagedCatalogError, match="is missing"):
        Catalog(tmp_path).snapshot()
    assert len(Catalog(tmp_path).verify()) == 1


def test_verify_finds_a_changed_byte(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    path = next(tmp_path.glob("*.seg"))
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 1
    path.write_bytes(raw)
    (problem,) = Catalog(tmp_path).verify()
    assert "postings" in problem


def test_a_catalog_of_another_fingerprint_is_refused_and_kept(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    other = Parameters(hop=256)
    with pytest.raises(OtherFingerprintError, match="catalog rebuild"):
        Catalog(tmp_path, other).snapshot()
    with pytest.raises(OtherFingerprintError), CatalogWriter(tmp_path, other):
        pass
    assert titles(Catalog(tmp_path)) == {"Song 1"}


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    path = tmp_path / MANIFEST_NAME
    body = json.loads(path.read_text())
    body["format"] = 7
    del body["crc"]
    import zlib

    body["crc"] = zlib.crc32(json.dumps(body, sort_keys=True).encode())
    path.write_text(json.dumps(body))
    with pytest.raises(CatalogError, match="format 7"):
        Catalog(tmp_path).snapshot()


def test_a_catalog_of_format_1_is_read_and_goes_on(tmp_path: Path) -> None:
    for number in range(3):
        fill(tmp_path, [number])
    as_format_1(tmp_path)
    catalog = Catalog(tmp_path)
    assert titles(catalog) == {"Song 0", "Song 1", "Song 2"}
    assert catalog.verify() == []
    question = prepare(tune(1).cut(5, 6))
    for number in range(3, 6):
        fill(tmp_path, [number])
    assert titles(catalog) == {f"Song {number}" for number in range(6)}
    assert catalog.snapshot().manifest.catalog
    assert [finding.track.title for finding in identify(catalog.snapshot(), question)] == ["Song 1"]
    assert catalog.verify() == []
    listed = {entry.file for entry in catalog.snapshot().manifest.segments}
    assert {path.name for path in tmp_path.glob("*.seg")} == listed


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match="cannot be made"), CatalogWriter(tmp_path / "file" / "catalog"):
        pass


def test_the_arrays_of_an_open_catalog_cannot_be_written(tmp_path: Path) -> None:
    fill(tmp_path, [1])
    segment = Catalog(tmp_path).snapshot().segments[0].segment
    with pytest.raises(ValueError, match="read-only"):
        segment.postings[0] = np.uint32(1)


@pytest.mark.parametrize("name", [MANIFEST_NAME, "00000001.seg"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    fill(tmp_path, [1])
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(CatalogError, match="not a regular file"):
        Catalog(tmp_path).snapshot()
    with pytest.raises(CatalogError, match="not a regular file"), CatalogWriter(tmp_path):
        pass
    assert (tmp_path / name).is_fifo()


def test_pages_are_parts_of_what_a_search_finds(tmp_path: Path) -> None:
    named = [
        (replace(track(number), title=title), entry(number)[1])
        for number, title in enumerate(("Größe", "Plain", "Ümlaut"))
    ]
    with CatalogWriter(tmp_path) as writer:
        writer.add(named)
    snapshot = Catalog(tmp_path).snapshot()
    for words in ((), ("größe",), ("GRÖSSE",), ("ü",), ("made", "plain"), ("none",), ("ö", "up")):
        found = [each.id for each in snapshot.search(words)]
        assert [each.id for each in snapshot.page(words, 0, 10)] == found
        assert [each.id for each in snapshot.page(words, 1, 1)] == found[1:2]
    assert [each.track.title for each in snapshot.page(["GRÖSSE"], 0, 9)] == ["Größe"]


def test_a_search_finds_accents_in_either_form(tmp_path: Path) -> None:
    composed, decomposed = "Caf\u00e9 M\u00fcnchen", "Cafe\u0301 Mu\u0308nchen"
    with CatalogWriter(tmp_path) as writer:
        writer.add(
            [
                (replace(track(number), title=title), entry(number)[1])
                for number, title in enumerate((composed, decomposed))
            ]
        )
    snapshot = Catalog(tmp_path).snapshot()
    for words in ([composed], ["CAF\u00c9"], ["Mu\u0308nchen"], ["cafe\u0301", "up"], ["nchen"]):
        assert len(list(snapshot.search([part for word in words for part in word.split()]))) == 2, words
    assert [each.track.title for each in snapshot.search(["cafe"])] == [decomposed]
