"""The operator's catalog page: tracks, search, removal with a way back, and a folder that the server adds."""

import asyncio
import html
import re
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.write_lock import WriteLock
from fingerprint.clock import SystemClock
from server.web.admin.catalog_job import LOCK_FILE, STATE_FILE, CatalogJob
from tests.api_client import open_api
from tests.browser_client import Browser, browsing, known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import a_viewer
from tests.integration.test_artwork import files
from tests.integration.test_covers import shelf_of

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

VIC = "viewer_vic"


@dataclass(frozen=True, slots=True)
class CatalogBrowser:
    browser: Browser
    data: Path

    async def page(self, query: str = "") -> str:
        response = await self.browser.get(f"/admin/catalog{query}")
        assert response.status == 200
        return html.unescape(await response.text())

    async def send(self, **fields: str) -> tuple[int, str]:
        data = {"csrf_token": await self.browser.csrf(), **fields}
        response = await self.browser.post("/admin/catalog", data=data, headers={"Accept": "text/html"})
        return response.status, html.unescape(await response.text())

    async def ended(self) -> str:
        """The page after the job has ended."""
        async with asyncio.timeout(240):
            while "data-running" in (shown := await self.page()):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.1)
        return shown

    def tracks(self) -> list[str]:
        return [entry.id for entry in Catalog(self.data / "catalog").snapshot().entries()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[CatalogBrowser]:
    data = tmp_path_factory.mktemp("operator")
    await asyncio.to_thread(shelf_of, data, files())
    async with a_viewer(tmp_path_factory.getbasetemp() / "simulator-media") as viewer:
        parts, known = FakePipeline(SystemClock()), known_to_twitch(viewer)
        async with (
            open_api(parts, data, admins=(VIC,), **known) as client,
            browsing(client, viewer) as browser,
        ):
            await browser.sign_in()
            yield CatalogBrowser(browser, data)


async def test_tracks_are_listed_searched_and_shown_with_cover_and_file(operator: CatalogBrowser) -> None:
    page = await operator.page()
    assert "2 tracks" in page
    assert re.search(r'<img class="thumb" src="/api/v1/artwork/[0-9a-f]{32}-120\.jpg"', page)
    assert "large.mp3" in page
    assert "file tags" in page
    found = await operator.page("?q=song+LARGE.mp3")
    assert "large.mp3" in found
    assert "plain.mp3" not in found
    for nothing in ("?q=no+such+words", "?page=3"):
        assert "Nothing here." in await operator.page(nothing)
    for wrong in ("?page=0", "?page=x", "?catalog=2", "?page=99999999999"):
        assert (await operator.browser.get(f"/admin/catalog{wrong}")).status == 400


async def test_the_catalogs_recognizer_is_tested_with_a_piece_of_its_own(operator: CatalogBrowser) -> None:
    data = {"csrf_token": await operator.browser.csrf(), "recognizer": "catalog"}
    response = await operator.browser.post("/admin/recognizers", data=data, headers={"Accept": "text/html"})
    page = html.unescape(await response.text())
    named = re.search(r"catalog named (.+), (\d+)% sure, in \d+\.\d\d s\. It costs nothing\.", page)
    assert (response.status, named is not None) == (200, True), page


async def test_a_removed_track_can_be_brought_back_and_stays_away_otherwise(operator: CatalogBrowser) -> None:
    before = operator.tracks()
    status, page = await operator.send(action="remove", key=before[0])
    assert (status, operator.tracks()) == (200, before[1:])
    assert "is removed" in page
    assert "Undo" in page
    assert "Files that are left out" in page
    status, page = await operator.send(action="undo", key=before[0])
    assert (status, sorted(operator.tracks())) == (200, sorted(before))
    assert "Files that are left out" not in page
    assert '<img class="thumb"' in page
    for key in (before[0], "0" * 12, "../../etc", ""):
        assert (await operator.send(action="undo", key=key))[0] == 404
    for key in ("0" * 12, "../../etc", ""):
        assert (await operator.send(action="remove", key=key))[0] == 404
    log = html.unescape(await (await operator.browser.get("/admin/logs")).text())
    for entry in ("track removed", "track brought back", VIC):
        assert entry in log


async def test_a_folder_is_added_while_the_page_is_away_and_failures_are_listed(operator: CatalogBrowser) -> None:
    music = operator.data / "more"
    music.mkdir()
    (music / "again.mp3").write_bytes(files()["plain.mp3"])
    (music / "broken.mp3").write_bytes(b"ID3" + bytes(500))
    status, page = await operator.send(action="add", path=str(music))
    assert status == 200
    assert "The music is being added." in page
    page = await operator.ended()
    assert ">Done</h2>" in page
    assert "0 new, 1 there already, 1 could not be read." in page
    assert "broken.mp3" in page
    assert f"Started by {VIC}" in page
    status, page = await operator.send(action="cancel")
    assert (status, "No music is being added." in page) == (404, True)
    assert "music added to the catalog" in await (await operator.browser.get("/admin/logs")).text()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "Enter the path of a folder or file on the server's machine."),
        ("music", "music is not a whole path: it has to begin with /."),
        ("/no/such/folder", "There is nothing at /no/such/folder on the server's machine."),
        ("/etc/passwd/x", "There is nothing at /etc/passwd/x on the server's machine."),
        ("/a\0b", "That is not a path."),
        ("--catalog", "--catalog is not a whole path: it has to begin with /."),
    ],
)
async def test_a_path_that_cannot_be_read_is_refused(path: str, says: str, operator: CatalogBrowser) -> None:
    status, page = await operator.send(action="add", path=path)
    assert status == 400
    assert says in page


