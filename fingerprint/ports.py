"""The ports of the pipeline; those of jobs are in `job_ports`, adapters in other modules.

`fingerprint.wiring` puts them together. Each port defines its errors too: an adapter raises `TwitchAudioError`
(or a subclass) and nothing else that a caller should handle. What a caller must tell apart in normal work (held by
another, nothing found) is a value. All waits inside an adapter have a limit of their own.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from yarl import URL

from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.broadcasts import Broadcast
from fingerprint.domain.budgets import Budget, BudgetUsage, Counted, OverBudget
from fingerprint.domain.identification import Identification, Song, Stage
from fingerprint.domain.targets import Target

Q = TypeVar("Q")


class Clock(Protocol):
    """Time as a port, so that tests can move it by hand."""

    def now(self) -> datetime:
        """The wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for the given number of seconds."""
        ...


# --- From a target to sound ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSource:
    """The HLS media playlist of a live rendition. Addresses are signed, so they stay out of logs and repr.

    `alternatives`: the playlists of other renditions, in the order to try them when this one does not play.
    `cached`: it was found for an earlier question and may have ended since. `channel_id`: the broadcaster's id,
    where Twitch names it. `usher_way`: which way of asking usher it came from, so that another one can be tried
    first when none of its playlists plays. `broadcast`: what it is the live stream of, where Twitch names it.
    `at`: the earlier moment that is to be heard, `behind` how many seconds before the live edge that is, where it
    is known.
    """

    channel: str
    playlist: URL = field(repr=False)
    alternatives: tuple[URL, ...] = field(default=(), repr=False)
    cached: bool = False
    channel_id: str | None = None
    usher_way: int = 0
    broadcast: Broadcast | None = None
    at: datetime | None = None
    behind: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSource:
    """The HLS media playlist of a VOD's rendition, and the moment that is asked for.

    `alternatives`: the playlists of other renditions, in the order to try them when this one does not play.
    `usher_way`: as of a live source.
    `broadcast`: the one that it is the VOD of; None for highlights and uploads. `channel`: the login that its
    channel had then, where its address tells.
    """

    video_id: str
    playlist: URL = field(repr=False)
    at_seconds: float
    alternatives: tuple[URL, ...] = field(default=(), repr=False)
    usher_way: int = 0
    broadcast: Broadcast | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSource:
    """The address of a clip's media file; where Twitch tells it, also its channel and its place in a VOD.

    `video`: that VOD; `broadcast`: the one that it is of. `alternatives`: its other files, in the order to try.
    """

    url: URL = field(repr=False)
    alternatives: tuple[URL, ...] = field(default=(), repr=False)
    duration_seconds: float | None = None
    broadcast: Broadcast | None = None
    offset_seconds: float | None = None
    channel: str | None = None
    video: VideoSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """The path of a file on this machine, and how many seconds of it are heard; None for as many as possible."""

    path: Path
    max_seconds: float | None = None


MediaSource = LiveSource | VideoSource | ClipSource | FileSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcaster:
    """The channel that something was broadcast on. The id stays the same when the login changes."""

    id: str
    login: str


class ClipOwners(Protocol):
    """Finds out whose channel a clip or a video is from."""

    async def broadcaster(self, slug: str) -> Broadcaster | None:
        """The broadcaster of a clip; None when there is no such clip, or none is named.

        Raises TwitchAudioError: `upstream-unavailable`, `timeout`.
        """
        ...

    async def video_owner(self, video_id: str) -> Broadcaster | None:
        """The channel that a video is from; None when there is no such video, or none is named.

        Raises as `broadcaster` does.
        """
        ...


class ChannelDirectory(Protocol):
    """Finds channels by login or by id. No Twitch application is needed for it."""

    async def by_login(self, login: str) -> Broadcaster | None:
        """The channel that has a login now; None when no account has it. Raises as `ClipOwners` does."""
        ...

    async def by_id(self, channel_id: str) -> Broadcaster | None:
        """The channel with an id, under its login of now; None when it is gone. Raises as `ClipOwners` does."""
        ...


class MediaResolver(Protocol):
    """Finds where a target's sound can be fetched."""

    async def resolve(self, target: Target) -> MediaSource:
        """The source to capture from.

        Raises TwitchAudioError: `channel-not-found`, `not-live`, `clip-not-found`, `video-not-found`,
        `restricted-stream`, `upstream-unavailable`, `timeout`; for files `not-found`.
        """
        ...

    async def recording(self, source: LiveSource) -> VideoSource | None:
        """The VOD that is being made of a live broadcast, from its start; None when there is none.

        Raises TwitchAudioError: `restricted-stream`, `upstream-unavailable`, `timeout`.
        """
        ...


