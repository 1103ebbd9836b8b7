"""The first page in a real browser: ask, follow, and every way in which it can end."""

import re
from dataclasses import replace
from typing import Any

import pytest

from fingerprint.domain.identification import ExternalIds, Stage
from fingerprint.domain.landmark_points import points_to_text
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.ports import Match
from server.own_command import as_typed, own_command
from server.web.languages import ENGLISH
from server.web.words import NETWORK, NO_MATCH, WORDS, words_of
from tests.browser.bidi.tab import Tab
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
FIELD = "#target"


async def ask(tab: Tab, text: str = "SomeChannel") -> None:
    await tab.fill(FIELD, text)
    await tab.press("Enter")


async def at_state(tab: Tab, *states: str) -> None:
    looked = "(states) => states.includes(document.querySelector('#receiver').dataset.state)"
    await tab.wait_for(looked, states, of=f"the state is {' or '.join(states)}")


async def said(tab: Tab) -> str:
    """What the panel says, without the field and the times of day."""
    return await tab.evaluate(
        """[...document.querySelectorAll("#receiver .says, #receiver .ends, #receiver .small, #again")]
        .filter((part) => part.checkVisibility()).map((part) => {
          const copy = part.cloneNode(true);
          copy.querySelectorAll("time[datetime], .copies, .hint, [hidden]").forEach((gone) => gone.remove());
          return copy.textContent.replace(/\\s+/g, " ").trim();
        }).join(" | ")"""
    )


async def test_a_channel_is_followed_step_by_step_to_its_song(visit: Visit, stage: OnStageNow) -> None:
    stage.matches = [Match(song=SONG, score=0.93)]
    stage.hold = Stage.CAPTURING
    context, tab = await visit()
    await ask(tab)
    await tab.wait_for_text("[aria-current=step]", "Listen")
    await tab.wait_for_text("[role=status]", "Listening")
    stage.go.set()
    await at_state(tab, "found")
    await tab.wait_for_focus("h2 :: Harbour Lights")
    for text in ("Marlow Quay, June Alder", "Slow Ferries", "Tidewater", "93%", "1:03 into the song", "3:21"):
        await tab.wait_for_visible(f"#receiver p, #receiver dd, #receiver span :: {text}")
    assert await tab.attribute("a :: Spotify", "href") == "https://open.spotify.com/track/4cOdK2wGLETKBW3PvgPWqT"
    await tab.wait_for_visible("a :: YouTube")
    searched = await tab.attribute("a :: Deezer", "href")
    assert searched == "https://www.deezer.com/search/Marlow%20Quay%2C%20June%20Alder%20Harbour%20Lights"
    assert await tab.evaluate("document.title") == f"{IN_FULL} · TwitchAudio"
    assert "Fingerprint 18 ms" in await said(tab)
    await tab.click("button :: Keep listening")
    await tab.click("button :: Stop listening")
    await tab.press("Enter")
    await tab.wait_for_focus("button :: Stop listening")
    await tab.press("Escape")
    await tab.wait_for_focus("button :: Keep listening")
    page = await tab.attribute("h2 a", "href")
    await context.go(tab, "/finds")
    await tab.wait_for_visible(".plays li :: Harbour Lights")
    assert await tab.attribute(".plays a.title", "href") == page
    await tab.click("button :: Clear the list")
    await tab.wait_for_visible("p :: No songs yet")
    await tab.press("Enter")
    await tab.wait_for_focus("button :: Clear the list")
    await tab.click("a :: Harbour Lights")
    await tab.wait_for_visible("h1 :: Harbour Lights")


async def test_a_reload_and_a_second_tab_come_back_to_the_same_job(visit: Visit, stage: OnStageNow) -> None:
    stage.hold = Stage.CAPTURING
    context, tab = await visit()
    await ask(tab)
    address = await tab.wait_for_address("/?id=")
    await tab.reload()
    await at_state(tab, "working")
    second = await context.open(address.removeprefix(context.address))
    await at_state(second, "working")
    stage.go.set()
    await at_state(tab, "found")
    await at_state(second, "found")
    assert len(stage.asked) == 1


