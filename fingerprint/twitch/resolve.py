"""Resolves a target to the address of its sound: the `MediaResolver` port.

For a channel and a VOD, gql gives a playback access token, and usher takes it for the multivariant playlist.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, FileTarget, Target, VideoTarget
from fingerprint.hls.attributes import PlaylistError, address
from fingerprint.hls.playlist import Rendition, choose_audio
from fingerprint.media.fetch import Fetcher
from fingerprint.media.pcm import no_audio
from fingerprint.ports import (
    ClipSource,
    FileSource,
    LiveSource,
    MediaSource,
    OnOutcome,
    VideoSource,
    ignore_outcome,
)
from fingerprint.settings import TwitchSettings
from fingerprint.twitch import gql, usher
from fingerprint.twitch.answers import ClipMedia, GqlFailure, Json, PlaybackToken, parse_clip, parse_token
from fingerprint.twitch.queries import Query, clip_query, stream_token_query, video_token_query

T = TypeVar("T")

_MAX_TOKENS: Final = 2
"""How many tokens are requested at most: when usher refuses one, it may just have expired."""


class TwitchResolver:
    """Resolves Twitch targets with gql and usher, and checks that files exist. Raises the port's errors."""

    def __init__(
        self, fetcher: Fetcher, settings: TwitchSettings, *, on_outcome: OnOutcome = ignore_outcome
    ) -> None:
        self._gql = gql.Gql(
            fetcher,
            settings.gql_url,
            settings.gql_attempts,
            session_token=settings.session_token,
            on_outcome=on_outcome,
        )
        self._usher = usher.Usher(fetcher, settings.usher_url, on_outcome=on_outcome)

    async def resolve(self, target: Target) -> MediaSource:
        match target:
            case ChannelTarget(login=login):
                rendition, url, token = await self._rendition(usher.PlaylistKind.CHANNEL, login)
                return LiveSource(
                    channel=login, playlist=url, audio_only=rendition.audio_only, channel_id=token.channel_id
                )
            case VideoTarget(video_id=video_id, at_seconds=at_seconds):
                rendition, url, _ = await self._rendition(usher.PlaylistKind.VIDEO, video_id)
                return VideoSource(playlist=url, at_seconds=at_seconds, audio_only=rendition.audio_only)
            case ClipTarget(slug=slug):
                clip = await self._ask(clip_query(slug), parse_clip)
                return _clip_source(clip)
            case FileTarget(path=path):
                if not await asyncio.to_thread(path.is_file):
                    raise TwitchAudioError(ProblemCode.NOT_FOUND, f"There is no file {str(path)!r}.")
                return FileSource(path=path)

    async def _rendition(self, kind: usher.PlaylistKind, name: str) -> tuple[Rendition, URL, PlaybackToken]:
        """The rendition to capture, the address of its media playlist, and the token that opened it."""
        for _ in range(_MAX_TOKENS):
            token = await self._token(kind, name)
            try:
                playlist, base = await self._usher.playlist(kind, name, token)
            except usher.PlaybackTokenRefusedError:
                continue
            rendition = choose_audio(playlist)
            if rendition is None:
                raise no_audio("none of the broadcast's renditions has sound")
            try:
                return rendition, address(base, rendition.uri), token
            except PlaylistError as error:
                raise UpstreamError(usher.STEP, f"Twitch's list of renditions cannot be used: {error}.") from error
        raise UpstreamError(usher.STEP, "Twitch's usher does not accept the playback tokens that gql gives out.")

    async def _token(self, kind: usher.PlaylistKind, name: str) -> PlaybackToken:
        if kind is usher.PlaylistKind.CHANNEL:
            token = await self._ask(
                stream_token_query(name), lambda data: _token_of(data, "streamPlaybackAccessToken", "broadcast")
            )
            missing = TwitchAudioError(
                ProblemCode.CHANNEL_NOT_FOUND, f"Twitch knows no channel {name!r}, or it is banned."
            )
        else:
            token = await self._ask(
                video_token_query(name), lambda data: _token_of(data, "videoPlaybackAccessToken", "video")
            )
            missing = TwitchAudioError(ProblemCode.VIDEO_NOT_FOUND, f"Twitch has no video {name} (any more).")
        if token is None:
            raise missing
        return token

    async def _ask(self, query: Query, parse: Callable[[Json], T]) -> T:
        data = await self._gql.ask(query)
        try:
            return parse(data)
        except GqlFailure as failure:
            raise UpstreamError(gql.STEP, f"Twitch's answer cannot be used: {failure.words}.") from failure


def _token_of(data: Json, name: str, subject: str) -> PlaybackToken | None:
    """The playback token, or None when Twitch knows nothing by that name."""
    return None if name in data and data[name] is None else parse_token(data.get(name), subject)


def _clip_source(clip: ClipMedia | None) -> ClipSource:
    if clip is None:
        raise TwitchAudioError(ProblemCode.CLIP_NOT_FOUND, "Twitch knows no such clip; it may have been deleted.")
    return ClipSource(url=clip.url, duration_seconds=clip.duration_seconds)
