"""https://www.twitch.tv and its neighbors, served on loopback: pages with the real ones' structure and manners."""

import struct
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, web

PAGES: Final = Path(__file__).parent / "pages"
SILENT_SECONDS: Final = 120

_CHANNEL_PAGES: Final = {
    "sleepy_otter": "offline",
    "home_body": "carousel",
    "old_timer": "older",
    "newcomer": "unknown",
}


def page_for(host: str, path: str) -> str:
    """Which saved page an address shows."""
    parts = [part for part in path.split("/") if part]
    if host == "clips.twitch.tv" or "clip" in parts:
        return "clip"
    if host == "player.twitch.tv":
        return "popout"
    if not parts:
        return "front"
    if parts[0] in ("directory", "settings", "downloads"):
        return "directory"
    if parts[0] == "videos":
        return "video"
    return _CHANNEL_PAGES.get(parts[0], "channel")


def rendered(host: str, path: str) -> str:
    """The inside of a page, with its parts put in."""
    text = _read(f"{page_for(host, path)}.html")
    text = text.replace("<!-- player -->", _read("player.html")).replace("<!-- chat -->", _read("chat.html"))
    seek = _read("seekbar.html") if "/videos/" in path else ""
    text = text.replace("<!-- bar -->", _read("bar.html").replace("<!-- seek -->", seek))
    return text.replace("<!-- name -->", path.strip("/").split("/")[0])


def _read(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


class FakeTwitch:
    """Answers for www, clips and player.twitch.tv; `activate` and id.twitch.tv are the simulator's."""

    def __init__(self, session: ClientSession, simulator: str, folder: Path) -> None:
        self._session = session
        self._simulator = simulator
        self._silence = folder / "silence.wav"
        self._silence.write_bytes(_silence())

    async def page(self, request: web.Request) -> web.StreamResponse:
        """A page, or what pages load."""
        host, path = (request.host or "").partition(":")[0], request.path
        match path:
            case "/fixture/silence.wav":
                return web.FileResponse(self._silence)
            case "/fixture/page":
                return web.Response(text=rendered(host, request.query["path"]), content_type="text/html")
            case "/activate":
                return await self.simulated(request)
            case _ if path.startswith("/fixture/"):
                return web.FileResponse(PAGES / Path(path).name)
            case _:
                text = _read("shell.html").replace("<!-- the page -->", rendered(host, path))
                # Twitch's own pages are stricter about scripts; this is what matters to a content script.
                policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
                return web.Response(
                    text=text, content_type="text/html", headers={"Content-Security-Policy": policy}
                )

    async def simulated(self, request: web.Request) -> web.StreamResponse:
        """Hand a request on to the simulator's id.twitch.tv."""
        kept = {
            name: value for name, value in request.headers.items() if name in ("Content-Type", "Authorization")
        }
        async with self._session.request(
            request.method,
            f"{self._simulator}{request.path_qs}",
            data=await request.read(),
            headers=kept,
            allow_redirects=False,
        ) as answer:
            headers = {"Location": answer.headers["Location"]} if "Location" in answer.headers else {}
            body = await answer.read()
            return web.Response(status=answer.status, body=body, content_type=answer.content_type, headers=headers)


def _silence() -> bytes:
    """A WAV file of silence, 8 kHz, 8 bits."""
    data = b"\x80" * (8_000 * SILENT_SECONDS)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, 8_000, 8_000, 1, 8)
    return head + struct.pack("<4sI", b"data", len(data)) + data
