"""Captures recordings from a source: the `Capture` port."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import takewhile
from pathlib import Path
from typing import Final

import numpy as np

from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError, invalid_input
from fingerprint.hls.attributes import later
from fingerprint.hls.live import total_seconds
from fingerprint.hls.moments import VideoTimeline
from fingerprint.hls.playlist import MediaPlaylist
from fingerprint.hls.timing import Origin, durations_are_rounded
from fingerprint.media.clip_body import CONTAINER, ClipBody
from fingerprint.media.containers import clock_wrap
from fingerprint.media.decoder import MAX_FILE_SECONDS
from fingerprint.media.fetch import Fetcher, HostWantsPauseError
from fingerprint.media.live import (
    LIVE_LIMIT_SECONDS,
    MIN_TAKE_SECONDS,
    Decoder,
    LiveCapture,
    LiveSources,
    too_slow,
)
from fingerprint.media.pcm import Decoded, no_audio
from fingerprint.media.placing import PlacedSound, placed_clip, placed_file, placed_parts, placed_segments
from fingerprint.media.playlists import MAX_RENDITIONS, PlaylistRefusedError, fetch_playlist
from fingerprint.media.segments import Joined, SegmentCache, SegmentRefusedError
from fingerprint.ports import ClipSource, Clock, FileSource, LiveSource, MediaSource, VideoSource

VIDEO_SECONDS: Final = 12.0
"""Seconds captured from a VOD, a third of them before the moment that was asked for."""

_END_SECONDS: Final = 1.0
"""How far after the end of a VOD a moment may be: players round."""

_GROWING_SECONDS: Final = 120.0
"""How far after the listed end of a VOD that is being recorded a moment may be: it lags behind the stream."""

_MAX_SELECTIONS: Final = 6
"""How often segments of a VOD are selected, each time without those that failed."""

_MAX_CORRECTIONS: Final = 2
_MAX_DRIFT_SECONDS: Final = 1.0
"""How far a VOD's segment may be from where it was expected before the selection is corrected."""

MAX_CLIP_BYTES: Final = 256 << 20
"""The longest clip's file: a minute of 34 Mbit/s. No more than 8 MiB of a long one are kept."""

MAX_CLIP_SECONDS: Final = 90.0
_CLIP_LIMIT_SECONDS: Final = 20.0
_SILENCE_PEAK: Final = 1e-4


