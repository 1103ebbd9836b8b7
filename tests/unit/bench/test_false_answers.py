"""The arithmetic of the benchmark of false answers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fingerprint.domain.audio import Pcm
from tests.bench.bounds import highest_share
from tests.bench.false_answers import folds, rows, spread
from tests.bench.whole_questions import BEFORE_SECONDS, Asked, Music, Named, sounds_until


def music(name: str, package: str, seconds: float = 100.0, artist: str = "") -> Music:
    return Music(id=name, path=Path(f"/{package}/{name}.ogg"), package=package, artist=artist, seconds=seconds)


def asked(track: str, *named: str, kind: str = "6 s", known: bool = False) -> Asked:
    songs = tuple(Named(track=name, score=0.97, speed=1.0, pitch=0.0, offset=1.0, position=0.0) for name in named)
    return Asked(
        kind=kind,
        track=track,
        at=40.0,
        known=known,
        over="",
        likeliest=named[0] if named else None,
        score=0.97 if named else 0.1,
        named=songs,
        take=1,
        cpu_ms=200.0,
    )


@pytest.mark.parametrize(
    ("happened", "of", "most"),
    [(0, 59, 0.0495), (0, 1497, 0.002), (1, 100, 0.0466), (3, 3, 1.0), (40, 2000, 0.026)],
)
def test_few_of_many_may_still_be_more(happened: int, of: int, most: float) -> None:
    assert highest_share(happened, of) == pytest.approx(most, rel=0.02)


def test_packages_stay_together_in_parts_of_about_the_same_length() -> None:
    tracks = [music(f"{package}{number}", package) for package in "abcdef" for number in range(ord(package) - 95)]
    parts = folds(tracks, 3)
    assert sorted(track for part in parts for track in part) == sorted(each.id for each in tracks)
    packages = [{track[0] for track in part} for part in parts]
    assert sum(len(each) for each in packages) == 6
    assert max(len(part) for part in parts) - min(len(part) for part in parts) <= 2


def test_moments_are_spread_evenly_and_have_enough_before_them() -> None:
    tracks = [music("short", "a", 20), music("a", "a", 136), music("b", "b", 236)]
    moments = spread(tracks, 30)
    assert {track: len(each) for track, each in moments.items()} == {"a": 10, "b": 20}
    assert min(moments["b"]) == pytest.approx(BEFORE_SECONDS + 5)
    assert max(moments["b"]) == pytest.approx(231)


def test_the_sound_up_to_each_moment_is_cut_and_no_more_is_decoded() -> None:
    sound = np.arange(200 * 100, dtype=np.float32).reshape(1, -1)
    read: list[int] = []

    def blocks() -> Iterator[Pcm]:
        for first in range(0, sound.shape[1], 700):
            read.append(first)
            yield Pcm(np.ascontiguousarray(sound[:, first : first + 700]), 100)

    found = dict(sounds_until(blocks(), [150.0, 36.0, 36.5]))
    assert list(found) == [36.0, 36.5, 150.0]
    for at, pcm in found.items():
        assert pcm.samples.shape[1] == BEFORE_SECONDS * 100
        assert pcm.samples[0, -1] == at * 100 - 1
    assert max(read) == 14_700


def test_relatives_are_counted_apart() -> None:
    tracks = {
        each.id: each for each in (music("x", "a"), music("y", "a"), music("z", "b"), music("w", "c", 9, "me"))
    }
    tracks["v"] = music("v", "d", artist="me")
    answers = [asked("x", "y"), asked("x", "y", "z"), asked("x"), asked("w", "v"), asked("z", "z", known=True)]
    (row,) = rows(answers, tracks)
    assert [row[key] for key in ("kind", "n", "named", "related", "tracks", "of")] == ["6 s", 4, 1, 2, 2, 2]
