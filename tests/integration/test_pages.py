"""The pages without a browser: what the server itself writes, and how the form works by reloads."""

import asyncio
import io
import re
import zipfile
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.domain.identification import IdentificationId
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import parse_target
from fingerprint.ports import Match
from server import keys
from server.channel_names import ChannelNames
from server.identifications.service import IdentificationService
from server.middleware.problems import problem_details
from server.middleware.request_context import make_request_context
from server.middleware.request_hooks import request_hooks
from server.middleware.request_id import name_request
from server.observability import Metrics
from server.own_command import own_command
from server.settings import ServerSettings
from server.web import add_pages, pages
from server.web.words import NO_MATCH, WORDS
from tests.api_client import open_api
from tests.builders import song
from tests.fakes import FakePipeline

PERSON = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
async def site(parts: FakePipeline, tmp_path: Path) -> AsyncGenerator[ClientSession]:
    async with open_api(parts, tmp_path) as client:
        client.headers.update(PERSON)
        yield client


async def finished_page(site: ClientSession, target: str = "somechannel") -> str:
    """The answer's page, loaded again while it says to load it again."""
    async with site.post("/", data={"target": target}) as response:
        text, address = await response.text(), response.url
    for _ in range(200):
        if 'http-equiv="refresh"' not in text:
            return text
        async with site.get(address) as response:
            text = await response.text()
    raise AssertionError("the job does not end")


async def test_the_form_leads_to_the_answers_page(site: ClientSession) -> None:
    async with site.post(
        "/", data={"target": "https://www.twitch.tv/SomeChannel"}, allow_redirects=False
    ) as response:
        assert response.status == 303
        assert response.headers["Location"].startswith("/?id=")
    text = await finished_page(site)
    assert "Night Drive" in text
    assert "The Builders" in text
    assert 'href="/channels/somechannel"' in text


@pytest.mark.parametrize(
    "text",
    [
        "<https://www.twitch.tv/SomeChannel?referrer=raid>",
        "Watch this on Twitch! https://de-de.twitch.tv/somechannel/videos/all, now",
        "[stream](https://dashboard.twitch.tv/u/somechannel/stream-manager)",
        "\u200b@SomeChannel\u00a0",
    ],
)
async def test_the_field_takes_what_people_paste(site: ClientSession, text: str) -> None:
    assert 'href="/channels/somechannel"' in await finished_page(site, text)


