"""The extension in both browsers, on a fake twitch.tv, before real servers that listen to the simulated Twitch."""

import asyncio
import contextlib
import dataclasses
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from fingerprint.catalog.ingest import ingest
from simulator.accounts import OWN_APPLICATION
from simulator.content import ChannelPlan, ClipPlan, Content, VideoPlan
from simulator.hosts import Hosts
from simulator.library import SongFile, composed_songs
from simulator.program import Item, Playlist
from simulator.simulator import Simulator
from simulator.songs import SCORES
from tests.browser.bidi.browser import Browser
from tests.browser.bidi.connection import BidiError
from tests.browser.bidi.front import Front
from tests.browser.bidi.tab import Tab
from tests.browser.bidi_fixtures import EXTENSION_ID, EXTENSION_UUID
from tests.browser.extension.fake_twitch import FakeTwitch
from tests.browser.extension.own_server import OwnServer
from tests.browser.extension.pretender import HOST, ME, STATUS, Pretender
from tests.kept_work import SIMULATED

EXTENSION = Path(__file__).parents[3] / "extension"
LIVE, TALK, AWAY = "neonharbour", "talkshow_tess", "sleepy_otter"
LIVE_TITLE, CLIP_TITLE, VIDEO_TITLE = (SCORES[number].tags.title for number in (0, 1, 2))
SLUG, UNKNOWN_SLUG = (
    "SleepyGiftedBlueKettlePogChamp-KbkBXYt3lOk3jy8-",
    "ElegantNeonHarbourDriveKappa-m3Qx7_vT1bLz-9Ra",
)
VIDEO = "2210987001"

TWITCH_PAGES = [f"https://{name}.twitch.tv/*" for name in ("www", "clips", "player")]
BUTTON = 'button[data-twitchaudio="button"]'
PANEL = '[data-twitchaudio="panel"]'


@dataclass(frozen=True, slots=True)
class Town:
    """The simulated Twitch, and two servers: one answers everybody, one subscribers."""

    twitch: Simulator
    open: OwnServer
    members: OwnServer


def _content(songs: tuple[SongFile, ...]) -> Content:
    live, cut, video, unknown = (
        Playlist(items=(Item(song=song, start_seconds=10, seconds=40),)) for song in songs
    )
    channels = [
        ChannelPlan(login=login, display_name=login, user_id=number, title="Music", game="Music", playlist=live)
        for number, login in enumerate((LIVE, TALK, AWAY, "old_timer", "home_body", "newcomer"), 71_000_101)
    ]
    channels[1] = dataclasses.replace(channels[1], playlist=unknown)
    channels[2] = dataclasses.replace(channels[2], live=False)
    clips = (
        ClipPlan(slug=SLUG, login=LIVE, title="that drop", playlist=cut),
        ClipPlan(slug=UNKNOWN_SLUG, login=LIVE, title="what was that", playlist=unknown),
    )
    videos = (VideoPlan(video_id=VIDEO, login=LIVE, title="last week", playlist=video),)
    return Content(channels=tuple(channels), clips=clips, videos=videos, songs=songs)


