"""From a source to a recording: the `Capture` port."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from yarl import URL

from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError, invalid_input
from fingerprint.hls.attributes import PlaylistError
from fingerprint.hls.live import ad_is_running, ad_seconds_left, content_runs, newest_content, total_seconds
from fingerprint.hls.playlist import MAX_CHARACTERS, MediaPlaylist, Segment, parse_media
from fingerprint.media.fetch import Fetcher
from fingerprint.media.pcm import no_audio
from fingerprint.media.segments import Joined, fetch_joined
from fingerprint.ports import ClipSource, Clock, FileSource, LiveSource, MediaSource, VideoSource

ENOUGH_SECONDS: Final = 3.0
"""Less than this of a stream is not worth asking a recognizer about."""

LIVE_LIMIT_SECONDS: Final = 15.0
"""How long a live capture may take, waiting for ads to end or for the first segments included."""

VIDEO_SECONDS: Final = 12.0
"""How much of a VOD is listened to, a third of it before the moment that was asked for."""

MAX_CLIP_BYTES: Final = 64 << 20
MAX_CLIP_SECONDS: Final = 90.0
_CLIP_LIMIT_SECONDS: Final = 20.0
_PLAYLIST_LIMIT_SECONDS: Final = 3.0
_STALLED_SECONDS: Final = 15.0
_MOST_REMEMBERED: Final = 1_000
_SHORTEST_POLL_SECONDS: Final = 0.5
_LONGEST_POLL_SECONDS: Final = 2.0
_SILENCE: Final = 1e-4
_AD_GUESS_SECONDS: Final = 15.0
STEP: Final = "playlist"


class Decoder(Protocol):
    """What turns bytes into sound; `DecoderPool` does."""

    async def decode(self, encoded: bytes, *, container: str, max_seconds: float) -> Pcm:
        """The sound of bytes in a container."""
        ...

    async def decode_file(self, path: Path) -> Pcm:
        """The sound of a file."""
        ...


class _EndedError(Exception):
    """The playlist is gone or complete: nothing more will come."""


class StreamCapture:
    """Takes what is already there: the newest finished segments of a live stream, fetched side by side.

    `renew` finds a channel's stream anew when a `kept` source turns out to have ended.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        decoder: Decoder,
        clock: Clock,
        *,
        renew: Callable[[LiveSource], Awaitable[LiveSource]] | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._clock = clock
        self._renew = renew
        self._newest_seen: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def capture(self, source: MediaSource, seconds: float) -> Recording:
        """A recording of the source. Raises what the port promises."""
        match source:
            case LiveSource():
                try:
                    async with asyncio.timeout(LIVE_LIMIT_SECONDS + _PLAYLIST_LIMIT_SECONDS):
                        joined = await self._live(source, seconds)
                except TimeoutError as error:
                    raise _timeout() from error
                return await self._recording(joined)
            case VideoSource():
                joined = await self._video(source, seconds)
                return await self._recording(joined)
            case ClipSource():
                return await self._clip(source)
            case FileSource(path=path):
                pcm = await self._decoder.decode_file(path)
                return Recording(pcm=_audible(pcm))

    async def _recording(self, joined: Joined) -> Recording:
        pcm = await self._decoder.decode(
            joined.encoded, container=joined.container, max_seconds=joined.duration_seconds + 1.0
        )
        if pcm.duration_seconds < min(ENOUGH_SECONDS, joined.duration_seconds) - 0.1:
            raise no_audio(f"only {pcm.duration_seconds:.1f} s of it could be decoded")
        return Recording(
            pcm=_audible(pcm),
            encoded=joined.encoded,
            container=joined.container,
            started_at=joined.segments[0].started_at,
        )

    # --- Live streams ---------------------------------------------------------------------------------

    async def _live(self, source: LiveSource, seconds: float) -> Joined:
        try:
            return await self._newest(source, seconds)
        except _EndedError:
            if source.kept and self._renew is not None:
                try:
                    return await self._newest(await self._renew(source), seconds)
                except _EndedError:
                    pass
        raise TwitchAudioError(ProblemCode.NOT_LIVE, "This channel's broadcast has just ended.")

    async def _newest(self, source: LiveSource, seconds: float) -> Joined:
        """The newest content of a stream, as soon as there is enough. Raises _EndedError."""
        deadline = self._clock.monotonic() + LIVE_LIMIT_SECONDS
        failure: UpstreamError | None = None
        while True:
            playlist = await self._playlist(source.playlist)
            if self._has_stalled(source, playlist):
                raise _EndedError
            wanted = newest_content(playlist, wanted_seconds=seconds, enough_seconds=ENOUGH_SECONDS)
            if wanted:
                try:
                    joined = await fetch_joined(
                        self._fetcher, source.playlist, wanted, _older(playlist, wanted[0])
                    )
                except UpstreamError as error:
                    if failure is not None:
                        raise
                    failure = error
                else:
                    if joined.duration_seconds >= ENOUGH_SECONDS:
                        return joined
            if playlist.ended:
                raise _EndedError
            left = deadline - self._clock.monotonic()
            ad_left = ad_seconds_left(playlist) if ad_is_running(playlist) else None
            pause = _poll_seconds(playlist)
            if left < pause or (ad_left is not None and ad_left > left):
                raise failure or _gave_up(playlist, ad_left)
            await self._clock.sleep(pause)

    def _has_stalled(self, source: LiveSource, playlist: MediaPlaylist) -> bool:
        """Whether a kept stream lists nothing new since long before.

        Its segments' dates do not tell: a channel may be broadcast with minutes of delay.
        """
        newest = playlist.segments[-1].sequence if playlist.segments else -1
        now = self._clock.monotonic()
        seen, since = self._newest_seen.get(source.channel, (None, now))
        if newest != seen or not source.kept:
            self._newest_seen[source.channel] = (newest, now)
            self._newest_seen.move_to_end(source.channel)
            while len(self._newest_seen) > _MOST_REMEMBERED:
                self._newest_seen.popitem(last=False)
            return False
        return now - since > max(_STALLED_SECONDS, 3 * playlist.target_seconds)

    async def _playlist(self, url: URL) -> MediaPlaylist:
        fetched = await self._fetcher.get(
            url, step=STEP, max_bytes=MAX_CHARACTERS, total_seconds=_PLAYLIST_LIMIT_SECONDS
        )
        if fetched.status in (403, 404, 410):
            raise _EndedError
        if fetched.status != 200:
            raise UpstreamError(STEP, f"Twitch answers {fetched.status} for a playlist. Try again in a moment.")
        try:
            return parse_media(fetched.text)
        except PlaylistError as error:
            raise UpstreamError(STEP, f"Twitch's list of segments cannot be used: {error}.") from error

    # --- Videos ---------------------------------------------------------------------------------------

    async def _video(self, source: VideoSource, seconds: float) -> Joined:
        try:
            playlist = await self._playlist(source.playlist)
        except _EndedError as error:
            raise UpstreamError(
                STEP, "Twitch refuses the playlist of this video. Try again in a moment."
            ) from error
        length = playlist.duration_seconds
        if source.at_seconds >= length:
            raise invalid_input(f"This video is {length:.0f} s long; the moment asked for comes later.")
        around = _around(playlist, source.at_seconds, max(seconds, VIDEO_SECONDS))
        heard = [segment for segment in around if not _is_muted(segment)]
        if total_seconds(heard) < min(ENOUGH_SECONDS, length):
            raise no_audio("Twitch has muted this part of the video because of the rights to its music")
        try:
            async with asyncio.timeout(LIVE_LIMIT_SECONDS):
                return await fetch_joined(self._fetcher, source.playlist, heard)
        except TimeoutError as error:
            raise _timeout() from error

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
        return Recording(pcm=_audible(pcm), encoded=fetched.body, container="mp4")


