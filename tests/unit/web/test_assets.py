import gzip
import re
from pathlib import Path

import pytest

from server.web.assets import FOLDER, load_assets
from server.web.pages import HOME_MODULES


def test_the_version_changes_with_any_file_and_with_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "site.css").write_text("a{}")
    (tmp_path / "js" / "home.js").write_text("1")
    before = load_assets(tmp_path)
    assert set(before.files) == {"site.css", "js/home.js"}
    assert load_assets(tmp_path).version == before.version
    (tmp_path / "js" / "home.js").write_text("2")
    assert load_assets(tmp_path).version != before.version


def test_files_are_kept_compressed_and_other_types_left_out(tmp_path: Path) -> None:
    (tmp_path / "mark.svg").write_text("<svg/>" * 100)
    (tmp_path / "notes.txt").write_text("secret")
    assets = load_assets(tmp_path)
    assert list(assets.files) == ["mark.svg"]
    asset = assets.files["mark.svg"]
    assert gzip.decompress(asset.gzipped) == asset.plain
    assert len(asset.gzipped) < len(asset.plain)
    assert assets.address("mark.svg") == f"/static/{assets.version}/mark.svg"


def test_an_address_of_no_file_cannot_be_made() -> None:
    with pytest.raises(KeyError):
        load_assets().address("sitee.css")


def test_every_module_that_the_first_page_imports_is_fetched_ahead() -> None:
    script = (FOLDER / "js" / "home.js").read_text()
    imported = {f"js/{name}" for name in re.findall(r'from "\./([\w.]+)"', script)}
    assert imported == set(HOME_MODULES)


def test_scripts_never_turn_data_into_markup() -> None:
    for script in FOLDER.rglob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", script.read_text()
        ), script
        assert script.read_text().startswith("// @ts-check"), script
