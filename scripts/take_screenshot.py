"""Starts the demo, asks for a live channel as a visitor would, and keeps the picture. See scripts/screenshot."""

import argparse
import asyncio
import contextlib
import re
import shutil
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from playwright.async_api import async_playwright, expect

CHANNEL: Final = "neonharbour"
START_SECONDS: Final = 300
"""The first start composes and encodes the demo's songs."""
SIZE: Final = {"width": 880, "height": 800}
MOST_BYTES: Final = 200_000


@contextlib.asynccontextmanager
async def demo() -> AsyncGenerator[str]:
    """Run `twitchaudio serve --demo` on a free port while the block runs; gives its address."""
    command = (sys.executable, "-m", "server", "serve", "--demo", "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            async for line in process.stdout:
                found = re.match(r"Open (http://\S+?)/? and try it", line.decode())
                if found:
                    yield found[1]
                    return
        raise SystemExit("the demo ended before it was ready")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.communicate()


async def take(address: str, picture: Path) -> None:
    """Ask on the page, in a dark room, and write the answer as PNG."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        page = await browser.new_page(
            base_url=address,
            viewport={"width": SIZE["width"], "height": SIZE["height"]},
            color_scheme="dark",
            reduced_motion="reduce",
            locale="en-US",
            timezone_id="UTC",
        )
        await page.goto("/")
        await page.get_by_label("Channel, clip or Twitch address").fill(CHANNEL)
        await page.keyboard.press("Enter")
        await expect(page.locator("#receiver")).to_have_attribute("data-state", "found", timeout=30_000)
        await page.screenshot(path=picture, full_page=True)
        await browser.close()


async def take_from_demo(picture: Path) -> None:
    """The whole way."""
    async with demo() as address:
        await take(address, picture)


def main() -> int:
    """Run; exit status 1 when the picture is too heavy for a README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    picture: Path = parser.parse_args().picture
    picture.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(take_from_demo(picture))
    size = picture.stat().st_size
    print(f"{picture}: {size / 1000:.0f} kB")
    return 0 if size <= MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
