"""Captures a live stream: first the newest sound, then what was played before it, then new sound."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from cachetools import LRUCache

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.hls.ads import ad_is_running, ad_seconds_left, content_runs, next_content
from fingerprint.hls.live import content_around, newest_content, total_seconds
from fingerprint.hls.playlist import MediaPlaylist, Segment
from fingerprint.hls.takes import earlier_takes, later_take
from fingerprint.media.ahead import SoundListener
from fingerprint.media.fetch import Fetcher, HostRefusedError, HostWantsPauseError, TooLongError, too_slow_to_go_on
from fingerprint.media.joined import EXTRA_SECONDS, Joined
from fingerprint.media.joined_sound import MIN_TAKE_SECONDS, Decoder, sound_of
from fingerprint.media.placing import PlacedSound, longest_seconds
from fingerprint.media.playlists import (
    MAX_RENDITIONS,
    PLAYLIST_SECONDS,
    STEP,
    PlaylistRefusedError,
    fetch_playlist,
)
from fingerprint.media.refusals import permanent_refusal
from fingerprint.media.segment_fetch import SegmentRefusedError
from fingerprint.media.segments import SegmentCache
from fingerprint.ports import Clock, LiveSource, VideoSource
from fingerprint.retry import time_limit
from fingerprint.tasks import cancel_and_wait

LIVE_LIMIT_SECONDS: Final = 15.0
"""The time limit of the first take, including waits for ads to end or for the first segments."""

TAKE_SECONDS: Final = 12.0
"""The length of the further takes: the longest that recognizers treat as one question."""

NEW_SOUND_SECONDS: Final = 10.0
"""How long to wait for new sound, once all sound in the playlist has been tried."""

EDGE_RENDITIONS: Final = 2
"""How many renditions are asked for the live edge: what comes then does without."""

_STALLED_SECONDS: Final = 15.0
_MAX_CHANNELS: Final = 1_000
_MIN_POLL_SECONDS: Final = 0.5
_MAX_POLL_SECONDS: Final = 2.0
_AD_GUESS_SECONDS: Final = 15.0

_MAX_FAILURES: Final = 2
"""How many renditions may be too slow, and how many of a cached source may be refused, before no further ones are
tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTake:
    """A take of a live stream: the source with the rendition that it is from, its segments, and their sound."""

    source: LiveSource
    joined: Joined
    sound: PlacedSound

    def forget(self) -> None:
        """End what was begun with its sound and is not needed."""
        self.joined.abandon()


HearAhead = Callable[[], SoundListener]
"""Makes a listener for one sound."""

FirstTake = tuple[LiveTake, SegmentCache, MediaPlaylist]
"""The first take, and the segments and the playlist of its rendition."""


class StreamSources(Protocol):
    """What the sources of streams are checked with and replaced by; implemented by `LiveSourceCache`."""

    async def renew(self, source: LiveSource) -> LiveSource:
        """A new source in place of one that does not play. Raises the errors of `MediaResolver.resolve`."""
        ...

    async def renew_video(self, source: VideoSource) -> VideoSource:
        """The same for a video."""
        ...

    async def is_current(self, source: LiveSource) -> bool:
        """Whether the channel of a cached source still has its login, as far as Twitch says in time."""
        ...


class _BroadcastEndedError(Exception):
    """The playlist itself says that no more will come, or a cached one has stopped growing."""


