"""The sound of a whole VOD or file, part by part, in bounded memory: the `WholeSound` port."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from yarl import URL

from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.hls.moments import VideoTimeline, is_muted
from fingerprint.hls.playlist import MediaPlaylist, Segment
from fingerprint.media.fetch import Fetcher
from fingerprint.media.joined_sound import Decoder, sound_of
from fingerprint.media.live import another_may_play
from fingerprint.media.pcm import no_audio
from fingerprint.media.playlists import MAX_RENDITIONS, PlaylistRefusedError, fetch_playlist
from fingerprint.media.segment_fetch import SegmentRefusedError
from fingerprint.media.segments import SegmentCache
from fingerprint.media.true_lengths import true_ratio
from fingerprint.media.video import refused_video
from fingerprint.ports import SoundPart, VideoSource, WholeSound
from fingerprint.retry import retry_budget
from fingerprint.tasks import cancel_and_wait

GROUP_SEGMENTS: Final = 3
"""How many segments of a VOD are fetched and decoded together: half a minute."""

KEPT_GROUPS: Final = 3
KEPT_SECONDS: Final = 60.0
"""How much decoded sound is kept, so that one can look back to where a song began."""

HOLE_SECONDS: Final = 0.5
"""Sound that is shorter than its segments by less is whole: their listed durations are not exact."""

MAX_RETRIES: Final = 4
"""The most retries of upstream calls for one group."""

MAX_FAILED: Final = 4
"""How many groups in a row may be missing before the VOD is given up for now."""

MAX_LOOKS: Final = 10
"""How often the list of segments is fetched anew when some cannot be had: Twitch may mute a VOD at any time."""


@asynccontextmanager
async def open_whole_file(decoder: Decoder, path: Path) -> AsyncGenerator[WholeSound]:
    """The sound of a file. Raises TwitchAudioError with the first part: `not-found`, `no-audio`, `internal`."""
    async with aclosing(decoder.file_blocks(path)) as blocks:
        yield WholeFile(blocks)


class WholeFile:
    """A file's sound, which is decoded as far as it is asked for; the last minute of it is kept."""

    def __init__(self, blocks: AsyncGenerator[Pcm]) -> None:
        self._blocks = blocks
        self._kept = np.empty((1, 0), np.float32)
        self._from = 0
        self._ended = False

    @property
    def duration_seconds(self) -> float | None:
        return (self._from + self._kept.shape[1]) / SAMPLE_RATE if self._ended else None

    @property
    def continuous(self) -> bool:
        return True

    @property
    def growing(self) -> bool:
        return False

    async def part(self, start: float, seconds: float) -> SoundPart:
        first = round(start * SAMPLE_RATE)
        last = first + round(seconds * SAMPLE_RATE)
        while not self._ended and self._from + self._kept.shape[1] < last:
            try:
                self._keep(await anext(self._blocks), first)
            except StopAsyncIteration:
                self._ended = True
        if first < self._from:
            return SoundPart(seconds=seconds)
        samples = np.ascontiguousarray(self._kept[:, first - self._from : last - self._from])
        if not samples.shape[1]:
            return SoundPart(seconds=0.0)
        return SoundPart(pcm=Pcm(samples), seconds=samples.shape[1] / SAMPLE_RATE)

    def _keep(self, block: Pcm, needed_from: int) -> None:
        channels = block.samples.shape[0]
        old = self._kept if self._kept.shape[0] == channels else np.repeat(_mono(self._kept), channels, axis=0)
        kept = np.concatenate([old, block.samples], axis=1)
        most = round(KEPT_SECONDS * SAMPLE_RATE)
        dropped = max(0, min(kept.shape[1] - most, needed_from - self._from))
        self._kept, self._from = kept[:, dropped:], self._from + dropped


def _mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return samples.mean(axis=0, keepdims=True, dtype=np.float32) if samples.shape[1] else samples[:1]


@dataclass(frozen=True, slots=True)
class _Group:
    """Some consecutive segments, with or without sound. `first`: the number of the first one; times in seconds."""

    first: int
    segments: Sequence[Segment]
    start: float
    end: float
    muted: bool
    gap: bool


