"""How much the learned catalog saves: channels play songs for a day, and a simulated provider names them.

Songs are asked for by Zipf's law (s = 1), each time on one of `--channels` channels and at any place of the song,
six seconds under a voice or another song, which is a game's. The learned catalog is asked first; what it does not
name the oracle names, as a paid provider: 95 % of the songs that it knows, 0.5 % of them as another. A tenth of
the questions are about music that no provider knows.

- `saved`: the share of the questions of the second half of the day that the provider was not asked, of those about
  music that it knows
- `wrong`: answers of the learned catalog that name another song; `oracle_wrong`: those of the oracle
- `kib_a_minute`: the index, for each minute of music that it can name; `evidence_kib_a_minute`: the captures in
  the database for it
- `questions_a_second`: how many questions were asked for each second of music in the day. What is saved depends on
  it: 300 channels that are asked about every five minutes through eight hours are 0.4 for 448 tracks

With `--of N`, the songs stand for N: each for those around one rank, so that all of them stand for as many of the
day's questions, and it is asked about as often, for each of its seconds, as such a song is with `--density`
questions a second of all music. A song that is asked about often is cut to less, and `saved` is the mean of the
songs' own shares.

Songs: those of a corpus (`--corpus DIR`), of any folder (`--music DIR`), else composed. The day's questions follow
each other without a pause.
"""

import argparse
import asyncio
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.identification import Identification, IdentificationId, Kind, Song, Status
from fingerprint.providers.usage import SqlUsage
from fingerprint.recognizers.catalog import CatalogRecognizer
from fingerprint.recognizers.learned import LearnedRecognizer
from server.learning.service import LearnedFolder, Learner, LearningLimits, learn_readable
from server.learning.store import LearnedStore
from server.observability import Metrics
from tests.bench.corpus import decode, read_corpus
from tests.bench.mixes import speech
from tests.bench.table import print_table, write_json
from tests.databases import migrated_database
from tests.fakes import FakeClock
from tests.unit.catalog.music import tune

RECALL: Final = 0.95
WRONG: Final = 0.005
UNKNOWN: Final = 0.1
SECONDS: Final = 6.0
OFFSET_ERROR_SECONDS: Final = 0.05
SUFFIXES: Final = (".flac", ".mp3", ".ogg", ".opus", ".wav", ".m4a")
SHORTEST_SECONDS: Final = 24.0
MORNING: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROVIDER: Final = "acrcloud"

Samples = NDArray[np.float32]


@dataclass(slots=True)
class Tally:
    """What came of one half of the day's questions. `of_songs`: by song, those asked and those saved."""

    questions: int = 0
    unknown: int = 0
    saved: int = 0
    wrong: int = 0
    oracle_asked: int = 0
    oracle_wrong: int = 0
    of_songs: dict[int, list[int]] = field(default_factory=dict[int, list[int]])

    def count(self, song: int, *, saved: bool) -> None:
        """Count a question about a known song."""
        both = self.of_songs.setdefault(song, [0, 0])
        both[0] += 1
        both[1] += saved

    @property
    def mean_saved(self) -> float:
        """The mean of the songs' shares of saved questions."""
        return sum(saved / asked for asked, saved in self.of_songs.values()) / max(1, len(self.of_songs))


