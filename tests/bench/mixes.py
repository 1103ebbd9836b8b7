"""Whole recordings: where each song of a long mix begins, and how fast the mix is listened to.

The mixes are made of 10 to 15 tracks with crossfades, speech in between, songs that come again, and some that
begin in their middle; the same ones in each run. Tracks: those of a corpus (`--corpus DIR`, which
`scripts/bench recognition` has), else synthesized music. `realtime`: seconds of sound for each second of CPU, on
one core, without decoding and download.

With `--results DIR`, a run that was stopped goes on where it was: each mix has a file there, which also tells
where every song was found. `--minutes N` ends a run after so long, so that it can be made in pieces.
"""

import argparse
import asyncio
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.fingerprint import fingerprint_track
from fingerprint.catalog.tracks import Track
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.tracklist import Tracklist
from fingerprint.ports import SoundPart
from fingerprint.recognizers.catalog import CatalogRecognizer
from fingerprint.recognizers.chain import Member, RecognizerChain
from fingerprint.whole import WholeListener
from tests.bench.corpus import decode, read_corpus
from tests.bench.table import print_table, write_json
from tests.unit.catalog.music import tune

RIGHT_SECONDS: Final = 3.0
PLAYED_SECONDS: Final = (45, 110)
"""How long a track of a mix is heard, from and to."""

TRACK_SECONDS: Final = 130.0
"""How much of a track is indexed, and can be heard."""

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Played:
    """A song of a mix: where it begins to be heard, how far into it that is, and over how long it fades in.

    All in seconds.
    """

    title: str
    start: float
    offset: float
    fade: float


@dataclass(frozen=True, slots=True)
class Mix:
    """A mix, and what is right: its songs, in order."""

    pcm: Pcm
    played: tuple[Played, ...]


class PcmSound:
    """Samples in memory as a whole recording. Satisfies `fingerprint.ports.WholeSound`."""

    def __init__(self, pcm: Pcm) -> None:
        self._pcm = pcm

    @property
    def duration_seconds(self) -> float | None:
        """The length of the recording."""
        return self._pcm.duration_seconds

    @property
    def continuous(self) -> bool:
        """Samples have no pauses."""
        return True

    @property
    def growing(self) -> bool:
        """Samples in memory are all there."""
        return False

    async def part(self, start: float, seconds: float) -> SoundPart:
        """The part of the samples."""
        pcm = self._pcm.cut(start, seconds)
        return SoundPart(pcm=pcm, seconds=pcm.duration_seconds)


def speech(rng: np.random.Generator, seconds: float) -> Samples:
    """What is like speech: syllables of a buzzing voice whose vowels and pitch change."""
    length = round(seconds * SAMPLE_RATE)
    out = np.zeros(length, np.float32)
    at = 0
    while at < length:
        count = round(rng.uniform(0.09, 0.3) * SAMPLE_RATE)
        times = np.arange(count) / SAMPLE_RATE
        pitch = rng.uniform(90, 190) * (1 + 0.08 * np.sin(2 * np.pi * rng.uniform(1, 4) * times))
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        formants = rng.uniform((300, 900, 2200), (800, 1900, 3000))
        voice = np.zeros(count)
        for harmonic in range(1, 24):
            near = np.exp(-(((harmonic * pitch.mean() - formants) / 180) ** 2)).sum()
            voice += (near + 0.02) * np.sin(harmonic * phase)
        shape = np.sin(np.pi * np.arange(count) / count) ** 0.5
        piece = (0.15 * voice * shape).astype(np.float32)[: length - at]
        out[at : at + len(piece)] += piece
        at += count + round(rng.exponential(0.06) * SAMPLE_RATE)
    return out


