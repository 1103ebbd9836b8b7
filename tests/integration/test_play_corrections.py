"""A channel's owner corrects and hides plays, and chooses what is public: over the API and on the page."""

import asyncio
import csv
import html
import io
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from fingerprint.domain.identification import Kind
from fingerprint.domain.songs import song_id
from fingerprint.domain.tracklist import Tracklist, TracklistEntry
from fingerprint.ports import Match
from server.access.rules.store import RulesStore
from server.channels.video_set_list_store import SetListLimits, VideoSetListStore
from server.cli import main
from server.owner_choices.choices import CorrectedTime
from server.owner_choices.store import ChoiceStore, PlayChange
from tests.api_client import ASK, ask, assert_problem, next_event_with_id, open_api
from tests.browser_client import Browser, browsing, known_to_twitch
from tests.builders import answered, song
from tests.fakes import FakePipeline
from tests.integration.simulator_client import VIDEO, Viewer
from tests.seeds import seed_answers

VIC, SUE = "viewer_vic", "subscriber_sue"
PAGE, API = f"/channels/{VIC}", f"/api/v1/channels/{VIC}"
HTML = {"Accept": "text/html"}
VIDEO_FILES = [f"/api/v1/videos/{VIDEO}/set-list.{ending}" for ending in ("csv", "json", "m3u8", "cue")]


@dataclass(frozen=True, slots=True)
class Stage:
    """A server, its owner's browser and token, its database, and what is recognized."""

    api: ClientSession
    browser: Browser
    database: Database
    headers: dict[str, str]
    parts: FakePipeline

    async def hear(self, title: str, **more: Any) -> str:
        """Something is identified on the channel; the answer's id."""
        self.parts.recognizers.matches = [Match(song=song(title, **more), score=0.9)]
        answer = await (await ask(self.api, {"channel": VIC}, wait=30)).json()
        assert answer["status"] in ("successful", "no_match"), answer
        return str(answer["id"])

    async def titles(self, **more: Any) -> list[str]:
        body = await (await self.api.get(f"{API}/songs", **more)).json()
        return [play["song"]["title"] for play in body["plays"]]

    async def hide(self, play: str) -> None:
        answer = await self.api.delete(f"{API}/songs/{play}", headers=self.headers)
        assert answer.status == 204, await answer.text()

    async def correct(self, play: str, **names: Any) -> Any:
        answer = await self.api.patch(f"{API}/songs/{play}", json=names, headers=self.headers)
        assert answer.status == 200, await answer.text()
        return await answer.json()

    async def corrections(self) -> list[Any]:
        found: list[Any] = (await (await self.api.get(f"{API}/corrections", headers=self.headers)).json())[
            "corrections"
        ]
        return found

    async def undo(self, number: str) -> None:
        answer = await self.api.delete(f"{API}/corrections/{number}", headers=self.headers)
        assert answer.status == 204

    async def choose(self, public: str) -> None:
        answer = await self.api.put(f"{API}/visibility", json={"public": public}, headers=self.headers)
        assert (answer.status, await answer.json()) == (200, {"public": public})

    async def text(self, path: str) -> str:
        return await (await self.api.get(path, headers=HTML)).text()

    async def post(self, path: str, **fields: str) -> ClientResponse:
        data = {"csrf_token": await self.browser.csrf(), **fields}
        return await self.browser.post(f"{PAGE}/{path}", data=data, allow_redirects=False)


@asynccontextmanager
async def staged(viewer: Viewer, folder: Path) -> AsyncGenerator[Stage]:
    parts = FakePipeline(SystemClock())
    async with open_api(parts, folder, **known_to_twitch(viewer)) as api:
        viewer.twitch.accounts.sign_in(VIC)
        async with (
            browsing(api, viewer) as browser,
            open_database(f"sqlite:///{folder / 'twitchaudio.sqlite3'}") as database,
        ):
            headers = {"Authorization": f"Bearer {viewer.twitch.accounts.token_for(VIC)}"}
            yield Stage(api, browser, database, headers, parts)


