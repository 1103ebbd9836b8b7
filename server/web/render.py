"""Renders templates, and bounds how long a page waits for the database."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp_jinja2
from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.middleware.session import account


def render(template: str, request: web.Request, context: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """A page from its template, with the visitor's account as `account`."""
    whole = {"page": "", "account": account(request), "path": request.path_qs, **context}
    response = aiohttp_jinja2.render_template(template, request, whole, status=status)
    response.enable_compression()
    return response


def html_response(text: str) -> web.Response:
    """A page that was rendered before."""
    response = web.Response(text=text, content_type="text/html", charset="utf-8")
    response.enable_compression()
    return response


@asynccontextmanager
async def in_time(seconds: float) -> AsyncGenerator[None]:
    """Run the block for at most `seconds`. Raises TwitchAudioError `busy` when it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        detail = "Our store did not answer in time. Try again in a moment."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0) from error
