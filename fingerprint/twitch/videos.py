"""Finds out whose channel a VOD is from: the `VideoOwners` port."""

from typing import Any, Final, cast

from fingerprint.media.fetch import Fetcher
from fingerprint.ports import Broadcaster, OnOutcome, ignore_outcome
from fingerprint.settings import TwitchSettings
from fingerprint.twitch import gql
from fingerprint.twitch.answers import GqlFailure, GqlFailureKind, Json
from fingerprint.twitch.queries import Query

_TEXT: Final = """
query VideoOwner($id: ID!) {
  video(id: $id) { owner { id login } }
}"""
_MINIMAL_TEXT: Final = "query($id: ID!) { video(id: $id) { owner { id login } } }"


class TwitchVideos:
    """The `VideoOwners` port on Twitch's GraphQL. Raises the port's errors."""

    def __init__(
        self, fetcher: Fetcher, settings: TwitchSettings, *, on_outcome: OnOutcome = ignore_outcome
    ) -> None:
        # Without the operator's own session: whose VOD it is, is public.
        self._gql = gql.Gql(fetcher, settings.gql_url, settings.gql_attempts, on_outcome=on_outcome)

    async def video_owner(self, video_id: str) -> Broadcaster | None:
        return await self._gql.ask(video_owner_query(video_id), _owner)


def video_owner_query(video_id: str) -> Query:
    """The query for the channel that a VOD is from. No persisted query that answers only that is known."""
    variables = {"id": video_id}
    return Query(
        operation="VideoOwner",
        text=_TEXT,
        text_variables=variables,
        minimal_texts=(_MINIMAL_TEXT,),
        minimal_variables=variables,
        persisted_operation="",
        persisted_hash=None,
        persisted_variables={},
    )


def _owner(data: Json) -> Broadcaster | None:
    """The owner in an answer; None when there is no such VOD, or no owner is named. Raises GqlFailure."""
    if "video" not in data:
        raise GqlFailure(GqlFailureKind.UNREADABLE, "the answer names no video")
    video: object = data["video"]
    owner: object = cast("dict[str, Any]", video).get("owner") if isinstance(video, dict) else None
    found = cast("dict[str, Any]", owner) if isinstance(owner, dict) else {}
    user_id, login = found.get("id"), found.get("login")
    if not isinstance(user_id, str) or not isinstance(login, str):
        return None
    return Broadcaster(id=user_id, login=login.lower())
