"""What the API's operations have in common in the OpenAPI document: headers, parameters, problems."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Final

from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode
from server.access.rules.policy import POLICY_CODES
from server.api.link_files import LINK_FILES
from server.api.openapi_schemas import EVENT, TEXT, Schema, ref
from server.api.responses import BASE
from server.api.set_list_files import FILES

RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
APPLIED: Final = {"Preference-Applied": {"schema": TEXT}}
LOCATION: Final = {"Location": {"schema": {**TEXT, "format": "uri-reference"}}}
AGE: Final = {
    "Age": {
        "description": "Of an answer that was there before: seconds since its sound was captured, of a clip or "
        "video since it was made.",
        "schema": {"type": "integer"},
    }
}
LIMITS: Final = {
    "RateLimit": {"description": "What is left of the nearest limit on new identifications.", "schema": TEXT},
    "RateLimit-Policy": {"description": "That limit.", "schema": TEXT},
}
_HEADERS: Final = {ProblemCode.JOB_IN_PROGRESS: LOCATION, ProblemCode.RATE_LIMITED: LIMITS}


Responses = dict[str, Schema]


def content_of(text: str, media_type: str, schema: Schema, headers: Schema | None = None) -> Schema:
    """A response whose body is of a media type."""
    response: Schema = {"description": text, "content": {media_type: {"schema": schema}}}
    return {**response, "headers": headers} if headers else response


def json_of(name: str, text: str, headers: Schema | None = None) -> Schema:
    """A response whose body is one of the named schemas."""
    return content_of(text, "application/json", ref(name), headers)


EVENTS: Final = {"200": content_of("Events.", "text/event-stream", EVENT)}


def _problem(text: str, headers: Schema | None = None) -> Schema:
    return content_of(text, "application/problem+json", ref("Problem"), headers)


def _problems(*codes: ProblemCode) -> Responses:
    """The error responses for problem codes, by HTTP status."""
    responses: Responses = {}
    for code in dict.fromkeys(codes):
        status = str(PROBLEM_KINDS[code].status)
        before = responses.get(status, {"description": "", "headers": {}})
        text = ", ".join(filter(None, (before["description"], f"`{code}`")))
        responses[status] = _problem(text, {**before["headers"], **_HEADERS.get(code, {}), **RETRY_AFTER})
    return responses


_COMMON: Final = (
    ProblemCode.INVALID_INPUT,
    ProblemCode.RATE_LIMITED,
    ProblemCode.BUSY,
    ProblemCode.INTERNAL,
)
CREDENTIALS: Final = (
    ProblemCode.KEY_INVALID,
    ProblemCode.TOKEN_INVALID,
    ProblemCode.TOKEN_WRONG_CLIENT,
    ProblemCode.UPSTREAM_UNAVAILABLE,
)
OWNER: Final = (*CREDENTIALS, ProblemCode.LOGIN_REQUIRED, ProblemCode.FORBIDDEN, ProblemCode.BLACKLISTED)
REFUSALS: Final = tuple(dict.fromkeys((*POLICY_CODES, *CREDENTIALS)))
"""Problem codes of refusals: the caller may not ask."""

_BODY_PROBLEMS: Final = {
    "408": _problem("`timeout`: the body did not arrive in time"),
    "413": _problem("`invalid-input`: the body is larger than 16 KiB"),
}


def parameter(place: str, name: str, text: str, schema: Schema = TEXT) -> Schema:
    """A parameter in the `path`, the `query` or a `header`."""
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
PLAYS: Final = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
PREFER: Final = parameter("header", "Prefer", "`wait=N`: wait up to N seconds, at most 30 (RFC 7240).")
IF_NONE_MATCH: Final = parameter(
    "header", "If-None-Match", "The `ETag` of what you have: 304 while it is the same."
)
LAST_EVENT_ID: Final = parameter(
    "header", "Last-Event-ID", "The `id` of the last event you had: what followed is sent."
)
ETAG: Final = {"ETag": {"description": "Of what is finished: for `If-None-Match`.", "schema": TEXT}}
NOT_MODIFIED: Final = {"description": "What you have is still the same.", "headers": ETAG}
CACHE_CONTROL: Final = parameter(
    "header", "Cache-Control", "`no-cache`: listen again; `max-age=N`: an answer may be N seconds old (RFC 9111)."
)
_PATH_PARAMETERS: Final = {
    "/identifications/{id}": parameter("path", "id", "An identification's id."),
    "{login}": parameter("path", "login", "A channel's name, or its address, percent-encoded."),
    "/videos/{id}": parameter("path", "id", "The VOD's number."),
    "{ending}": parameter(
        "path",
        "ending",
        "Which file.",
        {"type": "string", "enum": ["json", *FILES]},
    ),
    "{kind}": parameter(
        "path", "kind", "Which file.", {"type": "string", "enum": ["csv", "json", "m3u8", "m3u", *LINK_FILES]}
    ),
    "/songs/{id}": parameter("path", "id", "A song's id: `song.id`, or its ISRC."),
    "/previews/{name}": parameter("path", "name", "As in a song's `preview`."),
    "/artwork/{name}": parameter("path", "name", "As in the `url` of an `artwork`."),
    "{slug}": parameter("path", "slug", "The clip's slug; its case counts."),
    "/webhooks/{id}": parameter("path", "id", "The webhook's id."),
    "/me/finds/{id}": parameter("path", "id", "The identification's id."),
    "{play}": parameter(
        "path",
        "play",
        "The id of one of the play's answers, as in its `identifications`, or of one about a clip or a VOD.",
    ),
    "{correction}": parameter("path", "correction", "The correction's id."),
    "/song-tokens/{id}": parameter("path", "id", "The token's id."),
}


TAGS: Final[Mapping[str, str]] = {
    "identifications": "Ask which song is playing, and follow the answer.",
    "channels": "What was heard on a channel, as a list, as events, and for chat bots.",
    "webhooks": "Have your own server told of plays and answers.",
    "access": "What the service offers, and what the caller may do.",
    "monitoring": "For the operator.",
}
_TAG_OF: Final = {
    **dict.fromkeys(("identifications", "clips", "videos", "songs", "artwork", "previews"), "identifications"),
    **dict.fromkeys(("channels", "watches"), "channels"),
    "webhooks": "webhooks",
    **dict.fromkeys(("healthz", "readyz", "metrics"), "monitoring"),
}


def _tag(path: str) -> str:
    return _TAG_OF.get(path.removeprefix(BASE).split("/")[1], "access")


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """One method of a path, its `route`, such as `GET /healthz`.

    `body` is the name of its JSON form, and `problems` come beside the common ones.
    """

    route: str
    _: KW_ONLY
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
            csrf = () if method == "GET" else (ProblemCode.CSRF,)
            described["responses"] |= _problems(*self.problems, *_COMMON, *csrf)
        return described
