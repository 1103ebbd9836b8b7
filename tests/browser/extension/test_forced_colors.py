"""Where the system's few colors replace all others (Windows contrast themes): everything is still there to see."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browser.bidi.tab import Tab
from tests.browser.extension.conftest import BUTTON, PANEL, Installed, browser_window, state_is
from tests.browser.extension.pretender import HEARD, SONG, Pretender
from tests.browser.forced_colors import FAINT

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("fake_twitch")]

PAGES = ("popup/popup.html", "options/options.html", "welcome/welcome.html")

FIREFOX_FORCES = "Services.prefs.setIntPref('browser.display.document_color_use', args[0])"
"""0: where the system asks for it, 2: always, as Settings → Language and Appearance → Contrast Control does."""


class ForcedColors:
    """Forces the system's colors in a tab of Chromium, or in all of Firefox."""

    def __init__(self, extension: Installed) -> None:
        self._extension = extension

    async def on(self, tab: Tab) -> None:
        command = self._extension.browser.connection.command
        if self._extension.browser.name == "chromium":
            session = (await command("goog:cdp.getSession", context=tab.id))["session"]
            features = [{"name": "forced-colors", "value": "active"}]
            await command(
                "goog:cdp.sendCommand",
                method="Emulation.setEmulatedMedia",
                params={"features": features},
                session=session,
            )
        await tab.wait_for("matchMedia('(forced-colors: active)').matches")


@pytest_asyncio.fixture(loop_scope="session")
async def forced_colors(extension: Installed) -> AsyncIterator[ForcedColors]:
    firefox = extension.browser.name == "firefox"
    if firefox:
        await (await browser_window(extension.browser)).run(FIREFOX_FORCES, 2)
    yield ForcedColors(extension)
    if firefox:
        await (await browser_window(extension.browser)).run(FIREFOX_FORCES, 0)


async def test_its_own_pages_show_every_control(extension: Installed, forced_colors: ForcedColors) -> None:
    for name in PAGES:
        page = await extension.open(name)
        await forced_colors.on(page)
        await extension.picture(page, f"forced-colors-{name.split('/')[0]}")
        assert await page.of("body", FAINT) == [], name


async def test_the_panel_shows_every_control_and_how_far_the_song_is(
    extension: Installed, forced_colors: ForcedColors, pretender: Pretender
) -> None:
    pretender.answers["POST /api/v1/identifications"] = (200, {**HEARD, "song": SONG})
    tab = await extension.channel()
    await forced_colors.on(tab)
    icon = await tab.of(
        BUTTON,
        "(button) => [getComputedStyle(button).color, getComputedStyle(button.parentElement).backgroundColor]",
    )
    assert icon[0] != icon[1]
    await tab.click(BUTTON)
    await state_is(tab, "found")
    await extension.picture(tab, "forced-colors-found")
    assert await tab.of(f"{PANEL} >>> .box", FAINT) == []
    bar = await tab.of(
        f"{PANEL} >>> .track",
        "(track) => [getComputedStyle(track.firstElementChild).backgroundColor, "
        "getComputedStyle(track).backgroundColor, getComputedStyle(track).outlineStyle]",
    )
    assert bar[0] != bar[1]
    assert bar[2] == "solid"
    pretender.refuse("subscription-required")
    await tab.press("Escape")
    await tab.click(BUTTON)
    await state_is(tab, "error")
    await extension.picture(tab, "forced-colors-error")
    assert await tab.of(f"{PANEL} >>> .box", FAINT) == []
