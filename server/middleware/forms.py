"""Reads HTML forms within a time limit; the application limits their size."""

import asyncio
import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, web
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


async def read_form(request: web.Request, seconds: float) -> Mapping[str, str]:
    """The last value of each field; raises as `read_form_values` does."""
    return {name: values[-1] for name, values in (await read_form_values(request, seconds)).items() if values}


async def read_form_values(request: web.Request, seconds: float) -> Mapping[str, Sequence[str]]:
    """All values of each text field of a form; ignores files. May be called repeatedly for one request.

    Raises TwitchAudioError `invalid-input`; aiohttp's HTTP 408 after `seconds`, and 413 when the form is too
    large.
    """
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
