import gzip
import re
import tomllib
from pathlib import Path

import pytest

from server.web.assets import FOLDER, LICENSE, SHARED, files_below, load_assets, website_files
from server.web.pages import HOME_MODULES

ROOT = Path(__file__).parents[3]


def test_the_version_changes_with_any_file_and_with_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "site.css").write_text("a{}")
    (tmp_path / "js" / "home.js").write_text("1")
    before = load_assets(files_below(tmp_path))
    assert set(before.files) == {"site.css", "js/home.js"}
    assert load_assets(files_below(tmp_path)).version == before.version
    (tmp_path / "js" / "home.js").write_text("2")
    assert load_assets(files_below(tmp_path)).version != before.version


def test_files_are_kept_compressed_and_other_types_left_out(tmp_path: Path) -> None:
    (tmp_path / "mark.svg").write_text("<svg/>" * 100)
    (tmp_path / "notes.bin").write_text("secret")
    assets = load_assets(files_below(tmp_path))
    assert list(assets.files) == ["mark.svg"]
    asset = assets.files["mark.svg"]
    assert gzip.decompress(asset.gzipped) == asset.plain
    assert len(asset.gzipped) < len(asset.plain)
    assert assets.address("mark.svg") == f"/static/{assets.version}/mark.svg"


def test_an_address_of_no_file_cannot_be_made() -> None:
    with pytest.raises(KeyError):
        load_assets(website_files()).address("sitee.css")


def imports_of(name: str) -> set[str]:
    """The names of all modules that one imports, and those that they import."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        module = waiting.pop()
        text = website_files()[module].read_text(encoding="utf-8")
        for path in re.findall(r'^import (?:.* from )?"\./([\w./]+)";$', text, re.MULTILINE):
            imported = f"{module.rpartition('/')[0]}/{path}"
            if imported not in found:
                found.add(imported)
                waiting.append(imported)
    return found


def test_every_module_that_the_first_page_imports_is_fetched_ahead() -> None:
    assert imports_of("js/home.js") == set(HOME_MODULES)


def test_the_modules_of_the_extension_are_served_and_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    shared = {f"extension/lib/{name}": f"server/web/static/js/lib/{name}" for name in SHARED}
    assert included == {**shared, "LICENSE": f"server/web/static/{LICENSE}"}
    assert website_files()[LICENSE].read_text(encoding="utf-8").startswith("MIT License")
    assert {f"js/lib/{name}" for name in SHARED} < website_files().keys()
    assert not (FOLDER / "js" / "lib").exists(), "a checkout has them in extension/lib alone"


def test_scripts_never_turn_data_into_markup() -> None:
    markup = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(")
    scripts = [path for path in website_files().values() if path.suffix == ".js"]
    assert [path for path in scripts if markup.search(path.read_text(encoding="utf-8"))] == []
