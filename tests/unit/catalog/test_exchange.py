"""Exports hold no sound and no paths, are merged, can be removed by owner, and damage is found out."""

import hashlib
import json
import os
import signal
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fingerprint.catalog import exchange
from fingerprint.catalog.exchange import ImportReport, export_tracks, import_tracks
from fingerprint.catalog.fingerprint import TrackFingerprint
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import CatalogError
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tracks import Source, TrackEntry
from fingerprint.catalog.writer import CatalogWriter
from server.cli import main
from tests.pictures import picture
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import entry


def recording(number: int) -> tuple[TrackEntry, TrackFingerprint]:
    fingerprint = entry(number)[1]
    tags = Tags(title=f"Song {number}", artists=("Mira Holt",), isrc="ZZN992100042")
    source = Source(path=f"/home/label/secret/{number}.flac", tags=tags)
    return TrackEntry(id=fingerprint.track_id, duration_seconds=20.0, sources=(source,)), fingerprint


def fill(directory: Path, *numbers: int) -> None:
    with CatalogWriter(directory) as writer:
        writer.add([recording(number) for number in numbers])


def titles(directory: Path) -> set[str]:
    return {found.title for found in Catalog(directory).snapshot().tracks()}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("label")
    fill(folder / "catalog", 1, 2, 3)
    assert main(["catalog", "export", str(folder / "songs"), "--catalog", str(folder / "catalog")]) == 0
    return folder / "songs"


def take(directory: Path, file: Path, owner: str = "Harbour Records") -> ImportReport:
    with CatalogWriter(directory) as writer:
        return import_tracks(writer, file, owner)


def test_an_export_is_recognized_where_it_is_imported(exported: Path, tmp_path: Path) -> None:
    assert b"secret" not in exported.read_bytes()
    report = take(tmp_path, exported)
    assert (report.added, report.already) == (3, 0)
    (finding,) = identify(Catalog(tmp_path).snapshot(), prepare(tune(2).cut(5, 6)))
    assert (finding.track.title, finding.track.isrc) == ("Song 2", "ZZN992100042")
    assert finding.offset_seconds == pytest.approx(5, abs=0.1)
    again = take(tmp_path, exported)
    assert (again.added, again.already) == (0, 3)
    assert Catalog(tmp_path).verify() == []


def test_landmarks_that_are_derived_from_peaks_are_those_of_the_sound(exported: Path, tmp_path: Path) -> None:
    fill(tmp_path / "ours", 1, 2, 3)
    take(tmp_path / "theirs", exported)
    ours, theirs = (Catalog(tmp_path / name).snapshot().segments[0].segment for name in ("ours", "theirs"))
    assert (ours.postings == theirs.postings).all()
    assert (ours.remainders == theirs.remainders).all()


