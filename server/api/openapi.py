"""`/api/v1/openapi.json`: the API described once, by hand. A test holds it against the router and real answers."""

import json
from functools import cache
from typing import Any, Final

from aiohttp import web

from fingerprint.domain.identification import Kind, Stage, Status
from fingerprint.domain.links import SERVICES
from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode
from fingerprint.providers.guard import State
from server.api.responses import BASE
from server.channels.watch import BUDGET, BUDGET_MOST, EVERY_LEAST, EVERY_MOST, EVERY_SECONDS

_Schema = dict[str, Any]

_TEXT: Final[_Schema] = {"type": "string"}
_MAYBE_TEXT: Final[_Schema] = {"type": ["string", "null"]}
_WHOLE: Final[_Schema] = {"type": "integer"}
_MAYBE_NUMBER: Final[_Schema] = {"type": ["number", "null"]}
_TEXTS: Final[_Schema] = {"type": "array", "items": _TEXT}
_TIME: Final[_Schema] = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Final[_Schema] = {"type": ["string", "null"], "format": "date-time"}


_EVENT: Final[_Schema] = {
    "type": "object",
    "properties": {"event": _TEXT, "data": {**_TEXT, "description": "JSON."}},
    "required": ["data"],
}


def _object(properties: dict[str, _Schema], *, optional: tuple[str, ...] = (), text: str = "") -> _Schema:
    schema: _Schema = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
    return {"description": text, **schema} if text else schema


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _maybe(name: str) -> _Schema:
    return {"anyOf": [_ref(name), {"type": "null"}]}


_SONG_TOKEN: Final[dict[str, _Schema]] = {
    "id": _TEXT,
    "channel": _TEXT,
    "note": _TEXT,
    "created_at": _TIME,
    "revoked_at": _MAYBE_TIME,
    "used_at": {**_MAYBE_TIME, "description": "Its last use, to the minute."},
}