class Day:
    """One simulated day."""

    def __init__(self, tracks: Sequence[Pcm], *, weights: NDArray[np.float64], channels: int, seed: int) -> None:
        """`weights`: how often the first tracks are asked about, which are those that the provider knows."""
        known = len(weights)
        self._tracks = tracks
        self._known = known
        self._channels = channels
        self._rng = np.random.default_rng(seed)
        self._weights = weights / weights.sum()
        self._games: list[Samples] = [self._sound(number) for number in range(known, len(tracks))]

    async def run(self, learner: Learner, recognizer: LearnedRecognizer[Any], questions: int) -> list[Tally]:
        """The tallies of both halves of the day."""
        halves = [Tally(), Tally()]
        for number in range(questions):
            tally = halves[2 * number // questions]
            tally.questions += 1
            unknown = self._rng.random() < UNKNOWN
            tally.unknown += unknown
            track = int(
                self._rng.integers(self._known, len(self._tracks))
                if unknown
                else self._rng.choice(self._known, p=self._weights)
            )
            offset = self._rng.uniform(0, self._tracks[track].duration_seconds - SECONDS)
            pcm = self._heard(track, offset)
            query = await asyncio.to_thread(recognizer.prepare, Recording(pcm=pcm))
            found = await recognizer.recognize(query)
            if not unknown:
                tally.count(track, saved=bool(found))
            if found:
                right = found[0].song.title == f"Song {track}"
                tally.saved += not unknown
                tally.wrong += not right
                continue
            tally.oracle_asked += 1
            said = self._oracle(track, offset)
            if said is None:
                continue
            tally.oracle_wrong += said.title != f"Song {track}"
            at = MORNING + timedelta(seconds=86_400 * number / questions)
            learner.heard(self._answer(number, said, at), Recording(pcm=pcm, started_at=at))
            await learner.catch_up()
        return halves

    def _answer(self, number: int, said: Song, at: datetime) -> Identification:
        channel = int(self._rng.integers(self._channels))
        return Identification(
            id=IdentificationId(f"answer-{number}"),
            kind=Kind.STREAM,
            target=f"channel{channel}",
            channel_id=str(channel),
            status=Status.SUCCESSFUL,
            created_at=at,
            song=said,
            songs=(said,),
            score=0.95,
            recognizer=PROVIDER,
        )

    def _oracle(self, track: int, offset: float) -> Song | None:
        """What a paid provider says."""
        if track >= self._known or self._rng.random() > RECALL:
            return None
        if self._rng.random() < WRONG:
            track = int(self._rng.integers(self._known))
            offset = self._rng.uniform(0, self._tracks[track].duration_seconds - SECONDS)
        offset = max(0.0, offset + self._rng.normal(0, OFFSET_ERROR_SECONDS))
        isrc = f"ZZTWA26{track:05d}"
        return Song(
            title=f"Song {track}",
            artists=(f"Artist {track}",),
            isrc=isrc,
            duration_seconds=self._tracks[track].duration_seconds,
            offset_seconds=offset,
        )

    def _heard(self, track: int, offset: float) -> Pcm:
        """Six seconds of a track as a stream has them: under a voice, a game or nothing, and not at full level."""
        rng = self._rng
        music: Samples = _stereo(self._tracks[track].cut(offset, SECONDS))
        kind = rng.choice(["clean", "voice", "game"], p=[0.2, 0.5, 0.3])
        if kind == "voice":
            over: Samples = np.stack([speech(rng, SECONDS)] * 2)
        else:
            game: Samples = self._games[int(rng.integers(len(self._games)))]
            first = int(rng.uniform(0, len(game[0]) - len(music[0])))
            over = game[:, first : first + len(music[0])]
        if kind != "clean":
            gain = 10 ** (rng.uniform(-6, 6) / 20) * _level(music) / max(_level(over), 1e-6)
            music += over[:, : len(music[0])] * np.float32(gain)
        music += rng.normal(0, 0.002, music.shape).astype(np.float32)
        loudest = float(np.max(np.abs(music)))
        music *= np.float32(rng.uniform(0.3, 1.0) / max(1.0, loudest))
        return Pcm(np.ascontiguousarray(music, np.float32))

    def _sound(self, number: int) -> Samples:
        return _stereo(self._tracks[number])


def _stereo(pcm: Pcm) -> Samples:
    return np.repeat(pcm.samples, 2, axis=0) if pcm.samples.shape[0] == 1 else pcm.samples.copy()


def _level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) + 1e-9


def _tracks(arguments: argparse.Namespace, count: int, seconds: float) -> list[Pcm]:
    paths: list[Path]
    if arguments.corpus is not None:
        paths = list(read_corpus(cast("Path", arguments.corpus), share=1, durations=()).tracks.values())
    elif arguments.music is not None:
        files = cast("Path", arguments.music).rglob("*")
        paths = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
    else:
        return [tune(2_000 + number, seconds, channels=2) for number in range(count)]
    order = [int(place) for place in np.random.default_rng(1).permutation(len(paths))]
    tracks: list[Pcm] = []
    for path in (paths[place] for place in order):
        if len(tracks) == count:
            break
        try:
            pcm = decode(path)
        except Exception as error:  # noqa: BLE001 - a file that cannot be decoded here is left out
            print(f"left out: {path.name} ({error})")
            continue
        if pcm.duration_seconds >= 4 * SECONDS:
            tracks.append(pcm.cut(0.0, seconds))
    return tracks


def zipf(songs: int) -> NDArray[np.float64]:
    """How often each of so many songs is asked about, most often first; their sum is 1."""
    often = 1 / np.arange(1, songs + 1)
    return often / often.sum()


