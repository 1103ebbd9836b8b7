"""Click, and know the song: on channels, clips, VODs and in the popout, with real audio and a real server."""

import asyncio
from typing import Any

import pytest

from simulator.faults import Step
from tests.browser.extension.conftest import (
    AWAY,
    BUTTON,
    CLIP_TITLE,
    LIVE,
    LIVE_TITLE,
    PANEL,
    SLUG,
    UNKNOWN_SLUG,
    VIDEO,
    VIDEO_TITLE,
    Installed,
    button_placed,
    panel_field,
    panel_text,
    state_is,
)
from tests.browser.extension.pretender import HEARD, SONG, Pretender
from tests.pictures import picture

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.both_browsers
async def test_a_click_on_a_live_channel_names_the_song(extension: Installed) -> None:
    tab = await extension.channel()
    assert await tab.attribute(PANEL, "data-state") == "idle"
    await tab.run("twitch.say(40)")
    await tab.click(BUTTON)
    await state_is(tab, "found")
    assert await panel_field(tab, "title") == LIVE_TITLE
    assert await panel_field(tab, "artists")
    assert LIVE in await panel_text(tab)
    for service, host in (
        ("spotify", "open.spotify.com"),
        ("youtube", "www.youtube.com"),
        ("deezer", "www.deezer.com"),
        ("apple_music", "music.apple.com"),
    ):
        address = await tab.attribute(f'{PANEL} >>> [data-field="{service}"]', "href")
        assert address is not None
        assert address.startswith(f"https://{host}/")
    assert await tab.of(f"{PANEL} >>> .cover", "(cover) => cover.querySelectorAll('circle').length") > 20
    await extension.picture(tab, "found-dark")
    await tab.run("twitch.look('light')")
    await tab.click(f"{PANEL} >>> .close")
    await state_is(tab, "idle")
    await tab.click(BUTTON)
    await state_is(tab, "found")
    await extension.picture(tab, "found-light")


async def test_the_stages_are_shown_while_it_works(extension: Installed) -> None:
    twitch = extension.town.twitch
    tab = await extension.channel()
    twitch.latency.set(0, {Step.SEGMENT: 4000})
    try:
        await tab.click(BUTTON)
        await state_is(tab, "working")
        assert await tab.attribute(BUTTON, "aria-busy") == "true"
        await tab.wait_for_text(f"{PANEL} >>> .steps [aria-current]", "Listening")
        await extension.picture(tab, "working-dark")
        await state_is(tab, "found")
        assert await tab.attribute(BUTTON, "aria-busy") == "false"
    finally:
        twitch.latency.set()


@pytest.mark.both_browsers
async def test_a_vod_is_asked_about_at_the_moment_that_is_shown(extension: Installed) -> None:
    tab = await extension.open(f"https://www.twitch.tv/videos/{VIDEO}")
    await button_placed(tab)
    await tab.wait_for("document.querySelector('video').readyState > 0")
    await tab.run(
        "const video = document.querySelector('video'); video.currentTime = 22;"
        "await new Promise((resolve) => video.addEventListener('seeked', resolve, {once: true}));"
    )
    await tab.click(BUTTON)
    await state_is(tab, "found")
    assert await panel_field(tab, "title") == VIDEO_TITLE
    # The server listens to the same moment when it is asked for it, and to another one for the start.
    shown = await tab.text(f"{PANEL} >>> .position span") or ""
    moments = [(await _answer(extension, {"video": VIDEO, "at": at}))["song"]["moment"] for at in (22, 0)]
    assert shown.split(" ")[0] == moments[0]
    there, start = (int(minutes) * 60 + int(seconds) for minutes, seconds in (m.split(":") for m in moments))
    assert there - start > 5


async def _answer(extension: Installed, question: dict[str, Any]) -> dict[str, Any]:
    view = await extension.message("ask", question=question)
    while view["state"] == "working":
        view = await extension.message("poll", id=view["id"])
    return view


@pytest.mark.both_browsers
async def test_a_clip_that_is_known_is_named_without_a_click_and_without_a_job(extension: Installed) -> None:
    requests = extension.town.twitch.requests
    first = await extension.open(f"https://www.twitch.tv/{LIVE}/clip/{SLUG}")
    await button_placed(first)
    await first.click(BUTTON)
    await state_is(first, "found")
    assert await panel_field(first, "title") == CLIP_TITLE
    requests.clear()
    for address in (f"https://clips.twitch.tv/{SLUG}", f"https://www.twitch.tv/{LIVE}/clip/{SLUG}?filter=clips"):
        tab = await extension.open(address)
        await state_is(tab, "found")
        assert await panel_field(tab, "title") == CLIP_TITLE
        assert await tab.evaluate("document.hasFocus() && document.activeElement === document.body")
    assert requests.counts == {}
    await extension.picture(tab, "clip-by-itself")


PRESSED_AFTER = """(panel) => {
  const element = document.querySelector(panel);
  globalThis.came = 0;
  globalThis.found = new Promise((resolve) => {
    new MutationObserver(() => {
      if (element.dataset.state !== "found") return;
      globalThis.came ||= performance.now();
      resolve();
    }).observe(element, {attributes: true});
  });
  document.addEventListener("click", () => { globalThis.late = performance.now() - globalThis.came; }, true);
}"""


