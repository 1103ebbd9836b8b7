"""A server whose answers are in a test's hand."""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HOST = "songs.example"
STATUS: dict[str, Any] = {
    "version": "9",
    "access_mode": "open",
    "motd": "",
    "twitch_client_id": None,
    "twitch_scopes": [],
}

MAY = {"allowed": True, "code": None, "detail": None}
ME = {"login": None, "known_by": "nothing", "streams": MAY, "clips": MAY}

NOTHING: list[Any] = []
SONG: dict[str, Any] = {
    "title": "The Extraordinarily Long Title of a Song that Goes on for Several Lines " * 3,
    "artists": ["The Builders"],
    "album": "Nights",
    "duration": 200,
    "offset": 5,
    "links": {},
}
HEARD: dict[str, Any] = {
    "id": "x",
    "kind": "stream",
    "target": "neonharbour",
    "status": "successful",
    "stage": "done",
    "created_at": "2026-01-01T00:00:00Z",
    "finished_at": None,
    "song": SONG,
    "songs": NOTHING,
    "problem": None,
}


@dataclass(slots=True)
class Pretender:
    """A server whose answers are in the test's hand, at https://songs.example."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict[str, tuple[int, Any]])
    asked: list[str] = field(default_factory=list[str])
    """Method and path of each request."""
    bodies: list[Any] = field(default_factory=list[Any])
    """What was posted."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if request.method == "POST" and request.can_read_body:
            self.bodies.append(await request.json())
        status, body = self.answers.get(f"{request.method} {request.path}", (404, "<h1>Not here</h1>"))
        if isinstance(body, bytes):
            return web.Response(status=status, body=body, content_type="image/jpeg")
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html")
        kind = "application/json" if status < 400 else "application/problem+json"
        return web.json_response(body, status=status, content_type=kind)

    def refuse(self, code: str, **more: Any) -> None:
        problem = {
            "type": "about:blank",
            "title": code,
            "detail": f"The server's own words on {code}.",
            "code": code,
        }
        self.answers["POST /api/v1/identifications"] = (429, {**problem, "status": 429, **more})
