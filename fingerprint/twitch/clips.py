"""Finds out whose channel a clip or a video is from: the `ClipOwners` port."""

from fingerprint.media.fetch import Fetcher
from fingerprint.ports import Broadcaster, OnOutcome, ignore_outcome
from fingerprint.twitch import gql
from fingerprint.twitch.answers import parse_clip_broadcaster, parse_video_owner
from fingerprint.twitch.queries import clip_broadcaster_query, video_owner_query
from fingerprint.upstream_settings import TwitchSettings


class TwitchClips:
    """The `ClipOwners` port on Twitch's GraphQL. Raises the port's errors."""

    def __init__(
        self, fetcher: Fetcher, settings: TwitchSettings, *, on_outcome: OnOutcome = ignore_outcome
    ) -> None:
        # Without the operator's own session: a clip's broadcaster is public.
        self._gql = gql.Gql(fetcher, settings.gql_url, settings.gql_attempts, on_outcome=on_outcome)

    async def broadcaster(self, slug: str) -> Broadcaster | None:
        return await self._gql.ask(clip_broadcaster_query(slug), parse_clip_broadcaster)

    async def video_owner(self, video_id: str) -> Broadcaster | None:
        return await self._gql.ask(video_owner_query(video_id), parse_video_owner)
