"""The notebook of unknowns: moments for which no song was found are searched for again when a catalog grows.

Only fingerprints are kept, no sound, and only the recognizer that costs nothing is asked. Each unknown is searched
for by one of the servers that share the database, one after the other, while no visitor waits. What is named is
the answer of its identification from then on, so set lists, overlays and clips have it.
"""

import asyncio
import contextlib
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from cachetools import LRUCache

from fingerprint.background import Background, passing
from fingerprint.catalog.query_print import MAX_PRINT_SECONDS, query_print
from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.identification import Identification, IdentificationId, Kind, Song, Status, song_key
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.job_ports import JobStore
from fingerprint.jobs.clean import clean_song
from fingerprint.ports import Clock, Match, PrintRecognizer
from fingerprint.tasks import cancel_and_wait
from server.channels.unknown_store import SoundPrint, Unknown, UnknownStore
from server.identifications.jobs import AnswerEnricher
from server.identifications.service import IdentificationHandle
from server.observability import Metrics

MAX_PIECES: Final = 5
"""How many fingerprints of a clip are kept: all of a minute."""

MAX_WAITING: Final = 8
"""How many sounds wait for their fingerprints; more are not kept."""

MAX_COUNTED: Final = 1_000
_SWEEP_SECONDS: Final = 3_600.0
_LEAST_SECONDS: Final = 3.0

_CLOCKS_DIFFER: Final = timedelta(seconds=60)
"""How far the clocks of servers that share a database may be apart."""

_MAX_KNOWN: Final = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownLimits:
    """Bounds of one server's work; times are in seconds. `days`: how long unknowns are kept; 0 keeps none."""

    days: int = 30
    poll_seconds: float = 5.0
    pause_seconds: float = 0.2
    """The wait between two searches, each of which takes about a tenth of a second of one core."""


async def search_unknowns(
    store: UnknownStore,
    recognizer: PrintRecognizer,
    jobs: JobStore,
    *,
    clock: Clock,
    wait: Callable[[], Awaitable[None]],
    forbidden: Callable[[Unknown], Awaitable[bool]],
    complete: AnswerEnricher,
    named: Callable[[Identification], Awaitable[None]],
) -> int:
    """Search for all unknowns that a catalog may have by now; returns how many were named.

    `wait`: called before each search. `forbidden`: whether nothing is to be known of it any more, such as of a
    blacklisted channel. `complete`: adds what answers have beside their songs, such as links. `named`: called with
    each answer that has a song now. Raises TwitchAudioError when the store or the catalog cannot be used.
    """
    count = 0
    generations = await recognizer.generations()
    for unknown_id in await store.due(generations) if generations else ():
        await wait()
        unknown = await store.take(unknown_id, generations, now=clock.now())
        if unknown is None:
            continue
        if await forbidden(unknown):
            await store.delete([unknown.id])
            continue
        try:
            songs = await _songs(recognizer, unknown)
        except ValueError:
            await store.delete([unknown.id])  # another version's fingerprint
            continue
        if not songs:
            await store.searched(unknown, generations)
            continue
        stored = await jobs.get(unknown.id)
        if stored is None or stored.status is not Status.NO_MATCH:
            await store.delete([unknown.id])
            continue
        answer = await complete(named_answer(stored, unknown, songs))
        await jobs.update_answer(answer)
        assert answer.song is not None, "it was just named"
        artists = ", ".join(answer.song.artists)
        await store.named(unknown, f"{artists} - {answer.song.title}", now=clock.now())
        await named(answer)
        count += 1
    return count


async def _songs(recognizer: PrintRecognizer, unknown: Unknown) -> Sequence[Match]:
    """The songs found, each once, in the order in which they are heard; positions are in all of the sound."""
    found: dict[object, Match] = {}
    for piece in unknown.pieces:
        for match in await recognizer.recognize_print(piece.fingerprint):
            song = replace(match.song, position_seconds=match.song.position_seconds + piece.start)
            found.setdefault(song_key(song), replace(match, song=song))
    return sorted(found.values(), key=lambda match: match.song.position_seconds)