Listing = asyncio.Task[Any]
"""A live source's playlist that is being fetched; only the capture that began it knows what it is."""


class Capture(Protocol):
    """Captures sound from a source."""

    def takes(
        self, source: MediaSource, seconds: float, listing: Listing | None = None
    ) -> AsyncGenerator[Recording]:
        """Pieces of sound to recognize, one by one, for as long as the caller wants more. Close the generator.

        `listing`: what `list_ahead` has returned for the source.

        The first take is the newest `seconds` of a live source, `seconds` around a video's moment, all of a clip
        or a file. It uses sound that is already available and waits for more only when that is too short; it may
        be shorter than asked for, but never less than 3 s of a live stream. The further takes, of live streams
        only, are at most 12 s long: what was played before, then, within a bound, what is played next. Silent
        takes are skipped.

        Raises TwitchAudioError before the first take: `ad-break`, `no-audio`, `not-live`, `upstream-unavailable`,
        `timeout`, `internal` when the decoder died twice on the same input; `moment-gone` when a live source is to
        be heard `at` a moment that its playlist does not have (any more). A further take that cannot be
        captured raises nothing; there are fewer.
        """
        ...

    def list_ahead(self, source: LiveSource) -> Listing | None:
        """Begin to fetch the playlist that the first take of a live source needs.

        The caller ends the task where nothing has awaited it.
        """
        ...

    async def live_edge(self, source: LiveSource) -> datetime | None:
        """When the newest sound that a live source lists ends, by its own dates.

        None where it has no dates or has ended, and where it cannot be had. Raises nothing.
        """
        ...

    async def is_continuous(self, source: VideoSource | ClipSource) -> bool:
        """Whether a VOD's playlist shows that its seconds are those of its broadcast, up to the moment or clip.

        They are not after a pause: the VOD goes on where it was, and the broadcast does not. False also where the
        playlist cannot be had, or does not reach so far yet. Raises nothing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoundPart:
    """A part of a whole recording, `seconds` long; 0 at its end. `pcm` is None where it has no sound.

    `muted`: Twitch removed its sound, because of the rights to the music.
    """

    pcm: Pcm | None = None
    seconds: float
    muted: bool = False


class WholeSound(Protocol):
    """The sound of a whole VOD or file, from which parts are taken, mostly one after the other."""

    @property
    def duration_seconds(self) -> float | None:
        """The length of the recording; None while it is unknown."""
        ...

    @property
    def continuous(self) -> bool:
        """Whether its seconds are those of the broadcast that it is of; false when that has paused."""
        ...

    @property
    def growing(self) -> bool:
        """Whether more is being recorded than `duration_seconds` tells."""
        ...

    async def part(self, start: float, seconds: float) -> SoundPart:
        """The part from `start` on; shorter where the sound ends or Twitch muted what follows.

        Where there is none, the part is as long as the sound is missing. What lies more than half a minute before
        the newest part may be missing, too. Raises TwitchAudioError when nothing further can be had.
        """
        ...


class WholeCapture(Protocol):
    """Opens whole recordings."""

    def whole(self, source: MediaSource) -> AbstractAsyncContextManager[WholeSound]:
        """The sound of a VOD or a file, as long as the block lasts. Raises as `Capture.takes` does."""
        ...


OnOutcome = Callable[[str, str], None]
"""Called with the step and the outcome of each upstream call, for the operator's metrics: both are fixed words.

