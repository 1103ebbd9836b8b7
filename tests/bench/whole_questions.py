"""Whole questions about moments of a track, as clips and as a live question with all its takes."""

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.confidence import THRESHOLD, beside_chances, chances_of_takes
from fingerprint.catalog.identify import SHORT_SECONDS, identify, prepare
from fingerprint.catalog.index import Catalog, Snapshot
from fingerprint.catalog.search import examine
from fingerprint.domain.audio import Pcm
from tests.bench.corpus import decode, track_blocks

CLIPS: Final = (3.0, 6.0, 10.0, 30.0)
LONG: Final = 30.0
LIVE: Final = "live"
FIRST_TAKE: Final = 6.0
LATER_TAKES: Final = ((-12.0, 0.0), (-24.0, -12.0), (-36.0, -24.0))
"""The takes of a live question after its first, in seconds from its moment, as `hls.takes` selects them."""

BEFORE_SECONDS: Final = 36.0
DECIBELS: Final = (6.0, 0.0, -6.0, -12.0)
"""How much louder the music is than what is over it, for music that is indexed."""

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Music:
    """A track of the corpus."""

    id: str
    path: Path
    package: str
    artist: str
    seconds: float

    def is_related(self, other: "Music") -> bool:
        """Whether both are of one package or by one artist."""
        return self.package == other.package or bool(self.artist and self.artist == other.artist)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A song of an answer."""

    track: str
    score: float
    speed: float
    pitch: float
    offset: float
    position: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A whole question about a track, and its answer.

    `kind`: one of CLIPS or LIVE. `at`: its moment, in seconds from the track's start. `over`: what is over the
    music. `likeliest`: the track with the highest score in any take, where that is known. `named`: the answer's
    songs. `take`: the take that was answered, or the last.
    """

    kind: str
    track: str
    at: float
    known: bool
    over: str
    likeliest: str | None
    score: float
    named: tuple[Named, ...]
    take: int
    cpu_ms: float

    @staticmethod
    def read(kept: Mapping[str, Any]) -> "Asked":
        """The inverse of `asdict`."""
        read: dict[str, Any] = {**kept, "named": tuple(Named(**each) for each in kept["named"])}
        return Asked(**read)

    @property
    def right(self) -> bool:
        """Whether the likeliest track is the one that was played."""
        return self.known and self.likeliest == self.track


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Moments of one track to be asked about, and the file that the answers are kept in."""

    corpus: Path
    catalog: Path
    music: Music
    moments: tuple[float, ...]
    known: bool
    over: tuple[tuple[Path, ...], tuple[Path, ...]]
    """Files with voices, and with sounds of games."""
    long_every: int
    """One in so many moments of unknown music is also asked about as a clip of LONG seconds, which takes most."""
    results: Path
    until: float
    """When no more is begun, in seconds of `time.time`."""


# --- One question -------------------------------------------------------------------------------------


def ask(snapshot: Snapshot, pcm: Pcm, take: int = 1) -> tuple[str | None, float, tuple[Named, ...]]:
    """The likeliest track of a sound, its score, and the songs that the answer names.

    Below the threshold, the likeliest track of a long sound is not known: its score is then 0.
    """
    query = prepare(pcm)
    query.take = take
    likeliest: tuple[str, float] | None = None
    if pcm.duration_seconds <= SHORT_SECONDS:
        best = examine(snapshot, query)
        sure = 0.0 if best is None else beside_chances(best.finding.confidence, chances_of_takes(take))
        if best is None or sure < THRESHOLD:
            return None if best is None else best.finding.track.id, sure, ()
        likeliest = best.finding.track.id, sure
    found = identify(snapshot, query, take=take)
    named = tuple(
        Named(
            track=each.track.id,
            score=each.confidence,
            speed=each.speed,
            pitch=each.pitch,
            offset=each.offset_seconds,
            position=each.position_seconds,
        )
        for each in found
    )
    if likeliest is not None:
        return *likeliest, named
    return (named[0].track, named[0].score, named) if named else (None, 0.0, ())


def whole_questions(snapshot: Snapshot, pcm: Pcm, job: Job, at: float, over: str) -> Iterator[Asked]:
    """The questions about one moment, the last of the sound's BEFORE_SECONDS; live ones of unknown music only."""

    def said(begin: float, end: float, take: int = 1) -> tuple[str | None, float, tuple[Named, ...], float]:
        began = time.process_time()
        part = pcm.cut(BEFORE_SECONDS + begin, end - begin)
        return *ask(snapshot, part, take), (time.process_time() - began) * 1000

    def asked(kind: str, take: int, said: tuple[str | None, float, tuple[Named, ...], float]) -> Asked:
        best, score, named, cpu_ms = said
        return Asked(
            kind=kind,
            track=job.music.id,
            at=round(at, 3),
            known=job.known,
            over=over,
            likeliest=best,
            score=score,
            named=named,
            take=take,
            cpu_ms=round(cpu_ms, 1),
        )

    with_long = job.known or round(10 * at) % job.long_every == 0
    clips = {seconds: said(-seconds, 0.0) for seconds in CLIPS if seconds < LONG or with_long}
    yield from (asked(f"{seconds:g} s", 1, clip) for seconds, clip in clips.items())
    if job.known:
        return
    # A live question's first take is the clip of 6 s.
    best, score, named, cpu_ms = clips[FIRST_TAKE]
    take = 1
    for begin, end in LATER_TAKES:
        if named:
            break
        take += 1
        later, sure, named, more_ms = said(begin, end, take)
        cpu_ms += more_ms
        if sure > score or named:
            best, score = later, sure
    yield asked(LIVE, take, (best, score, named, cpu_ms))


