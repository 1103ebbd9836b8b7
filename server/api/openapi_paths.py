"""The API's addresses, what they take and how they answer; `openapi.py` puts it together."""

from typing import Any, Final

from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode
from server.access.rules.policy import POLICY_CODES
from server.api.openapi_schemas import EVENT, TEXT, TIME, Schema, ref
from server.api.responses import BASE

_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_APPLIED: Final = {"Preference-Applied": {"schema": TEXT}}
_LOCATION: Final = {"Location": {"schema": {**TEXT, "format": "uri-reference"}}}
_LIMITS: Final = {
    "RateLimit": {"description": "What is left of the nearest limit on new identifications.", "schema": TEXT},
    "RateLimit-Policy": {"description": "That limit.", "schema": TEXT},
}
_HEADERS: Final = {ProblemCode.JOB_IN_PROGRESS: _LOCATION, ProblemCode.RATE_LIMITED: _LIMITS}


def _json(name: str, text: str, headers: Schema | None = None) -> Schema:
    answer: Schema = {"description": text, "content": {"application/json": {"schema": ref(name)}}}
    return {**answer, "headers": headers} if headers else answer


def _problems(*codes: ProblemCode) -> dict[str, Schema]:
    """The error responses for problem codes, by HTTP status."""
    answers: dict[str, Schema] = {}
    for code in (*codes, ProblemCode.INVALID_INPUT, ProblemCode.BUSY, ProblemCode.INTERNAL):
        status = str(PROBLEM_KINDS[code].status)
        said = answers.get(status, {"description": ""})["description"]
        answers[status] = {
            "description": f"{said}, `{code}`" if said else f"`{code}`",
            "content": {"application/problem+json": {"schema": ref("Problem")}},
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
_REFUSALS: Final = tuple(dict.fromkeys((*POLICY_CODES, *_CREDENTIALS)))
"""Problem codes of refusals: the caller may not ask."""


_OWNER: Final = (*_CREDENTIALS, ProblemCode.LOGIN_REQUIRED, ProblemCode.FORBIDDEN)


def _extra_problem(text: str) -> Schema:
    return {"description": text, "content": {"application/problem+json": {"schema": ref("Problem")}}}


_BODY_PROBLEMS: Final = {
    "408": _extra_problem("`timeout`: the body did not arrive in time"),
    "413": _extra_problem("`invalid-input`: the body is larger than 16 KiB"),
}


def _body(schema: Schema) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _parameter(place: str, name: str, text: str, schema: Schema) -> Schema:
    return {"in": place, "name": name, "description": text, "schema": schema, "required": place == "path"}


_PREFER: Final = _parameter("header", "Prefer", "`wait=N`: wait up to N seconds, at most 30 (RFC 7240).", TEXT)
_ID: Final = _parameter("path", "id", "An identification's id.", TEXT)
_LOGIN: Final = _parameter("path", "login", "A channel's name.", TEXT)


def _every_path() -> dict[str, Any]:
    plain_text = {"content": {"text/plain": {"schema": TEXT}}}
    return {
        f"{BASE}/identifications": {
            "post": {
                "operationId": "ask",
                "summary": "Ask which song is playing",
                "description": "Starts a job or joins the one that runs for the same target. A clip or a moment "
                "in a video that was answered before is answered at once. A failed identification is an answer "
                "too: its `status` is `failed` and `problem` says why.",
                "parameters": [_PREFER],
                "requestBody": _body(ref("Question")),
                "responses": {
                    "200": _json("Identification", "It is finished.", {**_LOCATION, **_APPLIED, **_LIMITS}),
                    "202": _json(
                        "Identification", "It goes on.", {**_LOCATION, **_APPLIED, **_RETRY_AFTER, **_LIMITS}
                    ),
                    **_BODY_PROBLEMS,
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
                    "200": {"description": "Events.", "content": {"text/event-stream": {"schema": EVENT}}},
                    **_problems(ProblemCode.NOT_FOUND),
                },
            }
        },
        f"{BASE}/identifications/{{id}}/reports": {
            "post": {
                "operationId": "report",
                "summary": "Say that an answer is wrong",
                "description": "Takes the right to ask for its target. The operator sees it; a clip, or a "
                "moment of a video, is identified again when it is asked for next, a few times a day at most.",
                "parameters": [_ID],
                "requestBody": _body(ref("Report")),
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
                "parameters": [_parameter("path", "slug", "The clip's slug; its case counts.", TEXT)],
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
                    _parameter("query", "before", "Only what was asked for before this time.", TIME),
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
                    "200": {"description": "Events.", "content": {"text/event-stream": {"schema": EVENT}}},
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
                    _parameter("query", "token", "A token for this channel, where not everyone may ask.", TEXT),
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
                "requestBody": _body(ref("SongTokenWish")),
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
                "parameters": [_LOGIN, _parameter("path", "id", "The token's id.", TEXT)],
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
                "requestBody": _body(ref("WatchTerms")),
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
                "description": "Takes a sign-in with Twitch.",
                "requestBody": _body(ref("AccessCode")),
                "responses": {
                    "204": {"description": "The code counts for you."},
                    **_BODY_PROBLEMS,
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
    """Add `csrf` to all methods that change something: a session cookie without the CSRF token is refused."""
    refused = _problems(ProblemCode.CSRF)["403"]
    for operations in paths.values():
        for method in ("post", "put", "delete"):
            if method in operations:
                responses = operations[method]["responses"]
                said = responses.get("403", {}).get("description")
                text = refused["description"]
                responses["403"] = {**refused, "description": f"{said}, {text}" if said else text}
    return paths


def paths() -> dict[str, Any]:
    """The `paths` of the OpenAPI document."""
    return _with_csrf(_every_path())