class LiveCapture:
    """Captures sound that is already available: the newest finished segments, fetched in parallel.

    `sources` replaces a source that does not play, and a `cached` one that has ended or whose login has become
    another channel's. `hear_ahead` makes listeners that are fed with first takes while these are decoded.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        decoder: Decoder,
        clock: Clock,
        sources: StreamSources | None,
        hear_ahead: HearAhead | None = None,
    ) -> None:
        self._hear_ahead = hear_ahead
        self._fetcher = fetcher
        self._decoder = decoder
        self._clock = clock
        self._sources = sources
        self._newest_seen: LRUCache[str, tuple[int, float]] = LRUCache(_MAX_CHANNELS)

    async def takes(
        self,
        source: LiveSource,
        seconds: float,
        *,
        worth_waiting: Callable[[], bool],
        listing: asyncio.Task[MediaPlaylist] | None = None,
    ) -> AsyncGenerator[LiveTake]:
        """The first take is the newest `seconds`, with the waits and errors that the `Capture` port describes.

        Then takes of up to 12 s each: first one with the same end that began earlier, then what was played before,
        as far as the playlist goes back, and last, if `worth_waiting` says so, new sound within NEW_SOUND_SECONDS.
        These raise nothing. `listing`: the playlist of the source that is being fetched already.
        """
        try:
            async with asyncio.timeout(LIVE_LIMIT_SECONDS + PLAYLIST_SECONDS):
                with time_limit(LIVE_LIMIT_SECONDS):
                    take, segments, playlist = await self._first_of_channel(source, seconds, listing)
        except TimeoutError as error:
            raise too_slow() from error
        try:
            yield take
        finally:
            take.forget()
        if source.at is not None:
            return
        source, first = take.source, take.joined
        asked = {tuple(first.segments)}
        heard_until = first.segments[-1]
        for piece in earlier_takes(
            playlist, first.segments, take_seconds=TAKE_SECONDS, enough_seconds=MIN_TAKE_SECONDS
        ):
            # If segments of a piece failed, the rest of it may have been recognized already.
            further = await self._further(source, segments, piece, asked)
            if further is not None:
                asked.add(tuple(further.joined.segments))
                yield further
        deadline = self._clock.monotonic() + NEW_SOUND_SECONDS
        while worth_waiting() and not playlist.ended:
            piece = later_take(playlist, heard_until, new_seconds=seconds, take_seconds=TAKE_SECONDS)
            further = await self._further(source, segments, piece, ()) if piece else None
            if further is not None:
                yield further
                heard_until = piece[-1]
            pause = _poll_seconds(playlist)
            if self._clock.monotonic() + pause > deadline:
                return
            await self._clock.sleep(pause)
            try:
                playlist = await self.playlist(source)
            except (TwitchAudioError, PlaylistRefusedError):
                return

    async def playlist(self, source: LiveSource) -> MediaPlaylist:
        """The playlist of a source's first rendition. Raises as `fetch_playlist` does."""
        return await fetch_playlist(self._fetcher, source.playlist, began=_beginning(source))

    async def edge(self, source: LiveSource) -> datetime | None:
        """When the newest sound that is listed ends, by the dates of the first rendition that can be had.

        None where it has no dates, or nothing new has come for long. Raises nothing.
        """
        for rendition in _renditions(source)[:EDGE_RENDITIONS]:
            try:
                playlist = await self.playlist(rendition)
            except (TwitchAudioError, PlaylistRefusedError):
                continue
            if playlist.ended or not playlist.segments or self._has_stalled(source, playlist):
                return None
            return playlist.segments[-1].ended_at
        return None

    async def _further(
        self,
        source: LiveSource,
        segments: SegmentCache,
        piece: tuple[Segment, ...],
        asked: Collection[tuple[Segment, ...]],
    ) -> LiveTake | None:
        """A further take, cut to the segments that were fetched; None when they are too few, or in `asked`."""
        try:
            joined = await segments.joined(piece)
            if joined.duration_seconds < MIN_TAKE_SECONDS or tuple(joined.segments) in asked:
                return None
            return LiveTake(source=source, joined=joined, sound=await sound_of(self._decoder, joined))
        except TwitchAudioError:
            return None

    async def _first_of_channel(
        self, source: LiveSource, seconds: float, listing: asyncio.Task[MediaPlaylist] | None
    ) -> FirstTake:
        """The first take of the channel that has the login now, which is found out while a cached source is used.

        Raises as `_first` does, and the errors of `StreamSources.renew`.
        """
        if not source.cached or self._sources is None:
            return await self._first(source, seconds, listing)
        confirming = asyncio.create_task(self._sources.is_current(source))
        found: FirstTake | None = None
        current = False
        try:
            found = await self._first(source, seconds, listing)
            current = not found[0].source.cached or await confirming
            if current:
                return found
        except TwitchAudioError:
            if await confirming:
                raise
        finally:
            if found is not None and not current:
                found[0].forget()
            await cancel_and_wait(confirming)
        return await self._first(await self._renewed(self._sources, source), seconds)

    @staticmethod
    async def _renewed(sources: StreamSources, source: LiveSource) -> LiveSource:
        """A new source for the moment that is to be heard. Another broadcast does not have it: `moment-gone`."""
        found = await sources.renew(source)
        if source.at is None:
            return found
        if found.broadcast != source.broadcast and found.broadcast and found.broadcast.seconds_at(source.at) < 0:
            raise TwitchAudioError(ProblemCode.MOMENT_GONE, "Another broadcast has begun since.")
        return dataclasses.replace(found, at=source.at, behind=source.behind)

    async def _first(
        self, source: LiveSource, seconds: float, listing: asyncio.Task[MediaPlaylist] | None = None
    ) -> FirstTake:
        """The first take. Renditions are tried in their order, also when the segments of one fail.

        When a cached source has ended or is refused, or no rendition of a new one plays, the stream is resolved
        again, once; that source is given up when the segments of one rendition fail. Raises `not-live` only when a
        playlist or the resolver says so.
        """
        deadline = self._clock.monotonic() + LIVE_LIMIT_SECONDS
        renewed = False
        while True:
            failure: TwitchAudioError | None = None
            refusal: UpstreamError | None = None
            ended, refused, slow, failed, unheard = False, 0, 0, 0, False
            renditions = _renditions(source)
            for rendition in renditions:
                patient = rendition is renditions[-1] and not unheard
                try:
                    probing = renewed or unheard
                    listed, listing = listing, None
                    return await self._newest(
                        rendition, seconds, deadline, patient=patient, probing=probing, listing=listed
                    )
                except PlaylistRefusedError as error:
                    refused += 1
                    refusal = refusal or permanent_refusal(STEP, self._fetcher.upstream, error.status)
                except _BroadcastEndedError:
                    ended = True
                except TwitchAudioError as error:
                    if not another_may_play(error) or self._clock.monotonic() > deadline - _MAX_POLL_SECONDS:
                        raise
                    failure = failure or error
                    slow += too_slow_to_go_on(error)
                    failed += 1
                    unheard = unheard or not isinstance(error, UpstreamError) or error.step != STEP
                if ended or (renewed and unheard) or _MAX_FAILURES in (slow, refused if source.cached else 0):
                    break
            none_plays = refused + failed == len(renditions) and not slow and _may_pass(failure)
            again = (ended or refused or none_plays) if source.cached else (none_plays and not ended)
            if renewed or self._sources is None or not again:
                break
            source = await self._renewed(self._sources, source)
            renewed = True
        if ended:
            raise TwitchAudioError(ProblemCode.NOT_LIVE, "This channel's broadcast has just ended.")
        raise (
            failure
            or refusal
            or UpstreamError(
                STEP, "Twitch lists this broadcast, but gives out none of its playlists. Try again in a moment."
            )
        )

    async def _newest(
        self,
        source: LiveSource,
        seconds: float,
        deadline: float,
        *,
        patient: bool,
        probing: bool,
        listing: asyncio.Task[MediaPlaylist] | None,
    ) -> FirstTake:
        """The newest content of a rendition, as soon as there is enough of it.

        When `probing`, the newest segment has to come before any other is fetched.

        Raises PlaylistRefusedError, _BroadcastEndedError, and TwitchAudioError; unless `patient`, also for a
        playlist without segments, and when segments fail for the first time.
        """
        segments = SegmentCache(self._fetcher, source.playlist)
        failure: UpstreamError | None = None
        while True:
            playlist = await (self.playlist(source) if listing is None else listing)
            listing = None
            if not (playlist.segments or playlist.ended or patient):
                raise UpstreamError(STEP, "Twitch's list of segments is empty.")
            if self._has_stalled(source, playlist):
                raise _BroadcastEndedError
            wanted = _wanted(playlist, source.at, seconds)
            if wanted:
                try:
                    if probing:
                        await segments.joined(wanted[-1:])
                    joined = await segments.joined(
                        wanted,
                        _older(playlist, wanted[0]),
                        following=next_content(playlist) if wanted[-1] == playlist.segments[-1] else None,
                        decoding=self._decoder.begin(
                            max_seconds=longest_seconds(total_seconds(wanted)) + EXTRA_SECONDS,
                            listener=None if self._hear_ahead is None else self._hear_ahead(),
                        ),
                    )
                except UpstreamError as error:
                    pointless = isinstance(error, HostWantsPauseError) or not error.retry_after_seconds
                    if failure is not None or pointless or not patient:
                        raise
                    failure = error
                else:
                    if joined.duration_seconds >= MIN_TAKE_SECONDS:
                        sound = await sound_of(self._decoder, joined)
                        return LiveTake(source=source, joined=joined, sound=sound), segments, playlist
                    joined.abandon()
                    if joined.failed and not patient:
                        detail = f"{self._fetcher.upstream} does not send all segments that it lists."
                        raise UpstreamError("segment", detail)
            if playlist.ended:
                raise _BroadcastEndedError
            left = deadline - self._clock.monotonic()
            ad_left = ad_seconds_left(playlist) if ad_is_running(playlist) else None
            pause = _poll_seconds(playlist)
            if left < pause or (ad_left is not None and ad_left > left):
                raise failure or _gave_up(playlist, ad_left)
            await self._clock.sleep(pause)

    def _has_stalled(self, source: LiveSource, playlist: MediaPlaylist) -> bool:
        """Whether a cached source has listed nothing new for a long time.

        Its segments' dates cannot show that: a channel may be broadcast with minutes of delay.
        """
        newest = playlist.segments[-1].sequence if playlist.segments else -1
        now = self._clock.monotonic()
        seen, since = self._newest_seen.get(source.channel, (None, now))
        if newest != seen or not source.cached:
            self._newest_seen[source.channel] = (newest, now)
            return False
        return now - since > max(_STALLED_SECONDS, 3 * playlist.target_seconds)


