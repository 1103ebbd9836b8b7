"""How the API's addresses of VODs are described."""

from typing import Final

from fingerprint.domain.problems import ProblemCode
from server.api.openapi_operations import (
    ETAG,
    LOCATION,
    NOT_MODIFIED,
    OWNER,
    RETRY_AFTER,
    ApiOperation,
    json_of,
)
from server.api.openapi_schemas import TEXT, ref
from server.api.responses import BASE

_SET_LIST: Final = f"{BASE}/videos/{{id}}/set-list"
_SET_LIST_PROBLEMS: Final = (
    *OWNER,
    *(ProblemCode.RATE_LIMITED, ProblemCode.TIMEOUT, ProblemCode.RECOGNIZER_UNAVAILABLE),
    *(ProblemCode.MAINTENANCE, ProblemCode.INACTIVE, ProblemCode.STREAMS_DISABLED, ProblemCode.BLACKLISTED),
)

VIDEOS: Final = (
    ApiOperation(
        f"GET {_SET_LIST}",
        id="videoSetList",
        summary="The set list of a whole VOD",
        description="How far it is, and its songs so far.",
        responses={
            "200": json_of("Tracklist", "The set list so far.", {**RETRY_AFTER, **ETAG}),
            "304": NOT_MODIFIED,
        },
        problems=[ProblemCode.NOT_FOUND],
    ),
    ApiOperation(
        f"POST {_SET_LIST}",
        id="makeVideoSetList",
        summary="Make the set list of a whole VOD",
        description="Starts to listen to all of it, or joins what is under way; one that failed or was "
        "cancelled, or whose VOD was still being recorded, goes on where it was. For operators, API keys "
        "with the scope `watch`, and the channel's owner for VODs of their own. `Cache-Control: no-cache` "
        "makes a finished one again.",
        responses={
            "200": json_of("Tracklist", "It was made before."),
            "202": json_of("Tracklist", "It is being made.", {**LOCATION, **RETRY_AFTER}),
        },
        problems=_SET_LIST_PROBLEMS,
    ),
    ApiOperation(
        f"DELETE {_SET_LIST}",
        id="cancelVideoSetList",
        summary="Cancel the set list of a whole VOD",
        description="What was found stays. For the same callers.",
        responses={"204": {"description": "Cancelled."}},
        problems=(*OWNER, ProblemCode.NOT_FOUND, ProblemCode.TIMEOUT),
    ),
    ApiOperation(
        f"GET {_SET_LIST}.{{ending}}",
        id="videoSetListFile",
        summary="The set list of a whole VOD as a file",
        description="`csv`, `json`, `m3u8` (an HLS playlist of the songs' previews), `m3u` (one of links to "
        "the VOD's moments), `cue` (a cue sheet), `chapters.txt` (for a description on YouTube), or "
        "`spotify.txt` and `youtube.txt` (links to the songs, a line for each).",
        responses={
            "304": NOT_MODIFIED,
            "200": {
                "description": "The file.",
                "headers": ETAG,
                "content": {
                    **{
                        kind: {"schema": TEXT}
                        for kind in (
                            "text/csv",
                            "application/vnd.apple.mpegurl",
                            "audio/x-mpegurl",
                            "application/x-cue",
                            "text/plain",
                        )
                    },
                    "application/json": {"schema": ref("Tracklist")},
                },
            },
        },
        problems=[ProblemCode.NOT_FOUND],
    ),
)
