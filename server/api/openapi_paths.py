"""The API's addresses, what they take and how they answer; `openapi.py` puts it together."""

from collections.abc import Mapping
from typing import Any, Final

from fingerprint.domain.problems import ProblemCode
from server.api.openapi_operations import (
    AGE,
    APPLIED,
    CACHE_CONTROL,
    CREDENTIALS,
    ETAG,
    IF_NONE_MATCH,
    LAST_EVENT_ID,
    LIMITS,
    LOCATION,
    NOT_MODIFIED,
    OWNER,
    PLAYS,
    PREFER,
    REFUSALS,
    RETRY_AFTER,
    ApiOperation,
    content_of,
    json_of,
    parameter,
)
from server.api.openapi_schemas import EVENT, TEXT, TIME, ref
from server.api.responses import BASE

_SOUND: Final[Mapping[str, Mapping[str, str]]] = {kind: {} for kind in ("audio/mpeg", "audio/mp4", "audio/aac")}
_EVENTS: Final = {"200": content_of("Events.", "text/event-stream", EVENT)}
_FOR_THE_OWNER: Final = "For the channel's owner, signed in with Twitch."
_FOR_OWNERS_AND_OPERATORS: Final = "For the channel's owner, signed in with Twitch, and operators."
_CHANNEL: Final = f"{BASE}/channels/{{login}}"
_SET_LIST: Final = f"{BASE}/videos/{{id}}/set-list"
_SET_LIST_PROBLEMS: Final = (
    *OWNER,
    *(ProblemCode.RATE_LIMITED, ProblemCode.TIMEOUT, ProblemCode.RECOGNIZER_UNAVAILABLE),
    *(ProblemCode.MAINTENANCE, ProblemCode.INACTIVE, ProblemCode.STREAMS_DISABLED, ProblemCode.BLACKLISTED),
)

