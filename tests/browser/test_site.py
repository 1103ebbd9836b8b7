"""What holds for every page: it fits, can be read, is light, asks nobody else, and obeys its own headers."""

import asyncio
import re
import subprocess
import sys

import pytest
from aiohttp import ClientSession

from fingerprint.domain.problems import PROBLEM_KINDS
from tests.api_client import until
from tests.browser.conftest import Visit
from tests.browser.forced_colors import FAINT
from tests.browser.stage import OnStageNow
from tests.test_docs import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = (
    *("/", "/docs", "/channels/somechannel", "/videos/123456", "/nothing-here", "/?id=unknown"),
    *("/overlay", "/extension", "/finds", "/privacy"),
)
API_DOCS = ROOT / "docs/api.md"
FIRST_PAGE_BYTES = 60_000


@pytest.mark.nightly
async def test_every_page_shows_its_controls_in_the_systems_colors(visit: Visit) -> None:
    context, tab = await visit(media={"forced-colors": "active"})
    context.refusals = True
    for path in PAGES:
        await context.go(tab, path)
        assert await tab.evaluate("matchMedia('(forced-colors: active)').matches")
        assert await tab.of("body", FAINT) == [], path


async def test_the_first_page_is_light_and_kept_by_the_browser(visit: Visit, stage: OnStageNow) -> None:
    context, tab = await visit()
    bodies: dict[str, int] = await tab.wait_for(
        """(() => {
          const loaded = ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type));
          const sizes = Object.fromEntries(loaded.map((each) => [each.name, each.encodedBodySize]));
          return Object.keys(sizes).some((name) => name.endsWith("home.js")) && sizes;
        })()"""
    )
    assert set(bodies) <= set(context.responses)
    assert all(bodies.values())
    assert sum(bodies.values()) + sum(context.responses.values()) < FIRST_PAGE_BYTES
    for name in bodies:
        if "/static/" in name:
            async with ClientSession() as session, session.get(name) as answer:
                assert "immutable" in answer.headers["Cache-Control"]


