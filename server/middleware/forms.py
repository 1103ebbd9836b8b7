"""Reads HTML forms within limits of time, size and lines."""

import asyncio
import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from fingerprint.domain.problems import invalid_input

UNREADABLE: Final = (  # what reading a malformed form raises
    # An unknown character set, bytes that do not match it, a part without a name.
    LookupError,
    ValueError,
    # What aiohttp raises for a malformed part: unknown encodings, missing boundaries, bad headers.
    RuntimeError,
    AssertionError,
    TypeError,
    zlib.error,
    HttpProcessingError,
    web.RequestPayloadError,
)


def ignore_form_warnings() -> None:
    """Silence aiohttp's warnings about malformed parts: each client's text would be printed and kept in memory."""
    for category in (BadContentDispositionHeader, BadContentDispositionParam):
        warnings.filterwarnings("ignore", category=category)


MAX_LINES: Final = 1_000
"""How many lines a form may have besides its fields' content: boundaries, headers, and what is around them."""


class _BoundedBody:
    """A request's body that ends in an error when there is more of it than its form may have.

    aiohttp looks for the first boundary line by line, however many there are, and without letting others have
    their turn: a form that begins with empty lines would keep the whole server busy.
    """

    def __init__(self, content: StreamReader, max_lines: int, max_bytes: int) -> None:
        self._content = content
        self._lines_left = max_lines
        self._max_bytes = max_bytes

    async def readline(self, **options: Any) -> bytes:
        """The next line. Raises ValueError when there were too many, aiohttp's HTTP 413 for too many bytes."""
        self._lines_left -= 1
        if self._lines_left < 0:
            raise ValueError("The form has too many lines.")
        if self._content.total_bytes > self._max_bytes:
            raise web.HTTPRequestEntityTooLarge(self._max_bytes)
        return await self._content.readline(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)


def content_encoding(request: web.Request) -> str | None:
    """How the request's body is compressed, in small letters; None when it is not.

    aiohttp unpacks nothing here: it would also unpack what is refused or never read, and 60 KB can be 60 MB.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    return encoding if encoding not in ("", "identity") else None


def bound_form(request: web.Request, *, max_lines: int, max_bytes: int) -> None:
    """Limit what is read of a multipart form, its boundaries and the lines around it included.

    `max_bytes` is looked at with each of these lines; what is read of fields and files is for others to limit.

    Raises TwitchAudioError `invalid-input` when the form is compressed.
    """
    if content_encoding(request) is not None:
        raise invalid_input("Forms are read as they are, not compressed.")
    bounded = _BoundedBody(request.content, max_lines, max_bytes)
    request._payload = cast("StreamReader", bounded)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


async def read_form(request: web.Request, seconds: float) -> Mapping[str, str]:
    """The last value of each field; raises as `read_form_values` does."""
    return {name: values[-1] for name, values in (await read_form_values(request, seconds)).items() if values}


async def read_form_values(request: web.Request, seconds: float) -> Mapping[str, Sequence[str]]:
    """All values of each text field of a form; ignores files. May be called repeatedly for one request.

    Raises TwitchAudioError `invalid-input`; aiohttp's HTTP 408 after `seconds`, and 413 when the form is too
    large.
    """
    if not isinstance(request.content, _BoundedBody):  # once, however often the form is read
        bound_form(request, max_lines=MAX_LINES, max_bytes=request.client_max_size)
    try:
        async with asyncio.timeout(seconds):
            posted = await request.post()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except UNREADABLE as error:
        raise invalid_input("The form cannot be read.") from error
    values: dict[str, list[str]] = {}
    for name, value in posted.items():
        texts = values.setdefault(name, [])
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, web.FileField):
            value.file.close()
    return values