async def test_a_press_just_when_the_stored_answer_comes_up_leaves_it_open(extension: Installed) -> None:
    await _answer(extension, {"clip": SLUG})
    tab = await extension.channel()
    late: Any = None
    for _ in range(50):
        await tab.run("await twitch.go(args[0])", f"/{LIVE}")
        await tab.wait_for("(panel) => document.querySelector(panel)?.dataset.state === 'idle'", PANEL)
        x, y = await tab.locate(BUTTON)
        await tab.evaluate(PRESSED_AFTER, PANEL)
        await tab.move(x, y)
        await tab.run("await twitch.go(args[0]); await globalThis.found", f"/{LIVE}/clip/{SLUG}")
        await tab.click_at(x, y)
        late = await tab.evaluate("globalThis.came && globalThis.late")
        if late and late < 500:
            break
    else:
        pytest.fail(f"the driver never pressed in time: {late}")
    assert await tab.attribute(PANEL, "data-state") == "found"
    await asyncio.sleep(0.7)
    await tab.click(BUTTON)
    await state_is(tab, "idle")


async def test_a_clip_that_nobody_asked_about_stays_quiet_until_the_click_and_a_miss_is_told(
    extension: Installed,
) -> None:
    requests = extension.town.twitch.requests
    requests.clear()
    tab = await extension.open(f"https://clips.twitch.tv/{UNKNOWN_SLUG}")
    await button_placed(tab)
    await asyncio.sleep(0.5)
    assert await tab.attribute(PANEL, "data-state") == "idle"
    assert requests.counts == {}
    await tab.click(BUTTON)
    await state_is(tab, "none")
    assert "No match" in await panel_text(tab)
    assert await tab.text(f'{PANEL} >>> [data-act="retry"]') == "Try again"
    await extension.picture(tab, "none-dark")


async def test_a_channel_that_is_not_live_is_told_with_the_next_step(extension: Installed) -> None:
    # The page still shows a player: the stream has just ended.
    tab = await extension.channel("old_timer")
    channel = extension.town.twitch.channel("old_timer")
    channel.configure(offline=True)
    try:
        await tab.click(BUTTON)
        await state_is(tab, "error")
        assert "Not live right now" in await panel_text(tab)
        await extension.picture(tab, "error-not-live")
    finally:
        channel.configure(offline=False)


async def test_an_offline_channel_has_no_player_and_gets_no_button(extension: Installed) -> None:
    tab = await extension.open(f"https://www.twitch.tv/{AWAY}")
    await asyncio.sleep(1.0)
    assert not await tab.evaluate("document.querySelector('[data-twitchaudio]') !== null")


async def test_the_popout_player_has_the_button(extension: Installed) -> None:
    tab = await extension.open(f"https://player.twitch.tv/?channel={LIVE}&player=popout&parent=twitch.tv")
    await button_placed(tab)
    await tab.click(BUTTON)
    await state_is(tab, "found")
    assert await panel_field(tab, "title") == LIVE_TITLE


async def test_two_tabs_on_one_channel_share_one_capture(extension: Installed) -> None:
    twitch = extension.town.twitch
    tabs = [await extension.channel(), await extension.channel()]
    before = await extension.town.open.jobs()
    twitch.latency.set(0, {Step.SEGMENT: 4000})
    try:
        for tab in reversed(tabs):
            await tab.activate()
            await tab.click(BUTTON)
        for tab in tabs:
            await state_is(tab, "found")
            assert await panel_field(tab, "title") == LIVE_TITLE
    finally:
        twitch.latency.set()
    assert await extension.town.open.jobs() == before + 1


async def test_a_wrong_song_is_reported_to_the_operator(extension: Installed) -> None:
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "found")
    await tab.click(f'{PANEL} >>> [data-act="report"]')
    await tab.type("it is the remix")
    await extension.picture(tab, "report")
    await tab.click(f'{PANEL} >>> [data-act="send-report"]')
    await tab.wait_for(
        "(panel) => document.querySelector(panel).shadowRoot.querySelector('[data-reported]')", PANEL
    )
    assert await tab.attribute(f"{PANEL} >>> [data-reported]", "data-reported") == ""
    assert "Thank you for the report." in await panel_text(tab)


async def test_the_song_can_be_copied(extension: Installed) -> None:
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "found")
    await tab.click(f'{PANEL} >>> [data-act="copy"]')
    await tab.wait_for_text(f"{PANEL} >>> .foot", "Copied")


async def test_the_panel_shows_the_servers_cover_and_that_the_channel_corrected_the_song(
    extension: Installed, pretender: Pretender
) -> None:
    path = f"/api/v1/artwork/{'3f' * 16}-120.jpg"
    artwork = [{"url": path, "width": 120, "height": 80}]
    heard = {**SONG, "title": "Covered", "artwork": artwork, "corrected": True}
    pretender.answers["POST /api/v1/identifications"] = (200, {**HEARD, "song": heard})
    pretender.answers[f"GET {path}"] = (200, picture(width=120, height=80))
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "found")
    shown = f"{PANEL} >>> .cover img"
    await tab.wait_for_visible(shown)
    assert await tab.of(shown, "(image) => image.naturalWidth") == 120
    assert pretender.asked.count(f"GET {path}") == 1
    assert await tab.text(f'{PANEL} >>> [data-field="corrected"]') == "Corrected by the channel"
    await extension.browser.keep_picture(tab, "panel-corrected")
