"""Covers: pictures in and beside music files become small pictures of the catalog's own, each once."""

import contextlib
import io
import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fingerprint.catalog.catalogs import Catalogs
from fingerprint.catalog.covers import Cover
from fingerprint.catalog.index import Catalog
from server.cli import main
from tests.odd_shapes import encode, flac_with, id3, mp3, sound, wav
from tests.pictures import container_with, flac_picture, mp3_with, picture

pytestmark = pytest.mark.integration

JPEG, OTHER = picture(seed=1), picture(seed=2)


def ape_with(seed: int, content: bytes) -> bytes:
    value = b"front.jpg\0" + content
    item = struct.pack("<II", len(value), 0b010) + b"Cover Art (Front)\0" + value
    return mp3(seed) + item + struct.pack("<8sIIII8x", b"APETAGEX", 2000, len(item) + 32, 1, 0)


SHAPES: dict[str, bytes] = {
    "id3.mp3": mp3_with(7_001, OTHER, JPEG),
    "ape.mp3": ape_with(7_002, JPEG),
    "flac.flac": flac_with(encode("flac", "flac", sound(7_003)), (6, flac_picture(JPEG))),
    "opus.opus": container_with("ogg", "libopus", 7_004, JPEG),
    "mp4.m4a": container_with("mp4", "aac", 7_005, JPEG),
    "matroska.mka": container_with("matroska", "aac", 7_006, JPEG),
    "riff.wav": wav(7_007, (b"id3 ", id3((b"APIC", b"\0image/jpeg\0\3\0" + JPEG)))),
    "png.mp3": mp3_with(7_008, picture("png")),
    "clear.mp3": mp3_with(7_009, picture("png", pixels="rgba")),
    "webp.mp3": mp3_with(7_010, picture("libwebp")),
    "large.mp3": mp3_with(7_011, picture(width=1_600, height=900)),
}
UNUSABLE: dict[str, tuple[bytes, str]] = {
    "gif.mp3": (picture("gif"), "no JPEG, PNG or WebP"),
    "script.mp3": (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "no JPEG, PNG or WebP"),
    "cut.mp3": (JPEG[:40], "damaged"),
    "bomb.mp3": (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0),
        "pixels",
    ),
    "nothing.mp3": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 9, 9, 8, 6, 0, 0, 0), "damaged"),
}


@dataclass(frozen=True)
class Shelf:
    music: Path
    folder: Path
    skipped: dict[str, str]

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.folder)

    @property
    def covers(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "covers").iterdir())

    def run(self, *arguments: str) -> dict[str, Any]:
        lines = run("--catalog", str(self.folder), *arguments)
        return json.loads(lines[-1]) if lines else {}

    def cover(self, name: str) -> Cover | None:
        """The cover of the only track in a file."""
        [found] = [entry for entry in self.catalog.snapshot().entries() if Path(entry.track.path).name == name]
        cover = self.catalog.cover(found.id)
        assert (cover and cover.name) == found.track.cover
        return cover


def run(*arguments: str) -> list[str]:
    *at, name = arguments[:3]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = main(["catalog", name, *arguments[3:], *at, "--json"])
    assert status in (0, 1)
    return out.getvalue().splitlines()


def shelf_of(folder: Path, files: dict[str, bytes]) -> Shelf:
    music = folder / "music"
    for name, content in files.items():
        (music / name).parent.mkdir(parents=True, exist_ok=True)
        (music / name).write_bytes(content)
    shelf = Shelf(music, folder / "catalog", {})
    for each in shelf.run("add", str(music))["skipped"]:
        shelf.skipped[Path(each["path"]).name] = each["reason"]
    return shelf


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    unusable = {
        name: mp3_with(8_000 + number, content) for number, (name, (content, _)) in enumerate(UNUSABLE.items())
    }
    return shelf_of(tmp_path_factory.mktemp("covers"), SHAPES | unusable)


def test_pictures_of_every_container_become_small_jpegs(shelf: Shelf) -> None:
    found = {name: cover for name in SHAPES if (cover := shelf.cover(name)) is not None}
    sizes = {name: (cover.width, cover.height) for name, cover in found.items()}
    assert sizes == dict.fromkeys(SHAPES, (48, 32)) | {"large.mp3": (640, 360)}
    assert {cover.media_type for cover in found.values()} == {"image/jpeg"}


def test_a_picture_is_kept_once(shelf: Shelf) -> None:
    same = {cover.name for name in list(SHAPES)[:7] if (cover := shelf.cover(name)) is not None}
    assert len(same) == 1, "the front cover of each of them is the same picture"
    assert len(shelf.covers) == len({entry.cover for entry in shelf.catalog.snapshot().entries() if entry.cover})


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_hostile_picture_costs_itself_only_and_is_named(shelf: Shelf, name: str) -> None:
    assert shelf.cover(name) is None
    assert UNUSABLE[name][1] in shelf.skipped[name]


