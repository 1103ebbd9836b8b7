"""Captures recordings from a source: the `Capture` port."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from yarl import URL

from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.hls.attributes import later
from fingerprint.hls.timing import duration_ratio
from fingerprint.media.clip_body import CONTAINER, ClipBody, DescriptionLastError
from fingerprint.media.containers import clock_wrap
from fingerprint.media.decoder import MAX_FILE_SECONDS
from fingerprint.media.fetch import STALL_SECONDS, Fetched, Fetcher, TooLongError, too_slow_to_go_on
from fingerprint.media.joined import Joined
from fingerprint.media.joined_sound import Decoder
from fingerprint.media.late_clips import (
    CLIP_HEADERS,
    MAX_CLIP_BYTES,
    STEP,
    ClipTooLongError,
    fetch_late_sound,
)
from fingerprint.media.live import HearAhead, LiveCapture, StreamSources, another_may_play
from fingerprint.media.pcm import Decoded, no_audio
from fingerprint.media.placing import placed_clip, placed_file
from fingerprint.media.refusals import permanent_refusal
from fingerprint.media.video import VideoCapture
from fingerprint.media.whole import open_whole_file, open_whole_video
from fingerprint.ports import (
    ClipSource,
    Clock,
    FileSource,
    Listing,
    LiveSource,
    MediaSource,
    VideoSource,
    WholeSound,
)

MAX_CLIP_SECONDS: Final = 90.0
_CLIP_LIMIT_SECONDS: Final = 20.0
_SILENCE_PEAK: Final = 1e-4


class StreamCapture:
    """Captures sound that is already available. `sources` replaces sources that do not play (any more).

    `hear_ahead` makes listeners that are fed with the first takes of live streams while these are decoded.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        decoder: Decoder,
        clock: Clock,
        *,
        sources: StreamSources | None = None,
        hear_ahead: HearAhead | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._live = LiveCapture(fetcher, decoder, clock, sources, hear_ahead)
        self._video = VideoCapture(fetcher, decoder, sources)

    async def takes(
        self, source: MediaSource, seconds: float, listing: Listing | None = None
    ) -> AsyncGenerator[Recording]:
        match source:
            case LiveSource():
                async with aclosing(self._live_takes(source, seconds, listing)) as recordings:
                    async for recording in recordings:
                        yield recording
            case VideoSource():
                yield _audible(await self._video.recording(source, seconds))
            case ClipSource():
                yield await self._clip(source)
            case FileSource(path=path, max_seconds=max_seconds):
                yield await self._file(path, max_seconds or MAX_FILE_SECONDS)

    def list_ahead(self, source: LiveSource) -> Listing | None:
        """Begin to fetch the playlist of a live source: part of the `Capture` port."""
        return asyncio.create_task(self._live.playlist(source))

    async def live_edge(self, source: LiveSource) -> datetime | None:
        """When the newest sound of a live source ends: part of the `Capture` port."""
        return await self._live.edge(source)

    async def is_continuous(self, source: VideoSource | ClipSource) -> bool:
        """Whether a VOD's seconds are those of its broadcast: part of the `Capture` port."""
        return await self._video.is_continuous(source)

    @asynccontextmanager
    async def whole(self, source: MediaSource) -> AsyncGenerator[WholeSound]:
        """The sound of a whole VOD or file: the `WholeCapture` port."""
        if isinstance(source, FileSource):
            async with open_whole_file(self._decoder, source.path) as sound:
                yield sound
            return
        assert isinstance(source, VideoSource), "live streams have no end, and clips are short"
        video = await open_whole_video(self._fetcher, self._decoder, source)
        try:
            yield video
        finally:
            await video.close()

    async def _live_takes(
        self, source: LiveSource, seconds: float, listing: Listing | None
    ) -> AsyncGenerator[Recording]:
        """The takes that are not silent. Raises the first take's error, or `no-audio` when all are silent."""
        heard = False
        number = 0
        async with aclosing(
            self._live.takes(source, seconds, worth_waiting=lambda: heard, listing=listing)
        ) as takes:
            async for take in takes:
                if _is_silent(take.sound.pcm):
                    continue
                heard = True
                number += 1
                date = _start_of(take.joined)
                encoded, container = take.joined.encoded
                yield Recording(
                    pcm=take.sound.pcm,
                    encoded=encoded,
                    container=container,
                    started_at=None if date is None else later(date, take.sound.start_seconds),
                    channel_id=take.source.channel_id,
                    take=number,
                    broadcast=take.source.broadcast,
                )
        if not heard:
            raise _silence()

    # --- Clips ----------------------------------------------------------------------------------------

    async def _clip(self, source: ClipSource) -> Recording:
        decoded, encoded = await self._clip_sound_of_any((source.url, *source.alternatives))
        sound = placed_clip(decoded, clip_seconds=source.duration_seconds, max_seconds=MAX_CLIP_SECONDS)
        return _audible(
            Recording(
                pcm=sound.pcm,
                encoded=encoded,
                container=None if encoded is None else CONTAINER,
                from_seconds=sound.start_seconds,
            )
        )

    async def _clip_sound_of_any(self, urls: Sequence[URL]) -> tuple[Decoded, bytes | None]:
        """The sound of the first of a clip's files that can be heard; one that is too slow ends it.

        Raises the first file's error, or one that asking again may change.
        """
        failures: list[TwitchAudioError] = []
        for url in urls:
            try:
                return await self._clip_sound(url)
            except TwitchAudioError as error:
                failures.append(error)
                if not _another_file_may_play(error):
                    break
        raise next((error for error in failures if error.retry_after_seconds), failures[0])

    async def _clip_sound(self, url: URL) -> tuple[Decoded, bytes | None]:
        """The sound of a clip's file, and the file, or one of its sound alone, if that was kept whole."""
        bodies: list[ClipBody] = []

        def new_body(_first_byte: int = 0) -> ClipBody:
            for body in bodies:
                body.abandon()
            bodies.append(ClipBody(self._decoder, max_seconds=MAX_CLIP_SECONDS))
            return bodies[-1]

        try:
            fetched = await self._fetcher.get(
                url,
                step=STEP,
                max_bytes=MAX_CLIP_BYTES,
                total_seconds=_CLIP_LIMIT_SECONDS,
                headers=CLIP_HEADERS,
                stall_seconds=STALL_SECONDS,
                new_filter=new_body,
            )
            kept = self._clip_file(fetched)
            return await (bodies[-1] if bodies else new_body()).decoded(kept)
        except DescriptionLastError as late:
            fetched = await fetch_late_sound(
                self._fetcher, url, late.at, max_seconds=MAX_CLIP_SECONDS, total_seconds=_CLIP_LIMIT_SECONDS
            )
            kept = self._clip_file(fetched)
            return await self._decoder.decode(kept, container=CONTAINER, max_seconds=MAX_CLIP_SECONDS), kept
        except TooLongError as too_long:
            raise ClipTooLongError from too_long
        finally:
            for body in bodies:
                body.abandon()

    def _clip_file(self, fetched: Fetched) -> bytes:
        """What was kept of a clip's file. Raises TwitchAudioError when it is refused."""
        if fetched.status == 200:
            return fetched.body
        if fetched.status in (403, 404, 410):
            detail = "Twitch does not have this clip's file any more."
            raise TwitchAudioError(ProblemCode.CLIP_NOT_FOUND, detail)
        raise permanent_refusal(STEP, self._fetcher.upstream, fetched.status) or UpstreamError(
            STEP, f"Twitch answers {fetched.status} for the clip. Try again in a moment."
        )

    # --- Files ----------------------------------------------------------------------------------------

    async def _file(self, path: Path, max_seconds: float) -> Recording:
        decoded = await self._decoder.decode_file(path, max_seconds=max_seconds)
        sound = await asyncio.to_thread(placed_file, decoded, max_seconds=max_seconds)
        return _audible(Recording(pcm=sound.pcm, from_seconds=sound.start_seconds))


def _another_file_may_play(error: TwitchAudioError) -> bool:
    """Whether another file of a clip, which is larger, may play although this one failed so."""
    if isinstance(error, ClipTooLongError) or too_slow_to_go_on(error):
        return False
    return error.code is ProblemCode.CLIP_NOT_FOUND or another_may_play(error)


def _start_of(joined: Joined) -> datetime | None:
    """When the first segment began; None when its date is only computed from durations that are wrong."""
    first = joined.segments[0]
    container = joined.parts[0].container
    timed = [segment for part in joined.parts if part.container == container for segment in part.timed]
    is_true = first.date_given or duration_ratio(timed, wrap=clock_wrap(container)) == 1.0
    return first.started_at if is_true else None


def _is_silent(pcm: Pcm) -> bool:
    return pcm.samples.size == 0 or float(np.abs(pcm.samples).max()) < _SILENCE_PEAK


def _silence() -> TwitchAudioError:
    return no_audio("it is silent")


def _audible(recording: Recording) -> Recording:
    """Returns the recording unless it is silent throughout. Raises TwitchAudioError `no-audio`."""
    if _is_silent(recording.pcm):
        raise _silence()
    return recording
