"""Listens to a whole VOD or file, and makes its tracklist. Depends on ports only.

The sound is taken in blocks, one after the other, and each is asked about by itself. What the time line of the
broadcast knows already is not listened to again. Where a song is found for the first time, the sound before it
tells where it began.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from fingerprint.domain.audio import PART, Pcm, Recording
from fingerprint.domain.broadcasts import Broadcast, video_place
from fingerprint.domain.identification import Heard
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.targets import FileTarget, VideoTarget
from fingerprint.domain.text import clock_text
from fingerprint.domain.time_line import TimeLine, speed_of
from fingerprint.domain.tracklist import HeardPiece, Tracklist
from fingerprint.job_ports import HeardBefore
from fingerprint.ports import (
    Match,
    MediaResolver,
    Recognition,
    Recognizers,
    VideoSource,
    WholeCapture,
    WholeSound,
    ignore_stage,
)
from fingerprint.song_starts import BLOCK_SECONDS, LEAST_SECONDS, NEAR_SECONDS, SongStarts, song_began

SPEED_EVERY: Final = 4
"""Of the blocks without a match, every so many are also tried at other speeds."""

PAID_EVERY_SECONDS: Final = 60.0
"""How often providers are asked about music that the free recognizers do not know."""

KNOWN_SECONDS: Final = 600.0
"""How much of the time line is read at once."""

RESOLVE_SECONDS: Final = 30.0
"""The time limit for finding where the sound of a VOD is."""

_SILENCE_PEAK: Final = 1e-4
_OTHER_SPEED: Final = 0.005


@dataclass(slots=True)
class _KnownSpans:
    """What the time line of the VOD's broadcast knows, read some minutes at a time."""

    heard_before: HeardBefore
    broadcast: Broadcast
    _from: float = 0.0
    _to: float = -1.0
    _line: TimeLine = field(default_factory=lambda: TimeLine(()))

    async def piece(self, start: float, seconds: float) -> HeardPiece | None:
        """The song that was surely heard in all of a part."""
        if not self._from <= start or start + seconds > self._to:
            self._from, self._to = start, start + KNOWN_SECONDS
            self._line = TimeLine(
                await self.heard_before.spans(
                    self.broadcast.id, self._from - KNOWN_SECONDS, self._to + KNOWN_SECONDS
                )
            )
        span = self._line.answer(video_place(self.broadcast, start, seconds))
        if span is None or span.song is None:
            return None
        song = replace(span.song, position_seconds=start)
        return HeardPiece(
            start=start,
            end=start + seconds,
            song=song,
            score=span.score or 0.0,
            recognizer=span.recognizer,
            began=song_began(song, start, earliest=start - NEAR_SECONDS),
            live=span.heard in (Heard.NOW, Heard.LIVE),
        )


class WholeListener:
    """Listens to whole recordings. `free` recognizers are asked about all of it.

    `paid` ones, if there are any, are asked now and then about music that the free ones do not know, at most
    `max_questions` times for a recording.
    """

    def __init__(self, free: Recognizers, *, paid: Recognizers | None = None, max_questions: int = 0) -> None:
        self._free = free
        self._starts = SongStarts(free)
        self._paid = paid
        self._max_questions = max_questions

    async def unavailable_reason(self) -> str | None:
        """None when a recognizer can answer; otherwise what is missing and how to add it."""
        missing = await self._free.unavailable_reason()
        if missing is None or self._paid is None or not self._max_questions:
            return missing
        return await self._paid.unavailable_reason()

    async def listen(
        self,
        sound: WholeSound,
        so_far: Tracklist | None = None,
        *,
        heard_before: HeardBefore | None = None,
        broadcast: Broadcast | None = None,
    ) -> AsyncGenerator[Tracklist]:
        """The tracklist after each block, the last one when the recording ends. Close the generator.

        It goes on where `so_far` ends. `heard_before` has the time line of the VOD's `broadcast`. Raises
        TwitchAudioError: `recognizer-unavailable`, and what taking the sound raises.
        """
        found = so_far or Tracklist()
        known = (
            _KnownSpans(heard_before, broadcast) if heard_before is not None and broadcast is not None else None
        )
        run = _Run()
        while True:
            duration = sound.duration_seconds
            if duration is not None and found.position >= duration - 1e-3:
                break
            start = found.position
            seconds = BLOCK_SECONDS if duration is None else min(BLOCK_SECONDS, duration - start)
            piece = None if known is None else await known.piece(start, seconds)
            if piece is not None:
                found = replace(found.after(start + seconds, [piece]), duration=duration)
                run.unmatched = 0
                yield found
                continue
            part = await sound.part(start, seconds)
            if part.seconds <= 0.0:
                break
            if part.pcm is None:
                # Only as far as one question reaches, since the time line may know what comes then.
                until = start + min(part.seconds, seconds if known is not None else part.seconds)
                found = replace(found.without_sound(until, muted=part.muted), duration=duration)
                yield found
                continue
            found = replace(
                await self._after_block(sound, found, part.pcm, start + part.seconds, run), duration=duration
            )
            yield found
        yield replace(found, position=sound.duration_seconds or found.position, duration=sound.duration_seconds)

    async def _after_block(
        self, sound: WholeSound, found: Tracklist, pcm: Pcm, end: float, run: "_Run"
    ) -> Tracklist:
        """The tracklist after one block of sound, which ends at `end`."""
        start = found.position
        if pcm.duration_seconds < LEAST_SECONDS or float(np.abs(pcm.samples).max()) < _SILENCE_PEAK:
            return found.after(end)
        recognition = await self._free.identify(Recording(pcm=pcm, take=run.take()), ignore_stage)
        asked = 0
        matches = recognition.matches
        if (
            not matches
            and self._paid is not None
            and found.questions < self._max_questions
            and run.worth_paying(end)
        ):
            recognition, asked = await self._ask_paid(self._paid, pcm), 1
            matches = recognition.matches
        run.note(matches)
        ordered = sorted(matches, key=lambda match: match.song.position_seconds)
        pieces: list[HeardPiece] = []
        for number, match in enumerate(ordered):
            after = ordered[number + 1].song.position_seconds if number + 1 < len(ordered) else None
            at = start + match.song.position_seconds
            piece = HeardPiece(
                start=at,
                end=end if after is None else max(at, start + after),
                song=replace(match.song, position_seconds=at),
                score=match.score,
                recognizer=recognition.recognizer,
            )
            if not any(entry.goes_on(piece) for entry in found.entries[-4:]):
                piece = replace(piece, began=await self._starts.of(sound, found, piece))
            pieces.append(piece)
        return found.after(end, pieces, captured_seconds=pcm.duration_seconds, questions=asked)

    async def _ask_paid(self, paid: Recognizers, pcm: Pcm) -> Recognition:
        """What the providers say; nothing when they cannot answer, or their budget is used up."""
        try:
            return await paid.identify(Recording(pcm=pcm), ignore_stage)
        except TwitchAudioError as error:
            if error.code not in (ProblemCode.RECOGNIZER_UNAVAILABLE, ProblemCode.NO_AUDIO, ProblemCode.TIMEOUT):
                raise
            return Recognition(matches=(), recognizer=None, fingerprint_ms=0.0, recognize_ms=0.0)


