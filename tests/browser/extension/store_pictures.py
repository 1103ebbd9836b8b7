"""The stores' pictures, of the running extension: scripts/store-pictures runs this file, the suite does not."""

import asyncio
import struct
from pathlib import Path

import pytest

from tests.browser.bidi.tab import Tab
from tests.browser.extension.conftest import BUTTON, LIVE, SLUG, Installed, button_placed, state_is

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOLDER = Path(__file__).parents[3] / "dist" / "pictures"
SCREENSHOT, SMALL = (1280, 800), (640, 400)
TILES = {"promotion-small": (440, 280), "promotion-marquee": (1400, 560)}


async def _picture(tab: Tab, name: str, size: tuple[int, int], *, scale: float = 1.0) -> None:
    """Keep what is seen as PNG of exactly this size; `scale` is the pixels of the picture for one of the page."""
    width, height = (round(length / scale) for length in size)
    await tab.connection.command(
        "browsingContext.setViewport",
        context=tab.id,
        viewport={"width": width, "height": height},
        devicePixelRatio=scale,
    )
    await tab.run("document.documentElement.style.scrollbarWidth = 'none'")  # pictures leave it out
    file = FOLDER / f"{name}-{size[0]}x{size[1]}.png"
    await asyncio.to_thread(FOLDER.mkdir, parents=True, exist_ok=True)
    await tab.screenshot(file)
    head = await asyncio.to_thread(file.read_bytes)
    *measured, bits, colors = struct.unpack(">IIBB", head[16:26])
    assert (*measured, bits, colors) == (*size, 8, 2), "the stores want RGB without transparency"


async def _screenshots(tab: Tab, name: str) -> None:
    await _picture(tab, name, SCREENSHOT)
    await _picture(tab, name, SMALL, scale=0.5)


async def test_pictures_of_the_stores(extension: Installed) -> None:
    channel = await extension.channel()
    await channel.run("twitch.say(40)")
    await channel.click(BUTTON)
    await state_is(channel, "found")
    await channel.run("document.activeElement.blur()")
    await _screenshots(channel, "screenshot-1-live")
    clip = await extension.open(f"https://www.twitch.tv/{LIVE}/clip/{SLUG}")
    await button_placed(clip)
    await clip.run("twitch.look('light')")
    await clip.click(BUTTON)
    await state_is(clip, "found")
    await _screenshots(clip, "screenshot-2-clip")
    welcome = await extension.open("welcome/welcome.html")
    await welcome.viewport(*SCREENSHOT)
    await welcome.click(BUTTON)
    await state_is(welcome, "found")
    await _screenshots(welcome, "screenshot-3-try-it")
    promotion = await extension.browser.open_tab()
    extension.opened.append(promotion)
    await promotion.navigate(f"{extension.root}store/promo.html")
    for name, size in TILES.items():
        await _picture(promotion, name, size)
