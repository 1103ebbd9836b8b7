"""Every page in every state: it fits, nothing is cut or covered, it can be read, in both color schemes.

A run looks at each in German, whose words are the longest, on a phone, and at each layout on a desk; each night at
five widths, in four languages, without JavaScript and printed, in Firefox too, and with axe-core.
"""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from fingerprint.database import open_database
from fingerprint.domain.songs import song_id
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from server.access.service import RULES_SECONDS
from simulator.accounts import OWN_APPLICATION
from tests.browser.bidi.user_context import Look as Window
from tests.browser.conftest import Contexts
from tests.browser.looks import AT_NIGHT, faults, stay
from tests.browser.site import FULL, VIC, Site, Visitor
from tests.browser.stage import staged
from tests.browser.stored_states import LONG, seed_desk, seed_site, stored_answers
from tests.browser_client import known_to_twitch

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOW: Final = datetime.now(UTC)

PAGES: Final = {
    "home": "/",
    "typed": "/?target=https%3A%2F%2Fexample.com%2F" + "long" * 60,
    "no-such-answer": "/?id=unknown",
    "docs": "/docs",
    "privacy": "/privacy",
    "extension": "/extension",
    "finds": "/finds",
    "overlay-builder": "/overlay?channel=somechannel",
    "overlay": "/overlay/crowded?test=1",
    "overlay-wrong": "/overlay/no%20channel",
    "logout": "/logout",
    "desk-closed": "/admin",
    "sign-in-refused": "/login/callback?error=access_denied&state=x",
    "not-found": "/nothing-here",
    "no-channel": "/channels/no%20channel",
    "no-video": "/videos/abc",
    "no-song": "/songs/unknown",
}

SET_LISTS: Final = {
    "channel": "/channels/crowded",
    "channel-empty": "/channels/quiet_one",
    "channel-no-match": "/channels/crowded?q=nothing+such",
    "channel-no-day": "/channels/crowded?day=2001-02-03&zone=America%2FArgentina%2FBuenos_Aires",
    "channel-wrong-day": "/channels/crowded?day=yesterday",
    **{f"video-{number}": f"/videos/{number}" for number in range(8)},
}

ANSWERS: Final = {
    **{f"answer-{answer.id}": f"/?id={answer.id}" for answer in stored_answers(FULL, NOW)},
    # Known since the answers were looked at.
    "song": f"/songs/{song_id(FULL)}",
    "song-long": f"/songs/{song_id(LONG)}",
}

PLACES: Final = {"pages": PAGES, "set-lists": SET_LISTS, "answers": ANSWERS}
"""Every page that an address leads to, in every state, by a name for its picture. In parts, so that a busy machine
walks each in a few minutes.
"""

ALIKE: Final = re.compile(
    "answer-(failed-(?!ad-break|channel-not-found)|working-(?!queued)|faster|moment)|video-[025]|no-(channel|song)"
)
"""States that differ from another one in a few words: looked at each night."""

ROOMY: Final = re.compile(
    "typed|no-such-answer|overlay-wrong|logout|desk-closed|channel-.+|video-[1467]|song$"
    "|answer-(probably|bare|long-ago|none-.+|failed-channel-not-found)"
)
"""States with the layout and the colors of another one: what fits and is read on a phone does on a desk, too, so a
run looks at them there alone, and each night everywhere."""

DESK: Final = (
    *("", "/settings", "/broadcasters", "/whitelist", "/blacklist", "/codes", "/keys", "/watches", "/song-tokens"),
    *("/unknowns", "/reports", "/catalog", "/recognizers", "/twitch", "/logs"),
)


