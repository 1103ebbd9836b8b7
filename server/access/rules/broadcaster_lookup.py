"""Looks up the Twitch account for a login or an id, for lists that store accounts by id."""

import contextlib

from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.domain.problems import UpstreamError, invalid_input
from server.access.identity.helix import HelixClient, HelixUser
from server.access.identity.oauth import TwitchOAuth
from server.access.identity.twitch_user import ID_PREFIX
from server.settings import ServerSettings


async def look_up_broadcaster(settings: ServerSettings, value: str) -> HelixUser:
    """The account that `value` names: a login or `id:NUMBER` (see `lists.user_value`).

    Without a Twitch application, an `id:NUMBER` is accepted unchecked and the login is empty. Raises
    TwitchAudioError `invalid-input` when no such account exists or a login cannot be looked up;
    `upstream-unavailable`.
    """
    number = value.removeprefix(ID_PREFIX)
    if settings.twitch_client_id is None or settings.twitch_client_secret is None:
        if number == value:
            raise invalid_input(
                "A login is looked up at Twitch: set TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET, or give id:NUMBER."
            )
        return HelixUser(id=number, login="", kind="")
    async with ClientSession() as session:
        oauth = TwitchOAuth(
            session,
            id_url=settings.twitch_id_url,
            client_id=settings.twitch_client_id,
            client_secret=settings.twitch_client_secret,
        )
        helix = HelixClient(
            session,
            helix_url=settings.twitch_helix_url,
            client_id=settings.twitch_client_id,
            clock=SystemClock(),
        )
        token = await oauth.application_token()
        wanted = {"logins": [value]} if number == value else {"ids": [number]}
        found = await helix.users(token, **wanted)
        with contextlib.suppress(UpstreamError):
            await oauth.revoke(token)
    if not found:
        raise invalid_input(f"There is no Twitch user called {value}.")
    return found[0]