@pytest.fixture
async def stage(viewer: Viewer, tmp_path: Path) -> AsyncGenerator[Stage]:
    async with staged(viewer, tmp_path) as stage:
        yield stage


async def test_a_hidden_play_is_shown_nowhere_until_that_is_taken_back(stage: Stage) -> None:
    await RulesStore(stage.database).set_website("recent_songs", "on")
    await stage.hear("Harbor")
    hidden = await stage.hear("Night Drive")
    page = f"/songs/{song_id(song('Night Drive'))}"
    async with asyncio.timeout(10):
        while "Night Drive" not in await stage.text("/"):  # noqa: ASYNC110 - the server's own pace
            await asyncio.sleep(0.1)
    assert "Night Drive" in await stage.text(page)
    await stage.hide(hidden)
    assert await stage.titles() == ["Harbor"]
    for path in (PAGE, *(f"{PAGE}/songs.{kind}" for kind in ("csv", "json", "m3u8", "spotify.txt")), "/", page):
        assert "Night Drive" not in await stage.text(path), path
    assert (await stage.api.get(f"/api/v1{page}")).status == 404
    assert (await stage.api.get(f"/cards/answers/{hidden}.png")).status == 404
    # An answer that somebody has the address of is without it, too.
    answer = await (await stage.api.get(f"{ASK}/{hidden}")).json()
    assert (answer["status"], answer["song"], answer["songs"]) == ("no_match", None, [])
    assert "Night Drive" not in await stage.text(f"/?id={hidden}")
    # What plays now is not shown: not the one before in its place, either.
    assert 'id="title" dir="auto"></h1>' in await stage.text(f"/overlay/{VIC}")
    assert (await stage.text(f"{API}/song.txt")).startswith("No match")
    (correction,) = await stage.corrections()
    assert (correction["hidden"], correction["title"]) == (True, None)
    assert correction["recognized"] == {"title": "Night Drive", "artists": ["The Builders"]}
    await stage.undo(correction["id"])
    assert await stage.titles() == ["Night Drive", "Harbor"]
    assert "Night Drive" in await stage.text(page)
    await assert_problem(
        await stage.api.delete(f"{API}/corrections/{correction['id']}", headers=stage.headers), "not-found", 404
    )


async def test_a_corrected_play_has_its_new_names_everywhere_without_the_others_links(stage: Stage) -> None:
    play = await stage.hear("Night Drive", isrc="USRC17607839", album="Coast")
    body = await stage.correct(play, title="Harbor Lights", artists=["June Alder", "  "])
    assert (body["title"], body["artists"], body["hidden"]) == ("Harbor Lights", ["June Alder"], False)
    (shown,) = (await (await stage.api.get(f"{API}/songs")).json())["plays"]
    assert (shown["song"]["title"], shown["song"]["isrc"], shown["song"]["album"]) == ("Harbor Lights", None, None)
    assert (shown["song"]["corrected"], shown["probable"]) == (True, False)
    page = await stage.text(PAGE)
    assert "Corrected by the channel" in page
    assert "Night Drive" not in page
    assert "Harbor Lights" in await stage.text(f"/overlay/{VIC}")
    new = f"/songs/{shown['song']['id']}"
    assert "Harbor Lights" in await stage.text(new)
    assert "Night Drive" not in await stage.text("/songs/USRC17607839")
    for path in (f"/?id={play}", new):
        assert "Corrected by the channel" in await stage.text(path), path
    answer = await (await stage.api.get(f"{ASK}/{play}")).json()
    assert (answer["song"]["corrected"], answer["score"]) == (True, None)
    assert re.search(r'<div data-if="sure" hidden>', await stage.text(f"/?id={play}"))
    (heard,) = (await (await stage.api.get(f"/api/v1{new}")).json())["heard"]
    assert heard["corrected"] is True
    rows = list(csv.DictReader(io.StringIO((await stage.text(f"{PAGE}/songs.csv")).lstrip("\ufeff"))))
    assert [(row["title"], row["corrected"]) for row in rows] == [("Harbor Lights", "yes")]
    # It goes on: a further answer of the same play has them as well.
    await stage.hear("Night Drive", isrc="USRC17607839")
    assert await stage.titles() == ["Harbor Lights"]
    assert await stage.text(f"{API}/song.txt") == "Now playing: Harbor Lights by June Alder"
    # Another song ends it, and after that the recognized song is another play.
    await stage.hear("Quay")
    await stage.hear("Night Drive", isrc="USRC17607839")
    assert await stage.titles() == ["Night Drive", "Quay", "Harbor Lights"]
    # One name may be left out, and a correction be corrected.
    body = await stage.correct(play, artists=["İpek Öz"])
    assert (body["title"], body["artists"]) == ("Harbor Lights", ["İpek Öz"])
    assert len(await stage.corrections()) == 1
    await stage.undo(body["id"])
    assert await stage.titles() == ["Night Drive", "Quay", "Night Drive"]
    assert (await stage.api.get(f"/api/v1{new}")).status == 404


