"""A channel's owner corrects and hides plays on its page, and everything that is open follows."""

import pytest

from fingerprint.ports import Match
from tests.browser.bidi.tab import Tab
from tests.browser.bidi.user_context import Look, UserContext
from tests.browser.conftest import Contexts
from tests.browser.site import FULL, VIC, Site, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASK = (
    "const answer = await fetch('/api/v1/identifications', {method: 'POST', body: args[0],"
    "headers: {'Content-Type': 'application/json', Prefer: 'wait=10'}}); return answer.status;"
)


async def says(tab: Tab, text: str) -> None:
    await tab.wait_for("(text) => document.body.innerText.includes(text)", text, of=text)


async def test_open_overlays_and_set_lists_follow_what_the_owner_decides(visitor: Visitor, site: Site) -> None:
    page, title = f"/channels/{VIC}", "document.querySelector('#title').textContent"
    async with (
        visitor.browser.tab(f"{site.stage.address}/overlay/{VIC}") as overlay,
        visitor.browser.tab(f"{site.stage.address}{page}") as viewer,
    ):
        await says(viewer, "No songs yet")
        assert await viewer.run(ASK, f'{{"channel": "{VIC}"}}') == 200
        await says(viewer, FULL.title)
        await overlay.wait_for(f"{title} === '{FULL.title}'")
        # Clicks wait for frames, which a tab behind others does not draw.
        await visitor.tab.activate()
        await visitor.sign_in()
        await visitor.go(page)
        await visitor.tab.click("details.edit summary")
        if visitor.nightly:
            await visitor.look("play-edit")
        await visitor.tab.tab_to("details.edit input[name=title]", most=1)
        await visitor.tab.press("Escape")
        await visitor.tab.wait_for_focus("details.edit:not([open]) summary")
        await visitor.tab.press("Enter")
        # A list that is written anew leaves the focus where it was.
        await viewer.of(".plays .title", "(link) => link.focus()")
        await visitor.tab.fill("details.edit input[name=title]", "Harbor Lights")
        await visitor.tab.click("button :: Save")
        await visitor.says("The play is corrected.")
        if visitor.nightly:
            await visitor.look("play-corrected")
        await overlay.wait_for(f"{title} === 'Harbor Lights'")
        await says(viewer, "Corrected by the channel")
        await viewer.wait_for_focus(".plays .title :: Harbor Lights")
        await visitor.tab.click("details.edit summary")
        await visitor.tab.click("button :: Hide this play")
        await visitor.says("The play is hidden.")
        await overlay.wait_for("document.querySelector('#card').hidden")
        assert not await overlay.evaluate(title)
        await says(viewer, "No songs yet")
        await visitor.tab.click("button :: Undo")
        await says(viewer, FULL.title)
        assert await viewer.evaluate("document.querySelector('.plays .corrected')") is None
        await overlay.wait_for(f"{title} === '{FULL.title}' && !document.querySelector('#card').hidden")
    await visitor.sign_out()


async def test_plays_are_corrected_and_hidden_without_javascript(contexts: Contexts, site: Site) -> None:
    site.stage.matches = [Match(song=FULL, score=0.93)]
    page = "/channels/plain_page"
    context, tab = await contexts.open(site.stage.address, page, Look(390, 844, scripting=False))
    await _found(context, tab)
    await context.go(tab, "/login")
    await says(tab, "Sign out")
    await context.go(tab, page)
    await tab.click("details.edit summary")
    await tab.fill("details.edit input[name=title]", "Harbor Lights")
    await tab.click("button :: Save")
    await says(tab, "The play is corrected.")
    assert await tab.text(".plays b") == "Harbor Lights"
    assert await tab.text(".plays .corrected") == "Corrected by the channel"
    await tab.click("details.edit summary")
    await tab.click("button :: Hide this play")
    await says(tab, "The play is hidden.")
    assert await tab.count(".plays li") == 0
    await tab.click("button :: Undo")
    await tab.wait_for_visible(".plays li")
    assert await tab.text(".plays b") == FULL.title
    await context.go(tab, "/logout")
    await tab.click("main .primary")


async def _found(context: UserContext, tab: Tab) -> None:
    """Have the song identified with the page's own form."""
    await tab.click("form.now button")
    await tab.wait_for_visible("h2 :: Neon Harbour Drive")