def _schemas() -> dict[str, _Schema]:
    may = _object({"allowed": {"type": "boolean"}, "code": _MAYBE_TEXT, "detail": _MAYBE_TEXT})
    dependency = _object({"ready": {"type": "boolean"}, "required": {"type": "boolean"}, "detail": _MAYBE_TEXT})
    maybe_count: _Schema = {"type": ["integer", "null"], "minimum": 0}
    budget = _object({"used": {"type": "integer"}, "most": maybe_count, "left": maybe_count, "ends_at": _TIME})
    return {
        "Question": {
            "description": "What to identify, in one of four forms.",
            "oneOf": [
                _object(
                    {"channel": {**_TEXT, "description": "A live channel's name.", "examples": ["monstercat"]}}
                ),
                _object({"clip": {**_TEXT, "description": "A clip's slug; its case counts."}}),
                _object(
                    {
                        "video": {**_TEXT, "description": "A VOD's number.", "examples": ["1234567890"]},
                        "at": {"type": "number", "minimum": 0, "description": "Seconds from its start."},
                    },
                    optional=("at",),
                ),
                _object({"url": {**_TEXT, "description": "Any address of a channel, clip or video on Twitch."}}),
            ],
        },
        "Identification": _object(
            {
                "id": _TEXT,
                "kind": {"type": "string", "enum": [str(kind) for kind in Kind]},
                "target": {**_TEXT, "description": "The channel's login, the clip's slug or the video's number."},
                "at": {**_MAYBE_NUMBER, "description": "The moment in a video, seconds from its start."},
                "status": {"type": "string", "enum": [str(status) for status in Status]},
                "stage": {"type": "string", "enum": [str(stage) for stage in Stage]},
                "created_at": _TIME,
                "finished_at": _MAYBE_TIME,
                "shared": {"type": "boolean", "description": "This request joined another's job."},
                "song": {**_maybe("Song"), "description": "Null unless successful."},
                "songs": {"type": "array", "items": _ref("Song"), "description": "Every song found."},
                "score": {**_MAYBE_NUMBER, "description": "The recognizer's confidence, 0 to 1."},
                "recognizer": _MAYBE_TEXT,
                "captured_seconds": {**_MAYBE_NUMBER, "description": "How much sound was listened to."},
                "captured_at": {**_MAYBE_TIME, "description": "When the captured sound was broadcast."},
                "captured_from": {
                    **_MAYBE_NUMBER,
                    "description": "Where it begins in a video, clip or file, in seconds; null for live streams.",
                },
                "timings": _object(
                    {
                        f"{step}_ms": _MAYBE_NUMBER
                        for step in ("resolve", "capture", "fingerprint", "recognize", "total")
                    }
                ),
                "problem": {**_maybe("Problem"), "description": "Why it failed; null unless it did."},
            },
            text="A question and, once finished, its answer.",
        ),
        "Song": _object(
            {
                "title": _TEXT,
                "artists": _TEXTS,
                "album": _MAYBE_TEXT,
                "label": _MAYBE_TEXT,
                "isrc": _MAYBE_TEXT,
                "release_date": {**_MAYBE_TEXT, "description": "`YYYY-MM-DD`, or as much of it as is known."},
                "duration": {**_MAYBE_NUMBER, "description": "Length of the song in seconds."},
                "offset": {**_MAYBE_NUMBER, "description": "How far into the song the recording begins, seconds."},
                "position": {"type": "number", "description": "Where in the recording the song begins, seconds."},
                "ids": _object(
                    {
                        "spotify_track": _MAYBE_TEXT,
                        "spotify_album": _MAYBE_TEXT,
                        "spotify_artists": _TEXTS,
                        "youtube": _MAYBE_TEXT,
                        "deezer_track": _MAYBE_TEXT,
                        "deezer_album": _MAYBE_TEXT,
                        "deezer_artists": _TEXTS,
                        "apple_music": _MAYBE_TEXT,
                    }
                ),
                "links": _object(
                    dict.fromkeys(SERVICES, _MAYBE_TEXT),
                    text="Https links; YouTube's begins where the song was heard.",
                ),
                "catalog": {"anyOf": [_object({"track_id": _TEXT, "path": _TEXT}), {"type": "null"}]},
            }
        ),
        "SetList": _object(
            {
                "channel": _TEXT,
                "plays": {"type": "array", "items": _ref("Play")},
                "next_before": {**_MAYBE_TIME, "description": "`before` of the next page; null at the end."},
            }
        ),
        "Play": _object(
            {
                "song": _ref("Song"),
                "first_heard": _TIME,
                "last_heard": _TIME,
                "identifications": {**_TEXTS, "description": "Ids of the answers, newest first."},
            },
            text="Consecutive answers of one song.",
        ),
        "Report": _object(
            {
                "reason": {"type": "string", "enum": ["wrong-song", "other"]},
                "note": {**_TEXT, "maxLength": 500, "description": "For the operator."},
            },
            optional=("note",),
            text="What is wrong with an answer.",
        ),
        "SongToken": _object(_SONG_TOKEN, text="A token for `song.txt`, without its text."),
        "NewSongToken": _object(
            {**_SONG_TOKEN, "token": {**_TEXT, "description": "The token itself, shown this once."}}
        ),
        "SongTokens": _object({"tokens": {"type": "array", "items": _ref("SongToken")}}),
        "WatchTerms": _object(
            {
                "every": {
                    **_WHOLE,
                    "minimum": EVERY_LEAST,
                    "maximum": EVERY_MOST,
                    "default": EVERY_SECONDS,
                    "description": "Seconds from one identification to the next.",
                },
                "budget": {
                    **_WHOLE,
                    "minimum": 1,
                    "maximum": BUDGET_MOST,
                    "default": BUDGET,
                    "description": "Identifications until the watch ends.",
                },
            },
            optional=("every", "budget"),
            text="How a channel is to be watched.",
        ),
        "Watch": _object(
            {
                "channel": _TEXT,
                "state": {"type": "string", "enum": ["running", "ended"]},
                "reason": {
                    **_MAYBE_TEXT,
                    "description": "Why it ended: `stream-ended`, `budget-used`, `stopped`, "
                    "`key-invalid`, or a problem code.",
                },
                "every": _WHOLE,
                "budget": _WHOLE,
                "used": {**_WHOLE, "description": "Identifications so far."},
                "started_at": _TIME,
                "last_at": {**_MAYBE_TIME, "description": "When it was last identified."},
                "next_at": {**_MAYBE_TIME, "description": "When it is identified next; null when it has ended."},
            },
            text="A channel that is identified again and again while it is live.",
        ),
        "Watches": _object({"watches": {"type": "array", "items": _ref("Watch")}}),
        "Status": _object(
            {
                "version": _MAYBE_TEXT,
                "access_mode": {"type": "string", "enum": ["open", "login", "subscribers"]},
                "active": {"type": "boolean"},
                "maintenance": {"type": "boolean"},
                "streams_enabled": {"type": "boolean"},
                "clips_enabled": {"type": "boolean"},
                "motd": _MAYBE_TEXT,
                "twitch_client_id": {**_MAYBE_TEXT, "description": "The application that a sign-in is for."},
                "twitch_scopes": {**_TEXTS, "description": "What a sign-in has to ask for."},
                "website_sign_in": {"type": "boolean", "description": "Whether `/login` works."},
                "recognizer": _object({"available": {"type": "boolean"}, "detail": _MAYBE_TEXT}),
            }
        ),
        "Me": _object(
            {
                "login": _MAYBE_TEXT,
                "known_by": {
                    "anyOf": [{"type": "string", "enum": ["token", "session", "key"]}, {"type": "null"}],
                    "description": "A bearer token, the website's session, or an API key; null for nobody.",
                },
                "admin": {"type": "boolean", "description": "May use the admin pages."},
                "missing_scopes": {
                    **_TEXTS,
                    "description": "What a new sign-in has to allow before we can tell whether you may ask.",
                },
                "streams": may,
                "clips": may,
            }
        ),
        "Alive": _object({"status": {"type": "string", "const": "alive"}}),
        "Readiness": _object(
            {
                "status": {"type": "string", "enum": ["ready", "not ready"]},
                "dependencies": _object({"database": dependency, "jobs": dependency, "recognizers": dependency}),
                "providers": {
                    "type": "object",
                    "additionalProperties": _ref("Provider"),
                    "description": "The recognizers that cost something, by name.",
                },
            }
        ),
        "Provider": _object(
            {
                "state": {"type": "string", "enum": [str(state) for state in State]},
                "detail": _MAYBE_TEXT,
                "asked_again_in_seconds": _MAYBE_NUMBER,
                "budgets": {
                    "anyOf": [
                        _object({"day": budget, "month": budget}, optional=("day", "month")),
                        {"type": "null"},
                    ],
                    "description": "Questions asked by all servers together; null while they cannot be counted.",
                },
            },
            text="How a provider stands, and what is left of its budgets.",
        ),
        "Problem": _object(
            {
                "type": {**_TEXT, "format": "uri-reference"},
                "title": _TEXT,
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": _TEXT,
                "code": {"type": "string", "enum": [str(code) for code in ProblemCode]},
                "retry_after_seconds": {"type": "number", "minimum": 0},
                "step": {**_TEXT, "description": "The step of an upstream service that failed."},
                "location": {
                    **_TEXT,
                    "format": "uri-reference",
                    "description": "With `job-in-progress`: the identification that runs.",
                },
            },
            optional=("retry_after_seconds", "step", "location"),
            text="RFC 9457 problem details.",
        ),
    }


