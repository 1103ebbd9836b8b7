"""What an operator sees of calls to Twitch."""

from pathlib import Path

from aiohttp import ClientSession
from yarl import URL

from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.upstream_settings import TwitchSettings
from server.app import listening, make_app
from server.settings import ServerSettings
from tests.unit.catalog.shelf import fill


async def test_a_twitch_that_cannot_be_reached_shows_in_the_metrics(tmp_path: Path) -> None:
    fill(tmp_path / "catalog", [1])
    nobody = URL("http://127.0.0.1:1")
    twitch = TwitchSettings(gql_url=nobody / "gql", usher_url=nobody)
    settings = ServerSettings(pipeline=PipelineSettings(twitch=twitch, data_dir=tmp_path))
    async with listening(make_app(settings), "127.0.0.1", 0) as url, ClientSession(url) as client:
        asked = await client.post(
            "/api/v1/identifications", json={"channel": "somechannel"}, headers={"Prefer": "wait=30"}
        )
        assert (await asked.json())["problem"]["code"] == "upstream-unavailable"
        lines = (await (await client.get("/metrics")).text()).splitlines()
    assert 'twitchaudio_upstream_total{step="gql",outcome="no-answer"} 1' in lines
    assert 'twitchaudio_upstream_total{step="gql",outcome="repeated"} 1' in lines
