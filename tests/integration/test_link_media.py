"""Covers and previews of services: what is found, fetched, refused and kept."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.database import open_database
from fingerprint.domain.identification import ExternalIds
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.links.finder import PACE
from fingerprint.links.media import MAX_WAIT_SECONDS, FoundMedia, LinkMedia
from fingerprint.links.media_store import MediaFolder, table
from fingerprint.links.services import apple_media, deezer_media
from fingerprint.media.fetch import Fetched
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from fingerprint.upstream_settings import LINK_MEDIA_HOSTS
from fingerprint.wiring import open_link_finder, open_link_media
from tests.providers.link_services import APPLE_ID, APPLE_PREVIEW, PREVIEW, TRACK, LinkWorld
from tests.providers.service import Reply

pytestmark = pytest.mark.integration

DEEZER = ExternalIds(deezer_track=str(TRACK["id"]))
APPLE = ExternalIds(apple_music=APPLE_ID)
NAME = f"deezer-{TRACK['id']}"


@asynccontextmanager
async def media(
    world: LinkWorld, folder: Path, services: str = "deezer,apple", **more: str
) -> AsyncGenerator[LinkMedia]:
    environ = world.environment(services) | {"TWITCHAUDIO_DATA_DIR": str(folder)} | more
    settings = read_settings(PipelineSettings, environ)
    async with (
        open_database(f"sqlite:///{folder / 'x.sqlite3'}") as database,
        open_link_finder(settings, SystemClock()) as finder,
    ):
        await database.transact(lambda connection: table.create(connection, checkfirst=True))
        assert finder is not None
        async with open_link_media(settings, SystemClock(), finder, database) as opened:
            assert opened is not None
            yield opened


@pytest.fixture
async def world() -> AsyncGenerator[LinkWorld]:
    async with LinkWorld.running() as running:
        yield running


async def test_many_who_play_one_preview_fetch_it_once_and_its_address_is_asked_for_again(
    world: LinkWorld, tmp_path: Path
) -> None:
    async with media(world, tmp_path) as found:
        assert (await found.find(DEEZER)).preview == f"/api/v1/previews/{NAME}"
        paths = await asyncio.gather(*(found.preview(NAME) for _ in range(20)))
        assert len(set(paths)) == 1
        assert paths[0] is not None
        assert await asyncio.to_thread(paths[0].read_bytes) == PREVIEW
        assert world.fetched.count("/deezer-preview/1.mp3") == 1
        # A day later it is fetched again, from an address that has not expired.
        os.utime(paths[0], (0, 0))
        assert await found.preview(NAME) == paths[0]
        assert world.fetched.count("/deezer-preview/1.mp3") == 2


async def test_who_looked_before_anothers_fetch_ended_does_not_fetch_again(
    world: LinkWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with media(world, tmp_path) as found:
        await found.find(DEEZER)
        look, fetched, looks = found.kept_preview, asyncio.Event(), 0

        async def slow_at_first(name: str) -> Path | None:
            nonlocal looks
            looks += 1
            first, kept = looks == 1, await look(name)
            if first:
                await fetched.wait()
            return kept

        monkeypatch.setattr(found, "kept_preview", slow_at_first)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            slow = group.create_task(found.preview(NAME))
            await asyncio.sleep(0)
            path = await found.preview(NAME)
            fetched.set()
        assert slow.result() == path
        assert world.fetched.count("/deezer-preview/1.mp3") == 1


def test_what_was_just_named_may_be_played_at_once() -> None:
    assert max(PACE["Deezer"], PACE["Apple"]) < MAX_WAIT_SECONDS


async def test_apple_has_what_deezer_lacks(world: LinkWorld, tmp_path: Path) -> None:
    world.deezer_media = {"preview": "", "album": {"cover_xl": "https://x.example/images/cover//1000x1000.jpg"}}
    async with media(world, tmp_path) as found:
        both = await found.find(DEEZER.filled(APPLE))
        assert both.complete
        assert [each.width for each in both.artwork] == [640, 300, 120]
        assert both.preview == f"/api/v1/previews/apple-{APPLE_ID}"
        path = await found.preview(f"apple-{APPLE_ID}")
        assert path is not None
        assert (path.suffix, await asyncio.to_thread(path.read_bytes)) == (".m4a", APPLE_PREVIEW)
    assert world.fetched[0] == "/images/thumb/Music124/v4/source/640x640bb.jpg"


async def test_a_cover_that_was_cleared_away_is_fetched_again(world: LinkWorld, tmp_path: Path) -> None:
    async with media(world, tmp_path) as found:
        digest = (await found.find(DEEZER)).artwork[0].url.rpartition("/")[2].partition("-")[0]
    (tmp_path / "link-media" / f"{digest}.jpg").unlink()
    async with media(world, tmp_path) as again:
        cover = await again.cover(digest)
        assert cover is not None
        assert (cover.media_type, cover.width, cover.height) == ("image/jpeg", 640, 640)
        assert await again.cover("0" * 32) is None
    assert len(world.fetched) == 2


@pytest.mark.parametrize(
    ("address", "refused", "why"),
    [
        ("{origin}/moved-away", True, "a redirect to a host that is not listed"),
        ("https://169.254.169.254/latest", True, "a private address"),
        ("http://cdnt-preview.dzcdn.net/x.mp3", True, "not over https"),
        ("https://cdnt-preview.dzcdn.net.evil.example/x.mp3", True, "another host"),
        ("https://user@cdnt-preview.dzcdn.net/x.mp3", True, "with a user"),
        ("file:///etc/passwd", False, "no web address"),
        ("http://[::1", False, "no address"),
        ("{origin}/page", False, "a page"),
    ],
)
async def test_what_is_not_to_be_fetched_is_not(
    address: str, refused: bool, why: str, world: LinkWorld, tmp_path: Path
) -> None:
    place = address.format(origin=world.url)
    world.deezer_media = {"preview": place, "album": {"cover_xl": place}}
    async with media(world, tmp_path) as found:
        seen = await found.find(DEEZER)
        assert (seen.artwork, seen.complete) == ((), True), why
        if refused:
            with pytest.raises(TwitchAudioError) as raised:
                await found.preview(NAME)
            assert raised.value.code is ProblemCode.UPSTREAM_UNAVAILABLE
            assert raised.value.detail == "This preview cannot be played right now. Try again in a moment."
        else:
            assert await found.preview(NAME) is None
    assert not list((tmp_path / "link-media").glob("*"))


async def test_a_service_that_is_away_is_asked_again_later_and_costs_nothing_of_the_answer(
    world: LinkWorld, tmp_path: Path
) -> None:
    world.script.always = Reply(status=500)
    async with media(world, tmp_path) as found:
        assert await found.find(DEEZER) == FoundMedia(complete=False)
        world.script.always = None
        assert await found.find(ExternalIds()) == FoundMedia()
        assert await found.find(ExternalIds(deezer_track="../user/1")) == FoundMedia()


def test_a_folder_keeps_the_newest_within_its_bound(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media", max_bytes=2_500)
    for number in range(5):
        os.utime(folder.keep(f"{number}.jpg", bytes(1_000)), (number, number))
    assert sorted(path.name for path in (tmp_path / "media").iterdir()) == ["3.jpg", "4.jpg"]
    assert folder.path("3.jpg", max_age_seconds=60.0) is None
    assert folder.read("0.jpg") is None


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"results": 3}',
        b'{"results": [{"trackId": 2, "previewUrl": "https://x.example"}]}',
        b'{"error": {"type": "DataException", "code": 800}}',
        b'{"preview": 3, "album": "x", "results": [{"trackId": "1", "artworkUrl100": [], "previewUrl": "http://[x"}]}',
        b'{"preview": "javascript:alert(1)", "album": {"cover_xl": "//x.example/1.jpg"}}',
    ],
)
def test_odd_answers_have_no_media(body: bytes) -> None:
    answer = Fetched(200, body)
    for found in (deezer_media(answer), apple_media(answer, "1")):
        assert found is None or (found.cover, found.preview) == (None, None)


def test_apples_size_is_the_last_part_of_its_address() -> None:
    source = "https://is3-ssl.mzstatic.com/image/thumb/Music/v4/a/100x100.jpg"
    body = {"results": [{"trackId": 1, "artworkUrl100": f"{source}/100x100bb.jpg"}]}
    found = apple_media(Fetched(200, json.dumps(body).encode()), "1")
    assert found is not None
    assert found.cover == URL(f"{source}/640x640bb.jpg")


def test_the_hosts_are_named_one_by_one() -> None:
    assert not [host for host in LINK_MEDIA_HOSTS if "*" in host]