async def open_whole_video(fetcher: Fetcher, decoder: Decoder, source: VideoSource) -> "WholeVideo":
    """The sound of a VOD, from the first rendition whose list of segments can be had.

    Raises TwitchAudioError: `restricted-stream`, `video-not-found`, `no-audio`, `upstream-unavailable`, `timeout`.
    """
    failure: TwitchAudioError | None = None
    for url in (source.playlist, *source.alternatives)[:MAX_RENDITIONS]:
        try:
            with retry_budget(MAX_RETRIES):
                playlist = await fetch_playlist(fetcher, url, video=True)
        except PlaylistRefusedError as refused:
            failure = failure or refused_video(fetcher.upstream, refused.status)
            continue
        except TwitchAudioError as error:
            if not another_may_play(error):
                raise
            failure = failure or error
            continue
        if not playlist.segments:
            raise no_audio("Twitch has published none of this video yet")
        listed_now = partial(_listed_now, fetcher, url)
        segments = SegmentCache(fetcher, url, dated=False)
        with retry_budget(MAX_RETRIES):
            ratio = await true_ratio(segments, playlist.segments)
        return WholeVideo(decoder, segments, playlist, listed_now, ratio=ratio)
    assert failure is not None, "a source has a playlist"
    raise failure


async def _listed_now(fetcher: Fetcher, url: URL) -> MediaPlaylist | None:
    """A rendition's list of segments as it is now; None when it cannot be had."""
    try:
        return await fetch_playlist(fetcher, url, video=True)
    except (PlaylistRefusedError, TwitchAudioError):
        return None


class WholeVideo:
    """A VOD's sound. The next half minute is fetched while the last one is listened to. `close` it.

    `listed_now` fetches its list of segments again. `ratio`: how much longer segments are than their list says.
    """

    def __init__(
        self,
        decoder: Decoder,
        segments: SegmentCache,
        playlist: MediaPlaylist,
        listed_now: Callable[[], Awaitable[MediaPlaylist | None]],
        *,
        ratio: float = 1.0,
    ) -> None:
        self._ratio = ratio
        self._decoder = decoder
        self._segments = segments
        self._listed_now = listed_now
        self._looks = 0
        self._newer: MediaPlaylist | None = None
        self._growing = not playlist.ended
        self._failed = 0
        self._decoded: dict[int, asyncio.Task[tuple[float, Pcm] | None]] = {}
        self._use(playlist)

    def _use(self, playlist: MediaPlaylist) -> None:
        if self._ratio != 1.0:
            longer = (
                replace(each, duration_seconds=each.duration_seconds * self._ratio) for each in playlist.segments
            )
            playlist = replace(playlist, segments=tuple(longer))
        self._timeline = VideoTimeline(playlist)
        self._groups = list(_groups(self._timeline))
        self._starts = [group.start for group in self._groups]

    @property
    def duration_seconds(self) -> float | None:
        return self._timeline.length_seconds

    @property
    def continuous(self) -> bool:
        return not self._timeline.has_break(self._timeline.length_seconds)

    @property
    def growing(self) -> bool:
        return self._growing

    async def close(self) -> None:
        """End the fetching that is under way."""
        tasks = tuple(self._decoded.values())
        self._decoded.clear()
        await cancel_and_wait(*tasks)

    async def part(self, start: float, seconds: float) -> SoundPart:
        part = await self._part(start, seconds)
        while self._newer is not None:
            newer, self._newer = self._newer, None
            await self.close()
            self._use(newer)
            part = await self._part(start, seconds)
        return part

    async def _part(self, start: float, seconds: float) -> SoundPart:
        number = max(0, bisect_right(self._starts, start + 1e-6) - 1)
        group = self._groups[number]
        if start >= group.end - 1e-6:
            return SoundPart(seconds=0.0)
        if group.muted or group.gap:
            return SoundPart(seconds=group.end - start, muted=group.muted)
        sound = await self._sound(number)
        if sound is None:
            return SoundPart(seconds=group.end - start)
        if start < sound[0] - HOLE_SECONDS:
            return SoundPart(seconds=min(sound[0], group.end) - start)
        until = _until(sound, group)
        if start >= until - 1e-3:
            return SoundPart(seconds=group.end - start)
        pieces = [_cut(sound, start, seconds)]
        while until == group.end < start + seconds and number + 1 < len(self._groups):
            number += 1
            group = self._groups[number]
            more = None if group.muted or group.gap else await self._sound(number)
            if more is None or more[0] > group.start + HOLE_SECONDS:
                break
            pieces.append(_cut(more, group.start, start + seconds - group.start))
            until = _until(more, group)
        covered = min(start + seconds, until) - start
        samples = _concatenated(pieces)
        return SoundPart(pcm=Pcm(samples) if samples.shape[1] else None, seconds=covered)

    async def _sound(self, number: int) -> tuple[float, Pcm] | None:
        """A group's sound and where it begins, in seconds; None when it is missing."""
        for wanted in (number, number + 1):
            if wanted < len(self._groups) and wanted not in self._decoded:
                group = self._groups[wanted]
                if not group.muted and not group.gap:
                    self._decoded[wanted] = asyncio.create_task(self._fetch(group))
        sound = await asyncio.shield(self._decoded[number])
        for old in [each for each in self._decoded if abs(each - number) >= KEPT_GROUPS]:
            self._decoded.pop(old).cancel()
        return sound

    async def _fetch(self, group: _Group) -> tuple[float, Pcm] | None:
        try:
            with retry_budget(MAX_RETRIES):
                joined = await self._segments.joined(group.segments)
                first = group.first + list(group.segments).index(joined.segments[0])
                sound = await sound_of(self._decoder, joined)
        except TwitchAudioError as error:
            if error.code is ProblemCode.NO_AUDIO:
                return None
            if error.code is ProblemCode.BUSY or not isinstance(error, UpstreamError):
                raise
            if isinstance(error, SegmentRefusedError) and await self._muted_meanwhile(group):
                return None
            self._failed += 1
            if self._failed == 1:
                await self._check_refusal(error)
            if self._failed > MAX_FAILED:
                raise _as_told(error) from error
            return None
        if joined.failed and await self._muted_meanwhile(group):
            return None
        self._failed = 0
        return self._timeline.listed_start(first) + max(0.0, sound.start_seconds), sound.pcm

    async def _muted_meanwhile(self, group: _Group) -> bool:
        """Whether Twitch has muted some of a group since the segments were listed; then the newer list counts."""
        if self._looks >= MAX_LOOKS:
            return False
        self._looks += 1
        playlist = await self._listed_now()
        if playlist is None or len(playlist.segments) < len(self._timeline.segments):
            return False
        now = playlist.segments[group.first : group.first + len(group.segments)]
        if not any(map(is_muted, now)):
            return False
        # What was recorded since then is left for the next time.
        self._newer = replace(playlist, segments=playlist.segments[: len(self._timeline.segments)])
        return True

    async def _check_refusal(self, error: UpstreamError) -> None:
        """Raise TwitchAudioError when all of the VOD is refused, and not only what failed.

        So it is when the VOD was deleted meanwhile, or closed to all but subscribers.
        """
        if not isinstance(error, SegmentRefusedError):
            return
        heard = [each for each in self._timeline.segments if not is_muted(each) and not each.gap]
        statuses = {await self._segments.refusal(each) for each in (heard[0], heard[-1])}
        if statuses <= {404, 410} and not self._growing:
            detail = "Twitch no longer has the sound of this video."
            raise TwitchAudioError(ProblemCode.VIDEO_NOT_FOUND, detail) from error
        if statuses <= {401, 403}:
            raise _closed() from error


