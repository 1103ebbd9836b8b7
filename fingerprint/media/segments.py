"""Fetches the segments of a playlist in parallel, and joins those that arrived."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import accumulate, groupby
from typing import Any, Final, TypeVar

from yarl import URL

from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.hls.attributes import PlaylistError, address
from fingerprint.hls.live import total_seconds
from fingerprint.hls.moments import MAX_TAKE_SEGMENTS
from fingerprint.hls.playlist import ByteRange, InitSection, Segment
from fingerprint.hls.timing import TimedSegment, clock_difference
from fingerprint.media.ahead import DecodingAhead
from fingerprint.media.containers import (
    clock_wrap,
    container_of,
    first_timestamp,
    missing_bytes,
    transport_stream_start,
    unknown_boxes,
)
from fingerprint.media.fetch import BodyFilter, Fetcher, HostWantsPauseError, TooLongError
from fingerprint.media.fragment_filter import FragmentError, FragmentFilter, SoundTracks, sound_tracks
from fingerprint.media.partial_response import PartialResponse
from fingerprint.media.refusals import permanent_refusal
from fingerprint.media.sound_filter import SoundFilter, lacks_sound

T = TypeVar("T")

MAX_SEGMENT_BYTES: Final = 64 << 20
"""The longest segment that is received, its picture included: 12 s of 44 Mbit/s."""

MAX_KEPT_BYTES: Final = 32 << 20
"""The most that is kept of a segment: of one whose picture cannot be told from its sound, all of it."""

MAX_CACHED_BYTES: Final = 32 << 20
"""How many bytes a SegmentCache holds."""

EXTRA_SECONDS: Final = 10.0
"""More seconds than a segment that is still being produced ever contains."""

_TOTAL_SECONDS: Final = 5.0
_BEGINNING_BYTES: Final = 64 << 10
_REPLACEMENT_ROUNDS: Final = 2
_MAX_GAP_SECONDS: Final = 1.0
"""How far the timestamps of one segment may be from the end of the one before it."""

_IDENTITY_ENCODING: Final = {"Accept-Encoding": "identity"}
STEP: Final = "segment"
PREFETCH_STEP: Final = "prefetch"


_MAX_BOXES: Final = 5
"""How many unknown boxes of one segment are counted."""


class SegmentRefusedError(UpstreamError):
    """A segment's address was answered with `status` and without the segment."""

    def __init__(self, upstream: str, status: int) -> None:
        detail = f"{upstream} answers {status} for a segment that it listed. Try again in a moment."
        told = permanent_refusal(STEP, upstream, status) or UpstreamError(STEP, detail)
        super().__init__(STEP, told.detail, code=told.code, retry_after_seconds=told.retry_after_seconds)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Head:
    """An init section, as it came; `tracks` if it has a picture that is left out."""

    content: bytes = field(repr=False)
    tracks: SoundTracks | None = None

    @property
    def sound(self) -> bytes:
        """What is decoded of it."""
        return self.content if self.tracks is None else self.tracks.sound_head


_Key = tuple[int, datetime | None]


def _key(segment: Segment) -> _Key:
    """What a segment is known by: not its address, which may be signed again in the next playlist."""
    return segment.sequence, segment.started_at