def densities(songs: int, of: int, density: float) -> NDArray[np.float64]:
    """How often a second of each of some songs is asked about, when they stand for `of`.

    `density`: questions for each second of all music. The songs are those in the middle of equal shares of all
    questions.
    """
    often = zipf(of)
    middles = (np.arange(songs) + 0.5) / songs
    return often[np.searchsorted(np.cumsum(often), middles)] * of * density


def _cut_to_density(tracks: Sequence[Pcm], a_second: NDArray[np.float64], questions: int) -> list[Pcm]:
    """The known tracks, each cut so that it has at most so many questions a day, but not too short."""
    return [
        track.cut(0.0, min(track.duration_seconds, max(SHORTEST_SECONDS, questions / often)))
        for track, often in zip(tracks, a_second.tolist(), strict=False)
    ]


async def _measure(tracks: Sequence[Pcm], arguments: argparse.Namespace, questions: int) -> dict[str, object]:
    known = round(len(tracks) * 0.8)
    weights = zipf(known)
    if of := cast("int", arguments.of):
        a_second = densities(known, of, cast("float", arguments.density))
        tracks = [*_cut_to_density(tracks[:known], a_second, questions), *tracks[known:]]
        lengths = np.array([track.duration_seconds for track in tracks[:known]])
        weights = np.minimum(a_second * lengths, questions)
        questions = round(float(weights.sum()) / (1 - UNKNOWN))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "learned"
        async with migrated_database(f"sqlite:///{name}/learned.sqlite3") as database:
            store = LearnedStore(database, max_bytes=1 << 30)
            recognizer = LearnedRecognizer(CatalogRecognizer(folder))
            learner = Learner(
                store,
                recognizer,
                LearnedFolder(folder),
                clock=FakeClock(MORNING),
                metrics=Metrics(),
                usage=SqlUsage(database),
                paid=lambda: [PROVIDER],
                prices={},
                clip_parts=5,
                limits=LearningLimits(),
            )
            day = Day(
                tracks, weights=weights, channels=cast("int", arguments.channels), seed=cast("int", arguments.seed)
            )
            began = time.process_time()
            halves = await day.run(learner, recognizer, questions)
            cpu = time.process_time() - began
            minutes, evidence = 0.0, 0
            for key in await store.candidates():
                song = await store.song(key)
                assert song is not None, "nothing is deleted here"
                minutes += learn_readable(song.captures).seconds / 60
                evidence += sum(len(capture.fingerprint) for capture in song.captures)
        size = sum(file.stat().st_size for file in folder.glob("*.seg"))
    music = sum(track.duration_seconds for track in tracks[:known])
    rows = [{"half": number + 1, **dataclasses.asdict(half)} for number, half in enumerate(halves)]
    print_table("questions", [{name: row[name] for name in row if name != "of_songs"} for row in rows])
    second = halves[1]
    return {
        "rows": rows,
        "songs": known,
        "music_minutes": round(music / 60, 1),
        "questions_a_second": round(sum(half.questions - half.unknown for half in halves) / music, 2),
        "saved": round(second.mean_saved if of else second.saved / max(1, second.questions - second.unknown), 3),
        "wrong": sum(half.wrong for half in halves),
        "oracle_wrong": sum(half.oracle_wrong for half in halves),
        "learned_minutes": round(minutes, 1),
        "kib_a_minute": round(size / 1024 / max(minutes, 1e-9), 1),
        "evidence_kib_a_minute": round(evidence / 1024 / max(minutes, 1e-9), 1),
        "cpu_ms_a_question": round(1_000 * cpu / questions),
    }


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench learned", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--corpus", type=Path, help="the folder of the recognition corpus")
    parser.add_argument("--music", type=Path, help="a folder of music")
    parser.add_argument("--tracks", type=int, default=25, help="a fifth of them is unknown to the provider")
    parser.add_argument("--seconds", type=float, default=60.0, help="how much of each track is played")
    parser.add_argument("--channels", type=int, default=300)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument(
        "--of", type=int, default=0, help="how many songs they stand for; --questions is then for each"
    )
    parser.add_argument("--density", type=float, default=0.4, help="questions for each second of music, with --of")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    tracks = _tracks(arguments, cast("int", arguments.tracks), cast("float", arguments.seconds))
    figures = asyncio.run(_measure(tracks, arguments, cast("int", arguments.questions)))
    for name, value in figures.items():
        if name != "rows":
            print(f"{name}: {value}")
    write_json(cast("Path | None", arguments.json), figures)
    return 0
