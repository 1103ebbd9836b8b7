"""Renders templates, and bounds how long a page waits for the database."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp_jinja2
from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.middleware.session import account


def render(template: str, request: web.Request, context: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """A page from its template, with the visitor's account as `account`."""
    canonical = _canonical(request) if request.method in ("GET", "HEAD") and status == 200 else ""
    whole = {"page": "", "account": account(request), "path": request.path_qs, "canonical": canonical, **context}
    response = aiohttp_jinja2.render_template(template, request, whole, status=status)
    response.enable_compression()
    return response


def _canonical(request: web.Request) -> str:
    """The page's own address: of its query, only an answer's id makes it another page."""
    origin = request.app[keys.ORIGIN](request)
    address = origin.with_path(origin.path.rstrip("/") + request.path)
    answer = request.query.get("id") if request.path == "/" else None
    return str(address.with_query(id=answer) if answer else address)


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