DESK_ALIKE: Final = ("/broadcasters", "/whitelist", "/codes", "/watches", "/song-tokens", "/unknowns")
"""Pages of one template: a run looks at them on a phone alone, and axe-core each night."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def full_site(site: Site) -> Site:
    """The site with something in every place."""
    await seed_site(site.database, FULL, datetime.now(UTC))
    return site


@pytest.mark.parametrize("part", PLACES)
@pytest.mark.parametrize(
    "language", ["de", *(pytest.param(code, marks=pytest.mark.nightly) for code in ("en", "es", "fr"))]
)
async def test_every_page_fits_and_can_be_read_in_every_state(
    visitor: Visitor, full_site: Site, language: str, part: str
) -> None:
    bad: list[str] = []
    await visitor.go(f"/privacy?lang={language}")
    for name, path in PLACES[part].items():
        if visitor.nightly or not ALIKE.match(name):
            await visitor.go(path)
            roomy = ROOMY.fullmatch(name) is not None
            bad += await visitor.faults(f"{name}-{language}", axe=visitor.nightly, on_phone_alone=roomy)
    await visitor.go("/privacy?lang=en")
    # A set list that is being made shows how far it is, also to browsers without scripts.
    assert "\n".join(fault for fault in bad if "meta-refresh" not in fault) == ""


@pytest.mark.nightly
async def test_every_page_fits_and_can_be_read_without_javascript(contexts: Contexts, full_site: Site) -> None:
    bad: list[str] = []
    context, tab = await contexts.open(full_site.stage.address, "/", Window(390, 844, scripting=False))
    for name, path in (PAGES | SET_LISTS | ANSWERS).items():
        await context.go(tab, path)
        await stay(tab)
        for look in AT_NIGHT:
            if look.scheme == "light" and not look.printed:
                await tab.viewport(look.width, look.height)
                bad += [f"{name} at {look.name}: {fault}" for fault in await faults(tab, look)]
    assert bad == []


async def test_what_visitors_do_leads_to_pages_that_fit(visitor: Visitor, full_site: Site) -> None:
    await visitor.go("/")
    await visitor.ask("https://example.com/" + "long" * 40)
    await visitor.tab.wait_for_visible("#receiver .sorry")
    await visitor.look("asked-wrongly")
    await ListStore(full_site.database).block(
        BlacklistKind.CHANNEL, "shut_out", reason="by us", now=datetime.now(UTC)
    )
    await visitor.ask("neonharbour")
    await visitor.state("found")
    await visitor.tab.click("#wrong summary")
    await visitor.look("reporting")
    await visitor.tab.click("#keep")
    await visitor.look("listening-on")
    await visitor.tab.click("#keep")
    await visitor.go("/finds")
    await visitor.tab.wait_for_visible(".plays li")
    await visitor.look("finds-some")
    await visitor.go("/channels/crowded")
    await visitor.tab.fill("#q", "nothing such")
    await visitor.tab.wait_for("document.querySelectorAll('.plays li:not([hidden])').length === 0")
    await visitor.look("channel-filtered")
    await visitor.go("/?target=shut_out")
    await visitor.state("failed")
    await visitor.look("blocked")
    if visitor.browser.name == "chromium":
        await visitor.offline(True)
        await visitor.ask("somechannel")
        await visitor.state("failed")
        await visitor.look("offline")
        await visitor.offline(False)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(site: Site, tmp_path: Path) -> AsyncIterator[Site]:
    """Another server, on which nothing was done yet."""
    known = known_to_twitch(site.viewer) | {"admins": (VIC,)}
    async with (
        staged(tmp_path, **known) as stage,
        open_database(f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}") as database,
    ):
        callback = f"{stage.address}/login/callback"
        site.viewer.twitch.accounts.allow_redirect(OWN_APPLICATION.client_id, callback)
        yield Site(stage, database, site.viewer)


async def test_the_operators_desk_fits_and_can_be_read_empty_and_full(visitor: Visitor, desk: Site) -> None:
    visitor.address = desk.stage.address
    await visitor.sign_in()
    bad: list[str] = []
    for seeded in (False, True):
        if seeded:
            await seed_desk(desk.database, FULL, datetime.now(UTC))
            desk.stage.clock.ahead += RULES_SECONDS
        for place in DESK if visitor.nightly or seeded else DESK[::5]:
            await visitor.go(f"/admin{place}")
            name = f"desk{place.replace('/', '-')}-{'full' if seeded else 'empty'}"
            alike = place in DESK_ALIKE or not seeded
            bad += await visitor.faults(name, axe=visitor.nightly or not alike, on_phone_alone=alike)
    for path in (f"/channels/{VIC}", "/videos/3", "/finds"):
        await visitor.go(path)
        bad += await visitor.faults(f"signed-in{path.replace('/', '-')}", axe=visitor.nightly)
    await visitor.sign_out()
    assert bad == []
