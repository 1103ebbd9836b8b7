"""What owners decide, as values: which answers and entries a correction is about, and how they are shown."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from fingerprint.domain.identification import (
    BroadcastMoment,
    CatalogRef,
    ExternalIds,
    Identification,
    Kind,
    Song,
    Status,
    song_key,
)
from fingerprint.domain.tracklist import Tracklist, TracklistEntry
from server.owner_choices.choices import (
    ChannelChoices,
    CorrectedTime,
    Correction,
    corrected_song,
    keys_of,
)
from tests.builders import NOON, answered, song

NIGHT = Song(
    title="Night Drive",
    artists=("Marlow Quay",),
    isrc="USRC17607839",
    album="Coast",
    duration_seconds=200.0,
    ids=ExternalIds(spotify_track="x"),
    catalog=CatalogRef(track_id="abc"),
)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def correction(*, title: str | None = None, going_on: bool = False, **place: Any) -> Correction:
    return Correction(
        id="c1",
        keys=keys_of(NIGHT),
        time=CorrectedTime(since=NOON, until=NOON + minutes(3), going_on=going_on, **place),
        title=title,
        artists=("June Alder",) if title else (),
        was_title=NIGHT.title,
        was_artists=NIGHT.artists,
        made_by="user:7",
        changed_at=NOON,
    )


def answer(at: float, named: Song = NIGHT, **more: Any) -> Identification:
    return dataclasses.replace(answered(minutes=at), song=named, songs=(named,), score=0.5, **more)


def shown(found: Identification, **more: Any) -> Identification:
    return ChannelChoices(corrections=(correction(**more),)).shown(found)


def test_a_hidden_play_has_found_no_song() -> None:
    hidden = shown(answer(1))
    assert (hidden.song, hidden.songs, hidden.status, hidden.score) == (None, (), Status.NO_MATCH, None)
    other = answer(1, song("Harbor"))
    assert shown(other) is other


def test_a_corrected_one_has_no_links_of_another_song_and_no_score_of_ours() -> None:
    found = shown(answer(1), title="Harbor Lights")
    assert found.song == Song(title="Harbor Lights", artists=("June Alder",), corrected=True)
    assert (found.songs, found.score, found.is_probable) == ((found.song,), None, False)
    spelled = corrected_song(NIGHT, "night drive", ("Marlow  Quay",))
    assert (spelled.title, spelled.isrc, spelled.album, spelled.corrected) == (
        "night drive",
        NIGHT.isrc,
        "Coast",
        True,
    )
    # It is a play of its own among others of the song.
    assert song_key(spelled) != song_key(NIGHT)


@pytest.mark.parametrize(
    ("at", "going_on", "is_hidden"),
    [
        (-0.1, False, False),
        (0, False, True),
        (3, False, True),
        (3.1, False, False),
        (17, True, True),
        (19, True, False),
    ],
)
def test_only_that_play_is_hidden_and_one_that_goes_on_while_it_does(
    at: float, going_on: bool, is_hidden: bool
) -> None:
    assert (shown(answer(at), going_on=going_on).song is None) is is_hidden


def test_the_same_recording_under_another_key_is_the_same_song() -> None:
    for other in (
        dataclasses.replace(NIGHT, isrc=None, catalog=None),
        dataclasses.replace(NIGHT, title="Night Drive (2020)", catalog=None),
    ):
        assert shown(answer(1, other)).song is None


def test_questions_about_the_moment_and_its_vod_are_shown_alike() -> None:
    place: dict[str, Any] = {"broadcast": "b1", "from_seconds": 600.0, "to_seconds": 780.0}
    at = BroadcastMoment(broadcast="b1", seconds=590.0)
    video = answer(99, kind=Kind.VIDEO, target="123", channel="somechannel", moment=at)
    earlier = answer(99, asked_at=NOON, captured_at=None)
    assert shown(video, **place).song is None
    assert shown(earlier, **place).song is None
    for moment in (BroadcastMoment(broadcast="b2", seconds=590.0), BroadcastMoment(broadcast="b1", seconds=500.0)):
        other = dataclasses.replace(video, moment=moment)
        assert shown(other, **place) is other
    clip = answer(1, kind=Kind.CLIP, target="slug", channel="somechannel")
    assert shown(clip, **place) is clip


def test_the_set_list_of_a_vod_has_it_too() -> None:
    entries = tuple(
        TracklistEntry(start=start, end=start + 100, song=NIGHT, score=1.0, recognizer="catalog", pieces=3)
        for start in (0.0, 650.0, 900.0)
    )
    tracklist = Tracklist(entries=entries, broadcast="b1", channel="somechannel")
    place: dict[str, Any] = {"broadcast": "b1", "from_seconds": 600.0, "to_seconds": 780.0}
    choices = ChannelChoices(corrections=(correction(**place),))
    assert [entry.start for entry in choices.shown_tracklist(tracklist).entries] == [0.0, 900.0]
    named = ChannelChoices(corrections=(correction(title="Harbor", **place),))
    assert [entry.song.title for entry in named.shown_tracklist(tracklist).entries] == [
        "Night Drive", "Harbor", "Night Drive"
    ]  # fmt: skip
    elsewhere = dataclasses.replace(tracklist, broadcast="b2")
    assert choices.shown_tracklist(elsewhere) == elsewhere
