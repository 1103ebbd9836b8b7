"""The extension in browsers of other languages: their words, their direction, and pages that hold them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.bidi.browser import Browser
from tests.browser.bidi.front import Front
from tests.browser.bidi.launch import Launch, launched, missing_language
from tests.browser.bidi.tab import Tab
from tests.browser.bidi_fixtures import PREFERENCES
from tests.browser.extension.conftest import BUTTON, EXTENSION, PANEL, Installed, Town, install, state_is
from tests.browser.extension.pretender import HEARD, HOST, ME, SONG, STATUS, Pretender

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.nightly,
    pytest.mark.usefixtures("fake_twitch"),
]

LANGUAGES = ("de", "es", "fr", "ar")
PAGES = ("popup/popup.html", "options/options.html", "welcome/welcome.html")
LONG = {**SONG, "title": "Night Drive (Extended Mix)", "artists": ["The Builders", "Somebody"]}


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=LANGUAGES)
async def abroad(
    request: pytest.FixtureRequest,
    either_browser: Browser,
    front: Front,
    town: Town,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[str, Installed]]:
    """The extension in a browser of another language, by the language."""
    name, language = either_browser.name, request.param
    lacking = missing_language(name, language)
    if lacking is not None:
        pytest.skip(f"{lacking} is not installed (Debian: apt-get install {lacking})")
    folder: Path = tmp_path_factory.mktemp(f"{name}-{language}")
    async with launched(name, Launch(folder, front.loopback, PREFERENCES, language)) as browser:
        browser.pictures = either_browser.pictures
        yield language, await install(browser, town, front)


def words(language: str) -> dict[str, str]:
    messages = json.loads((EXTENSION / "_locales" / language / "messages.json").read_text(encoding="utf-8"))
    return {key: message["message"] for key, message in messages.items()}


def english_left(shown: str, language: str) -> list[str]:
    """English sentences that are seen although the language has its own."""
    own = words(language)
    return [
        message
        for key, message in words("en").items()
        if own[key] != message and len(message) > 12 and "$" not in message and message in shown
    ]


async def fits(tab: Tab) -> None:
    wide, room = await tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= room


async def test_its_own_pages_speak_the_browsers_language(abroad: tuple[str, Installed]) -> None:
    language, extension = abroad
    for name in PAGES:
        page = await extension.open(name)
        await page.viewport(360 if "popup" in name else 640, 900)
        root = await page.evaluate("[document.documentElement.lang, document.documentElement.dir]")
        assert root == [language, "rtl" if language == "ar" else "ltr"]
        assert english_left(await page.text("body") or "", language) == []
        await fits(page)
        await extension.picture(page, f"{language}-{name.split('/')[0]}")
        await page.viewport(320, 900)
        await fits(page)


async def test_the_panel_speaks_the_browsers_language(abroad: tuple[str, Installed]) -> None:
    language, extension = abroad
    server = Pretender({"GET /api/v1/status": (200, STATUS), "GET /api/v1/me": (200, ME)})
    extension.front.handlers[HOST] = server.answer
    try:
        await extension.save_server(f"https://{HOST}")
        server.answers["POST /api/v1/identifications"] = (200, {**HEARD, "song": LONG})
        tab = await extension.channel()
        await tab.click(BUTTON)
        await state_is(tab, "found")
        await extension.picture(tab, f"{language}-found")
        await panel_speaks(tab, language)
        # What has its own direction stays at the panel's edge.
        edges = await tab.of(
            f"{PANEL} >>> .title",
            "(title) => [getComputedStyle(title).textAlign, getComputedStyle(title.parentElement).direction]",
        )
        assert edges == (["right", "rtl"] if language == "ar" else ["left", "ltr"])
        server.refuse("subscription-required")
        await tab.press("Escape")
        await tab.click(BUTTON)
        await state_is(tab, "error")
        await extension.picture(tab, f"{language}-error")
        await panel_speaks(tab, language)
    finally:
        del extension.front.handlers[HOST]


async def panel_speaks(tab: Tab, language: str) -> None:
    shown = await tab.text(f"{PANEL} >>> .box") or ""
    assert english_left(shown, language) == []
    wide, room = await tab.of(f"{PANEL} >>> .body", "(body) => [body.scrollWidth, body.clientWidth]")
    assert wide <= room
