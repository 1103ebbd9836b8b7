"""Reads HTML forms within a time limit; the application limits their size."""

import asyncio
from collections.abc import Mapping, Sequence

from aiohttp import web

from fingerprint.domain.problems import invalid_input


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
    except (LookupError, ValueError) as error:
        # The character set is unknown, or the body does not match it.
        raise invalid_input("The form cannot be read.") from error
    values: dict[str, list[str]] = {}
    for name, value in posted.items():
        texts = values.setdefault(name, [])
        if isinstance(value, str):
            texts.append(value)
    return values