def test_a_cover_follows_its_files(tmp_path: Path) -> None:
    shelf = shelf_of(
        tmp_path,
        {
            "own.mp3": mp3_with(7_101, JPEG),
            "album/bare.mp3": mp3_with(7_102),
            "album/other.mp3": mp3_with(7_103, OTHER),
            "album/Folder.JPG": picture("png", seed=4),
            "none.mp3": mp3_with(7_104),
        },
    )
    own, beside, other = (shelf.cover(name) for name in ("own.mp3", "bare.mp3", "other.mp3"))
    assert own is not None
    assert beside is not None
    assert other is not None
    assert len(shelf.covers) == 3
    assert shelf.cover("none.mp3") is None

    # Moved, and retagged: the covers are the files' own.
    (shelf.music / "own.mp3").rename(shelf.music / "moved.mp3")
    (shelf.music / "album/other.mp3").write_bytes(mp3_with(7_103, JPEG, title=b"New name"))
    report = shelf.run("sync", str(shelf.music))
    assert (report["added"], report["moved"]) == (0, 1)
    assert shelf.cover("moved.mp3") == shelf.cover("other.mp3") == own
    assert other.name not in shelf.covers, "no track has it any more"

    # The picture of the folder changes, and goes; nothing is decoded or read again.
    (shelf.music / "album/Folder.JPG").write_bytes(OTHER)
    assert shelf.run("sync")["updated"] == 1
    assert shelf.cover("bare.mp3") == other
    assert shelf.run("sync")["updated"] == 0
    (shelf.music / "album/Folder.JPG").unlink()
    shelf.run("sync")
    assert shelf.cover("bare.mp3") is None
    assert shelf.covers == [own.name]

    # A cover stays as long as one of its tracks does.
    entries = {Path(entry.track.path).name: entry.id for entry in shelf.catalog.snapshot().entries()}
    shelf.run("remove", entries["moved.mp3"])
    assert shelf.cover("other.mp3") == own
    stranger = shelf.folder / "covers" / f"{'0' * 32}.jpg"
    stranger.write_bytes(b"the user's own")
    shelf.run("remove", entries["other.mp3"])
    assert shelf.covers == [stranger.name]


def test_prune_takes_covers_with_it(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, {"a.mp3": mp3_with(7_201, JPEG), "b.mp3": mp3_with(7_202, OTHER)})
    kept = shelf.cover("b.mp3")
    (shelf.music / "a.mp3").unlink()
    shelf.run("sync", "--force")
    assert len(shelf.covers) == 2, "a file that comes back has its cover"
    shelf.run("prune")
    assert kept is not None
    assert shelf.covers == [kept.name]


def copied(shelf: Shelf, to: Path) -> Path:
    shelf.run("backup", str(to))
    return to


def restored(shelf: Shelf, to: Path) -> Path:
    run("--catalog", str(to), "restore", str(copied(shelf, to.with_name("copy"))))
    return to


def imported(shelf: Shelf, to: Path) -> Path:
    shelf.run("export", str(to.with_suffix(".export")))
    for _ in range(2):
        run("--catalog", str(to), "import", str(to.with_suffix(".export")), "--owner", "Harbour")
    return to


def rebuilt(shelf: Shelf, to: Path) -> Path:
    shutil.copytree(shelf.folder, to)
    for path in (to / "covers").iterdir():
        path.unlink()
    run("--catalog", str(to), "rebuild")
    return to


@pytest.mark.parametrize("way", [copied, restored, imported, rebuilt])
def test_covers_go_with_a_catalog(tmp_path: Path, shelf: Shelf, way: Callable[[Shelf, Path], Path]) -> None:
    catalog = Catalogs([tmp_path / "none", way(shelf, tmp_path / "other")])
    for entry in shelf.catalog.snapshot().entries():
        before, after = shelf.catalog.cover(entry.id), catalog.cover(entry.id)
        assert (before is None) == (after is None)
        assert before is None or (
            after is not None and (after.width, after.height) == (before.width, before.height)
        )
    assert Catalog(tmp_path / "other").verify() == []


def test_an_export_without_covers(tmp_path: Path, shelf: Shelf) -> None:
    shelf.run("export", str(tmp_path / "bare.export"), "--no-covers")
    shelf.run("export", str(tmp_path / "full.export"))
    assert (tmp_path / "bare.export").stat().st_size < (tmp_path / "full.export").stat().st_size
    run("--catalog", str(tmp_path / "other"), "import", str(tmp_path / "bare.export"), "--owner", "Harbour")
    assert not (tmp_path / "other" / "covers").exists()


def test_a_damaged_cover_is_named_and_not_shown(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, {"a.mp3": mp3_with(7_301, JPEG)})
    [name] = shelf.covers
    (shelf.folder / "covers" / name).write_bytes(OTHER)
    track_id = next(shelf.catalog.snapshot().tracks()).id
    assert shelf.catalog.cover(track_id) is None
    assert name in shelf.catalog.verify()[0]


def test_covers_that_cannot_be_written_cost_no_track(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "covers").write_text("a file of this name")
    shelf = shelf_of(tmp_path, {"a.mp3": mp3_with(7_401, JPEG)})
    assert "cannot be kept" in shelf.skipped["a.mp3"]
    assert (shelf.folder / "covers").read_text() == "a file of this name"
    assert len(shelf.catalog.snapshot()) == 1
