import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.json import encode

from fingerprint import wire
from fingerprint.domain.identification import (
    CatalogRef,
    ExternalIds,
    Identification,
    IdentificationId,
    Kind,
    Song,
    Stage,
    Status,
    Timings,
)
from fingerprint.domain.problems import Problem, ProblemCode

MOMENT = datetime(2026, 11, 22, 19, 0, 0, 250_000, tzinfo=UTC)

texts = st.text(max_size=20)
moments = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - made aware by timezones
seconds = st.floats(min_value=0, max_value=1e6)
songs = st.builds(
    Song,
    title=texts,
    artists=st.lists(texts, max_size=3).map(tuple),
    album=st.none() | texts,
    label=st.none() | texts,
    isrc=st.none() | texts,
    release_date=st.none() | texts,
    duration_seconds=st.none() | seconds,
    offset_seconds=st.none() | seconds,
    position_seconds=seconds,
    ids=st.builds(
        ExternalIds,
        spotify_track=st.none() | texts,
        spotify_album=st.none() | texts,
        spotify_artists=st.lists(texts, max_size=2).map(tuple),
        youtube=st.none() | texts,
        deezer_track=st.none() | texts,
        deezer_album=st.none() | texts,
        deezer_artists=st.lists(texts, max_size=2).map(tuple),
        apple_music=st.none() | texts,
    ),
    catalog=st.none() | st.builds(CatalogRef, track_id=texts, path=texts),
)
identifications = st.builds(
    Identification,
    id=texts.map(IdentificationId),
    kind=st.sampled_from(Kind),
    target=texts,
    created_at=moments,
    status=st.sampled_from(Status),
    stage=st.sampled_from(Stage),
    finished_at=st.none() | moments,
    at_seconds=st.none() | seconds,
    song=st.none() | songs,
    songs=st.lists(songs, max_size=2).map(tuple),
    score=st.none() | st.floats(min_value=0, max_value=1),
    recognizer=st.none() | texts,
    captured_seconds=st.none() | seconds,
    captured_at=st.none() | moments,
    captured_from_seconds=st.none() | seconds,
    place_uncertain=st.booleans(),
    timings=st.builds(Timings),
    problem=st.none()
    | st.builds(
        Problem,
        code=st.sampled_from(ProblemCode),
        detail=texts,
        retry_after_seconds=st.none() | seconds,
        step=st.none() | texts,
    ),
)


@given(identifications)
def test_what_is_written_is_read_back(identification: Identification) -> None:
    written = wire.to_json(identification)
    assert wire.from_json(json.loads(json.dumps(written))) == identification
    assert wire.from_json(json.loads(encode(written))) == identification


def test_times_have_a_fixed_width() -> None:
    assert wire.time_to_json(MOMENT.replace(microsecond=0)) == "2026-11-22T19:00:00.000000Z"
    assert wire.time_to_json(MOMENT.astimezone(timezone(timedelta(hours=2)))) == "2026-11-22T19:00:00.250000Z"


def test_a_running_identification_has_every_field_of_the_contract() -> None:
    body = wire.to_json(
        Identification(id=IdentificationId("x"), kind=Kind.STREAM, target="somechannel", created_at=MOMENT),
        shared=True,
    )
    assert set(body) >= {
        "id", "kind", "target", "status", "stage", "created_at", "finished_at", "shared", "song", "songs", "score",
        "recognizer", "captured_seconds", "timings", "problem",
    }  # fmt: skip
    assert body["created_at"] == "2026-11-22T19:00:00.250000Z"
    assert body["status"] == "queued"
    assert body["shared"] is True
    assert body["song"] is None


def test_an_answer_stored_before_fields_were_added_is_read() -> None:
    found = Song(title="Song", ids=ExternalIds(spotify_track="abc"))
    asked = Identification(
        id=IdentificationId("x"), kind=Kind.VIDEO, target="123456789", created_at=MOMENT, song=found
    )
    answer = wire.to_json(asked)
    del answer["place_uncertain"]
    del answer["song"]["release_date"]
    for name in ("spotify_album", "deezer_album", "apple_music"):
        del answer["song"]["ids"][name]
    assert wire.from_json(answer) == asked


@pytest.mark.parametrize(
    "change",
    [{"kind": "radio"}, {"created_at": None}, {"created_at": "soon"}, {"songs": [{"title": 5}]}, {"timings": 5}],
)
def test_another_form_is_refused(change: dict[str, Any]) -> None:
    written = wire.to_json(
        Identification(id=IdentificationId("x"), kind=Kind.STREAM, target="somechannel", created_at=MOMENT)
    )
    with pytest.raises(ValueError, match=r"\$\.|Expected"):
        wire.from_json(written | change)


def test_a_problem_is_written_as_problem_details() -> None:
    problem = Problem(code=ProblemCode.NOT_LIVE, detail="Nobody is on air.")
    assert to_builtins(wire.ProblemDetails.of(problem)) == {
        "type": "/docs#not-live",
        "title": "The channel is not live",
        "status": 409,
        "detail": "Nobody is on air.",
        "code": "not-live",
    }
