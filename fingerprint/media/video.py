"""Captures the sound around a moment of a VOD, or the nearest, from the first rendition that has it."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Final

from yarl import URL

from fingerprint.domain.audio import Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError, invalid_input
from fingerprint.hls.live import total_seconds
from fingerprint.hls.moments import VideoTimeline, is_muted
from fingerprint.hls.playlist import MediaPlaylist
from fingerprint.hls.timing import (
    CLOCK_WRAP_SECONDS,
    DurationFit,
    Origin,
    TimedSegment,
    clock_jumps,
    clocks_differ,
    duration_ratio,
    duration_ratio_beside_jumps,
    durations_are_rounded,
    durations_fit,
    durations_may_be_wrong,
    fit_with_late_sound,
)
from fingerprint.media.containers import clock_wrap
from fingerprint.media.fetch import Fetcher, HostRefusedError, HostWantsPauseError, TooLongError, too_slow_to_go_on
from fingerprint.media.joined import Joined
from fingerprint.media.joined_sound import MIN_TAKE_SECONDS, Decoder, sound_of
from fingerprint.media.live import StreamSources, another_may_play, too_slow
from fingerprint.media.pcm import no_audio
from fingerprint.media.placing import PlacedSound, longest_seconds, placed_parts
from fingerprint.media.playlists import MAX_RENDITIONS, PlaylistRefusedError, fetch_playlist
from fingerprint.media.playlists import STEP as PLAYLIST_STEP
from fingerprint.media.refusals import permanent_refusal
from fingerprint.media.segment_fetch import STEP, SegmentRefusedError
from fingerprint.media.segments import SegmentCache
from fingerprint.ports import ClipSource, VideoSource

VIDEO_SECONDS: Final = 12.0
"""Seconds captured from a VOD, a third of them before the moment that was asked for."""

VIDEO_LIMIT_SECONDS: Final = 22.0
"""The time limit for all renditions together, playlists included."""

CONTINUITY_SECONDS: Final = 4.0
"""The time limit for the look at a VOD's playlist that tells whether its broadcast paused."""

_END_SECONDS: Final = 1.0
"""How far after the end of a VOD a moment may be: players round."""

_GROWING_SECONDS: Final = 120.0
"""How far after the listed end of a VOD that is being recorded a moment may be: it lags behind the stream."""

_MAX_LENGTH_RATIO: Final = 1.5
"""How many times as long as its playlist says a VOD may be."""

_MAX_SELECTIONS: Final = 6
"""How often segments are selected, each time without those that failed, when no rendition has the moment."""

_MAX_SLOW: Final = 2
"""How many renditions may be too slow before no further ones are tried."""

_NEIGHBORS: Final = 4
"""How many segments before and behind captured ones are looked at where the clock jumps."""

_MAX_CORRECTIONS: Final = 2
_MAX_DRIFT_SECONDS: Final = 1.0
"""How far a segment may be from where it was expected before the selection is corrected."""


@dataclass(slots=True)
class _Rendition:
    """A rendition whose playlist came, and what is known of its segments.

    `end_unknown`: the moment lies after the listed end, and nothing tells whether the durations are right.
    """

    timeline: VideoTimeline
    segments: SegmentCache
    ended: bool
    failed: set[int] = field(default_factory=set[int])
    failure: TwitchAudioError | None = None
    nothing_came: bool = False
    corrections: int = 0
    end_unknown: bool = False

    def has_failed(self, numbers: set[int], error: TwitchAudioError) -> None:
        """Leave out the segments with these sequence numbers from now on."""
        self.failed |= numbers
        self.failure = self.failure or error

    def check_end(self, sound: PlacedSound) -> None:
        """Raise `invalid-input` when sound confirms durations by which the moment comes after the end."""
        if self.end_unknown and sound.confirms:
            raise _too_late(self.timeline.length_seconds)


