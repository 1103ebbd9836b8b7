"""How the API's addresses of channels and set lists are described."""

from typing import Final

from fingerprint.domain.problems import ProblemCode
from server.api.openapi_operations import (
    ETAG,
    EVENTS,
    IF_NONE_MATCH,
    LAST_EVENT_ID,
    NOT_MODIFIED,
    OWNER,
    PLAYS,
    ApiOperation,
    content_of,
    json_of,
    parameter,
)
from server.api.openapi_schemas import TEXT, TIME
from server.api.responses import BASE

_FOR_THE_OWNER: Final = "For the channel's owner, signed in with Twitch."
_FOR_OWNERS_AND_OPERATORS: Final = "For the channel's owner, signed in with Twitch, and operators."
_CHANNEL: Final = f"{BASE}/channels/{{login}}"


CHANNELS: Final = (
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
        responses=EVENTS,
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
        "can be undone.",
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
)
