import logging
import os
from pathlib import Path

import pytest

from fingerprint.providers.uploads import UploadTable


def table(path: Path, column: str = "audd_id") -> UploadTable:
    read = UploadTable(path, column)
    read.refresh()
    return read


def test_uploads_are_named_by_their_provider_s_own_column(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    path.write_text(
        "audd_id;acrcloud_id;title;artists;isrc\n"
        "146;abc;Jingle (feat. Dax);Mira Holt;ZZN992100042\n"
        "147;;Second;;\n"
        ";;Nothing;;\n"
    )
    of_audd = table(path).uploads
    assert list(of_audd) == ["146", "147"]
    jingle = of_audd["146"]
    assert (jingle.title, jingle.artists, jingle.isrc) == ("Jingle", ("Mira Holt", "Dax"), "ZZN992100042")
    assert list(table(path, "acrcloud_id").uploads) == ["abc"]


def test_a_catalog_s_table_may_be_the_same(tmp_path: Path) -> None:
    path = tmp_path / "tracks.json"
    path.write_text('[{"file": "a.flac", "title": "One", "audd_id": 146}, {"file": "b.flac", "title": "Two"}]')
    assert [tags.title for tags in table(path).uploads.values()] == ["One"]


def test_a_table_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    read = table(path)
    assert read.uploads == {}
    path.write_text("audd_id,title\n146,One\n")
    read.refresh()
    assert read.uploads["146"].title == "One"
    path.write_text("audd_id,title\n146,Another\n")
    os.utime(path, ns=(1, 1))
    read.refresh()
    assert read.uploads["146"].title == "Another"
    path.unlink()
    read.refresh()
    assert read.uploads == {}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"[{", b"title\nOne\n"])
def test_a_table_that_cannot_be_read_names_nothing(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / ("tracks.json" if content == b"[{" else "tracks.csv")
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert table(path).uploads == {}
    assert bool(caplog.records) == (content[:1] in (b"\xff", b"["))


def test_a_wrong_value_is_logged_and_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tracks.csv"
    path.write_text("audd_id,title,isrc\n146,One,no isrc\n")
    assert table(path).uploads["146"].isrc is None
    assert [record.message for record in caplog.records] == ["upload_value_ignored"]
