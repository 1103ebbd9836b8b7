"""The first page in a real browser: ask, follow, and every way in which it can end."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from fingerprint.domain.identification import ExternalIds, Stage
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Match
from server.web.words import NETWORK, NO_MATCH, WORDS
from tests.browser.conftest import Visit
from tests.browser.stage import OnStageNow
from tests.builders import song

pytestmark = pytest.mark.asyncio(loop_scope="session")

SONG = replace(
    song("Harbour Lights", "Marlow Quay", "June Alder"),
    album="Slow Ferries",
    label="Tidewater",
    duration_seconds=201.4,
    offset_seconds=63.2,
    ids=ExternalIds(spotify_track="4cOdK2wGLETKBW3PvgPWqT", youtube="dQw4w9WgXcQ"),
)

IN_FULL = "Harbour Lights – Marlow Quay, June Alder"  # noqa: RUF001 - the page writes a dash

HOSTILE = (
    "<img src=x onerror=alert(1)><script>alert(1)</script></h2></script>",
    "\u202eevil\u202c مرحبا بالعالم שלום",
    "🎧🔥👩‍👩‍👧‍👦🏳️‍🌈" * 20,
    "NoSpaceAnywhere" * 33,
)


BIDI = str.maketrans({"\u202e": " ", "\u202c": " "})


async def ask(page: Page, text: str = "SomeChannel") -> None:
    await page.get_by_label("Channel, clip or Twitch address").fill(text)
    await page.keyboard.press("Enter")


async def at_state(page: Page, state: str) -> None:
    await expect(page.locator("#receiver")).to_have_attribute("data-state", state)


async def said(page: Page) -> str:
    """What the panel says, without the field and the times of day."""
    return await page.evaluate(
        """() => [...document.querySelectorAll("#receiver .says, #receiver .ends, #receiver .small, #again")]
        .filter((part) => part.checkVisibility()).map((part) => {
          const copy = part.cloneNode(true);
          copy.querySelectorAll("time[datetime], .copies, .hint, [hidden]").forEach((gone) => gone.remove());
          return copy.textContent.replace(/\\s+/g, " ").trim();
        }).join(" | ")"""
    )


async def test_a_channel_is_followed_step_by_step_to_its_song(visit: Visit, stage: OnStageNow) -> None:
    stage.matches = [Match(song=SONG, score=0.93)]
    stage.hold = Stage.CAPTURING
    page = (await visit()).page
    await ask(page)
    await expect(page.locator("[aria-current=step]")).to_have_text("Listen")
    await expect(page.get_by_role("status").filter(has_text="Listening")).to_be_visible()
    stage.go.set()
    await at_state(page, "found")
    heading = page.get_by_role("heading", name="Harbour Lights")
    await expect(heading).to_be_focused()
    for text in ("Marlow Quay, June Alder", "Slow Ferries", "Tidewater", "93%", "1:03 into the song", "3:21"):
        await expect(
            page.locator("#receiver").get_by_text(text, exact=text != "1:03 into the song")
        ).to_be_visible()
    assert await page.get_by_role("link", name="Spotify").get_attribute("href") == (
        "https://open.spotify.com/track/4cOdK2wGLETKBW3PvgPWqT"
    )
    await expect(page.get_by_role("link", name="YouTube")).to_be_visible()
    await expect(page.get_by_role("link", name="Deezer")).to_be_hidden()
    await expect(page).to_have_title(f"{IN_FULL} · TwitchAudio")
    assert "Fingerprint 18 ms" in await said(page)


async def test_a_reload_and_a_second_tab_come_back_to_the_same_job(visit: Visit, stage: OnStageNow) -> None:
    stage.hold = Stage.CAPTURING
    page = (await visit()).page
    await ask(page)
    await page.wait_for_url(re.compile(r"/\?id="))
    await page.reload()
    await at_state(page, "working")
    second = await page.context.new_page()
    await second.goto(page.url)
    await at_state(second, "working")
    stage.go.set()
    await at_state(page, "found")
    await at_state(second, "found")
    assert len(stage.asked) == 1


async def test_going_back_returns_to_the_question_and_forward_to_its_answer(visit: Visit) -> None:
    page = (await visit()).page
    await ask(page)
    await at_state(page, "found")
    await page.go_back()
    await at_state(page, "idle")
    await page.go_forward()
    await at_state(page, "found")


async def test_the_server_and_the_page_say_the_same_about_an_answer(visit: Visit, stage: OnStageNow) -> None:
    answers: list[Any] = [
        [Match(song=SONG, score=0.93)],
        [Match(song=song("Long", offset_seconds=119.5, duration_seconds=3659.9), score=0.5)],
        [
            Match(song=song("Alone"), score=0.5),
            Match(song=replace(song("Later"), position_seconds=21.0), score=0.4),
        ],
        [],
        TwitchAudioError(ProblemCode.NOT_LIVE, "It is `off`, not live."),
    ]
    page = (await visit()).page
    plain = (await visit(java_script_enabled=False)).page
    for number, answer in enumerate(answers):
        stage.matches = answer if isinstance(answer, list) else []
        stage.problem = None if isinstance(answer, list) else answer
        # A clip, so that other songs in it are listed too.
        await ask(page, f"https://clips.twitch.tv/Clip-number{number}")
        await page.wait_for_url(re.compile(r"\?id="))
        await expect(page.locator("#receiver")).to_have_attribute("data-state", re.compile("found|none|failed"))
        by_script = await said(page)
        title = await page.title()
        assert by_script
        await plain.goto(page.url)
        assert await said(plain) == by_script
        if isinstance(answer, list) and answer:
            assert await plain.title() == title
        await page.goto("/")


async def test_no_match_is_said_kindly_and_another_try_is_one_key_away(visit: Visit, stage: OnStageNow) -> None:
    stage.matches = []
    page = (await visit()).page
    await ask(page)
    await expect(page.get_by_role("heading", name=NO_MATCH.heading)).to_be_focused()
    await expect(page.locator(".sorry").get_by_text("We listened to 6.0 s")).to_be_visible()
    stage.matches = [Match(song=SONG, score=0.9)]
    await page.get_by_role("button", name="Try again").press("Enter")
    await at_state(page, "found")
    assert len(stage.asked) == 2


PIPELINE_CODES = (
    ProblemCode.NOT_LIVE,
    ProblemCode.CHANNEL_NOT_FOUND,
    ProblemCode.CLIP_NOT_FOUND,
    ProblemCode.RESTRICTED_STREAM,
    ProblemCode.NO_AUDIO,
    ProblemCode.RECOGNIZER_UNAVAILABLE,
    ProblemCode.UPSTREAM_UNAVAILABLE,
    ProblemCode.TIMEOUT,
    ProblemCode.BUSY,
)


async def test_every_failure_is_said_in_plain_words_with_the_next_step(visit: Visit, stage: OnStageNow) -> None:
    page = (await visit()).page
    for number, code in enumerate(PIPELINE_CODES):
        stage.problem = TwitchAudioError(code, f"Detail of {code}.")
        await page.goto("/")
        await ask(page, f"channel{number}")
        await expect(page.get_by_role("heading", name=WORDS[code].heading)).to_be_focused()
        await expect(page.get_by_text(f"Detail of {code}.").first).to_be_visible()
        await expect(page.get_by_text(WORDS[code].next_step)).to_be_visible()
        await expect(page.get_by_role("button", name="Try again")).to_be_visible()


async def test_an_ad_break_says_when_to_come_back(visit: Visit, stage: OnStageNow) -> None:
    stage.problem = TwitchAudioError(ProblemCode.AD_BREAK, "Ads run.", retry_after_seconds=25)
    page = (await visit()).page
    await ask(page)
    await expect(page.get_by_text(re.compile(r"Best in about 2\d s"))).to_be_visible()


async def test_what_is_no_target_is_refused_beside_the_field(visit: Visit, stage: OnStageNow) -> None:
    watched = await visit()
    watched.refusals = True
    await ask(watched.page, "https://example.com/somechannel")
    await expect(
        watched.page.get_by_role("heading", name=WORDS[ProblemCode.INVALID_INPUT].heading)
    ).to_be_visible()
    field = watched.page.get_by_label("Channel, clip or Twitch address")
    await expect(field).to_be_focused()
    assert await field.get_attribute("aria-invalid") is not None
    assert stage.asked == []


async def test_with_an_empty_catalog_the_page_says_so_before_anybody_types(
    visit: Visit, stage: OnStageNow
) -> None:
    stage.missing = (
        "The catalog is empty. Add music with `twitchaudio catalog add PATH`, or set a provider's keys."
    )
    watched = await visit()
    watched.refusals = True
    page = watched.page
    await expect(page.get_by_role("heading", name="Not ready to listen yet")).to_be_visible()
    await expect(page.locator(".setup p")).to_have_text(stage.missing.replace("`", ""))
    await expect(page.locator(".setup code")).to_have_text("twitchaudio catalog add PATH")
    await ask(page)
    await expect(
        page.get_by_role("heading", name=WORDS[ProblemCode.RECOGNIZER_UNAVAILABLE].heading)
    ).to_be_visible()


async def test_a_lost_connection_is_said_and_the_same_job_taken_up_again(visit: Visit, stage: OnStageNow) -> None:
    stage.hold = Stage.CAPTURING
    watched = await visit()
    watched.refusals = True
    page = watched.page
    await ask(page)
    await page.wait_for_url(re.compile(r"\?id="))
    address = page.url
    await page.context.set_offline(offline=True)
    await page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
    await expect(page.get_by_role("heading", name=NETWORK.heading)).to_be_visible()
    await page.context.set_offline(offline=False)
    stage.go.set()
    await page.get_by_role("button", name="Try again").click()
    await at_state(page, "found")
    assert page.url == address
    assert len(stage.asked) == 1


async def test_where_events_do_not_come_through_the_page_asks_again_and_again(
    visit: Visit, stage: OnStageNow
) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=502, body="no")

    stage.hold = Stage.CAPTURING
    watched = await visit()
    watched.refusals = True
    page = watched.page
    await page.route("**/events", refuse)
    await ask(page)
    await expect(page.locator("[aria-current=step]")).to_have_text("Listen")
    stage.go.set()
    await at_state(page, "found")


async def test_a_newer_question_wins_over_an_older_one(visit: Visit, stage: OnStageNow) -> None:
    stage.hold = Stage.CAPTURING
    page = (await visit()).page
    await ask(page, "first")
    await page.wait_for_url(re.compile(r"\?id="))
    first = page.url.split("id=")[1]
    stage.hold = None
    await ask(page, "second")
    await at_state(page, "found")
    stage.go.set()
    answer = await page.context.request.get(f"/api/v1/identifications/{first}", headers={"Prefer": "wait=5"})
    assert (await answer.json())["status"] == "successful"
    # Whatever the first one's listener still had to say would have come before an answer to a new request.
    await page.evaluate("fetch('/healthz')")
    await expect(page.locator(".song .from")).to_contain_text("second, live")


async def test_the_whole_way_works_without_javascript(visit: Visit, stage: OnStageNow) -> None:
    stage.hold = Stage.CAPTURING
    stage.matches = [Match(song=SONG, score=0.93)]
    watched = await visit(java_script_enabled=False)
    page = watched.page
    await ask(page)
    await page.wait_for_url(re.compile(r"/\?id="))
    await at_state(page, "working")
    await expect(page.locator("[aria-current=step]")).to_have_text("Listen")
    stage.go.set()
    # The page comes again by itself.
    await at_state(page, "found")
    await expect(page.get_by_role("heading", name="Harbour Lights")).to_be_visible()
    watched.refusals = True
    await ask(page, "https://example.com/")
    await expect(page.get_by_role("heading", name=WORDS[ProblemCode.INVALID_INPUT].heading)).to_be_visible()
    await expect(page.get_by_label("Channel, clip or Twitch address")).to_have_value("https://example.com/")


@pytest.mark.parametrize("width", [390, 1280])
async def test_hostile_names_are_text_and_fit(visit: Visit, stage: OnStageNow, width: int) -> None:
    page = (await visit(viewport={"width": width, "height": 800})).page
    for number, text in enumerate(HOSTILE):
        nasty = replace(song(text, text, text), album=text, label=text, duration_seconds=10.0, offset_seconds=99.0)
        stage.matches = [Match(song=nasty, score=0.9)]
        await page.goto("/")
        await ask(page, f"hostile{number}")
        await at_state(page, "found")
        shown = await page.locator(".song h2").text_content()
        assert shown
        # The service takes control characters out and bounds the length; what is left stands there as it is.
        assert " ".join(shown.strip("…").split()) in " ".join(text.translate(BIDI).split())
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.locator("#receiver img, #receiver h2 script").count() == 0
        await page.goto(f"/channels/hostile{number}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.locator(".plays img, .plays script").count() == 0


async def test_everything_can_be_done_by_keyboard_and_focus_is_seen(visit: Visit, stage: OnStageNow) -> None:
    stage.matches = [Match(song=SONG, score=0.93)]
    page = (await visit()).page
    await expect(page.get_by_label("Channel, clip or Twitch address")).to_be_focused()
    await page.keyboard.type("somechannel")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Identify"
    assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await page.keyboard.press("Space")
    await at_state(page, "found")
    await asyncio.sleep(0)
    reached: list[str] = []
    for _ in range(6):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.textContent.trim()"))
    assert reached == ["Spotify", "YouTube", "Set list", "Listen again", "Copy song", "Copy link"]


async def test_the_answer_can_be_copied_and_shared(visit: Visit, stage: OnStageNow) -> None:
    stage.matches = [Match(song=SONG, score=0.93)]
    page = (await visit(permissions=["clipboard-read", "clipboard-write"])).page
    await ask(page)
    await at_state(page, "found")
    await page.get_by_role("button", name="Copy song").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == IN_FULL
    await page.get_by_role("button", name="Copy link").click()
    assert await page.evaluate("navigator.clipboard.readText()") == page.url
