"""Renders templates in the visitor's language, and bounds how long a page waits for the database."""

import asyncio
import gzip
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp_jinja2
import jinja2
from aiohttp import web
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.middleware.session import account
from server.web.languages import (
    ENGLISH,
    NAMES,
    QUERY,
    Language,
    chosen_language,
    known_languages,
    language_of,
    remember_language,
)

ENVIRONMENTS: Final = {
    code: aiohttp_jinja2.APP_KEY if code == ENGLISH.code else web.AppKey(f"templates_{code}", jinja2.Environment)
    for code in (ENGLISH.code, *NAMES)
}
"""The application's key of the templates in each language. Pages that do not ask for one are in English."""

ENGLISH_ONLY: Final = frozenset({"docs.html"})
"""Pages that are in English for everyone, as the operator's desk is: the API is, too."""


COMPRESSED_AT_ONCE: Final = 65_536
"""A text of up to so many bytes is compressed where it is made: a thread costs more than that, and two waits."""

OVERLAYS: Final = frozenset({"overlay.html", "overlay_problem.html"})
"""Pages within others, or within broadcast software: the language in their address is not the visitor's choice."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A language that the page is also in: its address on this page, and its whole address for search engines."""

    language: Language
    address: str
    whole: str


def render(template: str, request: web.Request, context: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """A page from its template in the visitor's language, with the visitor's account as `account`."""
    translated = template not in ENGLISH_ONLY
    language = language_of(request) if translated else ENGLISH
    canonical = _canonical(request) if request.method in ("GET", "HEAD") and status == 200 else None
    whole = {
        "page": "",
        "account": account(request),
        "path": request.path_qs,
        "canonical": canonical or "",
        "choices": _choices(request, canonical) if translated and len(known_languages()) > 1 else (),
        **context,
    }
    text = rendered(template, request, whole, language)
    response = web.Response(
        text=text,
        status=status,
        content_type="text/html",
        charset="utf-8",
        zlib_executor_size=COMPRESSED_AT_ONCE,
    )
    response.headers["Content-Language"] = language.code
    if translated:
        response.headers["Vary"] = "Accept-Language, Cookie"
        chosen = chosen_language(request)
        if chosen is not None and status < 400 and template not in OVERLAYS:
            origin = request.app[keys.ORIGIN](request)
            remember_language(chosen, response, secure=origin.scheme == "https", path=origin.path)
    response.enable_compression()
    return response


def rendered(template: str, request: web.Request, context: Mapping[str, Any], language: Language = ENGLISH) -> str:
    """The text of a template, or of a part of a page."""
    return aiohttp_jinja2.render_string(template, request, context, app_key=ENVIRONMENTS[language.code])


def _canonical(request: web.Request) -> URL:
    """The page's own address: of its query, only an answer's id and a language make it another page."""
    origin = request.app[keys.ORIGIN](request)
    address = origin.with_path(origin.path.rstrip("/") + request.path)
    answer = request.query.get("id") if request.path == "/" else None
    chosen = chosen_language(request)
    query = {"id": answer, QUERY: None if chosen is None else chosen.code}
    return address.with_query({name: value for name, value in query.items() if value})


def _choices(request: web.Request, canonical: URL | None) -> Sequence[Choice]:
    """Where the page is in each language; a page that only a form leads to has the start page instead."""
    here = request.rel_url if canonical is not None else URL("/")
    return [
        Choice(
            language,
            str(here.update_query({QUERY: code})),
            "" if canonical is None else str(canonical.update_query({QUERY: code})),
        )
        for code, language in known_languages().items()
    ]


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """A page in English that many get: rendered, encoded and compressed once."""

    plain: bytes = field(repr=False)
    gzipped: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str) -> "EncodedPage":
        """Encode a page's text. CPU work, for a thread."""
        plain = text.encode()
        return cls(plain, gzip.compress(plain, mtime=0))

    def response(self, request: web.Request) -> web.Response:
        """The page, compressed where the client takes that."""
        headers = {"Content-Language": ENGLISH.code, "Vary": "Accept-Encoding"}
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        if zipped:
            headers["Content-Encoding"] = "gzip"
        body = self.gzipped if zipped else self.plain
        return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)


@asynccontextmanager
async def in_time(seconds: float) -> AsyncGenerator[None]:
    """Run the block for at most `seconds`. Raises TwitchAudioError `busy` when it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        detail = "Our database did not answer in time. Try again in a moment."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0) from error
