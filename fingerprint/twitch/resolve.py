"""Resolves a target to the address of its sound: the `MediaResolver` port.

For a channel and a VOD, gql gives a playback access token, and usher takes it for the multivariant playlist.
"""

import asyncio
import time
from functools import partial
from typing import Final

from cachetools import TTLCache

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, channel_renamed
from fingerprint.domain.targets import (
    MAX_UPLOAD_SOUND_SECONDS,
    ChannelTarget,
    ClipTarget,
    FileTarget,
    Target,
    UploadTarget,
    VideoTarget,
)
from fingerprint.media.fetch import Fetcher
from fingerprint.ports import (
    ClipSource,
    FileSource,
    LiveSource,
    MediaSource,
    OnOutcome,
    VideoSource,
    ignore_outcome,
)
from fingerprint.twitch import gql, usher
from fingerprint.twitch.answers import PlaybackToken, parse_clip, parse_recording, parse_token_of
from fingerprint.twitch.channels import TwitchChannels
from fingerprint.twitch.queries import clip_query, recording_query, stream_token_query, video_token_query
from fingerprint.upstream_settings import TwitchSettings

_VIDEO_SECONDS: Final = 2.0
_MAX_VIDEOS: Final = 1_000
_KEPT_SECONDS: Final = 600.0
"""How many VODs of clips are remembered, and for how long."""


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
        self._videos: TTLCache[str, VideoSource] = TTLCache(_MAX_VIDEOS, _KEPT_SECONDS, time.monotonic)
        self._channels = TwitchChannels(fetcher, settings, on_outcome=on_outcome)
        self._usher = usher.Usher(fetcher, settings.usher_url, on_outcome=on_outcome)

    async def resolve(self, target: Target) -> MediaSource:
        match target:
            case ChannelTarget(login=login):
                return await self._live(login)
            case VideoTarget(video_id=video_id, at_seconds=at_seconds):
                return await self._video(video_id, at_seconds)
            case ClipTarget(slug=slug):
                return await self._clip(slug)
            case FileTarget(path=path):
                if not await asyncio.to_thread(path.is_file):
                    raise TwitchAudioError(ProblemCode.NOT_FOUND, f"No such file: {str(path)!r}.")
                return FileSource(path=path)
            case UploadTarget(path=path):
                return FileSource(path=path, max_seconds=MAX_UPLOAD_SOUND_SECONDS)

    async def recording(self, source: LiveSource) -> VideoSource | None:
        """The channel's newest VOD, if it is of the source's broadcast: another one would be of another day."""
        if source.broadcast is None:
            return None
        video_id = await self._gql.ask(recording_query(source.channel), parse_recording)
        if video_id is None:
            return None
        try:
            video = await self._video(video_id, 0.0)
        except TwitchAudioError as error:
            if error.code is ProblemCode.VIDEO_NOT_FOUND:
                return None
            raise
        return video if video.broadcast is not None and video.broadcast.id == source.broadcast.id else None

    async def renew(self, source: LiveSource) -> LiveSource:
        """A new source for a channel; in place of one that was new itself, usher is asked in another way.

        When no account has the login any more, the error names the new login of the channel that had it.
        """
        way = 0 if source.cached else (source.usher_way + 1) % len(usher.WAYS)
        try:
            return await self._live(source.channel, first_way=way)
        except TwitchAudioError as error:
            if error.code is not ProblemCode.CHANNEL_NOT_FOUND or source.channel_id is None:
                raise
            raise await self._renamed(source.channel, source.channel_id) or error from None

    async def renew_video(self, source: VideoSource) -> VideoSource:
        """A new source for a video that does not play, for which usher is asked in another way."""
        way = (source.usher_way + 1) % len(usher.WAYS)
        return await self._video(source.video_id, source.at_seconds, first_way=way)

    async def _renamed(self, login: str, channel_id: str) -> TwitchAudioError | None:
        """The error that names a channel's new login; None when Twitch does not say it."""
        try:
            holder = await self._channels.by_id(channel_id)
        except TwitchAudioError:
            return None
        return None if holder is None or holder.login == login else channel_renamed(login, holder.login)

    async def is_current(self, source: LiveSource) -> bool:
        """Whether the channel that a source is of still has its login."""
        holder = await self._channels.by_login(source.channel)
        return holder is not None and holder.id == source.channel_id

    async def _live(self, login: str, *, first_way: int = 0) -> LiveSource:
        token = partial(self._stream_token, login)
        found = await self._usher.playlists(usher.PlaylistKind.CHANNEL, login, token, first_way=first_way)
        first, *others = found.urls
        return LiveSource(
            channel=login,
            playlist=first,
            alternatives=tuple(others),
            channel_id=found.channel_id,
            usher_way=found.way,
            broadcast=found.broadcast,
        )

    async def _video(self, video_id: str, at_seconds: float, *, first_way: int = 0) -> VideoSource:
        token = partial(self._video_token, video_id)
        found = await self._usher.playlists(usher.PlaylistKind.VIDEO, video_id, token, first_way=first_way)
        first, *others = found.urls
        return VideoSource(
            video_id=video_id,
            playlist=first,
            alternatives=tuple(others),
            at_seconds=at_seconds,
            usher_way=found.way,
            broadcast=found.broadcast,
            channel=usher.channel_of(first),
        )

    async def _stream_token(self, login: str) -> PlaybackToken:
        parse = partial(parse_token_of, name="streamPlaybackAccessToken", subject="broadcast")
        token = await self._gql.ask(stream_token_query(login), parse)
        if token is None:
            raise TwitchAudioError(
                ProblemCode.CHANNEL_NOT_FOUND, f"There is no channel {login!r} on Twitch, or it is banned."
            )
        return token

    async def _video_token(self, video_id: str) -> PlaybackToken:
        parse = partial(parse_token_of, name="videoPlaybackAccessToken", subject="video")
        token = await self._gql.ask(video_token_query(video_id), parse)
        if token is None:
            detail = f"There is no video {video_id} on Twitch. It may have been deleted."
            raise TwitchAudioError(ProblemCode.VIDEO_NOT_FOUND, detail)
        return token

    async def _clip(self, slug: str) -> ClipSource:
        clip = await self._gql.ask(clip_query(slug), parse_clip)
        if clip is None:
            raise TwitchAudioError(
                ProblemCode.CLIP_NOT_FOUND, "This clip does not exist on Twitch; it may have been deleted."
            )
        in_video = None if clip.offset_seconds is None else clip.video_id
        video = None if in_video is None else await self._video_of_clip(in_video)
        return ClipSource(
            url=clip.url,
            alternatives=clip.alternatives,
            duration_seconds=clip.duration_seconds,
            broadcast=None if video is None else video.broadcast,
            offset_seconds=clip.offset_seconds,
            channel=clip.channel,
            video=video,
        )

    async def _video_of_clip(self, video_id: str) -> VideoSource | None:
        """The VOD that a clip is of; None when Twitch does not tell in time: a clip is heard without it."""
        known = self._videos.get(video_id)
        if known is None:
            try:
                async with asyncio.timeout(_VIDEO_SECONDS):
                    known = await self._video(video_id, 0.0)
            except (TwitchAudioError, TimeoutError):
                return None
            self._videos[video_id] = known
        return known
