"""How the API's addresses of answers, songs and their pictures are described."""

from collections.abc import Mapping
from typing import Final

from fingerprint.domain.problems import ProblemCode
from server.api.openapi_operations import (
    AGE,
    APPLIED,
    CACHE_CONTROL,
    ETAG,
    EVENTS,
    IF_NONE_MATCH,
    LAST_EVENT_ID,
    LIMITS,
    LOCATION,
    NOT_MODIFIED,
    PLAYS,
    PREFER,
    REFUSALS,
    RETRY_AFTER,
    ApiOperation,
    json_of,
    parameter,
)
from server.api.openapi_schemas import TIME
from server.api.responses import BASE

_SOUND: Final[Mapping[str, Mapping[str, str]]] = {kind: {} for kind in ("audio/mpeg", "audio/mp4", "audio/aac")}


ANSWERS: Final = (
    ApiOperation(
        f"POST {BASE}/identifications",
        id="ask",
        summary="Ask which song is playing",
        description="Starts a job or joins the one that runs for the same target. A clip or a moment in a "
        "video that was answered before is answered at once, and so is a live channel that was listened to "
        "some seconds ago. A failed identification is an answer too: its `status` is `failed` and `problem` "
        "says why.",
        parameters=[PREFER, CACHE_CONTROL],
        body="Question",
        upload=True,
        responses={
            "200": json_of("Identification", "Finished.", {**LOCATION, **APPLIED, **AGE, **ETAG, **LIMITS}),
            "202": json_of("Identification", "Still running.", {**LOCATION, **APPLIED, **RETRY_AFTER, **LIMITS}),
        },
        problems=(
            *REFUSALS,
            ProblemCode.MOMENT_GONE,
            ProblemCode.JOB_IN_PROGRESS,
            ProblemCode.RATE_LIMITED,
            ProblemCode.RECOGNIZER_UNAVAILABLE,
        ),
    ),
    ApiOperation(
        f"GET {BASE}/identifications/{{id}}",
        id="look",
        summary="An identification in its current state",
        description="With `Prefer: wait=N`, once it is finished or the wait is over. A finished one never "
        "changes, but for links that are found later.",
        parameters=[PREFER, IF_NONE_MATCH],
        responses={
            "200": json_of("Identification", "Its state.", {**APPLIED, **RETRY_AFTER, **ETAG}),
            "304": NOT_MODIFIED,
        },
        problems=[ProblemCode.NOT_FOUND, ProblemCode.BLACKLISTED],
    ),
    ApiOperation(
        f"GET {BASE}/identifications/{{id}}/events",
        id="listen",
        summary="Follow an identification",
        description="Server-sent events: `status` with the Identification for the current state and each "
        "later one, then one `result`. The stream ends after it. If it ends before, connect again.",
        parameters=[LAST_EVENT_ID],
        responses={**EVENTS, "204": {"description": "You have had the result: do not connect again."}},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.BLACKLISTED],
    ),
    ApiOperation(
        f"POST {BASE}/identifications/{{id}}/reports",
        id="report",
        summary="Say that an answer is wrong",
        description="Requires access to its target. The operator sees the report. A clip, or a moment of a "
        "video, is identified again on the next request, a few times a day at most.",
        body="Report",
        responses={"204": {"description": "Thank you."}},
        problems=(*REFUSALS, ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED),
    ),
    ApiOperation(
        f"GET {BASE}/clips/{{slug}}",
        id="clip",
        summary="The stored answer for a clip",
        description="Never starts a job.",
        parameters=[IF_NONE_MATCH],
        responses={
            "200": json_of("Identification", "The answer.", {**AGE, **ETAG}),
            "304": NOT_MODIFIED,
        },
        problems=(*REFUSALS, ProblemCode.NOT_IDENTIFIED),
    ),
    ApiOperation(
        f"GET {BASE}/songs/{{id}}",
        id="songHistory",
        summary="A song and where it was heard, newest first",
        description="On live channels, as their set lists show it; in clips and VODs if you have access "
        "to them. For the next page, send `next_before` as `before`.",
        parameters=[
            parameter("query", "limit", "Hearings to give.", PLAYS),
            parameter("query", "before", "Only what was heard before this time.", TIME),
            IF_NONE_MATCH,
        ],
        responses={"200": json_of("SongHistory", "The song.", ETAG), "304": NOT_MODIFIED},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED],
    ),
    ApiOperation(
        f"GET {BASE}/artwork/{{name}}",
        id="artwork",
        summary="A picture of a song",
        description="A song's `artwork` has its address. It never changes, and may be kept for a year.",
        parameters=[IF_NONE_MATCH],
        responses={
            "200": {
                "description": "The picture.",
                "headers": ETAG,
                "content": {kind: {} for kind in ("image/jpeg", "image/png")},
            },
            "304": NOT_MODIFIED,
        },
        problems=[ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED],
    ),
    ApiOperation(
        f"GET {BASE}/previews/{{name}}",
        id="preview",
        summary="A sample of a song's sound",
        description="A song's `preview` has its address. It is the service's own, of some 30 seconds, and may "
        "be read in parts (`Range`). With `.aac` at its end, it is the AAC that HLS playlists take.",
        parameters=[
            parameter("header", "Range", "The part that is wanted, such as `bytes=0-65535` (RFC 9110)."),
            IF_NONE_MATCH,
        ],
        responses={
            "200": {"description": "The sound.", "headers": ETAG, "content": _SOUND},
            "206": {"description": "The part of the sound.", "headers": ETAG, "content": _SOUND},
            "304": NOT_MODIFIED,
            "416": {"description": "The sound is shorter than where the part begins."},
        },
        problems=[
            ProblemCode.NOT_FOUND,
            ProblemCode.RATE_LIMITED,
            ProblemCode.UPSTREAM_UNAVAILABLE,
        ],
    ),
)
