"""`/api/v1/channels/{login}/songs`: a channel's set list."""

from typing import Final

from aiohttp import web

from fingerprint.domain.targets import channel_target
from fingerprint.wire import time_to_json
from server import keys
from server.api.requests import no_unknown_query, query_limit, query_time
from server.api.responses import BASE, json_response, play_to_json

DEFAULT_PLAYS: Final = 50
MOST_PLAYS: Final = 200


async def songs(request: web.Request) -> web.Response:
    """Plays, newest first; `next_before` leads on to older ones."""
    no_unknown_query(request, "limit", "before")
    login = channel_target(request.match_info["login"]).login
    limit = query_limit(request, DEFAULT_PLAYS, MOST_PLAYS)
    before = query_time(request, "before")
    page = await request.app[keys.SERVICE].set_list(login, limit=limit, before=before)
    body = {
        "channel": login,
        "plays": [play_to_json(play) for play in page.plays],
        "next_before": time_to_json(page.next_before),
    }
    return json_response(body)


ROUTES: Final = (web.get(f"{BASE}/channels/{{login}}/songs", songs),)
