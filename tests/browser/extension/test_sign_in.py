"""Signing in with Twitch from the extension: who may ask, and what is kept, renewed and given back."""

import asyncio
import json

import pytest

from simulator.accounts import OWN_APPLICATION
from tests.browser.extension.conftest import (
    BUTTON,
    LIVE_TITLE,
    PANEL,
    Installed,
    panel_field,
    panel_text,
    state_is,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = """new Promise((resolve, reject) => {
  const request = indexedDB.open("twitchaudio", 1);
  request.onsuccess = () => {
    const got = request.result.transaction("secrets").objectStore("secrets").getAll();
    got.onsuccess = () => { request.result.close(); resolve(got.result); };
  };
  request.onerror = reject;
})"""


async def _token(extension: Installed) -> str | None:
    secrets = await extension.pages.evaluate(SECRET)
    return secrets[0]["token"] if secrets else None


@pytest.mark.both_browsers
async def test_a_subscriber_signs_in_in_the_page_and_gets_the_answer(extension: Installed) -> None:
    await extension.use(extension.town.members)
    extension.town.twitch.world.accounts.sign_in("subscriber_sue")
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "error")
    assert "Sign in first" in await panel_text(tab)
    await extension.picture(tab, "error-sign-in")
    await tab.click(f'{PANEL} >>> [data-act="sign-in"]')
    await state_is(tab, "found")
    assert await panel_field(tab, "title") == LIVE_TITLE
    overview = await extension.message("overview")
    assert overview["account"] == {"kind": "twitch", "login": "subscriber_sue"}


async def test_who_does_not_subscribe_is_told_what_to_do_and_a_code_lets_them_in(extension: Installed) -> None:
    members = extension.town.members
    await extension.use(members)
    tab = await extension.channel()
    assert await extension.message("sign-in") is None
    await tab.activate()
    await tab.click(BUTTON)
    await state_is(tab, "error")
    assert "For subscribers only" in await panel_text(tab)
    assert await tab.attribute(f'{PANEL} >>> [data-act="subscribe"]', "href") is not None
    await extension.picture(tab, "error-subscribe")
    code = await members.new_code()
    options = await extension.open("options/options.html")
    await options.wait_for("document.querySelector('#code').checkVisibility()")
    await options.fill("#code", "WRONG-CODE")
    await options.click("#code-form button")
    await options.wait_for_text("#code-says", "does not work")
    await options.fill("#code", code)
    await options.click("#code-form button")
    await options.wait_for_text("#code-says", "redeemed")
    await tab.activate()
    await tab.press("Escape")
    await tab.click(BUTTON)
    await state_is(tab, "found")


@pytest.mark.both_browsers
async def test_saying_no_is_understood(extension: Installed) -> None:
    await extension.use(extension.town.members)
    extension.town.twitch.world.accounts.sign_in(None)
    assert (await extension.message("sign-in"))["code"] == "sign-in-cancelled"
    assert (await extension.message("overview"))["account"]["kind"] == "none"


@pytest.mark.both_browsers
async def test_an_address_that_the_operator_did_not_register_is_told(extension: Installed) -> None:
    await extension.use(extension.town.members)
    applications = extension.town.twitch.world.accounts.applications
    before = applications[OWN_APPLICATION.client_id]
    applications[OWN_APPLICATION.client_id] = OWN_APPLICATION
    try:
        # Twitch shows its own error in a window, which the viewer closes; Chromium gives up by itself.
        asked = asyncio.create_task(extension.message("sign-in"))
        while not asked.done():
            tabs = await extension.browser.tabs()
            for address, window in tabs.items():
                if "id.twitch.tv" in address:
                    await window.close()
            await asyncio.sleep(0.2)
        assert (await asked)["code"] in ("sign-in-cancelled", "sign-in-failed")
    finally:
        applications[OWN_APPLICATION.client_id] = before


@pytest.mark.both_browsers
async def test_the_token_is_kept_out_of_reach_sent_nowhere_else_and_revoked_at_sign_out(
    extension: Installed,
) -> None:
    accounts = extension.town.twitch.world.accounts
    await extension.use(extension.town.members)
    assert await extension.message("sign-in") is None
    token = await _token(extension)
    assert token is not None
    grant = accounts.look_up(token)
    assert grant is not None
    assert set(grant.scopes) == {"user:read:subscriptions"}
    # Content scripts can read storage.local in Firefox: the token is not there, nor in a page.
    assert token not in json.dumps(await extension.pages.evaluate("browser.storage.local.get()"))
    tab = await extension.channel()
    assert token not in await tab.evaluate("document.documentElement.outerHTML + JSON.stringify(localStorage)")
    await extension.message("sign-out")
    assert await _token(extension) is None
    assert accounts.look_up(token) is None
    # Another server does not get the token of this one, and this one's is void.
    assert await extension.message("sign-in") is None
    token = await _token(extension)
    assert token is not None
    await extension.use(extension.town.open)
    assert await _token(extension) is None
    assert accounts.look_up(token) is None


async def test_a_token_that_ran_out_is_renewed_without_asking_or_asked_for_again(extension: Installed) -> None:
    accounts, members = extension.town.twitch.world.accounts, extension.town.members
    accounts.sign_in("subscriber_sue")
    await extension.use(members)
    assert await extension.message("sign-in") is None
    first = await _token(extension)
    assert first is not None
    assert accounts.revoke(first, OWN_APPLICATION.client_id)
    await members.stop()
    await members.start()  # it knows no token any more, as after ten minutes
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "found")
    second = await _token(extension)
    assert second not in (None, first)
    assert accounts.revoke(second or "", OWN_APPLICATION.client_id)
    accounts.sign_in(None)
    await members.stop()
    await members.start()
    await tab.press("Escape")
    await tab.click(BUTTON)
    await state_is(tab, "error")
    assert "Your sign-in has expired" in await panel_text(tab)
    assert await tab.visible(f'{PANEL} >>> [data-act="sign-in"]')
    assert await _token(extension) is None


async def test_a_code_signs_in_where_the_window_does_not(extension: Installed) -> None:
    await extension.use(extension.town.members)
    options = await extension.open("options/options.html")
    await options.wait_for("document.querySelector('#device').checkVisibility()")
    await options.click("#device")
    await options.wait_for("document.querySelector('#device-box').checkVisibility()")
    await extension.picture(options, "options-device")
    address = await options.attribute("#device-link", "href")
    assert address is not None
    assert address.startswith("https://www.twitch.tv/activate?")
    async with extension.browser.tab(address) as twitch:
        assert "true" in (await twitch.evaluate("document.body.textContent"))
    await options.activate()
    await options.wait_for_text("#account", "Signed in as viewer_vic")


async def test_an_api_key_works_in_place_of_signing_in(extension: Installed) -> None:
    members = extension.town.members
    await extension.use(members)
    key = await members.new_key("streams")
    options = await extension.open("options/options.html")
    for typed, said in (("ta_wrong-but-long-enough", "not valid"), (key, "works and is saved")):
        await options.fill("#key", typed)
        await options.click("#key-form button")
        await options.wait_for_text("#key-says", said)
    await options.wait_for_text("#account", "Using an API key")
    tab = await extension.channel()
    await tab.click(BUTTON)
    await state_is(tab, "found")
    assert key not in json.dumps(await extension.pages.evaluate("browser.storage.local.get()"))
