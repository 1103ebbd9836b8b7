"""What a viewer is told when something does not work, and that it works again afterwards."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import Step
from tests.browser.bidi.front import UNTRUSTED
from tests.browser.extension.conftest import (
    BUTTON,
    EXTENSION,
    LIVE_TITLE,
    PANEL,
    Installed,
    button_placed,
    panel_field,
    panel_text,
    state_is,
)
from tests.browser.extension.pretender import HEARD, HOST, NOTHING, Pretender

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORDS: dict[str, dict[str, str]] = json.loads(
    (EXTENSION / "_locales/en/messages.json").read_text(encoding="utf-8")
)


async def test_a_refusal_is_explained_in_its_own_words(extension: Installed, pretender: Pretender) -> None:
    tab = await extension.channel()
    # tests/unit/extension/library.test.js has all of them.
    for code in ("subscription-required", "ad-break", "rate-limited"):
        pretender.refuse(code)
        await tab.click(BUTTON)
        await state_is(tab, "error")
        key = str(code).replace("-", "_")
        said = await panel_text(tab)
        assert WORDS[f"problem_{key}_heading"]["message"] in said
        assert WORDS[f"problem_{key}_text"]["message"] in said
        await tab.press("Escape")
        await state_is(tab, "idle")


async def test_a_refusal_that_nobody_knows_yet_is_told_in_the_servers_words(
    extension: Installed, pretender: Pretender
) -> None:
    pretender.refuse("moon-phase")
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "error")
    assert "The server's own words on moon-phase." in await panel_text(tab)


async def test_a_wait_counts_down_before_the_next_try(extension: Installed, pretender: Pretender) -> None:
    pretender.refuse("rate-limited", retry_after_seconds=3)
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "error")
    retry = f'{PANEL} >>> [data-act="retry"]'
    assert (await tab.text(retry) or "").startswith("Try again in ")
    await extension.picture(tab, "error-wait")
    await tab.wait_for_text(retry, "Try again")
    await tab.wait_for(f"!document.querySelector('{PANEL}').shadowRoot.querySelector('[data-act=retry]').disabled")
    await extension.use(extension.town.open)
    await tab.click(retry)
    await state_is(tab, "found")


HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'


async def test_song_data_is_text_and_never_markup(extension: Installed, pretender: Pretender) -> None:
    song: dict[str, Any] = {
        "title": HOSTILE,
        "artists": [HOSTILE, "\u202eevil"],
        "album": HOSTILE,
        "duration": 100,
        "offset": 5,
        "links": {
            "spotify": "javascript:alert(1)",
            "youtube": "https://youtube.com.evil.example/",
            "deezer": None,
        },
    }
    answer = {
        "id": "x",
        "kind": "stream",
        "target": HOSTILE,
        "status": "successful",
        "stage": "done",
        "created_at": "2026-01-01T00:00:00Z",
        "finished_at": None,
        "song": song,
        "songs": NOTHING,
        "problem": None,
    }
    pretender.answers["POST /api/v1/identifications"] = (200, answer)
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "found")
    assert await panel_field(tab, "title") == HOSTILE
    for service in ("spotify", "youtube", "deezer", "apple_music"):
        address = await tab.attribute(f'{PANEL} >>> [data-field="{service}"]', "href")
        assert (address or "").startswith("https://"), service
        assert "evil.example" not in (address or "")
    assert await tab.evaluate("document.title") != "owned"
    popup = await extension.open("popup/popup.html")
    assert HOSTILE in (await popup.text("#songs") or "")
    assert await popup.evaluate("document.querySelectorAll('#songs img, #songs script').length") == 0


async def test_what_is_no_server_of_ours_and_what_is_too_old_are_told_apart(
    extension: Installed, pretender: Pretender
) -> None:
    tab = await extension.channel()
    for answer, heading in (
        ((200, "<h1>A shop</h1>"), "No TwitchAudio server there"),
        ((502, "<h1>Bad gateway</h1>"), "The server is not ready"),
        ((403, "<h1>Company proxy</h1>"), "Something on the way blocks the connection"),
        ((404, {"code": "not-found", "detail": "There is nothing at this address."}), "too old"),
        ((200, {"id": "x", "state": "done"}), "too old"),
    ):
        pretender.answers["POST /api/v1/identifications"] = answer
        await tab.click(BUTTON)
        await state_is(tab, "error")
        assert heading in await panel_text(tab)
        await tab.press("Escape")
    saved = await extension.message("set-server", server="https://songs.example/")
    assert saved is None
    pretender.answers["GET /api/v1/status"] = (200, "<h1>A shop</h1>")
    assert (await extension.message("set-server", server=f"https://{HOST}"))["code"] == "not-a-server"
    pretender.answers["GET /api/v1/status"] = (200, {"version": "0"})
    assert (await extension.message("set-server", server=f"https://{HOST}"))["code"] == "server-too-old"


@pytest.mark.both_browsers
async def test_an_untrusted_certificate_has_its_sentence(extension: Installed) -> None:
    assert "does not trust its certificate" in await extension.save_server(f"https://{UNTRUSTED}")
    problem = await extension.message("set-server", server=f"https://{UNTRUSTED}")
    assert problem["code"] == "connection-not-secure"
    assert [action["name"] for action in problem["actions"]] == ["retry", "open-server", "options"]


@pytest.mark.both_browsers
async def test_only_https_or_this_machine_is_accepted(extension: Installed) -> None:
    for address in (
        "http://songs.example",
        "ftp://x.example",
        "https://user:pw@x.example",
        "https://x.example/docs",
        "x y",
    ):
        assert (await extension.message("set-server", server=address))["code"] == "address-invalid", address
    assert (await extension.message("set-server", server="https://elsewhere.example"))[
        "code"
    ] == "permission-missing"


async def test_a_server_that_went_away_and_came_back(extension: Installed) -> None:
    server = extension.town.open
    tab = await extension.channel()
    await server.stop()
    try:
        await tab.click(BUTTON)
        await state_is(tab, "error")
        assert "The server does not answer" in await panel_text(tab)
        assert str(server.address.authority) in await panel_text(tab)
        await extension.picture(tab, "error-server-down")
    finally:
        await server.start()
    await tab.click(f'{PANEL} >>> [data-act="retry"]')
    await state_is(tab, "found")
    assert await panel_field(tab, "title") == LIVE_TITLE


@pytest.mark.both_browsers
async def test_the_answer_comes_although_the_background_is_stopped_in_mid_job(extension: Installed) -> None:
    twitch = extension.town.twitch
    tab = await extension.channel()
    twitch.latency.set(0, {Step.SEGMENT: 3000})
    try:
        await tab.click(BUTTON)
        await state_is(tab, "working")
        for _ in range(3):
            await asyncio.sleep(0.4)
            await extension.stop_background()
        await state_is(tab, "found", seconds=25)
        assert await panel_field(tab, "title") == LIVE_TITLE
    finally:
        twitch.latency.set()


@pytest.mark.both_browsers
async def test_a_page_that_was_open_during_an_update_goes_on_with_one_button(
    extension: Installed, pretender: Pretender
) -> None:
    running = {**HEARD, "status": "running", "stage": "capturing", "song": None}
    pretender.answers["POST /api/v1/identifications"] = (202, running)
    pretender.answers["GET /api/v1/identifications/x"] = (200, running)
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "working")
    await extension.update()
    await tab.activate()
    await state_is(tab, "idle")
    await button_placed(tab)
    # The old script must not put its own button back.
    await tab.run(
        "twitch.replaceBar(); await new Promise((resolve) => setTimeout(resolve, 300)); twitch.replaceBar()"
    )
    await button_placed(tab)
    assert await tab.count(BUTTON) == 1
    pretender.answers["POST /api/v1/identifications"] = (200, HEARD)
    await tab.click(BUTTON)
    await state_is(tab, "found")
    assert await tab.count(BUTTON) == 1


async def test_a_page_that_an_update_leaves_behind_says_so(extension: Installed, pretender: Pretender) -> None:
    if extension.browser.name == "firefox":
        return  # it ends the old scripts itself
    pretender.answers["POST /api/v1/identifications"] = (200, HEARD)
    tab = await extension.channel()
    await extension.withhold_twitch()
    try:
        await extension.update()
        await tab.activate()
        await tab.click(BUTTON)
        await state_is(tab, "error")
        assert "Reload this page" in await panel_text(tab)
        assert await tab.attribute(BUTTON, "aria-busy") == "false"
        await extension.picture(tab, "error-updated")
        await tab.press("Escape")
        await state_is(tab, "idle")
    finally:
        await extension.allow_twitch(extension.pages)
    await button_placed(tab)
    await tab.click(BUTTON)
    await state_is(tab, "found")


async def test_no_word_is_missing_in_any_language() -> None:
    languages = {path.parent.name: json.loads(path.read_text("utf-8")) for path in _locales()}
    assert set(languages) >= {"ar", "de", "en", "es", "fr"}
    for words in languages.values():
        assert words.keys() == WORDS.keys()
        for key, entry in words.items():
            assert entry["message"].strip()
            assert [n for n in "123" if f"${n}" in entry["message"]] == [
                n for n in "123" if f"${n}" in WORDS[key]["message"]
            ], key


def _locales() -> list[Path]:
    return sorted((EXTENSION / "_locales").glob("*/messages.json"))