def _older(playlist: MediaPlaylist, first: Segment) -> tuple[Segment, ...]:
    """The content just before a segment, in its own run."""
    for run in content_runs(playlist):
        if first in run:
            return run[: run.index(first)]
    return ()


def _poll_seconds(playlist: MediaPlaylist) -> float:
    """How long to wait for news: about half a segment, as HLS asks of an unchanged playlist."""
    usual = playlist.segments[-1].duration_seconds if playlist.segments else playlist.target_seconds
    return min(max(usual / 2, _SHORTEST_POLL_SECONDS), _LONGEST_POLL_SECONDS)


def _gave_up(playlist: MediaPlaylist, ad_left: float | None) -> TwitchAudioError:
    if ad_is_running(playlist):
        left = _AD_GUESS_SECONDS if ad_left is None else ad_left
        return TwitchAudioError(
            ProblemCode.AD_BREAK,
            f"Only advertisements are playing at the moment, for about {left:.0f} more seconds.",
            retry_after_seconds=max(1.0, round(left + ENOUGH_SECONDS, 1)),
        )
    return _timeout()


def _timeout() -> TwitchAudioError:
    return UpstreamError(
        "segment", "Twitch does not send enough of this broadcast in time.", code=ProblemCode.TIMEOUT
    )


def _around(playlist: MediaPlaylist, at_seconds: float, wanted_seconds: float) -> list[Segment]:
    """The segments of a VOD that make up so many seconds, a third of them before the moment."""
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
    """Twitch replaces music that it may not play: `12-muted.ts` is silence, `12-unmuted.ts` is not given out."""
    path = segment.uri.partition("?")[0]
    return "-muted." in path or "-unmuted." in path


def _audible(pcm: Pcm) -> Pcm:
    """The same, unless it is silent from end to end. Raises TwitchAudioError `no-audio`."""
    if pcm.samples.size == 0 or float(np.abs(pcm.samples).max()) < _SILENCE:
        raise no_audio("it is silent")
    return pcm
