"""Fetches the sound of a clip that is too long to be kept, and whose description comes last, by byte ranges."""

from collections.abc import Callable
from typing import Final

from yarl import URL

from fingerprint.domain.problems import UpstreamError
from fingerprint.media.fetch import Fetched, Fetcher
from fingerprint.media.sound_table import DescriptionError, Range, description, sound_table

MAX_CLIP_BYTES: Final = 256 << 20
"""The longest clip's file: a minute of 34 Mbit/s. No more than 8 MiB of a long one are kept."""

STEP: Final = "clip"
CLIP_HEADERS: Final = {"Accept-Encoding": "identity"}

_MAX_DESCRIPTION_BYTES: Final = 8 << 20
_MAX_LOOKS: Final = 3
_DESCRIPTION_SECONDS: Final = 5.0


class ClipTooLongError(UpstreamError):
    """A clip's file that cannot be heard without keeping more of it than is allowed."""

    def __init__(self) -> None:
        super().__init__(STEP, "Twitch's file of this clip is too long.", retry_after_seconds=None)


async def fetch_late_sound(
    fetcher: Fetcher, url: URL, behind_media: int, *, max_seconds: float, total_seconds: float
) -> Fetched:
    """The sound of a clip's file as an MP4 file of its own, or the response that refuses it.

    `behind_media`: where in the file its description is looked for. Raises UpstreamError; ClipTooLongError, for a
    server that gives no ranges as well.
    """

    async def fetch(ranges: list[Range], seconds: float) -> Fetched:
        start, end = ranges[0][0], ranges[-1][1]
        return await fetcher.get(
            url,
            step=STEP,
            max_bytes=end - start,
            total_seconds=seconds,
            headers={**CLIP_HEADERS, "Range": f"bytes={start}-{end - 1}"},
            new_filter=_new_filter(ranges),
        )

    at = behind_media
    try:
        for _ in range(_MAX_LOOKS):
            if at > MAX_CLIP_BYTES:
                break
            fetched = await fetch([(at, at + _MAX_DESCRIPTION_BYTES)], _DESCRIPTION_SECONDS)
            if fetched.status == 416:
                break
            if fetched.status != 206:
                return fetched
            found = description(fetched.body)
            if isinstance(found, bytes):
                table = sound_table(found, max_seconds=max_seconds)
                if table.ranges[-1][1] - table.ranges[0][0] > MAX_CLIP_BYTES:
                    break
                fetched = await fetch(list(table.ranges), total_seconds)
                if fetched.status != 206:
                    return fetched
                return Fetched(200, table.head + fetched.body)
            at += found
    except DescriptionError as error:
        raise ClipTooLongError from error
    raise ClipTooLongError


def _new_filter(ranges: list[Range]) -> Callable[[int], "_Ranges"]:
    def of_response(first_byte: int) -> _Ranges:
        if first_byte != ranges[0][0]:
            raise ClipTooLongError  # the server gives no ranges, or another one
        return _Ranges(ranges)

    return of_response


class _Ranges:
    """Keeps ranges of a file, which are in order, of a body that begins with the first of them; a `BodyFilter`."""

    def __init__(self, ranges: list[Range]) -> None:
        self._ranges = ranges
        self._next = 0
        self._at = ranges[0][0]

    async def feed(self, piece: bytes) -> bytes:
        kept: list[bytes] = []
        begin, self._at = self._at, self._at + len(piece)
        while self._next < len(self._ranges):
            start, end = self._ranges[self._next]
            kept.append(piece[max(0, start - begin) : max(0, end - begin)])
            if end > self._at:
                break
            self._next += 1
        return b"".join(kept)

    def finish(self) -> bytes:
        return b""
