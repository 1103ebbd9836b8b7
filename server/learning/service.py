"""Learns songs from providers' answers, so that no answer is paid for twice.

Only fingerprints are kept, no sound. This server takes part in the evidence that all servers share in SQL, and
makes the catalog in its own data folder of it, which the recognizer `learned` searches. Nothing here delays an
answer: what is told waits in a short queue, and is dropped where that is full.
"""

import asyncio
import contextlib
import logging
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, Self

from fingerprint.background import Background, passing
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.learning import MAX_SONG_SECONDS, CaptureOrigin, LearnedSong, SongCapture, learn
from fingerprint.catalog.problems import CatalogBusyError, CatalogError
from fingerprint.catalog.query_print import MAX_PRINT_SECONDS, query_print
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tracks import Source, TrackEntry
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.audio import Recording
from fingerprint.domain.budgets import BudgetUsage
from fingerprint.domain.identification import PROBABLE, Identification, Kind, Song
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock, LearnedCatalog, Usage
from fingerprint.providers.agreement import same_song
from fingerprint.providers.parts import split_recording
from fingerprint.recognizers.learned import NAME, PATH
from fingerprint.tasks import cancel_and_wait, wait_until_woken
from server.learning.store import KnownSong, LearnedStore, NewCapture, State, learned_key
from server.observability import Metrics

LEAST_SECONDS: Final = 3.0
"""The shortest capture that is kept."""

MAX_WAITING: Final = 8
"""How many answers wait to be learned from; more are dropped."""

MAX_SONGS_OF_AN_ANSWER: Final = 10
SONGS_AT_ONCE: Final = 32
"""How many songs are written to the catalog together."""

_SWEEP_SECONDS: Final = 3_600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningLimits:
    """Bounds of one server's work. `days`: how long captures are kept. `poll_seconds`: how often it is looked
    whether another server has learned something.
    """

    days: int = 180
    poll_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """How many questions to providers the learned catalog has spared, by period, and what one of them costs."""

    usage: Sequence[BudgetUsage]
    price: Decimal | None
    songs: int
    captures: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardSong:
    """A song of an answer, and where its sound is in the recording: from `start`, `seconds` long."""

    song: Song
    start: float
    seconds: float


def songs_to_learn(answer: Identification, recording: Recording) -> list[HeardSong]:
    """The songs of a provider's answer that say where they are heard, and in what part of the sound that is."""
    if answer.score is None or answer.score <= PROBABLE:
        return []
    first = (recording.from_seconds or 0.0) if answer.kind is Kind.CLIP else 0.0
    songs = sorted(answer.songs, key=lambda song: song.position_seconds)[:MAX_SONGS_OF_AN_ANSWER]
    starts = [song.position_seconds - first for song in songs]
    found: list[HeardSong] = []
    for song, start, end in zip(songs, starts, [*starts[1:], recording.pcm.duration_seconds], strict=True):
        seconds = min(MAX_PRINT_SECONDS, end - start, recording.pcm.duration_seconds - start)
        offset = song.offset_seconds
        if start >= 0 and seconds >= LEAST_SECONDS and offset is not None and offset <= MAX_SONG_SECONDS:
            found.append(HeardSong(song=song, start=start, seconds=seconds))
    return found


def origin_of(answer: Identification, recording: Recording, heard: HeardSong) -> CaptureOrigin:
    """Where a song was heard, and when it began there."""
    began = None
    if recording.started_at is not None and heard.song.offset_seconds is not None:
        began = recording.started_at.timestamp() + heard.start - heard.song.offset_seconds
    return CaptureOrigin(
        channel=answer.target if answer.kind is Kind.STREAM else answer.channel,
        channel_id=answer.channel_id,
        song_began=began,
    )


