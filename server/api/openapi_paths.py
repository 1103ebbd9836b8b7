"""The API's addresses, what they take and how they answer; `openapi.py` puts it together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode
from server.access.rules.policy import POLICY_CODES
from server.api.openapi_schemas import EVENT, TEXT, TIME, Schema, ref
from server.api.responses import BASE

_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_APPLIED: Final = {"Preference-Applied": {"schema": TEXT}}
_LOCATION: Final = {"Location": {"schema": {**TEXT, "format": "uri-reference"}}}
_AGE: Final = {
    "Age": {
        "description": "Of an answer that was there before: seconds since its sound was captured, of a clip or "
        "video since it was made.",
        "schema": {"type": "integer"},
    }
}
_LIMITS: Final = {
    "RateLimit": {"description": "What is left of the nearest limit on new identifications.", "schema": TEXT},
    "RateLimit-Policy": {"description": "That limit.", "schema": TEXT},
}
_HEADERS: Final = {ProblemCode.JOB_IN_PROGRESS: _LOCATION, ProblemCode.RATE_LIMITED: _LIMITS}


Responses = dict[str, Schema]


def _response(text: str, media_type: str, schema: Schema, headers: Schema | None = None) -> Schema:
    response: Schema = {"description": text, "content": {media_type: {"schema": schema}}}
    return {**response, "headers": headers} if headers else response


def _json(name: str, text: str, headers: Schema | None = None) -> Schema:
    return _response(text, "application/json", ref(name), headers)


def _problem(text: str, headers: Schema | None = None) -> Schema:
    return _response(text, "application/problem+json", ref("Problem"), headers)


def _problems(*codes: ProblemCode) -> Responses:
    """The error responses for problem codes, by HTTP status."""
    responses: Responses = {}
    for code in dict.fromkeys(codes):
        status = str(PROBLEM_KINDS[code].status)
        before = responses.get(status, {"description": "", "headers": {}})
        text = ", ".join(filter(None, (before["description"], f"`{code}`")))
        responses[status] = _problem(text, {**before["headers"], **_HEADERS.get(code, {}), **_RETRY_AFTER})
    return responses


_COMMON: Final = (
    ProblemCode.INVALID_INPUT,
    ProblemCode.RATE_LIMITED,
    ProblemCode.BUSY,
    ProblemCode.INTERNAL,
)
_CREDENTIALS: Final = (
    ProblemCode.KEY_INVALID,
    ProblemCode.TOKEN_INVALID,
    ProblemCode.TOKEN_WRONG_CLIENT,
    ProblemCode.UPSTREAM_UNAVAILABLE,
)
_OWNER: Final = (*_CREDENTIALS, ProblemCode.LOGIN_REQUIRED, ProblemCode.FORBIDDEN, ProblemCode.BLACKLISTED)
_REFUSALS: Final = tuple(dict.fromkeys((*POLICY_CODES, *_CREDENTIALS)))
"""Problem codes of refusals: the caller may not ask."""

_BODY_PROBLEMS: Final = {
    "408": _problem("`timeout`: the body did not arrive in time"),
    "413": _problem("`invalid-input`: the body is larger than 16 KiB"),
}


def _parameter(place: str, name: str, text: str, schema: Schema = TEXT) -> Schema:
    return {"in": place, "name": name, "description": text, "schema": schema, "required": place == "path"}


_UPLOAD: Final[Schema] = {
    "type": "object",
    "properties": {
        "file": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "description": "A recording in any usual format, up to 25 MB; a minute of it is listened to.",
        }
    },
    "required": ["file"],
}
_PLAYS: Final = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
_PREFER: Final = _parameter("header", "Prefer", "`wait=N`: wait up to N seconds, at most 30 (RFC 7240).")
_IF_NONE_MATCH: Final = _parameter(
    "header", "If-None-Match", "The `ETag` of what you have: 304 while it is the same."
)
_LAST_EVENT_ID: Final = _parameter(
    "header", "Last-Event-ID", "The `id` of the last event you had: what followed is sent."
)
_ETAG: Final = {"ETag": {"description": "Of what is finished: for `If-None-Match`.", "schema": TEXT}}
_NOT_MODIFIED: Final = {"description": "What you have is still the same.", "headers": _ETAG}
_CACHE_CONTROL: Final = _parameter(
    "header", "Cache-Control", "`no-cache`: listen again; `max-age=N`: an answer may be N seconds old (RFC 9111)."
)
_PATH_PARAMETERS: Final = {
    "/identifications/{id}": _parameter("path", "id", "An identification's id."),
    "{login}": _parameter("path", "login", "A channel's name, or its address, percent-encoded."),
    "/videos/{id}": _parameter("path", "id", "The VOD's number."),
    "{ending}": _parameter(
        "path",
        "ending",
        "Which file.",
        {"type": "string", "enum": ["csv", "json", "m3u8", "cue", "chapters.txt"]},
    ),
    "{kind}": _parameter("path", "kind", "Which file.", {"type": "string", "enum": ["csv", "json", "m3u8"]}),
    "/songs/{id}": _parameter("path", "id", "A song's id: `song.id`, or its ISRC."),
    "/artwork/{name}": _parameter("path", "name", "As in the `url` of an `artwork`."),
    "{slug}": _parameter("path", "slug", "The clip's slug; its case counts."),
    "/webhooks/{id}": _parameter("path", "id", "The webhook's id."),
    "/song-tokens/{id}": _parameter("path", "id", "The token's id."),
}


TAGS: Final[Mapping[str, str]] = {
    "identifications": "Ask which song is playing, and follow the answer.",
    "channels": "What was heard on a channel, as a list, as events, and for chat bots.",
    "webhooks": "Have your own server told of plays and answers.",
    "access": "What the service offers, and what the caller may do.",
    "monitoring": "For the operator.",
}
_TAG_OF: Final = {
    **dict.fromkeys(("identifications", "clips", "videos", "songs", "artwork"), "identifications"),
    **dict.fromkeys(("channels", "watches"), "channels"),
    "webhooks": "webhooks",
    **dict.fromkeys(("healthz", "readyz", "metrics"), "monitoring"),
}


def _tag(path: str) -> str:
    return _TAG_OF.get(path.removeprefix(BASE).split("/")[1], "access")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOperation:
    """One method of a path. `body` is the name of its JSON form, and `problems` come beside the common ones."""

    id: str
    summary: str
    description: str
    parameters: Sequence[Schema] = ()
    body: str = ""
    upload: bool = False
    """Whether it takes a file in a form instead."""
    responses: Responses
    problems: Sequence[ProblemCode] | None = ()

    def described(self, method: str, path: str) -> Schema:
        """The operation as the document has it."""
        described: Schema = {
            "operationId": self.id,
            "summary": self.summary,
            "description": self.description,
            "tags": [_tag(path)],
            "responses": dict(self.responses),
        }
        parameters = [each for name, each in _PATH_PARAMETERS.items() if name in path] + list(self.parameters)
        if parameters:
            described["parameters"] = parameters
        if self.body:
            form = {"application/json": {"schema": ref(self.body)}}
            if self.upload:
                form["multipart/form-data"] = {"schema": _UPLOAD}
                described["responses"] |= {"415": _problem("`invalid-input`: the file is said to be no recording")}
            described["requestBody"] = {"required": True, "content": form}
            described["responses"] |= _BODY_PROBLEMS
        if self.problems is not None:
            # A session cookie without the CSRF token is refused.
            csrf = () if method == "get" else (ProblemCode.CSRF,)
            described["responses"] |= _problems(*self.problems, *_COMMON, *csrf)
        return described


_EVENTS: Final = {"200": _response("Events.", "text/event-stream", EVENT)}
_FOR_THE_OWNER: Final = "For the channel's owner, signed in with Twitch."
_CHANNEL: Final = f"{BASE}/channels/{{login}}"
_SET_LIST: Final = f"{BASE}/videos/{{id}}/set-list"
_SET_LIST_PROBLEMS: Final = (
    *_OWNER,
    *(ProblemCode.RATE_LIMITED, ProblemCode.TIMEOUT, ProblemCode.RECOGNIZER_UNAVAILABLE),
    *(ProblemCode.MAINTENANCE, ProblemCode.INACTIVE, ProblemCode.STREAMS_DISABLED, ProblemCode.BLACKLISTED),
)

_OPERATIONS: Final[Mapping[str, Mapping[str, ApiOperation]]] = {
    f"{BASE}/identifications": {
        "post": ApiOperation(
            id="ask",
            summary="Ask which song is playing",
            description="Starts a job or joins the one that runs for the same target. A clip or a moment in a "
            "video that was answered before is answered at once, and so is a live channel that was listened to "
            "some seconds ago. A failed identification is an answer too: its `status` is `failed` and `problem` "
            "says why.",
            parameters=[_PREFER, _CACHE_CONTROL],
            body="Question",
            upload=True,
            responses={
                "200": _json("Identification", "Finished.", {**_LOCATION, **_APPLIED, **_AGE, **_ETAG, **_LIMITS}),
                "202": _json(
                    "Identification", "Still running.", {**_LOCATION, **_APPLIED, **_RETRY_AFTER, **_LIMITS}
                ),
            },
            problems=(
                *_REFUSALS,
                ProblemCode.MOMENT_GONE,
                ProblemCode.JOB_IN_PROGRESS,
                ProblemCode.RATE_LIMITED,
                ProblemCode.RECOGNIZER_UNAVAILABLE,
            ),
        )
    },
    f"{BASE}/identifications/{{id}}": {
        "get": ApiOperation(
            id="look",
            summary="An identification in its current state",
            description="With `Prefer: wait=N`, once it is finished or the wait is over. A finished one never "
            "changes, but for links that are found later.",
            parameters=[_PREFER, _IF_NONE_MATCH],
            responses={
                "200": _json("Identification", "Its state.", {**_APPLIED, **_RETRY_AFTER, **_ETAG}),
                "304": _NOT_MODIFIED,
            },
            problems=[ProblemCode.NOT_FOUND, ProblemCode.BLACKLISTED],
        )
    },
    f"{BASE}/identifications/{{id}}/events": {
        "get": ApiOperation(
            id="listen",
            summary="Follow an identification",
            description="Server-sent events: `status` with the Identification for the current state and each "
            "later one, then one `result`. The stream ends after it. If it ends before, connect again.",
            parameters=[_LAST_EVENT_ID],
            responses={**_EVENTS, "204": {"description": "You have had the result: do not connect again."}},
            problems=[ProblemCode.NOT_FOUND, ProblemCode.BLACKLISTED],
        )
    },
    f"{BASE}/identifications/{{id}}/reports": {
        "post": ApiOperation(
            id="report",
            summary="Say that an answer is wrong",
            description="Requires access to its target. The operator sees the report. A clip, or a moment of a "
            "video, is identified again on the next request, a few times a day at most.",
            body="Report",
            responses={"204": {"description": "Thank you."}},
            problems=(*_REFUSALS, ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED),
        )
    },
    f"{BASE}/clips/{{slug}}": {
        "get": ApiOperation(
            id="clip",
            summary="The stored answer for a clip",
            description="Never starts a job.",
            parameters=[_IF_NONE_MATCH],
            responses={
                "200": _json("Identification", "The answer.", {**_AGE, **_ETAG}),
                "304": _NOT_MODIFIED,
            },
            problems=(*_REFUSALS, ProblemCode.NOT_IDENTIFIED),
        )
    },
    f"{BASE}/songs/{{id}}": {
        "get": ApiOperation(
            id="songHistory",
            summary="A song and where it was heard, newest first",
            description="On live channels, as their set lists show it; in clips and VODs as you may ask for "
            "them. For the next page, send `next_before` as `before`.",
            parameters=[
                _parameter("query", "limit", "Hearings to give.", _PLAYS),
                _parameter("query", "before", "Only what was heard before this time.", TIME),
                _IF_NONE_MATCH,
            ],
            responses={"200": _json("SongHistory", "The song.", _ETAG), "304": _NOT_MODIFIED},
            problems=[ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED],
        )
    },
    f"{BASE}/artwork/{{name}}": {
        "get": ApiOperation(
            id="artwork",
            summary="A picture of a song",
            description="A song's `artwork` has its address. It never changes, and may be kept for a year.",
            parameters=[_IF_NONE_MATCH],
            responses={
                "200": {
                    "description": "The picture.",
                    "headers": _ETAG,
                    "content": {kind: {} for kind in ("image/jpeg", "image/png")},
                },
                "304": _NOT_MODIFIED,
            },
            problems=[ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED],
        )
    },
    f"{_CHANNEL}/songs": {
        "get": ApiOperation(
            id="setList",
            summary="What was heard on a channel, newest first",
            description="Consecutive answers of one song are one play. For the next page, send `next_before` as "
            "`before`.",
            parameters=[
                _parameter("query", "limit", "Plays to give.", _PLAYS),
                _parameter("query", "before", "Only what was asked for before this time.", TIME),
                _IF_NONE_MATCH,
            ],
            responses={"200": _json("SetList", "The set list.", _ETAG), "304": _NOT_MODIFIED},
            problems=[ProblemCode.BLACKLISTED],
        )
    },
    "/channels/{login}/songs.{kind}": {
        "get": ApiOperation(
            id="setListFile",
            summary="The set list of a channel as a file",
            description="`csv`, `json`, or `m3u8` (a playlist of links). Of one day (UTC), or the newest plays.",
            parameters=[
                _parameter("query", "day", "A day such as `2026-03-01`.", {"type": "string", "format": "date"}),
                _parameter("query", "q", "Words that title, artists and album hold together."),
            ],
            responses={
                "200": {
                    "description": "The file.",
                    "content": {
                        kind: {"schema": schema}
                        for kind, schema in {
                            "text/csv": TEXT,
                            "application/vnd.apple.mpegurl": TEXT,
                            "application/json": {"type": "object"},
                        }.items()
                    },
                }
            },
            problems=[ProblemCode.BLACKLISTED, ProblemCode.NOT_FOUND],
        )
    },
    f"{_CHANNEL}/events": {
        "get": ApiOperation(
            id="followChannel",
            summary="Follow what is played on a channel",
            description="Server-sent events: `play` with the newest Play, if there is one, and again whenever it "
            "changes. It goes on until you leave; when it ends, connect again. Nothing is identified for it: it "
            "tells what others ask for, and what a watch finds.",
            parameters=[_LAST_EVENT_ID],
            responses=_EVENTS,
            problems=[ProblemCode.BLACKLISTED],
        )
    },
    f"{_CHANNEL}/song.txt": {
        "get": ApiOperation(
            id="songLine",
            summary="The song as one plain line, for chat bots",
            description="Starts or joins an identification and waits up to 8 s. Problems are one plain line too, "
            "with status 200. At most 400 characters.",
            parameters=[
                _parameter("query", "token", "A token for this channel, if the server requires sign-in."),
                _parameter("query", "ago", "How long ago: seconds, `1m30s` or `1:30`; empty for now."),
                _parameter("query", "format", "How a song is written, such as `{artist} - {title} {link}`."),
            ],
            responses={"200": _response("The line.", "text/plain", TEXT)},
            problems=None,
        )
    },
    _CHANNEL: {
        "delete": ApiOperation(
            id="forgetChannel",
            summary="Forget a channel",
            description="For the channel's owner, signed in with Twitch, and the operator. Deletes all answers "
            "about the channel, its clips and its VODs, its time line, tokens, watch and reports.",
            parameters=[
                _parameter(
                    "query",
                    "keep-away",
                    "`true`: the channel is also blacklisted, so that nothing is kept about it again.",
                    {"type": "string", "enum": ["true", "false"]},
                )
            ],
            responses={"204": {"description": "Forgotten."}},
            problems=_OWNER,
        )
    },
    f"{_CHANNEL}/song-tokens": {
        "get": ApiOperation(
            id="songTokens",
            summary="Your channel's tokens for chat bots",
            description=_FOR_THE_OWNER,
            responses={"200": _json("SongTokens", "The tokens.")},
            problems=_OWNER,
        ),
        "post": ApiOperation(
            id="makeSongToken",
            summary="Make a token for a chat bot",
            description=f"{_FOR_THE_OWNER} The token can ask `song.txt` for this channel, and nothing else.",
            body="SongTokenWish",
            responses={"201": _json("NewSongToken", "The token, shown this once.")},
            problems=_OWNER,
        ),
    },
    f"{_CHANNEL}/song-tokens/{{id}}": {
        "delete": ApiOperation(
            id="revokeSongToken",
            summary="Revoke a token",
            description=_FOR_THE_OWNER,
            responses={"204": {"description": "Revoked."}},
            problems=(*_OWNER, ProblemCode.NOT_FOUND),
        )
    },
    f"{_CHANNEL}/watch": {
        "get": ApiOperation(
            id="watch",
            summary="A channel's watch",
            description="How often the channel is identified, what is left of the budget, and how it ended.",
            responses={"200": _json("Watch", "Its watch.")},
            problems=[ProblemCode.NOT_FOUND, ProblemCode.BLACKLISTED],
        ),
        "put": ApiOperation(
            id="startWatch",
            summary="Watch a channel",
            description="Identifies it regularly while it is live, until the stream ends or the budget is used. "
            "For operators and API keys with the scope `watch`. Changes the settings of a running watch.",
            body="WatchTerms",
            responses={
                "200": _json("Watch", "It was already being watched."),
                "201": _json("Watch", "It is being watched."),
            },
            problems=_OWNER,
        ),
        "delete": ApiOperation(
            id="stopWatch",
            summary="Stop watching a channel",
            description="For operators and API keys with the scope `watch`.",
            responses={"204": {"description": "No longer watched."}},
            problems=(*_OWNER, ProblemCode.NOT_FOUND),
        ),
    },
    f"{BASE}/watches": {
        "get": ApiOperation(
            id="watches",
            summary="All watches",
            description="The running ones first. For operators, and API keys with the scope `watch`.",
            responses={"200": _json("Watches", "The watches.")},
            problems=_OWNER,
        )
    },
    _SET_LIST: {
        "get": ApiOperation(
            id="videoSetList",
            summary="The set list of a whole VOD",
            description="How far it is, and its songs so far.",
            responses={
                "200": _json("Tracklist", "The set list so far.", {**_RETRY_AFTER, **_ETAG}),
                "304": _NOT_MODIFIED,
            },
            problems=[ProblemCode.NOT_FOUND],
        ),
        "post": ApiOperation(
            id="makeVideoSetList",
            summary="Make the set list of a whole VOD",
            description="Starts to listen to all of it, or joins what is under way; one that failed or was "
            "cancelled, or whose VOD was still being recorded, goes on where it was. For operators, API keys "
            "with the scope `watch`, and the channel's owner for VODs of their own. `Cache-Control: no-cache` "
            "makes a finished one again.",
            responses={
                "200": _json("Tracklist", "It was made before."),
                "202": _json("Tracklist", "It is being made.", {**_LOCATION, **_RETRY_AFTER}),
            },
            problems=_SET_LIST_PROBLEMS,
        ),
        "delete": ApiOperation(
            id="cancelVideoSetList",
            summary="Cancel the set list of a whole VOD",
            description="What was found stays. For the same callers.",
            responses={"204": {"description": "Cancelled."}},
            problems=(*_OWNER, ProblemCode.NOT_FOUND, ProblemCode.TIMEOUT),
        ),
    },
    f"{_SET_LIST}.{{ending}}": {
        "get": ApiOperation(
            id="videoSetListFile",
            summary="The set list of a whole VOD as a file",
            description="`csv`, `json`, `m3u8`, `cue` (a cue sheet), or `chapters.txt` (for a description on "
            "YouTube).",
            responses={
                "304": _NOT_MODIFIED,
                "200": {
                    "description": "The file.",
                    "headers": _ETAG,
                    "content": {
                        **{
                            kind: {"schema": TEXT}
                            for kind in (
                                "text/csv",
                                "application/vnd.apple.mpegurl",
                                "application/x-cue",
                                "text/plain",
                            )
                        },
                        "application/json": {"schema": ref("Tracklist")},
                    },
                },
            },
            problems=[ProblemCode.NOT_FOUND],
        )
    },
    f"{BASE}/webhooks": {
        "get": ApiOperation(
            id="webhooks",
            summary="Your webhooks",
            description="Without their secrets. For operators and API keys with the scope `webhooks`.",
            responses={"200": _json("Webhooks", "The webhooks.")},
            problems=_OWNER,
        ),
        "put": ApiOperation(
            id="putWebhook",
            summary="Have an address told of events",
            description="Creates a webhook, or changes the one with the same address. Messages are signed as "
            "Standard Webhooks says, with the secret that is shown once, and tried again for a day and a half.",
            body="WebhookWish",
            responses={
                "200": _json("Webhook", "It was there before, and has changed."),
                "201": _json("Webhook", "It is new, and this is its secret.", _LOCATION),
            },
            problems=_OWNER,
        ),
    },
    f"{BASE}/webhooks/{{id}}": {
        "get": ApiOperation(
            id="webhook",
            summary="A webhook",
            description="Its state, and what was wrong last.",
            responses={"200": _json("Webhook", "The webhook.")},
            problems=(*_OWNER, ProblemCode.NOT_FOUND),
        ),
        "put": ApiOperation(
            id="changeWebhook",
            summary="Change a webhook",
            description="Its secret stays. One that was disabled is enabled again.",
            body="WebhookWish",
            responses={"200": _json("Webhook", "It has changed.")},
            problems=(*_OWNER, ProblemCode.NOT_FOUND),
        ),
        "delete": ApiOperation(
            id="deleteWebhook",
            summary="Delete a webhook",
            description="What was still to be sent to it is dropped.",
            responses={"204": {"description": "Deleted."}},
            problems=(*_OWNER, ProblemCode.NOT_FOUND),
        ),
    },
    f"{BASE}/webhooks/{{id}}/test": {
        "post": ApiOperation(
            id="testWebhook",
            summary="Send a test message now",
            description="The answer says what came of it.",
            responses={"200": _json("WebhookTest", "What came of it.")},
            problems=(*_OWNER, ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED),
        )
    },
    f"{BASE}/status": {
        "get": ApiOperation(
            id="status",
            summary="What the service offers",
            description="For everyone: who has access, what is switched on, and whether music can be recognized.",
            responses={"200": _json("Status", "Access mode, toggles, message of the day.")},
        )
    },
    f"{BASE}/me": {
        "get": ApiOperation(
            id="me",
            summary="The caller's account and permissions",
            description="How you are known, what you may identify, and if not, why.",
            responses={"200": _json("Me", "Your account and permissions.")},
            problems=_CREDENTIALS,
        )
    },
    f"{BASE}/access-codes/redeem": {
        "post": ApiOperation(
            id="redeemAccessCode",
            summary="Redeem an access code",
            description="Requires signing in with Twitch.",
            body="AccessCode",
            responses={"204": {"description": "Redeemed."}},
            problems=(
                *_CREDENTIALS,
                ProblemCode.LOGIN_REQUIRED,
                ProblemCode.BLACKLISTED,
                ProblemCode.CODE_INVALID,
            ),
        )
    },
    f"{BASE}/openapi.json": {
        "get": ApiOperation(
            id="openapi",
            summary="This document",
            description="For generators of clients and for tools.",
            parameters=[_IF_NONE_MATCH],
            responses={
                "200": _response("OpenAPI 3.1.", "application/json", {"type": "object"}, _ETAG),
                "304": _NOT_MODIFIED,
            },
            problems=None,
        )
    },
    "/healthz": {
        "get": ApiOperation(
            id="healthz",
            summary="Alive",
            description="200 for as long as the process answers.",
            responses={"200": _json("Alive", "The process answers.")},
            problems=None,
        )
    },
    "/readyz": {
        "get": ApiOperation(
            id="readyz",
            summary="Whether requests can be served",
            description="For the operator, with each dependency named.",
            responses={
                "200": _json("Readiness", "Requests can be served."),
                "503": _json("Readiness", "A required dependency is missing."),
            },
            problems=None,
        )
    },
    "/metrics": {
        "get": ApiOperation(
            id="metrics",
            summary="Metrics as Prometheus text",
            description="For the operator: with `TWITCHAUDIO_METRICS_TOKEN`, or from the same machine.",
            responses={"200": _response("Text format 0.0.4.", "text/plain", TEXT)},
            problems=[ProblemCode.FORBIDDEN],
        )
    },
}


def paths() -> dict[str, Any]:
    """The `paths` of the OpenAPI document."""
    return {
        path: {method: operation.described(method, path) for method, operation in operations.items()}
        for path, operations in _OPERATIONS.items()
    }
