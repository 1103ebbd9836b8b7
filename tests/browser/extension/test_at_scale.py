"""Pages at twice their size, and a window with fifty tabs: each night, in both browsers."""

import asyncio

import pytest

from tests.browser.bidi.tab import Tab
from tests.browser.extension.conftest import BUTTON, LIVE, PANEL, SLUG, Installed, button_placed, state_is
from tests.browser.extension.pretender import HEARD, SONG, Pretender

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.nightly,
    pytest.mark.usefixtures("fake_twitch"),
]

CLIPS = 50
PAGES = ("popup/popup.html", "options/options.html", "welcome/welcome.html")

ZOOM = """async (factor) => {
  const [tab] = await browser.tabs.query({active: true, lastFocusedWindow: true});
  await browser.tabs.setZoom(tab.id, factor);
  return await browser.tabs.getZoom(tab.id);
}"""

OUTSIDE = """(box) => {
  const room = box.getBoundingClientRect();
  const beyond = room.left < 0 || room.top < 0 || room.right > innerWidth || room.bottom > innerHeight;
  return [beyond, box.scrollWidth > box.clientWidth];
}"""


def about_clips(server: Pretender) -> list[str]:
    return [asked for asked in server.asked if asked == f"GET /api/v1/clips/{SLUG}"]


async def zoom(extension: Installed, tab: Tab, factor: float) -> None:
    """As the viewer does with the browser's menu."""
    before = await tab.evaluate("devicePixelRatio")
    await tab.activate()
    assert await extension.pages.evaluate(ZOOM, factor) == factor
    await tab.wait_for("(before) => devicePixelRatio !== before", before, of="the page is zoomed")


async def test_at_twice_the_size_its_own_pages_fit_and_every_control_can_be_reached(extension: Installed) -> None:
    for name in PAGES:
        page = await extension.open(name)
        await zoom(extension, page, 2)
        await extension.picture(page, f"zoomed-{name.split('/')[0]}")
        wide, room = await page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        await zoom(extension, page, 1)
        assert wide <= room, name


async def test_at_twice_the_size_the_panel_is_in_the_window_and_its_words_are_whole(
    extension: Installed, pretender: Pretender
) -> None:
    pretender.answers["POST /api/v1/identifications"] = (200, {**HEARD, "song": SONG})
    tab = await extension.channel()
    await zoom(extension, tab, 2)
    try:
        await tab.click(BUTTON)
        await state_is(tab, "found")
        await extension.picture(tab, "zoomed-found")
        assert await tab.of(f"{PANEL} >>> .box", OUTSIDE) == [False, False]
        await tab.click(f'{PANEL} >>> [data-act="report"]')
        assert await tab.of(f"{PANEL} >>> .box", OUTSIDE) == [False, False]
    finally:
        await zoom(extension, tab, 1)


async def test_of_fifty_tabs_with_clips_only_those_that_were_in_front_ask_and_each_once(
    extension: Installed, pretender: Pretender
) -> None:
    await extension.pages.activate()
    command = extension.browser.connection.command
    tabs: list[Tab] = []
    for _ in range(CLIPS):
        created = await command("browsingContext.create", type="tab", background=True)
        tabs.append(Tab(extension.browser.connection, created["context"]))
        extension.opened.append(tabs[-1])
    for tab in tabs:
        await tab.navigate(f"https://www.twitch.tv/{LIVE}/clip/{SLUG}")
    await asyncio.sleep(1)
    assert about_clips(pretender) == []
    for seen in (tabs[3], tabs[30], tabs[3]):
        await seen.activate()
        await button_placed(seen)
        await asyncio.sleep(1)
    assert len(about_clips(pretender)) == 2