async def test_a_hidden_play_leaves_the_others_of_its_hearing_on_the_songs_page(stage: Stage) -> None:
    before = await stage.hear("Night Drive")
    between = await stage.hear("Quay")
    hidden = await stage.hear("Night Drive")
    page = f"/songs/{song_id(song('Night Drive'))}"
    (joined,) = (await (await stage.api.get(f"/api/v1{page}")).json())["heard"]
    assert joined["identification"] == hidden
    await stage.hide(hidden)
    (left,) = (await (await stage.api.get(f"/api/v1{page}")).json())["heard"]
    assert (left["identification"], left["last_heard"]) == (before, left["first_heard"])
    assert f"/?id={before}" in await stage.text(page)
    # An earlier play that is hidden leaves the later one, from when that was heard.
    await stage.undo((await stage.corrections())[0]["id"])
    await stage.hide(before)
    (left,) = (await (await stage.api.get(f"/api/v1{page}")).json())["heard"]
    assert (left["identification"], left["first_heard"]) == (hidden, joined["last_heard"])
    await stage.hide(hidden)
    assert (await stage.api.get(f"/api/v1{page}")).status == 404
    assert between in await stage.text(f"/songs/{song_id(song('Quay'))}")


async def test_what_a_viewer_found_follows_its_channel(stage: Stage) -> None:
    named, hidden = await stage.hear("Night Drive"), await stage.hear("Quay")
    for number in (named, hidden):
        assert (await stage.api.put(f"/api/v1/me/finds/{number}", headers=stage.headers)).status == 204
    await stage.correct(named, title="Harbor Lights")
    await stage.hide(hidden)
    finds = (await (await stage.api.get("/api/v1/me/finds", headers=stage.headers)).json())["finds"]
    assert [each["title"] for each in finds] == ["Harbor Lights"]
    await stage.browser.sign_in()
    text = await (await stage.browser.get("/finds")).text()
    assert "Harbor Lights" in text
    assert "Quay" not in text


async def test_only_the_owner_and_operators_may(stage: Stage, viewer: Viewer) -> None:
    play = await stage.hear("Night Drive")
    other = {"Authorization": f"Bearer {viewer.twitch.accounts.token_for(SUE)}"}
    for headers, code, status in ((other, "forbidden", 403), ({}, "login-required", 401)):
        await assert_problem(await stage.api.delete(f"{API}/songs/{play}", headers=headers), code, status)
        await assert_problem(
            await stage.api.patch(f"{API}/songs/{play}", json={"title": "x"}, headers=headers), code, status
        )
        await assert_problem(
            await stage.api.put(f"{API}/visibility", json={"public": "now"}, headers=headers), code, status
        )
        await assert_problem(await stage.api.get(f"{API}/corrections", headers=headers), code, status)
    for names in ({}, {"title": ""}, {"title": "\u200b"}, {"name": "x"}, {"artists": ["x"] * 21}):
        answer = await stage.api.patch(f"{API}/songs/{play}", json=names, headers=stage.headers)
        await assert_problem(answer, "invalid-input", 400)
    missing = await stage.api.delete(f"{API}/songs/unknown", headers=stage.headers)
    await assert_problem(missing, "not-found", 404)
    assert await stage.titles() == ["Night Drive"]


