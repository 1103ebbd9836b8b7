"""Simulated look-up services under one address, with the covers and previews of two of them."""

import functools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from yarl import URL

from tests.pictures import picture
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
APPLE_ID = "1440933849"
PREVIEW = b"ID3\x04\0\0\0\0\0\0" + bytes(range(256)) * 40
APPLE_PREVIEW = b"\0\0\0\x1cftypM4A " + bytes(4_000)


@functools.cache
def cover() -> bytes:
    return picture(width=1000, height=1000)


@dataclass(slots=True)
class LinkWorld:
    """What was asked is in `asked`, as service and question."""

    script: Script = field(default_factory=Script)
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    agents: set[str] = field(default_factory=set[str])
    fetched: list[str] = field(default_factory=list[str])
    """The paths of covers and previews that were fetched."""
    signatures: set[str] = field(default_factory=set[str])
    """Each address of a Deezer preview is good for one request, so that an old one is never used."""
    deezer_media: dict[str, Any] = field(default_factory=dict[str, Any])
    """What Deezer says of a track instead of what it has."""
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
            web.get("/lookup", world.apple_lookup),
            web.get("/moved-away", world.moved_away),
            web.get("/page", world.page),
            web.get("/images/{path:.*}", world.image),
            web.get("/deezer-preview/{name}", world.deezer_preview),
            web.get("/apple-preview/{name}", world.apple_preview),
        )
        async with served(*routes) as url:
            world.url = url
            yield world

    def environment(self, services: str = "deezer,musicbrainz,odesli") -> dict[str, str]:
        names = ("DEEZER", "MUSICBRAINZ", "ODESLI", "APPLE")
        return {f"TWITCHAUDIO_{name}_URL": str(self.url) for name in names} | {
            "TWITCHAUDIO_LINKS": services,
            "TWITCHAUDIO_LINK_MEDIA_HOSTS": f"{self.url.host}:{self.url.port}",
        }

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
        if key not in (f"isrc:{ISRC}", str(TRACK["id"])):
            return await self._answer(request, "deezer", key, error)
        signature = f"exp={len(self.signatures)}~acl=/*~hmac=0a"
        self.signatures.add(signature)
        media = {
            "preview": f"{self.url}/deezer-preview/1.mp3?hdnea={signature}",
            "album": {**TRACK["album"], "cover_xl": f"{self.url}/images/cover/50ce/1000x1000-000000-80-0-0.jpg"},
        }
        return await self._answer(request, "deezer", key, TRACK | media | self.deezer_media)

    async def apple_lookup(self, request: web.Request) -> web.StreamResponse:
        assert request.query["country"] == "US"
        song = {
            "wrapperType": "track",
            "kind": "song",
            "trackId": int(APPLE_ID),
            "artworkUrl100": f"{self.url}/images/thumb/Music124/v4/source/100x100bb.jpg",
            "previewUrl": f"{self.url}/apple-preview/mzaf_1.plus.aac.p.m4a",
        }
        known = [song] if request.query["id"] == APPLE_ID else []
        body = {"resultCount": len(known), "results": known}
        return await self._answer(request, "apple", request.query["id"], body)

    async def moved_away(self, request: web.Request) -> web.StreamResponse:
        # Another name of this machine, which is not listed: nothing may arrive there.
        raise web.HTTPFound(f"http://localhost:{request.url.port}/images/elsewhere.jpg")

    async def page(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html><script>alert(1)</script>", content_type="audio/mpeg")

    async def image(self, request: web.Request) -> web.StreamResponse:
        self.fetched.append(request.path)
        return web.Response(body=cover(), content_type="image/jpeg")

    async def deezer_preview(self, request: web.Request) -> web.StreamResponse:
        self.fetched.append(request.path)
        signature = request.query_string.removeprefix("hdnea=")
        if signature not in self.signatures:
            return web.Response(status=403, text="expired")
        self.signatures.discard(signature)
        return web.Response(body=PREVIEW, content_type="audio/mpeg")

    async def apple_preview(self, request: web.Request) -> web.StreamResponse:
        self.fetched.append(request.path)
        return web.Response(body=APPLE_PREVIEW, content_type="audio/x-m4p")

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