class VideoCapture:
    """Captures VODs. `sources` asks for a source in another way when no rendition plays."""

    def __init__(self, fetcher: Fetcher, decoder: Decoder, sources: StreamSources | None) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._sources = sources

    async def recording(self, source: VideoSource, seconds: float) -> Recording:
        """The sound around the moment. Raises the errors that the `Capture` port describes."""
        wanted_seconds = max(seconds, VIDEO_SECONDS)
        try:
            async with asyncio.timeout(VIDEO_LIMIT_SECONDS):
                try:
                    return await self._of_source(source, wanted_seconds, renewed=False)
                except _RefusedError as refused:
                    if self._sources is None:
                        raise refused.error from refused
                    return await self._of_renewed(source, wanted_seconds, refused.error)
        except TimeoutError as error:
            raise too_slow() from error

    async def is_continuous(self, source: VideoSource | ClipSource) -> bool:
        """Whether the broadcast shows no pause up to the moment, or the clip's end; see the `Capture` port."""
        if isinstance(source, VideoSource):
            video, until = source, source.at_seconds
        else:
            video, until = source.video, (source.offset_seconds or 0.0) + (source.duration_seconds or 0.0)
        urls = () if video is None else (video.playlist, *video.alternatives)
        try:
            async with asyncio.timeout(CONTINUITY_SECONDS):
                for url in urls[:MAX_RENDITIONS]:
                    try:
                        playlist = await fetch_playlist(self._fetcher, url, video=True)
                    except (TwitchAudioError, PlaylistRefusedError):
                        continue
                    timeline = VideoTimeline(playlist)
                    listed = playlist.ended or until <= timeline.length_seconds + _END_SECONDS
                    return listed and not timeline.has_break(until)
        except TimeoutError:
            pass
        return False

    async def _of_renewed(self, source: VideoSource, wanted_seconds: float, error: TwitchAudioError) -> Recording:
        """The sound from a source that was asked for in another way. Raises `error` when that has none either."""
        assert self._sources is not None, "there is something to renew it with"
        try:
            renewed = await self._sources.renew_video(source)
            return await self._of_source(renewed, wanted_seconds, renewed=True)
        except (TwitchAudioError, _RefusedError):
            raise error from None

    async def _of_source(self, source: VideoSource, wanted_seconds: float, *, renewed: bool) -> Recording:
        """The sound of the moment from the first rendition that has it, or else the nearest sound.

        A `renewed` source is given up when the segments of one rendition fail.

        Raises _RefusedError when no rendition plays but another source may, and TwitchAudioError.
        """
        renditions: list[_Rendition] = []
        failures: list[TwitchAudioError] = []
        slow, renewable = 0, True
        for url in (source.playlist, *source.alternatives)[:MAX_RENDITIONS]:
            try:
                rendition = await self._rendition(url, source.at_seconds)
                renditions.append(rendition)
                probing = renewed or len(renditions) > 1
                recording = await self._selected(rendition, source.at_seconds, wanted_seconds, probing=probing)
                if recording is not None:
                    return recording
                error = rendition.failure or _incomplete(self._fetcher)
            except PlaylistRefusedError as refused:
                error = refused_video(self._fetcher.upstream, refused.status)
            except TwitchAudioError as caught:
                if not another_may_play(caught):
                    raise
                error = caught
                passes = isinstance(error, HostRefusedError) and error.step == PLAYLIST_STEP
                passes = passes or (isinstance(error, UpstreamError) and bool(error.retry_after_seconds))
                renewable = renewable and passes
            failures.append(error)
            slow += too_slow_to_go_on(error)
            if slow >= _MAX_SLOW or (renewed and renditions):
                break
        nearest = await self._nearest(renditions, source.at_seconds, wanted_seconds)
        if nearest is not None:
            return nearest
        ended = all(rendition.ended for rendition in renditions)
        error = _as_told(failures[0], ended=ended)
        if renewable and not slow and error.code is not ProblemCode.NO_AUDIO:
            raise _RefusedError(error)
        raise error

    async def _rendition(self, url: URL, at_seconds: float) -> _Rendition:
        """A rendition's playlist. Raises PlaylistRefusedError, and TwitchAudioError, also for a wrong moment."""
        playlist = await fetch_playlist(self._fetcher, url, video=True)
        if not playlist.segments:
            raise no_audio("Twitch has published none of this video yet")
        found = _Rendition(VideoTimeline(playlist), SegmentCache(self._fetcher, url, dated=False), playlist.ended)
        length = found.timeline.length_seconds
        if playlist.ended and length + _END_SECONDS <= at_seconds <= length * _MAX_LENGTH_RATIO:
            length = await self._true_length(found)
        _check_moment(playlist, length, at_seconds)
        return found

    async def _true_length(self, rendition: _Rendition) -> float:
        """How long a video is whose durations may be too short, by its first and last segments' clock.

        The timeline learns of it.
        """
        timeline, last = rendition.timeline, len(rendition.timeline.segments) - 1
        listed = timeline.listed_start(last)
        if not listed:
            return timeline.length_seconds
        ratio = 1.0
        if timeline.origin_of(last) == 0:
            stamps = [await rendition.segments.first_timestamp(timeline.segments[each]) for each in (0, last)]
            if stamps[0] is not None and stamps[1] is not None:
                ratio = (stamps[1] - stamps[0]) / listed
        if not 1.0 < ratio <= _MAX_LENGTH_RATIO:
            # The clock jumps: the last segments are taken to be like the others.
            wrap = math.inf if timeline.segments[last].init is not None else CLOCK_WRAP_SECONDS
            near = await self._timed(rendition, range(last, -1, -1), last, most=2 * _NEIGHBORS)
            if clocks_differ(near, wrap=wrap):
                rendition.end_unknown = True
                return timeline.length_seconds * _MAX_LENGTH_RATIO
            ratio = duration_ratio_beside_jumps(near, wrap=wrap)
        if not 1.0 < ratio <= _MAX_LENGTH_RATIO:
            return timeline.length_seconds
        timeline.learn(last, listed * ratio)
        return timeline.length_seconds * ratio

    async def _nearest(
        self, renditions: list[_Rendition], at_seconds: float, wanted_seconds: float
    ) -> Recording | None:
        """The sound nearest to a moment that no rendition has; None when there is none.

        A rendition of which something came goes first.
        """
        left = _MAX_SELECTIONS
        for rendition in sorted(renditions, key=lambda each: each.nothing_came):
            while left and rendition.timeline.around(at_seconds, wanted_seconds, rendition.failed) is not None:
                left -= 1
                try:
                    recording = await self._selected(rendition, at_seconds, wanted_seconds)
                except TwitchAudioError as error:
                    if not another_may_play(error):
                        raise
                    break
                if recording is not None:
                    return recording
        return None

    async def _selected(
        self, rendition: _Rendition, at_seconds: float, wanted_seconds: float, *, probing: bool = False
    ) -> Recording | None:
        """The nearest sound of a rendition, without the segments that failed so far; None when more of them fail.

        When `probing`, the nearest segment has to come before any other is fetched. Raises TwitchAudioError when
        the video is muted, and when asking for other segments is of no use.
        """
        while True:
            timeline = rendition.timeline
            stretch = timeline.around(at_seconds, wanted_seconds, rendition.failed)
            if stretch is None:
                raise rendition.failure or _without_sound(timeline, at_seconds)
            wanted = [stretch.holding] if probing else stretch.segments
            try:
                if probing:
                    await rendition.segments.joined(wanted)
                    wanted = stretch.segments
                joined = await rendition.segments.joined(
                    wanted,
                    holding=stretch.holding,
                    decoding=self._decoder.begin(max_seconds=longest_seconds(total_seconds(wanted))),
                )
            except (HostWantsPauseError, TooLongError):
                raise
            except UpstreamError as error:
                rendition.has_failed({segment.sequence for segment in wanted}, error)
                rendition.nothing_came = True
                if too_slow_to_go_on(error):
                    raise
                return None
            if joined.failed:
                rendition.has_failed(set(joined.failed), _incomplete(self._fetcher))
            enough = min(MIN_TAKE_SECONDS, timeline.length_seconds)
            if stretch.holding.sequence in joined.failed or (joined.failed and joined.duration_seconds < enough):
                joined.abandon()  # without those that failed, a longer stretch may hold the moment
                return None
            first = stretch.first + stretch.segments.index(joined.segments[0])
            origin, told = await self._origin(rendition, joined, first)
            if origin is not None and rendition.corrections < _MAX_CORRECTIONS:
                start = placed_parts(joined, origin)[0][0]
                if abs(timeline.learn(first, timeline.listed_start(first) + start)) > _MAX_DRIFT_SECONDS:
                    rendition.corrections += 1
                    joined.abandon()
                    continue
            try:
                sound = await sound_of(self._decoder, joined, origin)
            except TwitchAudioError as error:
                if error.code is not ProblemCode.NO_AUDIO:
                    raise
                rendition.has_failed({segment.sequence for segment in joined.segments}, error)
                return None
            rendition.check_end(sound)
            corrected = origin is not None and origin.ratio != 1.0
            encoded, container = joined.encoded
            return Recording(
                pcm=sound.pcm,
                encoded=encoded,
                container=container,
                from_seconds=max(0.0, timeline.listed_start(first) + sound.start_seconds),
                place_uncertain=not sound.confirms and (corrected or not told or len(joined.segments) > 1),
                after_break=any(
                    each.discontinuity for each in timeline.segments[1 : first + len(joined.segments)]
                ),
            )

    async def _origin(self, rendition: _Rendition, joined: Joined, first: int) -> tuple[Origin | None, bool]:
        """Where the clock of the captured segments started, if the playlist's durations turn out to be wrong.

        And whether timestamps tell where the first of these segments is.
        """
        container = joined.parts[0].container
        alike = takewhile(lambda part: part.container == container, joined.parts)
        timed = [segment for part in alike for segment in part.timed]
        wrap = clock_wrap(container)
        rounded = durations_are_rounded(timed, wrap=wrap)
        if not rounded and not durations_may_be_wrong(timed, wrap=wrap):
            return None, True
        timeline = rendition.timeline
        number = timeline.origin_of(first)
        stamp = timed[0].first_timestamp
        if number != first:
            stamp = await rendition.segments.first_timestamp(timeline.segments[number])
        if stamp is None:
            return None, False
        listed = timeline.listed_start(first) - timeline.listed_start(number)
        origin = Origin(start_seconds=-listed, first_timestamp=stamp, count=first - number, listed_seconds=listed)
        told = origin.is_on_the_clock_of(timed[0], wrap=wrap)
        if len(timed) == 1 and origin.contradicts(timed[0], wrap=wrap):
            timed += await self._timed_after(rendition, first)
        ratio = duration_ratio(timed, wrap=wrap, origin=origin)
        if ratio == 1.0 and (clock_jumps(timed, wrap=wrap) or not told):
            beside = await self._ratio_beside_jumps(rendition, timed, first, wrap)
            if beside != 1.0 and timed[0].first_timestamp is not None:
                found = Origin(
                    start_seconds=timeline.listed_start(first) * (beside - 1.0),
                    first_timestamp=timed[0].first_timestamp,
                    count=0,
                    listed_seconds=0.0,
                    ratio=beside,
                )
                return found, told
        if ratio == 1.0 and (fit := await self._fit_with_late_sound(rendition, timed, first, number, wrap)):
            late = max(each.duration_seconds for each in timed)
            origin = replace(origin, first_timestamp=stamp - fit.late_seconds, late_seconds=late)
            ratio = fit.ratio
        if ratio == 1.0 and not rounded:
            return None, told  # sound is missing rather, maybe of the origin
        # What comes before another clock is taken to be wrong in the same proportion.
        start = timeline.listed_start(number) * ratio - timeline.listed_start(first)
        return replace(origin, start_seconds=start, ratio=ratio), told

    async def _ratio_beside_jumps(
        self, rendition: _Rendition, timed: Sequence[TimedSegment], first: int, wrap: float
    ) -> float:
        """How much longer segments are than the playlist says where the clock jumps, by those near them; or 1."""
        ratio = duration_ratio_beside_jumps(timed, wrap=wrap)
        if ratio != 1.0:
            return ratio
        last = first + len(timed)
        before = await self._timed(rendition, range(first - 1, -1, -1), first)
        after = await self._timed(rendition, range(last, len(rendition.timeline.segments)), first)
        return duration_ratio_beside_jumps([*before, *timed, *after], wrap=wrap)

    async def _timed(
        self, rendition: _Rendition, numbers: range, first: int, *, most: int = _NEIGHBORS
    ) -> list[TimedSegment]:
        """The first of these segments that have sound, in the video's order; the start of `first` is 0.

        Only their beginnings are fetched.
        """
        timeline = rendition.timeline
        heard = (
            each for each in numbers if not (is_muted(timeline.segments[each]) or timeline.segments[each].gap)
        )
        wanted = sorted(islice(heard, most))
        stamps = await asyncio.gather(
            *(rendition.segments.first_timestamp(timeline.segments[each]) for each in wanted)
        )
        return [
            TimedSegment(
                start_seconds=timeline.listed_start(each) - timeline.listed_start(first),
                duration_seconds=timeline.segments[each].duration_seconds,
                first_timestamp=stamp,
                discontinuity=timeline.segments[each].discontinuity,
            )
            for each, stamp in zip(wanted, stamps, strict=True)
        ]

    async def _fit_with_late_sound(
        self, rendition: _Rendition, timed: Sequence[TimedSegment], first: int, number: int, wrap: float
    ) -> DurationFit | None:
        """What explains timestamps that neither the durations nor one proportion of them do; None: nothing does.

        Two neighbors on the same clock that lie elsewhere have to agree: those from `number` on, the first on that
        clock, or else those after the captured ones. How late the first one is counts from the segment `number`.
        """
        if durations_fit(timed, wrap=wrap):
            return None
        timeline, after = rendition.timeline, first + len(timed) + 1
        earlier = range(number, min(number + 2, first))
        later = range(after, after + 2) if len(earlier) < 2 else range(0)
        if later and (later[-1] >= len(timeline.segments) or timeline.origin_of(later[-1]) != number):
            return None
        elsewhere = [
            TimedSegment(
                start_seconds=timeline.listed_start(each) - timeline.listed_start(first),
                duration_seconds=timeline.segments[each].duration_seconds,
                first_timestamp=await rendition.segments.first_timestamp(timeline.segments[each]),
            )
            for each in (*earlier, *later)
        ]
        split = len(earlier)
        return fit_with_late_sound([*elsewhere[:split], *timed, *elsewhere[split:]], wrap=wrap)

    async def _timed_after(self, rendition: _Rendition, first: int) -> list[TimedSegment]:
        """The segment after the one with number `first`, whose start is 0, if it is on the same clock."""
        following = rendition.timeline.segments[first + 1 : first + 2]
        return [
            TimedSegment(
                start_seconds=rendition.timeline.segments[first].duration_seconds,
                duration_seconds=each.duration_seconds,
                first_timestamp=await rendition.segments.first_timestamp(each),
                discontinuity=each.discontinuity,
            )
            for each in following
        ]


