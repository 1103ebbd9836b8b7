"""How query time, memory and disk grow with the catalog.

The catalog's first tracks are real ones when `--corpus DIR` names a corpus whose index `scripts/bench recognition`
has made, else small pieces of music made by code. The others are synthetic, of four minutes each: a hash occurs in
proportion to how often it occurs in the real tracks (those that do not occur there share what is estimated for
them), at random times. So an index of them is as large, and a query finds as many postings by chance, as with real
ones. Queries are clips of the corpus, or cuts of the made music with noise.

`query_ms` is the median wall time of a question about six seconds of decoded sound, with fingerprinting and
a warm page cache; each question counts with the better of two rounds. `rss_mb`: the most resident memory meanwhile
that is no mapped file. `duplicates_ms`: processor time a track of `catalog duplicates`, over the first 200. The
largest catalog needs 16 GB of disk for a while (`TMPDIR` says where).
"""

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.confidence import WHOLE_THRESHOLD
from fingerprint.catalog.fingerprint import TrackFingerprint
from fingerprint.catalog.identify import prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.index_build import PostingsWriter, place_tracks, reserve_sections
from fingerprint.catalog.index_file import IndexSegment
from fingerprint.catalog.manifest import Manifest, SegmentEntry, write_manifest
from fingerprint.catalog.near_duplicates import near_duplicates
from fingerprint.catalog.packed_peaks import pack_peaks
from fingerprint.catalog.parameters import DEFAULT, HASH_BITS
from fingerprint.catalog.search import examine
from fingerprint.catalog.segment_layout import TRACK_RECORD, directory_bits
from fingerprint.catalog.segment_writer import SegmentWriter
from fingerprint.catalog.tracks import Track
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import Pcm
from fingerprint.worker_process import keep_freed_memory
from tests.bench.corpus import decode, read_corpus
from tests.bench.recognition import catalog_folder
from tests.bench.table import print_table, write_json
from tests.unit.catalog.music import mixed, noise, tune
from tests.unit.catalog.shelf import entry

TRACK_SECONDS: Final = 240.0
PEAKS_A_SECOND: Final = 48
CHUNK: Final = 1 << 22
QUERIES: Final = 40
DUPLICATES_OF: Final = 200
UNMATCHED_SHARE: Final = 2
"""There are half as many questions without a match as with one."""

_SEED: Final = 20261


def synthetic(path: Path, tracks: int, real: IndexSegment) -> None:
    """Write an IndexSegment of synthetic tracks with the hash frequencies of a real one."""
    rng = np.random.default_rng(_SEED)
    frames = round(TRACK_SECONDS * DEFAULT.frames_per_second)
    rate = len(real.postings) / int(real.tracks["frames"].astype(np.int64).sum())
    drawn = rng.poisson(hash_shares(real) * (rate * frames * tracks))
    total = int(drawn.sum())
    records = np.zeros(tracks, TRACK_RECORD)
    records["id"] = [f"{number:012x}".encode() for number in range(tracks)]
    records["frames"] = frames
    records["landmarks"] = total // tracks
    records["landmarks"][0] += total - total // tracks * tracks
    text = Track(
        id="",
        title="A synthetic track",
        artists=("Nobody",),
        album="Made up",
        path="/music/synthetic/track.flac",
        size=1,
        modified_ns=1,
        duration_seconds=TRACK_SECONDS,
    ).encode()
    peaks, side_peaks = _random_peaks(rng, frames), _random_peaks(rng, frames)
    records["text_size"] = len(text)
    records["peaks_size"], records["side_peaks_size"] = len(peaks), len(side_peaks)
    packed = np.concatenate([peaks, side_peaks])
    span = place_tracks(records)
    bits = directory_bits(total, HASH_BITS)
    with SegmentWriter(path, identity=DEFAULT.identity, hash_bits=HASH_BITS) as writer:
        reserve_sections(writer, records, bits, HASH_BITS)
        writer.write("tracks", records, 0)
        at_text = at_peaks = 0
        for _ in range(tracks):
            at_text = writer.write("texts", text, at_text)
            at_peaks = writer.write("peaks", packed, at_peaks)
        postings = PostingsWriter(writer, bits, HASH_BITS)
        ends = np.cumsum(drawn)
        low = 0
        while low < len(drawn):
            done = int(ends[low - 1]) if low else 0
            high = max(low + 1, int(np.searchsorted(ends, done + CHUNK)))
            part = np.repeat(np.arange(low, high, dtype=np.uint32), drawn[low:high])
            track = rng.integers(0, tracks, len(part), dtype=np.uint32)
            position = records["first_frame"][track] + rng.integers(0, frames, len(part), dtype=np.uint32)
            # Not in order of position within a hash, which no question notices.
            postings.write(part, position)
            low = high
        postings.finish()
        writer.finish(directory_bits=bits, postings=total, frames=span, tracks=tracks)


