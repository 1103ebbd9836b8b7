"""The website below a path: TWITCHAUDIO_BASE_URL with one, behind proxies that pass it on and that remove it."""

import html
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.database import open_database
from tests.api_client import CLIP, STREAM, ask, assert_problem, open_api
from tests.browser_client import PAGE, known_to_twitch
from tests.builders import NOON
from tests.fakes import FakePipeline
from tests.integration.simulator_client import a_viewer
from tests.seeds import seed_evening

PREFIX = "/twitchaudio"
LINK = re.compile(r'(?:href|src|action|data-path|data-root|content)="(/[^"]*)"')
OPERATOR = "viewer_vic"


@asynccontextmanager
async def below_a_path(
    folder: Path, base: str = f"https://songs.example{PREFIX}", **more: Any
) -> AsyncGenerator[ClientSession]:
    async with open_api(FakePipeline(SystemClock()), folder, base_url=URL(base), **more) as api:
        yield api


async def test_every_link_of_every_page_stays_below_the_path(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer:
        # Loopback, so that Twitch lets people come back over http; the server itself is at another port.
        callback = f"http://localhost:1{PREFIX}/login/callback"
        known = known_to_twitch(viewer)
        viewer.twitch.accounts.allow_redirect(str(known["twitch_client_id"]), callback)
        viewer.twitch.accounts.sign_in(OPERATOR)
        base = f"http://localhost:1{PREFIX}/"
        async with (
            below_a_path(tmp_path, base.rstrip("/"), admins=(OPERATOR,), **known) as api,
            ClientSession(cookie_jar=CookieJar(unsafe=True)) as client,
        ):
            server = (await api.get("/healthz")).url.origin()
            async with open_database(f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}") as database:
                await seed_evening(database, login="somechannel", ends=NOON)
            answered = (await (await ask(api, wait=10)).json())["id"]
            pages = await crawl(
                client, server, ["/", "/overlay/somechannel", "/videos/123456", f"/?id={answered}"]
            )
            assert {"/", "/docs", "/channels/somechannel"} <= pages
            response = await get(client, server, f"{PREFIX}/login?next=/admin")
            asked = URL(response.headers["Location"])
            assert asked.query["redirect_uri"] == callback
            assert response.headers["Set-Cookie"].split("; ")[0].startswith("twitchaudio=")
            assert f"Path={PREFIX}" in response.headers["Set-Cookie"].split("; ")
            back = await client.get(asked, allow_redirects=False)
            response = await get(client, server, str(URL(back.headers["Location"]).relative()))
            assert response.status == 303
            assert response.headers["Location"] == f"{PREFIX}/admin"
            pages = await crawl(client, server, ["/", "/admin", f"/channels/{OPERATOR}", "/logout"])
            assert {"/admin/logs", "/admin/settings", "/admin/blacklist"} <= pages


async def crawl(client: ClientSession, server: URL, starts: list[str]) -> set[str]:
    """Look at all pages that lead on from some; gives their paths without the prefix."""
    seen: set[str] = set()
    waiting = [PREFIX + start for start in starts]
    while waiting:
        address = waiting.pop()
        seen.add(path_of(address))
        response = await get(client, server, address)
        assert response.status in (200, 302, 303), (address, response.status)
        if response.status != 200:
            where = response.headers["Location"]
            assert not where.startswith("/") or where.startswith(f"{PREFIX}/"), where
        elif response.content_type == "text/html":
            for link in links(await response.text()):
                assert link == PREFIX or link.startswith(f"{PREFIX}/"), (link, address)
                assert not link.startswith(PREFIX * 2), (link, address)
                if path_of(link) not in seen and not leads_elsewhere(path_of(link)):
                    seen.add(path_of(link))
                    waiting.append(link)
    return seen


def path_of(address: str) -> str:
    return address.partition("?")[0].partition("#")[0].removeprefix(PREFIX) or "/"


def links(page: str) -> Iterator[str]:
    # Examples in <code> are read by people; forms lead where links do.
    yield from (html.unescape(found[1]) for found in LINK.finditer(page))


def leads_elsewhere(path: str) -> bool:
    """Whether there is no page to look at: sign-ins, what takes forms, and described operations."""
    forms = ("/redeem", "/reports", "/song-tokens", "/forget", "/revoke", "/watch", "/plays", "/public")
    return path.startswith(("/login", "/api/")) or "{" in path or path.endswith(forms)


async def get(client: ClientSession, server: URL, path: str) -> ClientResponse:
    address = server.join(URL(path, encoded=True))
    return await client.get(address, headers=PAGE, allow_redirects=False)


async def test_both_kinds_of_proxy_and_every_address_that_is_shown(tmp_path: Path) -> None:
    async with below_a_path(tmp_path) as api:
        for path in (
            "/api/v1/status",
            f"{PREFIX}/api/v1/status",
            f"{PREFIX}/docs?x=%2F",
            PREFIX,
            f"{PREFIX}/?a=1",
        ):
            assert (await api.get(path)).status == 200, path
        for path in (f"{PREFIX}{PREFIX}/docs", f"{PREFIX}er/docs", f"/x{PREFIX}/docs"):
            await assert_problem(await api.get(path), "not-found", 404)
        started = await api.post(f"{PREFIX}/api/v1/identifications", json=CLIP)
        location = started.headers["Location"]
        assert location.startswith(f"{PREFIX}/api/v1/identifications/")
        assert (await api.get(location)).status == 200
        assert (await api.get(location.removeprefix(PREFIX))).status == 200
        document = await (await api.get("/api/v1/openapi.json")).json()
        assert document["servers"] == [{"url": f"{PREFIX}/"}]
        docs = await (await api.get(f"{PREFIX}/docs", headers=PAGE)).text()
        assert "https://songs.example/twitchaudio/api/v1/identifications" in docs
        assert "https://songs.example/api" not in docs
        channel = await (await api.get(f"{PREFIX}/channels/somechannel", headers=PAGE)).text()
        assert f"https://songs.example{PREFIX}/overlay/somechannel" in channel
        assert f"https://songs.example{PREFIX}/api/v1/channels/somechannel/song.txt" in channel
        form = {"target": "somechannel"}
        own = {"Origin": "https://songs.example", **PAGE}
        asked = await api.post(f"{PREFIX}/", data=form, headers=own, allow_redirects=False)
        assert (asked.status, asked.headers["Location"][:17]) == (303, f"{PREFIX}/?id=")
        foreign = {"Origin": "https://other.example", **PAGE}
        assert (await api.post(f"{PREFIX}/", data=form, headers=foreign)).status == 403
        assert (await ask(api, STREAM)).status in (200, 202)


async def test_the_secure_cookie_is_for_the_path_alone(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with (
        a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer,
        below_a_path(tmp_path, **known_to_twitch(viewer)) as api,
    ):
        response = await api.get("/login", allow_redirects=False)
        cookie = set(response.headers["Set-Cookie"].split("; "))
        assert any(part.startswith("__Secure-twitchaudio=") for part in cookie)
        assert {f"Path={PREFIX}", "Secure", "HttpOnly", "SameSite=Lax"} <= cookie
