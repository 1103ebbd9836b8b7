"""`/api/v1/songs/{id}` and `/songs/{id}`: a song, and where it was heard as far as the visitor may see it."""

import asyncio
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import delete

from fingerprint.catalog.picture_header import picture_header
from fingerprint.clock import SystemClock
from fingerprint.database import Database
from fingerprint.domain.identification import CatalogRef, Heard, IdentificationId, Kind
from fingerprint.ports import Match
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from server.channel_names import ChannelNames
from server.channels.retention import delete_old_rows
from server.cli import main
from server.owner_choices.service import OwnerChoices
from server.services.jobs import noting
from server.songs.store import SongStore
from server.songs.tables import song_hearings
from tests.api_client import CLIP, STREAM, ServerRules, ask, assert_problem
from tests.builders import NOON, answered, song
from tests.fakes import FakePipeline

HOSTILE = '"><script>alert(1)</script>'


async def history(api: ClientSession, identifier: str, **query: str) -> dict[str, Any]:
    response = await api.get(f"/api/v1/songs/{identifier}", params=query)
    assert response.status == 200, await response.text()
    body: dict[str, Any] = await response.json()
    return body


async def facts(api: ClientSession, identifier: str) -> dict[str, str]:
    html = await (await api.get(f"/songs/{identifier}", headers={"Accept": "text/html"})).text()
    return dict(re.findall(r"<dt>([^<]*)</dt><dd[^>]*>([^<]*)</dd>", html))


def places(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["kind"], each["target"]) for each in body["heard"]]


async def test_a_song_and_where_it_was_heard(api: ClientSession, parts: FakePipeline) -> None:
    title = f"Night Drive {HOSTILE}"
    found = song(title, isrc="QZES71982312", catalog=CatalogRef(track_id="0123456789ab", path="/music/x.flac"))
    parts.recognizers.matches = [Match(song=found, score=0.9)]
    first = await (await ask(api, wait=30)).json()
    await ask(api, wait=30)
    await ask(api, CLIP, wait=30)
    parts.recognizers.matches = [Match(song=song(title, isrc="QZ-ES7-19-82312"), score=0.9)]
    video = await (await ask(api, {"video": "2210", "at": 65}, wait=30)).json()
    assert (first["song"]["id"], video["song"]["id"]) == ("0123456789ab", "QZES71982312")

    body = await history(api, "0123456789ab")
    assert (body["id"], body["song"]["id"], body["song"]["title"]) == ("0123456789ab", "0123456789ab", title)
    assert "path" not in body["song"]["catalog"]
    assert places(body) == [("video", "2210"), ("clip", CLIP["clip"]), ("stream", STREAM["channel"])]
    assert [each["link"] for each in body["heard"]] == [
        "https://www.twitch.tv/videos/2210?t=0h1m5s",
        f"https://clips.twitch.tv/{CLIP['clip']}",
        None,
    ]
    assert places(await history(api, "QZES71982312")) == places(body), "the same ISRC is the same song"
    page = await history(api, "0123456789ab", limit="2")
    older = await history(api, "0123456789ab", limit="2", before=page["next_before"])
    assert (places(page) + places(older), older["next_before"]) == (places(body), None)

    head = await api.head("/api/v1/songs/0123456789ab")
    known = await api.get("/api/v1/songs/0123456789ab", headers={"If-None-Match": head.headers["ETag"]})
    assert (head.status, known.status) == (200, 304)
    for wrong in ("t-nothing", "..%2f", "%00", "x" * 65):
        await assert_problem(await api.get(f"/api/v1/songs/{wrong}"), "not-found", 404)
    await assert_problem(await api.get("/api/v1/songs/0123456789ab?limit=0"), "invalid-input", 400)

    html = await (await api.get("/songs/0123456789ab", headers={"Accept": "text/html"})).text()
    assert "<script>alert" not in html
    assert "Night Drive" in html
    for address in ("/channels/somechannel", "https://www.twitch.tv/videos/2210?t=0h1m5s", f"/?id={video['id']}"):
        assert f'href="{address}"' in html
    drawn = re.findall('<img class="cover" src="([^"]+)"', html)[0]
    assert (await api.get(drawn)).content_type == "image/svg+xml"
    for path, title in (
        ("/songs/0123456789ab", "Night Drive"),
        (f"/?id={first['id']}", "Night Drive"),
        ("/channels/somechannel", "somechannel: set list"),
    ):
        html = await (await api.get(path, headers={"Accept": "text/html"})).text()
        assert f'<meta property="og:title" content="{title}' in html
        assert "<script>alert" not in html
        assert '<meta name="twitter:card" content="summary_large_image">' in html
        image = re.findall('<meta property="og:image" content="(http://127[^"]+)">', html)[0]
        assert "/cards/" in image
        card = await api.get(image)
        assert picture_header(await card.read()).width == 1200
        known = await api.head(image, headers={"If-None-Match": card.headers["ETag"]})
        assert known.status == 304
    for wrong in ("answers/nothing", "songs/t-nothing", "channels/otherchannel", "videos/2210"):
        await assert_problem(await api.get(f"/cards/{wrong}.png"), "not-found", 404)
    assert await facts(api, "0123456789ab") == {"ISRC": "QZES71982312"}
    missing = await api.get("/songs/t-nothing", headers={"Accept": "text/html"})
    assert (missing.status, missing.content_type) == (404, "text/html")


