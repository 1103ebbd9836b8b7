"""The site as visitors meet it: a server with a sign-in at the simulated Twitch, and a visitor in a browser."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
import pytest_asyncio

from fingerprint.database import Database, open_database
from fingerprint.domain.identification import ExternalIds
from fingerprint.ports import Match
from simulator.accounts import OWN_APPLICATION
from tests.api_client import ServerRules
from tests.browser.axe import violations
from tests.browser.bidi.browser import Browser
from tests.browser.bidi.tab import Tab
from tests.browser.looks import PHONE, Look, faults, looks, stay, undress, wear
from tests.browser.stage import OnStageNow, staged
from tests.browser_client import known_to_twitch
from tests.builders import song
from tests.integration.simulator_client import Viewer, a_viewer
from tests.seeds import seed_evening

THOROUGHLY: Final = ("home", "home-found", "login-signed-out", "channel", "desk-settings")
VIC: Final = "viewer_vic"
FULL: Final = song(
    "Neon Harbour Drive",
    "Vela Coast",
    "Mira Sol",
    album="Chrome Tides",
    label="Tidal Works",
    duration_seconds=201.4,
    offset_seconds=63.2,
    ids=ExternalIds(spotify_track="4uLU6hMCjMI75M1A2tKUQC", youtube="dQw4w9WgXcQ", deezer_track="3135556"),
)
HOSTILE: Final = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>",
    "\u05e9\u05d9\u05e8 \u05e2\u05d1\u05e8\u05d9 \u0623\u063a\u0646\u064a\u0629",
    "\U0001f3b5\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\u2764\ufe0f" * 8,
    "x" * 500,
    "two words " * 50,
)


@dataclass(slots=True)
class Site:
    """A server with a sign-in at the simulated Twitch, and everything behind it in the test's hand."""

    stage: OnStageNow
    database: Database
    viewer: Viewer

    async def rules(self, **changes: str) -> None:
        """Change rules, of which the server knows at once."""
        await ServerRules(self.database, self.stage.clock).set(**changes)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    async with a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer:
        known = known_to_twitch(viewer) | {"admins": (VIC,)}
        async with (
            staged(folder, **known) as stage,
            open_database(f"sqlite:///{folder / 'twitchaudio.sqlite3'}") as database,
        ):
            callback = f"{stage.address}/login/callback"
            viewer.twitch.accounts.allow_redirect(OWN_APPLICATION.client_id, callback)
            now = datetime.now(UTC)
            await seed_evening(database, "somechannel", now)
            await seed_evening(database, "somechannel", now - timedelta(days=1), minutes=9)
            yield Site(stage, database, viewer)


class Visitor:
    """A visitor of the site in one browser, who looks at pages in every look of the run."""

    def __init__(self, browser: Browser, tab: Tab, address: str, *, nightly: bool) -> None:
        self.nightly = nightly
        self.browser = browser
        self.tab = tab
        self.address = address
        self._looks = looks(browser, nightly=nightly)

    async def go(self, path: str) -> None:
        await self.tab.navigate(f"{self.address}{path}")

    async def look(self, name: str) -> None:
        """The page as it is now: it fits and can be read, axe finds nothing, and pictures of it can be kept."""
        assert await self.faults(name) == []
        assert await self.tab.evaluate("document.title") != "owned"

    async def faults(self, name: str, *, axe: bool = True, on_phone_alone: bool = False) -> list[str]:
        """What is wrong with the page as it is now, in each look, or in a run's first one; empty is good."""
        found: list[str] = []
        await stay(self.tab)
        for number, look in enumerate(self._looks[:1] if on_phone_alone and not self.nightly else self._looks):
            await wear(self.browser, self.tab, look)
            wrong = await faults(self.tab, look)
            await self.browser.keep_picture(self.tab, f"{name}-{look.name}")
            if axe and self._has_axe_look(name, look, first=number == 0):
                wrong += await violations(self.tab)
            if look == PHONE:
                # The smallest that people have; what is read there is read at PHONE as well.
                await self.tab.viewport(320, look.height)
                wide = await self.tab.evaluate("document.documentElement.scrollWidth")
                wrong += [f"it is {wide} wide where the window is 320"] if wide > 320 else []
            found += [f"{name} at {look.name}: {each}" for each in wrong]
        await undress(self.browser, self.tab)
        return found

    def _has_axe_look(self, name: str, look: Look, *, first: bool) -> bool:
        """In Chromium once a page; at night of some pages every look, in both browsers."""
        if self.nightly and name in THOROUGHLY:
            return not look.printed
        return first and self.browser.name == "chromium"

    async def offline(self, is_offline: bool) -> None:
        """Take the network away from the tab, or give it back."""
        conditions = {"type": "offline"} if is_offline else None
        await self.browser.connection.command(
            "emulation.setNetworkConditions", networkConditions=conditions, contexts=[self.tab.id]
        )

    async def ask(self, text: str = "neonharbour") -> None:
        await self.tab.fill("#target", text)
        await self.tab.press("Enter")

    async def state(self, name: str) -> None:
        await self.tab.wait_for(
            "(name) => document.querySelector('#receiver').dataset.state === name", name, of=name
        )

    async def says(self, text: str, seconds: float = 60) -> None:
        await self.tab.wait_for("(text) => document.body.innerText.includes(text)", text, seconds=seconds, of=text)

    async def sign_in(self) -> None:
        await self.go("/login")
        await self.says("Sign out")

    async def sign_out(self) -> None:
        await self.go("/logout")
        await self.tab.click("main .primary")
        await self.says("Sign in")


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(request: pytest.FixtureRequest, either_browser: Browser, site: Site) -> AsyncIterator[Visitor]:
    site.stage.matches = [Match(song=FULL, score=0.93)]
    site.stage.problem = site.stage.hold = None
    logged = len(either_browser.log)
    async with either_browser.tab() as tab:
        yield Visitor(either_browser, tab, site.stage.address, nightly=bool(request.config.getoption("--nightly")))
    bad = [
        entry.text
        for entry in either_browser.log[logged:]
        if entry.level == "error" and not re.search(r"status of [45]\d\d|Failed to load resource", entry.text)
    ]
    assert bad == []
