"""The client that drives both browsers: trusted input, shadow roots, names on loopback, nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.browser.bidi.browser import Browser
from tests.browser.bidi.connection import BidiError
from tests.browser.bidi.front import UNTRUSTED, Front
from tests.browser.bidi.user_context import user_context

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


TALL = """
const button = document.querySelector("button"), other = document.createElement("p");
button.style = "position: absolute; top: 3000px";
other.style = "height: 6000px";
document.body.append(other);
window.pressed = [];
for (const kind of ["pointerdown", "mousedown", "click"]) {
  document.addEventListener(kind, (event) => pressed.push(event.target.localName));
}
"""
SCROLLS_BACK = "addEventListener('scroll', () => requestAnimationFrame(() => scrollTo(0, 0)), {once: true});"
RUNS_AWAY = """
addEventListener("pointermove", () => { button.style.transform = "translateX(300px)"; }, {once: true});
"""


@pytest.mark.parametrize("page", [SCROLLS_BACK, RUNS_AWAY], ids=["scrolls back", "runs away"])
async def test_a_click_lands_where_it_should_though_the_page_moves(
    either_browser: Browser, page_served: None, page: str
) -> None:
    async with either_browser.tab("https://songs.example/") as tab:
        await tab.run(TALL + page)
        await tab.click("button")
        assert await tab.evaluate("pressed") == ["button"] * 3


@pytest_asyncio.fixture(loop_scope="session")
async def address() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/", _page)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


async def _page(request: web.Request) -> web.Response:
    response = web.Response(text=PAGE, content_type="text/html")
    response.set_cookie("seen", "yes")
    return response


NOISE = """
console.warn("careful");
setTimeout(() => { throw new Error("uncaught"); });
fetch("http://localhost:1/elsewhere").catch(() => {});
"""


async def test_what_pages_complain_of_is_kept_each_contexts_own(chromium: Browser, address: str) -> None:
    async with user_context(chromium, address) as noisy, user_context(chromium, address) as quiet:
        quiet.refusals = True  # the icon is not there
        await quiet.open()
        assert [cookie["name"] for cookie in await quiet.cookies()] == ["seen"]
        assert await noisy.cookies() == []
        tab = await noisy.open()
        await tab.run(NOISE)
        expected = ("careful", "uncaught", "request to http://localhost:1/elsewhere", "Failed to load resource")
        async with asyncio.timeout(60):
            while not all(any(text in each for each in noisy.complaints) for text in expected):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert quiet.complaints == []


async def test_other_names_and_unknown_authorities_are_out_of_reach(
    either_browser: Browser, page_served: None
) -> None:
    async with either_browser.tab() as tab:
        for address in ("https://example.org/", f"https://{UNTRUSTED}/"):
            with pytest.raises(BidiError):
                await tab.navigate(address)
