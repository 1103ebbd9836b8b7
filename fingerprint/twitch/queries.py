"""The queries to Twitch's GraphQL in both forms: their full text, or the hash of a known (persisted) query.

Twitch retires hashes without notice every few months; the text has worked for years. User input is
passed in variables and never becomes part of a text.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

_PLAYER: Final = 'params: {platform: "web", playerBackend: "mediaplayer", playerType: "site"}'

_STREAM_TEXT: Final = f"""
query PlaybackAccessToken_Template($login: String!) {{
  streamPlaybackAccessToken(channelName: $login, {_PLAYER}) {{
    value
    signature
    authorization {{ isForbidden forbiddenReasonCode }}
  }}
}}"""

_VIDEO_TEXT: Final = f"""
query PlaybackAccessToken_Template($vodID: ID!) {{
  videoPlaybackAccessToken(id: $vodID, {_PLAYER}) {{ value signature }}
}}"""

_CLIP_TEXT: Final = f"""
query ClipPlayback($slug: ID!) {{
  clip(slug: $slug) {{
    durationSeconds
    playbackAccessToken({_PLAYER}) {{ value signature }}
    videoQualities {{ quality frameRate sourceURL }}
    assets {{ aspectRatio videoQualities {{ quality frameRate sourceURL videoCodec bitrate }} }}
  }}
}}"""

_BROADCASTER_TEXT: Final = """
query ClipBroadcaster($slug: ID!) {
  clip(slug: $slug) { broadcaster { id login } }
}"""

_TOKEN_HASH: Final = "ed230aa1e33e07eebb8928504583da78a5173989fadfb1ac94be06a04f3cdbe9"  # noqa: S105 - a query's hash
_CLIP_HASH: Final = "2db6a3b20eabf510bd3cf465ae2408834b59eb6b8af89ca73ab1486cacecfb63"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query in both forms; each form has its own operation name and variables."""

    text_operation: str
    text: str
    text_variables: dict[str, Any]
    persisted_operation: str
    persisted_hash: str
    persisted_variables: dict[str, Any]

    def body(self, form: str) -> bytes:
        """The JSON to send, in the form `text` or `persisted`."""
        if form == "text":
            content: dict[str, Any] = {
                "operationName": self.text_operation,
                "query": self.text,
                "variables": self.text_variables,
            }
        else:
            content = {
                "operationName": self.persisted_operation,
                "extensions": {"persistedQuery": {"version": 1, "sha256Hash": self.persisted_hash}},
                "variables": self.persisted_variables,
            }
        return json.dumps(content).encode()


def stream_token_query(login: str) -> Query:
    """The query for a live channel's playback access token."""
    return _token_query(
        _STREAM_TEXT, {"login": login}, {"isLive": True, "login": login, "isVod": False, "vodID": ""}
    )


def video_token_query(video_id: str) -> Query:
    """The query for a VOD's playback access token."""
    return _token_query(
        _VIDEO_TEXT, {"vodID": video_id}, {"isLive": False, "login": "", "isVod": True, "vodID": video_id}
    )


def clip_query(slug: str) -> Query:
    """The query for a clip's renditions and the token that opens them."""
    return Query(
        text_operation="ClipPlayback",
        text=_CLIP_TEXT,
        text_variables={"slug": slug},
        persisted_operation="ShareClipRenderStatus",
        persisted_hash=_CLIP_HASH,
        persisted_variables={"slug": slug},
    )


def clip_broadcaster_query(slug: str) -> Query:
    """The query for the channel that a clip is from. The known persisted query answers more than that."""
    return dataclasses.replace(clip_query(slug), text_operation="ClipBroadcaster", text=_BROADCASTER_TEXT)


def _token_query(text: str, text_variables: dict[str, Any], persisted_variables: dict[str, Any]) -> Query:
    return Query(
        text_operation="PlaybackAccessToken_Template",
        text=text,
        text_variables=text_variables,
        persisted_operation="PlaybackAccessToken",
        persisted_hash=_TOKEN_HASH,
        persisted_variables={**persisted_variables, "playerType": "site", "platform": "web"},
    )
