"""Fetches the segments of a playlist in parallel, and joins those that arrived."""

import asyncio
import math
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import accumulate, groupby
from typing import Any, Final, TypeVar

from yarl import URL

from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.hls.attributes import PlaylistError, address
from fingerprint.hls.moments import MAX_TAKE_SEGMENTS
from fingerprint.hls.playlist import InitSection, Segment
from fingerprint.hls.timing import TimedSegment
from fingerprint.media.ahead import DecodingAhead
from fingerprint.media.containers import (
    first_timestamp,
    has_protected_sound,
    missing_bytes,
)
from fingerprint.media.fetch import Fetcher, HostWantsPauseError, StalledError, TooLongError, too_slow_to_go_on
from fingerprint.media.fragment_filter import FragmentFilter, SoundTracks, sound_tracks
from fingerprint.media.joined import (
    EXTRA_SECONDS,
    NO_HEAD,
    Head,
    Joined,
    MediaPart,
    continues,
    sound_of,
    stretch_of,
)
from fingerprint.media.partial_response import PartialResponse
from fingerprint.media.pieces_in_order import PiecesInOrder
from fingerprint.media.refusals import PROTECTED
from fingerprint.media.segment_fetch import (
    IDENTITY_ENCODING,
    MAX_KEPT_BYTES,
    STEP,
    TOTAL_SECONDS,
    SegmentRefusedError,
    beginning_of,
    container_or_mpegts,
    fetch_resource,
    no_sound,
)
from fingerprint.media.sound_filter import SoundFilter, lacks_sound
from fingerprint.tasks import cancel_and_wait

T = TypeVar("T")

MAX_CACHED_BYTES: Final = 32 << 20
"""How many bytes a SegmentCache holds."""
_REPLACEMENT_ROUNDS: Final = 2
PREFETCH_STEP: Final = "prefetch"

_Key = tuple[int, datetime | None]


def _key(segment: Segment) -> _Key:
    """What a segment is known by: not its address, which may be signed again in the next playlist."""
    return segment.sequence, segment.started_at