async def test_one_job_at_a_time(operator: CatalogBrowser) -> None:
    with WriteLock(operator.data / LOCK_FILE):
        status, page = await operator.send(action="add", path=str(operator.data))
        assert (status, "Music is being added already." in page) == (409, True)


ENDLESS = """
import json, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it otherwise
print(json.dumps({"done": 3, "total": 8, "added": 2, "failed": 1}), file=sys.stderr, flush=True)
try:
    time.sleep(3600)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("ending", ["cancel", "close"])
async def test_a_job_says_how_far_it_is_until_it_is_ended(ending: str, tmp_path: Path) -> None:
    job = CatalogJob(tmp_path, lambda _path, _catalog, _workers: (sys.executable, "-c", ENDLESS))
    await job.start(str(tmp_path), catalog="x", by="vic", workers=1)
    async with asyncio.timeout(240):
        while (state := await job.state()) is None or not state.done:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        assert (state.is_running, state.done, state.total, state.percent) == (True, 3, 8, 37)
        await (job.cancel() if ending == "cancel" else job.close())
        while (state := await job.state()) is None or state.is_running:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    assert state.outcome == ("cancelled" if ending == "cancel" else "interrupted")
    assert (state.added, state.failed) == (2, 1)
    await job.close()


async def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    job = CatalogJob(
        tmp_path,
        lambda _path, _catalog, _workers: (sys.executable, "-c", "import sys; sys.exit('twitchaudio: no room')"),
    )
    await job.start(str(tmp_path), catalog="x", by="vic", workers=1)
    async with asyncio.timeout(240):
        while (state := await job.state()) is None or state.is_running:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    assert (state.outcome, state.message) == ("failed", "no room")


async def test_a_job_that_was_cut_short_is_shown_as_such(operator: CatalogBrowser) -> None:
    state = (operator.data / STATE_FILE).read_text()
    cut = re.sub(r'"outcome": "[a-z]+"', '"outcome": "running"', state)
    # Long ago, and by a clock that was ahead.
    for seen in (1.0, 1e12):
        (operator.data / STATE_FILE).write_text(re.sub(r'"seen": [0-9.]+', f'"seen": {seen}', cut))
        assert "Interrupted" in await operator.page()
    for nonsense in ("", "[]", "{}", '{"failures": 3}', "\x00"):
        (operator.data / STATE_FILE).write_text(nonsense)
        assert "No music yet" not in await operator.page()


async def test_it_is_for_operators_and_needs_the_forms_token(operator: CatalogBrowser) -> None:
    response = await operator.browser.post(
        "/admin/catalog", data={"action": "cancel"}, headers={"Accept": "text/html"}
    )
    assert response.status == 403
    assert (await operator.send(action="other"))[0] == 400