def _as_told(error: UpstreamError) -> TwitchAudioError:
    """The error when nothing can be had any more; that segments are refused does not change by asking again."""
    return _closed() if isinstance(error, SegmentRefusedError) and error.status == 403 else error


def _closed() -> TwitchAudioError:
    return TwitchAudioError(ProblemCode.RESTRICTED_STREAM, "Twitch does not give out the sound of this video.")


def _groups(timeline: VideoTimeline) -> Sequence[_Group]:
    groups: list[_Group] = []
    first = 0
    segments = timeline.segments
    while first < len(segments):
        muted, gap = is_muted(segments[first]), segments[first].gap
        after = first + 1
        while (
            after < len(segments)
            and (is_muted(segments[after]), segments[after].gap) == (muted, gap)
            and (muted or gap or after - first < GROUP_SEGMENTS)
        ):
            after += 1
        start, end = timeline.listed_start(first), timeline.listed_start(after)
        if end > start:
            groups.append(_Group(first, segments[first:after], start, end, muted, gap))
        first = after
    return groups


def _until(sound: tuple[float, Pcm], group: _Group) -> float:
    """Where the sound of a group ends: before the group where its last segments are missing."""
    end = sound[0] + sound[1].duration_seconds
    return end if end < group.end - HOLE_SECONDS else group.end


def _cut(sound: tuple[float, Pcm], start: float, seconds: float) -> Pcm:
    begins, pcm = sound
    return pcm.cut(max(0.0, start - begins), seconds)


def _concatenated(pieces: Sequence[Pcm]) -> NDArray[np.float32]:
    channels = max(piece.samples.shape[0] for piece in pieces)
    alike = [np.broadcast_to(piece.samples, (channels, piece.samples.shape[1])) for piece in pieces]
    return np.ascontiguousarray(np.concatenate(alike, axis=1))
