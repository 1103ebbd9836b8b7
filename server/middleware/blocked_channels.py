"""Refuses all that is under the address of a blacklisted channel or of one of its VODs: set lists, live events,
overlay, tokens, watches.

By `{login}` and `/videos/{id}` in a route's path, so that a new route is covered as well. What stops something is
let through.
"""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, VideoTarget, channel_target, video_target
from server import keys

ANSWERS_ITSELF: Final = frozenset({"/api/v1/channels/{login}/song.txt"})
"""Chat bots need a line with status 200 instead of a problem; the handler checks the channel itself."""


@web.middleware
async def refuse_blocked_channels(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The middleware. Raises TwitchAudioError `blacklisted`, `busy`."""
    target = None if request.method == "DELETE" else _target(request)
    if target is not None:
        await request.app[keys.ACCESS].check_shown(target)
    return await handler(request)


def _target(request: web.Request) -> ChannelTarget | VideoTarget | None:
    resource = request.match_info.route.resource
    path = "" if resource is None else resource.canonical
    try:
        if "{login}" in path and path not in ANSWERS_ITSELF:
            return channel_target(request.match_info["login"])
        if "/videos/{id}" in path:
            return video_target(request.match_info["id"])
    except TwitchAudioError:
        # The handler says what is wrong with it.
        pass
    return None