class StreamCapture:
    """Captures sound that is already available. `sources` replaces live sources that do not play (any more)."""

    def __init__(
        self, fetcher: Fetcher, decoder: Decoder, clock: Clock, *, sources: LiveSources | None = None
    ) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._live = LiveCapture(fetcher, decoder, clock, sources)

    async def takes(self, source: MediaSource, seconds: float) -> AsyncGenerator[Recording]:
        match source:
            case LiveSource():
                async with aclosing(self._live_takes(source, seconds)) as recordings:
                    async for recording in recordings:
                        yield recording
            case VideoSource():
                yield _audible(await self._video(source, seconds))
            case ClipSource():
                yield await self._clip(source)
            case FileSource(path=path):
                yield await self._file(path)

    async def _live_takes(self, source: LiveSource, seconds: float) -> AsyncGenerator[Recording]:
        """The takes that are not silent. Raises the first take's error, or `no-audio` when all are silent."""
        heard = silent = False
        async with aclosing(self._live.takes(source, seconds, worth_waiting=lambda: heard)) as takes:
            async for playing, joined in takes:
                try:
                    sound = await self._sound(joined)
                except TwitchAudioError:
                    if heard or silent:
                        continue
                    raise
                if _is_silent(sound.pcm):
                    silent = True
                    continue
                heard = True
                date = joined.segments[0].started_at
                encoded, container = joined.encoded
                yield Recording(
                    pcm=sound.pcm,
                    encoded=encoded,
                    container=container,
                    started_at=None if date is None else later(date, sound.start_seconds),
                    channel_id=playing.channel_id,
                )
        if not heard:
            raise _silence()

    async def _sound(self, joined: Joined, origin: Origin | None = None) -> PlacedSound:
        """The sound of segments. Raises TwitchAudioError `no-audio` when too little could be decoded."""
        decoded = None if joined.decoding is None else await joined.decoding.finish()
        sounds = await self._decoded_parts(joined) if decoded is None else [decoded]
        sound = placed_segments(joined, sounds, origin=origin)
        if sound.heard_seconds < min(MIN_TAKE_SECONDS, joined.duration_seconds) - 0.1:
            raise no_audio(f"only {sound.heard_seconds:.1f} s of it could be decoded")
        return sound

    async def _decoded_parts(self, joined: Joined) -> list[Decoded | None]:
        """The sound of each part, None for one that has none. Raises the first error when no part has any."""
        sounds: list[Decoded | None] = []
        failure: TwitchAudioError | None = None
        for part in joined.parts:
            most = part.duration_seconds + (joined.extra_seconds if part is joined.parts[-1] else 0.0) + 1.0
            try:
                sounds.append(await self._decoder.decode(part.encoded, container=part.container, max_seconds=most))
            except TwitchAudioError as error:
                if error.code is not ProblemCode.NO_AUDIO:
                    raise
                sounds.append(None)
                failure = failure or error
        if failure is not None and not any(sounds):
            raise failure
        return sounds

    # --- Videos ---------------------------------------------------------------------------------------

    async def _video(self, source: VideoSource, seconds: float) -> Recording:
        """The sound around a moment of a VOD, or the nearest that there is."""
        source, playlist = await self._video_playlist(source)
        timeline = VideoTimeline(playlist)
        _check_moment(playlist, timeline.length_seconds, source.at_seconds)
        try:
            async with asyncio.timeout(LIVE_LIMIT_SECONDS):
                return await self._nearest(source, timeline, max(seconds, VIDEO_SECONDS))
        except TimeoutError as error:
            raise too_slow() from error
        except SegmentRefusedError as error:
            # Of a video that still grows, the newest part may not be there yet.
            if error.status == 403 or (error.status in (404, 410) and playlist.ended):
                raise _refused_part(error.status) from error
            raise

    async def _nearest(self, source: VideoSource, timeline: VideoTimeline, wanted_seconds: float) -> Recording:
        """The nearest sound to the moment. Segments that fail are left out, and what remains is selected again."""
        segments = SegmentCache(self._fetcher, source.playlist, dated=False)
        failed: set[int] = set()
        failure: TwitchAudioError | None = None
        learned = 0
        for _ in range(_MAX_SELECTIONS):
            stretch = timeline.around(source.at_seconds, wanted_seconds, failed)
            if stretch is None:
                break
            decoding = self._decoder.begin(max_seconds=total_seconds(stretch.segments) + 1.0)
            try:
                joined = await segments.joined(stretch.segments, holding=stretch.holding, decoding=decoding)
            except HostWantsPauseError:
                raise
            except UpstreamError as error:
                failed |= {segment.sequence for segment in stretch.segments}
                failure = failure or error
                continue
            failed |= joined.failed
            if stretch.holding.sequence in failed:
                joined.abandon()
                continue
            if joined.duration_seconds < min(MIN_TAKE_SECONDS, timeline.length_seconds) and joined.failed:
                joined.abandon()  # without those that failed, a longer stretch may hold the moment
                continue
            first = stretch.first + stretch.segments.index(joined.segments[0])
            origin = await self._origin(segments, timeline, joined, first)
            if origin is not None and learned < _MAX_CORRECTIONS:
                start = placed_parts(joined, origin)[0][0]
                if abs(timeline.learn(first, timeline.listed_start(first) + start)) > _MAX_DRIFT_SECONDS:
                    learned += 1
                    joined.abandon()
                    continue
            try:
                sound = await self._sound(joined, origin)
            except TwitchAudioError as error:
                failed |= {segment.sequence for segment in joined.segments}
                failure = failure or error
                continue
            encoded, container = joined.encoded
            return _audible(
                Recording(
                    pcm=sound.pcm,
                    encoded=encoded,
                    container=container,
                    from_seconds=max(0.0, timeline.listed_start(first) + sound.start_seconds),
                )
            )
        raise failure or no_audio("Twitch has muted this part of the video because of the rights to its music")

    async def _origin(
        self, segments: SegmentCache, timeline: VideoTimeline, joined: Joined, first: int
    ) -> Origin | None:
        """Where the clock of the captured segments started, if the playlist's durations turn out to be rounded."""
        container = joined.parts[0].container
        alike = takewhile(lambda part: part.container == container, joined.parts)
        timed = [segment for part in alike for segment in part.timed]
        if not durations_are_rounded(timed, wrap=clock_wrap(container)):
            return None
        number = timeline.origin_of(first)
        stamp = timed[0].first_timestamp
        if number != first:
            stamp = await segments.first_timestamp(timeline.segments[number])
        if stamp is None:
            return None
        start = timeline.listed_start(number) - timeline.listed_start(first)
        return Origin(start_seconds=start, first_timestamp=stamp, count=first - number)

    async def _video_playlist(self, source: VideoSource) -> tuple[VideoSource, MediaPlaylist]:
        """The source with the first rendition that plays, and its playlist.

        Raises the first one's error: `restricted-stream`, `video-not-found`, `upstream-unavailable`, `timeout`.
        """
        failure: TwitchAudioError | None = None
        for url in (source.playlist, *source.alternatives)[:MAX_RENDITIONS]:
            try:
                playlist = await fetch_playlist(self._fetcher, url, video=True)
            except PlaylistRefusedError as error:
                failure = failure or _refused_video(error.status)
            except HostWantsPauseError:
                raise
            except TwitchAudioError as error:
                if failure is not None and error.code is ProblemCode.TIMEOUT:
                    break
                failure = failure or error
            else:
                if playlist.segments:
                    return dataclasses.replace(source, playlist=url), playlist
                failure = failure or no_audio("Twitch has published none of this video yet")
        assert failure is not None, "a source has at least one playlist"
        raise failure

    # --- Clips ----------------------------------------------------------------------------------------

    async def _clip(self, source: ClipSource) -> Recording:
        bodies: list[ClipBody] = []

        def new_body() -> ClipBody:
            for body in bodies:
                body.abandon()
            bodies.append(ClipBody(self._decoder, max_seconds=MAX_CLIP_SECONDS))
            return bodies[-1]

        try:
            fetched = await self._fetcher.get(
                source.url,
                step="clip",
                max_bytes=MAX_CLIP_BYTES,
                total_seconds=_CLIP_LIMIT_SECONDS,
                headers={"Accept-Encoding": "identity"},
                new_filter=new_body,
            )
            if fetched.status in (403, 404, 410):
                detail = "Twitch does not have this clip's file any more."
                raise TwitchAudioError(ProblemCode.CLIP_NOT_FOUND, detail)
            if fetched.status != 200:
                raise UpstreamError(
                    "clip", f"Twitch answers {fetched.status} for the clip. Try again in a moment."
                )
            decoded, encoded = await (bodies[-1] if bodies else new_body()).decoded(fetched.body)
        finally:
            for body in bodies:
                body.abandon()
        sound = placed_clip(decoded, clip_seconds=source.duration_seconds, max_seconds=MAX_CLIP_SECONDS)
        return _audible(
            Recording(
                pcm=sound.pcm,
                encoded=encoded,
                container=None if encoded is None else CONTAINER,
                from_seconds=sound.start_seconds,
            )
        )

    # --- Files ----------------------------------------------------------------------------------------

    async def _file(self, path: Path) -> Recording:
        decoded = await self._decoder.decode_file(path)
        sound = await asyncio.to_thread(placed_file, decoded, max_seconds=MAX_FILE_SECONDS)
        return _audible(Recording(pcm=sound.pcm, from_seconds=sound.start_seconds))


