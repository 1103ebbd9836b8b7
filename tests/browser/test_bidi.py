"""The client that drives both browsers: trusted input, shadow roots, names on loopback, nothing else."""

from pathlib import Path

import pytest
from aiohttp import web

from tests.browser.bidi.browser import Browser
from tests.browser.bidi.connection import BidiError
from tests.browser.bidi.front import UNTRUSTED, Front

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = """<!doctype html><title>A page</title><input aria-label="Name"><button>Press</button><div id="host"></div>
<script>
  const said = (event) => { event.target.textContent = `trusted ${event.isTrusted}`; };
  document.querySelector("button").onclick = said;
  const root = document.querySelector("#host").attachShadow({mode: "open"});
  root.innerHTML = "<button>Inner</button>";
  root.firstChild.onclick = (event) => { event.target.textContent = "pressed"; };
</script>"""


LID = "position: fixed; inset: 0"


@pytest.fixture
def page_served(front: Front) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    front.handlers["songs.example"] = front.handlers[UNTRUSTED] = page


async def test_input_is_real_and_reaches_shadow_roots(
    either_browser: Browser, page_served: None, tmp_path: Path
) -> None:
    async with either_browser.tab("https://songs.example/any") as tab:
        await tab.click("button")
        assert await tab.text("button") == "trusted true"
        await tab.press("Tab")
        await tab.press("Enter")
        assert await tab.text("#host >>> button") == "pressed"
        await tab.fill("input", "Café 9")
        assert await tab.evaluate("(selector) => document.querySelector(selector).value", "input") == "Café 9"
        await tab.viewport(500, 400)
        assert await tab.evaluate("[innerWidth, innerHeight]") == [500, 400]
        picture = tmp_path / "page.png"
        await tab.screenshot(picture)
        assert picture.read_bytes().startswith(b"\x89PNG")


async def test_what_a_page_throws_is_told(either_browser: Browser, page_served: None) -> None:
    async with either_browser.tab("https://songs.example/") as tab:
        with pytest.raises(BidiError, match="nothingSuch"):
            await tab.evaluate("nothingSuch.at.all")
        await tab.run(
            "const lid = document.createElement('p'); lid.style = args[0]; document.body.append(lid)", LID
        )
        with pytest.raises(AssertionError, match="covered"):
            await tab.locate("button", seconds=0.2)


async def test_other_names_and_unknown_authorities_are_out_of_reach(
    either_browser: Browser, page_served: None
) -> None:
    async with either_browser.tab() as tab:
        for address in ("https://example.org/", f"https://{UNTRUSTED}/"):
            with pytest.raises(BidiError):
                await tab.navigate(address)
