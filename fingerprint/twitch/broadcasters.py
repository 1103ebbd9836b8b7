"""Finds channels by login or id: the `Broadcasters` port."""

from fingerprint.domain.problems import UpstreamError
from fingerprint.media.fetch import Fetcher
from fingerprint.ports import Broadcaster, OnOutcome, ignore_outcome
from fingerprint.settings import TwitchSettings
from fingerprint.twitch import gql
from fingerprint.twitch.answers import GqlFailure, parse_channel
from fingerprint.twitch.queries import Query, channel_query


class TwitchBroadcasters:
    """The `Broadcasters` port on Twitch's GraphQL. Raises the port's errors."""

    def __init__(
        self, fetcher: Fetcher, settings: TwitchSettings, *, on_outcome: OnOutcome = ignore_outcome
    ) -> None:
        # Without the operator's own session: who has which login is public.
        self._gql = gql.Gql(fetcher, settings.gql_url, settings.gql_attempts, on_outcome=on_outcome)

    async def by_login(self, login: str) -> Broadcaster | None:
        return await self._ask(channel_query(login=login))

    async def by_id(self, channel_id: str) -> Broadcaster | None:
        found = await self._ask(channel_query(channel_id=channel_id))
        return found if found is not None and found.id == channel_id else None

    async def _ask(self, query: Query) -> Broadcaster | None:
        data = await self._gql.ask(query)
        try:
            return parse_channel(data)
        except GqlFailure as failure:
            raise UpstreamError(gql.STEP, f"Twitch's answer cannot be used: {failure.words}.") from failure