def _refused_part(status: int) -> TwitchAudioError:
    """The error when the segments of a video are refused, which asking again does not change."""
    if status == 403:
        detail = "Twitch does not give out the sound of this part of the video."
        return TwitchAudioError(ProblemCode.RESTRICTED_STREAM, detail)
    return TwitchAudioError(
        ProblemCode.VIDEO_NOT_FOUND, "Twitch no longer has the sound of this part of the video."
    )


def _refused_video(status: int) -> TwitchAudioError:
    """The error when a VOD's playlist is refused, which asking again does not change."""
    if status == 403:
        return TwitchAudioError(
            ProblemCode.RESTRICTED_STREAM,
            "Twitch does not let this server listen to this video: it may be for subscribers only, or not be "
            "shown in the region of this server.",
        )
    return TwitchAudioError(ProblemCode.VIDEO_NOT_FOUND, "Twitch still lists this video, but its sound is gone.")


def _check_moment(playlist: MediaPlaylist, length_seconds: float, at_seconds: float) -> None:
    """Raise `invalid-input` for a moment after the end. Of a VOD that still grows the end is not known exactly."""
    if playlist.ended:
        if at_seconds >= length_seconds + _END_SECONDS:
            raise invalid_input(f"This video is {length_seconds:.0f} s long; the moment asked for comes later.")
    elif at_seconds >= length_seconds + _GROWING_SECONDS:
        raise invalid_input(
            f"This video is still being recorded, and is {length_seconds:.0f} s long so far; "
            "the moment asked for comes later."
        )


def _is_silent(pcm: Pcm) -> bool:
    return pcm.samples.size == 0 or float(np.abs(pcm.samples).max()) < _SILENCE_PEAK


def _silence() -> TwitchAudioError:
    return no_audio("it is silent")


def _audible(recording: Recording) -> Recording:
    """Returns the recording unless it is silent throughout. Raises TwitchAudioError `no-audio`."""
    if _is_silent(recording.pcm):
        raise _silence()
    return recording
