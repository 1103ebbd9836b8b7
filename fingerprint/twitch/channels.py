"""Finds channels by login or id: the `ChannelDirectory` port."""

from typing import Final

from fingerprint.media.fetch import Fetcher
from fingerprint.ports import Broadcaster, OnOutcome, ignore_outcome
from fingerprint.twitch import gql
from fingerprint.twitch.answers import GqlFailure, GqlFailureKind, Json, is_no_account, parse_account
from fingerprint.twitch.queries import Query
from fingerprint.upstream_settings import TwitchSettings

_TEXT: Final = """
query Channel($login: String, $id: ID) {
  user(login: $login, id: $id) { id login }
}"""
_MINIMAL_TEXT: Final = "query($login: String, $id: ID) { user(login: $login, id: $id) { id login } }"
_HASH: Final = "fea4573a7bf2644f5b3f2cbbdcbee0d17312e48d2e55f080589d053aad353f11"


class TwitchChannels:
    """The `ChannelDirectory` port on Twitch's GraphQL. Raises the port's errors."""

    def __init__(
        self, fetcher: Fetcher, settings: TwitchSettings, *, on_outcome: OnOutcome = ignore_outcome
    ) -> None:
        # Without the operator's own session: who has which login is public.
        self._gql = gql.Gql(fetcher, settings.gql_url, settings.gql_attempts, on_outcome=on_outcome)

    async def by_login(self, login: str) -> Broadcaster | None:
        return await self._gql.ask(channel_query(login=login), _channel)

    async def by_id(self, channel_id: str) -> Broadcaster | None:
        found = await self._gql.ask(channel_query(channel_id=channel_id), _channel)
        return found if found is not None and found.id == channel_id else None


def channel_query(*, login: str = "", channel_id: str = "") -> Query:
    """The query for the channel with a login or an id. The known persisted query takes only a login."""
    variables = {"id": channel_id} if channel_id else {"login": login}
    return Query(
        operation="Channel",
        text=_TEXT,
        text_variables=variables,
        minimal_texts=(_MINIMAL_TEXT,),
        minimal_variables=variables,
        persisted_operation="ChannelShell",
        persisted_hash=None if channel_id else _HASH,
        persisted_variables={"login": login},
    )


def _channel(data: Json) -> Broadcaster | None:
    """The channel in an answer to `channel_query`; None when it says that there is none. Raises GqlFailure."""
    name = next((name for name in ("user", "userOrError") if name in data), None)
    if name is None:
        raise GqlFailure(GqlFailureKind.UNREADABLE, "the answer names no channel")
    if data[name] is None or is_no_account(data[name]):
        return None
    channel = parse_account(data[name])
    if channel is None:
        raise GqlFailure(GqlFailureKind.UNREADABLE, "the channel's answer has no id or login")
    return channel
