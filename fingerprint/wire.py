"""The contract's JSON form of an identification: one codec for the API, the command line, stores and Lambda."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

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
from fingerprint.domain.links import links_of
from fingerprint.domain.problems import PROBLEM_KINDS, Problem, ProblemCode

Json = dict[str, Any]


def time_to_json(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with microseconds: fixed width, so that text sorts as time."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_from_json(text: str | None) -> datetime | None:
    """The inverse of `time_to_json`. Raises ValueError for anything that is no RFC 3339 time."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def problem_to_json(problem: Problem) -> Json:
    """RFC 9457 problem details with our `code`; `retry_after_seconds` and `step` only where they are known."""
    kind = PROBLEM_KINDS[problem.code]
    body: Json = {
        "type": f"/docs#{problem.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "code": str(problem.code),
    }
    if problem.retry_after_seconds is not None:
        body["retry_after_seconds"] = problem.retry_after_seconds
    if problem.step is not None:
        body["step"] = problem.step
    return body


def problem_from_json(body: Mapping[str, Any]) -> Problem:
    """The inverse of `problem_to_json`. Raises KeyError or ValueError for another shape."""
    return Problem(
        code=ProblemCode(body["code"]),
        detail=body["detail"],
        retry_after_seconds=body.get("retry_after_seconds"),
        step=body.get("step"),
    )


def song_to_json(song: Song) -> Json:
    """The `song` object; `position` is where in the recording it starts, in seconds."""
    return {
        "title": song.title,
        "artists": list(song.artists),
        "album": song.album,
        "label": song.label,
        "isrc": song.isrc,
        "release_date": song.release_date,
        "duration": song.duration_seconds,
        "offset": song.offset_seconds,
        "position": song.position_seconds,
        "ids": {
            "spotify_track": song.ids.spotify_track,
            "spotify_album": song.ids.spotify_album,
            "spotify_artists": list(song.ids.spotify_artists),
            "youtube": song.ids.youtube,
            "deezer_track": song.ids.deezer_track,
            "deezer_album": song.ids.deezer_album,
            "deezer_artists": list(song.ids.deezer_artists),
            "apple_music": song.ids.apple_music,
        },
        "links": links_of(song),
        "catalog": None
        if song.catalog is None
        else {"track_id": song.catalog.track_id, "path": song.catalog.path},
    }


def song_from_json(body: Mapping[str, Any]) -> Song:
    """The inverse of `song_to_json`. Raises KeyError for another shape.

    Answers that were stored before a field existed are read, too.
    """
    ids = cast("Mapping[str, Any]", body["ids"])
    catalog = cast("Mapping[str, Any] | None", body["catalog"])
    return Song(
        title=body["title"],
        artists=tuple(body["artists"]),
        album=body["album"],
        label=body["label"],
        isrc=body["isrc"],
        release_date=body.get("release_date"),
        duration_seconds=body["duration"],
        offset_seconds=body["offset"],
        position_seconds=body["position"],
        ids=ExternalIds(
            spotify_track=ids["spotify_track"],
            spotify_album=ids.get("spotify_album"),
            spotify_artists=tuple(ids["spotify_artists"]),
            youtube=ids["youtube"],
            deezer_track=ids["deezer_track"],
            deezer_album=ids.get("deezer_album"),
            deezer_artists=tuple(ids["deezer_artists"]),
            apple_music=ids.get("apple_music"),
        ),
        catalog=None if catalog is None else CatalogRef(track_id=catalog["track_id"], path=catalog["path"]),
    )


def timings_to_json(timings: Timings) -> Json:
    """Milliseconds by step, rounded to microseconds; null for steps that did not run."""
    return {
        name: None if value is None else round(value, 3)
        for name, value in (
            ("resolve_ms", timings.resolve_ms),
            ("capture_ms", timings.capture_ms),
            ("fingerprint_ms", timings.fingerprint_ms),
            ("recognize_ms", timings.recognize_ms),
            ("total_ms", timings.total_ms),
        )
    }


def to_json(identification: Identification, *, shared: bool = False) -> Json:
    """The Identification of docs/api.md. `shared`: the asking request joined another's job."""
    return {
        "id": identification.id,
        "kind": str(identification.kind),
        "target": identification.target,
        "at": identification.at_seconds,
        "status": str(identification.status),
        "stage": str(identification.stage),
        "created_at": time_to_json(identification.created_at),
        "finished_at": time_to_json(identification.finished_at),
        "shared": shared,
        "song": None if identification.song is None else song_to_json(identification.song),
        "songs": [song_to_json(song) for song in identification.songs],
        "score": identification.score,
        "recognizer": identification.recognizer,
        "captured_seconds": identification.captured_seconds,
        "captured_at": time_to_json(identification.captured_at),
        "captured_from": identification.captured_from_seconds,
        "timings": timings_to_json(identification.timings),
        "problem": None if identification.problem is None else problem_to_json(identification.problem),
    }


def from_json(body: Mapping[str, Any]) -> Identification:
    """The inverse of `to_json`. Raises KeyError, TypeError or ValueError for another shape."""
    created_at = time_from_json(body["created_at"])
    if created_at is None:
        raise ValueError("created_at is missing")
    return Identification(
        id=IdentificationId(body["id"]),
        kind=Kind(body["kind"]),
        target=body["target"],
        at_seconds=body["at"],
        status=Status(body["status"]),
        stage=Stage(body["stage"]),
        created_at=created_at,
        finished_at=time_from_json(body["finished_at"]),
        song=None if body["song"] is None else song_from_json(body["song"]),
        songs=tuple(song_from_json(song) for song in body["songs"]),
        score=body["score"],
        recognizer=body["recognizer"],
        captured_seconds=body["captured_seconds"],
        captured_at=time_from_json(body["captured_at"]),
        captured_from_seconds=body.get("captured_from"),
        timings=Timings(**body["timings"]),
        problem=None if body["problem"] is None else problem_from_json(body["problem"]),
    )
