"""Pages in Chromium and Firefox, on a phone and on a desk, in each access mode, signed in and not.

Each has to fit, and leaves pictures for people to look at with `--pictures` (tests/browser/looks.py). axe-core
looks at each in Chromium once; with `--nightly`, at those of THOROUGHLY in both browsers in every look. What it
reads comes from the same files everywhere. The states that an address leads to are in test_states.py.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final

import pytest

from fingerprint.domain.identification import Stage
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Match
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.codes import CodeStore
from server.access.rules.list_store import ListStore
from server.channels.reports import ReportStore
from tests.browser.site import FULL, HOSTILE, VIC, Site, Visitor
from tests.builders import song
from tests.seeds import seed_evening

pytestmark = pytest.mark.asyncio(loop_scope="session")

TITLES: Final = [
    pytest.param(HOSTILE[0], id="html"),
    pytest.param(HOSTILE[1], id="right-to-left"),
    pytest.param(HOSTILE[2], id="emoji", marks=pytest.mark.nightly),
    pytest.param(HOSTILE[3], id="long"),
    pytest.param(HOSTILE[4], id="words", marks=pytest.mark.nightly),
]


# --- The faces ------------------------------------------------------------------------------------------


async def test_the_start_page_in_every_state(visitor: Visitor, site: Site) -> None:
    await visitor.go("/")
    await visitor.look("home")
    site.stage.hold, site.stage.go = Stage.CAPTURING, asyncio.Event()
    await visitor.ask()
    await visitor.says("Listening")
    await visitor.look("home-working")
    site.stage.go.set()
    await visitor.state("found")
    await visitor.look("home-found")
    link = await visitor.tab.of("[data-link=youtube]", "(link) => link.href")
    assert link.startswith("https://www.youtube.com/watch?v=dQw4w9WgXcQ")
    site.stage.hold = None
    site.stage.matches = []
    await visitor.ask("nothing_here")
    await visitor.state("none")
    await visitor.look("home-none")
    site.stage.problem = TwitchAudioError(ProblemCode.NOT_LIVE, "The channel quiet_one is not live.")
    await visitor.ask("quiet_one")
    await visitor.state("failed")
    await visitor.look("home-failed")


async def test_who_may_ask_in_each_mode_and_signed_in_by_each_way(visitor: Visitor, site: Site) -> None:
    rules, lists = site.rules, ListStore(site.database)
    try:
        await rules(access_mode="login", motd="Back at <b>noon</b> \u202ewith more music.")
        await visitor.go("/")
        await visitor.says("Sign in to identify songs")
        await visitor.look("login-signed-out")
        await visitor.tab.click(".gate .primary")
        await visitor.says(f"Signed in as {VIC}.")
        await visitor.look("login-signed-in")
        await visitor.ask()
        await visitor.state("found")
        await rules(access_mode="subscribers")
        await visitor.go("/")
        await visitor.says("you don't have access yet")
        await visitor.look("subscribers-refused")
        # An access code, by the keyboard alone.
        _, code = await CodeStore(site.database).create(now=datetime.now(UTC))
        await visitor.tab.fill("#code", code.reveal())
        await visitor.tab.press("Enter")
        await visitor.says(f"Signed in as {VIC}.")
        await visitor.look("subscribers-let-in")
        for each in await CodeStore(site.database).all():
            await CodeStore(site.database).revoke(each.id, datetime.now(UTC))
        await lists.allow(VIC, note="", now=datetime.now(UTC))
        await rules()
        await visitor.go("/")
        await visitor.says(f"Signed in as {VIC}.")
        await visitor.ask()
        await visitor.state("found")
        await lists.disallow(VIC)
        await visitor.go("/logout")
        await visitor.look("logout")
        await visitor.tab.click("main .primary")
        await visitor.says("For subscribers and guests")
        await visitor.look("subscribers-signed-out")
        await rules(maintenance="on")
        await visitor.go("/")
        await visitor.says("Back in a little while")
        await visitor.look("maintenance")
        await rules(maintenance="off", active="off")
        await visitor.go("/")
        await visitor.says("Switched off")
        await visitor.look("inactive")
    finally:
        await rules(access_mode="open", maintenance="off", active="on", motd="")


async def test_set_list_docs_overlay_and_refusals(visitor: Visitor, site: Site) -> None:
    await visitor.go("/channels/somechannel")
    await visitor.says("8 songs, heard 16 times in all")
    await visitor.look("channel")
    await visitor.go("/channels/nobody_asked")
    await visitor.look("channel-empty")
    await visitor.go("/overlay/somechannel?position=top-right&size=150&hide=0")
    await visitor.says("Slow Bloom")
    await visitor.look("overlay")
    assert await visitor.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    await visitor.go("/nothing-here")
    await visitor.look("not-found")
    await visitor.go("/docs")
    await visitor.look("docs")


async def test_the_channels_owner_makes_a_token(visitor: Visitor, site: Site) -> None:
    await visitor.sign_in()
    await visitor.go(f"/channels/{VIC}")
    await visitor.tab.click("#bots summary")
    await visitor.tab.fill("#note", "Nightbot")
    await visitor.tab.press("Enter")
    await visitor.says("won't see it again")
    await visitor.look("channel-token")
    await visitor.tab.click(".tokens button")
    await visitor.tab.wait_for("!document.querySelector('.tokens')")
    await visitor.sign_out()


# --- What happens by itself -------------------------------------------------------------------------------


@pytest.mark.both_browsers
async def test_a_song_that_is_found_appears_in_set_list_and_overlay(visitor: Visitor, site: Site) -> None:
    channel = f"fresh_{visitor.browser.name}"
    async with visitor.browser.tab(f"{site.stage.address}/overlay/{channel}") as overlay:
        assert not await overlay.visible("#card")
        await visitor.go(f"/channels/{channel}")
        await visitor.says("No songs yet")
        answer = await visitor.tab.run(
            "const answer = await fetch('/api/v1/identifications', {method: 'POST', body: args[0],"
            "headers: {'Content-Type': 'application/json', Prefer: 'wait=10'}}); return answer.status;",
            f'{{"channel": "{channel}"}}',
        )
        assert answer == 200
        await visitor.says("Neon Harbour Drive")
        await overlay.wait_for("document.querySelector('#title').textContent === 'Neon Harbour Drive'")
        assert await overlay.visible("#card")
        assert await overlay.text("#artists") == "Vela Coast, Mira Sol"
    await visitor.tab.fill("#q", "mira")
    assert await visitor.tab.visible(".plays li")
    assert await visitor.tab.visible(".timeline a")
    await visitor.tab.fill("#q", "nothing such")
    await visitor.tab.wait_for("document.querySelector('#count').textContent === 'No songs match “nothing such”.'")
    assert not await visitor.tab.visible(".timeline a"), "the time line shows what the list does not"
    assert await visitor.tab.attribute("#count", "role") == "status"
    await visitor.tab.press("Escape")
    await visitor.tab.wait_for_visible(".plays li")
    await visitor.tab.wait_for_focus("#q:placeholder-shown")


async def test_another_try_listens_to_more_until_a_song_is_found(visitor: Visitor, site: Site) -> None:
    site.stage.matches = []
    asked = len(site.stage.asked)
    await visitor.go("/")
    await visitor.ask("talking_a_lot")
    await visitor.state("none")
    assert await visitor.tab.text("#again-button") == "Try again with more audio"
    await visitor.tab.click("#again-button")
    await visitor.tab.wait_for("document.querySelector('#receiver').dataset.state === 'none'")
    async with asyncio.timeout(60):
        while len(site.stage.asked) < asked + 4:  # noqa: ASYNC110 - the server asks
            await asyncio.sleep(0.05)
    await visitor.state("none")
    site.stage.matches = [Match(song=FULL, score=0.9)]
    await visitor.tab.click("#again-button")
    await visitor.state("found")
    assert len(site.stage.asked) == asked + 5


async def test_the_operators_desk(visitor: Visitor, site: Site) -> None:
    await visitor.sign_in()
    await visitor.go("/admin/keys")
    await visitor.tab.fill("#field-name", HOSTILE[0][:100])
    await visitor.tab.press("Enter")
    await visitor.says("You won't see it again")
    await visitor.look("desk-key-made")
    # By the keyboard alone, which goes on from what was just said: asked first, cancelled, done, and undone.
    await visitor.tab.wait_for_focus(".note")
    await visitor.tab.tab_to("td .ask summary")
    await visitor.tab.press("Enter")
    await visitor.says("Programs that use it are refused")
    await visitor.tab.tab_to("td .ask button", most=1)
    await visitor.tab.press("Escape")
    await visitor.tab.wait_for_focus("td .ask:not([open]) summary")
    await visitor.tab.press("Enter")
    await visitor.tab.tab_to("td .ask button", most=1)
    await visitor.tab.press("Enter")
    await visitor.says("is revoked")
    await visitor.tab.tab_to(".note button", most=1)
    await visitor.tab.press("Enter")
    await visitor.says("is valid again")
    await visitor.go("/admin/blacklist")
    await visitor.tab.fill("#field-value", "no such user!")
    await visitor.tab.press("Enter")
    await visitor.says("user takes a Twitch login")
    await visitor.look("desk-refused")
    await visitor.sign_out()


async def test_the_desks_menu_is_one_row_on_a_phone_with_the_pages_own_tab_in_sight(visitor: Visitor) -> None:
    await visitor.sign_in()
    await visitor.tab.viewport(390, 844)
    await visitor.go("/admin/logs")
    own = "document.querySelector('.tabs [aria-current]').getBoundingClientRect()"
    assert await visitor.tab.evaluate(f"document.querySelector('.tabs').offsetHeight < 2.5 * {own}.height")
    await visitor.tab.wait_for(f"{own}.left >= 0 && {own}.right <= innerWidth + 1")
    await visitor.tab.viewport(600, 390)
    await visitor.go("/admin/watches")
    await visitor.tab.viewport(390, 600)
    await visitor.tab.wait_for(f"{own}.left >= 0 && {own}.right <= innerWidth + 1")
    await visitor.tab.viewport(1280, 900)
    await visitor.sign_out()


async def test_a_wrong_song_is_told_to_the_operator(visitor: Visitor, site: Site) -> None:
    await visitor.go("/")
    await visitor.ask(f"wrong_{visitor.browser.name}")
    await visitor.state("found")
    await visitor.tab.click("#wrong summary")
    await visitor.tab.fill("#report input[name=note]", "It is Dawn")
    await visitor.tab.press("Escape")
    await visitor.tab.wait_for_focus("#wrong:not([open]) summary")
    await visitor.tab.press("Enter")
    await visitor.tab.tab_to("#report button", most=3)
    await visitor.tab.press("Enter")
    await visitor.says("Thank you.")
    await visitor.tab.wait_for_focus("#thanks")
    (newest, *_) = await ReportStore(site.database).newest()
    assert (newest.target, newest.note) == (f"wrong_{visitor.browser.name}", "It is Dawn")


async def test_the_docs_send_what_they_describe(visitor: Visitor, site: Site) -> None:
    await visitor.go("/docs")
    form = 'form[data-method="POST"][data-path="/api/v1/identifications"]'
    await visitor.tab.of(form, "(form) => form.scrollIntoView()")
    await visitor.tab.click(f"{form} button[type=submit]")
    await visitor.tab.wait_for(
        "(form) => document.querySelector(form).querySelector('.result').textContent.includes('Neon Harbour')",
        form,
    )
    assert (await visitor.tab.text(f"{form} .got") or "").startswith("200")
    # With an API key, which only works where it is sent.
    _, secret = await ApiKeyStore(site.database).create("docs", now=datetime.now(UTC), scopes=("watch",))
    watches = 'form[data-method="GET"][data-path="/api/v1/watches"]'
    await visitor.tab.click(f"{watches} button[type=submit]")
    await visitor.tab.wait_for(
        "(form) => document.querySelector(form).innerText.includes('login-required')", watches
    )
    await visitor.tab.of("#credentials", "(form) => form.scrollIntoView()")
    await visitor.tab.fill("#api-key", secret.reveal())
    await visitor.tab.click(f"{watches} button[type=submit]")
    await visitor.tab.wait_for("(form) => document.querySelector(form).innerText.includes('\"watches\"')", watches)
    # Events, for as long as one likes.
    events = 'form[data-path="/api/v1/channels/{login}/events"]'
    await visitor.tab.fill(f"{events} input[name=login]", "somechannel")
    await visitor.tab.click(f"{events} button[type=submit]")
    await visitor.tab.wait_for("(form) => document.querySelector(form).innerText.includes('event: play')", events)
    await visitor.tab.click(f"{events} .stop")
    await visitor.tab.wait_for("(form) => document.querySelector(form).innerText.includes('Stopped.')", events)
    await visitor.tab.wait_for_focus(f"{events} [type=submit]")


@pytest.mark.parametrize("title", TITLES)
async def test_hostile_names_are_text_and_break_no_page(visitor: Visitor, site: Site, title: str) -> None:
    channel = f"hostile_{HOSTILE.index(title)}_{visitor.browser.name}"[:25]
    await seed_evening(site.database, channel, datetime.now(UTC), [song(title, title, album=title)])
    for path in (f"/channels/{channel}", f"/overlay/{channel}", f"/channels/{channel}?q={title[:3]}"):
        await visitor.go(path)
        shown = await visitor.tab.evaluate("document.body.innerText")
        assert title[:20].strip() in shown or title[:8] in shown, path
        for width in (390, 1280):
            await visitor.tab.viewport(width, 844)
            assert await visitor.tab.evaluate("document.documentElement.scrollWidth") <= width, path
        assert await visitor.tab.evaluate("document.title") != "owned"
    if title in HOSTILE[:4]:
        await visitor.go(f"/channels/{channel}")
        await visitor.look(f"hostile-{HOSTILE.index(title)}")


@pytest.mark.nightly
async def test_the_first_page_is_seen_at_once(visitor: Visitor, site: Site) -> None:
    # The best of many: it is about the page, not about what else the machine does at the moment.
    paints: list[float] = []
    for _ in range(40):
        await visitor.go("/")
        paint = await visitor.tab.wait_for(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime", of="first contentful paint"
        )
        paints.append(paint)
        if paint < 200:
            break
    assert min(paints) < 200, paints
