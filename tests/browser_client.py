"""A browser as far as sign-ins need one: it keeps cookies, follows redirects, and finds a page's CSRF token."""

import html
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse, ClientSession, CookieJar
from yarl import URL

from fingerprint.setting_formats import Secret
from simulator.accounts import OWN_APPLICATION
from tests.integration.simulator_client import Viewer

PAGE = {"Accept": "text/html,*/*;q=0.8"}


class Browser:
    """One person's browser at one server."""

    def __init__(self, client: ClientSession, address: URL) -> None:
        self.client = client
        self.address = address

    async def get(self, path: str, **more: Any) -> ClientResponse:
        return await self.client.get(self.address.join(URL(path)), headers=PAGE, **more)

    async def post(self, path: str, *, token: str | None = None, **more: Any) -> ClientResponse:
        headers = {**({} if token is None else {"X-CSRF-Token": token}), **more.pop("headers", {})}
        return await self.client.post(self.address.join(URL(path)), headers=headers, **more)

    async def api(self, path: str = "/api/v1/me") -> Any:
        return await (await self.client.get(self.address.join(URL(path)))).json()

    async def csrf(self) -> str:
        """The token in the start page; empty when not signed in."""
        found = re.search(r'name="csrf-token" content="([^"]+)"', await (await self.get("/")).text())
        return "" if found is None else html.unescape(found[1])

    async def sign_in(self, path: str = "/login") -> ClientResponse:
        """Go to /login and wherever that leads."""
        return await self.get(path)

    async def sign_out(self) -> ClientResponse:
        return await self.post("/logout", data={"csrf_token": await self.csrf()})

    @property
    def cookie(self) -> str | None:
        """The session's cookie as it is kept."""
        for cookie in self.client.cookie_jar:
            if cookie.key.endswith("twitchaudio"):
                return cookie.value
        return None


@asynccontextmanager
async def browsing(server: URL | ClientSession, viewer: Viewer) -> AsyncGenerator[Browser]:
    """A fresh browser; its server's callback is registered at the simulated Twitch."""
    address = server if isinstance(server, URL) else (await server.get("/healthz")).url.origin()
    callback = str(address.with_path("/login/callback"))
    if callback not in viewer.twitch.accounts.applications[OWN_APPLICATION.client_id].redirect_uris:
        viewer.twitch.accounts.allow_redirect(OWN_APPLICATION.client_id, callback)
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        yield Browser(client, address)


def known_to_twitch(viewer: Viewer) -> dict[str, Any]:
    """Settings of a server that is the simulated Twitch's own application."""
    return {
        "twitch_client_id": OWN_APPLICATION.client_id,
        "twitch_client_secret": Secret(OWN_APPLICATION.secret or ""),
        "twitch_id_url": URL(viewer.twitch.id_url),
        "twitch_helix_url": URL(viewer.twitch.helix_url),
    }
