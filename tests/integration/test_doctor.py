"""`twitchaudio doctor` asks each recognizer about real sound, and those that cost money only if it is told to."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from fingerprint.catalog.ingest import ingest
from fingerprint.settings import read_settings
from fingerprint.step_report import Outcome
from server.settings import ServerSettings
from server.setup_checks import check_recognizers
from simulator.library import composed_songs
from simulator.songs import SCORES
from tests.kept_work import SIMULATED


async def recognizers(environ: Mapping[str, str], *, paid: bool) -> tuple[Outcome, tuple[str, ...]]:
    return await check_recognizers(read_settings(ServerSettings, environ), paid=paid)


async def test_each_recognizer_is_asked_about_real_sound_and_paid_ones_when_told_to(tmp_path: Path) -> None:
    (song,) = composed_songs(SIMULATED, SCORES[:1])
    await asyncio.to_thread(ingest, tmp_path / "data" / "catalog", [song.path], workers=1)
    asked = 0

    async def no_match(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({"status": {"code": 1001, "msg": "No result", "version": "1.0"}})

    provider = web.Application()
    provider.router.add_post("/v1/identify", no_match)
    async with TestServer(provider) as acrcloud:
        environ = {
            "TWITCHAUDIO_DATA_DIR": str(tmp_path / "data"),
            "ACRCLOUD_HOST": "identify.example.com",
            "TWITCHAUDIO_ACRCLOUD_URL": str(acrcloud.make_url("")).rstrip("/"),
            "ACRCLOUD_ACCESS_KEY": "key",
            "ACRCLOUD_ACCESS_SECRET": "secret",
        }
        outcome, (named, left) = await recognizers(environ, paid=False)
        assert (outcome, asked) == (Outcome.OK, 0)
        assert named.startswith("catalog named ")
        assert SCORES[0].tags.title in named
        assert left == "acrcloud: not asked, as a question may cost money; --paid asks each one question"
        outcome, notes = await recognizers(environ, paid=True)
        assert (outcome, asked) == (Outcome.OK, 1)
        assert "acrcloud found no song, which is right" in notes[1]
    outcome, notes = await recognizers(environ, paid=True)
    assert outcome is Outcome.FAILED
    assert notes[0].startswith("catalog named ")
    assert notes[1].startswith("acrcloud: ")
