"""The website without JavaScript: the start page's faces, set lists, downloads, tokens, reports."""

import asyncio
import csv
import html
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from yarl import URL

from fingerprint.database import Database
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.codes import CodeStore
from server.access.rules.store import RulesStore
from server.api.openapi import openapi_document
from server.channels.reports import ReportStore
from server.channels.watch_store import WatchStore
from tests.browser_client import PAGE, Browser, known_to_twitch
from tests.builders import NOON
from tests.integration.simulator_client import Viewer
from tests.seeds import seed_evening

VIC = "viewer_vic"


@pytest.fixture
def options(viewer: Viewer) -> dict[str, Any]:
    return known_to_twitch(viewer)


@pytest.fixture
def browser(browser: Browser, viewer: Viewer) -> Browser:
    viewer.twitch.accounts.sign_in(VIC)
    return browser


async def page(browser: Browser, path: str = "/", status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status == status, path
    assert answer.content_type == "text/html"
    return await answer.text()


async def until_page(browser: Browser, part: str, path: str = "/", status: int = 200) -> str:
    """The page once it has a part, 30 s at most: servers learn of new rules within two."""
    async with asyncio.timeout(30):
        while True:
            answer = await browser.get(path)
            text = await answer.text()
            if part in text and answer.status == status:
                return text
            await asyncio.sleep(0.2)


async def rule(database: Database, name: str, value: str) -> None:
    await RulesStore(database).set_website(name, value)


# --- The start page's faces -----------------------------------------------------------------------------


async def test_each_access_mode_has_its_face(browser: Browser, database: Database) -> None:
    assert 'id="ask"' in await page(browser)
    await rule(database, "access_mode", "login")
    text = await until_page(browser, "Sign in to identify songs")
    assert 'id="ask"' not in text
    assert 'href="/login?next=/"' in text
    await browser.sign_in()
    text = await page(browser)
    assert f"Signed in as <b>{VIC}</b>." in text
    assert 'id="ask"' in text
    await rule(database, "access_mode", "subscribers")
    text = await until_page(browser, f"{VIC}, you don't have access yet")
    assert 'action="/redeem"' in text
    assert 'id="ask"' not in text
    await browser.sign_out()
    assert "For subscribers and guests" in await page(browser)


async def test_an_access_code_opens_the_page(browser: Browser, database: Database) -> None:
    await rule(database, "access_mode", "subscribers")
    await browser.sign_in()
    await until_page(browser, "you don't have access yet")
    _, code = await CodeStore(database).create(now=datetime.now(UTC))
    token = await browser.csrf()
    wrong = await browser.post(
        "/redeem", data={"csrf_token": token, "code": "WRONG"}, headers={"Accept": "text/html"}
    )
    assert wrong.status == 422
    assert "This access code does not work" in await wrong.text()
    assert (await browser.post("/redeem", data={"code": code.reveal()})).status == 403
    await browser.post("/redeem", data={"csrf_token": token, "code": f" {code.reveal()} "})
    assert 'id="ask"' in await until_page(browser, "Signed in as <b>")


async def test_subscribers_of_a_listed_broadcaster_may_ask_and_the_page_names_it(
    browser: Browser, database: Database, viewer: Viewer
) -> None:
    broadcaster = viewer.twitch.accounts.people["ladders"]
    await BroadcasterStore(database).add(broadcaster.user_id, broadcaster.login, note="", now=NOON)
    await rule(database, "access_mode", "subscribers")
    text = await until_page(browser, "For subscribers and guests")
    assert 'href="https://www.twitch.tv/ladders"' in text
    await browser.sign_in()
    text = await until_page(browser, f"{VIC}, you don't have access yet")
    assert "This server is for subscribers of ladders" in text
    assert 'id="ask"' not in text
    await browser.sign_out()
    viewer.twitch.accounts.sign_in("subscriber_sue")
    await browser.sign_in()
    text = await until_page(browser, "Signed in as <b>subscriber_sue</b>.")
    assert 'id="ask"' in text


async def test_the_message_of_the_day_maintenance_and_an_inactive_service(
    browser: Browser, database: Database
) -> None:
    await rule(database, "motd", "Back at <b>noon</b>")
    text = await until_page(browser, "Back at &lt;b&gt;noon")
    assert "<b>noon</b>" not in text
    await rule(database, "maintenance", "on")
    text = await until_page(browser, "Back in a little while", status=503)
    assert "Back at &lt;b&gt;noon" in text
    assert 'id="ask"' not in text
    assert (await browser.get("/")).headers["Retry-After"] == "60"
    await rule(database, "maintenance", "off")
    await rule(database, "active", "off")
    await until_page(browser, "Switched off", status=503)
    # What was found before can be read all the same.
    assert (await browser.get("/channels/somechannel")).status == 200


async def test_what_is_switched_off_in_part_is_said(browser: Browser, database: Database) -> None:
    await rule(database, "clips_enabled", "off")
    assert 'id="ask"' in await until_page(browser, "has switched clips off")
    await rule(database, "streams_enabled", "off")
    assert 'id="ask"' not in await until_page(browser, "has switched live streams")


async def test_signing_in_comes_back_to_the_page_where_it_began(browser: Browser) -> None:
    text = await page(browser, "/channels/somechannel?q=dawn")
    link = re.search(r'href="(/login\?next=[^"]+)"', text)
    assert link is not None
    arrived = await browser.get(link[1])
    assert arrived.url.path_qs == "/channels/somechannel?q=dawn"
    assert f'Sign out<span class="who"> {VIC}' in await arrived.text()


# --- Set lists ------------------------------------------------------------------------------------------


async def test_a_set_list_can_be_filtered_searched_and_taken_along(browser: Browser, database: Database) -> None:
    assert "No songs yet" in await page(browser, "/channels/somechannel")
    await seed_evening(database, "somechannel", NOON)
    await seed_evening(database, "somechannel", NOON + timedelta(days=1, hours=1))
    text = await page(browser, "/channels/SomeChannel")
    assert text.count('<li id="play-') == 16
    assert 'class="timeline"' in text
    day = await page(browser, "/channels/somechannel?day=2026-03-01")
    assert day.count('<li id="play-') == 8
    assert "day=2026-02-28" in day
    assert "day=2026-03-02" in day
    found = await page(browser, "/channels/somechannel?day=2026-03-01&q=mira+sol")
    assert found.count('<li id="play-') == 2
    assert "Slow Bloom" in found
    assert "No songs match “nothing such”" in await page(browser, "/channels/somechannel?q=nothing+such")
    assert "No songs were identified on this day" in await page(browser, "/channels/somechannel?day=2020-01-01")
    await page(browser, "/channels/somechannel?day=nonsense", status=400)
    for kind, address in re.findall(r'href="(/channels/somechannel/songs\.\w+\?[^"]+)" download>(\w+)<', found):
        assert "q=mira" in kind, address
    answer = await browser.get("/channels/somechannel/songs.csv?day=2026-03-01&q=mira+sol")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="somechannel-2026-03-01.csv"'
    rows = list(csv.reader(io.StringIO((await answer.text()).lstrip("\ufeff"))))
    assert [each[2] for each in rows] == ["title", "Slow Bloom", "Velvet Static"]
    body = json.loads(await (await browser.get("/channels/somechannel/songs.json")).text())
    assert len(body["plays"]) == 16
    # The second evening begins at 13:00 UTC on March 2, which is March 3 far in the east.
    east = await page(browser, "/channels/somechannel?day=2026-03-03&zone=Pacific/Kiritimati")
    assert east.count('<li id="play-') == 8
    assert "(Pacific/Kiritimati)" in east
    assert "day=2026-03-02&amp;zone=Pacific/Kiritimati" in east
    assert 'datetime="2026-03-03T03:' in east
    places = re.findall(r'href="(/channels/somechannel/songs\.[^"]+)" download>([^<]+)<', east)
    assert [label for _, label in places] == ["CSV", "JSON", "M3U8", "M3U", "Spotify links", "YouTube links"]
    for address, _ in places:
        taken = await browser.get(address.replace("&amp;", "&"))
        text = await taken.text()
        assert taken.status == 200, address
        assert "somechannel-2026-03-03." in taken.headers["Content-Disposition"]
        if "txt" in address:
            assert taken.content_type == "text/plain"
            assert all(line.startswith("https://") for line in text.splitlines())
            assert text
    await page(browser, "/channels/somechannel?zone=Mars/Olympus", status=400)
    for kind, holds in (("m3u", "#EXTINF:"), ("m3u8", "#EXT-X-ENDLIST")):
        text = await (await browser.get(f"/channels/somechannel/songs.{kind}")).text()
        assert text.startswith("#EXTM3U")
        assert holds in text
    assert (await browser.get("/channels/somechannel/songs.exe")).status == 404


async def test_the_api_page_is_written_once_for_visitors_who_are_signed_in(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.sign_in()
    made: list[dict[str, Any]] = []
    document = openapi_document()
    monkeypatch.setattr("server.web.pages.openapi_document", lambda: made.append(document) or document)
    for _ in range(3):
        text = await page(browser, "/docs")
        assert f"/channels/{VIC}" in text
        assert 'id="problems"' in text
    assert len(made) == 1


async def test_a_watched_channel_says_so(browser: Browser, database: Database) -> None:
    await WatchStore(database).start(
        "somechannel", every_seconds=60, budget=5, made_by="operator", most=5, now=datetime.now(UTC)
    )
    assert "being watched, every 60 s" in await page(browser, "/channels/somechannel")


async def test_the_owner_makes_and_revokes_tokens_on_the_channels_page(browser: Browser) -> None:
    mine = f"/channels/{VIC}"
    assert "Make a token" not in await page(browser, mine)
    await browser.sign_in()
    assert "Make a token" in await page(browser, mine)
    assert "Make a token" not in await page(browser, "/channels/somechannel")
    token = await browser.csrf()
    assert (await browser.post(f"{mine}/song-tokens", data={"note": "x"})).status == 403
    made = await browser.post(f"{mine}/song-tokens", data={"csrf_token": token, "note": "<i>Night</i>bot"})
    text = await made.text()
    secret = re.search(r"tas_\w{36}", text)
    assert secret is not None
    assert f"song.txt?token={secret[0]}" in text
    assert made.headers["Referrer-Policy"] == "no-referrer"
    assert "<i>Night" not in text
    line = f"/api/v1/channels/{VIC}/song.txt?token={secret[0]}"
    assert await (await browser.get(line)).text() == "Now playing: Night Drive by The Builders"
    again = await page(browser, mine)
    assert secret[0] not in again
    assert "last used" in again
    token_id = re.search(r'song-tokens/revoke">.*?name="id" value="(\w+)"', again)
    assert token_id is not None
    await browser.post(f"{mine}/song-tokens/revoke", data={"csrf_token": token, "id": token_id[1]})
    assert "not valid" in await (await browser.get(line)).text()
    foreign = await browser.post("/channels/somechannel/song-tokens", data={"csrf_token": token})
    assert foreign.status == 403


# --- The overlay ----------------------------------------------------------------------------------------


async def test_the_overlay_shows_what_was_heard_lately_and_may_be_framed(
    browser: Browser, database: Database
) -> None:
    assert re.search(r'<main id="card"[^>]* hidden', await page(browser, "/overlay/somechannel"))
    await seed_evening(database, "somechannel", datetime.now(UTC))
    answer = await browser.get("/overlay/somechannel?position=top-right&label=%3Cb%3E")
    text = await answer.text()
    assert "Slow Bloom" in text
    assert 'data-position="top-right"' in text
    assert "&lt;b&gt;" in text
    assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    await page(browser, "/overlay/somechannel?size=5", status=400)
    old = await page(browser, "/overlay/somechannel?hide=1")
    assert "Slow Bloom" not in old
    example = await page(browser, "/overlay/nobody?test=1&progress=1&theme=neon&cover=0")
    assert "(Example)" in example
    assert '<progress id="progress"' in example
    assert 'id="cover"' not in example
    wrong = await page(browser, "/overlay/somechannel?sise=5", status=400)
    assert "has no option" in wrong
    assert 'href="/overlay"' in wrong
    assert "site.css" not in wrong


async def test_the_overlays_address_is_built_without_javascript(browser: Browser) -> None:
    text = await page(browser, "/overlay")
    assert "/overlay/yourchannel</code>" in text
    query = "channel=https://www.twitch.tv/SomeChannel&theme=light&size=150&cover=0&colors=own&text=%23102030"
    answer = await browser.get(f"/overlay?{query}")
    text = html.unescape(await answer.text())
    assert "/overlay/somechannel?size=150&theme=light&text=102030&cover=0</code>" in text
    assert 'src="/overlay/somechannel?size=150&theme=light&text=102030&cover=0&test=1"' in text
    assert "frame-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "text=102030" not in await page(browser, f"/overlay?{query.replace('colors=own', 'colors=theme')}")
    for wrong in ("channel=a/b/c", "channel=https://clips.twitch.tv/FancySlug", "size=9"):
        assert 'role="alert"' in await page(browser, f"/overlay?{wrong}")


async def test_commands_for_bots_need_an_address_that_bots_reach(browser: Browser) -> None:
    for path in ("/channels/somechannel", "/overlay?channel=somechannel", "/docs"):
        here = await page(browser, path)
        assert "!addcom" not in here
        assert "cannot reach this server" in here
        assert "TWITCHAUDIO_BASE_URL" not in here
        headers = {**PAGE, "Host": "songs.example"}
        answer = await browser.client.get(browser.address.join(URL(path)), headers=headers)
        assert "!addcom !song $(customapi http://songs.example" in await answer.text()


# --- Reports --------------------------------------------------------------------------------------------


async def test_a_wrong_answer_is_reported_by_a_form(browser: Browser, database: Database) -> None:
    asked = await browser.post("/", data={"target": "somechannel"})
    identification = asked.url.query["id"]
    async with asyncio.timeout(30):
        while "Night Drive" not in await page(browser, f"/?id={identification}"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    form: dict[str, Any] = {"id": identification, "reason": "wrong-song", "note": "It is Dawn"}
    cross = await browser.post("/reports", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert cross.status == 403
    said = await browser.post("/reports", data=form, headers={"Accept": "text/html"})
    assert said.url == URL(f"{browser.address}").with_path("/").with_query(id=identification, said=1)
    assert "Thank you." in await said.text()
    assert [each.note for each in await ReportStore(database).newest()] == ["It is Dawn"]
    bad = await browser.post("/reports", data={**form, "reason": "x"}, headers={"Accept": "text/html"})
    assert bad.status == 400
