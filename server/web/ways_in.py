"""Other ways to the website than typing: `/c/NAME`, an app that takes what phones share, icons, robots.txt."""

import json
from collections.abc import Callable
from typing import Final

from aiohttp import web
from yarl import URL

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import channel_target, parse_target
from server.entity_tags import tagged_response
from server.web.assets import Assets

A_DAY: Final = {"Cache-Control": "public, max-age=86400"}

SHARED: Final = ("target", "url", "text", "title")
"""Query parameters of `/` that can hold a target, the best first; phones share in the last three."""


def shared_target(request: web.Request) -> str:
    """What the query of `/` asks for: the first parameter that names a target, else `target` as it is."""
    texts = [request.query[name].strip()[:2000] for name in SHARED if name in request.query]
    for text in texts:
        try:
            parse_target(text)
        except TwitchAudioError:
            continue
        return text
    return request.query.get("target", "").strip()[:2000]


class WaysIn:
    """Handlers of the small files at well-known addresses. `root` is the website's path prefix."""

    def __init__(self, assets: Assets, asset: Callable[[str], str], root: str) -> None:
        self._assets = assets
        self._manifest = json.dumps(_manifest(asset, root)).encode()
        hidden = ("/admin", "/api/", "/login", "/logout", "/overlay/")
        shown = ("/api/v1/artwork/",)
        lines = [f"Allow: {root}{path}" for path in shown] + [f"Disallow: {root}{path}" for path in hidden]
        self._robots = "\n".join(["User-agent: *", *lines, ""]).encode()

    async def channel(self, request: web.Request) -> web.Response:
        """`/c/NAME`: the start page with a channel's name in the field."""
        raise web.HTTPFound(URL("/").with_query(target=channel_target(request.match_info["login"]).login))

    async def manifest(self, request: web.Request) -> web.Response:
        """The web app manifest: https://www.w3.org/TR/appmanifest/ and https://w3c.github.io/web-share-target/."""
        return tagged_response(request, self._manifest, content_type="application/manifest+json", headers=A_DAY)

    async def robots(self, request: web.Request) -> web.Response:
        """What search engines are to leave alone (RFC 9309)."""
        return tagged_response(request, self._robots, content_type="text/plain; charset=utf-8", headers=A_DAY)

    async def favicon(self, request: web.Request) -> web.Response:
        """The icon where browsers look for it."""
        return self._file(request, "icons/favicon.ico")

    async def touch_icon(self, request: web.Request) -> web.Response:
        """The icon where phones look for it."""
        return self._file(request, "icons/180.png")

    def _file(self, request: web.Request, name: str) -> web.Response:
        asset = self._assets.files[name]
        return tagged_response(request, asset.plain, content_type=asset.content_type, headers=A_DAY)


def _manifest(asset: Callable[[str], str], root: str) -> dict[str, object]:
    return {
        "name": "TwitchAudio",
        "short_name": "TwitchAudio",
        "description": "What song is playing on Twitch?",
        "id": f"{root}/",
        "start_url": f"{root}/",
        "scope": f"{root}/",
        "display": "standalone",
        "theme_color": "#0c1011",
        "background_color": "#0c1011",
        "icons": [
            {"src": asset("mark.svg"), "sizes": "any", "type": "image/svg+xml"},
            *(
                {"src": asset(f"icons/{size}.png"), "sizes": f"{size}x{size}", "type": "image/png", "purpose": use}
                for size in (192, 512)
                for use in ("any", "maskable")
            ),
        ],
        "share_target": {
            "action": f"{root}/",
            "method": "GET",
            "params": {"title": "title", "text": "text", "url": "url"},
        },
    }
