"""What operators alone see: metrics, the details of readiness, and where the catalog's files are."""

import asyncio
import re
import socket
import stat
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientSession
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.domain.identification import CatalogRef
from fingerprint.domain.targets import ChannelTarget
from fingerprint.ports import Match
from fingerprint.setting_formats import Secret
from server.vitals import record_backup
from tests.api_client import ASK, CLIP, STREAM, ask, assert_problem, open_api, read_events
from tests.browser_client import browsing, known_to_twitch
from tests.builders import NOON, song
from tests.fakes import FakePipeline
from tests.integration.simulator_client import Viewer

MONITORING: Final = Path(__file__).parents[2] / "deploy" / "monitoring"
TOKEN = "a-token-of-the-operator"
VIC = "viewer_vic"


@pytest.fixture
def parts() -> FakePipeline:
    parts = FakePipeline(SystemClock())
    found = song(catalog=CatalogRef(track_id="abc", path="/srv/music/secret.flac"))
    parts.recognizers.matches = [Match(song=found, score=0.93)]
    return parts


async def sees(api: ClientSession, **headers: str) -> bool:
    """Whether a request gets the metrics and the details of readiness; it gets both or neither."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await api.get("/metrics", headers=named)
    ready = await api.get("/readyz", headers=named)
    assert ready.status == 200
    details = set(await ready.json()) - {"status"}
    if answer.status == 200:
        assert details == {"dependencies", "providers", "twitch"}
        return True
    await assert_problem(answer, "forbidden", 403)
    assert details == set()
    return False


async def test_with_a_token_metrics_and_details_take_it(parts: FakePipeline, tmp_path: Path) -> None:
    async with open_api(parts, tmp_path, metrics_token=Secret(TOKEN)) as api:
        assert await sees(api, Authorization=f"Bearer {TOKEN}")
        for wrong in (f"Bearer {TOKEN}x", TOKEN, "Bearer ", f"Basic {TOKEN}"):
            assert not await sees(api, Authorization=wrong)
        assert not await sees(api)


@pytest.mark.parametrize(
    "header",
    [
        {"X_Forwarded_For": "192.0.2.1"},
        {"X_Real_IP": "192.0.2.1"},
        {"Via": "1.1 proxy"},
        {"Host": "songs.example"},
        {"Host": "127.0.0.1.songs.example"},
    ],
    ids=str,
)
async def test_without_one_programs_on_the_machine_see_them_and_nobody_behind_a_proxy(
    parts: FakePipeline, tmp_path: Path, header: dict[str, str]
) -> None:
    async with open_api(parts, tmp_path) as api:
        assert await sees(api)
        assert not await sees(api, **header)


@pytest.mark.parametrize(
    "public",
    [{"base_url": URL("https://songs.example")}, {"trusted_proxies": (ip_network("10.0.0.0/8"),)}],
    ids=str,
)
async def test_a_server_that_is_set_up_for_the_public_shows_them_to_nobody(
    parts: FakePipeline, tmp_path: Path, public: dict[str, Any]
) -> None:
    async with open_api(parts, tmp_path, **public) as api:
        assert not await sees(api)


async def test_an_address_of_their_own_needs_no_token(parts: FakePipeline, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with (
        open_api(parts, tmp_path, metrics_listen=("127.0.0.1", port)) as api,
        ClientSession(base_url=f"http://127.0.0.1:{port}") as own,
    ):
        assert not await sees(api)
        assert await sees(own)
        assert (await own.get("/healthz")).status == 200
        assert (await own.get("/api/v1/status")).status == 404


async def test_paths_of_files_are_for_admins_who_are_signed_in(
    parts: FakePipeline, tmp_path: Path, viewer: Viewer
) -> None:
    more: dict[str, Any] = {**known_to_twitch(viewer), "admins": (VIC,)}
    places = (
        ASK + "/{}",
        "/api/v1/channels/somechannel/songs",
        "/channels/somechannel/songs.json",
        "/channels/somechannel/songs.m3u",
    )
    async with open_api(parts, tmp_path, **more) as api:
        answer = await (await ask(api, STREAM, wait=30)).json()
        assert answer["song"]["catalog"] == {"track_id": "abc"}
        places = tuple(place.format(answer["id"]) for place in places)
        everywhere = (
            *places,
            "/api/v1/channels/somechannel/song.txt",
            "/channels/somechannel",
            "/",
            f"/?id={answer['id']}",
        )
        said = [await (await api.get(place)).text() for place in (*everywhere, "/channels/somechannel/songs.csv")]
        said += [str(await read_events(await api.get(f"{ASK}/{answer['id']}/events")))]
        said += [await (await ask(api, CLIP, wait=30)).text()]
        said += [await (await api.get("/api/v1/clips/AwkwardSlug-x_1")).text()]
        assert "secret.flac" not in "".join(said)
        address = (await api.get("/healthz")).url.origin()
        async with browsing(address, viewer) as browser:
            await browser.sign_in()
            shown = [await (await browser.client.get(address.join(URL(place)))).text() for place in places]
            assert all("/srv/music/secret.flac" in each for each in shown)


async def test_34_what_the_server_stores_is_its_owners_alone(parts: FakePipeline, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "twitchaudio.sqlite3").touch(mode=0o644)
    async with open_api(parts, folder) as api:
        assert (await ask(api, wait=30)).status == 200
        rights = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir() if file.is_file()}
    assert rights
    assert set(rights.values()) == {0o600}, rights


async def test_12_behind_https_browsers_are_told_to_stay_there_and_pages_name_that_address(
    parts: FakePipeline, tmp_path: Path
) -> None:
    strange = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    async with open_api(parts, tmp_path, base_url=URL("https://songs.example")) as api:
        asked = await ask(api, STREAM, wait=30)
        pages = [
            await api.get(path, headers=strange)
            for path in ("/docs", "/channels/somechannel", "/overlay/a_channel")
        ]
        for answer in (asked, *pages, await api.get("/nothing"), await api.get("/api/v1/status")):
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        texts = [await page.text() for page in pages]
        assert all("https://songs.example/" in text for text in texts[:2])
        assert not any("evil.example" in text or "http://songs" in text for text in texts)
    async with open_api(parts, tmp_path, trusted_proxies=(ip_network("127.0.0.0/8"),)) as api:
        behind = {"Host": "songs.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
        text = await (await api.get("/channels/somechannel", headers=behind)).text()
        assert "https://songs.example/api/v1/channels/somechannel/song.txt" in text
        assert "http://songs.example" not in text
        assert "Strict-Transport-Security" not in (await api.get("/")).headers


async def test_every_metric_of_the_alert_rules_and_the_dashboard_is_on_the_page(
    parts: FakePipeline, tmp_path: Path
) -> None:
    record_backup(tmp_path, NOON)
    async with open_api(parts, tmp_path, canary=(ChannelTarget(login="somechannel"),)) as api:
        assert (await ask(api, STREAM, wait=30)).status == 200
        page = ""
        async with asyncio.timeout(30):
            while not page or "twitchaudio_database_bytes 0\n" in page:
                page = await (await api.get("/metrics")).text()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE))
    shown = {
        f"{name}{end}"
        for name, kind in kinds.items()
        for end in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
    }
    named = set[str]()
    for file in ("alerts.yml", "dashboard.json"):
        text = (MONITORING / file).read_text(encoding="utf-8")
        named |= set(re.findall(r"\b(?:twitchaudio|process)_\w+", text))
    assert named <= shown, named - shown
    values = {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", page, re.MULTILINE)}
    assert 0 < values["twitchaudio_disk_free_bytes"] <= values["twitchaudio_disk_size_bytes"]
    assert values["twitchaudio_database_bytes"] > 0
    assert values["twitchaudio_backup_timestamp_seconds"] == NOON.timestamp()
