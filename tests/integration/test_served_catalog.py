"""A server in a process of its own goes over to what commands make of its catalog, with the next question."""

import asyncio
import io
import os
import re
import shutil
import sys
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from fingerprint.catalog.index import Catalog
from server.cli import main
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import fill

START_SECONDS = 120


@asynccontextmanager
async def server(data: Path) -> AsyncGenerator[str]:
    """`serve` as a process; gives its address."""
    environment = {**os.environ, "TWITCHAUDIO_DATA_DIR": str(data)}  # noqa: TID251 - handed on
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "serve", "--port", "0"), env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            while line := (await process.stdout.readline()).decode():
                address = re.search(r"TwitchAudio is at (http://\S+)", line)
                if address is not None:
                    yield address[1]
                    break
    finally:
        process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


def sound(number: int, start: float) -> bytes:
    """Some seconds of a piece of music as a WAV file."""
    pcm = tune(number).cut(start, 8)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(pcm.rate)
        out.writeframes((np.clip(pcm.mono, -1, 1) * 32_000).astype("<i2").tobytes())
    return file.getvalue()


@pytest.mark.nightly
@pytest.mark.timeout(300)
async def test_a_restored_catalog_is_served_and_restored_again_beside_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, catalog = tmp_path / "new", tmp_path / "new" / "catalog"
    fill(tmp_path / "old", [1, 2, 3])
    assert main(["catalog", "backup", str(tmp_path / "copy"), "--catalog", str(tmp_path / "old")]) == 0
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(data))
    assert main(["catalog", "restore", str(tmp_path / "copy")]) == 0
    capsys.readouterr()
    assert await asyncio.to_thread(main, ["admin", "keys", "create", "bot", "--scope", "files"]) == 0
    headers = {"X-API-Key": capsys.readouterr().out.split()[0], "Prefer": "wait=60"}
    asked = 0

    async def title(number: int) -> str:
        """The song that the server names, or why it names none."""
        nonlocal asked
        asked += 1
        form = aiohttp.FormData()
        # No two questions are alike, so that no answer is one that is kept.
        form.add_field("file", sound(number, 1 + asked / 4), filename="sound.wav")
        async with session.post(f"{address}/api/v1/identifications", data=form, headers=headers) as response:
            body = await response.json()
        return str(body["song"]["title"] if body.get("song") else body.get("code", body["status"]))

    async def command(*words: str) -> int:
        return await asyncio.to_thread(main, ["catalog", *words, "--catalog", str(catalog)])

    async with server(data) as address, aiohttp.ClientSession() as session:
        assert [await title(number) for number in (1, 2, 3)] == ["Song 1", "Song 2", "Song 3"]
        assert await command("remove", "--search", "Song 2") == 0
        assert await title(2) == "no_match"
        assert await command("restore", str(tmp_path / "copy"), "--force") == 0
        assert await title(2) == "Song 2"
        # Damaged under the server: it says so, and answers once a copy is back.
        (catalog / "manifest.json").unlink()
        assert await title(2) == "recognizer-unavailable"
        assert await command("restore", str(tmp_path / "copy"), "--force") == 0
        assert await title(2) == "Song 2"
        # Another catalog with files of the same names takes its place.
        fill(tmp_path / "other", [4])
        shutil.rmtree(catalog)
        shutil.copytree(tmp_path / "other", catalog)
        assert await title(4) == "Song 4"
        assert await title(2) == "no_match"
    assert Catalog(catalog).verify() == []