@pytest.mark.parametrize(
    ("date", "shown"), [("2021-05-14", "14 May 2021"), ("2021-05", "May 2021"), ("2021", "2021"), (None, None)]
)
async def test_the_page_tells_what_is_known_of_the_song(
    api: ClientSession, parts: FakePipeline, date: str | None, shown: str | None
) -> None:
    found = song("Night Drive", album="Roads", label="Pier", release_date=date, duration_seconds=201.4)
    parts.recognizers.matches = [Match(song=found, score=0.9)]
    answer = await (await ask(api, wait=30)).json()
    told = await facts(api, answer["song"]["id"])
    assert told == {"Album": "Roads", "Label": "Pier", **({"Released": shown} if shown else {}), "Length": "3:21"}


async def test_what_is_not_shown_in_set_lists_is_not_shown_here(
    api: ClientSession, parts: FakePipeline, database: Database, rules: ServerRules
) -> None:
    parts.recognizers.matches = [Match(song=song(isrc="QZES71982312"), score=0.9)]
    await ask(api, wait=30)
    await ask(api, CLIP, wait=30)
    lists = ListStore(database)
    await lists.block(BlacklistKind.USER, "nobody", reason="", now=NOON)
    await rules.set(access_mode="login")
    assert places(await history(api, "QZES71982312")) == [("stream", "somechannel")], "clips take signing in"
    html = await (await api.get("/songs/QZES71982312", headers={"Accept": "text/html"})).text()
    assert '<meta name="robots" content="noindex">' in html
    assert "og:" not in html
    await lists.block(BlacklistKind.CHANNEL, "somechannel", reason="", now=NOON)
    rules.are_known()
    await assert_problem(await api.get("/api/v1/songs/QZES71982312"), "not-found", 404)


def heard(minutes: float, target: str = "somechannel", **more: Any) -> Any:
    return answered(
        minutes=minutes,
        id=IdentificationId(f"{target}-{minutes}"),
        target=target,
        song=song(isrc="QZES71982312"),
        captured_at=NOON + timedelta(minutes=minutes),
        heard=Heard.NOW,
        **more,
    )


async def test_answers_that_follow_each_other_are_one_hearing(database: Database) -> None:
    store = SongStore(database)
    for minutes in (0, 10, 24, 24, 45):
        await store.note(heard(minutes))
        await store.note(heard(minutes + 1, "another"))
    found = await store.hearings("QZES71982312", limit=10)
    spans = [
        ((each.first_heard - NOON).total_seconds() / 60, (each.last_heard - NOON).total_seconds() / 60)
        for each in found
    ]
    assert spans == [(46, 46), (45, 45), (1, 25), (0, 24)]
    assert found[-1].identification_id == "somechannel-24"


async def test_a_clip_is_listed_for_its_newest_answer_only(database: Database) -> None:
    store = SongStore(database)
    clip: dict[str, Any] = {"kind": Kind.CLIP, "target": "Slug"}
    await store.note(answered(song=song(isrc="QZES71982312"), **clip))
    await store.note(answered("Two", song=song(isrc="QZES71982313"), **clip))
    assert await store.hearings("QZES71982312", limit=10) == []
    assert len(await store.hearings("QZES71982313", limit=10)) == 1


