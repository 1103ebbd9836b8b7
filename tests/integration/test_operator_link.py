"""The operator's pages on a machine where no one can sign in with Twitch: by the link in the server's terminal."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, web
from yarl import URL

from fingerprint.pipeline_settings import PipelineSettings
from server import keys
from server.app import listening, make_app
from server.audit.search import AuditFilter
from server.audit.store import AuditStore
from server.cli.serve import operator_link
from server.settings import ServerSettings
from tests.fakes import FakeClock, FakePipeline

HOST = "127.0.0.1"
PAGE = {"Accept": "text/html"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A server on this machine, its address, and its operator's browser."""

    app: web.Application
    address: URL
    clock: FakeClock
    browser: ClientSession

    def link(self) -> URL:
        link = operator_link(self.app, HOST, self.address)
        assert link is not None
        return link

    async def csrf(self) -> str:
        async with self.browser.get(self.address / "admin", headers=PAGE) as page:
            found = re.search(r'name="csrf_token" value="([0-9a-f]+)"', await page.text())
        assert found is not None
        return found[1]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    clock = FakeClock(datetime(2026, 3, 1, tzinfo=UTC))
    settings = ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path))
    app = make_app(settings, pipeline=FakePipeline(clock).pipeline, clock=clock)
    async with (
        listening(app, HOST, 0) as address,
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser,
    ):
        yield Stage(app, address, clock, browser)


async def test_the_link_opens_the_admin_pages_once(stage: Stage) -> None:
    link = stage.link()
    async with ClientSession() as other, other.head(link) as looked:
        assert looked.status == 401  # a program that only looks at links does not use it up
    async with stage.browser.get(link, headers=PAGE) as page:
        assert (page.status, page.url.path, page.url.query_string) == (200, "/admin", "")
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as other:
        async with other.get(link, headers=PAGE) as page:
            assert page.status == 403
            text = await page.text()
            assert "was used before" in text
            assert "You are not signed in" in text
            assert "Ask the operator" not in text
        async with other.get(stage.address / "admin", headers=PAGE) as page:
            assert page.status == 401
            assert "prints a link at its start" in await page.text()


async def test_a_link_and_its_session_end(stage: Stage) -> None:
    link = stage.link()
    await stage.clock.advance(16 * 60)
    async with stage.browser.get(link, headers=PAGE) as page:
        assert page.status == 403
    async with stage.browser.get(stage.link(), headers=PAGE) as page:
        assert page.status == 200
    await stage.clock.advance(13 * 3600)
    async with stage.browser.get(stage.address / "admin", headers=PAGE) as page:
        assert page.status == 401
    # A new link ends what the one before has opened.
    async with stage.browser.get(stage.link(), headers=PAGE) as page:
        assert page.status == 200
    before = {cookie.key: cookie.value for cookie in stage.browser.cookie_jar}
    async with ClientSession() as other, other.get(stage.link(), headers=PAGE) as page:
        assert page.status == 401  # no cookie came along to the page behind
    async with ClientSession(cookies=before) as old, old.get(stage.address / "admin", headers=PAGE) as page:
        assert page.status == 401


async def test_changes_are_made_with_the_csrf_token_alone_and_logged_as_the_system_user(stage: Stage) -> None:
    await (await stage.browser.get(stage.link(), headers=PAGE)).read()
    form = {"action": "add", "kind": "channel", "value": "loud"}
    blacklist = stage.address / "admin" / "blacklist"
    for forged in ({}, {"csrf_token": "0" * 64}, {"csrf_token": "é"}):
        async with stage.browser.post(blacklist, data=form | forged, headers=PAGE) as page:
            assert page.status == 403
    async with stage.browser.post(
        blacklist, data={**form, "csrf_token": await stage.csrf()}, headers=PAGE
    ) as page:
        assert page.status == 200
    entries = await AuditStore(stage.app[keys.DATABASE]).read(AuditFilter(subject="channel loud"))
    assert [str(entry.kind) for entry in entries] == ["change"]
    assert str(entries[0].who.id).startswith("cli:")
    async with stage.browser.post(
        stage.address / "admin" / "sign-out", data={"csrf_token": await stage.csrf()}, headers=PAGE
    ) as page:
        assert page.url.path == "/"
    async with stage.browser.get(stage.address / "admin", headers=PAGE) as page:
        assert page.status == 401


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "203.0.113.7"}, {"Forwarded": "for=203.0.113.7"}, {"Host": "songs.example"}],
    ids=str,
)
async def test_neither_link_nor_session_work_through_a_proxy_or_another_name(
    stage: Stage, headers: dict[str, str]
) -> None:
    link = stage.link()
    async with stage.browser.get(link, headers=PAGE | headers) as page:
        assert page.status == 403
        assert "only works in a browser on the machine" in await page.text()
    async with stage.browser.get(link, headers=PAGE) as page:
        assert page.status == 200  # it was not used up
    cookies = {cookie.key: cookie.value for cookie in stage.browser.cookie_jar}
    async with ClientSession(cookies=cookies) as other:
        async with other.get(stage.address / "admin", headers=PAGE | headers) as page:
            assert page.status == 401
        async with other.get(stage.address / "admin", headers=PAGE) as page:
            assert page.status == 200


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("0.0.0.0", {}),
        ("::", {}),
        ("192.0.2.1", {}),
        (HOST, {"trusted_proxies": (ip_network("127.0.0.1/32"),)}),
        (HOST, {"base_url": URL("https://songs.example")}),
    ],
)
def test_there_is_no_link_where_others_can_connect(tmp_path: Path, host: str, more: dict[str, Any]) -> None:
    app = make_app(ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path), **more))
    assert operator_link(app, host, URL("http://127.0.0.1:8080")) is None