def sounds_until(blocks: Iterable[Pcm], moments: Sequence[float]) -> Iterator[tuple[float, Pcm]]:
    """The BEFORE_SECONDS up to each moment; what is after the last one is not decoded."""
    left, kept, end = deque(sorted(moments)), deque[Samples](), 0
    for block in blocks:
        kept.append(block.samples)
        end += block.samples.shape[1]
        reach = round(BEFORE_SECONDS * block.rate)
        while left and round(left[0] * block.rate) <= end:
            whole = np.concatenate(kept, axis=1)
            last = whole.shape[1] - (end - round(left[0] * block.rate))
            yield left.popleft(), Pcm(np.ascontiguousarray(whole[:, last - reach : last]), block.rate)
        if not left:
            return
        while sum(each.shape[1] for each in kept) - kept[0].shape[1] >= reach:
            kept.popleft()


# --- What is over the music ---------------------------------------------------------------------------


def _over(rng: np.random.Generator, files: Sequence[Path], samples: int, *, in_turn: bool) -> Samples:
    """Sounds of these files, one after the other or scattered."""
    out = np.zeros(samples, np.float32)
    at = 0
    while at < samples:
        sound = decode(files[int(rng.integers(len(files)))]).mono[: samples - at]
        out[at : at + len(sound)] += sound
        at += len(sound) if in_turn else int(rng.integers(3_000, 12_000))
    return out


def covered(pcm: Pcm, job: Job, at: float) -> tuple[Pcm, str]:
    """A sound under a voice or a game, and a name for that; the same ones in each run."""
    rng = np.random.default_rng([int(job.music.id[:8], 16), round(at)])
    number, decibels = int(rng.integers(2)), float(rng.choice(DECIBELS))
    over = _over(rng, job.over[number], pcm.samples.shape[1], in_turn=number == 0)
    levels = [float(np.sqrt(np.mean(np.square(each)))) for each in (pcm.samples, over)]
    mixed = pcm.samples + over * np.float32(levels[0] / max(levels[1], 1e-6) * 10 ** (-decibels / 20))
    mixed /= np.float32(max(1.0, float(np.max(np.abs(mixed)))))
    return Pcm(np.ascontiguousarray(mixed, np.float32), pcm.rate), f"{('voice', 'game')[number]}{decibels:+g}"


# --- A track ------------------------------------------------------------------------------------------


@cache
def _catalog(folder: Path) -> Catalog:
    return Catalog(folder)


def ask_track(job: Job) -> None:
    """Ask about a track's moments, unless that was done before, and keep the answers."""
    if job.results.exists() or time.time() > job.until:
        return
    snapshot = _catalog(job.catalog).snapshot()
    asked: list[Asked] = []
    for at, pcm in sounds_until(track_blocks(job.corpus, job.music.id, job.music.path), job.moments):
        sound, over = covered(pcm, job, at) if job.known else (pcm, "")
        asked += whole_questions(snapshot, sound, job, at, over)
    unfinished = job.results.with_suffix(".part")
    unfinished.write_text(json.dumps([asdict(each) for each in asked], indent=1), encoding="utf-8")
    unfinished.replace(job.results)


def read_answers(file: Path) -> list[Asked]:
    """The answers about a track; none when it was not asked about."""
    kept: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    return [Asked.read(each) for each in kept]