async def test_going_back_returns_to_the_question_and_forward_to_its_answer(visit: Visit) -> None:
    _, tab = await visit()
    await ask(tab)
    await at_state(tab, "found")
    await tab.traverse_history(-1)
    await at_state(tab, "idle")
    await tab.traverse_history(1)
    await at_state(tab, "found")


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
    context, tab = await visit()
    _, plain = await visit(scripting=False)
    for number, answer in enumerate(answers):
        stage.matches = answer if isinstance(answer, list) else []
        stage.problem = None if isinstance(answer, list) else answer
        # A clip, so that other songs in it are listed too.
        await ask(tab, f"https://clips.twitch.tv/Clip-number{number}")
        address = await tab.wait_for_address("?id=")
        await at_state(tab, "found", "none", "failed")
        by_script = await said(tab)
        title = await tab.evaluate("document.title")
        assert by_script
        await plain.navigate(address)
        assert await said(plain) == by_script
        if isinstance(answer, list) and answer:
            assert await plain.evaluate("document.title") == title
        await context.go(tab, "/")


async def test_no_match_is_said_kindly_and_another_try_is_one_key_away(visit: Visit, stage: OnStageNow) -> None:
    stage.matches = []
    _, tab = await visit()
    await ask(tab)
    await tab.wait_for_focus(f"h2 :: {NO_MATCH.heading}")
    await tab.wait_for_visible(".sorry p :: We listened to 6 seconds")
    stage.matches = [Match(song=SONG, score=0.9)]
    await tab.of("button :: Try again", "(button) => button.focus()")
    await tab.press("Enter")
    await at_state(tab, "found")
    assert len(stage.asked) == 2


# tests/unit/web/test_answer.py has the words of all.
PIPELINE_CODES = (ProblemCode.NOT_LIVE, ProblemCode.RECOGNIZER_UNAVAILABLE, ProblemCode.TIMEOUT)
ALL_PIPELINE_CODES = (
    *PIPELINE_CODES,
    ProblemCode.CHANNEL_NOT_FOUND,
    ProblemCode.CLIP_NOT_FOUND,
    ProblemCode.RESTRICTED_STREAM,
    ProblemCode.NO_AUDIO,
    ProblemCode.UPSTREAM_UNAVAILABLE,
    ProblemCode.BUSY,
)


@pytest.mark.parametrize(
    "codes", [PIPELINE_CODES, pytest.param(ALL_PIPELINE_CODES, marks=pytest.mark.nightly)], ids=["some", "all"]
)
async def test_every_failure_is_said_in_plain_words_with_the_next_step(
    visit: Visit, stage: OnStageNow, codes: tuple[ProblemCode, ...]
) -> None:
    context, tab = await visit()
    for number, code in enumerate(codes):
        stage.problem = TwitchAudioError(code, f"Detail of {code}.")
        await context.go(tab, "/")
        await ask(tab, f"channel{number}")
        words = words_of(Problem(code=code, detail=f"Detail of {code}."), ENGLISH)
        await tab.wait_for_focus(f"h2 :: {words.heading}")
        await tab.wait_for_visible(f".sorry p :: Detail of {code}.")
        await tab.wait_for_visible(f".sorry p :: {words.next_step}")
        await tab.wait_for_visible("button :: Try again")


async def test_an_ad_break_says_when_to_come_back(visit: Visit, stage: OnStageNow) -> None:
    stage.problem = TwitchAudioError(ProblemCode.AD_BREAK, "Ads run.", retry_after_seconds=25)
    _, tab = await visit()
    await ask(tab)
    await tab.wait_for_visible("#wait :: Try again in")
    assert re.search(r"Try again in 2\d s", await tab.text("#wait") or "")