Steps `gql`, `usher`, `playlist`, `segment`, `prefetch`, `clip`: `2xx` to `5xx`, `timeout`, `no-answer` (the
network failed), `refused-here` (a host that is not listed, too many bytes), `circuit-open` (the host keeps
failing), `rate-limited` (the host wants a pause that is longer than the job), `repeated`.
Steps `gql-answer` and `usher-answer`: what the answers said; `ok`, `partial`, or the kind of failure.
"""


def ignore_outcome(_step: str, _outcome: str) -> None:
    """An `OnOutcome` that counts nothing."""


OnUnknown = Callable[[str, str], None]
"""Called with the kind (`date-range-class`, `title`, `tag`, `box`, `host`) and the value of something that Twitch
was not known to send. Values are short, plain and few, also when Twitch's are not.
"""


def ignore_unknown(_kind: str, _value: str) -> None:
    """An `OnUnknown` that counts nothing."""


# --- From sound to songs ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A recognizer's answer: a song and how sure the recognizer is, 0..1, on its own scale."""

    song: Song
    score: float


class Recognizer(Protocol[Q]):
    """Names the songs in a recording. A new one is a file in `recognizers/` and a line in its registry."""

    @property
    def name(self) -> str:
        """The name used in settings, answers and logs."""
        ...

    async def unavailable_reason(self) -> str | None:
        """None when the recognizer can answer; otherwise a sentence on what is missing. Fast."""
        ...

    def prepare(self, recording: Recording) -> Q:
        """What `recognize` needs of the recording: a fingerprint. CPU work, called in a thread."""
        ...

    async def recognize(self, query: Q) -> Sequence[Match]:
        """The songs found, best first, one per song; empty when there is no match.

        Raises TwitchAudioError: `recognizer-unavailable`, `no-audio`, `timeout`.
        """
        ...


class PrintRecognizer(Protocol):
    """Names songs by the fingerprints of sounds that were heard before; it costs nothing."""

    async def recognize_print(self, fingerprint: bytes) -> Sequence[Match]:
        """The songs found, best first, as `Recognizer.recognize` gives them; only sure ones.

        Raises TwitchAudioError as that does; ValueError for a fingerprint that cannot be read.
        """
        ...

    async def generations(self) -> Mapping[str, int]:
        """A number for each catalog, by the catalog's identity, that grows with each change of it. Fast."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedMatch:
    """A learned song that a fingerprint was found in: its key, and how far into it the fingerprint begins."""

    key: str
    song: Song
    offset_seconds: float


class LearnedCatalog(Protocol):
    """Finds what was learned by the fingerprint of a sound."""

    async def find_print(self, fingerprint: bytes) -> Sequence[LearnedMatch]:
        """The learned songs found; only sure ones. Raises as `PrintRecognizer.recognize_print` does."""
        ...


OnNoMatch = Callable[[Identification, Recording], None]
"""Called with an identification for which no song was found, and its first sound. It must not block or raise."""

OnMatch = Callable[[Identification, Recording], None]
"""Called with an identification that has a song, and the sound that has it. It must not block or raise."""

OnStage = Callable[[Stage], None]
"""Called with each stage that a job reaches."""


def ignore_stage(_stage: Stage) -> None:
    """An `OnStage` that does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """The recognizers' answer: matches, best first (empty: no match), the recognizer's name, and times."""

    matches: Sequence[Match]
    recognizer: str | None
    fingerprint_ms: float
    recognize_ms: float


class Recognizers(Protocol):
    """All configured recognizers behind one interface."""

    async def unavailable_reason(self) -> str | None:
        """None when at least one can answer; otherwise what is missing, for the user who asks."""
        ...

    async def identify(self, recording: Recording, on_stage: OnStage) -> Recognition:
        """Ask in order until one finds a song. Reports `fingerprinting` and `recognizing`.

        Raises TwitchAudioError `recognizer-unavailable` when none could answer.
        """
        ...


class Usage(Protocol):
    """Counts the questions that providers were asked, for all servers together.

    A store that cannot be reached raises TwitchAudioError `busy`.
    """

    async def spend(self, provider: str, budgets: Sequence[Budget], now: datetime) -> Counted | OverBudget:
        """Count one question in the day and in the month, or in neither when a budget is used up. Atomic."""
        ...

    async def spending(self, provider: str, budgets: Sequence[Budget], now: datetime) -> Sequence[BudgetUsage]:
        """How many questions were asked in the current day and month."""
        ...


# --- Jobs ---------------------------------------------------------------------------------------------
