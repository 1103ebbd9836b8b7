"""The queries to Twitch's GraphQL in three forms: their full text, a minimal text, or a known query's hash.

Twitch retires hashes without notice every few months; the text has worked for years. The minimal texts have only
what cannot be done without, so that a field that Twitch removes costs one attempt and not the answer. User input
is passed in variables and never becomes part of a text. A test checks the texts against simulator/schema.graphql.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

_PARAMS: Final = 'params: {platform: "web", playerBackend: "mediaplayer", playerType: "site"}'
_PARAMS_OF_VARIABLES: Final = (
    'params: {platform: $platform, playerBackend: "mediaplayer", playerType: $playerType}'
)

_TOKEN_TEXT: Final = f"""
query PlaybackAccessToken_Template(
  $login: String!, $isLive: Boolean!, $vodID: ID!, $isVod: Boolean!, $playerType: String!, $platform: String!
) {{
  streamPlaybackAccessToken(channelName: $login, {_PARAMS_OF_VARIABLES}) @include(if: $isLive) {{
    value
    signature
    authorization {{ isForbidden forbiddenReasonCode }}
  }}
  videoPlaybackAccessToken(id: $vodID, {_PARAMS_OF_VARIABLES}) @include(if: $isVod) {{
    value
    signature
  }}
}}"""
"""The web player's own query: its name, its variables and its fields."""

_MINIMAL_STREAM_TEXT: Final = f"""
query($login: String!) {{
  streamPlaybackAccessToken(channelName: $login, {_PARAMS}) {{ value signature }}
}}"""

_MINIMAL_VIDEO_TEXT: Final = f"""
query($vodID: ID!) {{
  videoPlaybackAccessToken(id: $vodID, {_PARAMS}) {{ value signature }}
}}"""

_CLIP_TEXT: Final = f"""
query ClipPlayback($slug: ID!) {{
  clip(slug: $slug) {{
    durationSeconds
    videoOffsetSeconds
    video {{ id }}
    broadcaster {{ id login }}
    playbackAccessToken({_PARAMS}) {{ value signature }}
    videoQualities {{ quality frameRate sourceURL }}
    assets {{ aspectRatio videoQualities {{ quality frameRate sourceURL videoCodec bitrate }} }}
  }}
}}"""

_MINIMAL_CLIP_TEXTS: Final = tuple(
    f"query($slug: ID!) {{ clip(slug: $slug) {{ playbackAccessToken({_PARAMS}) {{ value signature }} {files} }} }}"
    for files in (
        "videoQualities { quality sourceURL }",
        "assets { videoQualities { sourceURL } }",
    )
)
"""Twitch lists a clip's files in two places; each text needs only one of them."""

_BROADCASTER_TEXT: Final = """
query ClipBroadcaster($slug: ID!) {
  clip(slug: $slug) { broadcaster { id login } }
}"""

_MINIMAL_BROADCASTER_TEXT: Final = "query($slug: ID!) { clip(slug: $slug) { broadcaster { id login } } }"

_VIDEO_OWNER_TEXT: Final = """
query VideoOwner($id: ID!) {
  video(id: $id) { owner { id login } }
}"""

_MINIMAL_VIDEO_OWNER_TEXT: Final = "query($id: ID!) { video(id: $id) { owner { id login } } }"

_RECORDING_TEXT: Final = """
query NewestRecording($login: String!) {
  user(login: $login) { videos(first: 1, types: [ARCHIVE], sort: TIME) { edges { node { id } } } }
}"""

_MINIMAL_RECORDING_TEXT: Final = (
    "query($login: String!) "
    "{ user(login: $login) { videos(first: 1, types: [ARCHIVE], sort: TIME) { edges { node { id } } } } }"
)

