"""Clips blocked by the channel that they are from: Twitch, simulated, says whose they are."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession
from sqlalchemy import select
from yarl import URL

from fingerprint.database import open_database
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import ChannelDirectory, Clock
from fingerprint.settings import read_settings
from fingerprint.upstream_settings import TwitchSettings
from fingerprint.wiring import open_channel_directory
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from server.access.service import RULES_SECONDS
from server.access.tables import blacklisted_values
from server.app import listening, make_app
from server.settings import ServerSettings
from simulator.faults import Fault, FaultKind, Step
from tests.api_client import ask, assert_problem
from tests.builders import NOON
from tests.fakes import AheadClock, FakePipeline
from tests.integration.simulator_client import CLIP, LIVE, VIDEO, Viewer

OWNER_ID = "71000301"
MADE_UP = "NobodyMadeThisClip-0"


@asynccontextmanager
async def serving(
    viewer: Viewer, address: str, folder: Path, clock: Clock, *, directory: ChannelDirectory | None = None
) -> AsyncGenerator[tuple[ClientSession, FakePipeline]]:
    parts = FakePipeline(clock)
    twitch = TwitchSettings(gql_url=URL(viewer.twitch.gql_url))
    settings = ServerSettings(
        pipeline=PipelineSettings(data_dir=folder, database_url=address, twitch=twitch), jobs_per_address=0
    )
    app = make_app(settings, pipeline=parts.pipeline, directory=directory, clock=clock)
    async with listening(app, "127.0.0.1", 0) as url, ClientSession(base_url=url) as client:
        yield client, parts


async def block(address: str, name: str, clock: AheadClock) -> None:
    """Block, and put the servers' clock ahead, so that they know of it."""
    async with open_database(address) as database:
        await ListStore(database).block(BlacklistKind.CLIP_BROADCASTER, name, reason="a secret reason", now=NOON)
    clock.ahead += RULES_SECONDS


@pytest.mark.parametrize("name", [LIVE, f"id:{OWNER_ID}"])
async def test_a_blocked_channels_clips_are_refused_before_anything_is_captured(
    viewer: Viewer, sql_address: str, tmp_path: Path, clock: AheadClock, name: str
) -> None:
    async with serving(viewer, sql_address, tmp_path, clock) as (api, parts):
        await block(sql_address, name, clock)
        problem = await assert_problem(await ask(api, {"clip": CLIP}, wait=30), "blacklisted", 403)
        assert "secret" not in str(problem)
        assert LIVE not in str(problem)
        assert (parts.resolver.asked, parts.capture.captures) == ([], 0)
        assert (await ask(api, {"channel": LIVE}, wait=30)).status == 200
        assert (await ask(api, {"clip": MADE_UP}, wait=30)).status == 200


async def test_a_stored_answer_is_refused_too_and_asking_twitch_once_suffices_for_all_servers(
    viewer: Viewer, sql_address: str, tmp_path: Path, clock: AheadClock
) -> None:
    async with serving(viewer, sql_address, tmp_path, clock) as (api, _parts):
        assert (await (await ask(api, {"clip": CLIP}, wait=30)).json())["status"] == "successful"
        await block(sql_address, LIVE, clock)
        for _ in range(3):
            await assert_problem(await api.get(f"/api/v1/clips/{CLIP}"), "blacklisted", 403)
            await assert_problem(await ask(api, {"clip": CLIP}), "blacklisted", 403)
    viewer.twitch.world.faults.set(Fault(step=Step.GQL, kind=FaultKind.STATUS, status=500))
    async with serving(viewer, sql_address, tmp_path, clock) as (api, _parts):
        await assert_problem(await api.get(f"/api/v1/clips/{CLIP}"), "blacklisted", 403)


async def test_what_an_address_claims_suffices_to_refuse(
    viewer: Viewer, sql_address: str, tmp_path: Path, clock: AheadClock
) -> None:
    async with serving(viewer, sql_address, tmp_path, clock) as (api, _parts):
        await block(sql_address, "somebody", clock)
        claimed = {"url": f"https://www.twitch.tv/Somebody/clip/{CLIP}"}
        await assert_problem(await ask(api, claimed), "blacklisted", 403)
        assert (await ask(api, {"clip": CLIP}, wait=30)).status == 200


async def test_while_twitch_does_not_say_stored_answers_are_given_and_no_clip_is_identified(
    viewer: Viewer, sql_address: str, tmp_path: Path, clock: AheadClock
) -> None:
    async with serving(viewer, sql_address, tmp_path, clock) as (api, parts):
        assert (await ask(api, {"clip": CLIP}, wait=30)).status == 200
        viewer.twitch.world.faults.set(Fault(step=Step.GQL, kind=FaultKind.STATUS, status=500))
        await block(sql_address, LIVE, clock)
        assert (await ask(api, {"clip": CLIP}, wait=30)).status == 200
        await assert_problem(await ask(api, {"clip": "Another-1"}), "upstream-unavailable", 503)
        assert parts.capture.captures == 1


async def test_a_herd_asks_twitch_once(
    viewer: Viewer, sql_address: str, tmp_path: Path, clock: AheadClock
) -> None:
    async with serving(viewer, sql_address, tmp_path, clock) as (api, _parts):
        await block(sql_address, LIVE, clock)
        answers = await asyncio.gather(*(ask(api, {"clip": CLIP}) for _ in range(50)))
        assert {answer.status for answer in answers} == {403}
        assert viewer.twitch.count(Step.GQL) == 1


@pytest.mark.parametrize("asked_before", [False, True])
async def test_a_rename_is_no_way_out_for_clips_and_videos(
    viewer: Viewer, sql_address: str, tmp_path: Path, clock: AheadClock, asked_before: bool
) -> None:
    targets = [{"clip": CLIP}, {"video": VIDEO, "at": 5}]
    settings = read_settings(
        PipelineSettings, {**viewer.twitch.environment(), "TWITCHAUDIO_DATA_DIR": str(tmp_path)}
    )
    async with (
        open_channel_directory(settings) as directory,
        serving(viewer, sql_address, tmp_path, clock, directory=directory) as (api, _parts),
        open_database(sql_address) as database,
    ):
        for target in targets if asked_before else ():
            assert (await ask(api, target, wait=30)).status == 200
        lists = ListStore(database)
        for kind in (BlacklistKind.CHANNEL, BlacklistKind.CLIP_BROADCASTER):
            await lists.block(kind, LIVE, reason="", now=NOON)
        async with asyncio.timeout(20):
            while not all(row.user_id for row in await database.rows(select(blacklisted_values))):  # noqa: ASYNC110 - a server asks
                await asyncio.sleep(0.05)
        viewer.twitch.world.rename(LIVE, "newname")
        for target in targets:
            await assert_problem(await ask(api, target, wait=30), "blacklisted", 403)
