"""Links that are looked up after the answer: what is found, what is kept, and what happens when services fail."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import select

from fingerprint.catalog.picture_header import picture_header
from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from fingerprint.domain.artwork import artwork_of
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.links.finder import LinkFinder
from fingerprint.links.store import FOUND_TTL, NOT_FOUND_TTL, FoundLinks, LinkStore, song_key, table
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Match
from fingerprint.settings import SettingsError, read_settings
from fingerprint.wiring import open_link_finder
from server.app import listening, make_app
from server.identifications.limits import ServiceLimits
from server.identifications.links import LinkEnricher
from server.settings import ServerSettings
from tests.api_client import ASK, CLIP, assert_problem
from tests.builders import NOON, answered, song
from tests.databases import migrated_database
from tests.fakes import FakePipeline, MemoryJobStore
from tests.providers.link_services import ISRC, PREVIEW, SPOTIFY, YOUTUBE, LinkWorld
from tests.providers.service import Reply

KNOWN = song("Paper Lanterns", "Mira Holt", isrc=ISRC)
FOUND = ExternalIds(
    spotify_track=SPOTIFY,
    youtube=YOUTUBE,
    deezer_track="900000001",
    deezer_album="900000002",
    deezer_artists=("900000003",),
    apple_music="1440933849",
)


LINKS = FoundLinks(ids=FOUND, artwork=artwork_of("0a" * 16, 640, 640), preview="/api/v1/previews/deezer-900000001")


@asynccontextmanager
async def finder(**environ: str) -> AsyncGenerator[LinkFinder]:
    async with open_link_finder(read_settings(PipelineSettings, environ), SystemClock()) as opened:
        assert opened is not None
        yield opened


@pytest.fixture
async def world() -> AsyncGenerator[LinkWorld]:
    async with LinkWorld.running() as running:
        yield running


@pytest.fixture
async def database(sql_address: str) -> AsyncGenerator[Database]:
    async with migrated_database(sql_address) as opened:
        yield opened


async def test_an_isrc_leads_to_all_services(world: LinkWorld) -> None:
    async with finder(**world.environment()) as find:
        assert await find.find(KNOWN) == (FOUND, True)
    assert world.asked == [
        ("deezer", f"isrc:{ISRC}"),
        ("musicbrainz", ISRC),
        ("odesli", f"spotify:{SPOTIFY}"),
    ]


async def test_without_an_isrc_title_and_artist_are_searched_and_only_the_same_song_counts(
    world: LinkWorld,
) -> None:
    async with finder(**world.environment("deezer")) as find:
        ids, complete = await find.find(song("Paper Lanterns", 'Mira "Other'))
        assert (ids, complete) == (ExternalIds(), True)
        ids, complete = await find.find(song("paper lanterns", "MIRA HOLT"))
    assert complete
    assert ids.deezer_track == "900000001"
    assert world.asked[0] == ("deezer", 'artist:"Mira  Other" track:"Paper Lanterns"')


async def test_an_unknown_isrc_is_searched_by_name_and_is_no_failure(world: LinkWorld) -> None:
    async with finder(**world.environment("deezer,musicbrainz")) as find:
        ids, complete = await find.find(dataclasses.replace(KNOWN, isrc="ZZN992100099"))
    assert complete
    assert (ids.deezer_track, ids.spotify_track) == ("900000001", None)


async def test_what_is_known_is_not_asked_for(world: LinkWorld) -> None:
    async with finder(**world.environment()) as find:
        full = dataclasses.replace(KNOWN, ids=dataclasses.replace(FOUND, apple_music=None))
        assert (await find.find(full))[0] == full.ids
    assert world.asked == []


async def test_the_operators_contact_is_told(world: LinkWorld) -> None:
    async with finder(**world.environment("deezer"), TWITCHAUDIO_CONTACT="https://songs.example/about") as find:
        await find.find(KNOWN)
    assert world.agents == {"TwitchAudio/0.1 ( https://songs.example/about )"}


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=500),
        Reply(status=429),
        Reply(body=b"<html>"),
        Reply(body=b"[" * 100_000),
        Reply(body=b'{"error": {"code": 4}}'),
        Reply(body=b"[" + b"0," * 500_000 + b"0]"),
        Reply(cut=True),
        Reply(status=302, body=b""),
    ],
)
async def test_a_service_that_fails_is_left_out(trouble: Reply, world: LinkWorld) -> None:
    world.script.always = trouble
    async with finder(**world.environment("deezer")) as find:
        ids, complete = await find.find(Song(title="Paper Lanterns", isrc=ISRC))
    assert (ids, complete) == (ExternalIds(), False)


async def test_a_service_that_is_asked_too_much_rests(world: LinkWorld) -> None:
    world.script.always = Reply(status=429)
    async with finder(**world.environment("musicbrainz")) as find:
        for _ in range(3):
            assert (await find.find(KNOWN))[1] is False
    # The client itself repeats what was refused for its rate once.
    assert len(world.asked) <= 2


@pytest.mark.parametrize("text", ["spotify", "deezer,", "off,deezer", "none"])
def test_other_words_stop_the_start(text: str) -> None:
    if text == "deezer,":
        assert read_settings(PipelineSettings, {"TWITCHAUDIO_LINKS": text}).links.services == ("deezer",)
        return
    with pytest.raises(SettingsError, match="TWITCHAUDIO_LINKS"):
        read_settings(PipelineSettings, {"TWITCHAUDIO_LINKS": text})


async def test_nothing_is_looked_up_by_default() -> None:
    async with open_link_finder(PipelineSettings(), SystemClock()) as opened:
        assert opened is None


async def test_what_was_found_is_kept_for_weeks_and_nothing_for_days(database: Database) -> None:
    link_store = LinkStore(database)
    key, other = song_key(KNOWN), song_key(song("Other", "Somebody"))
    assert key is not None
    assert other is not None
    assert await link_store.get(key, NOON) is None
    await link_store.put(key, FoundLinks(), NOON)
    await link_store.put(key, LINKS, NOON)
    await link_store.put(other, FoundLinks(), NOON)
    for seen in (link_store, LinkStore(database)):
        assert await seen.get(key, NOON + FOUND_TTL - timedelta(hours=1)) == LINKS
        assert await seen.get(key, NOON + FOUND_TTL + timedelta(hours=1)) is None
        assert await seen.get(other, NOON) == FoundLinks()
        assert await seen.get(other, NOON + NOT_FOUND_TTL + timedelta(hours=1)) is None
    await link_store.delete_expired(NOON + 3 * FOUND_TTL)
    assert await LinkStore(database).get(key, NOON) is None


async def test_two_servers_that_find_the_same_song_do_not_fail(database: Database) -> None:
    await asyncio.gather(*(LinkStore(database).put("isrc:x", LINKS, NOON) for _ in range(10)))
    assert await LinkStore(database).get("isrc:x", NOON) == LINKS


def test_songs_are_kept_by_isrc_or_by_name() -> None:
    assert song_key(KNOWN) == f"isrc:{ISRC}"
    assert song_key(Song(title="Only a title")) is None
    named = song_key(song("Night Drive", "B", "A"))
    assert named == song_key(song("night drive (Remastered)", "A", "B"))
    assert named != song_key(song("Night Drive", "A"))
    assert len(named or "") <= 80


async def test_the_answer_does_not_wait_and_the_stored_one_gets_the_links(
    world: LinkWorld, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    world.script.replies.append(Reply(after=gate.is_set, status=500))
    async with (
        migrated_database(f"sqlite:///{tmp_path / 'x.sqlite3'}") as database,
        finder(**world.environment()) as find,
    ):
        store = MemoryJobStore()
        links = LinkEnricher(find, LinkStore(database), store, SystemClock())
        answer = answered(song=KNOWN)
        store.rows[answer.id] = answer
        assert await links.enrich(answer) == answer
        gate.set()
        await links.wait_until_idle()
        stored = store.rows[answer.id]
        assert stored.song is not None
        assert stored.song.ids.spotify_track == SPOTIFY
        assert stored.songs == (stored.song,)
        # One service failed, so the song is looked up again next time, and then it is known.
        await links.enrich(answer)
        await links.wait_until_idle()
        asked = len(world.asked)
        at_once = await links.enrich(answered("Again", song=KNOWN))
        assert at_once.song is not None
        assert at_once.song.ids == FOUND
        assert len(world.asked) == asked
        await links.close()


async def test_what_is_long_out_of_date_is_cleared_away_by_the_way(world: LinkWorld, tmp_path: Path) -> None:
    async with migrated_database(f"sqlite:///{tmp_path / 'x.sqlite3'}") as database:
        await LinkStore(database).put("isrc:old", LINKS, NOON - 5 * FOUND_TTL)
        async with finder(**world.environment("deezer")) as find:
            links = LinkEnricher(find, LinkStore(database), MemoryJobStore(), SystemClock())
            await links.enrich(answered(song=KNOWN))
            await links.wait_until_idle()
        kept = [row.song for row in await database.rows(select(table.c.song))]
    assert kept == [f"isrc:{ISRC}"]


async def test_a_database_that_is_away_takes_nothing_from_the_answer(world: LinkWorld) -> None:
    async with (
        finder(**world.environment()) as find,
        open_database("mysql://nobody:x@127.0.0.1:1/none") as database,
    ):
        links = LinkEnricher(find, LinkStore(database), MemoryJobStore(), SystemClock())
        assert await links.enrich(answered(song=KNOWN)) == answered(song=KNOWN)
        await links.close()


async def test_a_clip_that_is_asked_for_again_has_links(world: LinkWorld, tmp_path: Path) -> None:
    parts = FakePipeline(SystemClock())
    parts.recognizers.matches = [Match(song=KNOWN, score=0.9)]
    environ = world.environment() | {"TWITCHAUDIO_DATA_DIR": str(tmp_path)}
    # What is kept in memory must not outlive the change.
    limits = ServiceLimits(keep_song_seconds=3_600)
    app = make_app(read_settings(ServerSettings, environ), pipeline=parts.pipeline, service_limits=limits)
    async with listening(app, "127.0.0.1", 0) as url, ClientSession(base_url=url) as client:

        async def linked_song() -> dict[str, Any]:
            async with client.post(ASK, json=CLIP, headers={"Prefer": "wait=30"}) as response:
                return (await response.json())["song"]

        before = await linked_song()
        assert (set(before["links"].values()), before["artwork"], before["preview"]) == ({None}, [], None)
        async with asyncio.timeout(180):
            while not (found := await linked_song())["preview"]:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.2)
        await _is_given_out(client, found, world)
    assert found["links"] == {
        "spotify": f"https://open.spotify.com/track/{SPOTIFY}",
        "youtube": f"https://www.youtube.com/watch?v={YOUTUBE}",
        "deezer": "https://www.deezer.com/track/900000001",
        "apple_music": "https://music.apple.com/us/song/1440933849",
    }


async def _is_given_out(client: ClientSession, found: dict[str, Any], world: LinkWorld) -> None:
    """The cover and the preview of an answer come from our server, and the page has them."""
    assert [(each["width"], each["height"]) for each in found["artwork"]] == [(640, 640), (300, 300), (120, 120)]
    for each in found["artwork"]:
        async with client.get(each["url"]) as response:
            header = picture_header(await response.read())
        assert (header.media_type, header.width) == ("image/jpeg", each["width"])
    async with client.get(found["artwork"][0]["url"].replace("-640.jpg", "-card.png")) as response:
        assert (response.status, response.content_type) == (200, "image/png")

    preview = found["preview"]
    assert preview == "/api/v1/previews/deezer-900000001"
    assert not [path for path in world.fetched if "preview" in path]
    for part, status, content in (
        (None, 200, PREVIEW),
        ("bytes=0-99", 206, PREVIEW[:100]),
        ("bytes=-10", 206, PREVIEW[-10:]),
        (f"bytes={len(PREVIEW)}-", 416, b""),
    ):
        async with client.get(preview, headers={} if part is None else {"Range": part}) as response:
            assert (response.status, await response.read()) == (status, content)
            if status < 400:
                assert response.content_type == "audio/mpeg"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert [path for path in world.fetched if "preview" in path] == ["/deezer-preview/1.mp3"]
    async with client.head(preview) as response:
        assert (response.status, response.headers["Content-Length"]) == (200, str(len(PREVIEW)))
    for wrong in (
        "deezer-1",
        "apple-1440933849",
        "deezer-900000001.mp3",
        "deezer-1.aac",
        "..%2f..%2fsecret",
        "spotify-1",
    ):
        await assert_problem(await client.get(f"/api/v1/previews/{wrong}"), "not-found", 404)
    # What only begins as a sound is given out to players, and has no form for playlists.
    await assert_problem(await client.get(f"{preview}.aac"), "not-found", 404)
    song = await (await client.get(f"/songs/{found['id']}")).text()
    assert f'src="{preview}"' in song
    assert found["artwork"][1]["url"] in song