async def test_on_the_page_without_javascript(stage: Stage) -> None:
    play = await stage.hear("Night Drive")
    assert "Correct or hide" not in await stage.text(PAGE)
    await stage.browser.sign_in()
    assert "Correct or hide" in await (await stage.browser.get(PAGE)).text()
    assert (await stage.browser.post(f"{PAGE}/plays", data={"action": "hide", "id": play})).status == 403
    fields = {"id": play, "action": "correct", "title": "مساء", "artists": "Tyler, The Creator\nJune Alder\n"}
    answer = await stage.post("plays", **fields)
    assert answer.status == 303, await answer.text()
    text = await (await stage.browser.get(answer.headers["Location"])).text()
    assert "The play is corrected." in text
    assert "مساء" in text
    assert "Tyler, The Creator, June Alder" in text
    number = re.search(r'name="id" value="([0-9a-f]{16})"', text)
    assert number is not None
    assert (await stage.post("plays", id=number[1], action="undo")).status == 303
    assert await stage.titles() == ["Night Drive"]
    answer = await stage.post("plays", id=play, action="hide")
    text = await (await stage.browser.get(answer.headers["Location"])).text()
    assert "The play is hidden." in text
    assert (await stage.post("plays", id=play, action="other")).status == 400
    assert (await stage.post("public", public="nothing")).status == 303
    assert (await stage.post("public", public="all")).status == 400
    assert "This set list is not public" in await stage.text(PAGE)


async def test_open_overlays_drop_it_and_a_reconnect_does_not_bring_it_back(stage: Stage) -> None:
    first = await stage.hear("Harbor")
    hidden = await stage.hear("Night Drive")
    async with asyncio.timeout(20), stage.api.get(f"{API}/events") as events:
        assert (await next_event_with_id(events))[:2] == ("play", hidden)
        await stage.hide(hidden)
        name, event_id, body = await next_event_with_id(events)
        assert (name, event_id, body) == ("removed", hidden, {"identifications": [hidden]})
        await stage.correct(first, title="Quay")
        name, event_id, body = await next_event_with_id(events)
        assert (name, event_id, body["song"]["title"]) == ("updated", hidden, "Quay")
        new = await stage.hear("Sand")
        assert (await next_event_with_id(events))[:2] == ("play", new)
        await stage.correct(new, title="Sandbank")
        name, event_id, body = await next_event_with_id(events)
        assert (name, event_id, body["song"]["title"]) == ("play", new, "Sandbank")
        (last,) = [each for each in await stage.corrections() if each["hidden"]]
        await stage.undo(last["id"])
        name, _, body = await next_event_with_id(events)
        assert (name, body["song"]["title"]) == ("updated", "Night Drive")
        await stage.hide(hidden)
        assert (await next_event_with_id(events))[0] == "removed"
    for after, expected in ((first, ["removed", "play"]), (hidden, ["removed", "play"]), (new, ["removed"])):
        names: list[str] = []
        async with (
            asyncio.timeout(20),
            stage.api.get(f"{API}/events", headers={"Last-Event-ID": after}) as events,
        ):
            for _ in expected:
                name, _, body = await next_event_with_id(events)
                names.append(name)
                assert "Night Drive" not in str(body)
        assert names == expected


async def test_listeners_are_told_when_the_only_play_is_shown_again(stage: Stage) -> None:
    play = await stage.hear("Night Drive")
    async with asyncio.timeout(20), stage.api.get(f"{API}/events") as events:
        assert (await next_event_with_id(events))[0] == "play"
        await stage.hide(play)
        assert (await next_event_with_id(events))[0] == "removed"
        await stage.undo((await stage.corrections())[0]["id"])
        name, _, body = await next_event_with_id(events)
        assert (name, body["song"]["title"]) == ("play", "Night Drive")