def named_answer(stored: Identification, unknown: Unknown, matches: Sequence[Match]) -> Identification:
    """The answer with songs that were found in the sound of an unknown."""
    moment = stored.moment
    if moment is not None and moment.seconds is not None and unknown.captured_at and stored.captured_at:
        moved = (unknown.captured_at - stored.captured_at).total_seconds()
        moment = replace(moment, seconds=round(moment.seconds + moved, 3))
    first = (stored.captured_from_seconds or 0.0) if stored.kind is Kind.CLIP else 0.0
    songs: list[Song] = []
    for match in matches:
        at = round(match.song.position_seconds + first, 3)
        songs.append(clean_song(replace(match.song, position_seconds=at)))
    best = max(range(len(matches)), key=lambda number: (matches[number].score, -number))
    return replace(
        stored,
        status=Status.SUCCESSFUL,
        song=songs[best],
        songs=tuple(songs),
        score=matches[best].score,
        recognizer="catalog",
        captured_at=unknown.captured_at or stored.captured_at,
        captured_seconds=round(unknown.seconds, 3),
        moment=moment,
    )


def pieces_of(pcm: Pcm) -> Sequence[SoundPrint]:
    """The fingerprints of a sound, or of the first minute of it. CPU work, for a thread."""
    pieces: list[SoundPrint] = []
    start = 0.0
    while len(pieces) < MAX_PIECES and pcm.duration_seconds - start >= _LEAST_SECONDS:
        pieces.append(SoundPrint(start=start, fingerprint=query_print(pcm.cut(start, MAX_PRINT_SECONDS))))
        start += MAX_PRINT_SECONDS
    return pieces