def _renditions(source: LiveSource) -> list[LiveSource]:
    """The source once for each of its renditions that are to be tried."""
    playlists = (source.playlist, *source.alternatives)[:MAX_RENDITIONS]
    return [dataclasses.replace(source, playlist=playlist) for playlist in playlists]


def _beginning(source: LiveSource) -> datetime | None:
    """When the broadcast began, where Twitch tells."""
    return None if source.broadcast is None else source.broadcast.started_at


def _may_pass(failure: TwitchAudioError | None) -> bool:
    """Whether another source may play although no rendition of this one does; None: all playlists were refused."""
    if failure is None or isinstance(failure, SegmentRefusedError):
        return True
    if isinstance(failure, TooLongError):
        return False
    passes = isinstance(failure, HostRefusedError) and failure.step == STEP
    return passes or (isinstance(failure, UpstreamError) and failure.retry_after_seconds is not None)


def another_may_play(error: TwitchAudioError) -> bool:
    """Whether another rendition may play although this one failed so."""
    if isinstance(error, HostWantsPauseError) or (isinstance(error, TooLongError) and error.step != STEP):
        return False
    return isinstance(error, UpstreamError) or error.code in (
        ProblemCode.RESTRICTED_STREAM,
        ProblemCode.NO_AUDIO,
    )