async def test_another_site_cannot_make_its_visitors_ask_redeem_or_report(site: ClientSession) -> None:
    own = URL(str((await site.get("/healthz")).url)).origin()
    foreign: list[dict[str, str]] = [
        *({"Sec-Fetch-Site": said} for said in ("cross-site", "same-site", "odd")),
        *(
            {"Origin": origin}
            for origin in ("https://evil.example", "null", f"http://sub.{own.host}", "http://x:99999")
        ),
        {"Origin": str(own.with_port(1))},
        {"Origin": str(own), "Sec-Fetch-Site": "same-site"},
    ]
    for headers in foreign:
        for path in ("/", "/redeem", "/reports"):
            async with site.post(path, data={"target": "x"}, headers=headers, allow_redirects=False) as response:
                assert response.status == 403, (path, headers)
    ours: list[dict[str, str]] = [
        {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": str(own)}, {},
        {"Origin": "https://songs.example", "X-Forwarded-Host": "songs.example"},
    ]  # fmt: skip
    for headers in ours:
        async with site.post("/", data={"target": "x"}, headers=headers, allow_redirects=False) as response:
            assert response.status == 303, headers


async def test_a_running_job_comes_again_by_itself(site: ClientSession, parts: FakePipeline) -> None:
    parts.capture.gate.clear()
    async with site.post("/", data={"target": "somechannel"}) as response:
        text = await response.text()
    assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in text
    assert 'data-state="working"' in text
    parts.capture.gate.set()


@pytest.mark.parametrize(
    "text", ["", "https://example.com/x", "two words", "x" * 5000, "<script>alert(1)</script>"]
)
async def test_what_is_no_target_comes_back_in_the_field_with_the_reason(site: ClientSession, text: str) -> None:
    async with site.post("/", data={"target": text}) as response:
        assert response.status == 400
        page = await response.text()
    assert WORDS[ProblemCode.INVALID_INPUT].heading in page
    assert "<script>alert" not in page


async def test_a_form_without_the_field_or_too_large_is_refused_as_a_page(site: ClientSession) -> None:
    async with site.post("/", data={"other": "x"}) as response:
        assert response.status == 400
    async with site.post("/", data={"target": "x" * 100_000}) as response:
        assert response.status == 413
        assert response.content_type == "text/html"


async def test_markup_in_names_stays_text(site: ClientSession, parts: FakePipeline) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    found = replace(song(nasty, nasty), album=nasty, label=nasty)
    parts.recognizers.matches = [Match(song=found, score=0.9)]
    page = await finished_page(site)
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") >= 4
    async with site.get("/channels/somechannel") as response:
        assert "<img src=x" not in await response.text()


async def test_problems_and_no_match_have_their_own_words(site: ClientSession, parts: FakePipeline) -> None:
    parts.recognizers.matches = []
    assert NO_MATCH.heading in await finished_page(site, "quietchannel")
    parts.resolver.error = TwitchAudioError(ProblemCode.NOT_LIVE, "offlinechannel is not live.")
    page = await finished_page(site, "offlinechannel")
    assert WORDS[ProblemCode.NOT_LIVE].heading in page
    assert "offlinechannel is not live." in page


async def test_nothing_to_recognize_with_is_said_on_the_page_itself(
    site: ClientSession, parts: FakePipeline
) -> None:
    parts.recognizers.missing = "The catalog is empty. Add music with `twitchaudio catalog add PATH`."
    async with site.get("/") as response:
        page = await response.text()
    assert "Not set up yet" in page
    assert f"The catalog is empty. Add music with <code>{own_command()} catalog add PATH</code>." in page
    for headers in ({"Host": "songs.example"}, {"Host": "songs.example", "X-Forwarded-For": "192.0.2.1"}):
        async with site.get("/", headers=headers) as response:
            page = await response.text()
        assert "Not set up yet" in page
        assert "catalog add" not in page
    async with site.get("/api/v1/channels/somechannel/song.txt") as response:
        assert await response.text() == f"Sorry: {WORDS[ProblemCode.RECOGNIZER_UNAVAILABLE].heading}."
    answer = (await finished_page(site)).partition('id="receiver"')[2]
    assert WORDS[ProblemCode.RECOGNIZER_UNAVAILABLE].heading in answer
    assert "catalog add" not in answer.partition('id="words"')[0]


async def test_the_api_page_is_encoded_once_for_all_visitors(
    site: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is long: whoever asks for it again and again would keep the server busy."""
    async with site.get("/docs", headers={"Accept-Encoding": "identity"}) as response:
        plain = await response.read()
        assert "Content-Encoding" not in response.headers
        assert response.headers["Vary"] == "Accept-Encoding"
    compressed: list[bytes] = []
    monkeypatch.setattr("server.web.render.gzip.compress", compressed.append)

    def compress_again(_response: web.Response, *_options: object) -> None:
        compressed.append(b"")

    monkeypatch.setattr(web.Response, "enable_compression", compress_again)
    for _ in range(2):
        async with site.get("/docs", headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert int(response.headers["Content-Length"]) < len(plain) / 4
            assert await response.read() == plain
    assert compressed == []


async def test_an_answer_that_does_not_exist_is_a_page_with_404(site: ClientSession) -> None:
    for address in ("/?id=unknown", "/?id=" + "x" * 3000, "/?id=%00%F0%9F%8E%A7"):
        async with site.get(address) as response:
            assert response.status == 404
            assert WORDS[ProblemCode.NOT_FOUND].heading in await response.text()


@pytest.mark.parametrize("path", ["/", "/docs", "/channels/somechannel"])
async def test_every_page_carries_its_headers_and_answers_head(site: ClientSession, path: str) -> None:
    async with site.get(path) as response:
        assert response.status == 200
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "same-origin"
    async with site.head(path) as response:
        assert response.status == 200


async def test_static_files_are_kept_for_ever_under_their_version_only(site: ClientSession) -> None:
    async with site.get("/static/old/site.css") as response:
        assert response.headers["Cache-Control"] == "no-cache"
    for name in ("nothing.css", "../__init__.py", "js/../../words.py", "%2e%2e/words.py"):
        async with site.get(f"/static/old/{name}") as response:
            assert response.status == 404


async def test_a_refusal_keeps_what_it_tells_programs_and_gains_a_page_for_people(site: ClientSession) -> None:
    async with site.delete("/docs") as response:
        assert (response.status, response.content_type) == (405, "text/html")
        assert "GET" in response.headers["Allow"]
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Request-Id"]
    async with site.delete("/docs", headers={"Accept": "application/json"}) as response:
        assert (response.status, response.content_type) == (405, "application/problem+json")
    async with site.get("/api/v1/nothing") as response:
        assert (response.status, response.content_type) == (404, "application/problem+json")


class HangingService:
    """An identification service whose store never answers."""

    async def find(self, _identification_id: IdentificationId) -> None:
        await asyncio.Event().wait()

    async def set_list(self, _login: str, *, limit: int, before: datetime | None = None) -> None:
        del limit, before
        await asyncio.Event().wait()


class HangingNames:
    """Channel names whose store never answers."""

    async def current_login(self, _login: str) -> str:
        await asyncio.Event().wait()
        return ""


def broken_document() -> dict[str, Any]:
    raise RuntimeError("a secret detail")


@pytest.fixture
async def bad_site(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[ClientSession]:
    monkeypatch.setattr(pages, "openapi_document", broken_document)
    around = request_hooks(before=[name_request, make_request_context(())], after=[])
    app = web.Application(middlewares=[pages.problem_pages, around, problem_details(Metrics())])
    app[keys.SERVICE] = cast("IdentificationService", HangingService())
    app[keys.NAMES] = cast("ChannelNames", HangingNames())
    app[keys.CLOCK] = SystemClock()
    app[keys.SETTINGS] = ServerSettings()
    add_pages(app, store_seconds=0.05)
    async with TestServer(app) as server, ClientSession(server.make_url("/"), headers=PERSON) as client:
        yield client


async def test_a_fault_of_ours_is_a_page_that_names_its_log_entry(bad_site: ClientSession) -> None:
    async with bad_site.get("/docs") as response:
        assert (response.status, response.content_type) == (500, "text/html")
        page = await response.text()
    assert "a secret detail" not in page
    assert "It is logged under" in page
    assert WORDS[ProblemCode.INTERNAL].heading in page


async def test_a_store_that_does_not_answer_is_told_in_time(bad_site: ClientSession) -> None:
    for path in ("/?id=slow", "/channels/somechannel", "/overlay/somechannel"):
        async with bad_site.get(path) as response:
            assert response.status == 503
            assert 5 <= int(response.headers["Retry-After"]) <= 8
            assert WORDS[ProblemCode.BUSY].heading in await response.text()


async def test_there_are_other_ways_in_than_typing(site: ClientSession, parts: FakePipeline) -> None:
    clip = "https://clips.twitch.tv/FancySlug"
    for query, typed in (
        ({"target": "SomeChannel"}, "SomeChannel"),
        ({"target": "no such thing!"}, "no such thing!"),
        ({"title": "A clip", "text": f"Look at this: {clip}"}, f"Look at this: {clip}"),
        ({"title": "Watch", "text": "It is good!", "url": clip}, clip),
    ):
        async with site.get("/", params=query) as page:
            text = await page.text()
        assert f'value="{typed}"' in text
        assert "data-asks" in text
        assert "id=" not in str(page.url)
    assert parts.capture.running == 0, "a GET asks for nothing"
    async with site.get("/c/SomeChannel", allow_redirects=False) as short:
        assert (short.status, short.headers["Location"]) == (302, "/?target=somechannel")
    async with site.get("/c/no%20channel") as wrong:
        assert wrong.status == 400


async def test_the_website_can_be_installed_and_has_icons(site: ClientSession) -> None:
    async with site.get("/") as page:
        text = await page.text()
    assert f'<link rel="canonical" href="{page.url.origin()}/">' in text
    async with site.get("/manifest.webmanifest") as answer:
        assert answer.content_type == "application/manifest+json"
        manifest = await answer.json(content_type=None)
    assert manifest["share_target"]["params"] == {"title": "title", "text": "text", "url": "url"}
    icons = {(icon["src"], icon["type"]) for icon in manifest["icons"]}
    for path, kind in {*icons, ("/favicon.ico", "image/x-icon"), ("/apple-touch-icon.png", "image/png")}:
        async with site.get(path) as icon:
            assert (icon.status, icon.content_type) == (200, kind)
            assert "max-age" in icon.headers["Cache-Control"]
    async with site.get("/robots.txt") as robots:
        assert "Disallow: /admin" in await robots.text()
    async with site.get("/covers/abc.svg") as cover:
        assert (cover.status, cover.content_type) == (200, "image/svg+xml")
    async with site.get("/covers/a%20b.svg") as cover:
        assert cover.status == 404


async def test_the_start_page_tells_what_it_is_and_leads_on(tmp_path: Path) -> None:
    targets = tuple(parse_target(text) for text in ("neonharbour", "https://clips.twitch.tv/FancySlug"))
    more: dict[str, Any] = {"examples": targets, "source_url": URL("https://code.example/twitchaudio")}
    async with open_api(FakePipeline(SystemClock()), tmp_path, log_days=14, **more) as api:
        home = await (await api.get("/", headers=PERSON)).text()
        for address in ("/?target=neonharbour", "/overlay", "/extension", "/docs", "/finds", "/privacy"):
            assert f'href="{address}"' in home
        assert 'href="/?target=https%3A//clips.twitch.tv/FancySlug"' in home
        assert 'href="https://code.example/twitchaudio"' in home
        assert home.count('<svg class="drawn"') == 3
        assert "for 14 days" in await (await api.get("/privacy", headers=PERSON)).text()
        license_ = await api.get(re.findall('href="([^"]+license.txt)"', home)[0])
        assert (await license_.text()).startswith("MIT License")
        archive = zipfile.ZipFile(io.BytesIO(await (await api.get("/extension.zip")).read()))
        names = archive.namelist()
        assert "twitchaudio-extension/manifest.json" in names
        assert not [name for name in names if "/store/" in name or name.endswith(".d.ts")]
        found = await (await api.post("/", data={"target": "somechannel"}, headers=PERSON)).text()
        assert "How it works" not in found