def test_what_was_imported_is_merged_and_removed_by_owner(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--catalog", str(tmp_path)]
    fill(tmp_path, 1)
    assert main(["catalog", "import", str(exported), "--owner", "Harbour Records", "--json", *at]) == 0
    assert json.loads(capsys.readouterr().out) == {"added": 2, "already": 1}
    assert main(["catalog", "duplicates", *at]) == 0
    assert "(of Harbour Records)" in capsys.readouterr().out
    assert main(["catalog", "remove", "--owner", "nobody", *at]) == 1
    capsys.readouterr()
    assert main(["catalog", "remove", "--owner", "Harbour Records", *at]) == 0
    assert capsys.readouterr().out == (
        "2 tracks removed.\n1 other track lost only descriptions by Harbour Records, and stays in the catalog.\n"
    )
    (left,) = Catalog(tmp_path).snapshot().entries()
    assert [source.path for source in left.sources] == ["/home/label/secret/1.flac"]


def test_some_tracks_are_exported_and_no_other_file_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "c", 1, 2)
    at = ["--catalog", str(tmp_path / "c")]
    assert main(["catalog", "export", str(tmp_path / "one"), "song", "2.flac", *at]) == 0
    assert main(["catalog", "export", str(tmp_path / "one"), "song", "2.flac", *at]) == 0
    assert take(tmp_path / "d", tmp_path / "one").added == 1
    (tmp_path / "thesis").write_text("my thesis")
    assert main(["catalog", "export", str(tmp_path / "thesis"), *at]) == 1
    assert main(["catalog", "export", str(tmp_path / "none"), "zzz", *at]) == 1
    assert main(["catalog", "export", str(tmp_path / "no" / "folder"), *at]) == 1
    # A link stays one: what it leads to is the export.
    (tmp_path / "link").symlink_to("one")
    assert main(["catalog", "export", str(tmp_path / "link"), *at]) == 0
    assert (tmp_path / "link").readlink() == Path("one")
    (tmp_path / "link").unlink()
    assert take(tmp_path / "d", tmp_path / "one").added == 1
    (tmp_path / "link").symlink_to("nowhere")
    assert main(["catalog", "export", str(tmp_path / "link"), *at]) == 1
    (tmp_path / "link").unlink()
    assert (tmp_path / "thesis").read_text() == "my thesis"
    assert "not changed" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"c", "d", "one", "thesis"}


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_export_is_refused_and_nothing_of_it_is_used(
    exported: Path, tmp_path: Path, data: st.DataObject
) -> None:
    raw = bytearray(exported.read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] ^= data.draw(st.integers(1, 255))
    file = tmp_path / "damaged"
    file.write_bytes(raw)
    with CatalogWriter(tmp_path / "c") as writer, pytest.raises(CatalogError):
        import_tracks(writer, file, "Harbour Records")
    assert len(Catalog(tmp_path / "c").snapshot()) == 0


def regions(raw: bytes) -> dict[str, tuple[int, int]]:
    """Where the parts of an export begin and end."""
    at = raw.index(b"\n") + 1
    found = {"head": (0, at)}
    head = json.loads(raw[:at])
    for number in range(head["tracks"]):
        sizes = struct.unpack_from("<III", raw, at)
        for name, size in zip(
            ("sizes", "description", "peaks", "side peaks", "crc"), (12, *sizes, 4), strict=True
        ):
            found[f"{name} {number}"] = (at, at + size)
            at += size
    for number in range(head["covers"]):
        (size,) = struct.unpack_from("<I", raw, at)
        for name, length in (("cover size", 4), ("cover", size), ("cover crc", 4)):
            found[f"{name} {number}"] = (at, at + length)
            at += length
    assert at + 32 == len(raw)
    return found | {"checksum": (at, len(raw))}


def with_covers(folder: Path) -> bytes:
    with CatalogWriter(folder / "catalog") as writer:
        entry, fingerprint = recording(1)
        source = replace(entry.preferred, cover=writer.keep_cover(picture(seed=1)))
        writer.add([(entry.with_sources([source]), fingerprint)])
    assert main(["catalog", "export", str(folder / "whole"), "--catalog", str(folder / "catalog")]) == 0
    return (folder / "whole").read_bytes()


def signed(content: bytes) -> bytes:
    """Content that looks whole."""
    return content + hashlib.sha256(content).digest()


