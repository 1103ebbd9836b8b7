"""What a page's form sends, read within a limit of time; that of size is the application's."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from fingerprint.domain.problems import invalid_input


async def read_form(request: web.Request, seconds: float) -> Mapping[str, str]:
    """The text fields of a form; files are passed over. May be asked for again.

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
    return {name: value for name, value in posted.items() if isinstance(value, str)}
