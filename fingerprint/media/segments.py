"""Fetching the segments of a playlist side by side, and joining those that came."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from yarl import URL

from fingerprint.domain.problems import UpstreamError
from fingerprint.hls.attributes import PlaylistError, address
from fingerprint.hls.live import total_seconds
from fingerprint.hls.playlist import ByteRange, InitSection, Segment
from fingerprint.media.ahead import DecodingAhead
from fingerprint.media.fetch import Fetcher
from fingerprint.media.partial_response import PartialResponse

MAX_SEGMENT_BYTES: Final = 8 << 20
MAX_SEGMENTS: Final = 16
"""The most segments that one recording is made of."""

MAX_CACHED_BYTES: Final = 32 << 20
"""How many bytes a SegmentCache holds: half a minute of the largest renditions."""

EXTRA_SECONDS: Final = 10.0
"""More than a segment that is still being made ever holds."""

_TOTAL_SECONDS: Final = 5.0
_REPLACEMENT_ROUNDS: Final = 2
_AS_IT_IS: Final = {"Accept-Encoding": "identity"}
STEP: Final = "segment"
PREFETCH_STEP: Final = "prefetch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Segments that follow each other, joined to one piece of media that FFmpeg knows as `container`.

    Up to `extra_seconds` of what follows them may come after them: the beginning of a segment that is still being
    made. `decoding` is under way where it could begin while they came.
    """

    segments: Sequence[Segment]
    encoded: bytes = field(repr=False)
    container: str
    extra_seconds: float = 0.0
    decoding: DecodingAhead | None = field(default=None, repr=False)

    @property
    def duration_seconds(self) -> float:
        """What the playlist says of its length."""
        return total_seconds(self.segments)


class SegmentCache:
    """The segments of one playlist: fetched side by side, and cached up to a bound."""

    def __init__(self, fetcher: Fetcher, base: URL) -> None:
        self._fetcher = fetcher
        self._base = base
        self._cached: dict[tuple[int, datetime | None], bytes] = {}
        self._cached_bytes = 0
        self._heads: dict[InitSection | None, bytes] = {None: b""}

    def fetch_prefetch(self, uri: str) -> PartialResponse | None:
        """A segment that is still being made, as it comes; it is not cached."""
        try:
            url = address(self._base, uri)
        except PlaylistError:
            return None
        return self._fetcher.get_partial(
            url,
            step=PREFETCH_STEP,
            max_bytes=MAX_SEGMENT_BYTES,
            total_seconds=_TOTAL_SECONDS,
            headers=_AS_IT_IS,
        )

    async def joined(
        self,
        wanted: Sequence[Segment],
        older: Sequence[Segment] = (),
        *,
        following: str | None = None,
        decoding: DecodingAhead | None = None,
    ) -> Joined:
        """The wanted segments, those that are not kept all fetched at once.

        For those that fail as many of the `older` ones, which come just before and need the same init section, are
        fetched, twice at most. The result is the longest stretch without a hole, the newest of equally long ones;
        the caller decides whether that will do.

        `following` is the URI of a segment that is still being made: what has come of it when the others are there
        is added, and nobody waits for more. `decoding` is fed with what comes, in order, and abandoned when
        something is missing.

        Raises UpstreamError, the first failure, when nothing came.
        """
        wanted = wanted[-MAX_SEGMENTS:]
        inits = list(dict.fromkeys(segment.init for segment in wanted))
        queue = _InOrder(len(wanted) + 1, decoding if len(inits) == 1 else None)
        try:
            fetching = asyncio.gather(
                *(queue.put(0, partial(self._head, init)) for init in inits),
                *(queue.put(1 + place, partial(self._segment, one)) for place, one in enumerate(wanted)),
            )
            more = None if following is None else self.fetch_prefetch(following)
            results = await fetching
            heads = dict(zip(inits, results[: len(inits)], strict=True))
            came = await self._came(wanted, results[len(inits) :], older)
            stretch = _longest_stretch([*older, *wanted], came)
            head = heads[stretch[0].init]
            if isinstance(head, UpstreamError):
                raise head
            container = container_of(came[stretch[0].sequence], has_init=bool(head))
            tail = b""
            if more is not None and stretch[-1] == wanted[-1]:
                tail = more.so_far if _goes_on(more.so_far, container) else b""
            return Joined(
                segments=stretch,
                encoded=b"".join([head, *(came[segment.sequence] for segment in stretch), tail]),
                container=container,
                extra_seconds=EXTRA_SECONDS if tail else 0.0,
                decoding=queue.complete(tail, container) if len(stretch) == len(wanted) else None,
            )
        finally:
            queue.close()

    async def _came(
        self, wanted: Sequence[Segment], results: Sequence[bytes | UpstreamError], older: Sequence[Segment]
    ) -> dict[int, bytes]:
        """What there is of the wanted ones, and of older ones in place of those that failed."""
        came = _that_came(wanted, results)
        spare = list(older)
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

    async def _head(self, init: InitSection | None) -> bytes | UpstreamError:
        if init is None or init in self._heads:
            return self._heads[init]
        content = await _resource(self._fetcher, self._base, init.uri, init.byte_range)
        if isinstance(content, bytes):
            self._heads[init] = content
        return content

    async def _segment(self, segment: Segment) -> bytes | UpstreamError:
        # Not by the address: a playlist that is read again may sign it anew.
        key = (segment.sequence, segment.started_at)
        if key in self._cached:
            return self._cached[key]
        content = await _resource(self._fetcher, self._base, segment.uri, segment.byte_range)
        if isinstance(content, bytes) and self._cached_bytes + len(content) <= MAX_CACHED_BYTES:
            self._cached[key] = content
            self._cached_bytes += len(content)
        return content