class LearnedFolder:
    """The learned catalog in a folder. It follows from the evidence, and is made again when it is lost. Blocks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def versions(self) -> tuple[dict[str, tuple[int, str]], set[str]]:
        """The version and the track's id of each song, by key, and the ids of older tracks of the same songs.

        What cannot be read is deleted.
        """
        try:
            entries = list(Catalog(self._directory).snapshot().entries())
        except CatalogError as error:
            _log.warning("learned_catalog_made_again", extra={"detail": error.detail})
            shutil.rmtree(self._directory, ignore_errors=True)
            return {}, set()
        found: dict[str, tuple[int, str]] = {}
        older: set[str] = set()
        listed = [(entry.sources[0].path.removeprefix(PATH), entry.sources[0].size, entry.id) for entry in entries]
        for key, version, track_id in sorted(listed, reverse=True):
            if key in found:
                older.add(track_id)  # two processes wrote it at the same time
            else:
                found[key] = (version, track_id)
        return found, older

    def replace(self, songs: Mapping[str, tuple[KnownSong, LearnedSong]], gone: Collection[str]) -> None:
        """Write songs, and remove the tracks with some ids. Raises CatalogError."""
        tracks = [
            (_entry(key, known, learned.fingerprint.track_id), learned.fingerprint)
            for key, (known, learned) in songs.items()
            if learned.fingerprint is not None
        ]
        if tracks or gone:
            with CatalogWriter(self._directory) as writer:
                writer.add(tracks, replacing=gone)

    def tracks(self) -> int:
        """How many songs it has."""
        try:
            return len(Catalog(self._directory).snapshot())
        except CatalogError:
            return 0


def _entry(key: str, known: KnownSong, track_id: str) -> TrackEntry:
    tags = Tags(title=known.song.title, **known.song.metadata)
    source = Source(path=f"{PATH}{key}", size=known.version, tags=tags)
    return TrackEntry(id=track_id, duration_seconds=known.song.duration_seconds or 0.0, sources=(source,))


class Learner:
    """This server's part in learning. An async context manager that owns its tasks.

    `recognizer`: finds what was learned; without it, nothing is learned, and what is left of before is deleted
    when it is old. `paid`: the recognizers that cost something and are asked now, in their order.
    `clip_parts`: how many parts of a clip they are asked about.
    """

    def __init__(
        self,
        store: LearnedStore,
        recognizer: LearnedCatalog | None,
        folder: LearnedFolder,
        *,
        clock: Clock,
        metrics: Metrics,
        usage: Usage,
        paid: Callable[[], Sequence[str]],
        prices: Mapping[str, Decimal],
        clip_parts: int,
        limits: LearningLimits,
        background: Background | None = None,
    ) -> None:
        self._store = store
        self._recognizer = recognizer
        self._folder = folder
        self._clock = clock
        self._background = background or Background(clock)
        self._usage = usage
        self._paid = paid
        self._prices = prices
        self._clip_parts = clip_parts
        self._limits = limits
        self._answers: deque[tuple[Identification, Recording]] = deque()
        self._saved = 0
        self._done: State | None = None
        self._barren: dict[str, int] = {}
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._count = metrics.counter(
            "twitchaudio_learned_total",
            "Captures that a provider named: kept, dropped, contradicted, forgotten; and questions saved.",
            "outcome",
        )

    async def __aenter__(self) -> Self:
        work: dict[str, Callable[[], Awaitable[None]]] = {}
        if self._recognizer is not None:
            work = {"learn": self._work, "delete old captures": self._sweep}
        elif await self._has_captures():
            work = {"delete old captures": self._sweep}
        self._tasks = [self._background.start(name, each) for name, each in work.items()]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await cancel_and_wait(*self._tasks)

    @property
    def on(self) -> bool:
        """Whether songs are learned here."""
        return self._recognizer is not None

    def heard(self, answer: Identification, recording: Recording) -> None:
        """Learn from an answer, or count what it saved, as an `OnMatch` of the pipeline."""
        if self._recognizer is None:
            return
        if answer.recognizer == NAME:
            if self._paid():
                self._saved += len(split_recording(recording, self._clip_parts))
                self._news.set()
        elif answer.recognizer in self._paid() and songs_to_learn(answer, recording):
            if len(self._answers) >= MAX_WAITING:
                self._count.add("dropped")
                return
            self._answers.append((answer, recording))
            self._news.set()

    async def reported(self, answer: Identification) -> None:
        """Forget what was learned from an answer that a listener reported as wrong, or what it was answered by.

        Raises TwitchAudioError `busy`.
        """
        now = self._clock.now()
        if answer.recognizer == NAME:
            keys = {learned_key(song) for song in (answer.song, *answer.songs) if song is not None}
            count = await self._store.forget_songs(keys, now=now)
        else:
            count = await self._store.forget_answers([answer.id], now=now)
        self._count.add("forgotten", amount=count)
        self._news.set()

    async def savings(self) -> Savings | None:
        """What was saved, and what is kept; None where nothing is learned. Raises TwitchAudioError `busy`."""
        if self._recognizer is None:
            return None
        paid = self._paid()
        captures, size = await self._store.size()
        return Savings(
            usage=await self._usage.spending(NAME, (), self._clock.now()),
            price=self._prices.get(paid[0]) if paid else None,
            songs=await asyncio.to_thread(self._folder.tracks),
            captures=captures,
            size_bytes=size,
        )

    async def catch_up(self) -> None:
        """Learn what was told, and make the catalog what all servers' evidence proves."""
        while self._answers:
            answer, recording = self._answers.popleft()
            with _passing("answer_not_learned"):
                await self._learn(answer, recording)
        with _passing("savings_not_counted"):
            await self._count_saved()
        with _passing("learned_catalog_not_followed"):
            await self._follow()

    async def _work(self) -> None:
        while True:
            self._news.clear()
            await self.catch_up()
            await wait_until_woken(self._news, self._limits.poll_seconds)

    async def _count_saved(self) -> None:
        while self._saved:
            await self._usage.spend(NAME, (), self._clock.now())
            self._saved -= 1
            self._count.add("saved")

    async def _learn(self, answer: Identification, recording: Recording) -> None:
        assert self._recognizer is not None, "without it, this is not begun"
        for number, heard in enumerate(songs_to_learn(answer, recording)):
            origin = origin_of(answer, recording, heard)
            if origin.channel is None and origin.channel_id is None:
                continue
            fingerprint = await asyncio.to_thread(query_print, recording.pcm.cut(heard.start, heard.seconds))
            if await self._contradicts(heard, fingerprint):
                continue
            capture = SongCapture(
                fingerprint=fingerprint, offset_seconds=heard.song.offset_seconds or 0.0, origin=origin
            )
            new = NewCapture(
                identification_id=answer.id,
                number=number,
                kind=answer.kind,
                target=answer.target,
                song=heard.song,
                capture=capture,
                seconds=heard.seconds,
            )
            await self._store.add(new, now=self._clock.now())
            self._count.add("kept")

    async def _contradicts(self, heard: HeardSong, fingerprint: bytes) -> bool:
        """Whether this sound was learned as another song before; then both are in doubt, and neither is kept."""
        assert self._recognizer is not None, "as above"
        key = learned_key(heard.song)
        found = [
            match
            for match in await self._recognizer.find_print(fingerprint)
            if match.key != key and not same_song(match.song, heard.song)
        ]
        for match in found:
            last = match.offset_seconds + heard.seconds
            now = self._clock.now()
            count = await self._store.forget_stretch(match.key, match.offset_seconds, last, now=now)
            self._count.add("contradicted", amount=count)
            _log.info("learned_songs_contradict", extra={"songs": [match.key, key], "captures": count})
        return bool(found)

    async def _follow(self) -> None:
        """Write the songs whose captures have changed since the last time, and remove those without any."""
        state = await self._store.state()
        if state == self._done:
            return
        wanted = await self._store.candidates()
        have, gone = await asyncio.to_thread(self._folder.versions)
        self._barren = {key: version for key, version in self._barren.items() if key in wanted}
        changed = [
            key
            for key, version in wanted.items()
            if have.get(key, (0, ""))[0] != version and self._barren.get(key) != version
        ]
        gone |= {track_id for key, (_, track_id) in have.items() if key not in wanted}
        for first in range(0, max(1, len(changed)), SONGS_AT_ONCE):
            learned: dict[str, tuple[KnownSong, LearnedSong]] = {}
            for key in changed[first : first + SONGS_AT_ONCE]:
                known = await self._store.song(key)
                if known is None:
                    continue
                song = await asyncio.to_thread(learn_readable, known.captures)
                if song.fingerprint is None:
                    self._barren[key] = known.version
                else:
                    learned[key] = (known, song)
                if key in have:
                    gone.add(have[key][1])
            await asyncio.to_thread(self._folder.replace, learned, gone)
            gone = set[str]()
        self._done = state

    async def _has_captures(self) -> bool:
        """Whether something is left from when songs were learned."""
        try:
            return (await self._store.size())[0] > 0
        except TwitchAudioError:
            return True

    async def _sweep(self) -> None:
        while True:
            with _passing("captures_not_deleted"):
                now = self._clock.now()
                await self._store.delete_old(before=now - timedelta(days=self._limits.days), now=now)
                self._news.set()
            await self._clock.sleep(_SWEEP_SECONDS)


def learn_readable(captures: Sequence[SongCapture]) -> LearnedSong:
    """What captures prove, without those whose fingerprints another version made."""
    return learn([capture for capture in captures if _is_readable(capture)])


def _is_readable(capture: SongCapture) -> bool:
    try:
        return capture.peaks[0] > 0
    except ValueError:
        return False


@contextlib.contextmanager
def _passing(event: str) -> Generator[None]:
    # Another process of this machine may write the same catalog.
    with passing(_log, event), contextlib.suppress(CatalogBusyError):
        yield