def _wanted(playlist: MediaPlaylist, at: datetime | None, seconds: float) -> tuple[Segment, ...]:
    """The segments to listen to: the newest, or around a moment. Raises `moment-gone` for one not listed."""
    if at is None:
        return newest_content(playlist, wanted_seconds=seconds, enough_seconds=MIN_TAKE_SECONDS)
    found = content_around(playlist, at, wanted_seconds=seconds, enough_seconds=MIN_TAKE_SECONDS)
    if not found and playlist.segments:
        raise TwitchAudioError(ProblemCode.MOMENT_GONE, "The live stream has moved on.")
    return found


def _older(playlist: MediaPlaylist, first: Segment) -> tuple[Segment, ...]:
    """The content just before a segment, in the same run."""
    for run in content_runs(playlist):
        if first in run:
            return run[: run.index(first)]
    return ()


def _poll_seconds(playlist: MediaPlaylist) -> float:
    """Seconds until the next fetch of the playlist: about half a segment, as RFC 8216 says."""
    usual = playlist.segments[-1].duration_seconds if playlist.segments else playlist.target_seconds
    return min(max(usual / 2, _MIN_POLL_SECONDS), _MAX_POLL_SECONDS)


def _gave_up(playlist: MediaPlaylist, ad_left: float | None) -> TwitchAudioError:
    if ad_is_running(playlist):
        left = _AD_GUESS_SECONDS if ad_left is None else ad_left
        how_long = (
            ", and Twitch does not say for how long" if ad_left is None else f", for about {left:.0f} more seconds"
        )
        return TwitchAudioError(
            ProblemCode.AD_BREAK,
            f"Only advertisements are playing at the moment{how_long}.",
            retry_after_seconds=max(1.0, round(left + MIN_TAKE_SECONDS, 1)),
        )
    return too_slow()


def too_slow() -> TwitchAudioError:
    """The error when segments do not come in time."""
    return UpstreamError(
        "segment", "Twitch does not send enough of this broadcast in time.", code=ProblemCode.TIMEOUT
    )