class SegmentCache:
    """The segments of one playlist, fetched in parallel and cached within a limit of bytes.

    `dated`: dates place them in time, and not their durations alone; a VOD's time does not pass while nothing is
    broadcast.
    """

    def __init__(self, fetcher: Fetcher, base: URL, *, dated: bool = True) -> None:
        self._fetcher = fetcher
        self._base = base
        self._dated = dated
        self._cached: dict[_Key, bytes] = {}
        self._cached_bytes = 0
        self._heads: dict[InitSection, Head | UpstreamError] = {}
        self._head_locks: dict[InitSection, asyncio.Lock] = {}
        self._stamps: dict[_Key, float] = {}  # of segments whose picture was left out

    def fetch_prefetch(self, uri: str) -> PartialResponse | None:
        """Fetch a segment that is still being produced, as it arrives; it is not cached."""
        try:
            url = address(self._base, uri)
        except PlaylistError:
            return None
        return self._fetcher.get_partial(
            url,
            step=PREFETCH_STEP,
            max_bytes=MAX_KEPT_BYTES,
            total_seconds=TOTAL_SECONDS,
            headers=IDENTITY_ENCODING,
        )

    async def joined(
        self,
        wanted: Sequence[Segment],
        older: Sequence[Segment] = (),
        *,
        holding: Segment | None = None,
        following: str | None = None,
        decoding: DecodingAhead | None = None,
    ) -> Joined:
        """Join the wanted segments; those that are not cached are fetched in parallel.

        For segments that fail, as many of the `older` ones, which precede them, are fetched, in two rounds at
        most. Segments whose init section fails are of no use. The result is the run without a gap that contains
        `holding`, if that one came, or else the longest, the newest of equally long ones; the caller decides
        whether it is long enough.

        `following` is the URI of a segment that is still being produced: the part of it that has arrived when the
        others are complete is appended, without waiting for more. `decoding` receives the pieces in order, and is
        abandoned when one is missing.

        Raises the first failure, an UpstreamError, when no segment could be fetched.
        """
        wanted = wanted[-MAX_TAKE_SEGMENTS:]
        self._heads = {init: head for init, head in self._heads.items() if isinstance(head, Head)}
        inits = list(dict.fromkeys(segment.init for segment in wanted))
        queue = PiecesInOrder(len(wanted) + 1, decoding if len(inits) == 1 else None)
        try:
            fetching = [
                *(asyncio.create_task(queue.put(0, partial(self._sound_head, init))) for init in inits),
                *(
                    asyncio.create_task(queue.put(1 + place, partial(self._segment, one)))
                    for place, one in enumerate(wanted)
                ),
            ]
            more = None if following is None else self.fetch_prefetch(following)
            results = await _results(fetching)
            came = await self._fetched(wanted, results[len(inits) :], older)
            heads = await self._heads_of([segment for segment in (*older, *wanted) if segment.sequence in came])
            came = {
                segment.sequence: came[segment.sequence]
                for segment in (*older, *wanted)
                if segment.sequence in came and segment.init in heads
            }
            stretch = stretch_of([*older, *wanted], came, holding)
            parts = self._parts(stretch, came, heads)
            last, tail = parts[-1], b""
            if (
                more is not None
                and stretch[-1] == wanted[-1]
                and continues(last.timed[-1], more.so_far, last.container, heads[stretch[-1].init])
            ):
                tail = await sound_of(more.so_far, heads[stretch[-1].init].tracks)
                parts[-1] = replace(last, encoded=last.encoded + tail)
            return Joined(
                segments=stretch,
                parts=parts,
                failed=frozenset(segment.sequence for segment in wanted) - came.keys(),
                extra_seconds=EXTRA_SECONDS if tail else 0.0,
                decoding=queue.complete(tail, last.container)
                if len(stretch) == len(wanted) and len(parts) == 1
                else None,
            )
        finally:
            queue.close()

    async def first_timestamp(self, segment: Segment) -> float | None:
        """The first timestamp of a segment, of which only the beginning is fetched; None when it cannot be had."""
        head, start = await asyncio.gather(
            self._head(segment.init),
            fetch_resource(
                self._fetcher, self._base, segment.uri, beginning_of(segment), has_init=segment.init is not None
            ),
        )
        if isinstance(head, UpstreamError) or isinstance(start, UpstreamError):
            return None
        return first_timestamp(start, container_or_mpegts(start, has_init=bool(head.content)), head=head.content)

    async def refusal(self, segment: Segment) -> int | None:
        """The status with which a segment is refused; None when it comes, or fails in another way."""
        start = await fetch_resource(
            self._fetcher, self._base, segment.uri, beginning_of(segment), has_init=segment.init is not None
        )
        return start.status if isinstance(start, SegmentRefusedError) else None

    async def _fetched(
        self, wanted: Sequence[Segment], results: Sequence[bytes | UpstreamError], older: Sequence[Segment]
    ) -> dict[int, bytes]:
        """The wanted segments that arrived, and older ones in place of those that failed."""
        came = _that_came(wanted, results)
        spare = [] if _come_too_slowly(results) else list(older)
        for _ in range(_REPLACEMENT_ROUNDS):
            missing = min(len(wanted) - len(came), len(spare))
            if missing == 0:
                break
            replacements, spare = spare[-missing:], spare[:-missing]
            more = await _all(self._segment(segment) for segment in replacements)
            came |= _that_came(replacements, more)
            if _come_too_slowly(more):
                break
        if not came:
            raise next(result for result in results if isinstance(result, UpstreamError))
        return came

    async def _heads_of(self, segments: Sequence[Segment]) -> dict[InitSection | None, Head]:
        """The init sections of segments, without those that cannot be had.

        Raises the first failure when there is none.
        """
        inits = list(dict.fromkeys(segment.init for segment in segments))
        found_heads = await _results([asyncio.create_task(self._head(init)) for init in inits])
        heads = dict(zip(inits, found_heads, strict=True))
        found = {init: head for init, head in heads.items() if isinstance(head, Head)}
        if not found:
            raise next(head for head in heads.values() if isinstance(head, UpstreamError))
        return found

    async def _head(self, init: InitSection | None) -> Head | UpstreamError:
        """An init section, which is fetched once for all segments that need it, also when that fails."""
        if init is None:
            return NO_HEAD
        async with self._head_locks.setdefault(init, asyncio.Lock()):
            if init not in self._heads:
                head = await self._fetched_head(init)
                self._heads[init] = await self._fetched_head(init) if _may_still_come(head) else head
            return self._heads[init]

    async def _fetched_head(self, init: InitSection) -> Head | UpstreamError:
        content = await fetch_resource(self._fetcher, self._base, init.uri, init.byte_range, has_init=True)
        if isinstance(content, UpstreamError):
            return content
        if has_protected_sound(content):
            return UpstreamError(STEP, PROTECTED, code=ProblemCode.RESTRICTED_STREAM, retry_after_seconds=None)
        return no_sound(self._fetcher) if missing_bytes(content) else Head(content, sound_tracks(content))

    async def _sound_head(self, init: InitSection | None) -> bytes | UpstreamError:
        head = await self._head(init)
        return head.sound if isinstance(head, Head) else head

    async def _tracks(self, init: InitSection) -> SoundTracks | None:
        """The tracks to keep of segments. Raises UpstreamError when the init section cannot be had."""
        head = await self._head(init)
        if isinstance(head, UpstreamError):
            raise head.fresh_copy()
        return head.tracks

    def _parts(
        self, stretch: Sequence[Segment], came: Mapping[int, bytes], heads: Mapping[InitSection | None, Head]
    ) -> list[MediaPart]:
        """Consecutive segments as parts, split where the init section changes, the clock of MP4 goes back, or
        those of MPEG-TS begin or cease to have sound.

        FFmpeg sorts fragments by their times, and takes the tracks of MPEG-TS from the beginning.
        """
        starts = dict(zip((segment.sequence for segment in stretch), self._starts(stretch), strict=True))
        parts: list[MediaPart] = []
        for init, group in groupby(stretch, key=lambda segment: segment.init):
            parts += self._parts_of(list(group), heads[init], came, starts)
        return parts

    def _parts_of(
        self, segments: Sequence[Segment], head: Head, came: Mapping[int, bytes], starts: Mapping[int, float]
    ) -> list[MediaPart]:
        """Consecutive segments with the same init section as parts."""
        container = container_or_mpegts(came[segments[0].sequence], has_init=bool(head.content))
        runs: list[list[tuple[TimedSegment, bytes]]] = [[]]
        latest, silent = -math.inf, False
        for segment in segments:
            content = came[segment.sequence]
            stamp = self._stamps.get(_key(segment))
            if stamp is None:
                stamp = first_timestamp(content, container, head=head.content)
            if container == "mp4" and stamp is not None and runs[-1] and stamp <= latest:
                runs.append([])
            latest = latest if stamp is None else stamp
            if container == "mpegts" and silent != (silent := lacks_sound(content)) and runs[-1]:
                runs.append([])
            timed = TimedSegment(
                start_seconds=starts[segment.sequence],
                duration_seconds=segment.duration_seconds,
                first_timestamp=stamp,
                discontinuity=segment.discontinuity,
            )
            runs[-1].append((timed, content))
        return [
            MediaPart(
                timed=[timed for timed, _ in run],
                encoded=b"".join([head.sound, *(content for _, content in run)]),
                offsets=list(accumulate((len(content) for _, content in run[:-1]), initial=len(head.sound))),
                container=container,
            )
            for run in runs
        ]

    def _starts(self, stretch: Sequence[Segment]) -> list[float]:
        """When consecutive segments begin, by their dates where these count and all have one, or else by their
        durations.
        """
        dates = [segment.started_at for segment in stretch if segment.started_at is not None]
        if self._dated and len(dates) == len(stretch):
            return [(date - dates[0]).total_seconds() for date in dates]
        return list(accumulate((segment.duration_seconds for segment in stretch[:-1]), initial=0.0))

    async def _segment(self, segment: Segment) -> bytes | UpstreamError:
        key = _key(segment)
        if key in self._cached:
            return self._cached[key]
        sound: list[SoundFilter | FragmentFilter] = []

        def new_sound() -> SoundFilter | FragmentFilter:
            init = segment.init
            sound.append(SoundFilter() if init is None else FragmentFilter(lambda: self._tracks(init)))
            return sound[-1]

        content = await fetch_resource(
            self._fetcher,
            self._base,
            segment.uri,
            segment.byte_range,
            has_init=segment.init is not None,
            new_sound=new_sound,
        )
        if isinstance(content, bytes) and segment.init is not None and (missing := missing_bytes(content)):
            # What follows would be taken for the rest of its sound.
            content = content + bytes(missing) if missing <= MAX_KEPT_BYTES else no_sound(self._fetcher)
        if sound and (stamp := sound[-1].first_timestamp) is not None:
            self._stamps[key] = stamp
        if isinstance(content, bytes) and self._cached_bytes + len(content) <= MAX_CACHED_BYTES:
            self._cached[key] = content
            self._cached_bytes += len(content)
        return content


