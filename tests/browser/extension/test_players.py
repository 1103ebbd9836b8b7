"""The button belongs to one player: target and moment are read from that one; and it is in nobody's way."""

from typing import Any

import pytest

from tests.browser.bidi.tab import Tab
from tests.browser.extension.conftest import (
    BUTTON,
    LIVE,
    PANEL,
    TALK,
    VIDEO,
    Installed,
    button_placed,
    panel_field,
    state_is,
)
from tests.browser.extension.pretender import HEARD, Pretender

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASK = "POST /api/v1/identifications"


async def _asked(tab: Tab, pretender: Pretender) -> Any:
    """What a click asks for: in one request, with none before it that an answer would wait for."""
    pretender.asked.clear()
    pretender.bodies.clear()
    await tab.click(BUTTON)
    await state_is(tab, "found")
    assert pretender.asked == [ASK]
    await tab.press("Escape")
    await state_is(tab, "idle")
    return pretender.bodies[0]


ANSWERED_LIVE = """(panel) => {
  const host = document.querySelector(panel);
  return host.dataset.state === "found" && !host.shadowRoot.querySelector("[data-field=note]");
}"""


async def test_target_and_moment_are_those_of_the_players_own_page(
    extension: Installed, pretender: Pretender
) -> None:
    pretender.answers[ASK] = (200, HEARD)
    tab = await extension.channel()
    await tab.run("twitch.hideAndRenew()")
    await button_placed(tab)
    assert await _asked(tab, pretender) == {"channel": LIVE}
    await tab.run("twitch.seekbar(100, 400)")
    assert await _asked(tab, pretender) == {"channel": LIVE, "ago": 300}
    await tab.run("twitch.seekbar(400, 400)")
    assert await _asked(tab, pretender) == {"channel": LIVE}
    # A moment ago, and once more: the same question; "listen again" is about what plays now.
    await tab.click(BUTTON)
    await state_is(tab, "found")
    pretender.refuse("timeout")
    await tab.click(f'{PANEL} >>> [data-act="ago-120"]')
    await state_is(tab, "error")
    pretender.answers[ASK] = (200, {**HEARD, "moment": {"broadcast": "1", "seconds": 9, "behind_live": 121.0}})
    await tab.click(f'{PANEL} >>> [data-act="retry"]')
    await state_is(tab, "found")
    assert await panel_field(tab, "note") == "This is from 2:01 before the live moment."
    pretender.answers[ASK] = (200, HEARD)
    await tab.click(f'{PANEL} >>> [data-act="again"]')
    await tab.wait_for(ANSWERED_LIVE, PANEL)
    assert pretender.bodies[-3:] == [{"channel": LIVE, "ago": 120}] * 2 + [{"channel": LIVE}]
    await tab.press("Escape")
    await tab.run("twitch.miniState(true); await twitch.go(args[0])", f"/{TALK}")
    await tab.wait_for(f"document.querySelector('{BUTTON}') === null", of="a mini player has no button")
    await tab.run("twitch.miniState(false)")
    await button_placed(tab)
    assert await _asked(tab, pretender) == {"channel": TALK}


async def test_the_moment_of_a_video_is_never_an_ads(extension: Installed, pretender: Pretender) -> None:
    pretender.answers[ASK] = (200, {**HEARD, "kind": "video"})
    tab = await extension.open(f"https://www.twitch.tv/videos/{VIDEO}")
    await button_placed(tab)
    await tab.run("twitch.seekbar(100, 10000); await twitch.ownAd(7)")
    assert await _asked(tab, pretender) == {"video": VIDEO, "at": 100}
    assert await tab.evaluate(f"document.querySelector('{PANEL}').closest('.picture-by-picture-player') === null")
    await tab.run(
        "twitch.adOver(); const video = document.querySelector('video'); video.currentTime = 22.4;"
        "await new Promise((resolve) => video.addEventListener('seeked', resolve, {once: true}));"
        "twitch.seekbar(22, 120);"
    )
    assert await _asked(tab, pretender) == {"video": VIDEO, "at": 22.4}


OVERLAPS = """([panel, selectors]) => {
  const box = document.querySelector(panel).shadowRoot.querySelector(".box").getBoundingClientRect();
  return selectors.filter((selector) => {
    const other = document.querySelector(selector).getBoundingClientRect();
    return box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
  });
}"""
NOTE = f"{PANEL} >>> #note"


async def test_the_panel_is_in_nobodys_way(extension: Installed, pretender: Pretender) -> None:
    pretender.answers[ASK] = (200, HEARD)
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "found")
    await tab.click('[data-a-target="player-mute-unmute-button"]')
    assert await tab.attribute(PANEL, "data-state") == "found", "a control of the player is not the picture"
    await tab.click(f'{PANEL} >>> [data-act="report"]')
    await tab.run("twitch.reached.length = 0")
    await tab.type("mk")
    await tab.press("Escape")
    assert await tab.evaluate("twitch.reached") == []
    assert await tab.attribute(PANEL, "data-state") == "found"
    await tab.click(f'{PANEL} >>> [data-act="report"]')
    assert await tab.of(NOTE, "(field) => field.value") == "mk"
    await tab.press("Escape")
    await tab.press("Tab")  # from the last control of the panel
    assert await tab.evaluate("document.activeElement.dataset.aTarget") == "player-settings-button"
    title = f'{PANEL} >>> [data-field="title"]'
    assert await tab.of(title, "(title) => title.scrollHeight <= title.clientHeight + 2"), "a long title is cut"
    await extension.picture(tab, "long-title")
    for width, height in ((640, 400), (1280, 800)):
        await tab.viewport(width, height)
        apart = f"(panel) => ({OVERLAPS})([panel, ['.chat-shell', '.player-controls']]).length === 0"
        await tab.wait_for(apart, PANEL, of=f"{width} x {height}")
        if width == 640:
            # While the window is being resized, the panel may have no height for a moment.
            high = "(panel) => document.querySelector(panel).shadowRoot.querySelector('.box').clientHeight >= 120"
            await tab.wait_for(high, PANEL, of="the panel has room")
            await extension.picture(tab, "small-window")
    await tab.click(f'{PANEL} >>> [data-act="again"]')
    await state_is(tab, "found")
