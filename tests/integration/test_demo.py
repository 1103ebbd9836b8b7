"""The first command that a newcomer runs."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.kept_work import SIMULATED

START_SECONDS = 240
STOP_SECONDS = 60


@asynccontextmanager
async def demo(folder: Path, *more: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, list[str]]]:
    """The demo as a process, once it has said that Ctrl-C stops it, and what it said."""
    environment = {**os.environ, "TWITCHAUDIO_DATA_DIR": str(folder), "TMPDIR": str(folder)}  # noqa: TID251 - handed on
    command = [sys.executable, "-m", "server", "serve", "--demo", "--port", "0", *more]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    said: list[str] = []
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            while line := (await process.stdout.readline()).decode():
                said.append(line)
                if "Ctrl-C stops everything" in line:
                    break
        yield process, said
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def command(folder: Path, *words: str) -> tuple[int | None, str]:
    """A command in another terminal that works on the demo: its exit status, and what it said."""
    own = folder / "own-secret"
    own.write_text("sqlite:////nowhere/own.sqlite3")
    environment = {
        **os.environ,  # noqa: TID251 - handed on
        "TWITCHAUDIO_DATA_DIR": str(folder),
        # The operator's own, which has nothing to do with the demo.
        "TWITCHAUDIO_DATABASE_URL_FILE": str(own),
        "TWITCH_CLIENT_SECRET_FILE": str(own),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "--demo", *words), env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, output.decode().strip()


@pytest.mark.timeout(300)
async def test_the_demo_names_a_live_channel_and_a_clip_and_stops_on_ctrl_c(tmp_path: Path) -> None:
    # What it has composed and encoded before; tests/integration/test_simulator_command.py begins with nothing.
    SIMULATED.mkdir(parents=True, exist_ok=True)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "media").symlink_to(SIMULATED)
    async with demo(tmp_path) as (process, said):
        text = "".join(said)
        assert process.returncode is None, text
        song = r"^  \S.* - \S.*\n  album .*\n  search: https://.*\n(?:          https://.*\n){3}"
        answer = rf"{song}  resolve \d+ ms, capture \d+ ms,.* total$"
        assert "deletes the demo's answers, API keys, webhooks and settings" in text
        answers = re.findall(answer, text, re.MULTILINE)
        assert len(answers) == 2, text
        address = re.search(r"^Open (http://127\.0\.0\.1:\d+)", text, re.MULTILINE)
        assert address is not None, text
        async with aiohttp.ClientSession() as session:
            async with session.get(address[1]) as page:
                assert page.status == 200
            headers = {"Prefer": "wait=30"}
            questions = f"{address[1]}/api/v1/identifications"
            async with session.post(questions, json={"channel": "talkshow_tess"}, headers=headers) as response:
                assert (await response.json())["status"] == "successful"
        jar = aiohttp.CookieJar(unsafe=True)
        async with (
            aiohttp.ClientSession(cookie_jar=jar) as person,
            person.get(f"{address[1]}/login", headers={"Accept": "text/html"}) as page,
        ):
            assert "viewer_vic" in await page.text()
            async with person.get(f"{address[1]}/admin", headers={"Accept": "text/html"}) as desk:
                assert desk.status == 200
        assert await command(tmp_path, "admin", "settings", "set", "motd", "Hello") == (
            0,
            "motd = Hello (was empty)",
        )
        assert (await command(tmp_path, "identify", "talkshow_tess"))[0] == 0
        async with aiohttp.ClientSession() as session, session.get(f"{address[1]}/api/v1/status") as response:
            assert (await response.json())["motd"] == "Hello"
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert await asyncio.wait_for(process.wait(), STOP_SECONDS) == 0
        assert time.monotonic() - started < STOP_SECONDS
    left = os.listdir(tmp_path)  # noqa: PTH208 - names are all that is wanted
    assert not [name for name in left if name.startswith("twitchaudio-demo-")]
    assert await command(tmp_path, "admin", "settings") == (1, "")


async def test_a_music_folder_that_does_not_exist_is_one_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "server", "serve", "--demo", "--port", "0", "--music", str(tmp_path / "none")]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, complaint = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 2
    assert complaint.decode().count("\n") == 1
    assert "is not a folder" in complaint.decode()