async def test_a_forgotten_channel_is_on_no_songs_page(
    api: ClientSession, parts: FakePipeline, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.recognizers.matches = [Match(song=song(isrc="QZES71982312"), score=0.9)]
    await ask(api, wait=30)
    await ask(api, {"channel": "another"}, wait=30)
    monkeypatch.setenv("TWITCHAUDIO_DATABASE_URL", address)
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path))
    assert await asyncio.to_thread(main, ["admin", "channels", "forget", "somechannel"]) == 0
    assert places(await history(api, "QZES71982312")) == [("stream", "another")]


async def test_old_hearings_go_with_their_answers(database: Database) -> None:
    store = SongStore(database)
    await store.note(heard(0))
    await store.note(answered(song=song(isrc="QZES71982312"), kind=Kind.CLIP, target="Slug", minutes=1))
    await delete_old_rows(database, SystemClock(), before=datetime.now(UTC))
    assert [each.kind for each in await store.hearings("QZES71982312", limit=10)] == [Kind.CLIP]


async def test_answers_from_before_hearings_were_noted_get_their_songs_pages(
    api: ClientSession, parts: FakePipeline, database: Database
) -> None:
    parts.recognizers.matches = [Match(song=song(isrc="QZES71982312"), score=0.9)]
    live = await (await ask(api, wait=30)).json()
    parts.recognizers.matches = [Match(song=song("Clip Song", isrc="QZES71982313"), score=0.9)]
    clip = await (await ask(api, CLIP, wait=30)).json()
    # An answer is noted meanwhile; who reads hearings waits for that.
    assert places(await history(api, clip["song"]["id"])) == [("clip", CLIP["clip"])]
    await database.transact(lambda connection: connection.execute(delete(song_hearings)))
    for path, answer, place in (
        ("/channels/somechannel", live, ("stream", "somechannel")),
        (f"/?id={clip['id']}", clip, ("clip", CLIP["clip"])),
    ):
        address = f"/songs/{answer['song']['id']}"
        assert (await api.get(address)).status == 404
        for _ in range(2):
            html = await (await api.get(path, headers={"Accept": "text/html"})).text()
            assert f'href="{address}"' in html
            assert places(await history(api, answer["song"]["id"])) == [place]
    assert await (await api.get("/api/v1/channels/somechannel/songs")).json()


async def test_an_answer_does_not_wait_until_it_is_noted_but_who_reads_hearings_does(database: Database) -> None:
    gate = threading.Event()
    clock = SystemClock()
    names = ChannelNames(database, None, clock=clock)
    async with SongStore(database) as songs, OwnerChoices(database, names, clock=clock) as choices:
        busy = asyncio.create_task(database.transact(lambda _: gate.wait(5)))
        given = await asyncio.wait_for(noting(songs, choices)(heard(0)), 4)
        assert given == heard(0)
        reading = asyncio.create_task(songs.hearings("QZES71982312", limit=5))
        await asyncio.sleep(0.05)
        assert not reading.done()
        gate.set()
        assert [each.identification_id for each in await reading] == [given.id]
        await busy
        songs.note_meanwhile(heard(60))
    assert len(await SongStore(database).hearings("QZES71982312", limit=5)) == 2, "a server notes before it stops"


async def test_an_old_answer_that_is_read_by_its_id_is_noted_once(database: Database) -> None:
    answer = answered(song=song("Old Song", isrc="QZES71982399"))
    songs = SongStore(database)
    await songs.note_old(answer)
    assert answer.song is not None
    assert [each.identification_id for each in await songs.hearings("QZES71982399", limit=5)] == [answer.id]
    await database.transact(lambda connection: connection.execute(delete(song_hearings)))
    # Known now, as is an answer that was noted when it was given: neither costs a query.
    await songs.note(other := answered("Other", song=song("New Song", isrc="QZES71982398")))
    await database.transact(lambda connection: connection.execute(delete(song_hearings)))
    for known in (answer, other):
        await songs.note_old(known)
    assert not await songs.hearings("QZES71982399", limit=5)
    assert not await songs.hearings("QZES71982398", limit=5)