class WholeRecordings:
    """Makes the tracklists of VODs and files: finds their sound, and listens to all of it."""

    def __init__(self, *, resolver: MediaResolver, capture: WholeCapture, listener: WholeListener) -> None:
        self._resolver = resolver
        self._capture = capture
        self._listener = listener

    async def unavailable_reason(self) -> str | None:
        """None when a recognizer can answer; otherwise what is missing and how to add it."""
        return await self._listener.unavailable_reason()

    async def listen(
        self,
        target: VideoTarget | FileTarget,
        so_far: Tracklist | None = None,
        *,
        heard_before: HeardBefore | None = None,
        max_seconds: float | None = None,
    ) -> AsyncGenerator[Tracklist]:
        """The tracklist of a recording as it grows, as `WholeListener.listen` gives it. Close the generator.

        The first one tells the recording's length, where it is known, before anything was listened to.
        Raises TwitchAudioError, also those of the ports `MediaResolver` and `WholeCapture`; `invalid-input` for a
        recording that is longer than `max_seconds`.
        """
        async with asyncio.timeout(RESOLVE_SECONDS):
            source = await self._resolver.resolve(target)
        async with self._capture.whole(source) as sound:
            broadcast = source.broadcast if isinstance(source, VideoSource) and sound.continuous else None
            seconds = sound.duration_seconds
            if seconds is not None and max_seconds is not None and seconds > max_seconds:
                most = clock_text(max_seconds)
                raise invalid_input(f"This recording is {clock_text(seconds)} long; the longest is {most}.")
            so_far = replace(
                so_far or Tracklist(),
                duration=seconds,
                broadcast=None if broadcast is None else broadcast.id,
                channel=source.channel if isinstance(source, VideoSource) else None,
                growing=sound.growing,
            )
            yield so_far
            grown = self._listener.listen(sound, so_far, heard_before=heard_before, broadcast=broadcast)
            async with aclosing(grown):
                async for found in grown:
                    yield found


@dataclass(slots=True)
class _Run:
    """How the latest blocks went."""

    unmatched: int = 0
    other_speed: bool = False
    paid_until: float = 0.0

    def take(self) -> int:
        """How thoroughly the next block is searched: at other speeds as well, or not."""
        thorough = self.other_speed or (self.unmatched > 0 and self.unmatched % SPEED_EVERY == 1)
        return 2 if thorough else PART

    def note(self, matches: Sequence[Match]) -> None:
        """Note what was found in a block."""
        if not matches:
            self.unmatched += 1
            self.other_speed = self.other_speed and self.unmatched < SPEED_EVERY
            return
        self.unmatched = 0
        self.other_speed = any(abs(speed_of(match.song) - 1.0) > _OTHER_SPEED for match in matches)

    def worth_paying(self, end: float) -> bool:
        """Whether a provider is asked about a block without a match; one alone may be a moment of talk."""
        if self.unmatched < 1 or end < self.paid_until:
            return False
        self.paid_until = end + PAID_EVERY_SECONDS
        return True
