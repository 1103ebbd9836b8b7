"""Click, and know the song: on every kind of page, in every way of looking at it."""

import pytest

from tests.browser.extension.conftest import (
    BUTTON,
    LIVE,
    LIVE_TITLE,
    PANEL,
    Installed,
    panel_field,
    state_is,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_click_on_a_live_channel_names_the_song(extension: Installed) -> None:
    tab = await extension.channel()
    assert await tab.attribute(PANEL, "data-state") == "idle"
    await tab.click(BUTTON)
    await state_is(tab, "found")
    assert await panel_field(tab, "title") == LIVE_TITLE
    assert LIVE in (await tab.text(f"{PANEL} >>> .about") or "")
    await extension.picture(tab, "found")
