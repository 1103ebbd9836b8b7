import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprint.catalog.backup import back_up, restore
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import CatalogError, DamagedCatalogError
from fingerprint.catalog.writer import CatalogWriter
from server.cli import main
from tests.unit.catalog.shelf import as_format_1, fill


def titles(directory: Path) -> set[str]:
    return {found.title for found in Catalog(directory).snapshot().tracks()}


def test_a_copy_is_made_while_the_catalog_is_changed_and_taken_back(tmp_path: Path) -> None:
    fill(tmp_path / "c", [1, 2])
    with CatalogWriter(tmp_path / "c") as writer:
        writer.exclude(["demos/"])
        assert len(back_up(tmp_path / "c", tmp_path / "copy")) == 2
        writer.remove(["000000000001", "000000000002"])
    assert titles(tmp_path / "copy") == {"Song 1", "Song 2"}
    assert Catalog(tmp_path / "copy").verify() == []
    fill(tmp_path / "c", [3])
    reader = Catalog(tmp_path / "c")
    assert len(reader.snapshot()) == 1
    with pytest.raises(CatalogError, match="--force"):
        restore(tmp_path / "copy", tmp_path / "c", force=False)
    restore(tmp_path / "copy", tmp_path / "c", force=True)
    assert {found.title for found in reader.snapshot().tracks()} == {"Song 1", "Song 2"}
    assert reader.snapshot().manifest.excluded == ("demos/",)
    assert reader.verify() == []
    assert {path.name for path in (tmp_path / "c").glob("*.seg")} == reader.snapshot().manifest.files


def test_a_copy_of_an_earlier_version_is_taken_back(tmp_path: Path) -> None:
    fill(tmp_path / "c", [1, 2])
    as_format_1(tmp_path / "c")
    back_up(tmp_path / "c", tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "new", force=False)
    assert titles(tmp_path / "new") == {"Song 1", "Song 2"}
    aliases = {entry.aliases for entry in Catalog(tmp_path / "new").snapshot().entries()}
    assert aliases == {("000000000001",), ("000000000002",)}


def test_what_is_not_whole_is_not_taken_back_and_nothing_is_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--catalog", str(tmp_path / "c")]
    fill(tmp_path / "c", [1])
    assert main(["catalog", "backup", str(tmp_path / "copy"), "--json", *at]) == 0
    assert json.loads(capsys.readouterr().out) == {"tracks": 1}
    assert main(["catalog", "backup", str(tmp_path / "copy"), *at]) == 1
    (segment,) = (tmp_path / "copy").glob("*.seg")
    segment.write_bytes(segment.read_bytes()[:-64])
    with pytest.raises(DamagedCatalogError, match="was cut"):
        restore(tmp_path / "copy", tmp_path / "c", force=True)
    for name in ("gone", "file"):
        (tmp_path / "file").touch()
        assert main(["catalog", "restore", str(tmp_path / name), "--force", *at]) == 1
    assert main(["catalog", "backup", str(tmp_path / "x"), "--catalog", str(tmp_path / "gone")]) == 1
    assert titles(tmp_path / "c") == {"Song 1"}
    assert not (tmp_path / "x").exists()


def _no_manifest(catalog: Path) -> None:
    (catalog / "manifest.json").unlink()


def _half_a_manifest(catalog: Path) -> None:
    path = catalog / "manifest.json"
    path.write_bytes(path.read_bytes()[:50])


def _cut(catalog: Path) -> None:
    (catalog / "00000001.seg").unlink()  # a file that is mapped must not become shorter
    (catalog / "00000001.seg").write_bytes(b"cut")


def _gone(catalog: Path) -> None:
    (catalog / "00000001.seg").unlink()


def _newer(catalog: Path) -> None:
    """An index file that the manifest does not know, as in a copy that was made during a change."""
    content = (catalog / "00000001.seg").read_bytes()
    (catalog / "00000077.seg").write_bytes(content)


@pytest.mark.parametrize("damage", [_no_manifest, _half_a_manifest, _cut, _gone, _newer])
def test_a_damaged_catalog_is_restored_and_its_files_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    catalog = tmp_path / "c"
    fill(catalog, [1])
    back_up(catalog, tmp_path / "copy")
    (catalog / "thesis.seg").write_text("my thesis")
    reader = Catalog(catalog)
    assert len(reader.snapshot()) == 1
    damage(catalog)
    before = {path.name: path.read_bytes() for path in catalog.iterdir() if path.name != "writer.lock"}
    command = ["catalog", "restore", str(tmp_path / "copy"), "--catalog", str(catalog)]
    assert main(command) == 1
    assert "--force" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in catalog.iterdir() if path.name != "writer.lock"} == before
    assert main([*command, "--force"]) == 0
    (set_aside,) = catalog.glob("damaged-*")
    assert str(set_aside) in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in set_aside.iterdir()} == {
        name: content for name, content in before.items() if name != "thesis.seg"
    }
    assert {path.name for path in catalog.iterdir()} == {
        *("00000001.seg", "manifest.json", "thesis.seg", "writer.lock", set_aside.name)
    }
    assert Catalog(catalog).verify() == []
    assert {found.title for found in reader.snapshot().tracks()} == {"Song 1"}
    fill(catalog, [2])
    assert titles(catalog) == {"Song 1", "Song 2"}


def test_damage_anywhere_in_a_copy_is_refused_in_one_line_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "c", [1])
    back_up(tmp_path / "c", tmp_path / "copy")
    fill(tmp_path / "ours", [3])
    before = {path.name: path.read_bytes() for path in (tmp_path / "ours").iterdir()}
    for path in sorted((tmp_path / "copy").iterdir()):
        raw = path.read_bytes()
        damaged = {"empty": b"", "cut": raw[:-1], "longer": raw + b"x", "of another": before.get(path.name, b"")}
        for place in (*range(0, 320, 32), *range(0, len(raw), len(raw) // 12)):
            if place > 320 and not any(raw[place - 8 : place + 8]):
                continue  # between two parts, where nothing is
            damaged[f"turned at {place}"] = raw[:place] + bytes([raw[place] ^ 0x40]) + raw[place + 1 :]
        for name, content in damaged.items():
            path.write_bytes(content)
            status = main(["catalog", "restore", str(path.parent), "--force", "--catalog", str(tmp_path / "ours")])
            said = f"{path.name} {name}: {status}"
            assert (status, capsys.readouterr().err.count("\n")) == (1, 1), said
            assert {each.name: each.read_bytes() for each in (tmp_path / "ours").iterdir()} == before, said
        path.write_bytes(raw)
    assert (
        main(["catalog", "restore", str(tmp_path / "copy"), "--force", "--catalog", str(tmp_path / "ours")]) == 0
    )
    assert titles(tmp_path / "ours") == {"Song 1"}
