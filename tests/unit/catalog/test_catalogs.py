from pathlib import Path

import pytest

from fingerprint.catalog.catalogs import Catalogs
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import DamagedCatalogError
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import fill


def found(catalogs: Catalogs, number: int) -> list[str]:
    findings = identify(catalogs.snapshot(), prepare(tune(number).cut(5, 6)))
    return [finding.track.title for finding in findings]


def test_several_catalogs_are_asked_as_one_and_followed(tmp_path: Path) -> None:
    catalogs = Catalogs([tmp_path / "a", tmp_path / "b", tmp_path / "nowhere"])
    assert catalogs.unavailable_reason() == "The catalog holds no music yet."
    fill(tmp_path / "a", [1])
    fill(tmp_path / "b", [2])
    assert (found(catalogs, 1), found(catalogs, 2)) == (["Song 1"], ["Song 2"])
    assert catalogs.snapshot() is catalogs.snapshot()
    fill(tmp_path / "b", [3])
    assert found(catalogs, 3) == ["Song 3"]
    assert catalogs.unavailable_reason() is None


def test_a_recording_that_two_catalogs_have_is_as_sure_as_in_one(tmp_path: Path) -> None:
    fill(tmp_path / "a", [1, 2])
    fill(tmp_path / "b", [2, 3])
    fill(tmp_path / "all", [1, 2, 3])
    question = prepare(tune(2).cut(5, 6))
    joined = Catalogs([tmp_path / "a", tmp_path / "b"]).snapshot()
    assert len(joined) == 3
    (together,) = identify(joined, question)
    (alone,) = identify(Catalog(tmp_path / "all").snapshot(), question)
    assert together.confidence == pytest.approx(alone.confidence, abs=1e-3)


def test_a_damaged_catalog_is_left_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name, [1])
    (tmp_path / "a" / "manifest.json").write_text("{")
    catalogs = Catalogs([tmp_path / "a", tmp_path / "b"])
    assert found(catalogs, 1) == ["Song 1"]
    assert catalogs.unavailable_reason() is None
    (tmp_path / "b" / "manifest.json").write_text("{")
    with pytest.raises(DamagedCatalogError):
        catalogs.snapshot()
    assert "damaged" in (catalogs.unavailable_reason() or "")
