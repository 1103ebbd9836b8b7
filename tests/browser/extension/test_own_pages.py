"""The pop-up and the options: what they show, what they do, and that everybody can use them."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import Step
from tests.browser.bidi.tab import Tab
from tests.browser.extension.conftest import (
    BUTTON,
    LIVE,
    LIVE_TITLE,
    PANEL,
    SLUG,
    UNKNOWN_SLUG,
    Installed,
    browser_window,
    button_placed,
    panel_text,
    state_is,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

EDGES = Path(__file__).parents[2] / "unit/extension/edges.js"
"""Walks the table of states with the real loop; Node runs it, too."""

AXE = Path(__file__).parents[3] / "requirements/node/node_modules/axe-core/axe.min.js"
# A look differs from the other in its colors alone.
RUN_AXE = """async (within, look) => {
  const options = {resultTypes: ["violations"], ...(look === "light" && {runOnly: ["color-contrast"]})};
  const found = await axe.run(within ? document.querySelector(within) : document, options);
  const where = (each) => each.nodes.map((node) => node.target.flat().join(" ")).join(", ");
  return found.violations.map((each) => `${each.id}: ${where(each)}`);
}"""


# What the button hands to the browser to be saved.
EXPORTED = """async (kind) => {
  const original = URL.createObjectURL;
  const made = new Promise((resolve) => {
    URL.createObjectURL = (blob) => {
      URL.createObjectURL = original;
      resolve(blob.text());
      return original(blob);
    };
  });
  const stay = (event) => { if (event.target.matches("a[download]")) event.preventDefault(); };
  document.addEventListener("click", stay, {once: true});
  document.querySelector(`#${kind}`).click();
  return made;
}"""


async def complaints(tab: Tab) -> list[str]:
    """What axe-core finds wrong in the dark look, and in the light one's colors. Skips when npm's packages are not
    installed.
    """
    if not AXE.exists():
        pytest.skip("axe-core is not installed (scripts/test installs it when npm is there)")
    if not await tab.evaluate("Boolean(globalThis.axe)"):
        await tab.run(AXE.read_text(encoding="utf-8") + "\nglobalThis.axe ??= window.axe;")
    found: list[str] = []
    for look in ("dark", "light"):
        await tab.run("document.documentElement.style.colorScheme = args[0]", look)
        found += [f"{look}: {each}" for each in await tab.evaluate(RUN_AXE, None, look)]
    return found


async def test_the_popup_names_the_song_of_the_tab_and_keeps_it(extension: Installed) -> None:
    channel = await extension.channel()
    popup = await extension.open("popup/popup.html")
    await channel.activate()  # as if the pop-up hung over it
    await popup.wait_for_text("#page", f"Live channel {LIVE}")
    await popup.evaluate("document.querySelector('#identify').click()")
    await popup.wait_for_text("#answer", LIVE_TITLE)
    await state_is(channel, "found")
    await popup.wait_for_text("#songs", LIVE_TITLE)  # which it reads after the answer is shown
    await popup.activate()
    await popup.viewport(360, 560)
    await extension.picture(popup, "popup")
    assert await complaints(popup) == []
    await popup.run("document.documentElement.style.colorScheme = 'dark'")
    await extension.picture(popup, "popup-dark")


async def test_the_songs_can_be_searched_exported_and_cleared(extension: Installed) -> None:
    for question in ({"channel": LIVE}, {"clip": SLUG}):
        view = await extension.message("ask", question=question)
        while view["state"] == "working":
            view = await extension.message("poll", id=view["id"])
    popup = await extension.open("popup/popup.html")
    count = "document.querySelectorAll('#songs li').length"
    assert await popup.evaluate(count) == 2
    shown = "[...document.querySelectorAll('#songs .muted')].map((each) => each.textContent)"
    places = await popup.evaluate(shown)
    assert [place.rpartition(" · ")[2] for place in places] == [f"Clip {SLUG}", LIVE]
    await popup.fill("#search", LIVE_TITLE.split()[0].lower())
    assert await popup.evaluate(count) == 1
    await popup.fill("#search", "no such song")
    assert await popup.evaluate(count) == 0
    await popup.run("document.querySelector('#search').value = ''")
    for kind in ("csv", "json"):
        content = await popup.evaluate(
            EXPORTED,
            kind,
        )
        assert LIVE_TITLE in content
        if kind == "json":
            assert {song["target"] for song in json.loads(content)} == {LIVE, SLUG}
        else:
            assert content.startswith(
                "heard_at,title,artists,album,kind,target,spotify,youtube,deezer,apple_music\r\n"
            )
    for _ in range(2):
        await popup.click("#clear")
    await popup.wait_for_text("#empty", "listed here")
    assert await extension.message("history") == []


async def test_the_popup_says_what_is_wrong_and_shows_the_message_of_the_day(extension: Installed) -> None:
    members = extension.town.members
    await extension.use(members)
    await members.set("motd", "Back at noon & <b>not</b> before.")
    popup = await extension.open("popup/popup.html")
    for _ in range(40):
        if await popup.visible("#motd"):
            break
        await popup.reload()
        await popup.wait_for("document.documentElement.dataset.ready === ''")
    assert await popup.text("#motd") == "Back at noon & <b>not</b> before."
    assert "Not signed in" in (await popup.text("#account") or "")
    assert await popup.text("#sign") == "Sign in with Twitch"
    await popup.viewport(360, 480)
    await extension.picture(popup, "popup-signed-out")
    assert await complaints(popup) == []
    await members.stop()
    try:
        down = await extension.open("popup/popup.html")
        await down.wait_for_text("#problem", "The server does not answer")
        await down.viewport(360, 480)
        await extension.picture(down, "popup-server-down")
    finally:
        await members.start()


async def test_the_options_are_usable_by_everybody_and_forget_everything(extension: Installed) -> None:
    await extension.use(extension.town.members)
    options = await extension.open("options/options.html")
    assert await complaints(options) == []
    await options.viewport(1000, 1350)
    await extension.picture(options, "options")
    assert (await options.text("#redirect") or "").startswith("https://")
    assert "Alt+Shift+S" in (await options.text("#shortcut") or "")
    await options.click("#lookup")
    for _ in range(100):
        if not (await extension.message("settings"))["lookup"]:
            break
    assert not (await extension.message("settings"))["lookup"]
    await options.click("#erase")
    await options.wait_for_text("#erase-says", "deleted")
    assert await extension.pages.evaluate("browser.storage.local.get()") == {}


async def _panel_complaints(tab: Tab, *within: str) -> list[str]:
    """What axe-core finds wrong in parts of a page of Twitch, in either look."""
    found: list[str] = []
    for look in ("dark", "light"):
        await tab.run("twitch.look(args[0])", look)
        for part in within:
            found += [f"{look}: {each}" for each in await tab.evaluate(RUN_AXE, part, look)]
    return found


async def test_every_state_of_the_panel_satisfies_axe_in_both_looks(extension: Installed) -> None:
    if extension.browser.name == "firefox":
        return  # what axe reads comes from the same files
    tab = await extension.channel()
    if not AXE.exists():
        pytest.skip("axe-core is not installed (scripts/test installs it when npm is there)")
    await tab.run(AXE.read_text(encoding="utf-8"))
    twitch = extension.town.twitch
    both = (PANEL, '[data-twitchaudio="button-place"]')
    twitch.latency.set(0, {Step.SEGMENT: 3000})
    try:
        await tab.click(BUTTON)
        await state_is(tab, "working")
        assert await _panel_complaints(tab, *both) == []
    finally:
        twitch.latency.set()
    await state_is(tab, "found")
    assert await _panel_complaints(tab, *both) == []
    await tab.click(f'{PANEL} >>> [data-act="report"]')
    assert await _panel_complaints(tab, PANEL) == []
    await tab.click(f"{PANEL} >>> .close")
    await extension.town.open.stop()
    try:
        await tab.click(BUTTON)
        await state_is(tab, "error")
        assert "does not answer" in await panel_text(tab)
        assert await _panel_complaints(tab, PANEL) == []
    finally:
        await extension.town.open.start()
    clip = await extension.open(f"https://clips.twitch.tv/{UNKNOWN_SLUG}")
    await button_placed(clip)
    await clip.run(AXE.read_text(encoding="utf-8"))
    await clip.click(BUTTON)
    await state_is(clip, "none")
    assert await _panel_complaints(clip, PANEL) == []


async def test_the_asking_loop_goes_each_edge_of_its_table_in_this_browser(extension: Installed) -> None:
    popup = await extension.open("popup/popup.html")
    await popup.run(EDGES.read_text(encoding="utf-8"))
    walk = await popup.evaluate("walkEdges()")
    assert walk["faults"] == []
    assert len(walk["walked"]) >= 71


async def test_the_shortcut_identifies(extension: Installed) -> None:
    tab = await extension.channel()
    commands: list[dict[str, Any]] = await extension.pages.evaluate("browser.commands.getAll()")
    assert [each["shortcut"] for each in commands if each["name"] == "identify"] == ["Alt+Shift+S"]
    # No driver can press a browser's own shortcuts; this is what its handler does.
    await extension.pages.run(
        "const [tab] = (await browser.tabs.query({})).filter((each) => each.active);"
        "await browser.tabs.sendMessage(tab.id, {name: 'identify'});"
    )
    await state_is(tab, "found")
    assert LIVE_TITLE in await panel_text(tab)


@pytest.mark.both_browsers
async def test_songs_of_private_windows_are_not_kept(extension: Installed) -> None:
    if extension.browser.name == "chromium":
        # There nobody but a person can let an extension into private windows; without that it never sees one.
        assert await extension.pages.evaluate("browser.extension.isAllowedIncognitoAccess()") is False
        return
    public = await extension.channel()
    await public.click(BUTTON)
    await state_is(public, "found")
    assert [song["title"] for song in await extension.message("history")] == [LIVE_TITLE]
    await extension.message("clear-history")
    window = await browser_window(extension.browser)
    address = f"https://www.twitch.tv/{LIVE}?private"
    # Loaded with the window: what is asked of one that is still loading its own first page may be lost.
    await window.run("openTrustedLinkIn(args[0], 'window', {private: true})", address)
    private = await extension.browser.wait_for_tab(lambda shown: shown == address)
    extension.opened.append(private)
    await button_placed(private)
    await private.click(BUTTON)
    await state_is(private, "found")
    assert await extension.message("history") == []
