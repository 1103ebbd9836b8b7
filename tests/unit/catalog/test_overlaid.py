"""Two songs at the same time: a mashup, or one faded into the next."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fingerprint.catalog.examination import Finding
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import entry

ANOTHER_RELEASE = 20
RELEASED_TWICE = 5


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Twelve tracks, and one of them with a second release."""
    folder: Path = tmp_path_factory.mktemp("catalog")
    with CatalogWriter(folder) as writer:
        writer.add([entry(number) for number in range(12)])
        writer.add([entry(ANOTHER_RELEASE, mixed(tune(RELEASED_TWICE), noise(4, 20), 0.02))])
    return Catalog(folder).snapshot()


def ask(snapshot: Snapshot, pcm: Pcm) -> list[Finding]:
    return identify(snapshot, prepare(pcm))


def joined(*parts: Pcm) -> Pcm:
    return Pcm(np.ascontiguousarray(np.concatenate([part.samples for part in parts], axis=1)))


def titles(findings: list[Finding]) -> list[str]:
    return [finding.track.title for finding in findings]


def faded(older: Pcm, newer: Pcm, between: tuple[float, float]) -> Pcm:
    """The newer sound faded in over the older one, from one second to the other."""
    times: NDArray[np.float64] = np.arange(older.samples.shape[1], dtype=np.float64) / SAMPLE_RATE
    share: NDArray[np.float64] = ((times - between[0]) / (between[1] - between[0])).clip(0, 1)
    samples = older.samples * np.sqrt(1 - share) + newer.samples * np.sqrt(share)
    return Pcm(samples.astype(np.float32))


@pytest.mark.parametrize(
    ("first", "second", "gain", "seconds"),
    [(3, 7, 1.0, 6.0), (4, 9, 0.7, 6.0), (1, 11, 0.8, 10.0), (10, 2, 1.0, 4.5)],
)
def test_a_mashup_gives_both_songs_with_their_places(
    snapshot: Snapshot, first: int, second: int, gain: float, seconds: float
) -> None:
    found = ask(snapshot, mixed(tune(first).cut(5, seconds), tune(second).cut(8, seconds), gain))
    places = {finding.track.title: (finding.position_seconds, finding.offset_seconds) for finding in found}
    assert places == {
        f"Song {first}": (0, pytest.approx(5, abs=0.1)),
        f"Song {second}": (0, pytest.approx(8, abs=0.1)),
    }


def test_a_long_mashup_gives_both_songs(snapshot: Snapshot) -> None:
    found = ask(snapshot, mixed(tune(3).cut(1, 18), tune(7).cut(1, 18), 0.8))
    assert sorted(titles(found)) == ["Song 3", "Song 7"]


def test_a_song_that_is_faded_into_a_long_recording_begins_where_it_is_heard(snapshot: Snapshot) -> None:
    silence = Pcm(np.zeros((1, 15 * SAMPLE_RATE), np.float32))
    older = joined(tune(1).cut(0, 20), silence.cut(0, 10))
    newer = joined(silence, tune(4).cut(3, 15))
    places = {each.track.title: each.position_seconds for each in ask(snapshot, faded(older, newer, (15, 20)))}
    assert places == {"Song 1": 0, "Song 4": pytest.approx(16, abs=2)}


@pytest.mark.parametrize("between", [(0.5, 5.5), (-2.0, 7.0)])
def test_of_a_crossfade_the_newer_song_is_the_answer(snapshot: Snapshot, between: tuple[float, float]) -> None:
    for older, newer in ((3, 7), (1, 11)):
        found = ask(snapshot, faded(tune(older).cut(9, 6), tune(newer).cut(2, 6), between))
        assert titles(found) == [f"Song {newer}", f"Song {older}"]


def test_another_release_of_the_second_song_is_no_third_song(snapshot: Snapshot) -> None:
    found = ask(snapshot, mixed(tune(3).cut(5, 6), tune(RELEASED_TWICE).cut(8, 6), 1.0))
    twice = {f"{number:012x}" for number in (RELEASED_TWICE, ANOTHER_RELEASE)}
    assert [{each.track.id, *each.also} for each in found] in (
        [{f"{3:012x}"}, twice],
        [twice, {f"{3:012x}"}],
    )


@pytest.mark.parametrize("number", [0, 3, 9])
def test_one_song_stays_one(snapshot: Snapshot, number: int) -> None:
    for over in (noise(number, 6), tune(number + 300).cut(2, 6)):
        assert titles(ask(snapshot, mixed(tune(number).cut(6, 6), over, 0.5))) == [f"Song {number}"]
