"""Captures recordings from a source: the `Capture` port."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import numpy as np

from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError, invalid_input
from fingerprint.hls.live import total_seconds
from fingerprint.hls.playlist import MediaPlaylist, Segment
from fingerprint.media.fetch import Fetcher
from fingerprint.media.live import LIVE_LIMIT_SECONDS, MIN_TAKE_SECONDS, Decoder, LiveCapture, Renew, too_slow
from fingerprint.media.pcm import no_audio
from fingerprint.media.playlists import STEP, PlaylistGoneError, fetch_playlist
from fingerprint.media.segments import Joined, SegmentCache
from fingerprint.ports import ClipSource, Clock, FileSource, LiveSource, MediaSource, VideoSource

VIDEO_SECONDS: Final = 12.0
"""Seconds captured from a VOD, a third of them before the moment that was asked for."""

MAX_CLIP_BYTES: Final = 64 << 20
MAX_CLIP_SECONDS: Final = 90.0
_CLIP_LIMIT_SECONDS: Final = 20.0
_SILENCE_PEAK: Final = 1e-4


class StreamCapture:
    """Captures sound that is already available. `renew` resolves a stream whose `cached` source has ended."""

    def __init__(self, fetcher: Fetcher, decoder: Decoder, clock: Clock, *, renew: Renew | None = None) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._live = LiveCapture(fetcher, decoder, clock, renew)

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
                yield _audible(Recording(pcm=await self._decoder.decode_file(path), from_seconds=0.0))

    async def _live_takes(self, source: LiveSource, seconds: float) -> AsyncGenerator[Recording]:
        """The takes that are not silent. Raises the first take's error, or `no-audio` when all are silent."""
        heard = silent = False
        async with aclosing(self._live.takes(source, seconds, worth_waiting=lambda: heard)) as takes:
            async for joined in takes:
                try:
                    recording = await self._recording(joined)
                except TwitchAudioError:
                    if heard or silent:
                        continue
                    raise
                if _is_silent(recording.pcm):
                    silent = True
                    continue
                heard = True
                yield recording
        if not heard:
            raise _silence()

    async def _recording(self, joined: Joined) -> Recording:
        pcm = None if joined.decoding is None else await joined.decoding.finish()
        if pcm is None:
            most = joined.duration_seconds + joined.extra_seconds + 1.0
            pcm = await self._decoder.decode(joined.encoded, container=joined.container, max_seconds=most)
        if pcm.duration_seconds < min(MIN_TAKE_SECONDS, joined.duration_seconds) - 0.1:
            raise no_audio(f"only {pcm.duration_seconds:.1f} s of it could be decoded")
        return Recording(
            pcm=pcm,
            encoded=joined.encoded,
            container=joined.container,
            started_at=joined.segments[0].started_at,
        )

    # --- Videos ---------------------------------------------------------------------------------------

    async def _video(self, source: VideoSource, seconds: float) -> Recording:
        try:
            playlist = await fetch_playlist(self._fetcher, source.playlist)
        except PlaylistGoneError as error:
            raise UpstreamError(
                STEP, "Twitch refuses the playlist of this video. Try again in a moment."
            ) from error
        length = playlist.duration_seconds
        if source.at_seconds >= length:
            raise invalid_input(f"This video is {length:.0f} s long; the moment asked for comes later.")
        around = _around(playlist, source.at_seconds, max(seconds, VIDEO_SECONDS))
        heard = [segment for segment in around if not _is_muted(segment)]
        if total_seconds(heard) < min(MIN_TAKE_SECONDS, length):
            raise no_audio("Twitch has muted this part of the video because of the rights to its music")
        try:
            async with asyncio.timeout(LIVE_LIMIT_SECONDS):
                decoding = self._decoder.begin(max_seconds=total_seconds(heard) + 1.0)
                joined = await SegmentCache(self._fetcher, source.playlist).joined(heard, decoding=decoding)
        except TimeoutError as error:
            raise too_slow() from error
        before = playlist.segments[: playlist.segments.index(joined.segments[0])]
        return dataclasses.replace(await self._recording(joined), from_seconds=total_seconds(before))

    # --- Clips ----------------------------------------------------------------------------------------

    async def _clip(self, source: ClipSource) -> Recording:
        fetched = await self._fetcher.get(
            source.url,
            step="clip",
            max_bytes=MAX_CLIP_BYTES,
            total_seconds=_CLIP_LIMIT_SECONDS,
            headers={"Accept-Encoding": "identity"},
        )
        if fetched.status in (403, 404, 410):
            raise TwitchAudioError(ProblemCode.CLIP_NOT_FOUND, "Twitch does not have this clip's file any more.")
        if fetched.status != 200:
            raise UpstreamError("clip", f"Twitch answers {fetched.status} for the clip. Try again in a moment.")
        pcm = await self._decoder.decode(fetched.body, container="mp4", max_seconds=MAX_CLIP_SECONDS)
        return _audible(Recording(pcm=pcm, encoded=fetched.body, container="mp4", from_seconds=0.0))


def _around(playlist: MediaPlaylist, at_seconds: float, wanted_seconds: float) -> list[Segment]:
    """The segments of a VOD that make up `wanted_seconds`, a third of them before the moment."""
    start = max(0.0, min(at_seconds - wanted_seconds / 3, playlist.duration_seconds - wanted_seconds))
    position = 0.0
    found: list[Segment] = []
    for segment in playlist.segments:
        end = position + segment.duration_seconds
        if end > start and position < start + wanted_seconds:
            found.append(segment)
        position = end
    return found


def _is_muted(segment: Segment) -> bool:
    """Whether Twitch muted a segment's music: `12-muted.ts` is silent, and `12-unmuted.ts` is not served."""
    path = segment.uri.partition("?")[0]
    return "-muted." in path or "-unmuted." in path


def _is_silent(pcm: Pcm) -> bool:
    return pcm.samples.size == 0 or float(np.abs(pcm.samples).max()) < _SILENCE_PEAK


def _silence() -> TwitchAudioError:
    return no_audio("it is silent")


def _audible(recording: Recording) -> Recording:
    """Returns the recording unless it is silent throughout. Raises TwitchAudioError `no-audio`."""
    if _is_silent(recording.pcm):
        raise _silence()
    return recording