async def test_the_answer_of_a_clip_is_corrected_hidden_and_taken_back(stage: Stage) -> None:
    first, second = song("Night Drive", isrc="USRC17607839"), song("Quay", position_seconds=20.0)
    stored = answered(
        song=first, songs=(first, second), id="clip-answer", kind=Kind.CLIP, target="OwnSlug-1", channel=VIC
    )
    other = answered(song=first, id="others-clip", kind=Kind.CLIP, target="OthersSlug-1", channel="another_one")
    await seed_answers(stage.database, [stored, other])
    clip = "/api/v1/clips/OwnSlug-1"

    async def shown() -> list[str]:
        body = await (await stage.api.get(clip)).json()
        assert body["song"] == (body["songs"][0] if body["songs"] else None)
        return [each["title"] for each in body["songs"]]

    assert await shown() == ["Night Drive", "Quay"]
    body = await stage.correct("clip-answer", title="Harbor Lights")
    assert body["recording"] == {"kind": "clip", "target": "OwnSlug-1", "at": None}
    assert await shown() == ["Harbor Lights", "Quay"]
    for path in ("/?id=clip-answer", f"/songs/{song_id(song('Harbor Lights'))}"):
        text = await stage.text(path)
        assert "Harbor Lights" in text, path
        assert "Corrected by the channel" in text, path
    await stage.hide("clip-answer")
    assert (await shown(), len(await stage.corrections())) == (["Quay"], 1)
    await stage.hide("clip-answer")
    assert await shown() == []
    for correction in await stage.corrections():
        await stage.undo(correction["id"])
    assert await shown() == ["Night Drive", "Quay"]
    assert "OwnSlug-1" in await stage.text("/songs/USRC17607839")
    # What another channel's clip was identified as stays as it is.
    await assert_problem(
        await stage.api.delete(f"{API}/songs/others-clip", headers=stage.headers), "not-found", 404
    )
    assert (await (await stage.api.get("/api/v1/clips/OthersSlug-1")).json())["song"]["title"] == "Night Drive"


async def test_a_moment_of_a_vod_is_corrected_beside_it_and_in_the_set_list(stage: Stage) -> None:
    moments = [
        answered(
            song=song("Night Drive"), id=f"at-{at}", kind=Kind.VIDEO, target=VIDEO, at_seconds=at, channel=VIC
        )
        for at in (65.0, 70.0, 900.0)
    ]
    await seed_answers(stage.database, moments)
    entry = TracklistEntry(
        start=50.0, end=150.0, song=song("Night Drive"), score=1.0, recognizer="catalog", pieces=3
    )
    later = replace(entry, start=880.0, end=950.0)
    store, now = VideoSetListStore(stage.database), datetime.now(UTC)
    await store.start(VIDEO, made_by="key:1", channel_id=None, limits=SetListLimits(), now=now)
    job = await store.take(owner="a", now=now, lease_seconds=60)
    assert job is not None
    await store.finish(job, Tracklist(entries=(entry, later), channel=VIC, duration=1000.0), now=now)

    async def titles() -> list[str]:
        found = [(await (await stage.api.get(f"{ASK}/{each.id}")).json())["song"]["title"] for each in moments]
        body = await (await stage.api.get(f"/api/v1/videos/{VIDEO}/set-list")).json()
        return [*found, *(each["song"]["title"] for each in body["songs"])]

    body = await stage.correct("at-65.0", title="Harbor Lights")
    assert body["recording"] == {"kind": "video", "target": VIDEO, "at": 65}
    assert await titles() == ["Harbor Lights", "Harbor Lights", "Night Drive", "Harbor Lights", "Night Drive"]
    body_of_list = await (await stage.api.get(f"/api/v1/videos/{VIDEO}/set-list")).json()
    rows = list(csv.DictReader(io.StringIO((await stage.text(VIDEO_FILES[0])).lstrip("\ufeff"))))
    assert [each["score"] for each in body_of_list["songs"]] == [None, 1.0]
    assert [(row["score"], row["corrected"]) for row in rows] == [("", "yes"), ("1.00", "")]
    await stage.undo(body["id"])
    assert await titles() == ["Night Drive"] * 5


