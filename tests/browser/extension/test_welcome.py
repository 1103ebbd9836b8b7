"""The page that opens at the installation: try it, choose a server; and tabs that were open before."""

import pytest

from tests.browser.bidi.tab import Tab
from tests.browser.extension.conftest import BUTTON, LIVE, PANEL, Installed, button_placed, panel_field, state_is
from tests.browser.extension.pretender import HEARD, HOST, Pretender
from tests.browser.extension.test_own_pages import complaints

pytestmark = pytest.mark.asyncio(loop_scope="session")

WELCOME = "welcome/welcome.html"
EMBEDDED = f"https://player.twitch.tv/?channel={LIVE}&parent={HOST}"
EMBEDDING = f'<!doctype html><title>A blog</title><iframe width=900 height=700 src="{EMBEDDED}"></iframe>'


async def test_it_can_be_tried_without_a_server_and_a_server_is_chosen(
    extension: Installed, pretender: Pretender
) -> None:
    assert extension.welcome == extension.root + WELCOME
    await extension.message("erase")
    page = await extension.open(WELCOME)
    assert not await page.visible("#ready")
    # By the keyboard alone: from the switch of the music to the button, and into the panel.
    await page.run("document.querySelector('#play').focus()")
    await page.press("Tab")
    await page.press("Enter")
    await state_is(page, "found")
    assert await panel_field(page, "title") == "Harbour Lights"
    await page.press("Tab")
    assert await page.evaluate(f"document.querySelector('{PANEL}').shadowRoot.activeElement.className") == "close"
    await page.viewport(1280, 1800)
    await extension.picture(page, "welcome")
    assert await complaints(page) == []
    await page.press("Escape")
    await state_is(page, "idle")
    # At twice the size, and on a phone, nothing leaves the page.
    await page.viewport(390, 900)
    assert await page.evaluate("document.documentElement.scrollWidth <= 390")
    await page.fill("#server", f"https://{HOST}/channels")
    await page.wait_for_text("#server-hint", "one page of a server")
    await extension.picture(page, "welcome-narrow")
    await page.click("#server-meant")
    assert await page.of("#server", "(field) => field.value") == f"https://{HOST}"
    await page.press("Enter")
    await page.wait_for_text("#ready-text", HOST)
    assert (await extension.message("settings"))["server"] == f"https://{HOST}"
    await page.viewport(1280, 1800)
    await extension.picture(page, "welcome-ready")
    assert await complaints(page) == []


@pytest.mark.both_browsers
async def test_without_access_to_twitch_the_popup_says_so_and_open_tabs_get_their_button_with_it(
    extension: Installed,
) -> None:
    await extension.withhold_twitch()
    popup = await extension.open("popup/popup.html")
    try:
        channel = await extension.open(f"https://www.twitch.tv/{LIVE}")
        await popup.wait_for_text("#page", "does not let TwitchAudio see")
        assert await channel.count(BUTTON) == 0
        await popup.activate()
        await popup.viewport(360, 560)
        assert await popup.visible("#allow")
        await extension.picture(popup, "popup-withheld")
        assert await complaints(popup) == []
    finally:
        await extension.allow_twitch(popup)
    await button_placed(channel)
    await channel.activate()
    await popup.wait_for_text("#page", f"Live channel {LIVE}")
    assert not await popup.visible("#allow")


async def _frame(extension: Installed, page: Tab) -> Tab:
    """The frame of a page, once it is loaded."""
    await page.wait_for("document.readyState === 'complete'")
    connection = extension.browser.connection
    tree = await connection.command("browsingContext.getTree", root=page.id)
    return Tab(connection, tree["contexts"][0]["children"][0]["context"])


async def test_a_player_that_another_site_embeds_has_the_button_and_the_popup_knows_it(
    extension: Installed, pretender: Pretender
) -> None:
    pretender.answers["GET /blog"] = (200, EMBEDDING)
    pretender.answers["POST /api/v1/identifications"] = (200, HEARD)
    page = await extension.open(f"https://{HOST}/blog")
    frame = await _frame(extension, page)
    await button_placed(frame)
    await frame.click(BUTTON)
    await state_is(frame, "found")
    assert pretender.bodies == [{"channel": LIVE}]
    assert await page.count("[data-twitchaudio]") == 0
    popup = await extension.open("popup/popup.html")
    await page.activate()
    await popup.wait_for_text("#page", f"Live channel {LIVE}")