def make_mix(rng: np.random.Generator, titles: Sequence[str], tracks: Sequence[Samples]) -> Mix:
    """A mix of 10 to 15 tracks, of which one comes twice."""
    count = int(rng.integers(10, 16))
    chosen = [int(number) for number in rng.choice(len(tracks), min(count - 1, len(tracks)), replace=False)]
    chosen.insert(int(rng.integers(3, len(chosen) + 1)), chosen[0])
    played: list[Played] = []
    sounds: list[tuple[int, Samples]] = []
    at = 0
    for place, number in enumerate(chosen):
        track = tracks[number]
        longest = min(PLAYED_SECONDS[1], len(track) / SAMPLE_RATE)
        length = round(rng.uniform(min(PLAYED_SECONDS[0], longest), longest) * SAMPLE_RATE)
        first = 0 if rng.random() < 0.8 else round(rng.uniform(0, max(1, len(track) - length)))
        sound = track[first : first + length] * np.float32(rng.uniform(0.6, 1.0))
        fade = round(rng.uniform(2.0, 9.0) * SAMPLE_RATE)
        overlapping = place > 0 and rng.random() < 0.7
        if overlapping:
            at -= fade
            ramp = np.linspace(0, 1, fade, dtype=np.float32)
            sound[:fade] *= ramp
            before, old = sounds[-1]
            old[-fade:] *= ramp[::-1]
            sounds[-1] = (before, old)
        elif place > 0:
            talk = speech(rng, rng.uniform(3.0, 20.0))
            sounds.append((at, talk))
            at += len(talk)
        faded = fade / SAMPLE_RATE if overlapping else 0.0
        played.append(Played(titles[number], at / SAMPLE_RATE, first / SAMPLE_RATE, faded))
        sounds.append((at, sound))
        at += len(sound)
    mixed = np.zeros((1, at), np.float32)
    for begin, sound in sounds:
        mixed[0, begin : begin + len(sound)] += sound
    mixed += rng.normal(0, 0.002, mixed.shape).astype(np.float32)
    return Mix(Pcm(mixed), tuple(played))


def judge(mix: Mix, found: Tracklist, cpu_seconds: float) -> dict[str, Any]:
    """One row: how many songs were found, and how far their starts are off; `each`: which one was found where."""
    left = list(found.songs)
    each: list[dict[str, Any]] = []
    for song in mix.played:
        same = [entry for entry in left if entry.song.title == song.title]
        nearest = min(same, key=lambda entry, start=song.start: abs(entry.start - start), default=None)
        if nearest is not None:
            left.remove(nearest)
        each.append({**asdict(song), "found": None if nearest is None else round(nearest.start, 2)})
    errors = [abs(one["found"] - one["start"]) for one in each if one["found"] is not None]
    return {
        "songs": len(each),
        "found": len(errors),
        "extra": len(left),
        "within_3s": sum(error <= RIGHT_SECONDS for error in errors) / len(each),
        "median_error_s": round(statistics.median(errors), 2) if errors else None,
        "worst_error_s": round(max(errors), 2) if errors else None,
        "seconds": round(mix.pcm.duration_seconds, 1),
        "realtime": round(mix.pcm.duration_seconds / cpu_seconds, 1),
        "each": each,
        "too_many": [[entry.song.title, round(entry.start, 2), round(entry.end, 2)] for entry in left],
    }


def _corpus_tracks(folder: Path, count: int) -> tuple[list[str], list[Samples]]:
    corpus = read_corpus(folder, share=1, durations=())
    titles: list[str] = []
    tracks: list[Samples] = []
    by_hash = sorted(corpus.tracks.items(), key=lambda item: hashlib.sha256(item[0].encode()).digest())
    for track_id, path in by_hash:
        try:
            pcm = decode(path)
        except Exception as error:  # noqa: BLE001 - a file that cannot be decoded here is left out
            print(f"left out: {path.name} ({error})")
            continue
        if pcm.duration_seconds >= PLAYED_SECONDS[0]:
            titles.append(track_id)
            tracks.append(pcm.cut(0.0, TRACK_SECONDS).mono.copy())
        if len(tracks) == count:
            break
    return titles, tracks


def _index(folder: Path, titles: Sequence[str], tracks: Sequence[Samples]) -> None:
    with CatalogWriter(folder) as writer:
        for number, (title, samples) in enumerate(zip(titles, tracks, strict=True)):
            fingerprint = fingerprint_track([Pcm(samples[np.newaxis])])
            writer.add([(_track(title, number, fingerprint.track_id, fingerprint.duration_seconds), fingerprint)])


