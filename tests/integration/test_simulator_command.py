"""`python -m simulator` as a person or a script runs it."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from simulator.library import write_flac
from simulator.songs import SongTags
from simulator.synth import RATE


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder with one song of 12 s."""
    folder = tmp_path / "music"
    folder.mkdir()
    times = np.arange(12 * RATE) / RATE
    sound = np.stack([0.4 * np.sin(2 * np.pi * 300 * times)] * 2).astype(np.float32)
    tags = SongTags(title="Long A", artists=("Me",), album="", label="", isrc="", date="2026")
    write_flac(folder / "long-a.flac", sound, tags)
    return folder


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_plays_the_listeners_music_and_stops_when_told(tmp_path: Path, music: Path) -> None:
    process = await start(
        "--port", "0", "--json", "--latency-ms", "1", "--music", str(music), "--cache", str(tmp_path / "cache")
    )
    assert process.stdout is not None
    async with asyncio.timeout(200):
        about = json.loads(await process.stdout.readline())
    assert about["songs"] == [str(music / "long-a.flac")]
    assert about["environment"]["TWITCHAUDIO_TWITCH_GQL_URL"] == about["gql_url"]
    async with aiohttp.ClientSession() as session, session.get(about["control_url"]) as response:
        state = await response.json()
    assert state["latency"]["all_ms"] == 1
    assert [state["channels"][login]["live"] for login in about["channels"]] == [True, True, True, False]
    assert state["channels"]["neonharbour"]["now_playing"]["title"] == "Long A"
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        await process.communicate()
    assert process.returncode == 0


async def test_it_can_be_stopped_while_it_composes_and_started_again(tmp_path: Path) -> None:
    process = await start("--port", "0", "--json", "--cache", str(tmp_path))
    async with asyncio.timeout(60):
        while not list(tmp_path.rglob("songs-*")):  # noqa: ASYNC110, ASYNC240 - another process makes the folder
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert out == b""
    assert len(list(tmp_path.rglob("*.flac"))) < 10  # noqa: ASYNC240 - likewise
    assert not list(tmp_path.rglob("*.part"))  # noqa: ASYNC240 - likewise


async def test_a_folder_without_music_is_one_clear_line(tmp_path: Path) -> None:
    process = await start("--port", "0", "--music", str(tmp_path), "--cache", str(tmp_path / "cache"))
    async with asyncio.timeout(200):
        _, complaint = await process.communicate()
    assert process.returncode == 1
    assert complaint.decode().splitlines() == [
        f"The simulated Twitch cannot start: there is no music file of at least 10 s in {tmp_path}"
    ]
