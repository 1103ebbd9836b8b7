"""What holds for every page: it fits, can be read, is light, asks nobody else, and obeys its own headers."""

import asyncio
import re
import subprocess
import sys
from typing import Any

import pytest
from playwright.async_api import Browser, Request, expect

from fingerprint.domain.problems import PROBLEM_KINDS, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, VideoTarget, parse_target
from tests.browser.conftest import Visit
from tests.browser.stage import OnStageNow

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = ("/", "/docs", "/channels/somechannel", "/nothing-here", "/?id=unknown")
FIRST_PAGE_BYTES = 60_000

# Contrast as WCAG 2.2 defines it (relative luminance, success criterion 1.4.3), for every visible text.
CONTRAST = """() => {
  const light = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * light(r / 255) + 0.7152 * light(g / 255) + 0.0722 * light(b / 255);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest("svg, script, .unseen, .skip")) continue;
    const style = getComputedStyle(element);
    const [one, two] = [luminance(parse(style.color)), luminance(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} ${element.textContent.trim().slice(0, 40)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_every_page_fits_and_can_be_read(visit: Visit, scheme: str, width: int) -> None:
    watched = await visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    watched.refusals = True
    for path in PAGES:
        await watched.page.goto(path)
        assert await watched.page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert await watched.page.evaluate(CONTRAST) == [], path
        assert await watched.page.locator("h1").count() == 1, path


async def test_the_first_page_is_light_and_kept_by_the_browser(chromium: Browser, stage: OnStageNow) -> None:
    context = await chromium.new_context(base_url=stage.address)
    page = await context.new_page()
    loaded: list[Request] = []

    def finished(request: Request) -> None:
        loaded.append(request)

    page.on("requestfinished", finished)
    await page.goto("/", wait_until="networkidle")
    sizes: dict[str, int] = {}
    for request in loaded:
        size = await request.sizes()
        sizes[request.url] = size["responseBodySize"] + size["responseHeadersSize"]
    assert any(name.endswith("home.js") for name in sizes)
    assert sum(sizes.values()) < FIRST_PAGE_BYTES
    assets = [name for name in sizes if "/static/" in name]
    answer = await context.request.get(assets[0])
    assert "immutable" in answer.headers["cache-control"]
    await context.close()


async def test_pages_forbid_what_they_do_not_need(visit: Visit) -> None:
    watched = await visit()
    for path in PAGES:
        answer = await watched.page.context.request.get(path, headers={"Accept": "text/html"})
        policy = answer.headers["content-security-policy"]
        for rule in ("script-src 'self'", "style-src 'self'", "object-src 'none'", "base-uri 'none'"):
            assert rule in policy, path
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    refused = await watched.page.evaluate(
        """() => new Promise((resolve) => {
          document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "document.title = 'owned'";
          document.head.append(script);
        })"""
    )
    assert refused == "script-src-elem"
    watched.complaints.clear()


async def test_a_person_gets_a_page_and_a_program_a_problem(visit: Visit) -> None:
    watched = await visit()
    request = watched.page.context.request
    page = await request.get("/nothing-here", headers={"Accept": "text/html,*/*"})
    assert page.status == 404
    assert "There is nothing here" in await page.text()
    problem = await request.get("/nothing-here", headers={"Accept": "*/*"})
    assert (await problem.json())["code"] == "not-found"
    wrong = await request.get("/channels/no%20channel", headers={"Accept": "text/html"})
    assert wrong.status == 400
    assert "text/html" in wrong.headers["content-type"]


async def test_motion_stops_for_those_who_ask_for_it(visit: Visit, stage: OnStageNow) -> None:
    page = (await visit(reduced_motion="reduce")).page
    assert await page.evaluate("getComputedStyle(document.querySelector('.needle')).transitionDuration") == "0s"


async def test_the_api_page_explains_every_problem_and_its_examples_run(visit: Visit, stage: OnStageNow) -> None:
    page = (await visit("/docs")).page
    for code, kind in PROBLEM_KINDS.items():
        entry = page.locator(f"[id='{code}']")
        await expect(entry).to_contain_text(f"{code} {kind.status}")
    document = await (await page.context.request.get("/api/v1/openapi.json")).json()
    for path, item in document["paths"].items():
        for method in item:
            request = page.locator(".request", has_text=re.compile(rf"^\s*{method.upper()} {re.escape(path)}\s*$"))
            await expect(request).to_have_count(1)
    examples = page.locator("section", has=page.locator("#start")).locator("details")
    python = await examples.filter(has_text="Python").locator("code").text_content()
    assert python
    ran = await _run(python)
    assert ran == "Night Drive by The Builders\n"
    script = await examples.filter(has_text="JavaScript").locator("code").text_content()
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    await page.evaluate(f"(async () => {{ {script} }})()")
    assert logged == ["Night Drive by The Builders"]
    asks = page.locator("section", has=page.locator("#request-ask")).locator("details").filter(has_text="Python")
    again = await asks.locator("code").text_content()
    assert again
    assert "'kind': 'stream'" in await _run(again)


async def _run(code: str) -> str:
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout


async def test_a_channels_page_lists_what_was_heard(visit: Visit, stage: OnStageNow) -> None:
    page = (await visit("/channels/SomeChannel")).page
    await expect(page.get_by_text("Nobody has asked about this channel yet")).to_be_visible()
    await page.get_by_role("button", name="What is playing now?").click()
    await expect(page.get_by_role("heading", name="Night Drive")).to_be_visible()
    await page.get_by_role("link", name="Set list").click()
    await expect(page.get_by_role("heading", name="somechannel")).to_be_visible()
    await expect(page.locator(".plays li")).to_have_count(1)
    await expect(page.locator(".plays")).to_contain_text("The Builders")


WRITTEN = (
    "SomeChannel",
    " @somechannel ",
    "a",
    "_under_",
    "directory",
    "AbrasivePlayfulMangoMau5",
    "SleepyGiftedPeppermintNerfRedBlaster-KbkBXYt3lOk3jy8-",
    "averyveryverylongnameofsomething",
    "1234567890",
    "123456",
    "v1234567890",
    "two words",
    "",
    "   ",
    "ünïcode",
    "twitch.tv",
    "https://www.twitch.tv/SomeChannel",
    "http://m.twitch.tv/somechannel/videos?filter=all",
    "www.twitch.tv/somechannel/clip/Fancy-Slug_1",
    "https://www.twitch.tv/clip/FancySlug",
    "https://www.twitch.tv/somechannel/clip/",
    "https://clips.twitch.tv/FancySlug?featured=true",
    "https://clips.twitch.tv/somechannel/FancySlug/",
    "https://clips.twitch.tv/embed?parent=x&clip=FancySlug",
    "https://clips.twitch.tv/embed",
    "https://clips.twitch.tv/a/b/c",
    "https://www.twitch.tv/videos/1234567890?t=1h2m3s",
    "https://www.twitch.tv/videos/1234567890?t=83m",
    "https://www.twitch.tv/videos/1234567890?t=5025",
    "https://www.twitch.tv/videos/1234567890?t=soon",
    "https://www.twitch.tv/videos/abc",
    "https://www.twitch.tv/somechannel/v/1234567890",
    "https://www.twitch.tv/somechannel/video/1234567890?t=10s",
    "https://www.twitch.tv/somechannel/b/1234567890",
    "https://www.twitch.tv/somechannel/schedule?vodID=1234567890",
    "https://www.twitch.tv/popout/somechannel/chat",
    "https://www.twitch.tv/directory/category/music",
    "https://player.twitch.tv/?channel=somechannel&parent=x",
    "https://player.twitch.tv/?video=v1234567890&time=1m",
    "https://player.twitch.tv/",
    "https://example.com/somechannel",
    "https://twitch.tv.example.com/somechannel",
    "https://user@twitch.tv/somechannel",
    "https://twitch.tv:8080/somechannel",
    "https://twitch.tv:443/somechannel",
    "javascript:alert(1)",
    "ftp://twitch.tv/somechannel",
    "https://www.twitch.tv/some channel",
    "https://",
    "a" * 128,
    "a" * 129,
)


async def test_the_page_understands_targets_as_the_server_does(visit: Visit) -> None:
    page = (await visit()).page
    address = await page.get_attribute("script[type=module]", "src")
    assert address
    understood = await page.evaluate(
        """async ([address, texts]) => {
          const { understand } = await import(address);
          return texts.map((text) => understand(text));
        }""",
        [address.replace("home.js", "target.js"), list(WRITTEN)],
    )
    assert dict(zip(WRITTEN, understood, strict=True)) == {text: _by_server(text) for text in WRITTEN}


def _by_server(text: str) -> dict[str, Any]:
    try:
        target = parse_target(text)
    except TwitchAudioError:
        return {"kind": "unknown"}
    match target:
        case ChannelTarget(login):
            return {"kind": "channel", "login": login}
        case ClipTarget(slug):
            return {"kind": "clip", "slug": slug}
        case VideoTarget(video_id, at_seconds):
            return {"kind": "video", "id": video_id, "at": at_seconds}


async def test_the_field_says_at_once_what_it_understood(visit: Visit) -> None:
    page = (await visit()).page
    field = page.get_by_label("Channel, clip or Twitch address")
    for text, hint in (
        ("SomeChannel", "Live channel somechannel"),
        ("https://clips.twitch.tv/FancySlug", "Clip FancySlug"),
        ("https://www.twitch.tv/videos/1234567890?t=1h2m3s", "Video 1234567890 at 1:02:03"),
        ("https://example.com/", "Not a Twitch name or address yet"),
    ):
        await field.fill(text)
        await expect(page.locator("#hint")).to_have_text(hint)
    assert await field.get_attribute("aria-describedby") == "hint"