async def test_the_owner_finds_it_on_the_answers_page(stage: Stage) -> None:
    play = await stage.hear("Night Drive")
    stored = answered(song=song("Quay"), id="clip-answer", kind=Kind.CLIP, target="OwnSlug-1", channel=VIC)
    await seed_answers(stage.database, [stored])
    for number in (play, "clip-answer"):
        assert "Correct or hide" not in await stage.text(f"/?id={number}")
    await stage.browser.sign_in()
    for number in (play, "clip-answer"):
        text = await (await stage.browser.get(f"/?id={number}")).text()
        assert f'action="{PAGE}/plays"' in text, number
        answer = await stage.post("plays", action="correct", id=number, title="Harbor Lights", artists="")
        assert answer.status == 303
        assert "Harbor Lights" in await stage.text(f"/?id={number}")
        text = await (await stage.browser.get(answer.headers["Location"])).text()
        said = "The play is corrected." if number == play else "Clip OwnSlug-1: the song is corrected."
        assert said in html.unescape(re.sub(r"<[^>]*>", "", text))
    text = await (await stage.browser.get(PAGE)).text()
    assert "Clip OwnSlug-1" in text


async def test_what_is_not_public_is_shown_to_the_owner_alone(stage: Stage, viewer: Viewer) -> None:
    await RulesStore(stage.database).set_website("recent_songs", "on")
    await stage.hear("Harbor")
    await stage.hear("Night Drive")
    page = f"/songs/{song_id(song('Harbor'))}"
    await stage.choose("now")
    assert await stage.titles() == ["Night Drive"]
    assert await stage.titles(headers=stage.headers) == ["Night Drive", "Harbor"]
    text = await stage.text(PAGE)
    assert "shows only the song that is playing now" in text
    assert "Harbor" not in text
    assert "Harbor" not in await stage.text(f"{PAGE}/songs.csv")
    assert "Harbor" not in await stage.text(page)
    await stage.choose("nothing")
    await assert_problem(await stage.api.get(f"{API}/songs"), "not-public", 403)
    for kind in ("csv", "json", "m3u8", "youtube.txt"):
        await assert_problem(await stage.api.get(f"{PAGE}/songs.{kind}"), "not-public", 403)
    assert "This set list is not public" in await stage.text(f"{PAGE}/songs.csv")
    for path in (PAGE, page, "/"):
        text = await stage.text(path)
        assert "Night Drive" not in text, path
        assert "Harbor" not in text, path
    assert (await stage.api.get(f"/cards/channels/{VIC}.png")).status == 404
    # The overlay and the chat command are the streamer's own: they show what is on now.
    assert "Night Drive" in await stage.text(f"/overlay/{VIC}")
    assert (await stage.text(f"{API}/song.txt")).startswith("Now playing: Night Drive")
    async with asyncio.timeout(20), stage.api.get(f"{API}/events") as events:
        name, _, body = await next_event_with_id(events)
        assert (name, body["song"]["title"]) == ("play", "Night Drive")
    await stage.browser.sign_in()
    text = await (await stage.browser.get(PAGE)).text()
    assert "Only you see the whole set list." in text
    assert "Harbor" in text
    assert (await (await stage.api.get(f"{API}/visibility")).json()) == {"public": "nothing"}
    await stage.choose("set-list")
    assert await stage.titles() == ["Night Drive", "Harbor"]
    assert "Harbor" in await stage.text(page)