class _InOrder:
    """Feeds a decoding with pieces that come in any order: a head, then segments. Stops for good at a failure."""

    def __init__(self, count: int, decoding: DecodingAhead | None) -> None:
        self._pieces: list[bytes | None] = [None] * count
        self._decoding = decoding
        self._next = 0
        self._container: str | None = None

    async def put(
        self, place: int, fetch: Callable[[], Awaitable[bytes | UpstreamError]]
    ) -> bytes | UpstreamError:
        """Fetch a piece, and pass on what is due."""
        result = await fetch()
        if isinstance(result, UpstreamError):
            self.close()
        else:
            self._pieces[place] = result
            self._pass_on()
        return result

    def complete(self, tail: bytes, container: str) -> DecodingAhead | None:
        """The decoding, fed with everything and with what follows; it is the caller's now. None without one."""
        if self._next < len(self._pieces) or container != self._container:
            return None
        decoding, self._decoding = self._decoding, None
        if decoding is not None:
            decoding.feed(tail, container=container)
        return decoding

    def close(self) -> None:
        """No more will come."""
        if self._decoding is not None:
            self._decoding.abandon()
            self._decoding = None

    def _pass_on(self) -> None:
        head, first = self._pieces[:2]
        if self._decoding is None or head is None or first is None:
            return
        if self._container is None:
            self._container = container_of(first, has_init=bool(head))
        while self._next < len(self._pieces) and (content := self._pieces[self._next]) is not None:
            self._decoding.feed(content, container=self._container)
            self._next += 1


def container_of(content: bytes, *, has_init: bool) -> str:
    """FFmpeg's name for what a segment is in. What looks like nothing known counts as MPEG-TS, and fails there."""
    if has_init or content[4:8] in (b"ftyp", b"styp", b"moof", b"sidx"):
        return "mp4"
    if content.startswith(b"ID3") or (
        content[:1] == b"\xff" and content[1:2] in (b"\xf0", b"\xf1", b"\xf8", b"\xf9")
    ):
        return "aac"
    return "mpegts"


def _goes_on(content: bytes, container: str) -> bool:
    """Whether it looks like more of the same; what is no media, or another kind of it, would spoil the rest."""
    if container == "mpegts":
        return content.startswith(b"\x47")
    return container_of(content, has_init=False) == container


def _that_came(segments: Sequence[Segment], results: Sequence[bytes | UpstreamError]) -> dict[int, bytes]:
    return {
        segment.sequence: result
        for segment, result in zip(segments, results, strict=True)
        if not isinstance(result, UpstreamError)
    }


def _longest_stretch(ordered: Sequence[Segment], came: Mapping[int, bytes]) -> list[Segment]:
    stretches: list[list[Segment]] = [[]]
    for segment in ordered:
        if segment.sequence not in came:
            continue
        last = stretches[-1][-1] if stretches[-1] else None
        if last is not None and (last.sequence + 1 != segment.sequence or last.init != segment.init):
            stretches.append([])
        stretches[-1].append(segment)
    return max(reversed(stretches), key=total_seconds)


async def _all(fetches: Iterable[Coroutine[Any, Any, bytes | UpstreamError]]) -> list[bytes | UpstreamError]:
    return await asyncio.gather(*fetches)


async def _resource(fetcher: Fetcher, base: URL, uri: str, byte_range: ByteRange | None) -> bytes | UpstreamError:
    """The bytes, or the failure as a value: others may do without them."""
    headers = dict(_AS_IT_IS)
    if byte_range is not None:
        headers["Range"] = f"bytes={byte_range.offset}-{byte_range.offset + byte_range.length - 1}"
    try:
        fetched = await fetcher.get(
            address(base, uri),
            step=STEP,
            max_bytes=MAX_SEGMENT_BYTES,
            total_seconds=_TOTAL_SECONDS,
            headers=headers,
        )
    except UpstreamError as error:
        return error
    except PlaylistError as error:
        return UpstreamError("playlist", f"{fetcher.upstream}'s list of segments cannot be used: {error}.")
    if fetched.status == 206 or (fetched.status == 200 and byte_range is None):
        return fetched.body
    if fetched.status == 200 and byte_range is not None:  # a server that knows no ranges sends everything
        return fetched.body[byte_range.offset : byte_range.offset + byte_range.length]
    return UpstreamError(
        STEP, f"{fetcher.upstream} answers {fetched.status} for a segment that it listed. Try again in a moment."
    )