_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_APPLIED: Final = {"Preference-Applied": {"schema": _TEXT}}
_LOCATION: Final = {"Location": {"schema": {**_TEXT, "format": "uri-reference"}}}
_LIMITS: Final = {
    "RateLimit": {"description": "What is left of the nearest limit on new identifications.", "schema": _TEXT},
    "RateLimit-Policy": {"description": "That limit.", "schema": _TEXT},
}
_HEADERS: Final = {ProblemCode.JOB_IN_PROGRESS: _LOCATION, ProblemCode.RATE_LIMITED: _LIMITS}


def _json(name: str, text: str, headers: _Schema | None = None) -> _Schema:
    answer: _Schema = {"description": text, "content": {"application/json": {"schema": _ref(name)}}}
    return {**answer, "headers": headers} if headers else answer


def _problems(*codes: ProblemCode) -> dict[str, _Schema]:
    """Refusals by HTTP status."""
    answers: dict[str, _Schema] = {}
    for code in (*codes, ProblemCode.INVALID_INPUT, ProblemCode.BUSY, ProblemCode.INTERNAL):
        status = str(PROBLEM_KINDS[code].status)
        said = answers.get(status, {"description": ""})["description"]
        answers[status] = {
            "description": f"{said}, `{code}`" if said else f"`{code}`",
            "content": {"application/problem+json": {"schema": _ref("Problem")}},
            "headers": {
                **answers.get(status, {"headers": {}})["headers"],
                **_HEADERS.get(code, {}),
                **_RETRY_AFTER,
            },
        }
    return answers