async def test_pages_forbid_what_they_do_not_need(visit: Visit) -> None:
    context, tab = await visit()
    async with ClientSession(context.address, headers={"Accept": "text/html"}) as session:
        for path in PAGES:
            async with session.get(path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                for rule in ("script-src 'self'", "style-src 'self'", "object-src 'none'", "base-uri 'none'"):
                    assert rule in policy, path
                assert "frame-ancestors 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "same-origin"
    refused = await tab.evaluate(
        """new Promise((resolve) => {
          document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "document.title = 'owned'";
          document.head.append(script);
        })"""
    )
    assert refused == "script-src-elem"
    assert await tab.evaluate("document.title") != "owned"
    # The browser says so too: with this it is known that other tests would hear of it.
    async with asyncio.timeout(60):
        while not context.complaints:  # noqa: ASYNC110 - the browser tells
            await asyncio.sleep(0.02)
    assert "Content Security Policy" in context.complaints.pop()


async def test_a_person_gets_a_page_and_a_program_a_problem(stage: OnStageNow) -> None:
    async with ClientSession(stage.address) as session:
        async with session.get("/nothing-here", headers={"Accept": "text/html,*/*"}) as page:
            assert page.status == 404
            assert "There is nothing here" in await page.text()
        async with session.get("/nothing-here", headers={"Accept": "*/*"}) as problem:
            assert (await problem.json(content_type=None))["code"] == "not-found"
        async with session.get("/channels/no%20channel", headers={"Accept": "text/html"}) as wrong:
            assert wrong.status == 400
            assert wrong.content_type == "text/html"


async def test_motion_stops_for_those_who_ask_for_it(visit: Visit) -> None:
    duration = "getComputedStyle(document.querySelector('.needle')).transitionDuration"
    for wish, moves in (("reduce", False), ("no-preference", True)):
        _, tab = await visit(media={"prefers-reduced-motion": wish})
        assert (await tab.evaluate(duration) != "0s") is moves, wish


EXAMPLE = """([within, language]) => {
  const section = document.querySelector(within).closest("section");
  const found = [...section.querySelectorAll("details")].find((each) => each.textContent.includes(language));
  return found.querySelector("code").textContent;
}"""
REQUESTS = """[...document.querySelectorAll(".request")]
  .map((each) => each.textContent.replace(/\\s+/g, " ").trim()).sort()"""


async def test_the_api_page_explains_every_problem_and_its_examples_run(visit: Visit) -> None:
    context, tab = await visit("/docs")
    for code, kind in PROBLEM_KINDS.items():
        entry = await tab.of(f"[id='{code}']", "(entry) => entry.textContent.replace(/\\s+/g, ' ')")
        assert f"{code} {kind.status}" in entry
    document = await tab.evaluate("fetch('/api/v1/openapi.json').then((answer) => answer.json())")
    described = [f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item]
    shown: list[str] = await tab.evaluate(REQUESTS)
    assert [each for each in shown if each in described] == sorted(described)
    ran = await _run(await tab.evaluate(EXAMPLE, ["#start", "Python"]))
    assert ran == "Night Drive by The Builders\n"
    script = await tab.evaluate(EXAMPLE, ["#start", "JavaScript"])
    await tab.run(script)
    assert context.messages == ["Night Drive by The Builders"]
    # And those of docs/api.md: they follow this identification, and its channel.
    answers = await tab.evaluate("fetch('/api/v1/channels/somechannel/songs').then((answer) => answer.json())")
    number = answers["plays"][0]["identifications"][0]
    blocks = re.findall(r"^```js\n(.*?)^```", API_DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        await tab.run(f"const id = args[0]; {block}", number)
    await until(lambda: len(context.messages) >= 3)
    assert "Night Drive" in context.messages[1:], context.messages
    again = await tab.evaluate(EXAMPLE, ["#request-ask", "Python"])
    assert "'kind': 'stream'" in await _run(again)


async def _run(code: str) -> str:
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout


async def test_a_channels_page_lists_what_was_heard(visit: Visit) -> None:
    context, tab = await visit("/channels/SomeChannel")
    await tab.wait_for_text("#list", "No songs yet")
    await tab.click("button :: What is playing now?")
    await tab.wait_for_visible("h2 :: Night Drive")
    await tab.click("a :: Set list")
    await tab.wait_for_visible("h1 :: somechannel")
    await tab.wait_for_visible(".plays li :: The Builders")
    assert await tab.count(".plays li") == 1
    # A day is the visitor's own.
    own = "[document.querySelector('label[for=day]').textContent, new FormData(document.forms.filter).get('zone')]"
    zone = "America/Buenos_Aires"
    await context.set_time_zone(tab, zone)
    await context.go(tab, "/channels/somechannel")
    assert await tab.evaluate(own) == [f"Day ({zone})", zone]
    today = await tab.evaluate("new Intl.DateTimeFormat('sv').format(new Date())")
    await tab.evaluate(f"document.getElementById('day').value = '{today}'")
    await tab.click("button :: Show")
    await tab.wait_for_visible(".days")
    await tab.wait_for_visible(".plays li :: The Builders")
    assert f"day={today}&q=&zone={zone.replace('/', '%2F')}" in await tab.evaluate("location.search")
    await tab.viewport(320, 640)
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 320
    # Whose day an address names stays so for readers elsewhere; one without a zone is one of UTC.
    await context.go(tab, f"/channels/somechannel?day={today}")
    assert await tab.evaluate(own) == ["Day (UTC)", None]


async def test_the_field_says_at_once_what_it_understood(visit: Visit) -> None:
    _, tab = await visit()
    for text, hint in (
        ("SomeChannel", "Live channel somechannel"),
        ("https://clips.twitch.tv/FancySlug", "Clip FancySlug"),
        ("https://www.twitch.tv/videos/1234567890?t=1h2m3s", "Video 1234567890 at 1:02:03"),
        ("https://example.com/", "Not a Twitch name or address yet"),
    ):
        await tab.fill("#target", text)
        await tab.wait_for("(hint) => document.querySelector('#hint').textContent === hint", hint, of=hint)
    assert await tab.attribute("#target", "aria-describedby") == "hint"


async def test_the_overlays_address_and_preview_follow_the_form(visit: Visit) -> None:
    context, tab = await visit("/overlay")
    await tab.fill("#channel", "https://www.twitch.tv/SomeChannel")
    await tab.of("#theme", "(field) => { field.value = 'light'; }")
    await tab.of("#progress", "(field) => { field.value = '1'; }")
    await tab.fill("#size", "150")
    wanted = f"{context.address}/overlay/somechannel?theme=light&size=150&progress=1"
    await tab.wait_for("(wanted) => document.querySelector('#address').textContent === wanted", wanted, of=wanted)
    shown = """(() => {
      const card = document.querySelector("#preview").contentDocument;
      return card?.body?.dataset.size === "150" && card.querySelector("#progress")?.value > 30;
    })()"""
    await tab.wait_for(shown, of="the preview shows the example")
    await tab.of("#channel", "(field) => field.focus()")
    for name in ("theme", "position", "size", "hide", "label", "cover", "progress", "colors"):
        await tab.tab_to(f"#{name}", most=1)
    # Not into the preview, where nothing shows a focus.
    await tab.tab_to(".address", most=1)
