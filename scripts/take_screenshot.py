"""Starts the demo, asks for a live channel as a visitor would, and keeps the picture. See scripts/screenshot."""

import argparse
import asyncio
import contextlib
import re
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from tests.browser.bidi.launch import Launch, launched
from tests.browser.bidi.user_context import Look, user_context

CHANNEL: Final = "neonharbour"
START_SECONDS: Final = 300
"""The first start composes and encodes the demo's songs."""
LOOK: Final = Look(880, 800, {"prefers-color-scheme": "dark", "prefers-reduced-motion": "reduce"})
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
    with tempfile.TemporaryDirectory() as folder:
        async with (
            launched("chromium", Launch(Path(folder))) as browser,
            user_context(browser, address, LOOK) as context,
        ):
            tab = await context.open()
            await tab.fill("#target", CHANNEL)
            await tab.press("Enter")
            await tab.wait_for("document.querySelector('#receiver').dataset.state === 'found'", seconds=30)
            await tab.screenshot(picture, origin="document")


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
