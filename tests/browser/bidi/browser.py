"""A running browser: its tabs, its extensions, what its pages log."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser.bidi.connection import BidiError, Connection
from tests.browser.bidi.tab import WAIT_SECONDS, Tab


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that a page or a script logged, or an uncaught error."""

    level: str
    text: str
    context: str | None


@dataclass(slots=True)
class Browser:
    """Chromium or Firefox (`name`), driven over BiDi."""

    name: str
    version: str
    connection: Connection
    log: list[AuditEntry] = field(default_factory=list[AuditEntry])
    pictures: Path | None = None
    """Where `keep_picture` leaves pictures, for people to look at; None: it does nothing."""

    async def keep_picture(self, tab: Tab, name: str) -> None:
        """Keep what a tab shows as `name`, if pictures are wanted: `--pictures`."""
        if self.pictures is not None:
            await asyncio.to_thread(self.pictures.mkdir, parents=True, exist_ok=True)
            await tab.screenshot(self.pictures / f"{name}-{self.name}.png")

    async def start(self) -> None:
        """Begin to keep what pages log."""

        def logged(entry: dict[str, Any]) -> None:
            self.log.append(AuditEntry(entry["level"], entry.get("text") or "", entry["source"].get("context")))

        self.connection.listen("log.entryAdded", logged)
        await self.connection.command("session.subscribe", events=["log.entryAdded"])

    @asynccontextmanager
    async def tab(self, address: str | None = None) -> AsyncGenerator[Tab]:
        """A new tab in front, 1280 x 800, with the keyboard's focus; closed at the end."""
        tab = await self.open_tab()
        try:
            if address is not None:
                await tab.navigate(address)
            yield tab
        finally:
            try:
                await tab.close()
            except BidiError as error:
                if error.code != "no such frame":
                    raise

    async def open_tab(self) -> Tab:
        """A new tab in front; the caller closes it."""
        answer = await self.connection.command("browsingContext.create", type="tab")
        tab = Tab(self.connection, answer["context"])
        await tab.viewport(1280, 800)
        await tab.activate()
        return tab

    async def tabs(self) -> dict[str, Tab]:
        """All top-level pages by address."""
        tree = await self.connection.command("browsingContext.getTree", maxDepth=0)
        return {each["url"]: Tab(self.connection, each["context"]) for each in tree["contexts"]}

    async def wait_for_tab(self, wanted: Callable[[str], bool], *, seconds: float = WAIT_SECONDS) -> Tab:
        """The first page whose address satisfies a condition. Raises AssertionError with those there are."""
        until = time.monotonic() + seconds
        while True:
            tabs = await self.tabs()
            for address, tab in tabs.items():
                if wanted(address):
                    return tab
            if time.monotonic() > until:
                raise AssertionError(f"no such page within {seconds:g} s, but {sorted(tabs)}")
            await asyncio.sleep(0.05)

    async def install(self, folder: Path) -> str:
        """Install an unpacked extension for this session; its id. Raises BidiError with the browser's reason."""
        answer = await self.connection.command(
            "webExtension.install", extensionData={"type": "path", "path": str(folder)}
        )
        return answer["extension"]

    async def uninstall(self, extension: str) -> None:
        """Remove an extension."""
        await self.connection.command("webExtension.uninstall", extension=extension)
