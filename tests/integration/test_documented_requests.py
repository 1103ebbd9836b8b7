"""Each request that the docs write with curl is sent to a real server; their examples have the form of answers."""

import argparse
import json
import re
import shlex
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, Final, cast

import pytest
from aiohttp import ClientSession, FormData

from fingerprint.database import Database
from fingerprint.domain.tracklist import Tracklist
from fingerprint.ports import Clock, Match
from tests.api_client import ask, bot_headers
from tests.browser_client import known_to_twitch
from tests.builders import song
from tests.fakes import FakePipeline
from tests.integration.simulator_client import Viewer
from tests.sounds import tone
from tests.test_docs import PAGES, ROOT, documented_commands

OWNER: Final = "viewer_vic"
PLACE: Final = re.compile(r"(?:https?://[^/]+|\.\.\.)(?=/api/)")
"""How the docs write where a server is."""

WITHIN_TEXT: Final = re.compile(r"`(curl [^`]+)`")
Json = dict[str, Any]
API: Final = (ROOT / "docs/api.md").read_text(encoding="utf-8")


def curl_lines() -> list[tuple[str, list[str]]]:
    """The curl commands of the docs, in blocks and in sentences, with their page, as words after `curl`."""
    sentences = [
        (page.name, shlex.split(text))
        for page in PAGES
        for text in WITHIN_TEXT.findall(" ".join(page.read_text(encoding="utf-8").split()))
    ]
    found = [*documented_commands(), *sentences]
    return [(page, words[1:]) for page, words in found if words[0] == "curl"]


def curl_options() -> argparse.ArgumentParser:
    """The options that the docs use; another one is an error."""
    parser = argparse.ArgumentParser("curl")
    parser.add_argument("address")
    parser.add_argument("-s", "-O", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", "--json", dest="body")
    parser.add_argument("-F", dest="form")
    return parser


class ShortVideo:
    """A VOD of one second, without music."""

    async def unavailable_reason(self) -> str | None:
        return None

    async def listen(self, _target: object, so_far: Tracklist, **_limits: object) -> AsyncGenerator[Tracklist]:
        yield replace(so_far, position=1.0, duration=1.0)


@pytest.fixture
def parts(clock: Clock) -> FakePipeline:
    parts = FakePipeline(clock)
    parts.pipeline.whole = ShortVideo()  # pyright: ignore[reportAttributeAccessIssue] - as far as it is used
    return parts


@pytest.fixture
def options(viewer: Viewer) -> dict[str, Any]:
    return known_to_twitch(viewer)


async def answer_to(api: ClientSession, words: list[str], own: dict[str, str]) -> tuple[int, str]:
    """Send what curl would; `own`: what a reader puts in place of the docs' words."""
    for written, meant in own.items():
        words = [word.replace(written, meant) for word in words]
    asked = curl_options().parse_args(words)
    headers = dict(header.split(": ", 1) for header in asked.headers)
    data: str | FormData | None = asked.body
    if asked.form is not None:
        data = FormData()
        data.add_field("file", tone("mp3"), filename="recording.mp3")
    elif asked.body is not None:
        headers.setdefault("Content-Type", "application/json")
    method = asked.method or ("GET" if data is None else "POST")
    path, count = PLACE.subn("", asked.address)
    assert count == 1, asked.address
    async with api.request(method, path, headers=headers, data=data) as response:
        return response.status, await response.text()


async def test_each_one_is_answered_as_its_page_says(
    api: ClientSession, parts: FakePipeline, database: Database, viewer: Viewer
) -> None:
    key = (await bot_headers(database, "streams", "clips", "webhooks", "watch", "files"))["X-API-Key"]
    parts.recognizers.matches = [Match(song=song("Night Drive"), score=0.9)]
    play = (await (await ask(api, {"channel": OWNER}, wait=30)).json())["id"]
    own = {
        "ta_...": key,
        "$TOKEN": viewer.twitch.accounts.token_for(OWNER),
        "somechannel/songs/ID": f"{OWNER}/songs/{play}",
        "2210987001": "2210987009",
    }
    lines = curl_lines()
    assert len(lines) >= 9
    for page, words in lines:
        status, text = await answer_to(api, words, own)
        assert status in (200, 201, 202, 204), f"{page}: curl {shlex.join(words)}: {text}"


def same_names(example: Any, real: Any) -> None:
    """Check that a real answer has the names that the docs' example has, wherever neither is null."""
    if isinstance(example, dict) and isinstance(real, dict):
        assert set(cast("Json", example)) == set(cast("Json", real))
        for name, each in cast("Json", example).items():
            same_names(each, real[name])


async def test_the_docs_examples_have_the_form_of_real_answers(api: ClientSession, parts: FakePipeline) -> None:
    examples = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", API, re.MULTILINE | re.DOTALL)]
    identification, plays, history = examples
    parts.recognizers.matches = [Match(song=song("Night Drive", album="Roads"), score=0.9)]
    answer = await (await ask(api, wait=30)).json()
    same_names(identification, answer)
    listed = await (await api.get("/api/v1/channels/somechannel/songs")).json()
    heard = await (await api.get(f"/api/v1/songs/{answer['song']['id']}")).json()
    for example, real, rows in ((plays, listed, "plays"), (history, heard, "heard")):
        assert set(example) == set(real)
        assert set(example[rows][0]) == set(real[rows][0])
        assert set(example.get("song", {})) <= set(real.get("song", {}))
