"""The songs that were named last, on the start page, where the operator shows them."""

import re
from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession

from fingerprint.database import Database
from fingerprint.ports import Match
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.web.recent_songs import FRESH_SECONDS, MAX_SONGS
from tests.api_client import CLIP, ask
from tests.builders import song
from tests.fakes import FakeClock, FakePipeline

PAGE = {"Accept": "text/html"}


@pytest.fixture
async def clock() -> FakeClock:
    return FakeClock()


async def shown(api: ClientSession, path: str = "/", **headers: str) -> list[tuple[str, str]]:
    """The title and the channel of each song of the list."""
    page = await (await api.get(path, headers={**PAGE, **headers})).text()
    part = re.search(r'<section class="recent".*?</section>', page, re.DOTALL)
    found = "" if part is None else part[0]
    return list(
        zip(re.findall(r'<b dir="auto">(.*?)</b>', found), re.findall(r'/channels/(\w+)"', found), strict=True)
    )


async def after_a_change(clock: FakeClock) -> None:
    """Servers read their rules again after two seconds."""
    await clock.advance(3.0)


async def named(api: ClientSession, parts: FakePipeline, title: str, channel: str, clock: FakeClock) -> None:
    await clock.advance(1.0)
    parts.recognizers.matches = [Match(song=song(title), score=0.9)]
    answer = await (await ask(api, {"channel": channel}, wait=30)).json()
    assert answer["status"] == "successful"


async def test_songs_are_shown_only_where_the_operator_says_so(
    api: ClientSession, parts: FakePipeline, database: Database, clock: FakeClock
) -> None:
    await named(api, parts, "Night <i>Drive</i>", "somechannel", clock)
    assert await shown(api) == [], "off by default"
    rules = RulesStore(database)
    await rules.set_website("recent_songs", "on")
    await after_a_change(clock)
    for path in ("/", "/?lang=de"):
        assert await shown(api, path) == [("Night &lt;i&gt;Drive&lt;/i&gt;", "somechannel")]
    page = await (await api.get("/?lang=fr", headers=PAGE)).text()
    assert "Identifiés récemment" in page
    assert re.search(r'<a href="/songs/[\w-]+"><b', page), "the song's page"
    await rules.set_website("access_mode", "login")
    await after_a_change(clock)
    assert await shown(api) == [], "who has no access sees no songs here"
    await rules.set_website("access_mode", "open")
    await rules.set_website("recent_songs", "off")
    await after_a_change(clock)
    assert await shown(api) == []


async def test_the_newest_come_first_each_song_once_and_no_more_than_fit(
    api: ClientSession, parts: FakePipeline, database: Database, clock: FakeClock
) -> None:
    await RulesStore(database).set_website("recent_songs", "on")
    for number in range(MAX_SONGS + 2):
        await named(api, parts, f"Song {number}", f"channel{number}", clock)
    await named(api, parts, "Song 3", "another_one", clock)
    await after_a_change(clock)
    expected = [("Song 3", "another_one"), *((f"Song {n}", f"channel{n}") for n in range(MAX_SONGS + 1, 3, -1))]
    assert await shown(api) == [*expected, ("Song 2", "channel2")][:MAX_SONGS]
    await named(api, parts, "Newest", "somechannel", clock)
    assert (await shown(api))[0] != ("Newest", "somechannel"), "it is read once in a while, for everybody"
    await clock.advance(FRESH_SECONDS)
    assert (await shown(api))[0] == ("Newest", "somechannel")


async def test_what_is_blocked_is_gone_with_the_rule(
    api: ClientSession, parts: FakePipeline, database: Database, clock: FakeClock
) -> None:
    await RulesStore(database).set_website("recent_songs", "on")
    await named(api, parts, "Mine", "somechannel", clock)
    await named(api, parts, "Theirs", "spam_bot", clock)
    await after_a_change(clock)
    assert [title for title, _ in await shown(api)] == ["Theirs", "Mine"]
    now = datetime.now(UTC)
    await ListStore(database).block(BlacklistKind.CHANNEL_PATTERN, "spam*", reason="", now=now)
    await after_a_change(clock)
    assert [title for title, _ in await shown(api)] == ["Mine"]


async def test_clips_and_files_are_not_shown(
    api: ClientSession, parts: FakePipeline, database: Database, clock: FakeClock
) -> None:
    await RulesStore(database).set_website("recent_songs", "on")
    assert (await ask(api, CLIP, wait=30)).status == 200
    await after_a_change(clock)
    assert await shown(api) == []
    assert parts.recognizers.matches