def test_damage_in_any_region_is_refused_in_one_line_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = with_covers(tmp_path)
    damaged: dict[str, bytes] = {"trailing bytes": raw + b"x"}
    for name, (start, end) in regions(raw).items():
        damaged[f"cut before {name}"] = raw[:start]
        if name != "checksum":
            damaged[f"cut before {name}, signed"] = signed(raw[:start])
        if end == start:
            continue
        middle = (start + end) // 2
        turned = raw[:middle] + bytes([raw[middle] ^ 0x80]) + raw[middle + 1 :]
        damaged[f"turned {name}"] = turned
        if name != "checksum":
            damaged[f"turned {name}, signed"] = signed(turned[:-32])
            damaged[f"without {name}, signed"] = signed(raw[:start] + raw[end:-32])
    fill(tmp_path / "ours", 3)
    at = ["--catalog", str(tmp_path / "ours")]
    before = list(Catalog(tmp_path / "ours").snapshot().entries())
    capsys.readouterr()
    for name, content in damaged.items():
        (tmp_path / "damaged").write_bytes(content)
        assert main(["catalog", "import", str(tmp_path / "damaged"), "--owner", "Harbour", *at]) == 1, name
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), name
        assert list(Catalog(tmp_path / "ours").snapshot().entries()) == before, name
        begun = ["--catalog", str(tmp_path / "begun")]
        assert main(["catalog", "import", str(tmp_path / "damaged"), "--owner", "Harbour", *begun]) == 1, name
        assert not (tmp_path / "begun").exists(), name
        capsys.readouterr()
    assert not list((tmp_path / "ours").glob("covers/*"))
    assert main(["catalog", "verify", *at]) == 0


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    for name, content, reason in (
        ("text", b"hello\n", "is not a catalog export"),
        ("empty", b"", "is not a catalog export"),
        ("newer", b'{"twitchaudio_export": 9}\n', "version 9"),
        ("other", b'{"twitchaudio_export": 1, "fingerprint": "landmarks-9", "tracks": 1}\n', "landmarks-9"),
    ):
        (tmp_path / name).write_bytes(content)
        with CatalogWriter(tmp_path / "c") as writer, pytest.raises(CatalogError, match=reason):
            import_tracks(writer, tmp_path / name, "X")
    with CatalogWriter(tmp_path / "c") as writer, pytest.raises(CatalogError, match="No such file"):
        import_tracks(writer, tmp_path / "gone", "X")
    with pytest.raises(CatalogError, match="not changed"):
        export_tracks(Catalog(tmp_path / "c").snapshot(), [], tmp_path / "text")


def test_ctrl_c_says_what_is_kept_and_the_next_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "label", 1, 2, 3)
    assert main(["catalog", "export", str(tmp_path / "songs"), "--catalog", str(tmp_path / "label")]) == 0
    at = ["--catalog", str(tmp_path / "c")]
    monkeypatch.setattr(exchange, "BATCH", 1)
    left = iter([False, False, True])
    add = CatalogWriter.add

    def interrupted(writer: CatalogWriter, *tracks: Any, **named: Any) -> None:
        if next(left, False):
            raise KeyboardInterrupt
        add(writer, *tracks, **named)

    monkeypatch.setattr(CatalogWriter, "add", interrupted)
    words = ["catalog", "import", str(tmp_path / "songs"), "--owner", "Harbour", *at]
    capsys.readouterr()
    assert main(words) == 130
    held = f"The catalog in {tmp_path / 'c'} is whole and holds 2 tracks."
    said = f"twitchaudio: interrupted. {held} Run the command again to go on.\n"
    assert capsys.readouterr().err == said
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("1 track added, 2 there already")

    def stop(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", stop)
        for command in ("export", "backup"):
            assert main(["catalog", command, str(tmp_path / "new"), *at]) == 130
            assert (
                capsys.readouterr().err
                == f"twitchaudio: interrupted. Nothing was written to {tmp_path / 'new'}.\n"
            )
        for words in (["remove", "--search", "Song"], ["exclude", "demos/"]):
            assert main(["catalog", *words, *at]) == 130
            assert "is whole and holds 3 tracks.\n" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"label", "songs", "c"}


@pytest.mark.parametrize("at", [1, 3, 8, 17])
def test_an_import_that_is_killed_leaves_a_whole_catalog_and_can_be_run_again(
    at: int, exported: Path, tmp_path: Path
) -> None:
    fill(tmp_path / "c", 7)
    words = ["catalog", "import", str(exported), "--owner", "Harbour", "--catalog", str(tmp_path / "c")]
    child = os.fork()
    if child == 0:
        try:
            exchange.BATCH = 1  # pyright: ignore[reportConstantRedefinition, reportPrivateImportUsage]
            left, fsync = iter(range(at - 1, -1, -1)), os.fsync

            def die(handle: int) -> None:
                if next(left) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                fsync(handle)

            os.fsync = die
            main(words)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert Catalog(tmp_path / "c").verify() == []
    held = {found.title for found in Catalog(tmp_path / "c").snapshot().tracks()}
    assert "Song 7" in held
    assert main(words) == 0
    assert {found.title for found in Catalog(tmp_path / "c").snapshot().tracks()} == held | {
        "Song 1",
        "Song 2",
        "Song 3",
    }
    assert Catalog(tmp_path / "c").verify() == []