_OPERATIONS: Final = (
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
        responses={**_EVENTS, "204": {"description": "You have had the result: do not connect again."}},
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
    ApiOperation(
        f"GET {_CHANNEL}/songs",
        id="setList",
        summary="What was heard on a channel, newest first",
        description="Consecutive answers of one song are one play. For the next page, send `next_before` as "
        "`before`.",
        parameters=[
            parameter("query", "limit", "Plays to give.", PLAYS),
            parameter("query", "before", "Only what was asked for before this time.", TIME),
            IF_NONE_MATCH,
        ],
        responses={"200": json_of("SetList", "The set list.", ETAG), "304": NOT_MODIFIED},
        problems=[ProblemCode.BLACKLISTED],
    ),
    ApiOperation(
        "GET /channels/{login}/songs.{kind}",
        id="setListFile",
        summary="The set list of a channel as a file",
        description="`csv`, `json`, `m3u8` (an HLS playlist of the songs' previews), `m3u` (one of links), or "
        "`spotify.txt` and `youtube.txt` (a link to each song that the service is known to have, one a line). "
        "Of a day, or the newest plays.",
        parameters=[
            parameter("query", "day", "A day such as `2026-03-01`.", {"type": "string", "format": "date"}),
            parameter(
                "query",
                "zone",
                "The time zone of the day and of a CSV's times, such as `Europe/Berlin`; UTC without.",
            ),
            parameter("query", "q", "Words that title, artists and album hold together."),
        ],
        responses={
            "200": {
                "description": "The file.",
                "content": {
                    kind: {"schema": schema}
                    for kind, schema in {
                        "text/csv": TEXT,
                        "text/plain": TEXT,
                        "application/vnd.apple.mpegurl": TEXT,
                        "audio/x-mpegurl": TEXT,
                        "application/json": {"type": "object"},
                    }.items()
                },
            }
        },
        problems=[ProblemCode.BLACKLISTED, ProblemCode.NOT_FOUND],
    ),
    ApiOperation(
        f"GET {_CHANNEL}/events",
        id="followChannel",
        summary="Follow what is played on a channel",
        description="Server-sent events: `play` with the newest Play, if there is one, and again whenever it "
        "changes; `updated` with another Play whose song is known only now, since the catalog has grown, or "
        "that was corrected; `removed` with the ids of answers whose plays the owner has hidden. It "
        "goes on until you leave; when it ends, connect again. Nothing is identified for it: it "
        "tells what others ask for, and what a watch finds.",
        parameters=[LAST_EVENT_ID],
        responses=_EVENTS,
        problems=[ProblemCode.BLACKLISTED],
    ),
    ApiOperation(
        f"GET {_CHANNEL}/song.txt",
        id="songLine",
        summary="The song as one plain line, for chat bots",
        description="Starts or joins an identification and waits up to 8 s. Problems are one plain line too, "
        "with status 200. At most 400 characters.",
        parameters=[
            parameter("query", "token", "A token for this channel, if the server requires sign-in."),
            parameter("query", "ago", "How long ago: seconds, `1m30s` or `1:30`; empty for now."),
            parameter("query", "format", "How a song is written, such as `{artist} - {title} {link}`."),
        ],
        responses={"200": content_of("The line.", "text/plain", TEXT)},
        problems=None,
    ),
    ApiOperation(
        f"DELETE {_CHANNEL}",
        id="forgetChannel",
        summary="Forget a channel",
        description="For the channel's owner, signed in with Twitch, and the operator. Deletes all answers "
        "about the channel, its clips and its VODs, its time line, tokens, watch and reports.",
        parameters=[
            parameter(
                "query",
                "keep-away",
                "`true`: the channel is also blacklisted, so that nothing is kept about it again.",
                {"type": "string", "enum": ["true", "false"]},
            )
        ],
        responses={"204": {"description": "Forgotten."}},
        problems=OWNER,
    ),
    ApiOperation(
        f"PATCH {_CHANNEL}/songs/{{play}}",
        id="correctPlay",
        summary="Correct a play",
        description=f"{_FOR_OWNERS_AND_OPERATORS} The play has this title and these artists wherever it is "
        "shown, with `corrected` in its song, and without links and ids of another song. Likewise the "
        "answer about a clip or a VOD of the channel.",
        body="PlayNames",
        responses={"200": json_of("Correction", "The correction.")},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"DELETE {_CHANNEL}/songs/{{play}}",
        id="hidePlay",
        summary="Hide a play",
        description=f"{_FOR_OWNERS_AND_OPERATORS} The play is not shown any more; its answers have found no "
        "song. Likewise the answer about a clip or a VOD of the channel. It is among the corrections, where it "
        "can be taken back.",
        responses={"204": {"description": "Hidden."}},
        problems=(*OWNER, ProblemCode.NOT_FOUND, ProblemCode.INVALID_INPUT),
    ),
    ApiOperation(
        f"GET {_CHANNEL}/corrections",
        id="corrections",
        summary="Corrected and hidden plays",
        description=_FOR_OWNERS_AND_OPERATORS,
        responses={"200": json_of("Corrections", "The corrections.")},
        problems=OWNER,
    ),
    ApiOperation(
        f"DELETE {_CHANNEL}/corrections/{{correction}}",
        id="takeBackCorrection",
        summary="Take a correction back",
        description=f"{_FOR_OWNERS_AND_OPERATORS} The play is shown as it was recognized.",
        responses={"204": {"description": "Taken back."}},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"GET {_CHANNEL}/visibility",
        id="visibility",
        summary="What of a channel is public",
        description="The set list, only the song that is playing now, or nothing.",
        responses={"200": json_of("Visibility", "What is public.")},
        problems=[ProblemCode.BLACKLISTED],
    ),
    ApiOperation(
        f"PUT {_CHANNEL}/visibility",
        id="chooseVisibility",
        summary="Choose what is public",
        description=f"{_FOR_OWNERS_AND_OPERATORS} Both see everything in any case. Overlay, events and chat "
        "bots go on showing the song that is playing now.",
        body="Visibility",
        responses={"200": json_of("Visibility", "What is public now.")},
        problems=OWNER,
    ),
    ApiOperation(
        f"GET {_CHANNEL}/song-tokens",
        id="songTokens",
        summary="Your channel's tokens for chat bots",
        description=_FOR_THE_OWNER,
        responses={"200": json_of("SongTokens", "The tokens.")},
        problems=OWNER,
    ),
    ApiOperation(
        f"POST {_CHANNEL}/song-tokens",
        id="makeSongToken",
        summary="Make a token for a chat bot",
        description=f"{_FOR_THE_OWNER} The token can ask `song.txt` for this channel, and nothing else.",
        body="SongTokenWish",
        responses={"201": json_of("NewSongToken", "The token. It is shown only once.")},
        problems=OWNER,
    ),
    ApiOperation(
        f"DELETE {_CHANNEL}/song-tokens/{{id}}",
        id="revokeSongToken",
        summary="Revoke a token",
        description=_FOR_THE_OWNER,
        responses={"204": {"description": "Revoked."}},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"GET {_CHANNEL}/watch",
        id="watch",
        summary="A channel's watch",
        description="How often the channel is identified, what is left of the budget, and how it ended.",
        responses={"200": json_of("Watch", "Its watch.")},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.BLACKLISTED],
    ),
    ApiOperation(
        f"PUT {_CHANNEL}/watch",
        id="startWatch",
        summary="Watch a channel",
        description="Identifies it regularly while it is live, until the stream ends or the budget is used. "
        "For operators and API keys with the scope `watch`, which change the settings of a running watch, and "
        "for the channel's owner, if the operator allows it: then `budget` is of a day, the operator's "
        "setting is the most, and the watch goes on with each stream until it is stopped.",
        body="WatchTerms",
        responses={
            "200": json_of("Watch", "It was already being watched."),
            "201": json_of("Watch", "It is being watched."),
        },
        problems=OWNER,
    ),
    ApiOperation(
        f"DELETE {_CHANNEL}/watch",
        id="stopWatch",
        summary="Stop watching a channel",
        description="For operators, API keys with the scope `watch`, and the channel's owner.",
        responses={"204": {"description": "No longer watched."}},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"GET {BASE}/watches",
        id="watches",
        summary="All watches",
        description="The running ones first. For operators, and API keys with the scope `watch`.",
        responses={"200": json_of("Watches", "The watches.")},
        problems=OWNER,
    ),
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
    ApiOperation(
        f"GET {BASE}/webhooks",
        id="webhooks",
        summary="Your webhooks",
        description="Without their secrets. For operators and API keys with the scope `webhooks`.",
        responses={"200": json_of("Webhooks", "The webhooks.")},
        problems=OWNER,
    ),
    ApiOperation(
        f"PUT {BASE}/webhooks",
        id="putWebhook",
        summary="Have an address told of events",
        description="Creates a webhook, or changes the one with the same address. Messages are signed as "
        "Standard Webhooks says, with the secret that is shown once, and tried again for a day and a half.",
        body="WebhookWish",
        responses={
            "200": json_of("Webhook", "It was there before, and has changed."),
            "201": json_of("Webhook", "It is new, and this is its secret.", LOCATION),
        },
        problems=OWNER,
    ),
    ApiOperation(
        f"GET {BASE}/webhooks/{{id}}",
        id="webhook",
        summary="A webhook",
        description="Its state, and what was wrong last.",
        responses={"200": json_of("Webhook", "The webhook.")},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"PUT {BASE}/webhooks/{{id}}",
        id="changeWebhook",
        summary="Change a webhook",
        description="Its secret stays. One that was disabled is enabled again.",
        body="WebhookWish",
        responses={"200": json_of("Webhook", "It has changed.")},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"DELETE {BASE}/webhooks/{{id}}",
        id="deleteWebhook",
        summary="Delete a webhook",
        description="What was still to be sent to it is dropped.",
        responses={"204": {"description": "Deleted."}},
        problems=(*OWNER, ProblemCode.NOT_FOUND),
    ),
    ApiOperation(
        f"POST {BASE}/webhooks/{{id}}/test",
        id="testWebhook",
        summary="Send a test message now",
        description="The answer says what came of it.",
        responses={"200": json_of("WebhookTest", "What came of it.")},
        problems=(*OWNER, ProblemCode.NOT_FOUND, ProblemCode.RATE_LIMITED),
    ),
    ApiOperation(
        f"GET {BASE}/status",
        id="status",
        summary="What the service offers",
        description="For everyone: who has access, what is switched on, and whether music can be recognized.",
        responses={"200": json_of("Status", "Access mode, toggles, message of the day.")},
    ),
    ApiOperation(
        f"GET {BASE}/me",
        id="me",
        summary="The caller's account and permissions",
        description="How you are known, what you may identify, and if not, why.",
        responses={"200": json_of("Me", "Your account and permissions.")},
        problems=CREDENTIALS,
    ),
    ApiOperation(
        f"GET {BASE}/me/finds",
        id="finds",
        summary="Your finds",
        description="The songs that you found while signed in on the website, newest first: at most 500, for "
        "at most 400 days. Only you can read them. Takes a Twitch token or the website's session.",
        responses={"200": json_of("Finds", "Your finds.")},
        problems=(*CREDENTIALS, ProblemCode.LOGIN_REQUIRED),
    ),
    ApiOperation(
        f"DELETE {BASE}/me/finds",
        id="deleteFinds",
        summary="Delete your finds",
        description="Deletes all of them from your account.",
        responses={"204": {"description": "There are none any more."}},
        problems=(*CREDENTIALS, ProblemCode.LOGIN_REQUIRED, ProblemCode.CSRF),
    ),
    ApiOperation(
        f"PUT {BASE}/me/finds/{{id}}",
        id="keepFind",
        summary="Keep a song among your finds",
        description="Keeps the song of an answer. One song on one channel within 15 minutes is one find.",
        responses={"204": {"description": "It is kept."}},
        problems=(
            *CREDENTIALS,
            ProblemCode.LOGIN_REQUIRED,
            ProblemCode.CSRF,
            ProblemCode.BLACKLISTED,
            ProblemCode.NOT_FOUND,
            ProblemCode.INVALID_INPUT,
        ),
    ),
    ApiOperation(
        f"POST {BASE}/access-codes/redeem",
        id="redeemAccessCode",
        summary="Redeem an access code",
        description="Requires signing in with Twitch.",
        body="AccessCode",
        responses={"204": {"description": "Redeemed."}},
        problems=(
            *CREDENTIALS,
            ProblemCode.LOGIN_REQUIRED,
            ProblemCode.BLACKLISTED,
            ProblemCode.CODE_INVALID,
        ),
    ),
    ApiOperation(
        f"GET {BASE}/openapi.json",
        id="openapi",
        summary="This document",
        description="For generators of clients and for tools.",
        parameters=[IF_NONE_MATCH],
        responses={
            "200": content_of("OpenAPI 3.1.", "application/json", {"type": "object"}, ETAG),
            "304": NOT_MODIFIED,
        },
        problems=None,
    ),
    ApiOperation(
        "GET /healthz",
        id="healthz",
        summary="Alive",
        description="200 for as long as the process answers.",
        responses={"200": json_of("Alive", "The process answers.")},
        problems=None,
    ),
    ApiOperation(
        "GET /readyz",
        id="readyz",
        summary="Whether requests can be served",
        description="For the operator, with each dependency named.",
        responses={
            "200": json_of("Readiness", "Requests can be served."),
            "503": json_of("Readiness", "A required dependency is missing."),
        },
        problems=None,
    ),
    ApiOperation(
        "GET /metrics",
        id="metrics",
        summary="Metrics as Prometheus text",
        description="For the operator: with `TWITCHAUDIO_METRICS_TOKEN`, or from the same machine.",
        responses={"200": content_of("Text format 0.0.4.", "text/plain", TEXT)},
        problems=[ProblemCode.FORBIDDEN],
    ),
)


def paths() -> dict[str, Any]:
    """The `paths` of the OpenAPI document."""
    described: dict[str, Any] = {}
    for operation in _OPERATIONS:
        method, path = operation.route.split(" ")
        described.setdefault(path, {})[method.lower()] = operation.described(method, path)
    return described