def make_catalog(folder: Path, source: Path, tracks: int) -> None:
    """Write a catalog with the tracks of another one, and as many synthetic ones as it lacks."""
    snapshot = Catalog(source).snapshot()
    real = list(snapshot.segments)
    largest = max(real, key=lambda live: len(live.segment.postings)).segment
    folder.mkdir()
    names: list[str] = []
    for live in real:
        names.append(f"0{live.segment.path.name}")
        shutil.copyfile(live.segment.path, folder / names[-1])
    if tracks > len(snapshot):
        names.append("synthetic.seg")
        synthetic(folder / names[-1], tracks - len(snapshot), largest)
    entries = tuple(SegmentEntry(name) for name in names)
    write_manifest(folder, Manifest(made_by=DEFAULT.identities, segments=entries))


def hash_shares(real: IndexSegment) -> NDArray[np.float64]:
    """How often each of all possible hashes is expected, estimated from some real tracks (I. Good and A. Turing).

    The hashes that have not been seen yet share what those that were seen once have, and the others give it up.
    """
    counts = np.bincount(real.hashes(0, 2**real.directory_bits), minlength=1 << HASH_BITS)
    unseen = np.count_nonzero(counts == 1) / max(1, int(counts.sum()))
    shares: NDArray[np.float64] = counts * ((1 - unseen) / max(1, int(counts.sum())))
    shares[counts == 0] = unseen / max(1, np.count_nonzero(counts == 0))
    return shares


def _random_peaks(rng: np.random.Generator, frames: int) -> NDArray[np.uint16]:
    count = round(PEAKS_A_SECOND * TRACK_SECONDS)
    at = np.sort(rng.integers(0, frames, count)).astype(np.uint32)
    edges = DEFAULT.band_edges
    return pack_peaks(at, rng.integers(edges[0], edges[-1], count).astype(np.uint16))


def made_queries() -> list[tuple[Pcm, frozenset[str]]]:
    """Cuts of made music with noise, and the tracks that they are of."""
    return [
        (mixed(tune(number).cut(3 + number % 9, 6), noise(number, 6), 0.5), frozenset({f"{2**40 + number:012x}"}))
        for number in range(QUERIES)
    ]