class Unknowns:
    """This server's part of the notebook. An async context manager that owns its tasks.

    Without a `recognizer`, or with 0 days, nothing is kept, nor while the recognizer is not asked. `named` is
    called with each answer that has a song now, `named_elsewhere` if another process, such as another server or
    `catalog add`, has found it.
    """

    def __init__(
        self,
        store: UnknownStore,
        recognizer: PrintRecognizer | None,
        jobs: JobStore,
        *,
        clock: Clock,
        metrics: Metrics,
        is_busy: Callable[[], bool],
        is_asked: Callable[[], bool] = lambda: True,
        forbidden: Callable[[Unknown], Awaitable[bool]],
        complete: AnswerEnricher,
        named: Callable[[Identification], Awaitable[None]],
        named_elsewhere: Callable[[Identification], Awaitable[None]],
        limits: UnknownLimits,
        background: Background | None = None,
    ) -> None:
        self._store = store
        self._recognizer = recognizer if limits.days else None
        self._jobs = jobs
        self._clock = clock
        self._background = background or Background(clock)
        self._is_busy = is_busy
        self._is_asked = is_asked
        self._forbidden = forbidden
        self._complete = complete
        self._named = named
        self._named_elsewhere = named_elsewhere
        self._known: LRUCache[str, None] = LRUCache(_MAX_KNOWN)
        self._limits = limits
        self._sounds: deque[tuple[Identification, Recording]] = deque()
        self._asked: Counter[str] = Counter()
        self._searched: Mapping[str, int] = {}
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._count = metrics.counter(
            "twitchaudio_unknowns_total", "Moments without a song: kept, not kept, and named later.", "outcome"
        )

    async def __aenter__(self) -> Self:
        work = {"delete old unknowns": self._sweep}
        if self._recognizer is not None:
            work |= {"keep unknowns": self._keep, "search for unknowns": self._search}
        self._tasks = [self._background.start(name, each) for name, each in work.items()]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await cancel_and_wait(*self._tasks)

    def no_match(self, answer: Identification, recording: Recording) -> None:
        """Keep the fingerprint of a sound, as an `OnNoMatch` of the pipeline."""
        if self._recognizer is None or not self._is_asked():
            return
        if len(self._sounds) >= MAX_WAITING:
            self._count.add("dropped")
            return
        self._sounds.append((answer, recording))
        self._news.set()

    def asked(self, handle: IdentificationHandle) -> None:
        """Count a further question, if its answer has no song."""
        if self._recognizer is None:
            return
        if handle.progress is None:
            self._count_asked(handle.identification)
        elif handle.shared:
            handle.progress.ended.add_done_callback(self._ended)

    def _ended(self, future: "asyncio.Future[Identification | TwitchAudioError]") -> None:
        if not future.cancelled() and isinstance(answer := future.result(), Identification):
            self._count_asked(answer)

    def _count_asked(self, answer: Identification) -> None:
        if answer.status is not Status.NO_MATCH:
            return
        if answer.id in self._asked or len(self._asked) < MAX_COUNTED:
            self._asked[answer.id] += 1

    async def _keep(self) -> None:
        """Store what is told, a few seconds later at most, and learn what other processes name."""
        since = self._clock.now()
        while True:
            self._news.clear()
            while self._sounds:
                answer, recording = self._sounds.popleft()
                with passing(_log, "unknown_not_kept"):
                    await self._add(answer, recording)
            if self._asked:
                counted, self._asked = self._asked, Counter()
                with passing(_log, "unknowns_not_counted"):
                    await self._store.count_asked(counted)
            since = await self._follow(since)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.poll_seconds):
                    await self._news.wait()

    async def _add(self, answer: Identification, recording: Recording) -> None:
        pieces = await asyncio.to_thread(pieces_of, recording.pcm)
        if not pieces:
            return
        await self._store.add(
            answer,
            pieces,
            captured_at=recording.started_at,
            seconds=recording.pcm.duration_seconds,
            searched=self._searched,
            now=self._clock.now(),
        )
        self._count.add("kept")

    async def _search(self) -> None:
        assert self._recognizer is not None, "without it, this is not begun"
        done: Mapping[str, int] | None = None
        while True:
            with passing(_log, "unknowns_not_searched"):
                generations = await self._recognizer.generations()
                if generations != done and self._is_asked():
                    await search_unknowns(
                        self._store,
                        self._recognizer,
                        self._jobs,
                        clock=self._clock,
                        wait=self._wait,
                        forbidden=self._forbidden,
                        complete=self._complete,
                        named=self._on_named,
                    )
                    done = self._searched = generations
            jitter = random.uniform(0.8, 1.2)  # noqa: S311 - not for secrets
            await asyncio.sleep(self._limits.poll_seconds * jitter)

    async def _wait(self) -> None:
        """Leave the recognizers to visitors first."""
        await asyncio.sleep(self._limits.pause_seconds)
        while self._is_busy():  # noqa: ASYNC110 - jobs end elsewhere, and nothing is urgent here
            await asyncio.sleep(self._limits.poll_seconds)

    async def _follow(self, since: datetime) -> datetime:
        """Learn what other processes have named since about a moment; returns the newest that is known."""
        with passing(_log, "named_unknowns_not_read"):
            for named_at, name in reversed(await self._store.named_since(since - _CLOCKS_DIFFER)):
                since = max(since, named_at)
                if name not in self._known:
                    self._known[name] = None
                    answer = await self._jobs.get(IdentificationId(name))
                    if answer is not None and answer.song is not None:
                        await self._named_elsewhere(answer)
        return since

    async def _on_named(self, answer: Identification) -> None:
        self._known[answer.id] = None
        self._count.add("named")
        with passing(_log, "naming_not_told"):
            await self._named(answer)

    async def _sweep(self) -> None:
        while True:
            with passing(_log, "unknowns_not_deleted"):
                await self._store.delete_old(before=self._clock.now() - timedelta(days=self._limits.days))
            await self._clock.sleep(_SWEEP_SECONDS)
