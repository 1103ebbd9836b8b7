"""The covers of the operator's own files, as pictures that answers name and the server gives out."""

import asyncio
import functools
import io
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from aiohttp import ClientSession, FormData

from fingerprint.catalog.picture_header import picture_header
from fingerprint.domain.landmark_points import MAX_POINTS, points_of_text
from fingerprint.pipeline_settings import PipelineSettings
from server.app import listening, make_app
from server.settings import ServerSettings
from tests.api_client import ASK, assert_problem
from tests.integration.test_covers import shelf_of
from tests.odd_shapes import encode, id3, sound
from tests.pictures import apic, picture

pytestmark = pytest.mark.integration


def music(seed: int, *frames: tuple[bytes, bytes]) -> bytes:
    plain = {"id3v2_version": "0", "write_xing": "0"}
    return id3((b"TIT2", b"\0Song"), *frames) + encode("mp3", "libmp3lame", sound(seed, seconds=12), options=plain)


@functools.cache
def files() -> dict[str, bytes]:
    """One with a large cover, and one without."""
    return {"large.mp3": music(7_011, apic(picture(width=1_600, height=900))), "plain.mp3": music(7_012)}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[ClientSession]:
    await asyncio.to_thread(shelf_of, tmp_path, files())
    app = make_app(ServerSettings(pipeline=PipelineSettings(data_dir=tmp_path)))
    async with listening(app, "127.0.0.1", 0) as address, ClientSession(base_url=address) as client:
        yield client


async def song_of(api: ClientSession, name: str) -> dict[str, Any]:
    form = FormData()
    form.add_field("file", io.BytesIO(files()[name]), filename="x.mp3", content_type="audio/mpeg")
    answer = await (await api.post(ASK, data=form, headers={"Prefer": "wait=30"})).json()
    assert answer["status"] == "successful", answer
    assert answer["songs"][0]["artwork"] == answer["song"]["artwork"]
    song: dict[str, Any] = answer["song"]
    return song


async def test_a_song_has_its_cover_in_several_sizes(api: ClientSession) -> None:
    plain = await song_of(api, "plain.mp3")
    assert (plain["artwork"], plain["preview"]) == ([], None)

    assert points_of_text(plain["landmarks"]), "the points of the sound that told it"
    drawn = await api.get(plain["drawing"])
    assert (drawn.status, drawn.content_type) == (200, "image/svg+xml")
    assert "immutable" in drawn.headers["Cache-Control"]
    circles = ET.fromstring(await drawn.text()).findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == MAX_POINTS, "of its track"
    again = await api.get(plain["drawing"], headers={"If-None-Match": drawn.headers["ETag"]})
    assert again.status == 304
    unknown = await api.get("/covers/unknown.svg")
    assert (unknown.status, unknown.headers["Cache-Control"]) == (200, "public, max-age=3600"), (
        "it may be known later"
    )
    heard = await api.get(f"/covers/heard.{plain['landmarks']}.svg")
    assert heard.status == 200
    assert await heard.text() != await drawn.text() != await unknown.text()
    cards = [
        await (await api.get(f"/api/v1/artwork/song-{name}-card.png")).read() for name in (plain["id"], "unknown")
    ]
    assert cards[0] != cards[1]

    artwork = (await song_of(api, "large.mp3"))["artwork"]
    assert [(each["width"], each["height"]) for each in artwork] == [(640, 360), (300, 169), (120, 68)]
    for each in artwork:
        response = await api.get(each["url"])
        content = await response.read()
        header = picture_header(content)
        assert (header.media_type, header.width, header.height) == ("image/jpeg", each["width"], each["height"])
        assert b"Exif" not in content
        assert (response.status, response.content_type) == (200, "image/jpeg")
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        head = await api.head(each["url"])
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(content)))
        known = await api.get(each["url"], headers={"If-None-Match": response.headers["ETag"]})
        assert (known.status, await known.read()) == (304, b"")

    url: str = artwork[0]["url"]
    for card in (url.replace("-640.jpg", "-card.png"), "/api/v1/artwork/song-t-0123-card.png"):
        response = await api.get(card)
        header = picture_header(await response.read())
        assert (response.content_type, header.media_type) == ("image/png", "image/png")
        assert (header.width, header.height) == (1200, 630)
    for wrong in (
        url.replace("-640", "-641"),
        url.replace("-640", "-1"),
        url.replace(".jpg", ".png"),
        url.rpartition("/")[0] + "/" + "0" * 32 + "-640.jpg",
        url.rpartition("/")[0] + "/..%2f..%2fsecret",
        "/api/v1/artwork/song-t-0123.svg",
        f"/api/v1/artwork/{'0' * 32}-card.png",
    ):
        await assert_problem(await api.get(wrong), "not-found", 404)
