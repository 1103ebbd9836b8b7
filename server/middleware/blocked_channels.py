"""Refuses all that is under a blacklisted channel's address: set list, live events, overlay, tokens, watches.

By the name `login` in a route's path, so that a new route is covered as well. What stops something is let through.
"""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import channel_target
from server import keys

ANSWERS_ITSELF: Final = frozenset({"/api/v1/channels/{login}/song.txt"})
"""Chat bots need a line with status 200 instead of a problem; the handler checks the channel itself."""


@web.middleware
async def refuse_blocked_channels(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The middleware. Raises TwitchAudioError `blacklisted`, `busy`."""
    text = request.match_info.get("login")
    if text is not None and request.method != "DELETE":
        resource = request.match_info.route.resource
        if resource is None or resource.canonical not in ANSWERS_ITSELF:
            login = _login(text)
            if login is not None:
                await request.app[keys.ACCESS].check_channel(login)
    return await handler(request)


def _login(text: str) -> str | None:
    try:
        return channel_target(text).login
    except TwitchAudioError:
        # The handler says what is wrong with it.
        return None
