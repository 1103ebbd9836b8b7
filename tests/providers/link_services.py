"""Simulated look-up services: Deezer, MusicBrainz and Odesli under one address."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from yarl import URL

from tests.providers.service import Reply, Script, give, served

ISRC = "ZZN992100042"
SPOTIFY = "AAAAAAAAAAAAAAAAAAAAA1"
YOUTUBE = "abcdefghijk"
TRACK: dict[str, Any] = {
    "id": 900000001,
    "title": "Paper Lanterns (Album Version)",
    "isrc": ISRC,
    "artist": {"id": 900000003, "name": "Mira Holt"},
    "album": {"id": 900000002},
}


@dataclass(slots=True)
class LinkWorld:
    """What was asked is in `asked`, as service and question."""

    script: Script = field(default_factory=Script)
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    agents: set[str] = field(default_factory=set[str])
    url: URL = field(default_factory=lambda: URL("http://unserved.invalid"))

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncGenerator[Self]:
        world = cls()
        routes = (
            web.get("/track/{key}", world.deezer_track),
            web.get("/search/track", world.deezer_search),
            web.get("/ws/2/isrc/{isrc}", world.musicbrainz),
            web.get("/v1-alpha.1/links", world.odesli),
        )
        async with served(*routes) as url:
            world.url = url
            yield world

    def environment(self, services: str = "deezer,musicbrainz,odesli") -> dict[str, str]:
        names = ("DEEZER", "MUSICBRAINZ", "ODESLI")
        return {f"TWITCHAUDIO_{name}_URL": str(self.url) for name in names} | {"TWITCHAUDIO_LINKS": services}

    async def _answer(self, request: web.Request, service: str, question: str, body: Any) -> web.StreamResponse:
        self.asked.append((service, question))
        self.agents.add(request.headers["User-Agent"])
        scripted: Reply | None = self.script.next()
        if scripted is not None:
            return await give(request, scripted)
        return web.json_response(body, status=404 if body is None else 200)

    async def deezer_track(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        error = {"error": {"type": "DataException", "message": "no data", "code": 800}}
        return await self._answer(request, "deezer", key, TRACK if key == f"isrc:{ISRC}" else error)

    async def deezer_search(self, request: web.Request) -> web.StreamResponse:
        others = [TRACK | {"id": 1, "title": "Another"}, TRACK | {"id": 2, "artist": {"name": "Somebody"}}]
        return await self._answer(request, "deezer", request.query["q"], {"data": [*others, TRACK]})

    async def musicbrainz(self, request: web.Request) -> web.StreamResponse:
        assert request.query["fmt"] == "json"
        isrc = request.match_info["isrc"]
        relations = [
            {"type": "free streaming", "url": {"resource": f"https://open.spotify.com/track/{SPOTIFY}"}},
            {"type": "other", "url": {"resource": "https://evil.example/track/1"}},
        ]
        body = {"isrc": isrc, "recordings": [{"id": "x", "relations": relations}]}
        return await self._answer(request, "musicbrainz", isrc, body if isrc == ISRC else None)

    async def odesli(self, request: web.Request) -> web.StreamResponse:
        asked = f"{request.query['platform']}:{request.query['id']}"
        links = {
            "spotify": {"url": f"https://open.spotify.com/track/{SPOTIFY}"},
            "youtube": {"url": f"https://www.youtube.com/watch?v={YOUTUBE}"},
            "appleMusic": {"url": "https://geo.music.apple.com/us/album/_/14?i=1440933849&app=music"},
        }
        return await self._answer(request, "odesli", asked, {"linksByPlatform": links})