class _RefusedError(Exception):
    """No rendition of a source plays; another source may. `error` is reported when none does."""

    def __init__(self, error: TwitchAudioError) -> None:
        super().__init__(str(error))
        self.error = error


def _incomplete(fetcher: Fetcher) -> UpstreamError:
    return UpstreamError(STEP, f"{fetcher.upstream} does not send all of this part of the video.")


def _as_told(error: TwitchAudioError, *, ended: bool) -> TwitchAudioError:
    """The error to report; that segments are refused does not change by asking again.

    Of a video that still grows (not `ended`), the newest part may only not be there yet.
    """
    if not isinstance(error, SegmentRefusedError):
        return error
    if error.status == 403:
        detail = "Twitch does not give out the sound of this part of the video."
        return TwitchAudioError(ProblemCode.RESTRICTED_STREAM, detail)
    if error.status in (404, 410) and ended:
        detail = "Twitch no longer has the sound of this part of the video."
        return TwitchAudioError(ProblemCode.VIDEO_NOT_FOUND, detail)
    return error


def refused_video(upstream: str, status: int) -> TwitchAudioError:
    """The error when a VOD's playlist is refused, which asking again does not change."""
    if status == 403:
        return TwitchAudioError(
            ProblemCode.RESTRICTED_STREAM,
            "Twitch does not let this server listen to this video: it may be for subscribers only, or not be "
            "shown in the region of this server.",
        )
    if status in (404, 410):
        return TwitchAudioError(
            ProblemCode.VIDEO_NOT_FOUND, "Twitch still lists this video, but its sound is gone."
        )
    refusal = permanent_refusal(PLAYLIST_STEP, upstream, status)
    assert refusal is not None, "PlaylistRefusedError has no other statuses"
    return refusal


def _without_sound(timeline: VideoTimeline, at_seconds: float) -> TwitchAudioError:
    return no_audio(
        "Twitch has muted this part of the video because of the rights to its music"
        if timeline.is_muted_at(at_seconds)
        else "Twitch's list says that this part of the video was never made"
    )


def _too_late(length_seconds: float) -> TwitchAudioError:
    return invalid_input(f"This video is {length_seconds:.0f} s long; the moment asked for comes later.")


def _check_moment(playlist: MediaPlaylist, length_seconds: float, at_seconds: float) -> None:
    """Raise `invalid-input` for a moment after the end. Of a VOD that still grows the end is not known exactly."""
    if playlist.ended:
        if at_seconds >= length_seconds + _END_SECONDS:
            raise _too_late(length_seconds)
    elif at_seconds >= length_seconds + _GROWING_SECONDS:
        raise invalid_input(
            f"This video is still being recorded, and is {length_seconds:.0f} s long so far; "
            "the moment asked for comes later."
        )