_CREDENTIALS: Final = (
    ProblemCode.KEY_INVALID,
    ProblemCode.TOKEN_INVALID,
    ProblemCode.TOKEN_WRONG_CLIENT,
    ProblemCode.UPSTREAM_UNAVAILABLE,
)
_REFUSALS: Final = (
    ProblemCode.MAINTENANCE,
    ProblemCode.INACTIVE,
    ProblemCode.STREAMS_DISABLED,
    ProblemCode.CLIPS_DISABLED,
    ProblemCode.LOGIN_REQUIRED,
    ProblemCode.FORBIDDEN,
    ProblemCode.SUBSCRIPTION_REQUIRED,
    ProblemCode.BLACKLISTED,
    *_CREDENTIALS,
)
"""What the operator's rules say to those who ask."""


_OWNER: Final = (*_CREDENTIALS, ProblemCode.LOGIN_REQUIRED, ProblemCode.FORBIDDEN)


def _extra_problem(text: str) -> _Schema:
    return {"description": text, "content": {"application/problem+json": {"schema": _ref("Problem")}}}


_BODY_PROBLEMS: Final = {
    "408": _extra_problem("`timeout`: the body did not arrive in time"),
    "413": _extra_problem("`invalid-input`: the body is larger than 16 KiB"),
}


def _body(schema: _Schema) -> _Schema:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _parameter(place: str, name: str, text: str, schema: _Schema) -> _Schema:
    return {"in": place, "name": name, "description": text, "schema": schema, "required": place == "path"}


_PREFER: Final = _parameter("header", "Prefer", "`wait=N`: wait up to N seconds, at most 30 (RFC 7240).", _TEXT)
_ID: Final = _parameter("path", "id", "An identification's id.", _TEXT)
_LOGIN: Final = _parameter("path", "login", "A channel's name.", _TEXT)