async def test_what_is_no_target_is_refused_beside_the_field(visit: Visit, stage: OnStageNow) -> None:
    context, tab = await visit()
    context.refusals = True
    await ask(tab, "https://example.com/somechannel")
    await tab.wait_for_visible(f"h2 :: {WORDS[ProblemCode.INVALID_INPUT].heading}")
    await tab.wait_for_focus(FIELD)
    assert await tab.attribute(FIELD, "aria-invalid") is not None
    assert stage.asked == []


async def test_with_an_empty_catalog_the_page_says_so_before_anybody_types(
    visit: Visit, stage: OnStageNow
) -> None:
    stage.missing = (
        "The catalog is empty. Add music with `twitchaudio catalog add PATH`, or set a provider's keys."
    )
    context, tab = await visit()
    context.refusals = True
    await tab.wait_for_visible("h2 :: Not set up yet")
    assert await tab.text(".setup p") == as_typed(stage.missing).replace("`", "")
    assert await tab.text(".setup code") == f"{own_command()} catalog add PATH"
    await ask(tab)
    await tab.wait_for_visible(f"h2 :: {WORDS[ProblemCode.RECOGNIZER_UNAVAILABLE].heading}")


async def test_a_lost_connection_is_said_and_the_same_job_taken_up_again(visit: Visit, stage: OnStageNow) -> None:
    stage.hold = Stage.CAPTURING
    context, tab = await visit()
    context.refusals = True
    await ask(tab)
    address = await tab.wait_for_address("/?id=")
    await context.set_offline(tab, offline=True)
    await tab.run("dispatchEvent(new PopStateEvent('popstate'))")
    await tab.wait_for_visible(f"h2 :: {NETWORK.heading}")
    await context.set_offline(tab, offline=False)
    stage.go.set()
    await tab.click("button :: Try again")
    await at_state(tab, "found")
    assert await tab.address() == address
    assert len(stage.asked) == 1


async def test_where_events_do_not_come_through_the_page_asks_again_and_again(
    visit: Visit, stage: OnStageNow
) -> None:
    stage.hold = Stage.CAPTURING
    context, tab = await visit()
    context.refusals = True
    await context.answer_instead(tab, "/events", 502)
    await ask(tab)
    await tab.wait_for_text("[aria-current=step]", "Listen")
    stage.go.set()
    await at_state(tab, "found")


async def test_a_newer_question_wins_over_an_older_one(visit: Visit, stage: OnStageNow) -> None:
    stage.hold = Stage.CAPTURING
    _, tab = await visit()
    await ask(tab, "first")
    first = (await tab.wait_for_address("/?id=")).split("id=")[1]
    stage.hold = None
    await ask(tab, "second")
    await at_state(tab, "found")
    stage.go.set()
    status = await tab.evaluate(
        "(id) => fetch(`/api/v1/identifications/${id}`, {headers: {Prefer: 'wait=5'}})"
        ".then((answer) => answer.json()).then((job) => job.status)",
        first,
    )
    assert status == "successful"
    # Whatever the first one's listener still had to say would have come before an answer to a new request.
    await tab.evaluate("fetch('/healthz').then((answer) => answer.ok)")
    assert "second, live" in (await tab.text(".song .from") or "")


async def test_the_whole_way_works_without_javascript(visit: Visit, stage: OnStageNow) -> None:
    stage.hold = Stage.CAPTURING
    stage.matches = [Match(song=SONG, score=0.93)]
    context, tab = await visit(scripting=False)
    await ask(tab)
    await tab.wait_for_address("/?id=")
    await at_state(tab, "working")
    await tab.wait_for_text("[aria-current=step]", "Listen")
    stage.go.set()
    # The page comes again by itself.
    await at_state(tab, "found")
    await tab.wait_for_visible("h2 :: Harbour Lights")
    context.refusals = True
    await ask(tab, "https://example.com/")
    await tab.wait_for_visible(f"h2 :: {WORDS[ProblemCode.INVALID_INPUT].heading}")
    assert await tab.of(FIELD, "(field) => field.value") == "https://example.com/"


