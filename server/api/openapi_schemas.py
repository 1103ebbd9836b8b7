"""The API's values, as the schemas of its description; `openapi.py` puts it together."""

from typing import Any, Final

from fingerprint.domain.identification import Kind, Stage, Status
from fingerprint.domain.links import SERVICES
from fingerprint.domain.problems import ProblemCode
from fingerprint.providers.guard import State
from server.channels.watch import BUDGET, BUDGET_MOST, EVERY_LEAST, EVERY_MOST, EVERY_SECONDS

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
WHOLE: Final[Schema] = {"type": "integer"}
MAYBE_NUMBER: Final[Schema] = {"type": ["number", "null"]}
TEXTS: Final[Schema] = {"type": "array", "items": TEXT}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}


EVENT: Final[Schema] = {
    "type": "object",
    "properties": {"event": TEXT, "data": {**TEXT, "description": "JSON."}},
    "required": ["data"],
}


def record(properties: dict[str, Schema], *, optional: tuple[str, ...] = (), text: str = "") -> Schema:
    """An object with exactly these properties."""
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
    return {"description": text, **schema} if text else schema


def ref(name: str) -> Schema:
    """One of `schemas`, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def ref_or_null(name: str) -> Schema:
    """The same, or null."""
    return {"anyOf": [ref(name), {"type": "null"}]}


SONG_TOKEN: Final[dict[str, Schema]] = {
    "id": TEXT,
    "channel": TEXT,
    "note": TEXT,
    "created_at": TIME,
    "revoked_at": MAYBE_TIME,
    "used_at": {**MAYBE_TIME, "description": "Its last use, to the minute."},
}


def schemas() -> dict[str, Schema]:
    """All that have names."""
    may = record({"allowed": {"type": "boolean"}, "code": MAYBE_TEXT, "detail": MAYBE_TEXT})
    dependency = record({"ready": {"type": "boolean"}, "required": {"type": "boolean"}, "detail": MAYBE_TEXT})
    maybe_count: Schema = {"type": ["integer", "null"], "minimum": 0}
    budget = record({"used": {"type": "integer"}, "most": maybe_count, "left": maybe_count, "ends_at": TIME})
    return {
        "Question": {
            "description": "What to identify, in one of four forms.",
            "oneOf": [
                record({"channel": {**TEXT, "description": "A live channel's name.", "examples": ["monstercat"]}}),
                record({"clip": {**TEXT, "description": "A clip's slug; its case counts."}}),
                record(
                    {
                        "video": {**TEXT, "description": "A VOD's number.", "examples": ["1234567890"]},
                        "at": {"type": "number", "minimum": 0, "description": "Seconds from its start."},
                    },
                    optional=("at",),
                ),
                record({"url": {**TEXT, "description": "Any address of a channel, clip or video on Twitch."}}),
            ],
        },
        "Identification": record(
            {
                "id": TEXT,
                "kind": {"type": "string", "enum": [str(kind) for kind in Kind]},
                "target": {**TEXT, "description": "The channel's login, the clip's slug or the video's number."},
                "at": {**MAYBE_NUMBER, "description": "The moment in a video, seconds from its start."},
                "status": {"type": "string", "enum": [str(status) for status in Status]},
                "stage": {"type": "string", "enum": [str(stage) for stage in Stage]},
                "created_at": TIME,
                "finished_at": MAYBE_TIME,
                "shared": {"type": "boolean", "description": "This request joined another's job."},
                "song": {**ref_or_null("Song"), "description": "Null unless successful."},
                "songs": {"type": "array", "items": ref("Song"), "description": "Every song found."},
                "score": {**MAYBE_NUMBER, "description": "The recognizer's confidence, 0 to 1."},
                "recognizer": MAYBE_TEXT,
                "captured_seconds": {**MAYBE_NUMBER, "description": "How much sound was listened to."},
                "captured_at": {**MAYBE_TIME, "description": "When the captured sound was broadcast."},
                "captured_from": {
                    **MAYBE_NUMBER,
                    "description": "Where it begins in a video, clip or file, in seconds; null for live streams.",
                },
                "timings": record(
                    {
                        f"{step}_ms": MAYBE_NUMBER
                        for step in ("resolve", "capture", "fingerprint", "recognize", "total")
                    }
                ),
                "problem": {**ref_or_null("Problem"), "description": "Why it failed; null unless it did."},
            },
            text="A question and, once finished, its answer.",
        ),
        "Song": record(
            {
                "title": TEXT,
                "artists": TEXTS,
                "album": MAYBE_TEXT,
                "label": MAYBE_TEXT,
                "isrc": MAYBE_TEXT,
                "release_date": {**MAYBE_TEXT, "description": "`YYYY-MM-DD`, or as much of it as is known."},
                "duration": {**MAYBE_NUMBER, "description": "Length of the song in seconds."},
                "offset": {**MAYBE_NUMBER, "description": "How far into the song the recording begins, seconds."},
                "position": {"type": "number", "description": "Where in the recording the song begins, seconds."},
                "ids": record(
                    {
                        "spotify_track": MAYBE_TEXT,
                        "spotify_album": MAYBE_TEXT,
                        "spotify_artists": TEXTS,
                        "youtube": MAYBE_TEXT,
                        "deezer_track": MAYBE_TEXT,
                        "deezer_album": MAYBE_TEXT,
                        "deezer_artists": TEXTS,
                        "apple_music": MAYBE_TEXT,
                    }
                ),
                "links": record(
                    dict.fromkeys(SERVICES, MAYBE_TEXT),
                    text="Https links; YouTube's begins where the song was heard.",
                ),
                "catalog": {"anyOf": [record({"track_id": TEXT, "path": TEXT}), {"type": "null"}]},
            }
        ),
        "SetList": record(
            {
                "channel": TEXT,
                "plays": {"type": "array", "items": ref("Play")},
                "next_before": {**MAYBE_TIME, "description": "`before` of the next page; null at the end."},
            }
        ),
        "Play": record(
            {
                "song": ref("Song"),
                "first_heard": TIME,
                "last_heard": TIME,
                "identifications": {**TEXTS, "description": "Ids of the answers, newest first."},
            },
            text="Consecutive answers of one song.",
        ),
        "Report": record(
            {
                "reason": {"type": "string", "enum": ["wrong-song", "other"]},
                "note": {**TEXT, "maxLength": 500, "description": "For the operator."},
            },
            optional=("note",),
            text="What is wrong with an answer.",
        ),
        "SongToken": record(SONG_TOKEN, text="A token for `song.txt`, without its text."),
        "NewSongToken": record(
            {**SONG_TOKEN, "token": {**TEXT, "description": "The token itself, shown this once."}}
        ),
        "SongTokens": record({"tokens": {"type": "array", "items": ref("SongToken")}}),
        "WatchTerms": record(
            {
                "every": {
                    **WHOLE,
                    "minimum": EVERY_LEAST,
                    "maximum": EVERY_MOST,
                    "default": EVERY_SECONDS,
                    "description": "Seconds from one identification to the next.",
                },
                "budget": {
                    **WHOLE,
                    "minimum": 1,
                    "maximum": BUDGET_MOST,
                    "default": BUDGET,
                    "description": "Identifications until the watch ends.",
                },
            },
            optional=("every", "budget"),
            text="How a channel is to be watched.",
        ),
        "Watch": record(
            {
                "channel": TEXT,
                "state": {"type": "string", "enum": ["running", "ended"]},
                "reason": {
                    **MAYBE_TEXT,
                    "description": "Why it ended: `stream-ended`, `budget-used`, `stopped`, "
                    "`key-invalid`, or a problem code.",
                },
                "every": WHOLE,
                "budget": WHOLE,
                "used": {**WHOLE, "description": "Identifications so far."},
                "started_at": TIME,
                "last_at": {**MAYBE_TIME, "description": "When it was last identified."},
                "next_at": {**MAYBE_TIME, "description": "When it is identified next; null when it has ended."},
            },
            text="A channel that is identified again and again while it is live.",
        ),
        "Watches": record({"watches": {"type": "array", "items": ref("Watch")}}),
        "Status": record(
            {
                "version": MAYBE_TEXT,
                "access_mode": {"type": "string", "enum": ["open", "login", "subscribers"]},
                "active": {"type": "boolean"},
                "maintenance": {"type": "boolean"},
                "streams_enabled": {"type": "boolean"},
                "clips_enabled": {"type": "boolean"},
                "motd": MAYBE_TEXT,
                "twitch_client_id": {**MAYBE_TEXT, "description": "The application that a sign-in is for."},
                "twitch_scopes": {**TEXTS, "description": "What a sign-in has to ask for."},
                "website_sign_in": {"type": "boolean", "description": "Whether `/login` works."},
                "recognizer": record({"available": {"type": "boolean"}, "detail": MAYBE_TEXT}),
            }
        ),
        "Me": record(
            {
                "login": MAYBE_TEXT,
                "known_by": {
                    "anyOf": [{"type": "string", "enum": ["token", "session", "key"]}, {"type": "null"}],
                    "description": "A bearer token, the website's session, or an API key; null for nobody.",
                },
                "admin": {"type": "boolean", "description": "May use the admin pages."},
                "missing_scopes": {
                    **TEXTS,
                    "description": "What a new sign-in has to allow before we can tell whether you may ask.",
                },
                "streams": may,
                "clips": may,
            }
        ),
        "Alive": record({"status": {"type": "string", "const": "alive"}}),
        "Readiness": record(
            {
                "status": {"type": "string", "enum": ["ready", "not ready"]},
                "dependencies": record({"database": dependency, "jobs": dependency, "recognizers": dependency}),
                "providers": {
                    "type": "object",
                    "additionalProperties": ref("Provider"),
                    "description": "The recognizers that cost something, by name.",
                },
            }
        ),
        "Provider": record(
            {
                "state": {"type": "string", "enum": [str(state) for state in State]},
                "detail": MAYBE_TEXT,
                "asked_again_in_seconds": MAYBE_NUMBER,
                "budgets": {
                    "anyOf": [
                        record({"day": budget, "month": budget}, optional=("day", "month")),
                        {"type": "null"},
                    ],
                    "description": "Questions asked by all servers together; null while they cannot be counted.",
                },
            },
            text="How a provider stands, and what is left of its budgets.",
        ),
        "Problem": record(
            {
                "type": {**TEXT, "format": "uri-reference"},
                "title": TEXT,
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": TEXT,
                "code": {"type": "string", "enum": [str(code) for code in ProblemCode]},
                "retry_after_seconds": {"type": "number", "minimum": 0},
                "step": {**TEXT, "description": "The step of an upstream service that failed."},
                "location": {
                    **TEXT,
                    "format": "uri-reference",
                    "description": "With `job-in-progress`: the identification that runs.",
                },
            },
            optional=("retry_after_seconds", "step", "location"),
            text="RFC 9457 problem details.",
        ),
    }