_TOKEN_HASH: Final = "ed230aa1e33e07eebb8928504583da78a5173989fadfb1ac94be06a04f3cdbe9"  # noqa: S105 - a query's hash
_CLIP_HASH: Final = "2db6a3b20eabf510bd3cf465ae2408834b59eb6b8af89ca73ab1486cacecfb63"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query in its forms; each form has its own variables. `operation` is the name in `text`.

    Without `persisted_hash`, no persisted query answers this.
    """

    operation: str
    text: str
    text_variables: dict[str, Any]
    minimal_texts: tuple[str, ...]
    minimal_variables: dict[str, Any]
    persisted_operation: str
    persisted_hash: str | None
    persisted_variables: dict[str, Any]

    def bodies(self, form: str) -> tuple[bytes, ...]:
        """The JSON to send, in the form `text`, `minimal` or `persisted`; several are tried in their order."""
        match form:
            case "text":
                contents = [
                    {"operationName": self.operation, "query": self.text, "variables": self.text_variables}
                ]
            case "minimal":
                contents = [{"query": text, "variables": self.minimal_variables} for text in self.minimal_texts]
            case _ if self.persisted_hash is None:
                contents = []
            case _:
                contents = [
                    {
                        "operationName": self.persisted_operation,
                        "extensions": {"persistedQuery": {"version": 1, "sha256Hash": self.persisted_hash}},
                        "variables": self.persisted_variables,
                    }
                ]
        return tuple(json.dumps(content).encode() for content in contents)


def stream_token_query(login: str) -> Query:
    """The query for a live channel's playback access token."""
    variables = {"isLive": True, "login": login, "isVod": False, "vodID": ""}
    return _token_query(variables, _MINIMAL_STREAM_TEXT, {"login": login})


def video_token_query(video_id: str) -> Query:
    """The query for a VOD's playback access token."""
    variables = {"isLive": False, "login": "", "isVod": True, "vodID": video_id}
    return _token_query(variables, _MINIMAL_VIDEO_TEXT, {"vodID": video_id})


def recording_query(login: str) -> Query:
    """The query for the id of a channel's newest VOD. No persisted query that answers it is known."""
    variables = {"login": login}
    return Query(
        operation="NewestRecording",
        text=_RECORDING_TEXT,
        text_variables=variables,
        minimal_texts=(_MINIMAL_RECORDING_TEXT,),
        minimal_variables=variables,
        persisted_operation="",
        persisted_hash=None,
        persisted_variables={},
    )


def clip_query(slug: str) -> Query:
    """The query for a clip's renditions and the token that opens them."""
    return _clip_query(slug, "ClipPlayback", _CLIP_TEXT, _MINIMAL_CLIP_TEXTS)


def clip_broadcaster_query(slug: str) -> Query:
    """The query for the channel that a clip is from. The known persisted query answers more than that."""
    return _clip_query(slug, "ClipBroadcaster", _BROADCASTER_TEXT, (_MINIMAL_BROADCASTER_TEXT,))


def video_owner_query(video_id: str) -> Query:
    """The query for the channel that a VOD is from. No persisted query that answers it is known."""
    variables = {"id": video_id}
    return Query(
        operation="VideoOwner",
        text=_VIDEO_OWNER_TEXT,
        text_variables=variables,
        minimal_texts=(_MINIMAL_VIDEO_OWNER_TEXT,),
        minimal_variables=variables,
        persisted_operation="",
        persisted_hash=None,
        persisted_variables={},
    )


def _clip_query(slug: str, operation: str, text: str, minimal_texts: tuple[str, ...]) -> Query:
    variables = {"slug": slug}
    return Query(
        operation=operation,
        text=text,
        text_variables=variables,
        minimal_texts=minimal_texts,
        minimal_variables=variables,
        persisted_operation="ShareClipRenderStatus",
        persisted_hash=_CLIP_HASH,
        persisted_variables=variables,
    )


def _token_query(variables: dict[str, Any], minimal_text: str, minimal_variables: dict[str, Any]) -> Query:
    variables = {**variables, "playerType": "site", "platform": "web"}
    return Query(
        operation="PlaybackAccessToken_Template",
        text=_TOKEN_TEXT,
        text_variables=variables,
        minimal_texts=(minimal_text,),
        minimal_variables=minimal_variables,
        persisted_operation="PlaybackAccessToken",
        persisted_hash=_TOKEN_HASH,
        persisted_variables=variables,
    )