@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.nightly)])
async def test_hostile_names_are_text_and_fit(visit: Visit, stage: OnStageNow, width: int) -> None:
    context, tab = await visit(width=width, height=800)
    for number, text in enumerate(HOSTILE):
        nasty = replace(song(text, text, text), album=text, label=text, duration_seconds=10.0, offset_seconds=99.0)
        nasty = replace(nasty, landmarks=points_to_text([(0.1, 0.2), (0.5, 1.0), (0.9, 0.4)]))
        stage.matches = [Match(song=nasty, score=0.9)]
        await context.go(tab, "/")
        await ask(tab, f"hostile{number}")
        await at_state(tab, "found")
        shown = await tab.of(".song h2", "(heading) => heading.textContent")
        assert shown
        # The service takes control characters out and bounds the length; what is left stands there as it is.
        assert " ".join(shown.strip("…").split()) in " ".join(text.translate(BIDI).split())
        assert await tab.count("#peaks circle") == 3, "the dial is drawn of what was heard"
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        assert await tab.count("#receiver img:not(#cover), #receiver h2 script") == 0
        await context.go(tab, f"/channels/hostile{number}")
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        assert await tab.count(".plays img:not(.small-cover), .plays script") == 0


async def test_everything_can_be_done_by_keyboard_and_focus_is_seen(visit: Visit, stage: OnStageNow) -> None:
    stage.matches = [Match(song=SONG, score=0.93)]
    _, tab = await visit()
    await tab.wait_for_focus(FIELD)
    assert await tab.of(FIELD, "(field) => field.labels[0].textContent") == "Channel, clip or Twitch address"
    await tab.type("somechannel")
    await tab.press("Tab")
    assert await tab.evaluate("document.activeElement.textContent") == "Identify"
    assert await tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await tab.press("Space")
    await tab.wait_for_focus("h2 :: Harbour Lights")
    reached: list[str] = []
    earlier = ["30 s", "1 min", "2 min", "5 min"]
    wanted = [
        "Harbour Lights",
        "Spotify",
        "YouTube",
        "Deezer",
        "Apple Music",
        "Set list",
        "Open on Twitch",
        "Listen again",
        "Keep listening",
        *earlier,
        "Copy song",
        "Copy link",
    ]
    for _ in wanted:
        await tab.press("Tab")
        reached.append(await tab.evaluate("document.activeElement.textContent.trim()"))
    assert reached == wanted


async def test_the_answer_can_be_copied_and_shared(visit: Visit, stage: OnStageNow) -> None:
    stage.matches = [Match(song=SONG, score=0.93)]
    context, tab = await visit()
    await context.allow("clipboard-read", "clipboard-write")
    await ask(tab)
    await at_state(tab, "found")
    await tab.click("button :: Copy song")
    await tab.wait_for_visible("button :: Copied")
    assert await tab.evaluate("navigator.clipboard.readText()") == IN_FULL
    await tab.click("button :: Copy link")
    await tab.wait_for("navigator.clipboard.readText().then((text) => text === location.href)", of="the link")


async def test_an_answer_is_in_sight_on_a_phone_and_prints_as_its_song(visit: Visit, stage: OnStageNow) -> None:
    stage.matches = [Match(song=SONG, score=0.93)]
    _, tab = await visit(width=390, height=800)
    await ask(tab)
    await at_state(tab, "found")
    assert await tab.of(".song h2", "(heading) => heading.getBoundingClientRect().top") < 300
    session = (await tab.connection.command("goog:cdp.getSession", context=tab.id))["session"]

    async def medium(name: str) -> None:
        await tab.connection.command(
            "goog:cdp.sendCommand", method="Emulation.setEmulatedMedia", params={"media": name}, session=session
        )

    await medium("print")
    try:
        assert await tab.visible(".song h2")
        assert await tab.visible('[data-link="spotify"]')
        assert (
            await tab.evaluate(
                "[...document.querySelectorAll('button, input, nav a')].filter(e => e.checkVisibility())"
            )
            == []
        )
        assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        await medium("")
