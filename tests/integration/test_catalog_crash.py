"""`catalog add`, killed at any moment, leaves a catalog that opens, with every finished track in it."""

import random
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import CatalogBusyError
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import SAMPLE_RATE

FILES = 30

ADD = """
import sys
from pathlib import Path
from fingerprint.catalog.ingest import ingest
from fingerprint.catalog import ingest as module
from fingerprint.catalog.file_outcomes import Read

def say(progress):
    if isinstance(progress.outcome, Read):
        print(progress.outcome.path.name, flush=True)
    elif progress.outcome is None:
        print("started", flush=True)

if __name__ == "__main__":
    module.COMMIT_TRACKS = 2  # as many commits and merges as possible
    ingest(Path(sys.argv[1]), [Path(sys.argv[2])], workers=2, on_progress=say)
"""


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(1)
    for number in range(FILES):
        with wave.open(str(folder / f"{number:03d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(rng.integers(-9000, 9000, 6 * SAMPLE_RATE).astype("<i2").tobytes())
    return folder


def start(script: Path, catalog: Path, music: Path) -> subprocess.Popen[str]:
    script.write_text(ADD)
    return subprocess.Popen(
        [sys.executable, str(script), str(catalog), str(music)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def names(catalog: Path) -> set[str]:
    return {Path(track.path).name for track in Catalog(catalog).snapshot().tracks()}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.nightly)])
def test_a_killed_add_keeps_every_finished_track(seed: int, music: Path, tmp_path: Path) -> None:
    delays = random.Random(seed)
    catalog = tmp_path / "catalog"
    finished: set[str] = set()
    kills = 0
    while len(finished) < FILES and kills < 5:
        process = start(tmp_path / "add.py", catalog, music)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(delays.uniform(0.3, 2.0))
        process.send_signal(signal.SIGKILL)
        finished.update(process.communicate(timeout=60)[0].split())
        kills += 1
        assert finished <= names(catalog)
        assert Catalog(catalog).verify() == []
    process = start(tmp_path / "add.py", catalog, music)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(names(catalog)) == FILES
    assert Catalog(catalog).verify() == []
    # Nothing of the killed ones is left over.
    listed = {entry.file for entry in Catalog(catalog).snapshot().manifest.segments}
    assert {path.name for path in catalog.iterdir()} == {*listed, "manifest.json", "writer.lock"}


def test_a_second_process_cannot_write_at_the_same_time(music: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    process = start(tmp_path / "add.py", catalog, music)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    with pytest.raises(CatalogBusyError), CatalogWriter(catalog):
        pass
    second = start(tmp_path / "second.py", catalog, music)
    assert second.wait(timeout=60) == 1
    assert second.stdout is not None
    second.stdout.close()
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(names(catalog)) == FILES


def test_workers_do_not_outlive_a_killed_parent(music: Path, tmp_path: Path) -> None:
    process = start(tmp_path / "add.py", tmp_path / "catalog", music)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    # The workers hold the pipe's other end: it closes when the last of them has gone.
    process.communicate(timeout=30)
