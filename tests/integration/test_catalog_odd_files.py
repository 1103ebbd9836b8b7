"""A hundred odd files through the command line: each becomes its tracks with its tags, or is named."""

import contextlib
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.cli import main
from tests.odd_shapes import Shape, shapes

SHAPES = shapes()


@dataclass(frozen=True)
class Shelf:
    """A catalog of all shapes: the tracks by their files' names, and why files were skipped."""

    tracks: dict[str, list[dict[str, Any]]]
    skipped: dict[str, str]
    status: int
    text: Sequence[str]


def as_shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("odd")
    music, catalog = folder / "music", folder / "catalog"
    music.mkdir()
    for shape in SHAPES:
        (music / shape.name).write_bytes(shape.make())
        for name, content in shape.beside.items():
            (music / name).write_bytes(content)
    at = ["--catalog", str(catalog)]
    status, report = run("add", str(music), "--json", *at)
    tracks: dict[str, list[dict[str, Any]]] = {}
    for track in map(json.loads, run("list", "--json", *at)[1]):
        tracks.setdefault(Path(track["path"]).name, []).append(track)
    skipped = {as_shown(Path(each["path"]).name): each["reason"] for each in json.loads(report[-1])["skipped"]}
    return Shelf(tracks, skipped, status, run("list", *at)[1])


def run(*arguments: str) -> tuple[int, list[str]]:
    """The exit status and the lines of a command."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = main(["catalog", *arguments])
    return status, out.getvalue().split("\n")[:-1]


@pytest.mark.parametrize("shape", SHAPES, ids=[as_shown(shape.name)[:40] for shape in SHAPES])
def test_an_odd_file_becomes_its_tracks_or_is_named(shelf: Shelf, shape: Shape) -> None:
    if shape.needs and shutil.which(shape.needs) is None:
        pytest.skip(f"{shape.needs} is not installed")
    tracks = shelf.tracks.get(as_shown(shape.name), [])
    reason = shelf.skipped.get(as_shown(shape.name), "")
    assert len(tracks) == len(shape.tracks), reason
    assert shape.reason in reason
    assert bool(reason) == bool(shape.reason or not shape.tracks)
    for track, expected in zip(sorted(tracks, key=lambda track: track["title"]), shape.tracks, strict=True):
        assert {name: track.get(name) for name in expected} == dict(expected)
        assert track["duration"] > 0.5


def test_all_of_them_are_one_run_that_says_that_some_failed(shelf: Shelf) -> None:
    assert shelf.status == 3
    assert len(SHAPES) >= 100
    assert all(line.isprintable() for line in shelf.text)