@dataclass(frozen=True, slots=True)
class Stand:
    """What is the same for both browsers: the simulated Twitch, and an indexed catalog to copy."""

    twitch: Simulator
    catalog: Path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stand(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """The simulated Twitch, whose channels play for as long as the run lasts."""
    catalog: Path = tmp_path_factory.mktemp("stand") / "catalog"
    songs = composed_songs(SIMULATED, SCORES[:4])
    # The last one stays unknown.
    await asyncio.to_thread(ingest, catalog, [song.path for song in songs[:3]])
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
    hosts = dataclasses.replace(Hosts.at(f"http://127.0.0.1:{port}"), activate="https://www.twitch.tv/activate")
    async with Simulator(cache=SIMULATED, content=_content(songs), hosts=hosts, port=port) as twitch:
        yield Stand(twitch, catalog)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def town(
    either_browser: Browser, stand: Stand, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Town]:
    """Servers of each browser's own: what one has asked, or a code has let in, the next must not find."""
    environment = {
        **stand.twitch.environment(),
        "TWITCHAUDIO_FRESH_SECONDS": "0",  # each question of a test is a capture of its own
        "TWITCH_CLIENT_ID": OWN_APPLICATION.client_id,
        "TWITCH_CLIENT_SECRET": OWN_APPLICATION.secret or "",
    }
    folder: Path = tmp_path_factory.mktemp(f"town-{either_browser.name}")
    servers = [OwnServer(environment, folder / name) for name in ("open", "members")]
    for name in ("open", "members"):
        shutil.copytree(stand.catalog, folder / name / "catalog")
    try:
        for server in servers:
            await server.start()
        await servers[1].set("access_mode", "subscribers")
        await servers[1].let_in_subscribers_of(LIVE)
        yield Town(stand.twitch, *servers)
    finally:
        for server in servers:
            await server.stop()


@dataclass(slots=True)
class Installed:
    """The extension in a running browser. `pages` is one of its own pages, through which tests set it up.

    `welcome` is the address of the page that the installation opened.
    """

    browser: Browser
    id: str
    root: str
    pages: Tab
    town: Town
    front: Front
    welcome: str
    opened: list[Tab] = field(default_factory=list[Tab])
    allowed: set[str] = field(default_factory=set[str])

    async def message(self, name: str, **payload: Any) -> Any:
        """Send a message as the extension's own page; again while the background is being stopped or started."""
        for tried in range(8):
            with contextlib.suppress(BidiError):
                return await self.pages.evaluate(
                    "(message) => browser.runtime.sendMessage(message)", {"name": name, **payload}
                )
            await asyncio.sleep(0.2 * (tried + 1))
        raise AssertionError(f"the background does not answer {name}")

    async def use(self, server: OwnServer) -> None:
        """Set the server's address."""
        assert await self.message("set-server", server=str(server.address)) is None

    async def reset(self) -> None:
        """As just installed, with the open server."""
        for tab in self.opened:
            await tab.close()
        self.opened.clear()
        await self.pages.activate()
        await self.message("erase")
        await self.use(self.town.open)
        self.town.twitch.world.accounts.reset()
        self.town.twitch.world.accounts.allow_redirect(OWN_APPLICATION.client_id, await self.redirect())

    async def save_server(self, address: str) -> str:
        """Set the server's address in the options as a viewer does, allowing its host; gives what is said then."""
        if self.browser.name == "chromium" and address not in self.allowed:
            # Nobody can answer the browser's prompt here; with this it has been answered already.
            await self.manage("addHostPermission", self.id, f"{address}/*")
            self.allowed.add(address)
        await self.pages.activate()
        await self.pages.run("document.querySelector('#server-says').textContent = ''")
        await self.pages.fill("#server", address)
        await self.pages.click("#server-form button")
        await self.pages.wait_for("document.querySelector('#server-says').textContent !== ''")
        return await self.pages.text("#server-says") or ""

    async def manage(self, name: str, *given: Any) -> None:
        """Do what Chromium's page of extensions does."""
        async with self.browser.tab() as tab:
            await tab.navigate("chrome://extensions/", wait="none")
            await tab.wait_for("chrome.developerPrivate?.addHostPermission !== undefined")
            await tab.run("await chrome.developerPrivate[args[0]](...args.slice(1))", name, *given)

    async def withhold_twitch(self) -> None:
        """Take the access to Twitch's pages away, as a viewer may."""
        if self.browser.name == "chromium":
            await self.manage("updateExtensionConfiguration", {"extensionId": self.id, "hostAccess": "ON_CLICK"})
        else:
            await self.pages.evaluate("(origins) => browser.permissions.remove({origins})", TWITCH_PAGES)

    async def allow_twitch(self, popup: Tab) -> None:
        """Give the access back: in Firefox with the pop-up's button; in Chromium nobody could answer."""
        if self.browser.name == "chromium":
            await self.manage(
                "updateExtensionConfiguration", {"extensionId": self.id, "hostAccess": "ON_ALL_SITES"}
            )
        else:
            await popup.activate()
            await popup.click("#allow")

    async def stop_background(self) -> None:
        """End the background now, as the browser does after 30 s."""
        if self.browser.name == "chromium":
            command = self.browser.connection.command
            session = (await command("goog:cdp.getSession", context=self.pages.id))["session"]
            for method in ("ServiceWorker.enable", "ServiceWorker.stopAllWorkers"):
                await command("goog:cdp.sendCommand", method=method, params={}, session=session)
            return
        window = await browser_window(self.browser)
        await window.run(
            "const {extension} = WebExtensionPolicy.getByID(args[0]);"
            "await extension.terminateBackground({ignoreDevToolsAttached: true, disableResetIdleForTest: true});",
            EXTENSION_ID,
        )

    async def update(self) -> None:
        """Load the extension anew, as an update does: open pages keep their old scripts in Chromium."""
        await self.browser.install(EXTENSION)
        self.pages = await self.browser.open_tab()
        await self.pages.navigate(f"{self.root}options/options.html")
        await self.pages.wait_for("typeof browser === 'object' && document.documentElement.dataset.ready === ''")

    async def redirect(self) -> str:
        return await self.pages.evaluate("browser.identity.getRedirectURL('twitch')")

    async def open(self, address: str) -> Tab:
        """A tab with a page of Twitch, or of the extension (`popup/popup.html`), closed after the test."""
        tab = await self.browser.open_tab()
        self.opened.append(tab)
        await tab.navigate(address if "://" in address else self.root + address)
        if "://" not in address:
            await tab.wait_for("document.documentElement.dataset.ready === ''")
        return tab

    async def channel(self, login: str = LIVE) -> Tab:
        """A tab with a channel, its button in place."""
        tab = await self.open(f"https://www.twitch.tv/{login}")
        await button_placed(tab)
        return tab

    async def picture(self, tab: Tab, name: str) -> None:
        """Keep a picture of a tab to be looked at."""
        await self.browser.keep_picture(tab, name)


async def browser_window(firefox: Browser) -> Tab:
    """Firefox's own window, in which scripts may do what its menus do."""
    tree = await firefox.connection.command("browsingContext.getTree", **{"moz:scope": "chrome"})
    return Tab(firefox.connection, tree["contexts"][0]["context"])


ALLOW_IN_PRIVATE = """
const {ExtensionPermissions} = ChromeUtils.importESModule("resource://gre/modules/ExtensionPermissions.sys.mjs");
await ExtensionPermissions.add(args[0], {permissions: ["internal:privateBrowsingAllowed"], origins: []});
"""


async def button_placed(tab: Tab) -> None:
    await tab.wait_for(f"document.querySelector('{BUTTON}')?.checkVisibility()", of="the button is in the page")


async def state_is(tab: Tab, state: str, *, seconds: float = 90.0) -> None:
    await tab.wait_for(
        "([panel, state]) => document.querySelector(panel)?.dataset.state === state",
        [PANEL, state],
        seconds=seconds,
        of=f"the panel's state is {state}",
    )


async def panel_field(tab: Tab, name: str) -> str | None:
    return await tab.text(f'{PANEL} >>> [data-field="{name}"]')


async def panel_text(tab: Tab) -> str:
    return await tab.text(f"{PANEL} >>> .box") or ""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fake_twitch(front: Front, stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    async with ClientSession() as session:
        fake = FakeTwitch(session, stand.twitch.base_url, tmp_path_factory.mktemp("fake"))
        for name in ("www.twitch.tv", "clips.twitch.tv", "player.twitch.tv"):
            front.handlers[name] = fake.page
        front.handlers["id.twitch.tv"] = fake.simulated
        yield


async def install(browser: Browser, town: Town, front: Front) -> Installed:
    """Install the extension, as from a store: it opens its welcome page."""
    if browser.name == "firefox":  # as a viewer may; Chromium has no such door
        await (await browser_window(browser)).run(ALLOW_IN_PRIVATE, EXTENSION_ID)
    extension = await browser.install(EXTENSION)
    welcome = await browser.wait_for_tab(lambda shown: shown.endswith("/welcome/welcome.html"))
    await welcome.wait_for("document.documentElement.dataset.ready === ''")
    found = await welcome.evaluate("location.href")
    pages = await browser.open_tab()
    await welcome.close()
    address = {"chromium": f"chrome-extension://{extension}/", "firefox": f"moz-extension://{EXTENSION_UUID}/"}
    root = address[browser.name]
    await pages.navigate(f"{root}options/options.html")
    await pages.wait_for("typeof browser === 'object' && document.documentElement.dataset.ready === ''")
    return Installed(browser, extension, root, pages, town, front, found)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installed(
    either_browser: Browser, front: Front, town: Town, fake_twitch: None
) -> AsyncIterator[Installed]:
    made = await install(either_browser, town, front)
    yield made
    await made.pages.close()
    await either_browser.uninstall(made.id)


@pytest_asyncio.fixture(loop_scope="session")
async def extension(installed: Installed) -> AsyncIterator[Installed]:
    """As just installed, with the open server; its tabs are closed afterwards."""
    await installed.reset()
    yield installed
    await installed.reset()


@pytest_asyncio.fixture(loop_scope="session")
async def pretender(extension: Installed) -> AsyncIterator[Pretender]:
    """The extension asks the pretender; the browser was asked for its host's permission."""
    server = Pretender({"GET /api/v1/status": (200, STATUS), "GET /api/v1/me": (200, ME)})
    extension.front.handlers[HOST] = server.answer
    assert "is saved" in await extension.save_server(f"https://{HOST}")
    yield server
    del extension.front.handlers[HOST]