def _that_came(segments: Sequence[Segment], results: Sequence[bytes | UpstreamError]) -> dict[int, bytes]:
    return {
        segment.sequence: result
        for segment, result in zip(segments, results, strict=True)
        if not isinstance(result, UpstreamError)
    }


def _come_too_slowly(results: Sequence[bytes | UpstreamError]) -> bool:
    """Whether older segments would only take more time: all stall, or one took all of its time."""
    failures = [result for result in results if isinstance(result, UpstreamError)]
    stalled = [failure for failure in failures if isinstance(failure, StalledError)]
    return any(too_slow_to_go_on(failure) for failure in failures) or (bool(stalled) and failures == [*results])


def _may_still_come(head: Head | UpstreamError) -> bool:
    """Whether asking once more for an init section may help."""
    if not isinstance(head, UpstreamError) or isinstance(head, (HostWantsPauseError, TooLongError)):
        return False
    return head.retry_after_seconds is not None and head.code is not ProblemCode.TIMEOUT


async def _all(fetches: Iterable[Coroutine[Any, Any, bytes | UpstreamError]]) -> list[bytes | UpstreamError]:
    return await _results([asyncio.create_task(fetch) for fetch in fetches])


async def _results(tasks: Sequence[asyncio.Task[T]]) -> list[T]:
    """What the tasks return. When one crashes, the others are ended; `gather` alone would leave them running."""
    try:
        return await asyncio.gather(*tasks)
    finally:
        await cancel_and_wait(*tasks)