def _paths() -> dict[str, Any]:
    plain_text = {"content": {"text/plain": {"schema": _TEXT}}}
    return {
        f"{BASE}/identifications": {
            "post": {
                "operationId": "ask",
                "summary": "Ask which song is playing",
                "description": "Starts a job or joins the one that runs for the same target. A clip or a moment "
                "in a video that was answered before is answered at once. A failed identification is an answer "
                "too: its `status` is `failed` and `problem` says why.",
                "parameters": [_PREFER],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref("Question")}},
                },
                "responses": {
                    "200": _json("Identification", "It is finished.", {**_LOCATION, **_APPLIED, **_LIMITS}),
                    "202": _json(
                        "Identification", "It goes on.", {**_LOCATION, **_APPLIED, **_RETRY_AFTER, **_LIMITS}
                    ),
                    "408": _extra_problem("`timeout`: the body did not arrive in time"),
                    "413": _extra_problem("`invalid-input`: the body is larger than 16 KiB"),
                    **_problems(
                        *_REFUSALS,
                        ProblemCode.JOB_IN_PROGRESS,
                        ProblemCode.RATE_LIMITED,
                        ProblemCode.RECOGNIZER_UNAVAILABLE,
                    ),
                },
            }
        },
        f"{BASE}/identifications/{{id}}": {
            "get": {
                "operationId": "look",
                "summary": "An identification in its current state",
                "parameters": [_ID, _PREFER],
                "responses": {
                    "200": _json("Identification", "Its state.", {**_APPLIED, **_RETRY_AFTER}),
                    **_problems(ProblemCode.NOT_FOUND),
                },
            }
        },
        f"{BASE}/identifications/{{id}}/events": {
            "get": {
                "operationId": "listen",
                "summary": "Follow an identification",
                "description": "Server-sent events: `status` with the Identification for the current state and "
                "each later one, then one `result`. The stream ends after it. If it ends before, connect again.",
                "parameters": [_ID],
                "responses": {
                    "200": {"description": "Events.", "content": {"text/event-stream": {"schema": _EVENT}}},
                    **_problems(ProblemCode.NOT_FOUND),
                },
            }
        },
        f"{BASE}/identifications/{{id}}/reports": {
            "post": {
                "operationId": "report",
                "summary": "Say that an answer is wrong",
                "description": "For whoever may ask for its target. The operator sees it; a clip, or a "
                "moment of a video, is identified anew when it is asked for next, a few times a day at most.",
                "parameters": [_ID],
                "requestBody": _body(_ref("Report")),
                "responses": {
                    "204": {"description": "Thank you."},
                    **_BODY_PROBLEMS,
                    **_problems(*_REFUSALS, ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED),
                },
            }
        },
        f"{BASE}/clips/{{slug}}": {
            "get": {
                "operationId": "clip",
                "summary": "The stored answer for a clip",
                "description": "Never starts a job.",
                "parameters": [_parameter("path", "slug", "The clip's slug; its case counts.", _TEXT)],
                "responses": {
                    "200": _json("Identification", "The answer."),
                    **_problems(*_REFUSALS, ProblemCode.NOT_IDENTIFIED),
                },
            }
        },
        f"{BASE}/channels/{{login}}/songs": {
            "get": {
                "operationId": "setList",
                "summary": "What was heard on a channel, newest first",
                "parameters": [
                    _LOGIN,
                    _parameter(
                        "query",
                        "limit",
                        "Plays to give.",
                        {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                    ),
                    _parameter("query", "before", "Only what was asked for before this time.", _TIME),
                ],
                "responses": {"200": _json("SetList", "The set list."), **_problems()},
            }
        },
        f"{BASE}/channels/{{login}}/events": {
            "get": {
                "operationId": "followChannel",
                "summary": "Follow what is played on a channel",
                "description": "Server-sent events: `play` with the newest Play, if there is one, and again "
                "whenever it changes. It goes on until you leave; when it ends, connect again. Nothing is "
                "identified for it: it tells what others ask for, and what a watch finds.",
                "parameters": [_LOGIN],
                "responses": {
                    "200": {"description": "Events.", "content": {"text/event-stream": {"schema": _EVENT}}},
                    **_problems(),
                },
            }
        },
        f"{BASE}/channels/{{login}}/song.txt": {
            "get": {
                "operationId": "songLine",
                "summary": "The song as one plain line, for chat bots",
                "description": "Starts or joins an identification and waits up to 8 s. Problems are one plain "
                "line too, with status 200. At most 400 characters.",
                "parameters": [
                    _LOGIN,
                    _parameter("query", "token", "A token for this channel, where not everyone may ask.", _TEXT),
                ],
                "responses": {"200": {"description": "The line.", **plain_text}},
            }
        },
        f"{BASE}/channels/{{login}}/song-tokens": {
            "get": {
                "operationId": "songTokens",
                "summary": "Your channel's tokens for chat bots",
                "description": "For the channel's owner, signed in with Twitch.",
                "parameters": [_LOGIN],
                "responses": {"200": _json("SongTokens", "They."), **_problems(*_OWNER)},
            },
            "post": {
                "operationId": "makeSongToken",
                "summary": "Make a token for a chat bot",
                "description": "For the channel's owner, signed in with Twitch. The token can ask `song.txt` for "
                "this channel, and nothing else.",
                "parameters": [_LOGIN],
                "requestBody": _body(_object({"note": _TEXT}, optional=("note",))),
                "responses": {
                    "201": _json("NewSongToken", "The token, shown this once."),
                    **_BODY_PROBLEMS,
                    **_problems(*_OWNER),
                },
            },
        },
        f"{BASE}/channels/{{login}}/song-tokens/{{id}}": {
            "delete": {
                "operationId": "revokeSongToken",
                "summary": "Make a token invalid for good",
                "description": "For the channel's owner, signed in with Twitch.",
                "parameters": [_LOGIN, _parameter("path", "id", "The token's id.", _TEXT)],
                "responses": {
                    "204": {"description": "It is invalid."},
                    **_problems(*_OWNER, ProblemCode.NOT_FOUND),
                },
            }
        },
        f"{BASE}/channels/{{login}}/watch": {
            "get": {
                "operationId": "watch",
                "summary": "Whether a channel is being watched",
                "parameters": [_LOGIN],
                "responses": {"200": _json("Watch", "Its watch."), **_problems(ProblemCode.NOT_FOUND)},
            },
            "put": {
                "operationId": "startWatch",
                "summary": "Have a channel identified again and again",
                "description": "While it is live; the watch ends with the stream or its budget. For operators, "
                "and API keys with the scope `watch`. A running watch gets the new terms.",
                "parameters": [_LOGIN],
                "requestBody": _body(_ref("WatchTerms")),
                "responses": {
                    "200": _json("Watch", "It was being watched already."),
                    "201": _json("Watch", "It is being watched."),
                    **_BODY_PROBLEMS,
                    **_problems(*_OWNER),
                },
            },
            "delete": {
                "operationId": "stopWatch",
                "summary": "Stop watching a channel",
                "description": "For operators, and the API keys that may watch.",
                "parameters": [_LOGIN],
                "responses": {
                    "204": {"description": "It is no longer watched."},
                    **_problems(*_OWNER, ProblemCode.NOT_FOUND),
                },
            },
        },
        f"{BASE}/watches": {
            "get": {
                "operationId": "watches",
                "summary": "All watches",
                "description": "The running ones first. For operators, and API keys with the scope `watch`.",
                "responses": {"200": _json("Watches", "They."), **_problems(*_OWNER)},
            }
        },
        f"{BASE}/status": {
            "get": {
                "operationId": "status",
                "summary": "What the service offers",
                "responses": {"200": _json("Status", "Access mode, toggles, message of the day."), **_problems()},
            }
        },
        f"{BASE}/me": {
            "get": {
                "operationId": "me",
                "summary": "Who asks, and what they may do",
                "responses": {
                    "200": _json("Me", "You."),
                    **_problems(*_CREDENTIALS),
                },
            }
        },
        f"{BASE}/access-codes/redeem": {
            "post": {
                "operationId": "redeemAccessCode",
                "summary": "Redeem an access code",
                "description": "For whoever is signed in with Twitch.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _object({"code": _TEXT})}},
                },
                "responses": {
                    "204": {"description": "The code counts for you."},
                    "408": _extra_problem("`timeout`: the body did not arrive in time"),
                    "413": _extra_problem("`invalid-input`: the body is too large"),
                    **_problems(
                        *_CREDENTIALS,
                        ProblemCode.LOGIN_REQUIRED,
                        ProblemCode.BLACKLISTED,
                        ProblemCode.CODE_INVALID,
                    ),
                },
            }
        },
        f"{BASE}/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This document",
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.1.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
        "/healthz": {
            "get": {
                "operationId": "healthz",
                "summary": "Alive",
                "responses": {"200": _json("Alive", "The process answers.")},
            }
        },
        "/readyz": {
            "get": {
                "operationId": "readyz",
                "summary": "Ready, each dependency named",
                "responses": {
                    "200": _json("Readiness", "Requests can be served."),
                    "503": _json("Readiness", "A required dependency is missing."),
                },
            }
        },
        "/metrics": {
            "get": {
                "operationId": "metrics",
                "summary": "Metrics as Prometheus text",
                "responses": {"200": {"description": "Text format 0.0.4.", **plain_text}},
            }
        },
    }


def _with_csrf(paths: dict[str, Any]) -> dict[str, Any]:
    """What changes something may be refused to a browser whose session's cookie came without its token."""
    refused = _problems(ProblemCode.CSRF)["403"]
    for operations in paths.values():
        for method in ("post", "put", "delete"):
            if method in operations:
                responses = operations[method]["responses"]
                said = responses.get("403", {}).get("description")
                text = refused["description"]
                responses["403"] = {**refused, "description": f"{said}, {text}" if said else text}
    return paths


def openapi_document() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TwitchAudio",
            "version": "1",
            "summary": "What song is playing on Twitch?",
            "description": "Times are RFC 3339 in UTC. Errors are RFC 9457 problem details with a `code`.",
        },
        "servers": [{"url": "/"}],
        "paths": _with_csrf(_paths()),
        "components": {"schemas": _schemas()},
    }


@cache
def _encoded() -> bytes:
    return json.dumps(openapi_document()).encode()


async def get(_request: web.Request) -> web.Response:
    """The document."""
    return web.Response(body=_encoded(), content_type="application/json", headers={"Cache-Control": "max-age=300"})


ROUTES: Final = (web.get(f"{BASE}/openapi.json", get),)
