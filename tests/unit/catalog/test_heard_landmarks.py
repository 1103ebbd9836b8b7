import numpy as np
import pytest

from fingerprint.catalog.heard_landmarks import landmarks_of_sound, points_of_track
from fingerprint.catalog.identify import identify, prepare
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.domain.audio import PART, Pcm
from fingerprint.domain.landmark_points import MAX_POINTS, Points, points_of_text
from tests.unit.catalog.music import mixed, tune
from tests.unit.catalog.shelf import fill


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("catalog")
    fill(folder, range(4))
    return Catalog(folder).snapshot()


def heard(snapshot: Snapshot, pcm: Pcm) -> Points:
    return points_of_text(identify(snapshot, prepare(pcm))[0].landmarks)


LEAST = 30


def near(points: Points, others: Points) -> float:
    """The share of points with one of the others beside it."""
    theirs = np.array(others)
    return float(np.mean([np.abs(theirs - point).max(axis=1).min() < 0.02 for point in points]))


def test_an_answer_has_the_landmarks_that_were_heard(snapshot: Snapshot) -> None:
    cut = tune(2).cut(5.4, 6)
    points = heard(snapshot, cut)
    assert LEAST <= len(points) <= MAX_POINTS
    assert points == heard(snapshot, cut), "the same each time"
    assert [when for when, _ in points] == sorted(when for when, _ in points)
    assert near(points, heard(snapshot, tune(2).cut(8.0, 6))) < 0.8, "another moment has others"


def test_they_are_the_songs_own_and_not_those_of_the_music_over_it(snapshot: Snapshot) -> None:
    noisy = mixed(tune(1).cut(8, 6), tune(19).cut(2, 6), 1.5)
    (place,) = snapshot.places(identify(snapshot, prepare(noisy))[0].track.id)
    per_second = DEFAULT.frames_per_second
    frames, bins = place[0].segment.peaks(place[1], (8 * per_second, 14 * per_second))
    lowest, highest = DEFAULT.band_edges[0], DEFAULT.band_edges[-1]
    heights = np.log(bins / lowest) / np.log(highest / lowest)
    own = tuple(zip(((frames / per_second - 8) / 6).tolist(), heights.tolist(), strict=True))
    assert near(heard(snapshot, noisy), own) > 0.95
    assert near(points_of_text(landmarks_of_sound(noisy)), own) < 0.6


def test_those_of_sound_at_another_speed_are_found_too(snapshot: Snapshot) -> None:
    (found,) = identify(snapshot, prepare(tune(0, 20.0).slowed(1.04).cut(5, 6)))
    assert found.speed == pytest.approx(1 / 1.04, abs=0.01)
    assert len(points_of_text(found.landmarks)) >= LEAST


def test_a_long_recording_has_those_of_its_first_seconds(snapshot: Snapshot) -> None:
    assert len(heard(snapshot, tune(3, 20.0))) >= LEAST


def test_a_part_of_a_whole_recording_is_not_drawn(snapshot: Snapshot) -> None:
    query = prepare(tune(3).cut(2, 6))
    assert [each.landmarks for each in identify(snapshot, query, take=PART)] == [""]


def test_a_track_has_the_same_points_each_time(snapshot: Snapshot) -> None:
    one, other = (track.id for track in list(snapshot.tracks())[:2])
    points = points_of_track(snapshot, one)
    assert len(points) == MAX_POINTS
    assert points == points_of_track(snapshot, one) != points_of_track(snapshot, other)
    assert all(0.0 <= value <= 1.0 for point in points for value in point)
    heights = [height for _, height in points]
    assert max(heights) - min(heights) > 0.5
    assert points_of_track(snapshot, "unknown") == ()


def test_silence_and_short_sound_have_none() -> None:
    for seconds in (0.0, 0.01, 3.0):
        assert landmarks_of_sound(Pcm(np.zeros((1, round(seconds * 16_000)), np.float32))) == ""