_NO_HEAD: Final = _Head(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPart:
    """Consecutive segments with the same init section, joined to one piece of media.

    `container` is FFmpeg's name of its format. `offsets` says where each segment begins in `encoded`. `timed` has
    their times, which count from the start of the whole recording's first segment by the playlist.
    """

    timed: Sequence[TimedSegment]
    encoded: bytes = field(repr=False)
    offsets: Sequence[int]
    container: str

    @property
    def duration_seconds(self) -> float:
        """The sum of the segments' durations in the playlist."""
        return sum(segment.duration_seconds for segment in self.timed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Consecutive segments, joined to one part, or to several where the init section changes.

    `failed` are the wanted segments that did not come, by sequence number. Up to `extra_seconds` may follow the
    last part: the beginning of a segment that is still being produced. `decoding` of the only part is under way if
    it could begin while the segments were fetched.
    """

    segments: Sequence[Segment]
    parts: Sequence[MediaPart]
    failed: frozenset[int] = frozenset()
    extra_seconds: float = 0.0
    decoding: DecodingAhead | None = field(default=None, repr=False)

    @property
    def duration_seconds(self) -> float:
        """The sum of the segments' durations in the playlist."""
        return total_seconds(self.segments)

    @property
    def timed(self) -> list[TimedSegment]:
        """The times of all segments."""
        return [segment for part in self.parts for segment in part.timed]

    @property
    def encoded(self) -> tuple[bytes, str] | tuple[None, None]:
        """The media and its container; None where it is not in one part."""
        return (self.parts[0].encoded, self.parts[0].container) if len(self.parts) == 1 else (None, None)

    def abandon(self) -> None:
        """Discard its sound, and end its decoding if that is under way."""
        if self.decoding is not None:
            self.decoding.abandon()


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
        self._heads: dict[InitSection, _Head | UpstreamError] = {}
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
            total_seconds=_TOTAL_SECONDS,
            headers=_IDENTITY_ENCODING,
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
        self._heads = {init: head for init, head in self._heads.items() if isinstance(head, _Head)}
        inits = list(dict.fromkeys(segment.init for segment in wanted))
        queue = _InOrder(len(wanted) + 1, decoding if len(inits) == 1 else None)
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
            stretch = _stretch([*older, *wanted], came, holding)
            parts = self._parts(stretch, came, heads)
            last, tail = parts[-1], b""
            if (
                more is not None
                and stretch[-1] == wanted[-1]
                and _continues(last.timed[-1], more.so_far, last.container, heads[stretch[-1].init])
            ):
                tail = await _sound_of(more.so_far, heads[stretch[-1].init].tracks)
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
            _resource(
                self._fetcher, self._base, segment.uri, _beginning(segment), has_init=segment.init is not None
            ),
        )
        if isinstance(head, UpstreamError) or isinstance(start, UpstreamError):
            return None
        return first_timestamp(start, _container(start, has_init=bool(head.content)), head=head.content)

    async def is_gone(self, segment: Segment) -> bool:
        """Whether a segment's address is answered with 404 or 410."""
        start = await _resource(
            self._fetcher, self._base, segment.uri, _beginning(segment), has_init=segment.init is not None
        )
        return isinstance(start, SegmentRefusedError) and start.status in (404, 410)

    async def _fetched(
        self, wanted: Sequence[Segment], results: Sequence[bytes | UpstreamError], older: Sequence[Segment]
    ) -> dict[int, bytes]:
        """The wanted segments that arrived, and older ones in place of those that failed."""
        came = _that_came(wanted, results)
        # Where segments come too slowly, older ones would only take more time.
        slow = any(isinstance(result, UpstreamError) and result.code is ProblemCode.TIMEOUT for result in results)
        spare = [] if slow else list(older)
        for _ in range(_REPLACEMENT_ROUNDS):
            missing = min(len(wanted) - len(came), len(spare))
            if missing == 0:
                break
            replacements, spare = spare[-missing:], spare[:-missing]
            more = await _all(self._segment(segment) for segment in replacements)
            came |= _that_came(replacements, more)
        if not came:
            raise next(result for result in results if isinstance(result, UpstreamError))
        return came

    async def _heads_of(self, segments: Sequence[Segment]) -> dict[InitSection | None, _Head]:
        """The init sections of segments, without those that cannot be had.

        Raises the first failure when there is none.
        """
        inits = list(dict.fromkeys(segment.init for segment in segments))
        found_heads = await _results([asyncio.create_task(self._head(init)) for init in inits])
        heads = dict(zip(inits, found_heads, strict=True))
        found = {init: head for init, head in heads.items() if isinstance(head, _Head)}
        if not found:
            raise next(head for head in heads.values() if isinstance(head, UpstreamError))
        return found

    async def _head(self, init: InitSection | None) -> _Head | UpstreamError:
        """An init section, which is fetched once for all segments that need it, also when that fails."""
        if init is None:
            return _NO_HEAD
        async with self._head_locks.setdefault(init, asyncio.Lock()):
            if init not in self._heads:
                head = await self._fetched_head(init)
                self._heads[init] = await self._fetched_head(init) if _may_still_come(head) else head
            return self._heads[init]

    async def _fetched_head(self, init: InitSection) -> _Head | UpstreamError:
        content = await _resource(self._fetcher, self._base, init.uri, init.byte_range, has_init=True)
        if isinstance(content, UpstreamError):
            return content
        return _no_sound(self._fetcher) if missing_bytes(content) else _Head(content, sound_tracks(content))

    async def _sound_head(self, init: InitSection | None) -> bytes | UpstreamError:
        head = await self._head(init)
        return head.sound if isinstance(head, _Head) else head

    async def _tracks(self, init: InitSection) -> SoundTracks | None:
        """The tracks to keep of segments. Raises UpstreamError when the init section cannot be had."""
        head = await self._head(init)
        if isinstance(head, UpstreamError):
            raise head.fresh_copy()
        return head.tracks

    def _parts(
        self, stretch: Sequence[Segment], came: Mapping[int, bytes], heads: Mapping[InitSection | None, _Head]
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
        self, segments: Sequence[Segment], head: _Head, came: Mapping[int, bytes], starts: Mapping[int, float]
    ) -> list[MediaPart]:
        """Consecutive segments with the same init section as parts."""
        container = _container(came[segments[0].sequence], has_init=bool(head.content))
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

        content = await _resource(
            self._fetcher,
            self._base,
            segment.uri,
            segment.byte_range,
            has_init=segment.init is not None,
            new_sound=new_sound,
        )
        if isinstance(content, bytes) and segment.init is not None and (missing := missing_bytes(content)):
            # What follows would be taken for the rest of its sound.
            content = content + bytes(missing) if missing <= MAX_KEPT_BYTES else _no_sound(self._fetcher)
        if sound and (stamp := sound[-1].first_timestamp) is not None:
            self._stamps[key] = stamp
        if isinstance(content, bytes) and self._cached_bytes + len(content) <= MAX_CACHED_BYTES:
            self._cached[key] = content
            self._cached_bytes += len(content)
        return content


class _InOrder:
    """Feeds a decoding with pieces that arrive in any order. Stops permanently at a failed piece."""

    def __init__(self, count: int, decoding: DecodingAhead | None) -> None:
        self._pieces: list[bytes | None] = [None] * count
        self._decoding = decoding
        self._next = 0
        self._container: str | None = None

    async def put(
        self, place: int, fetch: Callable[[], Awaitable[bytes | UpstreamError]]
    ) -> bytes | UpstreamError:
        """Fetch a piece, and pass on every piece whose turn has come."""
        result = await fetch()
        if isinstance(result, UpstreamError):
            self.close()
        else:
            self._pieces[place] = result
            self._pass_on()
        return result

    def complete(self, tail: bytes, container: str) -> DecodingAhead | None:
        """The decoding, fed with all pieces and the tail, for the caller to finish; None if there is none."""
        if self._next < len(self._pieces) or container != self._container:
            return None
        decoding, self._decoding = self._decoding, None
        if decoding is not None:
            decoding.feed(tail, container=container)
        return decoding

    def close(self) -> None:
        """Abandon the decoding, since no more pieces will come."""
        if self._decoding is not None:
            self._decoding.abandon()
            self._decoding = None

    def _pass_on(self) -> None:
        head, first = self._pieces[:2]
        if self._decoding is None or head is None or first is None:
            return
        if self._container is None:
            self._container = _container(first, has_init=bool(head))
        while self._next < len(self._pieces) and (content := self._pieces[self._next]) is not None:
            self._decoding.feed(content, container=self._container)
            self._next += 1


class _SegmentFilter:
    """Keeps the wanted range of a resource, without its picture where `sound` can leave that out.

    `first_byte`: of the resource, with which the body begins.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        wanted: ByteRange | None,
        sound: SoundFilter | FragmentFilter | None,
        first_byte: int,
    ) -> None:
        self._fetcher = fetcher
        self._wanted = wanted
        self._sound = sound
        self._at = first_byte
        self._is_other = wanted is not None and first_byte > wanted.offset
        self._kept_bytes = 0

    async def feed(self, piece: bytes) -> bytes:
        if self._is_other:
            raise _no_sound(self._fetcher)
        if self._wanted is not None:
            piece = self._of_range(piece, self._wanted)
        if self._sound is not None and piece:
            try:
                piece = await self._sound.feed(piece)
            except FragmentError as error:
                raise _no_sound(self._fetcher) from error
        self._kept_bytes += len(piece)
        if self._kept_bytes > MAX_KEPT_BYTES:
            raise TooLongError(STEP, self._fetcher.upstream, MAX_KEPT_BYTES)
        return piece

    def finish(self) -> bytes:
        return b"" if self._sound is None else self._sound.finish()

    def _of_range(self, piece: bytes, wanted: ByteRange) -> bytes:
        start = wanted.offset - self._at
        self._at += len(piece)
        return piece[max(0, start) : max(0, start + wanted.length)]


async def _sound_of(content: bytes, tracks: SoundTracks | None) -> bytes:
    """The beginning of a segment without its picture, if that can be left out."""

    async def known() -> SoundTracks | None:
        return tracks

    sound = SoundFilter() if tracks is None else FragmentFilter(known)
    try:
        return await sound.feed(content) + sound.finish()
    except FragmentError:
        return b""


def _beginning(segment: Segment) -> ByteRange:
    """The byte range of a segment's first part."""
    if segment.byte_range is None:
        return ByteRange(0, _BEGINNING_BYTES)
    return ByteRange(segment.byte_range.offset, min(segment.byte_range.length, _BEGINNING_BYTES))


def _container(content: bytes, *, has_init: bool) -> str:
    """FFmpeg's name of the container of a segment that was accepted as media."""
    return container_of(content, has_init=has_init) or "mpegts"


def _continues(last: TimedSegment, content: bytes, container: str, head: _Head) -> bool:
    """Whether what has come of a segment follows the last one: in the same container and on the same clock.

    An advertisement may be made in place of the stream before anything announces it, and has a clock of its own.
    """
    same = content.startswith(b"\x47")
    if container != "mpegts":
        same = container_of(content, has_init=container == "mp4") == container
    if not same:
        return False
    if last.first_timestamp is None:
        return True
    first = first_timestamp(content, container, head=head.content)
    if first is None:
        return False
    wrap = clock_wrap(container)
    passed = clock_difference(first, last.first_timestamp, near=last.duration_seconds, wrap=wrap)
    return abs(passed - last.duration_seconds) < _MAX_GAP_SECONDS


def _that_came(segments: Sequence[Segment], results: Sequence[bytes | UpstreamError]) -> dict[int, bytes]:
    return {
        segment.sequence: result
        for segment, result in zip(segments, results, strict=True)
        if not isinstance(result, UpstreamError)
    }


def _stretch(ordered: Sequence[Segment], came: Mapping[int, bytes], holding: Segment | None) -> list[Segment]:
    """The run without a gap that contains `holding`, if it came, or else the longest one."""
    stretches: list[list[Segment]] = [[]]
    for segment in ordered:
        if segment.sequence not in came:
            continue
        last = stretches[-1][-1] if stretches[-1] else None
        if last is not None and last.sequence + 1 != segment.sequence:
            stretches.append([])
        stretches[-1].append(segment)
    return next((each for each in stretches if holding in each), max(reversed(stretches), key=total_seconds))


def _may_still_come(head: _Head | UpstreamError) -> bool:
    """Whether asking once more for an init section may help."""
    if not isinstance(head, UpstreamError) or isinstance(head, (HostWantsPauseError, TooLongError)):
        return False
    return head.retry_after_seconds is not None and head.code is not ProblemCode.TIMEOUT


def _no_sound(fetcher: Fetcher) -> UpstreamError:
    return UpstreamError(
        STEP, f"{fetcher.upstream} sends no sound for a segment that it listed. Try again in a moment."
    )


async def _all(fetches: Iterable[Coroutine[Any, Any, bytes | UpstreamError]]) -> list[bytes | UpstreamError]:
    return await _results([asyncio.create_task(fetch) for fetch in fetches])


async def _results(tasks: Sequence[asyncio.Task[T]]) -> list[T]:
    """What the tasks return. When one crashes, the others are ended; `gather` alone would leave them running."""
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _resource(
    fetcher: Fetcher,
    base: URL,
    uri: str,
    byte_range: ByteRange | None,
    *,
    has_init: bool,
    new_sound: Callable[[], SoundFilter | FragmentFilter] | None = None,
) -> bytes | UpstreamError:
    """The bytes, or the failure as a value, since the other segments may be enough.

    A body that is no media is a failure, whatever its status. Bytes before the first packet are left out, and
    what the filter of `new_sound` leaves out.
    """

    def new_filter(first_byte: int) -> BodyFilter:
        return _SegmentFilter(fetcher, byte_range, None if new_sound is None else new_sound(), first_byte)

    headers = dict(_IDENTITY_ENCODING)
    if byte_range is not None:
        headers["Range"] = f"bytes={byte_range.offset}-{byte_range.offset + byte_range.length - 1}"
    try:
        fetched = await fetcher.get(
            address(base, uri),
            step=STEP,
            max_bytes=MAX_SEGMENT_BYTES,
            total_seconds=_TOTAL_SECONDS,
            headers=headers,
            new_filter=new_filter,
        )
    except UpstreamError as error:
        return error
    except PlaylistError as error:
        return UpstreamError("playlist", f"{fetcher.upstream}'s list of segments cannot be used: {error}.")
    if fetched.status not in (200, 206) or (fetched.status == 206 and byte_range is None):
        return SegmentRefusedError(fetcher.upstream, fetched.status)
    body = fetched.body
    container = container_of(body, has_init=has_init)
    if container is None:
        return _no_sound(fetcher)
    if container == "mp4":
        fetcher.note_unknown(("box", name) for name in sorted(unknown_boxes(body))[:_MAX_BOXES])
    return body[transport_stream_start(body) or 0 :] if container == "mpegts" else body
