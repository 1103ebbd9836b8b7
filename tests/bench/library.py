"""How long a large library takes to bring up to date when little or nothing has changed.

The files are empty of music, and the catalog's tracks of sound: what is measured is looking at every file, its
sidecars and the catalog, not decoding. Each command runs in a process of its own; `cpu_s` is its time on a core
and `rss_mb` its most memory, with the pages of the catalog that it has read (Linux).

With `--sound`, there is a second catalog whose tracks have landmarks, nearly all of them synthetic as those of
`scripts/bench catalog-scale`, and `duplicates` looks through all of it: 13 GB of disk for 100,000 tracks (`TMPDIR`
says where).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from fingerprint.catalog.fingerprint import NO_FINGERPRINT
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tracks import Source, TrackEntry
from fingerprint.catalog.writer import CatalogWriter
from tests.bench.catalog_scale import QUERIES, made, make_catalog
from tests.bench.table import print_table, write_json

ALBUM: Final = 12
CHUNK: Final = 20_000


def make_library(music: Path, catalog: Path, tracks: int) -> None:
    """Write `tracks` small files in folders of an album each, and a catalog that knows them."""
    entries: list[TrackEntry] = []
    for number in range(tracks):
        folder = music / f"Artist {number // ALBUM // 10:05d}" / f"Album {number // ALBUM:05d}"
        if number % ALBUM == 0:
            folder.mkdir(parents=True)
        path = folder / f"{number % ALBUM + 1:02d} Song {number}.flac"
        path.write_bytes(b"%d" % number)
        status = path.stat()
        source = Source(
            path=str(path),
            root=str(music),
            size=status.st_size,
            modified_ns=status.st_mtime_ns,
            changed_ns=status.st_ctime_ns,
            inode=status.st_ino,
            content=f"{number:032x}",
            sound=f"{number + 2**60:032x}",
            tags=Tags(
                title=f"Song {number}", artists=(f"Artist {number // 120}",), album=f"Album {number // ALBUM}"
            ),
        )
        entries.append(TrackEntry(id=f"{number:012x}", duration_seconds=240.0, sources=(source,)))
    with CatalogWriter(catalog) as writer:
        for first in range(0, tracks, CHUNK):
            writer.add([(entry, NO_FINGERPRINT) for entry in entries[first : first + CHUNK]])


def timed(catalog: Path, *command: str) -> dict[str, object]:
    """Run a `catalog` command in a new process."""
    started = time.perf_counter()
    program = [sys.executable, "-c", _RUN, "catalog", *command, "--catalog", os.fspath(catalog)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    cpu_s, rss_kib = map(float, done.stderr.split("\n")[-2].split())
    return {
        "command": " ".join([command[0], *(word for word in command[1:] if word.startswith("--"))]),
        "seconds": seconds,
        "cpu_s": cpu_s,
        "rss_mb": rss_kib / 1024,
        "said": done.stdout.strip().rsplit("\n", 1)[-1][:60],
    }


_RUN: Final = """
import pathlib
import sys
import time
from server.cli import main
status = main(sys.argv[1:])
# Not getrusage's, which begins with the memory of the process that started this one.
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
most = next((line.split()[1] for line in lines if line.startswith("VmHWM")), "nan")
print(time.process_time(), most, file=sys.stderr)
sys.exit(status)
"""


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench library", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--tracks", type=int, default=100_000, metavar="N")
    parser.add_argument("--sound", action="store_true", help="`duplicates` of tracks with landmarks, too")
    arguments = parser.parse_args(argv)
    tracks = cast("int", arguments.tracks)
    with tempfile.TemporaryDirectory(prefix="twitchaudio-library-") as scratch:
        music, catalog = Path(scratch, "music"), Path(scratch, "catalog")
        make_library(music, catalog, tracks)
        rows = [
            timed(catalog, "stats"),
            timed(catalog, "sync", os.fspath(music)),
            timed(catalog, "list"),
            timed(catalog, "list", "--json"),
            timed(catalog, "search", "Song", str(tracks - 1)),
            timed(catalog, "duplicates", "--exact"),
        ]
        if arguments.sound:
            source, sound = Path(scratch, "made"), Path(scratch, "sound")
            with CatalogWriter(source) as writer:
                writer.add([made(number) for number in range(QUERIES)])
            make_catalog(sound, source, max(tracks, QUERIES))
            rows.append(timed(sound, "duplicates"))
    print_table(f"a library of {tracks} files, nothing changed", rows)
    write_json(cast("Path | None", arguments.json), {"tracks": tracks, "rows": rows})
    return 0
