"""What a page's form sends, read within a limit of time; that of size is the application's."""

import asyncio
from collections.abc import Mapping, Sequence

from aiohttp import web

from fingerprint.domain.problems import invalid_input


async def read_form(request: web.Request, seconds: float) -> Mapping[str, str]:
    """The last text of each field, as `read_form_values` reads them."""
    return {name: values[-1] for name, values in (await read_form_values(request, seconds)).items() if values}


async def read_form_values(request: web.Request, seconds: float) -> Mapping[str, Sequence[str]]:
    """Every text of each field of a form; files are ignored. May be called again: aiohttp keeps the form.

    Raises TwitchAudioError `invalid-input`; aiohttp's 408 when it takes too long, and 413 when it is too large.
    """
    try:
        async with asyncio.timeout(seconds):
            posted = await request.post()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except (LookupError, ValueError) as error:
        # No such character set, or not what it says.
        raise invalid_input("The form cannot be read.") from error
    values: dict[str, list[str]] = {}
    for name, value in posted.items():
        texts = values.setdefault(name, [])
        if isinstance(value, str):
            texts.append(value)
    return values
