"""Whose clip it is: the `ClipOwners` port."""

from fingerprint.domain.problems import UpstreamError
from fingerprint.media.fetch import Fetcher
from fingerprint.ports import Broadcaster, OnOutcome, ignore_outcome
from fingerprint.settings import TwitchSettings
from fingerprint.twitch import gql
from fingerprint.twitch.answers import GqlFailure, parse_clip_broadcaster
from fingerprint.twitch.queries import clip_broadcaster_query


class TwitchClips:
    """Asks gql. Raises what the port promises."""

    def __init__(
        self, fetcher: Fetcher, settings: TwitchSettings, *, on_outcome: OnOutcome = ignore_outcome
    ) -> None:
        # Without the operator's own session: who a clip is from is told to everybody.
        self._gql = gql.Gql(fetcher, settings.gql_url, settings.gql_attempts, on_outcome=on_outcome)

    async def broadcaster(self, slug: str) -> Broadcaster | None:
        data = await self._gql.ask(clip_broadcaster_query(slug))
        try:
            return parse_clip_broadcaster(data)
        except GqlFailure as failure:
            raise UpstreamError(gql.STEP, f"Twitch's answer cannot be used: {failure.words}.") from failure
