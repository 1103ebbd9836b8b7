"""Fetches one segment or init section, or a byte range of it, and keeps only its sound."""

from collections.abc import Callable
from typing import Final

from yarl import URL

from fingerprint.domain.problems import UpstreamError
from fingerprint.hls.attributes import PlaylistError, address
from fingerprint.hls.playlist import ByteRange, Segment
from fingerprint.media.containers import (
    container_of,
    transport_stream_start,
    unknown_boxes,
)
from fingerprint.media.fetch import STALL_SECONDS, BodyFilter, Fetcher, TooLongError
from fingerprint.media.fragment_filter import FragmentError, FragmentFilter
from fingerprint.media.refusals import permanent_refusal
from fingerprint.media.sound_filter import SoundFilter

MAX_SEGMENT_BYTES: Final = 64 << 20
"""The longest segment that is received, its picture included: 12 s of 44 Mbit/s."""

MAX_KEPT_BYTES: Final = 32 << 20
"""The most that is kept of a segment: of one whose picture cannot be told from its sound, all of it."""

TOTAL_SECONDS: Final = 5.0
_BEGINNING_BYTES: Final = 64 << 10

IDENTITY_ENCODING: Final = {"Accept-Encoding": "identity"}
STEP: Final = "segment"

_MAX_BOXES: Final = 5
"""How many unknown boxes of one segment are counted."""


class SegmentRefusedError(UpstreamError):
    """A segment's address was answered with `status` and without the segment."""

    def __init__(self, upstream: str, status: int) -> None:
        detail = f"{upstream} answers {status} for a segment that it listed. Try again in a moment."
        told = permanent_refusal(STEP, upstream, status) or UpstreamError(STEP, detail)
        super().__init__(STEP, told.detail, code=told.code, retry_after_seconds=told.retry_after_seconds)
        self.status = status


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
            raise no_sound(self._fetcher)
        if self._wanted is not None:
            piece = self._of_range(piece, self._wanted)
        if self._sound is not None and piece:
            try:
                piece = await self._sound.feed(piece)
            except FragmentError as error:
                raise no_sound(self._fetcher) from error
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


def beginning_of(segment: Segment) -> ByteRange:
    """The byte range of a segment's first part."""
    if segment.byte_range is None:
        return ByteRange(0, _BEGINNING_BYTES)
    return ByteRange(segment.byte_range.offset, min(segment.byte_range.length, _BEGINNING_BYTES))


def container_or_mpegts(content: bytes, *, has_init: bool) -> str:
    """FFmpeg's name of the container of a segment that was accepted as media."""
    return container_of(content, has_init=has_init) or "mpegts"


def no_sound(fetcher: Fetcher) -> UpstreamError:
    """The failure of a segment whose body is no media, or is incomplete."""
    return UpstreamError(
        STEP, f"{fetcher.upstream} sends no sound for a segment that it listed. Try again in a moment."
    )


async def fetch_resource(
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

    headers = dict(IDENTITY_ENCODING)
    if byte_range is not None:
        headers["Range"] = f"bytes={byte_range.offset}-{byte_range.offset + byte_range.length - 1}"
    try:
        fetched = await fetcher.get(
            address(base, uri),
            step=STEP,
            max_bytes=MAX_SEGMENT_BYTES,
            total_seconds=TOTAL_SECONDS,
            headers=headers,
            stall_seconds=STALL_SECONDS,
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
        return no_sound(fetcher)
    if container == "mp4":
        fetcher.note_unknown(("box", name) for name in sorted(unknown_boxes(body))[:_MAX_BOXES])
    return body[transport_stream_start(body) or 0 :] if container == "mpegts" else body