async def test_other_servers_follow_within_a_second_or_so(stage: Stage, viewer: Viewer, tmp_path: Path) -> None:
    play = await stage.hear("Night Drive")
    parts = FakePipeline(SystemClock())
    async with open_api(parts, tmp_path, **known_to_twitch(viewer)) as other:
        assert (await (await other.get(f"{API}/songs")).json())["plays"]
        await stage.hide(play)
        async with asyncio.timeout(5):
            while (await (await other.get(f"{API}/songs")).json())["plays"]:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.05)


async def test_deleting_the_channel_deletes_its_corrections(stage: Stage) -> None:
    await stage.hide(await stage.hear("Night Drive"))
    assert (await stage.api.delete(API, headers=stage.headers)).status == 204
    assert await stage.corrections() == []
    await stage.hear("Night Drive")
    assert await stage.titles() == ["Night Drive"]


async def test_the_set_list_of_the_broadcasts_vod_has_it_and_is_as_public(stage: Stage) -> None:
    songs = [song("Night Drive"), song("Harbor")]
    entries = tuple(
        TracklistEntry(start=start, end=start + 100, song=named, score=1.0, recognizer="catalog", pieces=3)
        for start, named in zip((0.0, 650.0), songs, strict=True)
    )
    store, now = VideoSetListStore(stage.database), datetime.now(UTC)
    await store.start(VIDEO, made_by="key:1", channel_id=None, limits=SetListLimits(), now=now)
    job = await store.take(owner="a", now=now, lease_seconds=60)
    assert job is not None
    await store.finish(job, Tracklist(entries=entries, broadcast="b1", channel=VIC, duration=900.0), now=now)
    time = CorrectedTime(since=now, until=now, broadcast="b1", from_seconds=10.0, to_seconds=90.0)
    wanted = [PlayChange(song=songs[0], time=time, title="Quay", artists=())]
    await ChoiceStore(stage.database).correct(VIC, None, wanted, made_by="operator", now=now)
    for path in (f"/api/v1/videos/{VIDEO}/set-list", *VIDEO_FILES, f"/videos/{VIDEO}"):
        text = await stage.text(path)
        assert "Quay" in text, path
        assert ("Corrected by the channel" in text) == (path == f"/videos/{VIDEO}"), path
        assert "Night Drive" not in text, path
    await stage.choose("now")
    for path in (
        f"/api/v1/videos/{VIDEO}/set-list",
        *VIDEO_FILES,
        f"/videos/{VIDEO}",
        f"/cards/videos/{VIDEO}.png",
    ):
        assert (await stage.api.get(path)).status == 403, path
    own = await stage.api.get(f"/api/v1/videos/{VIDEO}/set-list", headers=stage.headers)
    assert [each["song"]["title"] for each in (await own.json())["songs"]] == ["Quay", "Harbor"]


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))

    async def hear() -> str:
        async with open_api(FakePipeline(SystemClock()), tmp_path) as api:
            return str((await (await ask(api, wait=30)).json())["id"])

    play = asyncio.run(hear())

    def said(*words: str) -> str:
        assert main(["admin", "plays", *words]) == 0
        return capsys.readouterr().out

    assert json.loads(said("list", "somechannel", "--json"))["id"] == play
    assert "Night Drive is June Alder - Quay now" in said(
        "correct", "somechannel", play, "--title", "Quay", "--artist", "June Alder"
    )
    assert json.loads(said("list", "twitch.tv/SomeChannel", "--json"))["corrected"] == "yes"
    assert "Night Drive is hidden" in said("hide", "somechannel", play)
    assert said("list", "somechannel", "--json") == ""
    correction = json.loads(said("corrections", "somechannel", "--json"))
    assert (correction["hidden"], correction["made_by"]) == ("yes", "operator")
    assert "is undone" in said("undo", "somechannel", correction["id"])
    assert json.loads(said("list", "somechannel", "--json"))["title"] == "Night Drive"
    assert json.loads(said("public", "somechannel", "nothing", "--json")) == {
        "channel": "somechannel",
        "public": "nothing",
    }
    assert main(["admin", "plays", "hide", "somechannel", "unknown"]) == 1
    assert main(["admin", "plays", "correct", "somechannel", play]) == 2
