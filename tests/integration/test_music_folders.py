"""Folders that the server watches: what comes into them is in the catalog soon, by one of several servers."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.writer import CatalogWriter
from server.music_folders import FolderTimes, MusicFolders, sync_command
from server.observability import Metrics
from tests.unit.catalog.music import tune

TIMES = FolderTimes(settle=0.3, poll=1.0, safety=600.0, retry=0.2)

# Notes each run, waits until there is a `report` (and notes that it has to wait), notes the end, and says what the
# report holds.
STAND_IN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = pathlib.Path(sys.argv[1])
def note(name):
    with (folder / name).open("a") as file:
        file.write("run\\n")
text = None
try:
    note("runs")
    waits = False
    while text is None:
        try:
            text = (folder / "report").read_text()
        except FileNotFoundError:
            if not waits:
                note("waits")
            waits = True
            time.sleep(0.05)
    note("ended")
except KeyboardInterrupt:
    (folder / "interrupted").touch()
    sys.exit(130)
sys.exit(text) if text.startswith("twitchaudio") else print(text)
"""


async def until(condition: Callable[[], object]) -> None:
    """Wait without taking the processor from the command that is waited for. Raises TimeoutError."""
    async with asyncio.timeout(150):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.05)


def write_music(path: Path, number: int) -> None:
    samples = (tune(number, 4.0).samples[0] * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.ascontiguousarray(samples).tobytes())


def watching(folder: Path, music: Path, *, metrics: Metrics | None = None) -> MusicFolders:
    command = (sys.executable, "-I", "-S", "-c", STAND_IN, str(folder))
    lock = folder / "catalog" / "watch.lock"
    return MusicFolders([music], command=command, lock=lock, metrics=metrics or Metrics(), times=TIMES)


def runs(folder: Path, name: str = "runs") -> int:
    return len((folder / name).read_text().splitlines()) if (folder / name).exists() else 0


async def test_a_new_release_is_in_the_catalog_soon(tmp_path: Path) -> None:
    music, directory = tmp_path / "music", tmp_path / "catalog"
    music.mkdir()
    write_music(music / "first.wav", 1)
    command = sync_command(str(directory), [music], workers=1, settle=TIMES.settle)

    catalog = Catalog(directory)

    def titles() -> set[str]:
        return {found.title for found in catalog.snapshot().tracks()}

    async with MusicFolders(
        [music], command=command, lock=directory / "watch.lock", metrics=Metrics(), times=TIMES
    ):
        await until(lambda: titles() == {"first"})
        write_music(tmp_path / "second.wav", 2)
        (tmp_path / "second.wav").rename(music / "second.wav")
        await until(lambda: titles() == {"first", "second"})
    # Nothing is at work any more.
    with CatalogWriter(directory):
        pass


def test_the_command_can_be_interrupted_also_where_the_server_cannot(tmp_path: Path) -> None:
    command = sync_command(str(tmp_path / "catalog"), [tmp_path], workers=1, settle=0.0)
    show = "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler); sys.exit()"
    boot = [*command[:2], command[2].replace("from server.cli import main", show), *command[3:]]
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        said = subprocess.run(boot, capture_output=True, check=True, timeout=120)
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert said.stdout == b"True\n"


async def test_what_went_wrong_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    music = tmp_path / "music"
    failed = [{"path": "/music/bad.mp3", "reason": "it is no sound"}]
    report = {"added": 1, "failed": failed, "missing": ["/gone"], "too_many_missing": 12, "waiting": 1}
    (tmp_path / "report").write_text(json.dumps(report))
    with caplog.at_level(logging.INFO):
        async with watching(tmp_path, music):
            await until(lambda: runs(tmp_path) >= 3)
            (tmp_path / "report").write_text("twitchaudio: the disk is full")
            await until(lambda: "music_folders_not_synced" in caplog.text)
            before = runs(tmp_path)
            await until(lambda: runs(tmp_path) >= before + 3)
            (tmp_path / "report").write_text("twitchaudio: another one; wait until it is done.")
            before = runs(tmp_path)
            await until(lambda: runs(tmp_path) >= before + 3)
    said = [(each.getMessage(), vars(each).get("path"), vars(each).get("reason")) for each in caplog.records]
    troubles = [each for each in said if each[0] == "music_not_read"]
    assert troubles[:2] == [
        ("music_not_read", "/music/bad.mp3", "it is no sound"),
        ("music_not_read", "/gone", "it does not exist"),
    ]
    assert len(troubles) == 3
    assert troubles[2][1] == str(music)
    assert [each for each in said if each[0] == "music_folders_not_synced"] == [
        ("music_folders_not_synced", None, "the disk is full")
    ]


async def test_of_several_servers_one_watches_and_another_one_takes_over(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    async with watching(tmp_path, music) as first:
        await until(lambda: runs(tmp_path) == 1)
        async with watching(tmp_path, music):
            (tmp_path / "report").write_text("{}")
            (music / "a.mp3").touch()
            await until(lambda: runs(tmp_path) >= 2)
            waited = runs(tmp_path, "waits")
            (tmp_path / "report").unlink()
            (music / "b.mp3").touch()
            # Without a report a run lasts until it is interrupted.
            await until(lambda: runs(tmp_path, "waits") > waited)
            before = runs(tmp_path)
            # A server that stops interrupts the pass, which keeps what it has.
            await first.__aexit__()
            await until((tmp_path / "interrupted").exists)
            await until(lambda: runs(tmp_path) > before)


async def test_a_folder_that_is_mounted_later_is_looked_through_then(tmp_path: Path) -> None:
    music = tmp_path / "music"
    (tmp_path / "report").write_text("{}")
    async with watching(tmp_path, music):
        await until(lambda: runs(tmp_path) >= 1)
        music.mkdir()
        before = runs(tmp_path)
        await until(lambda: runs(tmp_path) > before)