def unmatched(queries: Sequence[tuple[Pcm, frozenset[str]]]) -> list[tuple[Pcm, frozenset[str]]]:
    """The same cuts of other made music, which no catalog has: the usual question on Twitch, and the dearest."""
    return [
        (mixed(tune(10_000 + number).cut(3 + number % 9, 6), noise(number, 6), 0.5), frozenset[str]())
        for number in range(len(queries) // UNMATCHED_SHARE)
    ]


def unmatched_of(folder: Path) -> list[tuple[Pcm, frozenset[str]]]:
    """Clips of the corpus without a right answer, 6 s each, of all kinds."""
    corpus = read_corpus(folder, share=1, durations=[6])
    chosen = [query for query in corpus.queries if not query.accept and query.duration == 6]
    chosen = chosen[:: max(1, len(chosen) // (QUERIES // UNMATCHED_SHARE))][: QUERIES // UNMATCHED_SHARE]
    return [(decode(corpus.clip(query)), query.accept) for query in chosen]


def corpus_queries(folder: Path) -> list[tuple[Pcm, frozenset[str]]]:
    """Clips of the corpus, 6 s each, of all conditions."""
    corpus = read_corpus(folder, share=1, durations=[6])
    chosen = [query for query in corpus.queries if query.accept]
    chosen = chosen[:: max(1, len(chosen) // QUERIES)][:QUERIES]
    return [(decode(corpus.clip(query)), query.accept) for query in chosen]


def measure(folder: Path, queries: Sequence[tuple[Pcm, frozenset[str]]]) -> dict[str, object]:
    """Open a catalog and ask it everything three times; the better of the last two counts.

    Questions with and without a match are measured apart. Memory is kept between questions, as in the server's
    workers.
    """
    keep_freed_memory()
    started = time.perf_counter()
    catalog = Catalog(folder)
    snapshot = catalog.snapshot()
    open_ms = (time.perf_counter() - started) * 1000
    right = 0
    times = [float("inf")] * len(queries)
    cpu = list(times)
    answers = [False] * len(queries)
    with _MostMemory() as memory:
        for warm in (False, True, True):
            right = 0
            for number, (pcm, accept) in enumerate(queries):
                started, used = time.perf_counter(), time.process_time()
                best = examine(snapshot, prepare(pcm))
                if warm:
                    times[number] = min(times[number], (time.perf_counter() - started) * 1000)
                    cpu[number] = min(cpu[number], (time.process_time() - used) * 1000)
                answers[number] = best is not None and best.finding.confidence >= WHOLE_THRESHOLD
                right += best is not None and answers[number] and best.finding.track.id in accept
    used = time.process_time()
    looked_at = sum(1 for _ in islice(near_duplicates(snapshot), DUPLICATES_OF))
    duplicates_ms = (time.process_time() - used) * 1000 / looked_at
    matched = [place for place, (_, accept) in enumerate(queries) if accept]
    without = [place for place, (_, accept) in enumerate(queries) if not accept]
    named = sum(1 for place in without if answers[place])
    size = sum(live.segment.size for live in snapshot.segments)
    return {
        "tracks": len(snapshot),
        "query_ms": statistics.median(times[place] for place in matched),
        "cpu_ms": statistics.median(cpu[place] for place in matched),
        "slowest_ms": max(times[place] for place in matched),
        "unmatched_ms": statistics.median(times[place] for place in without),
        "unmatched_cpu_ms": statistics.median(cpu[place] for place in without),
        "unmatched_slowest_ms": max(times[place] for place in without),
        "unmatched_named": named / len(without),
        "rss_mb": memory.most_mb,
        "bytes_per_track": size / len(snapshot),
        "kib_per_minute": catalog.stats().bytes_per_minute / 1024,
        "open_ms": open_ms,
        "duplicates_ms": duplicates_ms,
        "top1": right / len(matched),
    }


class _MostMemory:
    """A context manager that looks at this process's memory again and again, and keeps the most."""

    def __init__(self) -> None:
        self.most_mb = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.most_mb = max(self.most_mb, _anonymous_mb())


def _anonymous_mb() -> float:
    """Resident memory that is not a mapped file, where the system tells (Linux)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench catalog-scale", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--tracks", type=int, nargs="+", default=[1000, 10_000, 100_000], metavar="N")
    parser.add_argument("--corpus", type=Path, metavar="DIR")
    parser.add_argument("--work", type=Path, default=Path(".cache/bench/recognition"), metavar="DIR")
    arguments = parser.parse_args(argv)
    corpus = cast("Path | None", arguments.corpus)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="twitchaudio-scale-") as scratch:
        if corpus is not None:
            source = catalog_folder(cast("Path", arguments.work), corpus.absolute())
            queries = [*corpus_queries(corpus.absolute()), *unmatched_of(corpus.absolute())]
        else:
            source = Path(scratch, "made")
            with CatalogWriter(source) as writer:
                writer.add([made(number) for number in range(QUERIES)])
            queries = made_queries()
            queries += unmatched(queries)
        if not Catalog(source).snapshot().segments:
            parser.error("run `scripts/bench recognition` on this corpus first: its index is used")
        for tracks in cast("list[int]", arguments.tracks):
            folder = Path(scratch, str(tracks))
            make_catalog(folder, source, tracks)
            # A process of its own, so that its memory is that of queries.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows.append(pool.apply(measure, (folder, queries)))
            shutil.rmtree(folder)
            print(f"{tracks} tracks: {rows[-1]}")
    shown = [{**row, "top1": f"{100 * cast('float', row['top1']):.1f} %"} for row in rows]
    print_table("growth with the catalog (6 s, warm page cache; memory beyond the mapped index)", shown)
    write_json(cast("Path | None", arguments.json), {"rows": rows, "real": corpus is not None})
    return 0


def made(number: int) -> tuple[Track, TrackFingerprint]:
    """A track of music made by code."""
    track, fingerprint = entry(number)
    return replace(track, id=f"{2**40 + number:012x}"), fingerprint
