"""The JSON form of an identification, for the API, the command line, job stores and Lambda.

The domain's dataclasses define it, and msgspec writes and reads them. This module defines where the JSON differs:
names without units, times as text of a fixed width, and members that are computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, cast

from msgspec import UNSET, Meta, Struct, UnsetType, convert, to_builtins

from fingerprint.domain.identification import Identification, Song
from fingerprint.domain.landmark_points import drawing_path
from fingerprint.domain.links import links_of
from fingerprint.domain.problems import PROBLEM_KINDS, Problem, ProblemCode, public_problem
from fingerprint.domain.songs import song_id

Json = dict[str, Any]

SONG_NAMES: Final = {"duration_seconds": "duration", "offset_seconds": "offset", "position_seconds": "position"}
IDENTIFICATION_NAMES: Final = {"at_seconds": "at", "captured_from_seconds": "captured_from"}
"""Fields whose JSON names differ."""

STORE_ONLY: Final = ("disputed",)
"""Fields of an identification that are not in its JSON."""

_SONG_FIELDS: Final = {name: field for field, name in SONG_NAMES.items()}
_IDENTIFICATION_FIELDS: Final = {name: field for field, name in IDENTIFICATION_NAMES.items()}
_TIMES: Final = ("created_at", "finished_at", "captured_at", "asked_at")

Address = Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]


class ProblemDetails(Struct, kw_only=True):
    """RFC 9457 problem details with our `code`."""

    type: Address
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    code: ProblemCode
    retry_after_seconds: Annotated[float, Meta(ge=0)] | UnsetType = UNSET
    step: Annotated[str, Meta(description="The step of an upstream service that failed.")] | UnsetType = UNSET
    location: (
        Annotated[Address, Meta(description="With `job-in-progress`: the identification that runs.")] | UnsetType
    ) = UNSET

    @classmethod
    def of(cls, problem: Problem) -> "ProblemDetails":
        """Problem details for a problem; `retry_after_seconds` and `step` only where they are known."""
        kind = PROBLEM_KINDS[problem.code]
        return cls(
            type=f"/docs#{problem.code}",
            title=kind.title,
            status=kind.status,
            detail=problem.detail,
            code=problem.code,
            retry_after_seconds=UNSET if problem.retry_after_seconds is None else problem.retry_after_seconds,
            step=UNSET if problem.step is None else problem.step,
        )


def time_to_json(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with microseconds: fixed width, so that text sorts as time."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_from_json(text: str | None) -> datetime | None:
    """The inverse of `time_to_json`. Raises ValueError for anything but an RFC 3339 time."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def problem_from_json(body: Mapping[str, Any]) -> Problem:
    """The problem in problem details. Raises ValueError for any other shape."""
    return convert(body, Problem)


def song_to_json(song: Song, *, paths: bool = True) -> Json:
    """The JSON `song` object; its `position` is where in the recording the song starts, in seconds.

    `paths`: with the path of its file in the catalog, which is for operators alone.
    """
    return _song_members(to_builtins(song), song, paths=paths)


def _song_members(body: Json, song: Song, *, paths: bool) -> Json:
    if song.catalog is not None and not paths:
        del body["catalog"]["path"]
    for field, name in SONG_NAMES.items():
        body[name] = body.pop(field)
    body["id"] = song_id(song)
    body["links"] = links_of(song)
    body["drawing"] = drawing_path(song)
    return body


def _song_fields(body: Mapping[str, Any]) -> Json:
    return {_SONG_FIELDS.get(name, name): value for name, value in body.items()}


def to_json(identification: Identification, *, shared: bool = False, paths: bool = True) -> Json:
    """The Identification of docs/api.md. `shared`: the request joined a job that another one had started.

    `paths`: with the paths of files in the catalog and what to do about missing recognizers, for operators alone.
    """
    if not paths and identification.problem is not None:
        identification = replace(identification, problem=public_problem(identification.problem))
    body: Json = to_builtins(identification, builtin_types=(datetime,))
    for field, name in IDENTIFICATION_NAMES.items():
        body[name] = body.pop(field)
    for name in STORE_ONLY:
        del body[name]
    for name in _TIMES:
        body[name] = time_to_json(body[name])
    body["shared"] = shared
    if identification.song is not None:
        _song_members(body["song"], identification.song, paths=paths)
    for written, song in zip(cast("Sequence[Json]", body["songs"]), identification.songs, strict=True):
        _song_members(written, song, paths=paths)
    timings = cast("dict[str, float | None]", body["timings"])
    body["timings"] = {name: None if value is None else round(value, 3) for name, value in timings.items()}
    if identification.problem is not None:
        body["problem"] = to_builtins(ProblemDetails.of(identification.problem))
    return body


def from_json(body: Mapping[str, Any]) -> Identification:
    """The inverse of `to_json`. Raises KeyError, TypeError or ValueError for another shape."""
    fields = {_IDENTIFICATION_FIELDS.get(name, name): value for name, value in body.items()}
    fields["song"] = None if body["song"] is None else _song_fields(body["song"])
    fields["songs"] = [_song_fields(song) for song in body["songs"]]
    return convert(fields, Identification)