def _track(title: str, number: int, track_id: str, seconds: float) -> Track:
    return Track(id=track_id, title=title, path=f"{number}.flac", size=0, modified_ns=0, duration_seconds=seconds)


async def listen_to(listener: WholeListener, pcm: Pcm) -> tuple[Tracklist, float]:
    """The tracklist of some samples, and the CPU seconds that it took."""
    found = Tracklist()
    began = time.process_time()
    async for newest in listener.listen(PcmSound(pcm)):
        found = newest
    return found, time.process_time() - began


def _results(folder: Path | None, titles: Sequence[str], number: int) -> Path | None:
    """The file of one mix's row, which is of these tracks alone."""
    if folder is None:
        return None
    tracks = hashlib.sha256("\n".join(titles).encode()).hexdigest()[:8]
    return folder / f"mix-{tracks}-{number + 1:02}.json"


async def _measure(
    catalog: Path, tracks: dict[str, Samples], mixes: int, results: Path | None, until: float
) -> list[dict[str, Any]]:
    """A row for each mix, made one after the other; those that have a file are read."""
    titles = list(tracks)
    rows: list[dict[str, Any]] = []
    warm = False
    async with RecognizerChain([Member(CatalogRecognizer(catalog), limits_itself=True)]) as chain:
        listener = WholeListener(chain)
        for number in range(mixes):
            file = _results(results, titles, number)
            if file is not None and file.exists():
                rows.append(json.loads(file.read_text(encoding="utf-8")))
                continue
            if time.monotonic() > until:
                print(f"the time is over: {mixes - number} mixes are left", flush=True)
                break
            mix = make_mix(np.random.default_rng(number), titles, list(tracks.values()))
            if not warm:
                await listen_to(listener, mix.pcm.cut(0.0, 24.0))
                warm = True
            row = {"mix": number + 1, **judge(mix, *await listen_to(listener, mix.pcm))}
            rows.append(row)
            write_json(file, row)
            print(_shown(row), flush=True)
    return rows


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the lists in it."""
    return {name: value for name, value in row.items() if not isinstance(value, list)}


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench mixes", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--corpus", type=Path, help="the folder of the recognition corpus")
    parser.add_argument("--mixes", type=int, default=20)
    parser.add_argument("--tracks", type=int, default=40, help="how many tracks the catalog has")
    parser.add_argument("--results", type=Path, help="a folder for a file of each mix, from which a run goes on")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no further mix after so long")
    arguments = parser.parse_args(argv)
    until = time.monotonic() + cast("float", arguments.minutes) * 60
    count = cast("int", arguments.tracks)
    results = cast("Path | None", arguments.results)
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
    if arguments.corpus is not None:
        titles, tracks = _corpus_tracks(cast("Path", arguments.corpus), count)
    else:
        titles = [f"Song {number}" for number in range(count)]
        tracks = [tune(1000 + number, TRACK_SECONDS).mono.copy() for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        _index(Path(folder), titles, tracks)
        mixes = cast("int", arguments.mixes)
        rows = asyncio.run(_measure(Path(folder), dict(zip(titles, tracks, strict=True)), mixes, results, until))
    good = sum(row["within_3s"] >= 0.9 for row in rows) / len(rows)
    songs = sum(row["songs"] for row in rows)
    right = sum(row["within_3s"] * row["songs"] for row in rows) / songs
    realtime = statistics.median(row["realtime"] for row in rows)
    print_table("whole mixes", [_shown(row) for row in rows])
    print(
        f"starts right to {RIGHT_SECONDS:g} s: {right:.1%} of {songs} songs in {len(rows)} mixes; "
        f"{good:.0%} of mixes have 90 % of them right"
    )
    print(f"real-time factor on one core (median): {realtime:.0f}")
    figures = {"rows": rows, "within_3s": round(right, 4), "mixes_right": good, "realtime": realtime}
    write_json(cast("Path | None", arguments.json), figures)
    return 0
